"""Flags with memory."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Latch(NamedTuple):
    """State of `hysteresis`: 1 while on. Starts at 0."""

    on: Count


class Since(NamedTuple):
    """State of `bars_since`."""

    bars: Unknown


@kernel
def hysteresis(x: Floats, enter: float, leave: float, state: Latch) -> Ints:
    """1 from the bar on which x > enter until the bar on which x < leave (leave <= enter); a NaN in x holds. int64 (T, N)."""
    bars, symbols = x.shape
    y = np.empty((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            if x[t, n] > enter:
                state.on[n] = 1
            elif x[t, n] < leave:
                state.on[n] = 0
            y[t, n] = state.on[n]
    return y


@kernel
def bars_since(flag: Ints, state: Since) -> Floats:
    """Bars since `flag` was last not 0: 0 on that bar; NaN before the first. float64 (T, N)."""
    bars, symbols = flag.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            state.bars[n] = 0.0 if flag[t, n] != 0 else state.bars[n] + 1.0
            y[t, n] = state.bars[n]
    return y
