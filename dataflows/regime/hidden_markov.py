"""The hidden Markov filter of the regimes, and the features that it reads."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Unknown, Zero
from dataflows.kernels.order import LEAST
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
LOGISTIC: Final = 1.702
"""Slope at which the logistic function is within 0.01 of the normal distribution's."""
EASE: Final = 0.1
"""Share of the usual that is added to a value and to the usual before their ratio: a zero stays finite."""
MOST: Final = 20.0
"""Times the usual: what is beyond counts as that much when the usual learns."""


PARTS: Final = 24
"""Parts of a session whose usual volatility is told apart."""
PRIOR_SESSIONS: Final = 5.0
"""Sessions that the profile's start at 0 is worth."""


class SessionClock(NamedTuple):
    """Where in its session each bar is, and how fast what is usual there is learned."""

    place: Floats  # (T, N): share of the session up to the middle of the bar
    parts: int  # of the session that are told apart; 0: the clock is too slow
    bars_a_part: float
    alpha: float  # of the usual volatility, a bar
    alpha_part: float  # of a part's, a bar in it


class RegimeState(NamedTuple):
    """State of `regime_filter`. Flat: to unpack a record costs 1 us a bar."""

    level: Zero  # usual log sigma
    known: Count  # values in it
    profile: Annotated[Floats, Axes("N", PARTS, start=0.0)]  # what log sigma is above it, by part of the session
    visits: Annotated[Floats, Axes("N", PARTS, start=0.0)]  # values in each
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
def of_session(place: float, parts: int, profile: Floats) -> float:
    """A profile (PARTS,) at a place in the session: linear between the middles of its parts, the last beside the first."""
    if parts == 0:
        return 0.0
    at = place * parts - 0.5
    first = math.floor(at)
    part = int(first) % parts
    return float((1.0 - (at - first)) * profile[part] + (at - first) * profile[(part + 1) % parts])


