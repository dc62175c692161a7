"""Price about the session's VWAP: strayed too far and turning, or held by it in a trend."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown, Zero
from dataflows.kernels.arith import clip, known
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class VwapTurns(NamedTuple):
    """State of `vwap_turns`: the side of VWAP on which price has strayed (0: none), and how far."""

    side: Count
    extreme: Unknown


class VwapTests(NamedTuple):
    """State of `vwap_tests`: the trend's side, and the test of VWAP that is under way."""

    side: Count
    away: Count  # 1 once price was far from VWAP with the trend
    testing: Count  # 1 while a test is under way
    age: Count  # bars that counted since it began
    depth: Zero  # ATR beyond VWAP against the trend, of the deepest close
    extreme: Unknown


@kernel
def vwap_turns(
    high: Floats,
    low: Floats,
    close: Floats,
    vwap: Floats,
    deviation: Floats,
    atr: Floats,
    ratio: Floats,
    on: Ints,
    far: float,
    near: float,
    turn: float,
    most: float,
    state: VwapTurns,
) -> tuple[Ints, Floats, Floats, Ints]:
    """(side, confidence, extreme, beyond), each (T, N).

    Price has strayed from the bar that closes `far` deviations or more from VWAP until one closes less than `near` from it.
    side: towards VWAP, on the first bar meanwhile that closes `turn` ATR or more back from the farthest price, with the
    variance ratio at most `most`; else 0. confidence in [0, 1]: half for the distance z in deviations, z / (1 + z), half for
    how far the ratio is below 1. extreme: the farthest price. Both NaN where side is 0. beyond: the side of VWAP on which the
    close lies, whose occurrences have arrived; 0 where unknown. Where VWAP or its deviation is unknown, nothing has strayed.
    """
    state_side, state_extreme = state.side, state.extreme
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    beyond = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            off = close[t, n] - vwap[t, n]
            if off > 0.0:
                beyond[t, n] = 1
            elif off < 0.0:
                beyond[t, n] = -1
            d = deviation[t, n]
            if not (d > 0.0) or beyond[t, n] == 0:
                state_side[n] = 0
                continue
            s = beyond[t, n]
            z = s * off / d
            if state_side[n] != 0 and (s != state_side[n] or z < near):
                state_side[n] = 0
            if state_side[n] == 0 and z >= far:
                state_side[n] = s
                state_extreme[n] = high[t, n] if s > 0 else low[t, n]
            if state_side[n] == 0:
                continue
            farthest = high[t, n] if s > 0 else low[t, n]
            if s * (farthest - state_extreme[n]) > 0.0:
                state_extreme[n] = farthest
            a = atr[t, n]
            if a > 0.0 and s * (state_extreme[n] - close[t, n]) >= turn * a and ratio[t, n] <= most:
                side[t, n] = -s
                confidence[t, n] = 0.5 * z / (1.0 + z) + 0.5 * clip(1.0 - ratio[t, n], 0.0, 1.0)
                extreme[t, n] = state_extreme[n]
                state_side[n] = 0
    return side, confidence, extreme, beyond


@kernel
def vwap_tests(
    trend: Ints,
    strength: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    vwap: Floats,
    deviation: Floats,
    atr: Floats,
    on: Ints,
    touch: float,
    away: float,
    deepest: float,
    within: int,
    state: VwapTests,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): a trend comes back to VWAP, and leaves it again on its own side.

    A test begins with a bar that comes within `touch` ATR of VWAP, after a close `away` ATR or more from it with the trend. It
    is passed by the first close so far away again, 1 to `within` bars later: side is then the trend's, else 0. It is failed by
    a close more than `deepest` ATR beyond VWAP, after `within` bars, and with the trend's side. confidence in [0, 1]: half
    the trend's strength, half for how little of `deepest` the closes went beyond VWAP. extreme: the farthest price of the test.
    Both NaN where side is 0. Where VWAP's deviation is unknown (a session's beginning), there is no test.
    """
    state_side, state_away, testing, age, state_extreme = state.side, state.away, state.testing, state.age, state.extreme
    depth = state.depth
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            a = atr[t, n]
            s = trend[t, n] if deviation[t, n] > 0.0 and a > 0.0 else 0
            if s != state_side[n]:
                state_side[n] = s
                state_away[n] = 0
                testing[n] = 0
            if s == 0:
                continue
            off = s * (close[t, n] - vwap[t, n]) / a
            behind = low[t, n] if s > 0 else high[t, n]
            if testing[n] != 0:
                age[n] += 1
            elif state_away[n] != 0 and s * (behind - vwap[t, n]) <= touch * a:
                testing[n] = 1
                age[n] = 0
                depth[n] = 0.0
                state_extreme[n] = behind
            elif off >= away:
                state_away[n] = 1
            if testing[n] == 0:
                continue
            if s * (behind - state_extreme[n]) < 0.0:
                state_extreme[n] = behind
            if -off > depth[n]:
                depth[n] = -off
            if depth[n] > deepest or age[n] > within:
                state_away[n] = 0
                testing[n] = 0
            elif age[n] > 0 and off >= away:
                side[t, n] = s
                sure = clip(known(strength[t, n], 0.0), 0.0, 1.0)
                confidence[t, n] = 0.5 * sure + 0.5 * (1.0 - depth[n] / deepest)
                extreme[t, n] = state_extreme[n]
                testing[n] = 0
    return side, confidence, extreme
