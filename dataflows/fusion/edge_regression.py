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
from dataflows.fusion.edge_equations import (
    Equations,
    LearningRules,
    Solution,
    Sums,
    design_effect,
    first_pair,
    solve_symbol,
)
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
def solve_step(horizon: int) -> int:
    """Bars between two solutions of a horizon's equations."""
    return max(sample_step(horizon), min(SOLVE_BARS, horizon))


@kernel
def whole_units(x: float) -> int:
    """x in multiples of UNIT, rounded to the nearest."""
    return math.floor(x / UNIT + 0.5)


class Seen(NamedTuple):
    """What every horizon reads of the bars, panels (T, N)."""

    told: Ints  # 1: all that a prediction needs is known
    good: Ints  # 1: the close was observed
    missed: Ints  # bars without data up to and including this one
    sources: Floats  # (T, N, K); an unknown one is 0
    regimes: Floats  # (T, N, REGIME_COUNT)
    volatilities: Floats  # (T, N, VOLATILITY_COUNT)
    heard: Ints  # (M,): see `sources_heard`


class Posterior(NamedTuple):
    """What predictions of one horizon are made of; see `Solution`."""

    slope: Floats  # (N, K)
    factor: Floats  # (N, K, K)
    variance: Floats  # (N,)
    seen: Floats  # (N,)
    volatility: Floats  # (VOLATILITY_COUNT,)
    regime: Floats  # (REGIME_COUNT,)
    prior: float  # bps that one unit of the score is believed to be worth
    stated: float  # effective observations behind that


class Predicted(NamedTuple):
    """The predictions of one horizon, panels (T, N)."""

    edge: Floats  # bps
    std: Floats  # bps
    known: Floats
    parts: Floats  # (T, N, PARTS), bps
    slope: Floats  # (T, N, K), bps per unit of the source: of one horizon alone
    raw: Floats  # standard deviations
    claim: Floats
    belief: Floats  # a return


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


@kernel
def see_bars(outcomes: Outcomes, said: Predictors, most: int, missed_now: Ints, usual: Usual, seen: Seen) -> None:
    """Fills `seen` but for `heard`. most: bars that the usual volatility remembers. missed_now, usual: updated in place."""
    opens, closes, valid = outcomes.open, outcomes.close, outcomes.valid
    sources, score, sigma = said.sources, said.score, said.sigma
    calm, up, down, high, chaotic = said.regimes
    told, good, missed = seen.told, seen.good, seen.missed
    bars, symbols, width = sources.shape
    for t in range(bars):
        for n in range(symbols):
            o, c, v = opens[t, n], closes[t, n], sigma[t, n]
            whole = valid[t, n] == 1 and math.isfinite(c)
            if not (whole and o > 0.0 and math.isfinite(o)):
                missed_now[n] += 1
            missed[t, n] = missed_now[n]
            good[t, n] = 1 if whole and c > 0.0 else 0
            p = seen.regimes[t, n]
            p[0], p[1], p[2], p[3], p[4] = calm[t, n], up[t, n], down[t, n], high[t, n], chaotic[t, n]
            told[t, n] = 1 if math.isfinite(score[t, n] + v + p[0] + p[1] + p[2] + p[3] + p[4]) and v >= 0.0 else 0
            volatility_classes(v, usual_volatility(v, n, most, usual), seen.volatilities[t, n])
            x, at = seen.sources[t, n], sources[t, n]
            for k in range(width):
                x[k] = at[k] if math.isfinite(at[k]) else 0.0


