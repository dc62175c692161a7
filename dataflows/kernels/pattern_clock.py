"""How long an occurrence of a pattern lives: one rule for all patterns."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown, Zero
from dataflows.kernels.compile import kernel
from dataflows.panel import Floats, Ints


class PatternClock(NamedTuple):
    """State of `pattern_clock`: the occurrence that lives, if any."""

    active: Count
    side: Count
    confidence: Zero
    age: Unknown
    refuted_at: Unknown


@kernel
def pattern_clock(
    begins: Ints, side: Ints, confidence: Floats, refuted_at: Floats, close: Floats, on: Ints, life: int, state: PatternClock
) -> tuple[Ints, Ints, Floats, Floats]:
    """(active, side, confidence, age), each (T, N).

    An occurrence begins where `begins` is not 0 and none lives, or one of the other side, with the side, confidence and
    price of that bar. It ends after `life` bars, the first included, and before that on the first close beyond
    `refuted_at` against its side (NaN: no such price); a bar that ends one may begin the next. active: 1 while it lives, then
    side, confidence and age: bars since it began, 0 on that bar. Without one: 0, 0, 0 and NaN. A bar whose `on` is 0
    neither ages nor begins nor ends anything. A confidence that is not known counts as 0.
    """
    bars, symbols = close.shape
    active = np.empty((bars, symbols), np.int64)
    sides = np.empty((bars, symbols), np.int64)
    sure = np.empty((bars, symbols))
    age = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0:
                _tick(n, begins[t, n], side[t, n], confidence[t, n], refuted_at[t, n], 0, close[t, n], life, state)
            active[t, n] = state.active[n]
            sides[t, n] = state.side[n]
            sure[t, n] = state.confidence[n]
            age[t, n] = state.age[n]
    return active, sides, sure, age


@kernel
def pattern_clock_until(
    begins: Ints,
    side: Ints,
    confidence: Floats,
    refuted_at: Floats,
    ends: Ints,
    close: Floats,
    on: Ints,
    life: int,
    state: PatternClock,
) -> tuple[Ints, Ints, Floats, Floats]:
    """As `pattern_clock`; an occurrence also ends where `ends` names its side (one without a side: where it is not 0), as when
    price has come to where the pattern points."""
    bars, symbols = close.shape
    active = np.empty((bars, symbols), np.int64)
    sides = np.empty((bars, symbols), np.int64)
    sure = np.empty((bars, symbols))
    age = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0:
                _tick(n, begins[t, n], side[t, n], confidence[t, n], refuted_at[t, n], ends[t, n], close[t, n], life, state)
            active[t, n] = state.active[n]
            sides[t, n] = state.side[n]
            sure[t, n] = state.confidence[n]
            age[t, n] = state.age[n]
    return active, sides, sure, age


@kernel
def _tick(
    n: int,
    begins: int,
    side: int,
    confidence: float,
    refuted_at: float,
    ends: int,
    close: float,
    life: int,
    state: PatternClock,
) -> None:
    """One bar of symbol n that counts."""
    if state.active[n] != 0:
        state.age[n] += 1.0
        over = ends != 0 and ends * state.side[n] >= 0
        if over or state.age[n] >= life or state.side[n] * (close - state.refuted_at[n]) < 0.0:
            _rest(n, state)
    if begins != 0 and (state.active[n] == 0 or state.side[n] != side):
        state.active[n] = 1
        state.side[n] = side
        state.confidence[n] = confidence if confidence == confidence else 0.0
        state.age[n] = 0.0
        state.refuted_at[n] = refuted_at


@kernel
def _rest(n: int, state: PatternClock) -> None:
    """Symbol n has no occurrence."""
    state.active[n] = 0
    state.side[n] = 0
    state.confidence[n] = 0.0
    state.age[n] = math.nan
    state.refuted_at[n] = math.nan
