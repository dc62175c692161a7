"""Rolling panels out of the pieces that layers use one value at a time: what pandas and NumPy can be compared with."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.order import SortedWindow, count_below, sorted_median, window_push
from dataflows.kernels.window import Extremes, extremes_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


@kernel
def rolling_extremes(high: Floats, low: Floats, on: Ints, state: Extremes) -> tuple[Floats, Floats]:
    """Highest high and lowest low of the last W bars, this one included; O(1) a bar on average.

    high, low: float64 (T, N). Returns (highest, lowest): NaN until W bars are held; the last result where `on` is 0 or one of
    the two is not finite.
    """
    bars, symbols = high.shape
    width = state.high.shape[0]
    highest = np.empty((bars, symbols))
    lowest = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            h = high[t, n]
            low_ = low[t, n]
            if on[t, n] != 0 and math.isfinite(h) and math.isfinite(low_):
                extremes_push(h, low_, n, state)
            if state.seen[n] < width:
                highest[t, n] = math.nan
                lowest[t, n] = math.nan
            else:
                highest[t, n] = state.highest[n]
                lowest[t, n] = state.lowest[n]
    return highest, lowest


@kernel
def rolling_median(x: Floats, on: Ints, state: SortedWindow) -> Floats:
    """Median of the PREVIOUS W values, whatever this bar's is: (T, N). NaN until 30 values are held (W where W is less)."""
    bars, symbols = x.shape
    y = np.empty((bars, symbols))
    ring, values, pos, held = state.ring, state.sorted, state.pos, state.held
    for t in range(bars):
        for n in range(symbols):
            y[t, n] = sorted_median(held[n], values[n])
            if on[t, n] != 0 and math.isfinite(x[t, n]):
                window_push(x[t, n], count_below(values[n], held[n], x[t, n]), n, ring, values, pos, held)
    return y
