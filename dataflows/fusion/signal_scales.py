"""The sources of the ensemble on one scale: L66's kernel."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dataflows.carry import Unknown, Zero
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
from dataflows.kernels.order import SortedWindow, count_below, sorted_median, window_push
from dataflows.panel import Floats, Ints
from dataflows.pattern.types import PatternSignal
from dataflows.runtime.compile import kernel

MAD_TO_SIGMA: Final = 1.4826
"""A Gaussian's standard deviation over its median absolute value."""


@kernel
def squashed(v: float, size: int, sizes: Floats, floor: float) -> float:
    """tanh(v / s) in [-1, 1], s = 1.4826 * median of the first `size` of the sorted `sizes` (W,), at least `floor`.

    For a source that is not bounded by construction. Not centred: centring turns a steady trend negative, and the sign of v
    must be kept. floor > 0, in units of v. NaN where v is not finite, and where there are not 30 sizes (W where W is less).
    """
    if not math.isfinite(v):
        return math.nan
    scale = MAD_TO_SIGMA * sorted_median(size, sizes)
    if scale < floor:
        scale = floor
    return math.tanh(v / scale)


@kernel
def mean_of_two(a: float, b: float) -> float:
    """Mean of a and b; one that is unknown counts 0 and the other keeps its half; NaN where both are unknown."""
    if a == a:
        return 0.5 * (a + b) if b == b else 0.5 * a
    return 0.5 * b


class Scales(NamedTuple):
    """Past sizes of the sources that are not bounded by construction, and the last word from outside."""

    momentum: SortedWindow
    order_flow: SortedWindow
    external: SortedWindow
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


class ScaleRules(NamedTuple):
    """Least scales, and how long a value from outside holds."""

    floor: float  # t-statistics
    external_floor: float  # units of the value; bps of the forecast
    external_max_age: float  # bars


@kernel
def signal_values(
    closed_5: Ints,
    readings: Readings,
    lead_lag: PatternSignal,
    relative_strength: PatternSignal,
    external: ExternalAlpha,
    rules: ScaleRules,
    state: Scales,
) -> Floats:
    """The sources of L66 side by side: (T, N, K) in [-1, 1] in the order of SOURCES, NaN where one is unknown.

    The rules are those of `l66_signal_matrix`. State is updated in place.
    """
    bars, symbols = closed_5.shape
    y = np.empty((bars, symbols, K))
    # taken out of the records once: inside the loop each mention would count references
    up, down, alignment, trend = readings.trend_up, readings.trend_down, readings.alignment, readings.trend
    momentum, reversion, book, pressure = readings.momentum, readings.reversion, readings.book, readings.pressure
    order_flow, pattern, instability = readings.order_flow, readings.pattern, readings.instability
    lead_side, lead_confidence = lead_lag.side, lead_lag.confidence
    strength_side, strength_confidence = relative_strength.side, relative_strength.confidence
    stated, stated_age = external.value, external.age
    floor, external_floor, external_max_age = rules.floor, rules.external_floor, rules.external_max_age
    last, age = state.stated, state.stated_age
    ring_m, sizes_m, pos_m, held_m = state.momentum.ring, state.momentum.sorted, state.momentum.pos, state.momentum.held
    ring_f, sizes_f, pos_f, held_f = state.order_flow.ring, state.order_flow.sorted, state.order_flow.pos, state.order_flow.held
    ring_e, sizes_e, pos_e, held_e = state.external.ring, state.external.sorted, state.external.pos, state.external.held
    for t in range(bars):
        for n in range(symbols):
            age[n] += 1.0
            if math.isfinite(stated[t, n]):
                last[n] = stated[t, n]
                age[n] = known(stated_age[t, n], 0.0)
            if age[n] > external_max_age:
                last[n] = math.nan
            calm = 1.0 - known(instability[t, n], 0.0)
            y[t, n, REGIME] = calm * (up[t, n] - down[t, n])
            y[t, n, TREND] = calm * mean_of_two(alignment[t, n], trend[t, n])
            y[t, n, MOMENTUM] = calm * squashed(momentum[t, n], held_m[n], sizes_m[n], floor)
            y[t, n, REVERSION] = calm * reversion[t, n]
            y[t, n, BOOK] = calm * book[t, n]
            y[t, n, FLOW] = calm * pressure[t, n]
            y[t, n, ORDER_FLOW] = calm * squashed(order_flow[t, n], held_f[n], sizes_f[n], external_floor)
            y[t, n, PATTERN] = calm * pattern[t, n]
            y[t, n, LEAD_LAG] = calm * lead_side[t, n] * lead_confidence[t, n]
            y[t, n, RELATIVE_STRENGTH] = calm * strength_side[t, n] * strength_confidence[t, n]
            y[t, n, EXTERNAL] = calm * squashed(last[n], held_e[n], sizes_e[n], external_floor)
            if closed_5[t, n] != 0:
                if math.isfinite(order_flow[t, n]):
                    v = math.fabs(order_flow[t, n])
                    window_push(v, count_below(sizes_f[n], held_f[n], v), n, ring_f, sizes_f, pos_f, held_f)
                if math.isfinite(momentum[t, n]):
                    v = math.fabs(momentum[t, n])
                    window_push(v, count_below(sizes_m[n], held_m[n], v), n, ring_m, sizes_m, pos_m, held_m)
                if math.isfinite(last[n]):
                    v = math.fabs(last[n])
                    window_push(v, count_below(sizes_e[n], held_e[n], v), n, ring_e, sizes_e, pos_e, held_e)
    return y
