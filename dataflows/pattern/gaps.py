"""Opens far from the close before, and their way back."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Gaps(NamedTuple):
    """State of `gap_turns`: the gap that may still turn, and the one that turned last."""

    close: Unknown  # of the last bar that counted
    atr: Unknown  # as of that bar: the gap itself is in that of its own
    side: Count  # of the way back; 0: no gap waits
    start: Unknown  # the close before the gap
    extreme: Unknown  # farthest price from it
    size: Unknown  # in ATR
    age: Count
    goal_side: Count  # 0: none under way
    goal: Unknown  # the close before the gap that turned last


@kernel
def gap_turns(
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    on: Ints,
    listed: Ints,
    least: float,
    turn: float,
    within: int,
    state: Gaps,
) -> tuple[Ints, Floats, Floats, Ints]:
    """(side, confidence, extreme, filled), each (T, N).

    A gap: an open `least` or more of the ATR of the bar before from the close of that bar, the last that counted, in whatever
    session. side: towards that close, on the first bar from the gap's own to `within` bars later that closes the share `turn`
    of the way back or more, but not the whole; else 0. confidence in [0, 1]: half the share of the way, half least / size.
    extreme: the farthest price of the way out. Both NaN where side is 0. filled: the side of the gap that turned last, on the
    bar that comes to the close before it; else 0. Nothing reaches across a new listing.
    """
    state_close, state_atr, state_side, goal_side, start = state.close, state.atr, state.side, state.goal_side, state.start
    state_extreme, size, age, goal = state.extreme, state.size, state.age, state.goal
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    filled = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            if listed[t, n] == 0:
                state_close[n] = math.nan
                state_side[n] = 0
                goal_side[n] = 0
            if on[t, n] == 0:
                continue
            gap = open_[t, n] - state_close[n]
            if math.fabs(gap) >= least * state_atr[n] and state_atr[n] > 0.0:
                state_side[n] = -1 if gap > 0.0 else 1
                start[n] = state_close[n]
                state_extreme[n] = open_[t, n]
                size[n] = math.fabs(gap) / state_atr[n]
                age[n] = 0
            else:
                age[n] += 1
            state_close[n] = close[t, n]
            state_atr[n] = atr[t, n]
            if goal_side[n] != 0:
                nearest = high[t, n] if goal_side[n] > 0 else low[t, n]
                if goal_side[n] * (nearest - goal[n]) >= 0.0:
                    filled[t, n] = goal_side[n]
                    goal_side[n] = 0
            s = state_side[n]
            if s == 0:
                continue
            if age[n] > within:
                state_side[n] = 0
                continue
            out = low[t, n] if s > 0 else high[t, n]
            if s * (out - state_extreme[n]) < 0.0:
                state_extreme[n] = out
            left = s * (start[n] - close[t, n])
            back = 1.0 - left / (s * (start[n] - state_extreme[n]))
            nearest = high[t, n] if s > 0 else low[t, n]
            if s * (nearest - start[n]) >= 0.0:  # came the whole way within the bar
                state_side[n] = 0
            elif back >= turn:
                side[t, n] = s
                confidence[t, n] = 0.5 * clip(back, 0.0, 1.0) + 0.5 * clip(least / size[n], 0.0, 1.0)
                extreme[t, n] = state_extreme[n]
                goal_side[n] = s
                goal[n] = start[n]
                state_side[n] = 0
    return side, confidence, extreme, filled