@kernel
def learn_session(v: float, part: int, least: float, alpha: float, profile: Floats, visits: Floats) -> None:
    """Takes v into a part of the profile: the mean of all values and of `least` zeros before them, then exponentially weighted.

    So a few sessions make no profile.
    """
    visits[part] += 1.0
    share = 1.0 / (visits[part] + least)
    profile[part] += (share if share > alpha else alpha) * (v - profile[part])


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
    clock: SessionClock,
    vol_scale: float,
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

    Returns (STATES + 2, T, N): the five filtered probabilities, CONFIDENCE (the label's) and VOL_PERCENTILE; and (2, T, N):
    LABEL, and FORCED, 1 while CHAOTIC is forced. Before any feature was known: NaN, and -1 for the label.

    Features of a bar: log sigma less its usual at this place of the session, over `vol_scale`; the trend over `trend_scale`;
    and as log ratios to their usual, over `relative_scale`, the weighted mean move of log sigma, the spread (one that is
    proxied does not count) and the volume. VOL_PERCENTILE is the logistic function of 1.702 times the first: nearly the share
    of a normal law below it. sigma, spread and volume are not negative; NaN: unknown, as the feature then is. means, shift
    (added to the means), stds and their logs: (states, features).

    A label follows a state that has led all others by `margin` for `dwell` bars; the first is whichever leads. In a crash
    (`is_crash`; limits of infinity: never) CHAOTIC has `forced_probability` and the label, on this and the next `dwell`
    bars that count.
    """
    state_p, elapsed, percentile, state_sigma = state.p, state.elapsed, state.percentile, state.sigma
    informed, hold, state_close, challenger = state.informed, state.hold, state.close, state.challenger
    streak = state.streak
    bars, symbols = on.shape
    out = np.full((STATES + 2, bars, symbols), np.nan)
    code = np.zeros((2, bars, symbols), np.int64)
    x = np.empty(FEATURE_COUNT)
    room = np.empty(STATES)
    centres = means + shift
    rates = 1.0 / stds
    # what the loop reads of the state, taken out once: a wide record is costly to hand to a function
    level, known, profiles, visits = state.level, state.known, state.profile, state.visits
    place, parts, level_alpha, part_alpha = clock.place, clock.parts, clock.alpha, clock.alpha_part
    least_visits = PRIOR_SESSIONS * clock.bars_a_part
    usual, seen, label, jitter = state.usual, state.seen, state.label, state.jitter
    for t in range(bars):
        for n in range(symbols):
            p = state_p[n]
            elapsed[n] += 1
            if on[t, n] != 0:
                c = close[t, n]
                v = sigma[t, n]
                before = state_sigma[n]
                unit = before * math.sqrt(elapsed[n])
                if is_crash(
                    close=c,
                    high=high[t, n],
                    low=low[t, n],
                    z=z[t, n],
                    sigma=v,
                    floor=floor[t, n],
                    limit=limit,
                    wick=wick,
                    last=state_close[n],
                    unit=unit,
                ):
                    hold[n] = dwell + 1
                    informed[n] = 1
                if c > 0.0:
                    state_close[n] = c
                    elapsed[n] = 0
                x[VOLATILITY] = math.nan
                x[VOL_OF_VOL] = math.nan
                if 0.0 <= v < math.inf:
                    if v > 0.0:
                        logged = math.log(v)
                        profile = profiles[n]
                        lift = of_session(place[t, n], parts, profile)
                        if known[n] >= LEAST:
                            x[VOLATILITY] = (logged - level[n] - lift) / vol_scale
                            percentile[n] = 1.0 / (1.0 + math.exp(-LOGISTIC * x[VOLATILITY]))
                        known[n] += 1
                        share = 1.0 / known[n]
                        level[n] += (share if share > level_alpha else level_alpha) * (logged - lift - level[n])
                        if parts > 0:
                            part = int(place[t, n] * parts) % parts
                            learn_session(logged - level[n], part, least_visits, part_alpha, profile, visits[n])
                    if v > 0.0 and before > 0.0:
                        move = math.fabs(math.log(v / before))
                        jitter[n] = jitter[n] + vov_alpha * (move - jitter[n]) if jitter[n] == jitter[n] else move
                        x[VOL_OF_VOL] = against_usual(jitter[n], USUAL_JITTER, n, usual_alpha, usual, seen) / relative_scale
                    state_sigma[n] = v
                x[TREND] = trend[t, n] / trend_scale
                wide = spread[t, n] if proxied[t, n] == 0 else math.nan
                x[SPREAD] = against_usual(wide, USUAL_SPREAD, n, usual_alpha, usual, seen) / relative_scale
                x[VOLUME] = against_usual(volume[t, n], USUAL_VOLUME, n, usual_alpha, usual, seen) / relative_scale
                if hamilton_update(x, clip, centres, rates, log_stds, stay, room, p):
                    informed[n] = 1
                best, lead = leader(p)
                if hold[n] > 0:
                    hold[n] -= 1
                    code[FORCED, t, n] = 1
                    for k in range(CHAOTIC):
                        p[k] = (1.0 - forced_probability) / CHAOTIC
                    p[CHAOTIC] = forced_probability
                    label[n] = CHAOTIC
                    challenger[n] = -1
                    streak[n] = 0
                elif informed[n] != 0:
                    challenges = label[n] >= 0 and best != label[n] and lead > margin
                    if label[n] < 0 and lead > 0.0:
                        label[n] = best
                    streak[n] = (streak[n] + 1 if challenger[n] == best else 1) if challenges else 0
                    challenger[n] = best if challenges else -1
                    if challenges and streak[n] >= dwell:
                        label[n] = best
                        challenger[n] = -1
                        streak[n] = 0
            out[VOL_PERCENTILE, t, n] = percentile[n]
            code[LABEL, t, n] = label[n]
            if informed[n] != 0:
                for k in range(STATES):
                    out[k, t, n] = p[k]
                if label[n] >= 0:
                    out[CONFIDENCE, t, n] = p[label[n]]
    return out, code
