"""Wilder's RSI and the MACD, bar after bar."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes, Unknown
from dataflows.kernels.smooth import SeededEwm, seeded_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Rsi(NamedTuple):
    """State of `wilder_rsi`."""

    close: Unknown  # of the last bar that counted
    gain: SeededEwm
    loss: SeededEwm


class MacdState(NamedTuple):
    """State of `macd`."""

    fast: SeededEwm
    slow: SeededEwm
    signal: SeededEwm
    side: Annotated[Floats, Axes("N", start=0.0)]  # of the line to its signal, last seen: -1, 1; 0 before
    since: Unknown  # bars since it changed


@kernel
def wilder_rsi(close: Floats, on: Ints, period: int, state: Rsi) -> Floats:
    """Relative strength index in [0, 100], (T, N), over the bars that count.

    The mean gain and the mean loss are seeded with the first `period` changes, then Wilder's averages. 50 where nothing has
    moved. NaN before the seed is whole; held where `on` is 0 or the close is not finite. Source: Wilder (1978).
    """
    state_close = state.close
    gain, loss = state.gain, state.loss
    loss_mean = loss.mean
    gain_mean = gain.mean
    bars, symbols = close.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            c = close[t, n]
            if on[t, n] != 0 and math.isfinite(c):
                change = c - state_close[n]
                if change == change:
                    seeded_push(change if change > 0.0 else 0.0, n, 1.0 / period, period, gain)
                    seeded_push(-change if change < 0.0 else 0.0, n, 1.0 / period, period, loss)
                state_close[n] = c
            up = gain_mean[n]
            moved = up + loss_mean[n]
            if moved > 0.0:
                y[t, n] = 100.0 * (up / moved)
            else:
                y[t, n] = 50.0 if moved == 0.0 else math.nan
    return y


@kernel
def macd(close: Floats, on: Ints, fast: int, slow: int, signal: int, state: MacdState) -> tuple[Floats, Floats, Floats]:
    """(line, signal, bars since the line crossed its signal), each (T, N); the first two in the unit of price.

    line: the fast less the slow exponential average, each seeded with the mean of its first values; signal: the line's own
    average, so seeded. NaN until whole, bars_since also until the first cross; held where `on` is 0 or the close is not finite.
    """
    state_since, state_side = state.since, state.side
    bars, symbols = close.shape
    quick, calm, smoothed = state.fast, state.slow, state.signal
    calm_mean = calm.mean
    quick_mean = quick.mean
    smoothed_mean = smoothed.mean
    line = np.empty((bars, symbols))
    smooth = np.empty((bars, symbols))
    since = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            c = close[t, n]
            if on[t, n] != 0 and math.isfinite(c):
                seeded_push(c, n, 2.0 / (fast + 1.0), fast, quick)
                seeded_push(c, n, 2.0 / (slow + 1.0), slow, calm)
                x = quick_mean[n] - calm_mean[n]
                if x == x:
                    seeded_push(x, n, 2.0 / (signal + 1.0), signal, smoothed)
                    apart = x - smoothed_mean[n]
                    side = 1.0 if apart > 0.0 else (-1.0 if apart < 0.0 else state_side[n])
                    state_since[n] += 1.0
                    if side * state_side[n] < 0.0:
                        state_since[n] = 0.0
                    state_side[n] = side
            line[t, n] = quick_mean[n] - calm_mean[n]
            smooth[t, n] = smoothed_mean[n]
            since[t, n] = state_since[n]
    return line, smooth, since
