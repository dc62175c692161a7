"""Chance that a position reaches its target before its stop, learned from positions that could have been taken before."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Ring, Zero
from dataflows.kernels.arith import clip, logistic, sign
from dataflows.kernels.ftrl import Ftrl, ftrl_update, margin
from dataflows.kernels.labels import Samples, barrier_labels, target_label
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Told(NamedTuple):
    """What was said of each pending sample, and how right such sayings were."""

    side: Ring
    base: Ring  # log odds of a position about which nothing is known, before the Platt step
    claim: Ring  # what the edge itself adds to them
    lean: Ring  # what claim and features add to them
    chance: Ring  # after it
    loss: Zero  # weighted sum of squared errors
    weight: Zero


@kernel
def stop_of(sigma: float, horizon: float, stop_sigma: float, stop_max: float) -> float:
    """Distance of the stop as a fraction of the entry; NaN where volatility is unknown."""
    distance = stop_sigma * sigma * math.sqrt(horizon)
    return stop_max if distance > stop_max else distance


@kernel
def success_chances(
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    valid: Ints,
    values: Floats,
    edge_bps: Floats,
    edge_std_bps: Floats,
    column: int,
    sigma: Floats,
    max_gap: int,
    stop_sigma: float,
    stop_max: float,
    reward_risk: float,
    alpha: float,
    beta: float,
    l1: float,
    l2: float,
    halflife: float,
    samples: Samples,
    regression: Ftrl,
    platt: Ftrl,
    told: Told,
) -> tuple[Floats, Floats]:
    """Chance and Brier score, both (T, N). The rules are those of `l68_success_probability`.

    opens .. closes, sigma: (T, N); valid: int64 (T, N); values (T, N, K); edge_bps, edge_std_bps (T, N, H), read at `column`.
    Features: the sources on the side of the edge (K), 1, and the edge's t-statistic t as t / (1 + t). Their weights add to the
    log odds that the edge m claims: the chance p at which p * target - (1 - p) * stop = m, to first order. States in place.
    """
    bars, symbols = sigma.shape
    width = values.shape[2]
    depth = samples.stage.shape[0]
    chance = np.empty((bars, symbols))
    brier = np.empty((bars, symbols))
    step = np.empty(2)
    step[0] = 1.0
    prior = -math.log(reward_risk)  # log odds of 1 / (1 + reward_risk)
    rate = math.log(2.0) / halflife
    sides = np.empty((bars, symbols))
    taken = np.zeros((bars, symbols), np.int64)
    stops = np.empty((bars, symbols))
    up = np.empty((bars, symbols))
    down = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            side = sign(edge_bps[t, n, column])
            stop = stop_of(sigma[t, n], float(depth), stop_sigma, stop_max)
            target = reward_risk * stop
            sides[t, n] = side
            stops[t, n] = stop
            taken[t, n] = 1 if side != 0.0 and side == side else 0
            up[t, n] = stop if side < 0.0 else target
            down[t, n] = target if side < 0.0 else stop
    here = samples.bars[0] % depth
    counts, rows, how, gain, uniqueness = barrier_labels(opens, highs, lows, closes, valid, taken, up, down, max_gap, samples)
    # taken out of the states once: inside the loop each mention would count references
    features, w, correction, loss, weight = samples.features, regression.w, platt.w, told.loss, told.weight
    told_side, told_base, told_claim, told_lean, told_chance = told.side, told.base, told.claim, told.lean, told.chance
    i = 0
    for t in range(bars):
        for n in range(symbols):
            for _ in range(counts[t, n]):
                row = rows[i]
                u = uniqueness[i]
                y = target_label(how[i], gain[i], told_side[row, n])
                i += 1
                fade = math.exp(-rate * u)
                miss = told_chance[row, n] - y
                loss[n] = fade * loss[n] + u * miss * miss
                weight[n] = fade * weight[n] + u
                step[1] = told_lean[row, n]
                error = logistic(told_base[row, n] + step[1] + margin(step, correction[n])) - y
                ftrl_update(step, u * error, n, alpha, beta, 0.0, 0.0, platt)
                x = features[row, n]
                error = logistic(prior + told_claim[row, n] + margin(x, w[n])) - y
                ftrl_update(x, u * error, n, alpha, beta, l1, l2, regression)
            side = sides[t, n]
            std = edge_std_bps[t, n, column]
            size = math.fabs(edge_bps[t, n, column])
            said = 0.0
            for k in range(width + 2):
                if k < width:
                    v = side * values[t, n, k]
                elif k == width:
                    v = 1.0
                else:
                    v = size / (size + std) if size > 0.0 else 0.0
                features[here, n, k] = v
                if v == v:
                    said += w[n, k] * v
            base = prior + w[n, width]
            stop = stops[t, n]
            claim = 0.0
            if size > 0.0 and stop > 0.0:
                claim = 1e-4 * size * (1.0 / stop + 1.0 / (reward_risk * stop))
            lean = math.nan
            p = math.nan
            if side == side:
                lean = claim + said - w[n, width]
                slope = 1.0 + correction[n, 1]
                if slope < 0.0:
                    slope = 0.0  # what the regression says never counts against itself
                p = logistic(clip(base + correction[n, 0] + slope * lean, -30.0, 30.0))
            chance[t, n] = p
            brier[t, n] = loss[n] / weight[n] if weight[n] > 0.0 else math.nan
            told_side[here, n] = side
            told_base[here, n] = base
            told_claim[here, n] = claim
            told_lean[here, n] = lean
            told_chance[here, n] = p
        here = here + 1 if here < depth - 1 else 0
    return chance, brier
