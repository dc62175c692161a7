"""Breaks of the channel of the bars before: fresh ones, and those that fail."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Breaks(NamedTuple):
    """State of `fresh_breaks`: bars that counted since the last close above and below the channel."""

    above: Unknown
    below: Unknown


class FailedBreak(NamedTuple):
    """State of `failed_breaks`: the break that may still fail. Side 0: none."""

    side: Count
    age: Count
    edge: Unknown
    extreme: Unknown


@kernel
def fresh_breaks(
    side: Ints, distance_atr: Floats, close: Floats, atr: Floats, on: Ints, quiet: int, state: Breaks
) -> tuple[Ints, Floats]:
    """(broke, edge), each (T, N).

    side and distance_atr: which side of the channel the close is beyond, and how far, in atr. broke: side, where no close of
    the last `quiet` bars that count lay beyond the same side, else 0. edge: the price that was broken; NaN without a break.
    """
    above, below = state.above, state.below
    bars, symbols = close.shape
    broke = np.zeros((bars, symbols), np.int64)
    edge = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            above[n] += 1.0
            below[n] += 1.0
            if side[t, n] == 0:
                continue
            since = above[n] if side[t, n] > 0 else below[n]
            if not (since <= quiet):  # NaN: there was none yet
                broke[t, n] = side[t, n]
                edge[t, n] = close[t, n] - distance_atr[t, n] * atr[t, n]
            if side[t, n] > 0:
                above[n] = 0.0
            else:
                below[n] = 0.0
    return broke, edge


@kernel
def failed_breaks(
    broke: Ints,
    edge: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    on: Ints,
    within: int,
    margin: float,
    state: FailedBreak,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): breaks that close back inside.

    side: against the break, on the bar that closes more than `margin` ATR inside the broken edge, 1 to `within` bars after
    the break; else 0. confidence in [0, 1]: half for how soon, half for how deep, up to one ATR. extreme: the farthest price
    beyond the edge. Both NaN where side is 0. A new break, of
    either side, takes the place of an older one.
    """
    age, state_side, state_edge, state_extreme = state.age, state.side, state.edge, state.extreme
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            if broke[t, n] != 0:
                state_side[n] = broke[t, n]
                age[n] = 0
                state_edge[n] = edge[t, n]
                state_extreme[n] = high[t, n] if broke[t, n] > 0 else low[t, n]
                continue
            if state_side[n] == 0:
                continue
            age[n] += 1
            if age[n] > within:
                state_side[n] = 0
                continue
            farthest = high[t, n] if state_side[n] > 0 else low[t, n]
            if state_side[n] * (farthest - state_extreme[n]) > 0.0:
                state_extreme[n] = farthest
            inside = state_side[n] * (state_edge[n] - close[t, n])
            if atr[t, n] > 0.0 and inside > margin * atr[t, n]:
                side[t, n] = -state_side[n]
                soon = 1.0 - (age[n] - 1) / within
                confidence[t, n] = 0.5 * soon + 0.5 * clip(inside / atr[t, n], 0.0, 1.0)
                extreme[t, n] = state_extreme[n]
                state_side[n] = 0
                state_edge[n] = math.nan
    return side, confidence, extreme
