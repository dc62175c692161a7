"""Learning what the sources are worth from what came after them, without looking ahead: L67's kernel.

A Bayesian linear regression of standardised returns on all sources, at several horizons. A sample is made at a close, waits in
a ring until its horizon has passed, and only then counts. O(K^2) a sample and symbol, however long the history.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count
from dataflows.fusion.edge_calibration import (
    REGIME_COUNT,
    REGIME_PRIORS,
    VOLATILITY_COUNT,
    VOLATILITY_PRIORS,
    Usual,
    class_factors,
    usual_volatility,
    volatility_classes,
)
from dataflows.fusion.edge_equations import Equations, LearningRules, Solution, Sums, design_effect, solve_symbol
from dataflows.fusion.types import PARTS, Expectancy
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

ROWS: Final = 16
"""Samples of one horizon under way at once, at most: one every `sample_step` bars."""
LARGEST: Final = 4.0
"""Standard deviations at which a return, a claim or a belief is cut off."""
SOLVE_BARS: Final = 16
"""Bars between two solutions of the equations of a horizon; less where it is shorter, more where its samples are rarer."""
UNIT: Final = 2.0**-40
"""Sums over symbols are whole multiples of this, so that they do not depend on the symbols' order."""


class Pending(NamedTuple):
    """Samples whose time is not up. The sample of bar i is in row i // step % 16 of its horizon."""

    sources: Annotated[Floats, Axes("C", ROWS, "N", "S", start=0.0)]  # an unknown one is 0
    regimes: Annotated[Floats, Axes("C", ROWS, "N", REGIME_COUNT, start=0.0)]  # probabilities
    volatilities: Annotated[Floats, Axes("C", ROWS, "N", VOLATILITY_COUNT, start=0.0)]  # shares of its classes
    raw: Annotated[Floats, Axes("C", ROWS, "N", start=0.0)]  # what the regression said, standard deviations
    claim: Annotated[Floats, Axes("C", ROWS, "N", start=0.0)]  # the same, times its volatility's factor
    belief: Annotated[Floats, Axes("C", ROWS, "N", start=0.0)]  # what was believed beside, standard deviations
    scale: Annotated[Floats, Axes("C", ROWS, "N", start=NAN)]  # volatility over the horizon; NaN: void
    entry: Annotated[Floats, Axes("C", ROWS, "N", start=NAN)]  # open of the next bar; NaN: void
    missed: Annotated[Ints, Axes("C", ROWS, "N", start=0)]  # bars without data up to and including that one
    missed_now: Count
    bars: Annotated[Ints, Axes(1, start=0)]  # seen so far


class Outcomes(NamedTuple):
    """The prices from which the worth of the sources follows, panels (T, N)."""

    open: Floats
    close: Floats
    valid: Ints  # 1: observed


class Predictors(NamedTuple):
    """What is known at each close and may turn out to be worth something."""

    sources: Floats  # (T, N, K); NaN: unknown
    regimes: tuple[Floats, Floats, Floats, Floats, Floats]  # (T, N) each: probabilities in the order of REGIMES
    score: Floats  # (T, N): to which a belief refers
    sigma: Floats  # (T, N), forecast volatility a bar


@kernel
def relative_weights(weights: Floats) -> Floats:
    """One weight a source (K,) in [0, 1], 1 for the greatest: the mean over the regimes of weights (R, K)."""
    rows, width = weights.shape
    y = np.zeros(width)
    most = 0.0
    for k in range(width):
        for r in range(rows):
            y[k] += weights[r, k]
        if y[k] > most:
            most = y[k]
    for k in range(width):
        y[k] = y[k] / most if most > 0.0 else 1.0
    return y