@kernel
def predict_four(
    n: int, t: int, end: int, root: float, heard: Ints, said: Predictors, seen: Seen, of: Posterior, out: Predicted
) -> None:
    """Predictions of symbol n at bars t to t + 3, of which those from `end` on count as the one before it.

    Four at a time: their sums do not wait for each other. root: of the horizon's bars.
    """
    sources, score, sigma = seen.sources, said.score, said.sigma
    own, square, by_volatility, by_regime = of.slope[n], of.factor[n], of.volatility, of.regime
    width = len(own)
    if sources.shape[2] != width or square.shape[0] != width or square.shape[1] != width or out.parts.shape[2] != width + 1:
        raise ValueError("predict_four: not of one number of sources")  # said once, it need not be checked in the loops
    t1, t2, t3 = min(t + 1, end - 1), min(t + 2, end - 1), min(t + 3, end - 1)
    x0, x1, x2, x3 = sources[t, n], sources[t1, n], sources[t2, n], sources[t3, n]
    raw0 = raw1 = raw2 = raw3 = 0.0
    for k in range(width):
        v = own[k]
        raw0 += v * x0[k]
        raw1 += v * x1[k]
        raw2 += v * x2[k]
        raw3 += v * x3[k]
    square0 = square1 = square2 = square3 = 0.0  # x' a^-1 x
    for i in heard:
        if not 0 <= i < width:
            raise ValueError("predict_four: no such source")
        row = square[i]
        s0 = s1 = s2 = s3 = 0.0
        for k in range(i + 1):
            v = row[k]
            s0 += v * x0[k]
            s1 += v * x1[k]
            s2 += v * x2[k]
            s3 += v * x3[k]
        square0 += s0 * s0
        square1 += s1 * s1
        square2 += s2 * s2
        square3 += s3 * s3
    for at, raw, form in ((t, raw0, square0), (t1, raw1, square1), (t2, raw2, square2), (t3, raw3, square3)):
        part = out.parts[at, n]
        if seen.told[at, n] == 0:
            out.raw[at, n] = out.claim[at, n] = out.belief[at, n] = 0.0
            out.edge[at, n] = out.std[at, n] = out.known[at, n] = math.nan
            for k in range(width + 1):
                part[k] = math.nan
            continue
        within = LARGEST / math.fabs(raw) if math.fabs(raw) > LARGEST else 1.0
        factor = 0.0
        shares = seen.volatilities[at, n]
        for c in range(VOLATILITY_COUNT):
            factor += shares[c] * by_volatility[c]
        worth = 0.0
        shares = seen.regimes[at, n]
        for r in range(REGIME_COUNT):
            worth += shares[r] * by_regime[r]
        out.raw[at, n] = raw * within
        out.claim[at, n] = factor * (raw * within)
        factor *= worth
        scale = sigma[at, n] * root
        unit = 1e4 * scale * factor * within
        belief = of.prior * score[at, n]
        whole = 0.0
        x = sources[at, n]
        for k in range(width):
            v = unit * own[k] * x[k]
            part[k] = v
            whole += v
        part[width] = belief
        out.belief[at, n] = 1e-4 * belief
        out.edge[at, n] = whole + belief
        out.std[at, n] = 1e4 * scale * math.sqrt(of.variance[n] * form) * (factor if factor > 1.0 else 1.0)
        out.known[at, n] = of.seen[n] + of.stated


@kernel
def show_slopes(first: int, end: int, root: float, sigma: Floats, told: Ints, slopes: Floats, out: Floats) -> None:
    """Writes slopes (N, K) in bps per unit of the source into out (T, N, K) from bar `first` to before `end`."""
    for t in range(first, end):
        for n in range(slopes.shape[0]):
            unit = 1e4 * sigma[t, n] * root if told[t, n] != 0 else math.nan
            row, own = out[t, n], slopes[n]
            for k in range(len(own)):
                row[k] = unit * own[k]


