"""Rounding to lots and ticks, with a hair's breadth of tolerance for what binary fractions cannot hold."""

from __future__ import annotations

import math
from typing import Final

from dataflows.runtime.compile import kernel

HAIR: Final = 1e-9
"""Of a step: 0.3 / 0.1 is 2.9999999999999996 and means 3."""


@kernel
def floor_to(x: float, step: float) -> float:
    """x, not negative, rounded down to a multiple of step; x itself where no step is known (not above 0)."""
    if not (step > 0.0):
        return x
    return math.floor(x / step + HAIR) * step


@kernel
def ceil_to(x: float, step: float) -> float:
    """x, not negative, rounded up to a multiple of step; x itself where no step is known (not above 0)."""
    if not (step > 0.0):
        return x
    return math.ceil(x / step - HAIR) * step
