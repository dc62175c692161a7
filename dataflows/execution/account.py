"""What a position costs to hold, and when it is dust. The venue and L97 go by these rules alike."""

from __future__ import annotations

import math
from typing import Final

from dataflows.execution.rounding import HAIR
from dataflows.runtime.compile import kernel

YEAR: Final = 365.0 * 86_400.0 * 1e9  # ns


@kernel
def year_part(before: int, now: int) -> float:
    """The time between two closes (UTC ns) as a fraction of a year; 0 where there is no close before."""
    return (now - before) / YEAR if 0 < before < now else 0.0


@kernel
def carry_cost(position: float, mark: float, funding: float, borrow: float, years: float) -> float:
    """What holding a position costs in one bar, quote currency: funding, and for a short one borrow cost.

    funding: rate of the bar, paid by longs; unknown (NaN): nothing. borrow: fraction of the value a year.
    """
    value = position * mark
    cost = value * funding if math.fabs(funding) < math.inf else 0.0
    if position < 0.0 and borrow > 0.0:
        cost -= value * borrow * years
    return cost


@kernel
def is_dust(position: float, price: float, lot: float, least: float, exempt: int) -> bool:
    """True where no order can close the position: below a lot, or worth less than the least notional where reductions are not
    exempt from it. A position of 0 is no dust."""
    size = math.fabs(position)
    if not (size > 0.0):
        return False
    return size < lot * (1.0 - HAIR) or (exempt == 0 and size * price < least * (1.0 - HAIR))
