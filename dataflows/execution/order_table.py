"""The order table: what each event does to an order, and how rows are found, taken and given back.

An order's life is one table, status x event, below. "Partly filled" is a quantity, not a status. The compiled reducer (L96) and
the order history use it as the matrix `NEXT`. A pair that is not in it contradicts what is known: the status stays and the
event is counted as unknown, so that reconciliation and the kill switch see it; the quantity of a fill counts all the same,
because money moved.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dataflows.execution.types import (
    ACCEPT,
    ACCEPTED,
    CANCEL_REJECT,
    CANCELED,
    CANCELED_EVENT,
    EVENTS,
    EXPIRE,
    EXPIRED,
    FILL,
    FILLED,
    NONE,
    PENDING_CANCEL,
    PENDING_MODIFY,
    REJECT,
    REJECTED_ORDER,
    STATUSES,
    STOP_LIMIT,
    STOP_MARKET,
    SUBMITTED,
    TAKE_PROFIT,
)
from dataflows.panel import Ints
from dataflows.runtime.compile import kernel

TRANSITIONS: Final[dict[tuple[int, int], int]] = {
    (SUBMITTED, ACCEPT): ACCEPTED,
    (SUBMITTED, REJECT): REJECTED_ORDER,
    (SUBMITTED, CANCELED_EVENT): CANCELED,  # the venue took it off before its acknowledgement arrived
    (SUBMITTED, EXPIRE): EXPIRED,  # likewise
    (SUBMITTED, FILL): ACCEPTED,  # the fill outran its acknowledgement
    (SUBMITTED, CANCEL_REJECT): SUBMITTED,  # a change was refused; the order itself is still under way
    (ACCEPTED, ACCEPT): ACCEPTED,  # the acknowledgement after a fill, of a changed stop, or once more
    (ACCEPTED, REJECT): REJECTED_ORDER,  # acknowledged by the gateway, refused by the matching engine
    (ACCEPTED, CANCELED_EVENT): CANCELED,
    (ACCEPTED, EXPIRE): EXPIRED,
    (ACCEPTED, FILL): ACCEPTED,
    (ACCEPTED, CANCEL_REJECT): ACCEPTED,  # a change was refused, or the answer to a cancel came twice
    (PENDING_CANCEL, ACCEPT): PENDING_CANCEL,  # the acknowledgement crossed our cancel
    (PENDING_CANCEL, REJECT): REJECTED_ORDER,  # the refusal crossed our cancel
    (PENDING_CANCEL, CANCELED_EVENT): CANCELED,
    (PENDING_CANCEL, EXPIRE): EXPIRED,
    (PENDING_CANCEL, FILL): PENDING_CANCEL,  # filled before the cancel arrived; the rest may still be canceled
    (PENDING_CANCEL, CANCEL_REJECT): ACCEPTED,  # it goes on working, and may be canceled anew
    (PENDING_MODIFY, ACCEPT): ACCEPTED,  # changed
    (PENDING_MODIFY, REJECT): REJECTED_ORDER,  # acknowledged by the gateway, refused by the matching engine
    (PENDING_MODIFY, CANCELED_EVENT): CANCELED,
    (PENDING_MODIFY, EXPIRE): EXPIRED,
    (PENDING_MODIFY, FILL): PENDING_MODIFY,  # filled before the change arrived
    (PENDING_MODIFY, CANCEL_REJECT): ACCEPTED,  # the change was refused: it works on as it was
    (FILLED, ACCEPT): FILLED,  # late
    (FILLED, CANCELED_EVENT): FILLED,  # nothing was left to cancel
    (FILLED, EXPIRE): FILLED,  # nothing was left to expire
    (FILLED, FILL): FILLED,  # an overfill: recorded in full and flagged
    (FILLED, CANCEL_REJECT): FILLED,  # too late to cancel
    (CANCELED, ACCEPT): CANCELED,  # late
    (CANCELED, REJECT): CANCELED,  # the answer to a cancel that came twice; not working either way
    (CANCELED, CANCELED_EVENT): CANCELED,  # once more
    (CANCELED, EXPIRE): CANCELED,  # not working either way
    (CANCELED, FILL): CANCELED,  # the fill was in flight when the cancel was confirmed
    (CANCELED, CANCEL_REJECT): CANCELED,  # the answer to a second cancel
    (REJECTED_ORDER, ACCEPT): REJECTED_ORDER,  # the gateway's acknowledgement, late
    (REJECTED_ORDER, REJECT): REJECTED_ORDER,  # once more
    (REJECTED_ORDER, CANCELED_EVENT): REJECTED_ORDER,  # not working either way
    (REJECTED_ORDER, EXPIRE): REJECTED_ORDER,  # not working either way
    (REJECTED_ORDER, CANCEL_REJECT): REJECTED_ORDER,  # our cancel crossed the refusal
    (EXPIRED, ACCEPT): EXPIRED,  # late
    (EXPIRED, REJECT): EXPIRED,  # not working either way
    (EXPIRED, CANCELED_EVENT): EXPIRED,  # not working either way
    (EXPIRED, EXPIRE): EXPIRED,  # once more
    (EXPIRED, FILL): EXPIRED,  # the fill was in flight when the order expired
    (EXPIRED, CANCEL_REJECT): EXPIRED,  # our cancel crossed the expiry
}
"""(status, event) to status. Absent, a contradiction: any event of NONE (no such order), a refusal of a filled order, a fill
of a refused one, and FUNDING, which is of no order."""

CONTRADICTION: Final = -1


def _matrix() -> Ints:
    table = np.full((len(STATUSES), len(EVENTS)), CONTRADICTION, dtype=np.int64)
    for (status, event), then in TRANSITIONS.items():
        table[status, event] = then
    return table


NEXT: Final[Ints] = _matrix()
"""TRANSITIONS as int64 (status, event); CONTRADICTION where absent."""

LIVE: Final = (SUBMITTED, ACCEPTED, PENDING_CANCEL, PENDING_MODIFY)
"""Statuses in which an order may still fill by the venue's rules."""


