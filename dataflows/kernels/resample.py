"""Bars of higher timeframes out of base bars, closed on UTC multiples of their length."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

ROWS: Final = 5
OPEN, HIGH, LOW, CLOSE, VOLUME = range(ROWS)
"""Rows of a bar of a higher timeframe."""


class Resample(NamedTuple):
    """State of `resample` for F timeframes: the bar that is forming and the last one that closed, as o, h, l, c, volume."""

    bucket: Annotated[Ints, Axes("F", start=-1)]  # number of the higher bar that is forming
    forming: Annotated[Floats, Axes("F", ROWS, "N", start=NAN)]
    closed: Annotated[Floats, Axes("F", ROWS, "N", start=NAN)]
    parts: Annotated[Ints, Axes("F", "N", start=0)]  # known base bars in the one that is forming
    observed: Annotated[Ints, Axes("F", "N", start=0)]  # of them, observed and not filled


@kernel
def resample(
    time: Ints,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    valid: Ints,
    clock: int,
    lengths: tuple[int, ...],
    state: Resample,
) -> tuple[Floats, Ints]:
    """The last closed higher bar, held, and a flag that is 1 on the base bar that closes one.

    time: (T,) close of each base bar, UTC ns, rising. Prices and volume: (T, N), NaN where unknown. valid: 1 where observed.
    clock: ns of a base bar. lengths: base bars in a bar of each of the F timeframes; one of length k covers
    (i * k * clock, (i + 1) * k * clock] and closes at the latter. Returns bars (F, 5, T, N) as open, high, low, close, volume,
    and flags int64 (F, T, N). A higher bar closes only when each of its base bars was known and one at least was observed;
    else the one before stays. NaN before the first. The same as pandas resample(closed="right", label="right").
    """
    forming, closed, state_bucket, parts, observed = state.forming, state.closed, state.bucket, state.parts, state.observed
    bars, symbols = close.shape
    frames = len(lengths)
    y = np.empty((frames, ROWS, bars, symbols))
    flags = np.zeros((frames, bars, symbols), np.int64)
    for f in range(frames):
        step = lengths[f] * clock
        now = forming[f]
        held = closed[f]
        begin = end = 0  # of the bucket that the last bar was in, so that not every bar divides
        for t in range(bars):
            if not (begin < time[t] <= end):
                bucket = (time[t] - 1) // step
                begin, end = bucket * step, (bucket + 1) * step
                if bucket != state_bucket[f]:
                    state_bucket[f] = bucket
                    for n in range(symbols):
                        parts[f, n] = 0
                        observed[f, n] = 0
            ends = time[t] == end
            for n in range(symbols):
                if math.isfinite(close[t, n]):
                    if parts[f, n] == 0:
                        now[OPEN, n] = open_[t, n]
                        now[HIGH, n] = high[t, n]
                        now[LOW, n] = low[t, n]
                        now[VOLUME, n] = volume[t, n]
                    else:
                        if high[t, n] > now[HIGH, n]:
                            now[HIGH, n] = high[t, n]
                        if low[t, n] < now[LOW, n]:
                            now[LOW, n] = low[t, n]
                        now[VOLUME, n] += volume[t, n]
                    now[CLOSE, n] = close[t, n]
                    parts[f, n] += 1
                    if valid[t, n] != 0:
                        observed[f, n] += 1
                if ends and parts[f, n] == lengths[f] and observed[f, n] > 0:
                    flags[f, t, n] = 1
                    for i in range(ROWS):
                        held[i, n] = now[i, n]
                for i in range(ROWS):
                    y[f, i, t, n] = held[i, n]
    return y, flags
