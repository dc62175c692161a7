"""Chance that a position reaches its target before its stop, learned from positions that could have been taken before."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Ring, Zero
from dataflows.kernels.arith import clip, logistic, sign
from dataflows.kernels.ftrl import Ftrl, Rates, ftrl_update, margin
from dataflows.kernels.labels import PricePath, Samples, barrier_labels, payoff_label
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


class Told(NamedTuple):
    """What was said of each pending sample, and how right such sayings were."""

    side: Ring
    stop: Ring  # distance of the stop, fraction of the entry
    base: Ring  # log odds of a position about which nothing is known, before the Platt step
    claim: Ring  # what the edge itself adds to them
    lean: Ring  # what claim and features add to them
    chance: Ring  # after it
    loss: Zero  # weighted sum of squared errors
    weight: Zero


class Bracket(NamedTuple):
    """Stop and target of a position: the keys of L84, over the time in which the target must come."""

    bars: float
    stop_sigma: float  # standard deviations over `bars`
    stop_max: float  # fraction of the entry
    reward_risk: float  # target over stop


class Claims(NamedTuple):
    """What is said of each symbol, and what its odds are learned from."""

    sources: Floats  # (T, N, K)
    edge_bps: Floats  # (T, N, H)
    edge_std_bps: Floats  # (T, N, H)
    column: int  # the horizon of H that counts
    sigma: Floats  # (T, N), volatility a bar


class ChanceRules(NamedTuple):
    """How chances are learned."""

    max_gap: int  # bars without data that a sample survives
    rates: Rates
    forget_halflife: float  # effective observations, of the Brier score


class Models(NamedTuple):
    """What the samples that are over have taught."""

    regression: Ftrl
    platt: Ftrl


@kernel
def stop_of(sigma: float, bracket: Bracket) -> float:
    """Distance of the stop as a fraction of the entry; NaN where volatility is unknown."""
    distance = bracket.stop_sigma * sigma * math.sqrt(bracket.bars)
    return bracket.stop_max if distance > bracket.stop_max else distance


@kernel
def success_chances(
    path: PricePath, claims: Claims, bracket: Bracket, rules: ChanceRules, samples: Samples, models: Models, told: Told
) -> tuple[Floats, Floats]:
    """Chance and Brier score, both (T, N). The rules are those of `l68_success_probability`.

    Features: the sources on the side of the edge (K), 1, and the edge's t-statistic t as t / (1 + t). Their weights add to the
    log odds that the edge m claims: the chance p at which p * target - (1 - p) * stop = m, to first order. States in place.
    """
    # taken out of the records once: inside the loop each mention would count references
    values, edge_bps, edge_std_bps, sigma = claims.sources, claims.edge_bps, claims.edge_std_bps, claims.sigma
    column, reward_risk = claims.column, bracket.reward_risk
    rates = rules.rates
    unforced = Rates(alpha=rates.alpha, beta=rates.beta, l1=0.0, l2=0.0)
    regression, platt = models.regression, models.platt
    bars, symbols = sigma.shape
    width = values.shape[2]
    depth = samples.stage.shape[0]
    chance = np.empty((bars, symbols))
    brier = np.empty((bars, symbols))
    step = np.empty(2)
    step[0] = 1.0
    prior = -math.log(reward_risk)  # log odds of 1 / (1 + reward_risk)
    rate = math.log(2.0) / rules.forget_halflife
    sides = np.empty((bars, symbols))
    taken = np.zeros((bars, symbols), np.int64)
    stops = np.empty((bars, symbols))
    up = np.empty((bars, symbols))
    down = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            side = sign(edge_bps[t, n, column])
            stop = stop_of(sigma[t, n], bracket)
            target = reward_risk * stop
            sides[t, n] = side
            stops[t, n] = stop
            taken[t, n] = 1 if side != 0.0 and side == side else 0
            up[t, n] = stop if side < 0.0 else target
            down[t, n] = target if side < 0.0 else stop
    here = samples.bars[0] % depth
    counts, rows, how, gain, uniqueness = barrier_labels(path, taken, up, down, rules.max_gap, samples)
    features, w, correction, loss, weight = samples.features, regression.w, platt.w, told.loss, told.weight
    told_stop = told.stop
    told_side, told_base, told_claim, told_lean, told_chance = told.side, told.base, told.claim, told.lean, told.chance
    i = 0
    for t in range(bars):
        for n in range(symbols):
            for _ in range(counts[t, n]):
                row = rows[i]
                u = uniqueness[i]
                y = payoff_label(how[i], gain[i], told_side[row, n], told_stop[row, n], reward_risk)
                i += 1
                fade = math.exp(-rate * u)
                miss = told_chance[row, n] - y
                loss[n] = fade * loss[n] + u * miss * miss
                weight[n] = fade * weight[n] + u
                step[1] = told_lean[row, n]
                error = logistic(told_base[row, n] + step[1] + margin(step, correction[n])) - y
                ftrl_update(step, u * error, n, unforced, platt)
                x = features[row, n]
                error = logistic(prior + told_claim[row, n] + margin(x, w[n])) - y
                ftrl_update(x, u * error, n, rates, regression)
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
            told_stop[here, n] = stop
            told_base[here, n] = base
            told_claim[here, n] = claim
            told_lean[here, n] = lean
            told_chance[here, n] = p
        here = here + 1 if here < depth - 1 else 0
    return chance, brier
