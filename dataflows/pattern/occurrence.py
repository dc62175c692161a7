"""How long an occurrence of a pattern lives: one rule for all patterns."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


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
    return _clock(
        begins=begins,
        side=side,
        confidence=confidence,
        refuted_at=refuted_at,
        ends=begins,
        heeded=0,
        close=close,
        on=on,
        life=life,
        state=state,
    )


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
    return _clock(
        begins=begins,
        side=side,
        confidence=confidence,
        refuted_at=refuted_at,
        ends=ends,
        heeded=1,
        close=close,
        on=on,
        life=life,
        state=state,
    )


@kernel
def _clock(
    begins: Ints,
    side: Ints,
    confidence: Floats,
    refuted_at: Floats,
    ends: Ints,
    heeded: int,
    close: Floats,
    on: Ints,
    life: int,
    state: PatternClock,
) -> tuple[Ints, Ints, Floats, Floats]:
    """Both clocks; heeded: 1 where `ends` counts. One loop without calls: what every pattern waits for."""
    bars, symbols = close.shape
    active = np.empty((bars, symbols), np.int64)
    sides = np.empty((bars, symbols), np.int64)
    sure = np.empty((bars, symbols))
    age = np.empty((bars, symbols))
    lives, way, trust, since, void = state.active, state.side, state.confidence, state.age, state.refuted_at
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0:
                if lives[n] != 0:
                    since[n] += 1.0
                    over = since[n] >= life or way[n] * (close[t, n] - void[n]) < 0.0
                    if heeded != 0 and ends[t, n] != 0 and ends[t, n] * way[n] >= 0:
                        over = True
                    if over:
                        lives[n] = 0
                        way[n] = 0
                        trust[n] = 0.0
                        since[n] = math.nan
                        void[n] = math.nan
                if begins[t, n] != 0 and (lives[n] == 0 or way[n] != side[t, n]):
                    lives[n] = 1
                    way[n] = side[t, n]
                    trust[n] = confidence[t, n] if confidence[t, n] == confidence[t, n] else 0.0
                    since[n] = 0.0
                    void[n] = refuted_at[t, n]
            active[t, n] = lives[n]
            sides[t, n] = way[n]
            sure[t, n] = trust[n]
            age[t, n] = since[n]
    return active, sides, sure, age
