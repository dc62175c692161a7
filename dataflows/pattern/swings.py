"""Swing points that are known only once confirmed: nothing here looks at a bar to come."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

from dataflows.carry import NAN, Axes, Count, Unknown
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel

KEPT: Final = 4
"""Swing points that are remembered: two highs and the two lows between and beside them."""


class Swings(NamedTuple):
    """State of `swing_push`."""

    leg: Count  # 1 rising, -1 falling, 0 not known yet
    first: Unknown  # the close that the first leg is measured from
    extreme: Unknown  # farthest price of the leg under way
    back: Unknown  # farthest price against it since then; NaN where there is none yet
    price: Annotated[Floats, Axes(KEPT, "N", start=NAN)]  # of the last swing points, latest first; highs and lows take turns


@kernel
def swing_push(high: float, low: float, close: float, far: float, n: int, state: Swings) -> int:
    """Takes a bar of symbol n: 1 where it confirms a swing high, -1 a swing low, else 0. Its price is then `state.price[0, n]`.

    The extreme of a leg is a swing point from the first later bar on that trades `far` (> 0, quote currency) away from it, and
    farther than the bars between. A bar that sets a new extreme confirms nothing, since the order of its own high and low is
    not known. An unknown `far` confirms nothing either. The first leg begins with a close `far` from the first close, and its
    start is no swing point.
    """
    price = state.price
    s = state.leg[n]
    if s == 0:
        if state.first[n] != state.first[n]:
            state.first[n] = close
        moved = close - state.first[n]
        if far > 0.0 and math.fabs(moved) >= far:
            state.leg[n] = 1 if moved > 0.0 else -1
            state.extreme[n] = high if moved > 0.0 else low
        return 0
    forward = high if s > 0 else low
    backward = low if s > 0 else high
    if s * (forward - state.extreme[n]) > 0.0:
        state.extreme[n] = forward
        state.back[n] = math.nan
        return 0
    if s * (backward - state.back[n]) >= 0.0:  # False for NaN: the first bar after the extreme
        return 0
    state.back[n] = backward
    if not (far > 0.0 and s * (state.extreme[n] - backward) >= far):
        return 0
    for i in range(KEPT - 1, 0, -1):
        price[i, n] = price[i - 1, n]
    price[0, n] = state.extreme[n]
    state.leg[n] = -s
    state.extreme[n] = backward
    state.back[n] = math.nan
    return int(s)
