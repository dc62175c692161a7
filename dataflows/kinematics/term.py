"""Volatility over three spans, and what it will be: a regression whose targets count when they are complete."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Zero
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

LEAST: Final = 1e-8
"""Least volatility of a bar, log price: below a tick of any market. It keeps the logarithm of silence finite."""
MOST: Final = 10.0
"""Largest forecast of a bar's volatility, log price."""


class Forecast(NamedTuple):
    """State of one target's regression: forgetting sums over samples of 1, near, middle (see `TermStructure`) and the target,
    the log variance that came less the sample's level."""

    products: Annotated[Floats, Axes(6, "N", start=0.0)]  # 1 1, 1 near, 1 middle, near near, near middle, middle middle
    targets: Annotated[Floats, Axes(4, "N", start=0.0)]  # 1, near, middle and the target itself, times the target


class TermStructure(NamedTuple):
    """State of `term_structure`: W is the long span, V the medium one."""

    squares: Annotated[Floats, Axes("N", "W", start=0.0)]  # of the last returns
    sums: Annotated[Floats, Axes("N", 3, start=0.0)]  # over the three spans
    seen: Count  # returns so far
    elapsed: Count  # bars so far
    level: Annotated[Floats, Axes("N", "V", start=NAN)]  # samples that wait: mean log variance of the spans
    near: Annotated[Floats, Axes("N", "V", start=NAN)]  # the short span's distance from it
    middle: Annotated[Floats, Axes("N", "V", start=NAN)]  # the medium span's
    at: Annotated[Ints, Axes("N", "V", start=0)]  # bar that the sample is of
    short: Forecast
    medium: Forecast
    mean: Zero  # of log volatility
    variance: Zero
    averaged: Count
    result: Annotated[Floats, Axes(4, "N", start=NAN)]


@kernel
def _span_mean(v: float, k: int, n: int, span: int, seen: int, place: int, anew: bool, squares: Floats, sums: Floats) -> float:
    """Mean of the last `span` squares of symbol n, or of all where there are fewer; v: number `seen`, not in the
    ring yet, where its `place` is.

    anew: whether the sum is made anew, as it is every `span` returns, which bounds its drift.
    """
    width = squares.shape[1]
    total = v
    if anew:
        for i in range(span - 1):
            total += squares[n, place - 1 - i if place > i else place - 1 - i + width]
    else:
        total += sums[n, k] - (squares[n, place - span if place >= span else place - span + width] if seen >= span else 0.0)
    sums[n, k] = total
    return total / span if seen >= span else total / (seen + 1)


@kernel
def _learn(y: float, near: float, middle: float, n: int, weight: float, fade: float, p: Floats, c: Floats) -> None:
    """One more complete sample of the given weight into the products p and targets c; what is there fades first."""
    p[0, n] = fade * p[0, n] + weight
    p[1, n] = fade * p[1, n] + weight * near
    p[2, n] = fade * p[2, n] + weight * middle
    p[3, n] = fade * p[3, n] + weight * near * near
    p[4, n] = fade * p[4, n] + weight * near * middle
    p[5, n] = fade * p[5, n] + weight * middle * middle
    c[0, n] = fade * c[0, n] + weight * y
    c[1, n] = fade * c[1, n] + weight * near * y
    c[2, n] = fade * c[2, n] + weight * middle * y
    c[3, n] = fade * c[3, n] + weight * y * y


@kernel
def _expect(near: float, middle: float, n: int, strength: float, p: Floats, c: Floats) -> float:
    """Log of the mean variance to come, less the level: ridge regression towards 0 and half the residual variance."""
    a = p[0, n] + strength  # the matrix as L D L'
    u = p[1, n] / a
    v = p[2, n] / a
    b = p[3, n] + strength - u * p[1, n]
    w = (p[4, n] - u * p[2, n]) / b
    d = p[5, n] + strength - v * p[2, n] - w * (p[4, n] - u * p[2, n])
    x = c[1, n] - u * c[0, n]
    z = (c[2, n] - v * c[0, n] - w * x) / d
    y = x / b - w * z
    o = c[0, n] / a - u * y - v * z
    left = (c[3, n] - o * c[0, n] - y * c[1, n] - z * c[2, n]) / a
    return float(o + y * near + z * middle + (0.5 * left if left > 0.0 else 0.0))


