"""Reversal bars: outside and engulfing bars at an edge of the channel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class BarBefore(NamedTuple):
    """State of `reversal_bars`: the last bar that counted."""

    open: Unknown
    high: Unknown
    low: Unknown
    close: Unknown
    position: Unknown


@kernel
def reversal_bars(
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    position: Floats,
    on: Ints,
    zone: float,
    range_atr: float,
    close_share: float,
    state: BarBefore,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, end), each (T, N): wide bars that turn away from an edge of the channel.

    The close before lay in the `zone` of the channel's height at its low (for side 1) or beyond; this bar closes above its open
    and in the top 1 - close_share of its range, has a range of range_atr ATR or more, and is an outside bar (higher high and
    lower low than the bar before) or engulfs the falling body before. Side -1: the mirror. confidence in [0, 1]: half for where
    the bar closes in its range, half x / (1 + x) of its range x in ATR. end: of the bar against the side. 0, NaN and NaN
    elsewhere.
    """
    state_position, state_open, state_high, state_low = state.position, state.open, state.high, state.low
    state_close = state.close
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    end = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            o, h, lo, c = open_[t, n], high[t, n], low[t, n], close[t, n]
            before = state_position[n]
            s = 1 if before <= zone else -1 if before >= 1.0 - zone else 0
            height = h - lo
            outside = h > state_high[n] and lo < state_low[n]
            turned = s * (state_close[n] - state_open[n]) < 0.0
            engulfs = turned and s * (c - state_open[n]) >= 0.0 and s * (o - state_close[n]) <= 0.0
            wide = height >= range_atr * atr[t, n] and atr[t, n] > 0.0
            if s * (c - o) > 0.0 and wide and (outside or engulfs):
                share = (c - lo if s > 0 else h - c) / height
                if share >= close_share:
                    x = height / atr[t, n]
                    side[t, n] = s
                    confidence[t, n] = 0.5 * clip(share, 0.0, 1.0) + 0.5 * x / (1.0 + x)
                    end[t, n] = lo if s > 0 else h
            state_open[n], state_high[n], state_low[n], state_close[n] = o, h, lo, c
            state_position[n] = position[t, n]
    return side, confidence, end
