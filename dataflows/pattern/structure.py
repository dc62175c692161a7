"""What a row of swing points says: double extremes, trends of highs and lows, and their breaks."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
from dataflows.pattern.swings import Swings, swing_push
from dataflows.runtime.compile import kernel


class Double(NamedTuple):
    """State of `double_extremes`: the pair that waits for its neckline to break. Side 0: none."""

    swings: Swings
    side: Count  # 1 two highs, -1 two lows
    age: Count
    neck: Unknown
    extreme: Unknown
    alike: Unknown


class Structure(NamedTuple):
    """State of `structure_breaks`: the structure that a close beyond `guard` ends. Side 0: none."""

    swings: Swings
    side: Count  # 1 rising, -1 falling
    guard: Unknown
    step: Unknown


@kernel
def double_extremes(
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    on: Ints,
    reversal: float,
    tolerance: float,
    within: int,
    state: Double,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): the first closes beyond the neckline of two swing points alike.

    Two successive swing highs (lows) at most `tolerance` ATR apart are a pair from the bar that confirms the second, for
    `within` bars, until a close beyond the farther of them, or until another pair takes its place; the swing point between
    them is the neckline. side: away from the pair. confidence in [0, 1]: half for how alike, half for how far beyond the
    neckline, up to one ATR. extreme: the farther of the two. 0, NaN and NaN elsewhere.
    """
    age, state_side, state_extreme, neck, alike = state.age, state.side, state.extreme, state.neck, state.alike
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    swings, price = state.swings, state.swings.price
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            c = close[t, n]
            age[n] += 1
            if age[n] > within or state_side[n] * (c - state_extreme[n]) > 0.0:
                state_side[n] = 0
            s = swing_push(high[t, n], low[t, n], c, reversal * atr[t, n], n, swings)
            if s != 0:
                second, first = price[0, n], price[2, n]
                apart, allowed = math.fabs(second - first), tolerance * atr[t, n]
                if apart <= allowed:  # NaN: no first yet
                    state_side[n] = s
                    age[n] = 0
                    neck[n] = price[1, n]
                    state_extreme[n] = second if s * (second - first) > 0.0 else first
                    alike[n] = 1.0 - apart / allowed
            beyond = state_side[n] * (neck[n] - c)
            if beyond > 0.0 and atr[t, n] > 0.0:
                side[t, n] = -state_side[n]
                confidence[t, n] = 0.5 * alike[n] + 0.5 * clip(beyond / atr[t, n], 0.0, 1.0)
                extreme[t, n] = state_extreme[n]
                state_side[n] = 0
    return side, confidence, extreme


@kernel
def structure_breaks(
    high: Floats, low: Floats, close: Floats, atr: Floats, on: Ints, reversal: float, state: Structure
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): the first closes that end a row of higher highs and higher lows, or its mirror.

    A structure stands from the bar that confirms a swing point where the last two highs and the last two lows step the same
    way; the latest low of a rising one, high of a falling one, guards it. It ends with a close beyond the guard, or a swing
    point that does not step its way. side: against the structure. confidence in [0, 1]: half for its smaller step, up to
    `reversal` ATR, half for how far beyond the guard, up to one ATR. extreme: the farthest price of its last leg. 0, NaN and
    NaN elsewhere.
    """
    state_side, step, guard = state.side, state.step, state.guard
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    swings, price = state.swings, state.swings.price
    swings_extreme, leg = swings.extreme, swings.leg
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            far = reversal * atr[t, n]
            s = swing_push(high[t, n], low[t, n], close[t, n], far, n, swings)
            if s != 0:
                latest, other = price[0, n] - price[2, n], price[1, n] - price[3, n]
                state_side[n] = 0
                if latest > 0.0 and other > 0.0:
                    state_side[n] = 1
                elif latest < 0.0 and other < 0.0:
                    state_side[n] = -1
                smaller = min(math.fabs(latest), math.fabs(other))
                step[n] = clip(smaller / far, 0.0, 1.0)
                guard[n] = price[1, n] if s == state_side[n] else price[0, n]
            beyond = state_side[n] * (guard[n] - close[t, n])
            if beyond > 0.0 and atr[t, n] > 0.0:
                side[t, n] = -state_side[n]
                confidence[t, n] = 0.5 * step[n] + 0.5 * clip(beyond / atr[t, n], 0.0, 1.0)
                extreme[t, n] = swings_extreme[n] if leg[n] == state_side[n] else price[0, n]
                state_side[n] = 0
    return side, confidence, extreme
