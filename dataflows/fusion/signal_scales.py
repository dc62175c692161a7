"""The sources of the ensemble on one scale: L66's kernel."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Unknown, Zero
from dataflows.data.types import ExternalAlpha
from dataflows.fusion.types import (
    BOOK,
    EXTERNAL,
    FLOW,
    LEAD_LAG,
    MOMENTUM,
    ORDER_FLOW,
    PATTERN,
    REGIME,
    RELATIVE_STRENGTH,
    REVERSION,
    TREND,
    K,
)
from dataflows.kernels.arith import known
from dataflows.panel import Floats, Ints
from dataflows.pattern.types import PatternSignal
from dataflows.runtime.compile import kernel

LEAST: Final = 30
"""Values from which a source's spread counts as known."""
MOST: Final = 8.0
"""Spreads that a single value counts as at most when the spread learns, so that no outlier silences a source for days."""


class Spread(NamedTuple):
    """Mean square of each source so far, in its own unit, and the number of values in it."""

    square: Annotated[Floats, Axes(K, "N", start=0.0)]
    seen: Annotated[Floats, Axes(K, "N", start=0.0)]


class Scales(NamedTuple):
    """The sources' spreads, and the last word from outside."""

    spread: Spread
    stated: Unknown
    stated_age: Zero  # bars since it was stated


class Readings(NamedTuple):
    """What the layers say that become sources, panels (T, N)."""

    trend_up: Floats  # probability of the regime
    trend_down: Floats
    alignment: Floats  # agreement of the timeframes
    trend: Floats  # the kinematic state's, damped
    momentum: Floats  # t-statistic
    reversion: Floats
    book: Floats
    pressure: Floats  # of trades
    order_flow: Floats  # forecast of the next bar's return
    pattern: Floats
    instability: Floats  # share by which all are lowered


@kernel
def mean_of_two(a: float, b: float) -> float:
    """Mean of a and b; one that is unknown counts 0 and the other keeps its half; NaN where both are unknown."""
    if a == a:
        return 0.5 * (a + b) if b == b else 0.5 * a
    return 0.5 * b


@kernel
def in_spreads(v: float, square: float, seen: float) -> float:
    """tanh(v / s) in [-1, 1], s the root of the mean square of the values before; NaN where v or s is not known.

    Not centred: the sign is kept, and a steady trend stays one. A first value after zeros alone is 1 or -1.
    """
    if not (math.isfinite(v) and seen >= LEAST):
        return math.nan
    if v == 0.0:
        return 0.0
    spread = math.sqrt(square)
    if spread > 0.0:
        return math.tanh(v / spread)
    return 1.0 if v > 0.0 else -1.0


@kernel
def learn_spread(v: float, k: int, n: int, alpha: float, square: Floats, seen: Floats) -> None:
    """Takes v into the mean square of source k: the mean of all squares until there are 1 / alpha, then exponentially weighted.

    From the 30th on a value counts as `MOST` spreads at most.
    """
    if not math.isfinite(v):
        return
    held = square[k, n]
    s = v * v
    if seen[k, n] >= LEAST and held > 0.0 and s > MOST * MOST * held:
        s = MOST * MOST * held
    seen[k, n] += 1.0
    share = 1.0 / seen[k, n]
    square[k, n] = held + (share if share > alpha else alpha) * (s - held)


@kernel
def signal_values(
    valid: Ints,
    readings: Readings,
    lead_lag: PatternSignal,
    relative_strength: PatternSignal,
    external: ExternalAlpha,
    external_max_age: float,
    alpha: float,
    state: Scales,
) -> Floats:
    """The sources of L66 side by side: (T, N, K) in [-1, 1] in the order of SOURCES, NaN where one is unknown.

    The rules are those of `l66_signal_matrix`. external_max_age: bars. alpha: of the mean squares. State is updated in place.
    """
    bars, symbols = valid.shape
    y = np.empty((bars, symbols, K))
    raw = np.empty(K)
    # taken out of the records once: inside the loop each mention would count references
    up, down, alignment, trend = readings.trend_up, readings.trend_down, readings.alignment, readings.trend
    momentum, reversion, book, pressure = readings.momentum, readings.reversion, readings.book, readings.pressure
    order_flow, pattern, instability = readings.order_flow, readings.pattern, readings.instability
    lead_side, lead_confidence = lead_lag.side, lead_lag.confidence
    strength_side, strength_confidence = relative_strength.side, relative_strength.confidence
    stated, stated_age = external.value, external.age
    last, age = state.stated, state.stated_age
    square, seen = state.spread.square, state.spread.seen
    for t in range(bars):
        for n in range(symbols):
            age[n] += 1.0
            if math.isfinite(stated[t, n]):
                last[n] = stated[t, n]
                age[n] = known(stated_age[t, n], 0.0)
            if age[n] > external_max_age:
                last[n] = math.nan
            raw[REGIME] = up[t, n] - down[t, n]
            raw[TREND] = mean_of_two(alignment[t, n], trend[t, n])
            raw[MOMENTUM] = momentum[t, n]
            raw[REVERSION] = reversion[t, n]
            raw[BOOK] = book[t, n]
            raw[FLOW] = pressure[t, n]
            raw[ORDER_FLOW] = order_flow[t, n]
            raw[PATTERN] = pattern[t, n]
            raw[LEAD_LAG] = lead_side[t, n] * lead_confidence[t, n]
            raw[RELATIVE_STRENGTH] = strength_side[t, n] * strength_confidence[t, n]
            raw[EXTERNAL] = last[n]
            calm = 1.0 - known(instability[t, n], 0.0)
            for k in range(K):
                y[t, n, k] = calm * in_spreads(raw[k], square[k, n], seen[k, n])
                if valid[t, n] != 0:
                    learn_spread(raw[k], k, n, alpha, square, seen)
    return y