@kernel
def is_live(status: int) -> bool:
    """True while an order of this status may still fill."""
    return status in (SUBMITTED, ACCEPTED, PENDING_CANCEL, PENDING_MODIFY)


@kernel
def closes_position(type_: int) -> bool:
    """True for the orders that close whatever position there is: a resting stop and a target, never anything else."""
    return type_ in (STOP_MARKET, TAKE_PROFIT, STOP_LIMIT)


@kernel
def is_stop(type_: int) -> bool:
    """True for the orders that wait for a trigger."""
    return type_ in (STOP_MARKET, STOP_LIMIT)


@kernel
def find(ids: Ints, s: int, order_id: int) -> int:
    """The slot of an order in column s of ids (slots, N); -1: not there. Id 0 is no order."""
    if order_id == 0:
        return -1
    for m in range(ids.shape[0]):
        if ids[m, s] == order_id:
            return m
    return -1


@kernel
def allocate(status: Ints, stamp: Ints, s: int) -> int:
    """A slot for a new order in column s: a fresh one, else that of the order that ended and was registered first; -1: none.

    status, stamp: (slots, N). An order that has ended keeps its row as long as the room lasts, so that late events still find
    it; an order that may still fill is never given up.
    """
    best = -1
    for m in range(status.shape[0]):
        if status[m, s] == NONE:
            return m
        if not is_live(status[m, s]) and (best < 0 or stamp[m, s] < stamp[best, s]):
            best = m
    return best


@kernel
def same_side(a: float, b: float) -> bool:
    """True when both buy or both sell; a product of two small numbers could be 0."""
    return (a > 0.0 and b > 0.0) or (a < 0.0 and b < 0.0)


@kernel
def complete(quantity: float, filled: float) -> bool:
    """True when nothing is left of an order but rounding. quantity, filled: signed."""
    return math.fabs(filled) >= math.fabs(quantity) * (1.0 - 1e-9)


@kernel
def moved(position: float, quantity: float) -> float:
    """The position after a fill; 0 exactly where only rounding is left. The venue, L96 and L97 add fills up by this one
    rule."""
    after = position + quantity
    if math.fabs(after) <= 1e-12 * (math.fabs(position) + math.fabs(quantity)):
        return 0.0
    return after


LARGEST: Final = 1e15
"""A price, quantity or fee beyond this is no money: it is refused, so that no product of them overflows."""

FRESH: Final = 1
SEEN: Final = 0
TOO_OLD: Final = -1


@kernel
def first_sight(seen: Ints, s: int, sequence: int) -> int:
    """FRESH the first time that a fill's sequence number is shown, SEEN after, TOO_OLD where that can no longer be told.

    seen: (window, N), the last sequence number of each remainder, updated. Numbers start at 1 and rise by 1 a fill of the
    symbol, but may arrive in any order; one that is `window` or more behind is TOO_OLD.
    """
    if sequence < 1:
        return TOO_OLD
    place = sequence % seen.shape[0]
    if seen[place, s] == sequence:
        return SEEN
    if seen[place, s] > sequence:
        return TOO_OLD
    seen[place, s] = sequence
    return FRESH
