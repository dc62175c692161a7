"""The hidden Markov filter of the regimes, and the features that it reads."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Unknown
from dataflows.kernels.compile import kernel
from dataflows.kernels.order import LEAST, SortedWindow, window_push, window_rank
from dataflows.panel import Floats, Ints

STATES: Final = 5
FEATURES: Final = 5
LAST: Final = STATES - 1
"""The state that can be forced."""
EASE: Final = 0.1
"""Share of the usual that is added to a value and to the usual before their ratio: a zero stays finite."""
MOST: Final = 20.0
"""Times the usual: what is beyond counts as that much when the usual learns."""


class FeatureState(NamedTuple):
    """State of `feature_row`; W is the window among which volatility is ranked."""

    ranks: SortedWindow
    percentile: Unknown  # held on bars that do not count
    sigma: Unknown  # of the last bar that counted
    jitter: Unknown  # mean absolute move of log sigma
    usual: Annotated[Floats, Axes(3, "N", start=0.0)]  # slow means of jitter, spread and volume
    seen: Annotated[Ints, Axes(3, "N", start=0)]  # values in them


class FilterState(NamedTuple):
    """State of `regime_filter`."""

    log_p: Annotated[Floats, Axes(STATES, "N", start=-math.log(STATES))]  # of each state, given all so far
    informed: Count  # 1 once any feature was known
    label: Annotated[Ints, Axes("N", start=-1)]
    challenger: Annotated[Ints, Axes("N", start=-1)]
    streak: Count  # bars for which the challenger has led
    hold: Count  # bars for which the last state stays forced


class CrashState(NamedTuple):
    """State of `crash_flags`."""

    close: Unknown  # of the last valid bar
    sigma: Unknown
    elapsed: Count  # bars since


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
def against_usual(value: float, which: int, n: int, alpha: float, state: FeatureState) -> float:
    """Log of a value over its usual size so far, which then learns it; NaN until 30 values are known or while all were 0.

    value: not negative; NaN changes nothing. The usual is the mean of all values, exponentially weighted with alpha from the
    1 / alpha-th on; a value beyond 20 times the usual counts as that, so that no single one spoils it.
    """
    if not (0.0 <= value < math.inf):
        return math.nan
    usual = state.usual[which, n]
    seen = state.seen[which, n]
    state.seen[which, n] = seen + 1
    share = 1.0 / (seen + 1.0)
    learn = usual * MOST if seen >= LEAST and 0.0 < usual * MOST < value else value
    state.usual[which, n] = usual + (share if share > alpha else alpha) * (learn - usual)
    if seen < LEAST or not (usual > 0.0):
        return math.nan
    return math.log((value + EASE * usual) / (usual + EASE * usual))


@kernel
def feature_row(
    n: int,
    sigma: float,
    trend: float,
    spread: float,
    volume: float,
    vov_alpha: float,
    usual_alpha: float,
    scale: float,
    x: Floats,
    state: FeatureState,
) -> None:
    """Scores of symbol n's volatility, trend, volatility of volatility, spread and volume on a bar that counts, into x (5,).

    sigma, spread, volume: not negative, NaN: unknown, as its score then is. Volatility's score is the normal quantile of
    sigma's rank among the previous W; volatility of volatility is the weighted mean move of log sigma; its score and those of
    spread and volume are log ratios to the usual, over `scale`. trend passes as it is.
    """
    for f in range(FEATURES):
        x[f] = math.nan
    if 0.0 <= sigma < math.inf:
        p = window_rank(sigma, n, state.ranks)
        if p == p:
            state.percentile[n] = p
            held = state.ranks.held[n]
            x[0] = normal_quantile((p * held + 0.5) / (held + 1.0))
        window_push(sigma, n, state.ranks)
        if sigma > 0.0 and state.sigma[n] > 0.0:
            move = math.fabs(math.log(sigma / state.sigma[n]))
            j = state.jitter[n]
            state.jitter[n] = j + vov_alpha * (move - j) if j == j else move
            x[2] = against_usual(state.jitter[n], 0, n, usual_alpha, state) / scale
        state.sigma[n] = sigma
    x[1] = trend
    x[3] = against_usual(spread, 1, n, usual_alpha, state) / scale
    x[4] = against_usual(volume, 2, n, usual_alpha, state) / scale


@kernel
def crash_flags(
    close: Floats,
    high: Floats,
    low: Floats,
    valid: Ints,
    z: Floats,
    sigma: Floats,
    floor: Floats,
    limit: float,
    wick: float,
    state: CrashState,
) -> Ints:
    """1 on a valid bar whose close lies beyond `limit` sigmas from the last valid close, or whose high or low beyond `wick`.

    int64 (T, N). z: return of the bar over the previous sigma. After unknown or filled bars the previous sigma is that of the
    last valid bar times the square root of the bars gone by. The bar's sigma must be known and at its floor or above.
    """
    bars, symbols = close.shape
    flag = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            state.elapsed[n] += 1
            if valid[t, n] != 0:
                far = 0.0
                reach = 0.0
                last = state.close[n]
                if last > 0.0 and state.sigma[n] > 0.0 and close[t, n] > 0.0:
                    unit = state.sigma[n] * math.sqrt(state.elapsed[n])
                    far = math.fabs(math.log(close[t, n] / last)) / unit
                    if high[t, n] > 0.0:
                        reach = math.log(high[t, n] / last) / unit
                    if low[t, n] > 0.0:
                        down = -math.log(low[t, n] / last) / unit
                        reach = down if down > reach else reach
                if sigma[t, n] >= floor[t, n] and (far > limit or reach > wick or math.fabs(z[t, n]) > limit):
                    flag[t, n] = 1
                if close[t, n] > 0.0:
                    state.close[n] = close[t, n]
                    state.elapsed[n] = 0
                    if sigma[t, n] == sigma[t, n]:
                        state.sigma[n] = sigma[t, n]
    return flag


@kernel
def hamilton_update(
    x: Floats,
    n: int,
    clip: float,
    means: Floats,
    shift: Floats,
    stds: Floats,
    log_stds: Floats,
    stay: float,
    state: FilterState,
) -> None:
    """One bar of symbol n: predict by the transitions, weigh by the emissions of the known features, normalise; all in logs.

    x: (features,), clipped at +-clip; NaN is left out of the likelihood. means, shift, stds and their logs: (states, features);
    shift is added to the means. A state stays with probability `stay` and moves to each other alike. Source: Hamilton (1989).
    """
    move = (1.0 - stay) / (STATES - 1.0)
    top = -math.inf
    for s in range(STATES):
        p = math.exp(state.log_p[s, n])
        state.log_p[s, n] = math.log(stay * p + move * (1.0 - p))
    for f in range(x.shape[0]):
        if x[f] == x[f]:
            state.informed[n] = 1
            v = clip if x[f] > clip else (-clip if x[f] < -clip else x[f])
            for s in range(STATES):
                d = (v - means[s, f] - shift[s, f]) / stds[s, f]
                state.log_p[s, n] -= 0.5 * d * d + log_stds[s, f]
    for s in range(STATES):
        if state.log_p[s, n] > top:
            top = state.log_p[s, n]
    total = 0.0
    for s in range(STATES):
        total += math.exp(state.log_p[s, n] - top)
    total = top + math.log(total)
    for s in range(STATES):
        state.log_p[s, n] -= total


@kernel
def follow(n: int, margin: float, dwell: int, state: FilterState) -> None:
    """Moves symbol n's label to a state that has led all others by `margin` for `dwell` bars; the first is whichever leads."""
    best = 0
    for s in range(1, STATES):
        if state.log_p[s, n] > state.log_p[best, n]:
            best = s
    second = -math.inf
    for s in range(STATES):
        if s != best and state.log_p[s, n] > second:
            second = state.log_p[s, n]
    if state.label[n] < 0:
        if state.log_p[best, n] > second:
            state.label[n] = best
    elif best != state.label[n] and math.exp(state.log_p[best, n]) - math.exp(second) > margin:
        state.streak[n] = state.streak[n] + 1 if state.challenger[n] == best else 1
        state.challenger[n] = best
        if state.streak[n] >= dwell:
            state.label[n] = best
            state.challenger[n] = -1
            state.streak[n] = 0
    else:
        state.challenger[n] = -1
        state.streak[n] = 0


