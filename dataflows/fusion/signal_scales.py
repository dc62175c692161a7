"""The sources of the ensemble on one scale: L66's kernel."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dataflows.carry import Unknown, Zero
from dataflows.kernels.arith import known
from dataflows.kernels.order import SortedWindow, count_below, sorted_median, window_push
from dataflows.panel import Floats, Ints
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
    flow: SortedWindow
    external: SortedWindow
    stated: Unknown
    stated_age: Zero  # bars since it was stated


@kernel
def signal_values(
    closed_5: Ints,
    up: Floats,
    down: Floats,
    alignment: Floats,
    trend: Floats,
    momentum: Floats,
    reversion: Floats,
    book: Floats,
    pressure: Floats,
    order_flow: Floats,
    pattern: Floats,
    lead_side: Ints,
    lead_confidence: Floats,
    strength_side: Ints,
    strength_confidence: Floats,
    stated: Floats,
    stated_age: Floats,
    instability: Floats,
    floor: float,
    external_floor: float,
    external_max_age: float,
    state: Scales,
) -> Floats:
    """The sources of L66 side by side: (T, N, 10) in [-1, 1], NaN where a source is unknown. All panels (T, N).

    The rules are those of `l66_signal_matrix`. State is updated in place.
    """
    bars, symbols = up.shape
    y = np.empty((bars, symbols, 10))
    # taken out of the state once: inside the loop each mention would count references
    last, age = state.stated, state.stated_age
    ring_m, sizes_m, pos_m, held_m = state.momentum.ring, state.momentum.sorted, state.momentum.pos, state.momentum.held
    ring_f, sizes_f, pos_f, held_f = state.flow.ring, state.flow.sorted, state.flow.pos, state.flow.held
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
            flow = mean_of_two(pressure[t, n], squashed(order_flow[t, n], held_f[n], sizes_f[n], floor))
            y[t, n, 0] = calm * (up[t, n] - down[t, n])
            y[t, n, 1] = calm * mean_of_two(alignment[t, n], trend[t, n])
            y[t, n, 2] = calm * squashed(momentum[t, n], held_m[n], sizes_m[n], floor)
            y[t, n, 3] = calm * reversion[t, n]
            y[t, n, 4] = calm * book[t, n]
            y[t, n, 5] = calm * flow
            y[t, n, 6] = calm * pattern[t, n]
            y[t, n, 7] = calm * lead_side[t, n] * lead_confidence[t, n]
            y[t, n, 8] = calm * strength_side[t, n] * strength_confidence[t, n]
            y[t, n, 9] = calm * squashed(last[n], held_e[n], sizes_e[n], external_floor)
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
