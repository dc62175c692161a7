"""What L67 learns from: samples that wait for their horizon, what each bar shows, and the sums of those whose time is up."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count
from dataflows.fusion.edge_calibration import (
    REGIME_COUNT,
    VOLATILITY_COUNT,
    Usual,
    usual_volatility,
    volatility_classes,
)
from dataflows.fusion.edge_equations import LearningRules, Sums, first_pair
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
    heard: Annotated[Ints, Axes("S", start=0)]  # 1: the source was known and not 0 once, of any symbol


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


class Seen(NamedTuple):
    """What every horizon reads of the bars, panels (T, N)."""

    told: Ints  # 1: all that a prediction needs is known
    good: Ints  # 1: the close was observed
    missed: Ints  # bars without data up to and including this one
    sources: Floats  # (T, N, K); an unknown one is 0
    regimes: Floats  # (T, N, REGIME_COUNT)
    volatilities: Floats  # (T, N, VOLATILITY_COUNT)
    heard: Ints  # (M,): see `sources_heard`


class Units(NamedTuple):
    """Scratch of `take_samples`: sums over the symbols in whole multiples of UNIT."""

    xx: Ints  # (P,), of each pair
    xy: Ints  # (K,)
    claim_xx: Ints  # (REGIME_COUNT,)
    claim_xy: Ints
    raw_xx: Ints  # (VOLATILITY_COUNT,)
    raw_xy: Ints
    y: Floats  # (N,), the outcomes; NaN: void


@kernel
def sample_step(horizon: int) -> int:
    """Bars between two samples of a horizon: a fifth of it, so that at most ten are under way."""
    return max(1, horizon // 5)


@kernel
def whole_units(x: float) -> int:
    """x in multiples of UNIT, rounded to the nearest."""
    return math.floor(x / UNIT + 0.5)


@kernel
def sources_heard(sources: Floats, heard: Ints) -> Ints:
    """The places, ascending, of the sources of (T, N, K) that were known and not 0 at some bar, or are marked in `heard` (K,).

    Marks them there. All others have been 0 in every sample, so that who passes over them has the same sums.
    """
    bars, symbols, width = sources.shape
    count = 0
    for k in range(width):
        for t in range(bars):
            if heard[k] != 0:
                break
            for n in range(symbols):
                v = sources[t, n, k]
                if v != 0.0 and math.isfinite(v):
                    heard[k] = 1
        count += heard[k]
    places = np.empty(count, np.int64)
    a = 0
    for k in range(width):
        if heard[k] != 0:
            places[a] = k
            a += 1
    return places


@kernel
def see_bars(outcomes: Outcomes, said: Predictors, most: int, missed_now: Ints, usual: Usual, seen: Seen) -> None:
    """Fills `seen` but for `heard`. most: bars that the usual volatility remembers. missed_now, usual: updated in place."""
    opens, closes, valid = outcomes.open, outcomes.close, outcomes.valid
    sources, score, sigma = said.sources, said.score, said.sigma
    calm, up, down, high, chaotic = said.regimes
    told, good, missed = seen.told, seen.good, seen.missed
    bars, symbols, width = sources.shape
    regimes, classes, seen_sources = seen.regimes, seen.volatilities, seen.sources
    for t in range(bars):
        for n in range(symbols):
            o, c, v = opens[t, n], closes[t, n], sigma[t, n]
            whole = valid[t, n] == 1 and math.isfinite(c)
            if not (whole and o > 0.0 and math.isfinite(o)):
                missed_now[n] += 1
            missed[t, n] = missed_now[n]
            good[t, n] = 1 if whole and c > 0.0 else 0
            p = regimes[t, n]
            p[0], p[1], p[2], p[3], p[4] = calm[t, n], up[t, n], down[t, n], high[t, n], chaotic[t, n]
            told[t, n] = 1 if math.isfinite(score[t, n] + v + p[0] + p[1] + p[2] + p[3] + p[4]) and v >= 0.0 else 0
            volatility_classes(v, usual_volatility(v, n, most, usual), classes[t, n])
            x, at = seen_sources[t, n], sources[t, n]
            for k in range(width):
                x[k] = at[k] if math.isfinite(at[k]) else 0.0


@kernel
def take_samples(
    j: int,
    t: int,
    row: int,
    outcomes: Outcomes,
    seen: Seen,
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
    all_xy, all_xx = sums.all_xy[j], sums.all_xx[j]
    sums_claim_xx, sums_claim_xy = sums.claim_xx[j], sums.claim_xy[j]
    sums_raw_xx, sums_raw_xy = sums.raw_xx[j], sums.raw_xy[j]
    closes, valid = outcomes.close[t], outcomes.valid[t]
    sources, regimes, claims, beliefs = (
        pending.sources[j, row], pending.regimes[j, row], pending.claim[j, row], pending.belief[j, row],
    )  # fmt: skip
    scales, entries, missed = pending.scale[j, row], pending.entry[j, row], pending.missed[j, row]
    n_own, xx_own, xy_own, yy_own = sums.n[j], sums.xx[j], sums.xy[j], sums.yy[j]
    missed_now, heard = seen.missed[t], seen.heard
    symbols = len(closes)
    weight = sample_step(rules.horizons[j]) / rules.horizons[j]
    xx, xy, claim_xx, claim_xy, raw_xx, raw_xy, y = units
    count = 0
    for n in range(symbols):
        c = closes[n]
        good = valid[n] == 1 and c > 0.0 and math.isfinite(c)
        y[n] = math.nan
        if good and scales[n] > 0.0 and entries[n] > 0.0 and missed_now[n] - missed[n] <= rules.max_gap:
            count += 1
            y[n] = clip((c / entries[n] - 1.0) / scales[n], -LARGEST, LARGEST) - beliefs[n]
    if count == 0:
        return
    fade = math.exp(-math.log(2.0) * weight / rules.forget_halflife)
    raws, volatilities = pending.raw[j, row], pending.volatilities[j, row]
    for p in range(len(xx)):
        xx[p] = 0
    for k in range(len(xy)):
        xy[k] = 0
    for r in range(REGIME_COUNT):
        claim_xx[r] = claim_xy[r] = 0
    for r in range(VOLATILITY_COUNT):
        raw_xx[r] = raw_xy[r] = 0
    squares = 0
    for n in range(symbols):
        told = y[n] == y[n]
        outcome = y[n] if told else 0.0
        w = weight if told else 0.0
        n_own[n] = fade * n_own[n] + w
        yy_own[n] = fade * yy_own[n] + w * outcome * outcome
        xs, xx_symbol, xy_symbol = sources[n], xx_own[n], xy_own[n]
        for a in range(len(heard)):
            i = heard[a]
            x = w * xs[i]
            first = first_pair(i)
            held, added = xx_symbol[first : first + i + 1], xx[first : first + i + 1]
            for k in range(len(held)):
                v = x * xs[k]
                held[k] = fade * held[k] + v
                added[k] += whole_units(v)
            v = x * outcome
            xy_symbol[i] = fade * xy_symbol[i] + v
            xy[i] += whole_units(v)
            v = weights[i] * x * outcome
            squares += whole_units(v * v)
        if told:
            shares, claim = regimes[n], claims[n]
            for r in range(REGIME_COUNT):
                v = w * shares[r] * claim
                claim_xx[r] += whole_units(v * claim)
                claim_xy[r] += whole_units(v * outcome)
            shares, raw = volatilities[n], raws[n]
            for r in range(VOLATILITY_COUNT):
                v = w * shares[r] * raw
                raw_xx[r] += whole_units(v * raw)
                raw_xy[r] += whole_units(v * outcome)
    sums.all_n[j] = fade * sums.all_n[j] + weight * count
    sums.apart[j] = fade * sums.apart[j] + UNIT * squares / weight
    together = fade * sums.together[j]
    for a in range(len(heard)):
        i = heard[a]
        v = UNIT * xy[i]
        all_xy[i] = fade * all_xy[i] + v
        together += weights[i] * weights[i] * v * v / weight
    sums.together[j] = together
    for p in range(len(xx)):
        all_xx[p] = fade * all_xx[p] + UNIT * xx[p]
    for r in range(REGIME_COUNT):
        sums_claim_xx[r] = fade * sums_claim_xx[r] + UNIT * claim_xx[r]
        sums_claim_xy[r] = fade * sums_claim_xy[r] + UNIT * claim_xy[r]
    for r in range(VOLATILITY_COUNT):
        sums_raw_xx[r] = fade * sums_raw_xx[r] + UNIT * raw_xx[r]
        sums_raw_xy[r] = fade * sums_raw_xy[r] + UNIT * raw_xy[r]
