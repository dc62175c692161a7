"""Ranges that wait to be broken: narrow bars, and the first close beyond a range."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Unknown
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class NarrowBars(NamedTuple):
    """State of `narrow_bars`; W bars are compared."""

    ranges: Annotated[Floats, Axes("W", "N", start=0.0)]
    pos: Count
    held: Count
    high: Unknown  # of the last bar that closed
    low: Unknown


class RangeBreaks(NamedTuple):
    """State of `range_breaks`: the range that may still be broken, if any."""

    top: Unknown
    bottom: Unknown
    age: Unknown  # bars that counted since it was set; NaN: no range


@kernel
def narrow_bars(high: Floats, low: Floats, closed: Ints, state: NarrowBars) -> Ints:
    """1 where a bar closes that is an inside bar, or whose range is the narrowest of the last W, itself included; (T, N).

    closed: 1 where a bar closes. Inside: within the bar before, and narrower. Narrowest: strictly. A bar without any range is
    neither, and none is told before W are held. O(W) on a bar that closes, else O(1).
    """
    pos, ranges, state_high, state_low, held = state.pos, state.ranges, state.high, state.low, state.held
    bars, symbols = high.shape
    width = ranges.shape[0]
    narrow = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            h = high[t, n]
            low_ = low[t, n]
            if closed[t, n] == 0 or not (math.isfinite(h) and math.isfinite(low_)):
                continue
            height = h - low_
            p = pos[n]
            ranges[p, n] = height
            pos[n] = 0 if p == width - 1 else p + 1
            if held[n] < width:
                held[n] += 1
            if held[n] == width and height > 0.0:
                inside = h <= state_high[n] and low_ >= state_low[n] and height < state_high[n] - state_low[n]
                narrowest = True
                for i in range(width):
                    if i != p and not (height < ranges[i, n]):
                        narrowest = False
                if inside or narrowest:
                    narrow[t, n] = 1
            state_high[n] = h
            state_low[n] = low_
    return narrow


@kernel
def range_breaks(
    sets: Ints,
    top: Floats,
    bottom: Floats,
    close: Floats,
    atr: Floats,
    on: Ints,
    margin: float,
    within: int,
    give: float,
    state: RangeBreaks,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, refuted_at), each (T, N): the first close beyond a range that was set.

    sets: 1 on the bar that sets the range from `bottom` to `top`; it takes the place of the one before. side: 1 or -1 on the
    first bar that closes more than `margin` ATR beyond an edge, 1 to `within` bars after; else 0. A range breaks once.
    confidence in [0, 1]: half for how far beyond in ATR, x / (1 + x), half for how soon. refuted_at: `give` heights of the
    range back from the broken edge. Both NaN where side is 0.
    """
    age, state_top, state_bottom = state.age, state.top, state.bottom
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    refuted_at = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0 and age[n] == age[n]:
                age[n] += 1.0
                a = atr[t, n]
                height = state_top[n] - state_bottom[n]
                if age[n] > within:
                    age[n] = math.nan
                elif a > 0.0:
                    beyond = 0.0
                    if close[t, n] > state_top[n]:
                        beyond = (close[t, n] - state_top[n]) / a
                        if beyond > margin:
                            side[t, n] = 1
                            refuted_at[t, n] = state_top[n] - give * height
                    elif close[t, n] < state_bottom[n]:
                        beyond = (state_bottom[n] - close[t, n]) / a
                        if beyond > margin:
                            side[t, n] = -1
                            refuted_at[t, n] = state_bottom[n] + give * height
                    if side[t, n] != 0:
                        soon = 1.0 - (age[n] - 1.0) / within
                        confidence[t, n] = 0.5 * (beyond / (1.0 + beyond)) + 0.5 * soon
                        age[n] = math.nan
            if sets[t, n] != 0:
                state_top[n] = top[t, n]
                state_bottom[n] = bottom[t, n]
                age[n] = 0.0
    return side, confidence, refuted_at
