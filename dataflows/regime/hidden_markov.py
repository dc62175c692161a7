"""The hidden Markov filter of the regimes, and the features that it reads."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Unknown
from dataflows.kernels.order import LEAST, count_below, sorted_push, sorted_rank
from dataflows.panel import Floats, Ints
from dataflows.regime.types import CHAOTIC, FEATURES, REGIMES, SPREAD, TREND, VOL_OF_VOL, VOLATILITY, VOLUME
from dataflows.runtime.compile import kernel

STATES: Final = len(REGIMES)
FEATURE_COUNT: Final = len(FEATURES)
CONFIDENCE, VOL_PERCENTILE = STATES, STATES + 1
"""Rows of what `regime_filter` gives behind the probabilities, which stand in the order of REGIMES."""
LABEL, FORCED = 0, 1
"""Rows of its codes."""
USUAL_JITTER, USUAL_SPREAD, USUAL_VOLUME = 0, 1, 2
"""Rows of the slow means."""
EASE: Final = 0.1
"""Share of the usual that is added to a value and to the usual before their ratio: a zero stays finite."""
MOST: Final = 20.0
"""Times the usual: what is beyond counts as that much when the usual learns."""


class RegimeState(NamedTuple):
    """State of `regime_filter`, W the window among which volatility is ranked. Flat: to unpack a record costs 1 us a bar."""

    ring: Annotated[Floats, Axes("N", "W", start=0.0)]  # these four: a SortedWindow of sigma
    sorted: Annotated[Floats, Axes("N", "W", start=0.0)]
    pos: Count
    held: Count
    percentile: Unknown  # held on bars that do not count
    jitter: Unknown  # mean absolute move of log sigma
    usual: Annotated[Floats, Axes(3, "N", start=0.0)]  # slow means of jitter, spread and volume
    seen: Annotated[Ints, Axes(3, "N", start=0)]  # values in them
    sigma: Unknown  # of the last bar that counted
    close: Unknown
    elapsed: Count  # bars since
    p: Annotated[Floats, Axes("N", STATES, start=1.0 / STATES)]  # of each state, given all so far
    informed: Count  # 1 once any feature was known
    label: Annotated[Ints, Axes("N", start=-1)]
    challenger: Annotated[Ints, Axes("N", start=-1)]
    streak: Count  # bars for which the challenger has led
    hold: Count  # bars for which CHAOTIC stays forced


@kernel
def normal_quantile(p: float) -> float:
    """x with P(X <= x) = p for a standard normal X; p in (0, 1), NaN otherwise. Relative error about 1e-16.

    Source: Wichura (1988), algorithm AS 241, PPND16.
    """
    if not (0.0 < p < 1.0):
        return math.nan
    q = p - 0.5
    if math.fabs(q) <= 0.425:
        r = 0.180625 - q * q
        a = 2509.0809287301226727 * r + 33430.575583588128105
        a = ((a * r + 67265.770927008700853) * r + 45921.953931549871457) * r + 13731.693765509461125
        a = ((a * r + 1971.5909503065514427) * r + 133.14166789178437745) * r + 3.387132872796366608
        b = 5226.495278852545925 * r + 28729.085735721942674
        b = ((b * r + 39307.89580009271061) * r + 21213.794301586595867) * r + 5394.1960214247511077
        b = ((b * r + 687.1870074920579083) * r + 42.313330701600911252) * r + 1.0
        return q * a / b
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        r -= 1.6
        a = 7.7454501427834140764e-4 * r + 0.0227238449892691845833
        a = ((a * r + 0.24178072517745061177) * r + 1.27045825245236838258) * r + 3.64784832476320460504
        a = ((a * r + 5.7694972214606914055) * r + 4.6303378461565452959) * r + 1.42343711074968357734
        b = 1.05075007164441684324e-9 * r + 5.475938084995344946e-4
        b = ((b * r + 0.0151986665636164571966) * r + 0.14810397642748007459) * r + 0.68976733498510000455
        b = ((b * r + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0
    else:
        r -= 5.0
        a = 2.01033439929228813265e-7 * r + 2.71155556874348757815e-5
        a = ((a * r + 0.0012426609473880784386) * r + 0.026532189526576123093) * r + 0.29656057182850489123
        a = ((a * r + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772
        b = 2.04426310338993978564e-15 * r + 1.4215117583164458887e-7
        b = ((b * r + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r + 0.0148753612908506148525
        b = ((b * r + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1.0
    return -a / b if q < 0.0 else a / b


@kernel
def against_usual(value: float, which: int, n: int, alpha: float, usuals: Floats, counts: Ints) -> float:
    """Log of a value over its usual size so far, which then learns it; NaN until 30 values are known or while all were 0.

    value: not negative; NaN changes nothing. usuals, counts (3, N): the mean of all values, exponentially weighted with alpha
    from the 1 / alpha-th on, and their number; one beyond 20 times the usual counts as that, so that no single one spoils it.
    """
    if not (0.0 <= value < math.inf):
        return math.nan
    usual = usuals[which, n]
    seen = counts[which, n]
    counts[which, n] = seen + 1
    share = 1.0 / (seen + 1.0)
    learn = usual * MOST if seen >= LEAST and 0.0 < usual * MOST < value else value
    usuals[which, n] = usual + (share if share > alpha else alpha) * (learn - usual)
    if seen < LEAST or not (usual > 0.0):
        return math.nan
    return math.log((value + EASE * usual) / (usual + EASE * usual))


@kernel
def _beyond(over: float, under: float, limit: float) -> bool:
    """Whether log(over / under) > limit; prices that are not positive are beyond nothing. The logarithm is below
    over / under - 1, so that it is seldom taken."""
    return bool(over > 0.0 and under > 0.0 and over / under - 1.0 > limit and math.log(over / under) > limit)


@kernel
def is_crash(
    close: float,
    high: float,
    low: float,
    z: float,
    sigma: float,
    floor: float,
    limit: float,
    wick: float,
    last: float,
    unit: float,
) -> bool:
    """Whether a close lies beyond `limit` units from the `last` valid close, or its high or low beyond `wick`.

    z: return of the bar over the previous sigma. unit: the previous sigma; after unknown or filled bars that of the last valid
    bar times the square root of the bars gone by. The bar's sigma must be known and at its floor or above.
    """
    if not (sigma >= floor):
        return False
    if math.fabs(z) > limit:
        return True
    if not (last > 0.0 and unit > 0.0 and close > 0.0):
        return False
    return (
        _beyond(close, last, limit * unit)
        or _beyond(last, close, limit * unit)
        or _beyond(high, last, wick * unit)
        or _beyond(last, low, wick * unit)
    )


@kernel
def hamilton_update(
    x: Floats, clip: float, centres: Floats, rates: Floats, logs: Floats, stay: float, room: Floats, p: Floats
) -> bool:
    """One bar: predict by the transitions, weigh by the emissions of the known features, normalise. True if one was known.

    x: (features,), clipped at +-clip; NaN is left out of the likelihood. centres, rates, logs: (states, features) means,
    reciprocals of the deviations, and their logarithms. A state stays with probability `stay` and moves to each other alike.
    room: (states,) to work in. p: (states,) probabilities, updated in place. Likelihoods are kept as logs until the largest is
    taken off: no prediction is below the chance of a move, so the sum is not 0 however far out a feature lies.
    Source: Hamilton (1989).
    """
    move = (1.0 - stay) / (STATES - 1.0)
    known = False
    for s in range(STATES):
        room[s] = 0.0
    for f in range(FEATURE_COUNT):
        if x[f] == x[f]:
            known = True
            v = clip if x[f] > clip else (-clip if x[f] < -clip else x[f])
            for s in range(STATES):
                d = (v - centres[s, f]) * rates[s, f]
                room[s] -= 0.5 * d * d + logs[s, f]
    top = room[0]
    for s in range(1, STATES):
        if room[s] > top:
            top = room[s]
    total = 0.0
    for s in range(STATES):
        p[s] = (stay * p[s] + move * (1.0 - p[s])) * math.exp(room[s] - top)
        total += p[s]
    for s in range(STATES):
        p[s] /= total
    return known


@kernel
def leader(p: Floats) -> tuple[int, float]:
    """The most probable state, and by how much it leads the next."""
    best = 0
    second = -1.0
    for s in range(1, STATES):
        if p[s] > p[best]:
            second = p[best]
            best = s
        elif p[s] > second:
            second = p[s]
    return best, p[best] - second


@kernel
def regime_filter(
    close: Floats,
    high: Floats,
    low: Floats,
    volume: Floats,
    on: Ints,
    z: Floats,
    sigma: Floats,
    floor: Floats,
    trend: Floats,
    spread: Floats,
    proxied: Ints,
    limit: float,
    wick: float,
    vov_alpha: float,
    usual_alpha: float,
    relative_scale: float,
    trend_scale: float,
    clip: float,
    means: Floats,
    shift: Floats,
    stds: Floats,
    log_stds: Floats,
    stay: float,
    margin: float,
    dwell: int,
    forced_probability: float,
    state: RegimeState,
) -> tuple[Floats, Ints]:
    """Regimes of a panel (T, N) of bars; bars count where `on` is not 0, and elsewhere everything holds.

    Returns (STATES + 2, T, N): the five filtered probabilities, CONFIDENCE (the label's) and VOL_PERCENTILE (sigma's among the
    previous W); and (2, T, N): LABEL, and FORCED, 1 while CHAOTIC is forced. Before any feature was known: NaN, and -1 for the
    label.

    Features of a bar: the normal quantile of sigma's rank among the previous W; the trend over `trend_scale`; and as log ratios
    to their usual, over `relative_scale`, the weighted mean move of log sigma, the spread (one that is proxied does not count)
    and the volume. sigma, spread and volume are not negative; NaN: unknown, as the feature then is. means, shift (added to the
    means), stds and their logs: (states, features).

    A label follows a state that has led all others by `margin` for `dwell` bars; the first is whichever leads. In a crash
    (`is_crash`; limits of infinity: never) CHAOTIC has `forced_probability` and the label, on this and the next `dwell`
    bars that count.
    """
    bars, symbols = on.shape
    out = np.full((STATES + 2, bars, symbols), np.nan)
    code = np.zeros((2, bars, symbols), np.int64)
    x = np.empty(FEATURE_COUNT)
    room = np.empty(STATES)
    centres = means + shift
    rates = 1.0 / stds
    # what the loop reads of the state, taken out once: a wide record is costly to hand to a function
    ring, ranked, pos, held = state.ring, state.sorted, state.pos, state.held
    width = ring.shape[1]
    usual, seen, label, jitter = state.usual, state.seen, state.label, state.jitter
    for t in range(bars):
        for n in range(symbols):
            p = state.p[n]
            state.elapsed[n] += 1
            if on[t, n] != 0:
                c = close[t, n]
                v = sigma[t, n]
                before = state.sigma[n]
                unit = before * math.sqrt(state.elapsed[n])
                if is_crash(
                    close=c,
                    high=high[t, n],
                    low=low[t, n],
                    z=z[t, n],
                    sigma=v,
                    floor=floor[t, n],
                    limit=limit,
                    wick=wick,
                    last=state.close[n],
                    unit=unit,
                ):
                    state.hold[n] = dwell + 1
                    state.informed[n] = 1
                if c > 0.0:
                    state.close[n] = c
                    state.elapsed[n] = 0
                x[VOLATILITY] = math.nan
                x[VOL_OF_VOL] = math.nan
                if 0.0 <= v < math.inf:
                    values = ranked[n]
                    below = count_below(values, held[n], v)
                    rank = sorted_rank(v, below, held[n], values)
                    if rank == rank:
                        state.percentile[n] = rank
                        x[VOLATILITY] = normal_quantile((rank * held[n] + 0.5) / (held[n] + 1.0))
                    at = pos[n]
                    sorted_push(v, below, ring[n, at], held[n], values)
                    ring[n, at] = v
                    pos[n] = 0 if at == width - 1 else at + 1
                    held[n] = held[n] + 1 if held[n] < width else width
                    if v > 0.0 and before > 0.0:
                        move = math.fabs(math.log(v / before))
                        jitter[n] = jitter[n] + vov_alpha * (move - jitter[n]) if jitter[n] == jitter[n] else move
                        x[VOL_OF_VOL] = against_usual(jitter[n], USUAL_JITTER, n, usual_alpha, usual, seen) / relative_scale
                    state.sigma[n] = v
                x[TREND] = trend[t, n] / trend_scale
                wide = spread[t, n] if proxied[t, n] == 0 else math.nan
                x[SPREAD] = against_usual(wide, USUAL_SPREAD, n, usual_alpha, usual, seen) / relative_scale
                x[VOLUME] = against_usual(volume[t, n], USUAL_VOLUME, n, usual_alpha, usual, seen) / relative_scale
                if hamilton_update(x, clip, centres, rates, log_stds, stay, room, p):
                    state.informed[n] = 1
                best, lead = leader(p)
                if state.hold[n] > 0:
                    state.hold[n] -= 1
                    code[FORCED, t, n] = 1
                    for k in range(CHAOTIC):
                        p[k] = (1.0 - forced_probability) / CHAOTIC
                    p[CHAOTIC] = forced_probability
                    label[n] = CHAOTIC
                    state.challenger[n] = -1
                    state.streak[n] = 0
                elif state.informed[n] != 0:
                    challenges = label[n] >= 0 and best != label[n] and lead > margin
                    if label[n] < 0 and lead > 0.0:
                        label[n] = best
                    state.streak[n] = (state.streak[n] + 1 if state.challenger[n] == best else 1) if challenges else 0
                    state.challenger[n] = best if challenges else -1
                    if challenges and state.streak[n] >= dwell:
                        label[n] = best
                        state.challenger[n] = -1
                        state.streak[n] = 0
            out[VOL_PERCENTILE, t, n] = state.percentile[n]
            code[LABEL, t, n] = label[n]
            if state.informed[n] != 0:
                for k in range(STATES):
                    out[k, t, n] = p[k]
                if label[n] >= 0:
                    out[CONFIDENCE, t, n] = p[label[n]]
    return out, code
