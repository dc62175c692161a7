"""Chance that a position reaches its target before its stop, learned from positions that could have been taken before."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Ring, Zero
from dataflows.kernels.arith import clip, logistic, sign
from dataflows.kernels.compile import kernel
from dataflows.kernels.ftrl import Ftrl, ftrl_margin, ftrl_update
from dataflows.kernels.labels import Samples, is_whole, resolve_samples, store_sample, target_label
from dataflows.panel import Floats, Ints


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
    rows = np.empty(depth, np.int64)
    how = np.empty(depth, np.int64)
    gain = np.empty(depth)
    uniqueness = np.empty(depth)
    step = np.empty(2)
    step[0] = 1.0
    prior = -math.log(reward_risk)  # log odds of 1 / (1 + reward_risk)
    rate = math.log(2.0) / halflife
    for t in range(bars):
        here = samples.bars[0] % depth
        for n in range(symbols):
            o, h, low, c = opens[t, n], highs[t, n], lows[t, n], closes[t, n]
            whole = is_whole(o, h, low, c, valid[t, n])
            count = resolve_samples(o, h, low, c, whole, n, max_gap, samples, rows, how, gain, uniqueness)
            for i in range(count):
                row = rows[i]
                u = uniqueness[i]
                y = target_label(how[i], gain[i], told.side[row, n])
                fade = math.exp(-rate * u)
                miss = told.chance[row, n] - y
                told.loss[n] = fade * told.loss[n] + u * miss * miss
                told.weight[n] = fade * told.weight[n] + u
                step[1] = told.lean[row, n]
                error = logistic(told.base[row, n] + step[1] + ftrl_margin(step, n, platt)) - y
                ftrl_update(step, u * error, n, alpha, beta, 0.0, 0.0, platt)
                x = samples.features[row, n]
                error = logistic(prior + told.claim[row, n] + ftrl_margin(x, n, regression)) - y
                ftrl_update(x, u * error, n, alpha, beta, l1, l2, regression)
            side = sign(edge_bps[t, n, column])
            x = samples.features[here, n]
            for k in range(width):
                x[k] = side * values[t, n, k]
            x[width] = 1.0
            std = edge_std_bps[t, n, column]
            size = math.fabs(edge_bps[t, n, column])
            x[width + 1] = size / (size + std) if size > 0.0 else 0.0
            base = prior + regression.w[n, width]
            stop = stop_of(sigma[t, n], float(depth), stop_sigma, stop_max)
            target = reward_risk * stop
            claim = 0.0
            if size > 0.0 and stop > 0.0:
                claim = 1e-4 * size * (1.0 / stop + 1.0 / target)
            lean = math.nan
            p = math.nan
            if side == side:
                lean = claim + ftrl_margin(x, n, regression) - regression.w[n, width]
                slope = 1.0 + platt.w[n, 1]
                if slope < 0.0:
                    slope = 0.0  # what the regression says never counts against itself
                p = logistic(clip(base + platt.w[n, 0] + slope * lean, -30.0, 30.0))
            chance[t, n] = p
            brier[t, n] = told.loss[n] / told.weight[n] if told.weight[n] > 0.0 else math.nan
            taken = whole and side != 0.0 and side == side
            if side < 0.0:
                store_sample(n, taken, stop, target, samples)
            else:
                store_sample(n, taken, target, stop, samples)
            told.side[here, n] = side
            told.base[here, n] = base
            told.claim[here, n] = claim
            told.lean[here, n] = lean
            told.chance[here, n] = p
        samples.bars[0] += 1
    return chance, brier
