"""First passage of a random walk."""

from __future__ import annotations

import math

from dataflows.runtime.compile import kernel


@kernel
def touch_chance(distance: float, sigma: float, bars: int) -> float:
    """The chance that a driftless walk of `sigma` a bar goes `distance` away within `bars`; 0 where one of them is unknown.

    Source: reflection principle of Brownian motion (Bachelier 1900).
    """
    if not (distance >= 0.0 and 0.0 < sigma < math.inf):
        return 0.0
    return math.erfc(distance / (sigma * math.sqrt(2.0 * bars)))