@kernel
def learn_horizon(
    j: int,
    outcomes: Outcomes,
    said: Predictors,
    weights: Floats,
    rules: LearningRules,
    seen: Seen,
    pending: Pending,
    sums: Sums,
    made: Solution,
    space: Equations,
    units: Units,
    out: Predicted,
    shown: bool,
) -> None:
    """Goes through the bars for horizon j, from one solution of its equations to the next, and writes its predictions.

    Their samples are older than the last solution, and none is made and taken between two of them. shown: whether the slopes
    are written, too.
    """
    opens, closes, valid, sources = outcomes.open, outcomes.close, outcomes.valid, seen.sources
    bars, symbols = closes.shape
    horizon, first_bar = rules.horizons[j], pending.bars[0]
    step = sample_step(horizon)
    turn = solve_step(horizon)
    place = first_bar % step  # bars since the last sample: counted, since a division takes longer
    wait = first_bar % turn  # bars since the last solution
    after, due = 1 % step, horizon % step  # places one bar after a sample, and a horizon after it
    root = math.sqrt(float(horizon))
    of = Posterior(
        slope=made.slope[j],
        factor=made.factor[j],
        variance=made.variance[j],
        seen=made.seen[j],
        volatility=made.volatility[j],
        regime=made.regime[j],
        prior=rules.prior_slope_bps * math.sqrt(min(horizon, rules.belief_horizon) / rules.belief_horizon),
        stated=rules.prior_strength if rules.prior_slope_bps > 0.0 else 0.0,
    )
    end = 0
    for t in range(bars):
        i = first_bar + t
        if i > 0 and place == after:
            entries = pending.entry[j, (i - 1) // step % ROWS]
            for n in range(symbols):
                o = opens[t, n]
                whole = valid[t, n] == 1 and o > 0.0 and math.isfinite(o) and math.isfinite(closes[t, n])
                entries[n] = o if whole else math.nan
        if i >= horizon and place == due:
            row = (i - horizon) // step % ROWS
            take_samples(j, t, row, outcomes, seen, weights, rules, pending, sums=sums, units=units)
        if wait == 0:
            effect = design_effect(sums.together[j], sums.apart[j], symbols)
            shrunk, n_all = rules.regime_strength, sums.all_n[j]
            class_factors(sums.raw_xx[j], sums.raw_xy[j], n_all, effect, shrunk, VOLATILITY_PRIORS, of.volatility)
            class_factors(sums.claim_xx[j], sums.claim_xy[j], n_all, effect, shrunk, REGIME_PRIORS, of.regime)
            for n in range(symbols):
                solve_symbol(j, n, effect, seen.heard, weights, rules, sums, made, space=space)
        if t == end:  # all bars until the next solution
            end = min(bars, t + turn - wait)
            for n in range(symbols):
                for first in range(t, end, 4):
                    predict_four(n, first, end, root, seen.heard, said, seen, of, out=out)
            if shown:
                show_slopes(t, end, root, said.sigma, seen.told, of.slope, out.slope)
        if place == 0:
            row = i // step % ROWS
            for n in range(symbols):
                for k in range(sources.shape[2]):
                    pending.sources[j, row, n, k] = sources[t, n, k]
                for r in range(REGIME_COUNT):
                    pending.regimes[j, row, n, r] = seen.regimes[t, n, r]
                for c in range(VOLATILITY_COUNT):
                    pending.volatilities[j, row, n, c] = seen.volatilities[t, n, c]
                scale = said.sigma[t, n] * root
                believed = out.belief[t, n] / scale if scale > 0.0 else 0.0
                pending.raw[j, row, n] = out.raw[t, n]
                pending.claim[j, row, n] = out.claim[t, n]
                pending.belief[j, row, n] = clip(believed, -LARGEST, LARGEST)
                pending.scale[j, row, n] = scale if seen.told[t, n] != 0 and seen.good[t, n] != 0 else math.nan
                pending.entry[j, row, n] = math.nan
                pending.missed[j, row, n] = seen.missed[t, n]
        place = place + 1 if place + 1 < step else 0
        wait = wait + 1 if wait + 1 < turn else 0


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
    then the new sample. No horizon needs another one, so each goes through the bars alone.
    """
    sources = said.sources
    bars, symbols, width = sources.shape
    count = len(rules.horizons)
    edge = np.empty((bars, symbols, count))
    std = np.empty((bars, symbols, count))
    known = np.empty((bars, symbols, count))
    slope = np.empty((bars, symbols, width))
    parts = np.empty((bars, symbols, count * PARTS))
    raw, claim, belief = np.empty((bars, symbols)), np.empty((bars, symbols)), np.empty((bars, symbols))
    shown = 0
    seen = Seen(
        told=np.empty((bars, symbols), np.int64),
        good=np.empty((bars, symbols), np.int64),
        missed=np.empty((bars, symbols), np.int64),
        sources=np.empty((bars, symbols, width)),
        regimes=np.empty((bars, symbols, REGIME_COUNT)),
        volatilities=np.empty((bars, symbols, VOLATILITY_COUNT)),
        heard=sources_heard(sources, pending.heard),
    )
    spoken = len(seen.heard)
    space = Equations(
        scaled=np.empty((spoken, spoken)),
        own=np.empty((spoken, spoken)),
        factor=np.empty((spoken, spoken)),
        right=np.empty(spoken),
        solved=np.empty(spoken),
        drawn=np.empty(spoken),
    )
    units = Units(
        xx=np.empty(width * (width + 1) // 2, np.int64),
        xy=np.empty(width, np.int64),
        claim_xx=np.empty(REGIME_COUNT, np.int64),
        claim_xy=np.empty(REGIME_COUNT, np.int64),
        raw_xx=np.empty(VOLATILITY_COUNT, np.int64),
        raw_xy=np.empty(VOLATILITY_COUNT, np.int64),
        y=np.empty(symbols),
    )
    for j in range(count):
        if rules.horizons[j] == rules.belief_horizon:
            shown = j
    see_bars(outcomes, said, rules.usual_bars, pending.missed_now, usual, seen)
    for j in range(count):
        out = Predicted(
            edge=edge[:, :, j],
            std=std[:, :, j],
            known=known[:, :, j],
            parts=parts[:, :, j * PARTS : (j + 1) * PARTS],
            slope=slope,
            raw=raw,
            claim=claim,
            belief=belief,
        )
        learn_horizon(
            j, outcomes, said, weights, rules, seen,
            pending=pending, sums=sums, made=made, space=space, units=units, out=out,
            shown=j == shown,
        )  # fmt: skip
    pending.bars[0] += bars
    return Expectancy(edge_bps=edge, edge_std_bps=std, effective_observations=known, slope_by_source=slope, parts_bps=parts)
