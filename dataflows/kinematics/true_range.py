"""True range and its Wilder average."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.kernels.smooth import SeededEwm, seeded_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class TrueRange(NamedTuple):
    """State of `wilder_atr`."""

    close: Unknown  # of the last bar that counted
    mean: SeededEwm


@kernel
def true_range(high: float, low: float, before: float) -> float:
    """The range of a bar, stretched to the close before it; high - low where there is none. Source: Wilder (1978)."""
    top = before if before > high else high
    bottom = before if before < low else low
    return top - bottom


@kernel
def wilder_atr(high: Floats, low: Floats, close: Floats, on: Ints, period: int, state: TrueRange) -> Floats:
    """Average true range, (T, N), in the unit of price: the mean of the first `period` ranges, then Wilder's average.

    The first range is high - low, as in Pine (TA-Lib leaves it out: the two meet). NaN before; held where `on` is 0 or a price
    is not finite.
    """
    mean, state_close = state.mean.mean, state.close
    bars, symbols = close.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0 and math.isfinite(high[t, n]) and math.isfinite(low[t, n]) and math.isfinite(close[t, n]):
                seeded_push(true_range(high[t, n], low[t, n], state_close[n]), n, 1.0 / period, period, state.mean)
                state_close[n] = close[t, n]
            y[t, n] = mean[n]
    return y
