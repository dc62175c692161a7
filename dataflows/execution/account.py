"""What a position costs to hold, and when it is dust. The venue and L97 go by these rules alike."""

from __future__ import annotations

import math
from typing import Final

from dataflows.execution.rounding import HAIR
from dataflows.kernels.contract import notional_of
from dataflows.runtime.compile import kernel

YEAR: Final = 365.0 * 86_400.0 * 1e9  # ns


@kernel
def year_part(before: int, now: int) -> float:
    """The time between two closes (UTC ns) as a fraction of a year; 0 where there is no close before."""
    return (now - before) / YEAR if 0 < before < now else 0.0


@kernel
def carry_cost(position: float, unit: float, funding: float, borrow: float, years: float) -> float:
    """What holding a position costs in one bar, in the account's currency: funding, and for a short one borrow cost.

    unit: notional of one at the mark. funding: rate of the bar, paid by longs; unknown (NaN): nothing. borrow: fraction of the
    value a year."""
    if not (unit > 0.0):
        return 0.0  # held from the start, and no price is known yet
    value = position * unit
    cost = value * funding if math.fabs(funding) < math.inf else 0.0
    if position < 0.0 and borrow > 0.0:
        cost -= value * borrow * years
    return cost


@kernel
def entry_value(limit: float, mark: float, multiplier: float, inverse: int) -> float:
    """The notional of one unit of an entry: the smaller at the mark and at its limit (NaN: at the market). 0: no mark is
    known."""
    if not (mark > 0.0):
        return 0.0
    value = notional_of(mark, multiplier, inverse)
    if limit > 0.0:
        at_limit = notional_of(limit, multiplier, inverse)
        return at_limit if at_limit < value else value
    return value


@kernel
def is_dust(position: float, unit: float, lot: float, least: float, exempt: int) -> bool:
    """True where no order can close the position: below a lot, or worth less than the least notional where reductions are not
    exempt from it. unit: notional of one. A position of 0 is no dust."""
    size = math.fabs(position)
    if not (size > 0.0):
        return False
    return size < lot * (1.0 - HAIR) or (exempt == 0 and size * unit < least * (1.0 - HAIR))