@kernel
def regime_filter(
    sigma: Floats,
    trend: Floats,
    trend_scale: float,
    spread: Floats,
    proxied: Ints,
    volume: Floats,
    on: Ints,
    force: Ints,
    vov_alpha: float,
    usual_alpha: float,
    relative_scale: float,
    clip: float,
    means: Floats,
    shift: Floats,
    stds: Floats,
    log_stds: Floats,
    stay: float,
    margin: float,
    dwell: int,
    forced_probability: float,
    features: FeatureState,
    state: FilterState,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Ints, Floats, Floats, Ints]:
    """Filtered probabilities of five states, the label, its probability, sigma's percentile, 1 while the last state is forced.

    Panels (T, N). A spread that is proxied does not count. Where `on` is 0 everything holds; before any feature was known
    probabilities are NaN and the label is -1. Where `force` is 1 the last state has `forced_probability` and the label, on this
    and the next `dwell` bars that count. `feature_row`, `hamilton_update` and `follow` say the rest.
    """
    bars, symbols = on.shape
    p = np.full((STATES, bars, symbols), np.nan)
    label = np.full((bars, symbols), -1, np.int64)
    confidence = np.full((bars, symbols), np.nan)
    percentile = np.empty((bars, symbols))
    forced = np.zeros((bars, symbols), np.int64)
    x = np.empty(FEATURES)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0:
                wide = spread[t, n] if proxied[t, n] == 0 else math.nan
                t_stat = trend[t, n] / trend_scale
                feature_row(
                    n, sigma[t, n], t_stat, wide, volume[t, n], vov_alpha, usual_alpha, relative_scale, x, features
                )
                hamilton_update(x, n, clip, means, shift, stds, log_stds, stay, state)
                if force[t, n] != 0:
                    state.hold[n] = dwell + 1
                    state.informed[n] = 1
                if state.hold[n] > 0:
                    state.hold[n] -= 1
                    forced[t, n] = 1
                    for s in range(LAST):
                        state.log_p[s, n] = math.log((1.0 - forced_probability) / LAST)
                    state.log_p[LAST, n] = math.log(forced_probability)
                    state.label[n] = LAST
                    state.challenger[n] = -1
                    state.streak[n] = 0
                elif state.informed[n] != 0:
                    follow(n, margin, dwell, state)
            percentile[t, n] = features.percentile[n]
            if state.informed[n] != 0:
                for s in range(STATES):
                    p[s, t, n] = math.exp(state.log_p[s, n])
                label[t, n] = state.label[n]
                if state.label[n] >= 0:
                    confidence[t, n] = p[state.label[n], t, n]
    return p[0], p[1], p[2], p[3], p[4], label, confidence, percentile, forced