@kernel
def sample_step(horizon: int) -> int:
    """Bars between two samples of a horizon: a fifth of it, so that at most ten are under way."""
    return max(1, horizon // 5)


@kernel
def whole_units(x: float) -> int:
    """x in multiples of UNIT, rounded to the nearest."""
    return math.floor(x / UNIT + 0.5)


class Units(NamedTuple):
    """Scratch of `take_samples`: sums over the symbols in whole multiples of UNIT."""

    xx: Ints  # (P,), of each pair
    xy: Ints  # (K,)
    claim_xx: Ints  # (REGIME_COUNT,)
    claim_xy: Ints
    raw_xx: Ints  # (VOLATILITY_COUNT,)
    raw_xy: Ints
    y: Floats  # (N,), the outcomes; NaN: void
    pairs: Floats  # (P,), what one symbol's sample adds to the sums of each pair


@kernel
def take_samples(
    j: int,
    t: int,
    row: int,
    outcomes: Outcomes,
    weights: Floats,
    rules: LearningRules,
    pending: Pending,
    sums: Sums,
    units: Units,
) -> None:
    """Adds the samples in `row` of horizon j, whose time is up at bar t, to the sums of their symbols and of all together.

    All sums of the horizon fade when at least one symbol has a sample that counts, so an outage forgets nothing. Sums over the
    symbols are in integers (`UNIT`), in any order the same.
    """
    all_xy, together, all_xx, sums_claim_xx = sums.all_xy, sums.together, sums.all_xx[j], sums.claim_xx
    sums_claim_xy, sums_raw_xx, sums_raw_xy = sums.claim_xy, sums.raw_xx, sums.raw_xy
    close, valid = outcomes.close, outcomes.valid
    sources, regimes, claims, beliefs = (
        pending.sources[j, row], pending.regimes[j, row], pending.claim[j, row], pending.belief[j, row],
    )  # fmt: skip
    scales, entries, missed = pending.scale[j, row], pending.entry[j, row], pending.missed[j, row]
    missed_now = pending.missed_now
    n_own, xx_own, xy_own, yy_own = sums.n[j], sums.xx[j], sums.xy[j], sums.yy[j]
    symbols, width = sources.shape
    weight = sample_step(rules.horizons[j]) / rules.horizons[j]
    xx, xy, claim_xx, claim_xy, raw_xx, raw_xy, y, pairs = units
    size = len(pairs)
    if xx_own.shape[1] != size or len(all_xx) != size or len(xx) != size:  # said once, it need not be checked in the loops
        raise ValueError("take_samples: the sums are of another number of sources")
    count = 0
    for n in range(symbols):
        c = close[t, n]
        good = valid[t, n] == 1 and c > 0.0 and math.isfinite(c)
        y[n] = math.nan
        if good and scales[n] > 0.0 and entries[n] > 0.0 and missed_now[n] - missed[n] <= rules.max_gap:
            count += 1
            y[n] = clip((c / entries[n] - 1.0) / scales[n], -LARGEST, LARGEST) - beliefs[n]
    if count == 0:
        return
    fade = math.exp(-math.log(2.0) * weight / rules.forget_halflife)
    raws, volatilities = pending.raw[j, row], pending.volatilities[j, row]
    xx[:] = 0
    xy[:] = 0
    claim_xx[:] = 0
    claim_xy[:] = 0
    raw_xx[:] = 0
    raw_xy[:] = 0
    squares = 0
    for n in range(symbols):
        told = y[n] == y[n]
        outcome = y[n] if told else 0.0
        w = weight if told else 0.0
        n_own[n] = fade * n_own[n] + w
        yy_own[n] = fade * yy_own[n] + w * outcome * outcome
        p = 0
        for i in range(width):
            x = w * sources[n, i]
            for k in range(i + 1):
                pairs[p] = x * sources[n, k]
                p += 1
            v = x * outcome
            xy_own[n, i] = fade * xy_own[n, i] + v
            xy[i] += whole_units(v)
            v = weights[i] * x * outcome
            squares += whole_units(v * v)
        xx_symbol = xx_own[n]
        for p in range(size):
            xx_symbol[p] = fade * xx_symbol[p] + pairs[p]
        for p in range(size):
            xx[p] += whole_units(pairs[p])
        if told:
            for r in range(REGIME_COUNT):
                v = w * regimes[n, r] * claims[n]
                claim_xx[r] += whole_units(v * claims[n])
                claim_xy[r] += whole_units(v * outcome)
            for r in range(VOLATILITY_COUNT):
                v = w * volatilities[n, r] * raws[n]
                raw_xx[r] += whole_units(v * raws[n])
                raw_xy[r] += whole_units(v * outcome)
    sums.all_n[j] = fade * sums.all_n[j] + weight * count
    sums.apart[j] = fade * sums.apart[j] + UNIT * squares / weight
    together[j] *= fade
    for i in range(width):
        v = UNIT * xy[i]
        all_xy[j, i] = fade * all_xy[j, i] + v
        together[j] += weights[i] * weights[i] * v * v / weight
    for p in range(size):
        all_xx[p] = fade * all_xx[p] + UNIT * xx[p]
    for r in range(REGIME_COUNT):
        sums_claim_xx[j, r] = fade * sums_claim_xx[j, r] + UNIT * claim_xx[r]
        sums_claim_xy[j, r] = fade * sums_claim_xy[j, r] + UNIT * claim_xy[r]
    for r in range(VOLATILITY_COUNT):
        sums_raw_xx[j, r] = fade * sums_raw_xx[j, r] + UNIT * raw_xx[r]
        sums_raw_xy[j, r] = fade * sums_raw_xy[j, r] + UNIT * raw_xy[r]


@kernel
def learn_edges(
    outcomes: Outcomes,
    said: Predictors,
    weights: Floats,
    rules: LearningRules,
    pending: Pending,
    sums: Sums,
    made: Solution,
    usual: Usual,
) -> Expectancy:
    """Edge, its standard deviation and effective observations (T, N, H); slopes by source (T, N, K) and parts of the edges.

    All in bps but the observations. weights: (K,) in [0, 1] of the sources. The samples' rules are those of `l67_expectancy`.
    States are updated in place: at each close first the samples whose time is up, then the equations, then the prediction,
    then the new sample.
    """
    pending_bars = pending.bars
    together, apart, all_n, raw_xx, raw_xy = sums.together, sums.apart, sums.all_n, sums.raw_xx, sums.raw_xy
    claim_xx, claim_xy = sums.claim_xx, sums.claim_xy
    # taken out of the records once: inside the loop each mention would count references
    opens, closes, valid = outcomes.open, outcomes.close, outcomes.valid
    sources, score, sigma = said.sources, said.score, said.sigma
    calm, up, down, high, chaotic = said.regimes
    horizons = rules.horizons
    bars, symbols, width = sources.shape
    count = len(horizons)
    edge = np.empty((bars, symbols, count))
    std = np.empty((bars, symbols, count))
    known = np.empty((bars, symbols, count))
    slope = np.empty((bars, symbols, width))
    parts = np.empty((bars, symbols, count * PARTS))
    space = Equations(
        scaled=np.empty((width, width)),
        own=np.empty((width, width)),
        factor=np.empty((width, width)),
        right=np.empty(width),
        solved=np.empty(width),
        drawn=np.empty(width),
    )
    units = Units(
        xx=np.empty(width * (width + 1) // 2, np.int64),
        xy=np.empty(width, np.int64),
        claim_xx=np.empty(REGIME_COUNT, np.int64),
        claim_xy=np.empty(REGIME_COUNT, np.int64),
        raw_xx=np.empty(VOLATILITY_COUNT, np.int64),
        raw_xy=np.empty(VOLATILITY_COUNT, np.int64),
        y=np.empty(symbols),
        pairs=np.empty(width * (width + 1) // 2),
    )
    steps = np.empty(count, np.int64)
    turns = np.empty(count, np.int64)
    roots = np.empty(count)
    priors = np.empty(count)
    places = np.empty(count, np.int64)  # bars since the last sample: counted, since a division takes longer
    waits = np.empty(count, np.int64)  # bars since the last solution
    nexts = np.empty(count, np.int64)  # places one bar after a sample, and a horizon after it
    dues = np.empty(count, np.int64)
    shown = 0
    for j in range(count):
        steps[j] = sample_step(horizons[j])
        turns[j] = max(steps[j], min(SOLVE_BARS, horizons[j]))
        places[j] = pending_bars[0] % steps[j]
        waits[j] = pending_bars[0] % turns[j]
        nexts[j] = 1 % steps[j]
        dues[j] = horizons[j] % steps[j]
        roots[j] = math.sqrt(float(horizons[j]))
        priors[j] = rules.prior_slope_bps * math.sqrt(min(horizons[j], rules.belief_horizon) / rules.belief_horizon)
        if horizons[j] == rules.belief_horizon:
            shown = j
    stated = rules.prior_strength if rules.prior_slope_bps > 0.0 else 0.0
    slopes, factors, variances, seen = made.slope, made.factor, made.variance, made.seen
    by_regime, by_volatility = made.regime, made.volatility
    stored, stored_regimes, claims, beliefs = pending.sources, pending.regimes, pending.claim, pending.belief
    raws, stored_volatilities = pending.raw, pending.volatilities
    scales, entries, missed, missed_now = pending.scale, pending.entry, pending.missed, pending.missed_now
    x = np.empty(width)
    p = np.empty(REGIME_COUNT)
    level = np.empty(VOLATILITY_COUNT)
    for t in range(bars):
        i = pending_bars[0]
        for n in range(symbols):
            o = opens[t, n]
            good = valid[t, n] == 1 and o > 0.0 and math.isfinite(o) and math.isfinite(closes[t, n])
            if not good:
                missed_now[n] += 1
            for j in range(count):
                if i > 0 and places[j] == nexts[j]:
                    entries[j, (i - 1) // steps[j] % ROWS, n] = o if good else math.nan
        for j in range(count):
            s = i - horizons[j]
            if s >= 0 and places[j] == dues[j]:
                take_samples(j, t, s // steps[j] % ROWS, outcomes, weights, rules, pending, sums, units=units)
            if waits[j] == 0:
                effect = design_effect(together[j], apart[j], symbols)
                shrunk, n_all = rules.regime_strength, all_n[j]
                class_factors(raw_xx[j], raw_xy[j], n_all, effect, shrunk, VOLATILITY_PRIORS, by_volatility[j])
                class_factors(claim_xx[j], claim_xy[j], n_all, effect, shrunk, REGIME_PRIORS, by_regime[j])
                for n in range(symbols):
                    solve_symbol(j, n, effect, weights, rules, sums, made, space)
        for n in range(symbols):
            v = sigma[t, n]
            p[0], p[1], p[2], p[3], p[4] = calm[t, n], up[t, n], down[t, n], high[t, n], chaotic[t, n]
            told = math.isfinite(score[t, n] + v + p[0] + p[1] + p[2] + p[3] + p[4]) and v >= 0.0
            good = valid[t, n] == 1 and closes[t, n] > 0.0 and math.isfinite(closes[t, n])
            volatility_classes(v, usual_volatility(v, n, rules.usual_bars, usual), level)
            for k in range(width):
                x[k] = sources[t, n, k] if math.isfinite(sources[t, n, k]) else 0.0
                slope[t, n, k] = 1e4 * v * roots[shown] * slopes[shown, n, k] if told else math.nan
            for j in range(count):
                scale = v * roots[j]
                first = j * PARTS
                raw = 0.0
                claim = 0.0
                belief_bps = 0.0
                if told:
                    for k in range(width):
                        raw += slopes[j, n, k] * x[k]
                    within = LARGEST / math.fabs(raw) if math.fabs(raw) > LARGEST else 1.0
                    raw *= within
                    factor = 0.0
                    for c in range(VOLATILITY_COUNT):
                        factor += level[c] * by_volatility[j, c]
                    claim = factor * raw
                    worth = 0.0
                    for r in range(REGIME_COUNT):
                        worth += p[r] * by_regime[j, r]
                    factor *= worth
                    belief_bps = priors[j] * score[t, n]
                    whole = 0.0
                    for k in range(width):
                        part = 1e4 * scale * factor * within * slopes[j, n, k] * x[k]
                        parts[t, n, first + k] = part
                        whole += part
                    parts[t, n, first + width] = belief_bps
                    edge[t, n, j] = whole + belief_bps
                    form = 0.0  # `inverse_form`, written out: to hand over x counts references
                    for r in range(width):
                        product = 0.0
                        for k in range(r + 1):
                            product += factors[j, n, r, k] * x[k]
                        form += product * product
                    doubt = math.sqrt(variances[j, n] * form)
                    std[t, n, j] = 1e4 * scale * doubt * (factor if factor > 1.0 else 1.0)
                    known[t, n, j] = seen[j, n] + stated
                else:
                    edge[t, n, j] = math.nan
                    std[t, n, j] = math.nan
                    known[t, n, j] = math.nan
                    for k in range(PARTS):
                        parts[t, n, first + k] = math.nan
                if places[j] == 0:
                    row = i // steps[j] % ROWS
                    for k in range(width):
                        stored[j, row, n, k] = x[k]
                    for r in range(REGIME_COUNT):
                        stored_regimes[j, row, n, r] = p[r]
                    for c in range(VOLATILITY_COUNT):
                        stored_volatilities[j, row, n, c] = level[c]
                    raws[j, row, n] = raw
                    claims[j, row, n] = claim
                    believed = 1e-4 * belief_bps / scale if scale > 0.0 else 0.0
                    beliefs[j, row, n] = clip(believed, -LARGEST, LARGEST)
                    scales[j, row, n] = scale if told and good else math.nan
                    entries[j, row, n] = math.nan
                    missed[j, row, n] = missed_now[n]
        for j in range(count):
            places[j] = places[j] + 1 if places[j] + 1 < steps[j] else 0
            waits[j] = waits[j] + 1 if waits[j] + 1 < turns[j] else 0
        pending_bars[0] = i + 1
    return Expectancy(edge_bps=edge, edge_std_bps=std, effective_observations=known, slope_by_source=slope, parts_bps=parts)
