"""Bars of a higher timeframe out of base bars, closed on UTC multiples of the step."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Unknown
from dataflows.kernels.compile import kernel
from dataflows.panel import Floats, Ints


class Resample(NamedTuple):
    """State of `resample`: the bar that is forming and the last one that closed."""

    bucket: Annotated[Ints, Axes(1, start=-1)]  # number of the higher bar that is forming
    open: Unknown
    high: Unknown
    low: Unknown
    close: Unknown
    volume: Unknown
    parts: Count  # known base bars in it
    observed: Count  # of them, observed and not filled
    held_open: Unknown
    held_high: Unknown
    held_low: Unknown
    held_close: Unknown
    held_volume: Unknown


@kernel
def resample(
    time: Ints,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    valid: Ints,
    step: int,
    bars_per_step: int,
    state: Resample,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Ints]:
    """The last closed higher bar (open, high, low, close, volume) held, and a flag: 1 on the base bar that closes one.

    time: (T,) close of each base bar, UTC ns, rising. Prices and volume: (T, N), NaN where unknown. valid: 1 where observed.
    step: ns of a higher bar, which covers (k * step, (k + 1) * step] and closes at the latter. bars_per_step: base bars in it.
    A higher bar closes only when each of its base bars was known and one at least was observed; else the one before is held.
    NaN before the first.
    """
    bars, symbols = close.shape
    o = np.empty((bars, symbols))
    h = np.empty((bars, symbols))
    lo = np.empty((bars, symbols))
    c = np.empty((bars, symbols))
    q = np.empty((bars, symbols))
    closed = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        bucket = (time[t] - 1) // step
        ends = time[t] % step == 0
        if bucket != state.bucket[0]:
            state.bucket[0] = bucket
            for n in range(symbols):
                state.parts[n] = 0
                state.observed[n] = 0
        for n in range(symbols):
            if math.isfinite(close[t, n]):
                if state.parts[n] == 0:
                    state.open[n] = open_[t, n]
                    state.high[n] = high[t, n]
                    state.low[n] = low[t, n]
                    state.volume[n] = volume[t, n]
                else:
                    if high[t, n] > state.high[n]:
                        state.high[n] = high[t, n]
                    if low[t, n] < state.low[n]:
                        state.low[n] = low[t, n]
                    state.volume[n] += volume[t, n]
                state.close[n] = close[t, n]
                state.parts[n] += 1
                if valid[t, n] != 0:
                    state.observed[n] += 1
            if ends and state.parts[n] == bars_per_step and state.observed[n] > 0:
                state.held_open[n] = state.open[n]
                state.held_high[n] = state.high[n]
                state.held_low[n] = state.low[n]
                state.held_close[n] = state.close[n]
                state.held_volume[n] = state.volume[n]
                closed[t, n] = 1
            o[t, n] = state.held_open[n]
            h[t, n] = state.held_high[n]
            lo[t, n] = state.held_low[n]
            c[t, n] = state.held_close[n]
            q[t, n] = state.held_volume[n]
    return o, h, lo, c, q, closed