@kernel
def term_structure(
    r: Floats, floor: Floats, short: int, forget: float, strength: float, max_gap: int, state: TermStructure
) -> tuple[Floats, Floats, Floats, Floats]:
    """(ratio, forecast over `short` bars, forecast over the medium span, vol_of_vol), each (T, N); see L58.

    r, floor: float64 (T, N), log returns and least volatility; where r is NaN all holds. forget: weight that is left of what
    was learned after one effective observation, which is `short` samples of the one target or a medium span of the other.
    strength: effective observations that the prior is worth. A sample is void if more than max_gap bars of its life had no
    return.
    """
    elapsed, state_seen, squares, result, state_level = state.elapsed, state.seen, state.squares, state.result, state.level
    state_near, state_middle, at, averaged, mean = state.near, state.middle, state.at, state.averaged, state.mean
    variance = state.variance
    bars, symbols = r.shape
    medium = state_level.shape[1]
    longest = squares.shape[1]
    fade_short = math.exp(math.log(forget) / short)
    fade_medium = math.exp(math.log(forget) / medium)
    alpha = 2.0 / (medium + 1.0)
    out = np.empty((4, bars, symbols))
    sums = state.sums
    # `seen` modulo each span, counted on: to divide takes longer
    of_short, of_medium, places = state_seen % short, state_seen % medium, state_seen % longest
    behind = short % medium
    for t in range(bars):
        for n in range(symbols):
            elapsed[n] += 1
            if math.isfinite(r[t, n]):
                v = r[t, n] * r[t, n]
                least = floor[t, n] if floor[t, n] > LEAST else LEAST
                lowest = least * least
                seen = state_seen[n]
                place = places[n]
                of_short[n] = of_short[n] + 1 if of_short[n] < short - 1 else 0
                of_medium[n] = of_medium[n] + 1 if of_medium[n] < medium - 1 else 0
                places[n] = place + 1 if place < longest - 1 else 0
                first = _span_mean(
                    v, k=0, n=n, span=short, seen=seen, place=place, anew=of_short[n] == 0, squares=squares, sums=sums
                )
                second = _span_mean(
                    v, k=1, n=n, span=medium, seen=seen, place=place, anew=of_medium[n] == 0, squares=squares, sums=sums
                )
                third = _span_mean(
                    v, k=2, n=n, span=longest, seen=seen, place=place, anew=places[n] == 0, squares=squares, sums=sums
                )
                squares[n, place] = v
                seen += 1
                state_seen[n] = seen
                if seen >= short:
                    near = math.log(first if first > lowest else lowest)
                    middle = math.log(second if second > lowest else lowest)
                    far = math.log(third if third > lowest else lowest)
                    log_volatility = 0.5 * near
                    i = of_medium[n] - behind if of_medium[n] >= behind else of_medium[n] - behind + medium
                    late = elapsed[n] - at[n, i] - short
                    if state_level[n, i] == state_level[n, i] and late <= max_gap:
                        y = near - state_level[n, i]
                        _learn(
                            y,
                            state_near[n, i],
                            state_middle[n, i],
                            n,
                            1.0 / short,
                            fade_short,
                            state.short.products,
                            state.short.targets,
                        )
                    i = of_medium[n]
                    late = elapsed[n] - at[n, i] - medium
                    if state_level[n, i] == state_level[n, i] and late <= max_gap:
                        y = middle - state_level[n, i]
                        _learn(
                            y,
                            state_near[n, i],
                            state_middle[n, i],
                            n,
                            1.0 / medium,
                            fade_medium,
                            state.medium.products,
                            state.medium.targets,
                        )
                    level = near
                    if seen >= medium:
                        level = (near + middle + far) / 3.0
                        result[0, n] = math.exp(0.5 * (near - far))
                        near -= level
                        middle -= level
                    else:  # the spans that are not whole are left out
                        near = 0.0
                        middle = 0.0
                    state_level[n, i] = level
                    state_near[n, i] = near
                    state_middle[n, i] = middle
                    at[n, i] = elapsed[n]
                    ahead = math.exp(
                        0.5 * (level + _expect(near, middle, n, strength, state.short.products, state.short.targets))
                    )
                    result[1, n] = clip(ahead, least, MOST)
                    ahead = math.exp(
                        0.5 * (level + _expect(near, middle, n, strength, state.medium.products, state.medium.targets))
                    )
                    result[2, n] = clip(ahead, least, MOST)
                    share = 1.0 / (averaged[n] + 1.0)
                    share = share if share > alpha else alpha
                    averaged[n] += 1
                    d = log_volatility - mean[n]
                    mean[n] += share * d
                    variance[n] = (1.0 - share) * (variance[n] + share * d * d)
                    if averaged[n] >= short:
                        result[3, n] = math.sqrt(variance[n])
            for k in range(4):
                out[k, t, n] = result[k, n]
    return out[0], out[1], out[2], out[3]
