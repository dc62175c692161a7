"""The books of the simulated venue: the orders that it knows, the market as it last saw it, and the log of its reports."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import NAN, Axes, Zero
from dataflows.execution.types import GTC, REJECTIONS, TAKER, Executions
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

WOULD_CROSS = REJECTIONS.index("WOULD_CROSS")
NO_ROOM = REJECTIONS.index("NO_ROOM")
REDUCE_ONLY = REJECTIONS.index("REDUCE_ONLY")
NOT_LISTED = REJECTIONS.index("NOT_LISTED")
BAD_QUANTITY = REJECTIONS.index("BAD_QUANTITY")
BAD_PRICE = REJECTIONS.index("BAD_PRICE")
LIFETIME = REJECTIONS.index("LIFETIME")
UNKNOWN_ORDER = REJECTIONS.index("UNKNOWN_ORDER")
POSITION_CLOSED = REJECTIONS.index("POSITION_CLOSED")
PRICE_BAND = REJECTIONS.index("PRICE_BAND")
MIN_NOTIONAL = REJECTIONS.index("MIN_NOTIONAL")
NO_SHORT = REJECTIONS.index("NO_SHORT")
MOST_ORDERS = REJECTIONS.index("MOST_ORDERS")
RATE = REJECTIONS.index("RATE")
DELISTED = REJECTIONS.index("DELISTED")
LIQUIDATED = REJECTIONS.index("LIQUIDATED")
DUST_SWEPT = REJECTIONS.index("DUST_SWEPT")
IMMEDIATE = REJECTIONS.index("IMMEDIATE")

# Orders at the venue are two blocks, whole numbers and others, so that compiled code hands on few arrays. Rows of `codes`:
ID, TYPE, REDUCES, LIVE_FROM, ACCEPTED_IN, TRIED, TRIGGERED, CANCEL_FROM, MODIFY_FROM, IN_FORCE = range(10)
# ID 0: the place is free. LIVE_FROM: number of the first bar in which the order is at the venue. ACCEPTED_IN: number of the bar
# that accepted it; 0: still under way. TRIED: 1 once a bar has traded since, it then rests. TRIGGERED: number of the bar that
# reached a stop, which is a market or a limit order from then on; 0: none has. CANCEL_FROM, MODIFY_FROM: number of the bar in
# which a cancel or change takes effect; 0 none.
# Rows of `numbers`:
QUANTITY, DONE, LIMIT_PRICE, STOP_PRICE, LIFE, BRACKET_STOP, BRACKET_LIMIT, BRACKET_TARGET = range(8)
NEW_PRICE, NEW_LIMIT, NEW_QUANTITY = range(8, 11)
# NEW_PRICE: what a change makes of the trigger of a stop, of the limit of another order. NEW_LIMIT: of the limit of a stop;
# NaN: as it is. NEW_QUANTITY: of the whole order; NaN: as it is.
# rows of `counts`: the entry that opened the position, orders in the book, fills so far; of `instant`: bars so far, last close
# (UTC ns), messages since then, the UTC day of this bar; of `quoted`: the market as of the previous close, VOLUME the average
# of a bar in base units, CLOSE the last one known; of `book`: its levels
OPENED_BY, ORDERS, FILLS = range(3)
BARS, LAST_CLOSE, MESSAGES, TODAY = range(4)
MID, SPREAD_BPS, SIGMA, VOLUME, CLOSE = range(5)
BID_PRICE, BID_SIZE, ASK_PRICE, ASK_SIZE = range(4)


class VenueCarry(NamedTuple):
    """Orders under way and at rest, the position they made, and the market as of the previous close."""

    codes: Annotated[Ints, Axes(10, "slots", "N")]
    numbers: Annotated[Floats, Axes(11, "slots", "N")]
    position: Zero
    money: Annotated[Floats, Axes(1, start="start_cash")]  # cash of the account
    traded: Annotated[Floats, Axes(31)]  # notional of the UTC days, a ring: today's and of the 30 before
    counts: Annotated[Ints, Axes(3, "N")]
    instant: Annotated[Ints, Axes(4)]
    quoted: Annotated[Floats, Axes(5, "N", start=NAN)]
    book: Annotated[Floats, Axes(4, "N", "D", start=NAN)]


# Rows of the log's two blocks:
KIND, SYMBOL, ORDER, FILL_ID, LIQUIDITY, REASON = range(6)
TRADED, PRICE, FEE, REFERENCE, TOUCH, FEE_BASE, VENUE_POSITION, VENUE_CASH = range(8)


class Log(NamedTuple):
    """The columns of `Executions` while they are written."""

    n: Ints  # (1,) entries so far
    ints: Ints  # (6, room): kind, symbol, order, fill_id, liquidity, reason
    floats: Floats  # (8, room): quantity, price, fee, reference_price, touch_price, fee_base, venue_position, venue_cash


@kernel
def new_log(room: int) -> Log:
    """An empty log with room for so many reports."""
    return Log(full(1, 0), full((6, room), 0), full((8, room), math.nan))


@kernel
def executions_of(log: Log) -> Executions:
    """The log as the layer hands it on."""
    return Executions(
        n=int(log.n[0]),
        kind=log.ints[KIND],
        symbol=log.ints[SYMBOL],
        id=log.ints[ORDER],
        fill_id=log.ints[FILL_ID],
        quantity=log.floats[TRADED],
        price=log.floats[PRICE],
        fee=log.floats[FEE],
        liquidity=log.ints[LIQUIDITY],
        reference_price=log.floats[REFERENCE],
        touch_price=log.floats[TOUCH],
        reason=log.ints[REASON],
        fee_base=log.floats[FEE_BASE],
        venue_position=log.floats[VENUE_POSITION],
        venue_cash=log.floats[VENUE_CASH],
    )


@kernel
def report(log: Log, kind: int, s: int, order_id: int, reason: int) -> int:
    """Appends a report that is no fill, and returns its place."""
    k, ints, floats = int(log.n[0]), log.ints, log.floats
    ints[KIND, k], ints[SYMBOL, k], ints[ORDER, k] = kind, s, order_id
    ints[FILL_ID, k], ints[LIQUIDITY, k], ints[REASON, k] = 0, TAKER, reason
    floats[TRADED, k], floats[FEE, k], floats[FEE_BASE, k] = 0.0, 0.0, 0.0
    floats[PRICE, k] = floats[REFERENCE, k] = floats[TOUCH, k] = floats[VENUE_POSITION, k] = floats[VENUE_CASH, k] = math.nan
    log.n[0] = k + 1
    return k


@kernel
def enter(carry: VenueCarry, s: int, order_id: int, type_: int, reduce_only: int, quantity: float) -> int:
    """Takes a free row for an order, prices still unknown; -1: none is free."""
    for m in range(carry.codes.shape[1]):
        if carry.codes[ID, m, s] == 0:
            carry.codes[ID, m, s], carry.codes[TYPE, m, s], carry.codes[REDUCES, m, s] = order_id, type_, reduce_only
            carry.codes[ACCEPTED_IN, m, s] = carry.codes[TRIED, m, s] = carry.codes[TRIGGERED, m, s] = 0
            carry.codes[LIVE_FROM, m, s] = carry.codes[CANCEL_FROM, m, s] = carry.codes[MODIFY_FROM, m, s] = 0
            carry.codes[IN_FORCE, m, s] = GTC
            carry.numbers[QUANTITY, m, s], carry.numbers[DONE, m, s], carry.numbers[LIFE, m, s] = quantity, 0.0, 0.0
            carry.numbers[NEW_QUANTITY, m, s] = carry.numbers[NEW_LIMIT, m, s] = math.nan
            carry.numbers[LIMIT_PRICE, m, s] = carry.numbers[STOP_PRICE, m, s] = carry.numbers[NEW_PRICE, m, s] = math.nan
            carry.numbers[BRACKET_STOP, m, s] = carry.numbers[BRACKET_LIMIT, m, s] = carry.numbers[BRACKET_TARGET, m, s] = (
                math.nan
            )
            carry.counts[ORDERS, s] += 1
            return m
    return -1


@kernel
def leave(carry: VenueCarry, s: int, m: int) -> None:
    """Frees a row."""
    carry.codes[ID, m, s] = 0
    carry.counts[ORDERS, s] -= 1


@kernel
def next_order(carry: VenueCarry, s: int, after: int) -> int:
    """The slot of the order at the venue with the smallest id above `after`, so that they go in order of arrival; -1: none."""
    best = -1
    for m in range(carry.codes.shape[1]):
        order_id = carry.codes[ID, m, s]
        if order_id > after and carry.codes[ACCEPTED_IN, m, s] != 0 and (best < 0 or order_id < carry.codes[ID, best, s]):
            best = m
    return best
