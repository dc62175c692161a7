"""The simulated venue: its books, and what it does with one symbol in one bar. L90 is made of these."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import NAN, Axes, Count, Unknown, Zero
from dataflows.execution.order_table import LARGEST, IntSlots, Slots, UnknownSlots, closes_position, complete, moved, same_side
from dataflows.execution.types import (
    ACCEPT,
    CANCELED_EVENT,
    EXPIRE,
    FILL,
    LIMIT,
    MAKER,
    MARKET,
    POST_ONLY,
    REJECT,
    REJECTIONS,
    STOP_MARKET,
    TAKE_PROFIT,
    TAKER,
    Executions,
)
from dataflows.kernels.compile import kernel
from dataflows.panel import Floats, Ints

WOULD_CROSS = REJECTIONS.index("WOULD_CROSS")
NO_ROOM = REJECTIONS.index("NO_ROOM")
REDUCE_ONLY = REJECTIONS.index("REDUCE_ONLY")
NOT_LISTED = REJECTIONS.index("NOT_LISTED")
BAD_QUANTITY = REJECTIONS.index("BAD_QUANTITY")
BAD_PRICE = REJECTIONS.index("BAD_PRICE")
LIFETIME = REJECTIONS.index("LIFETIME")
POSITION_CLOSED = REJECTIONS.index("POSITION_CLOSED")


class VenueCarry(NamedTuple):
    """Orders under way and at rest, the position they made, and the market as of the previous close."""

    id: IntSlots  # 0: the row is free
    type: IntSlots
    reduce_only: IntSlots
    live_from: IntSlots  # number of the first bar in which the order is at the venue
    accepted_in: IntSlots  # number of the bar that accepted it; 0: still under way
    tried: IntSlots  # 1 once a bar has traded since it was accepted: it then rests
    triggered: IntSlots  # 1: a stop that was reached, now a market order
    cancel_from: IntSlots  # number of the bar in which a cancel takes effect; 0 none
    modify_from: IntSlots
    quantity: Slots
    filled: Slots
    limit_price: UnknownSlots
    stop_price: UnknownSlots
    new_stop: UnknownSlots
    lifetime: Slots
    bracket_stop: UnknownSlots
    bracket_target: UnknownSlots
    position: Zero
    opened_by: Count
    orders: Count  # rows in use
    fills: Count
    bars: Annotated[Ints, Axes(1)]
    last_close: Annotated[Ints, Axes(1)]  # UTC ns
    mid: Unknown
    spread_bps: Unknown
    sigma: Unknown
    volume: Unknown  # average of a bar, base units
    bid_price: Annotated[Floats, Axes("N", "D", start=NAN)]
    bid_size: Annotated[Floats, Axes("N", "D", start=NAN)]
    ask_price: Annotated[Floats, Axes("N", "D", start=NAN)]
    ask_size: Annotated[Floats, Axes("N", "D", start=NAN)]


@kernel
def report(log: Executions, k: int, kind: int, s: int, order_id: int, reason: int) -> int:
    """Writes entry k of the log, not a fill, and returns k + 1."""
    log.kind[k], log.symbol[k], log.id[k], log.reason[k] = kind, s, order_id, reason
    log.fill_id[k], log.liquidity[k] = 0, TAKER
    log.quantity[k], log.fee[k] = 0.0, 0.0
    log.price[k] = log.reference_price[k] = math.nan
    return k + 1


@kernel
def enter(carry: VenueCarry, s: int, order_id: int, type_: int, reduce_only: int, quantity: float) -> int:
    """Takes a free row for an order, prices still unknown; -1: none is free."""
    for m in range(carry.id.shape[0]):
        if carry.id[m, s] == 0:
            carry.id[m, s], carry.type[m, s], carry.reduce_only[m, s] = order_id, type_, reduce_only
            carry.accepted_in[m, s] = carry.tried[m, s] = carry.triggered[m, s] = 0
            carry.live_from[m, s] = carry.cancel_from[m, s] = carry.modify_from[m, s] = 0
            carry.quantity[m, s], carry.filled[m, s], carry.lifetime[m, s] = quantity, 0.0, 0.0
            carry.limit_price[m, s] = carry.stop_price[m, s] = carry.new_stop[m, s] = math.nan
            carry.bracket_stop[m, s] = carry.bracket_target[m, s] = math.nan
            carry.orders[s] += 1
            return m
    return -1


@kernel
def leave(carry: VenueCarry, s: int, m: int) -> None:
    """Frees a row."""
    carry.id[m, s] = 0
    carry.orders[s] -= 1


@kernel
def next_order(carry: VenueCarry, s: int, after: int) -> int:
    """The slot of the order at the venue with the smallest id above `after`, so that they go in order of arrival; -1: none."""
    best = -1
    for m in range(carry.id.shape[0]):
        order_id = carry.id[m, s]
        if order_id > after and carry.accepted_in[m, s] != 0 and (best < 0 or order_id < carry.id[best, s]):
            best = m
    return best


@kernel
def slippage(carry: VenueCarry, s: int, quantity: float, use_book: int, impact: float, default_bps: float) -> float:
    """Fraction of price that taking `quantity` (signed) at once costs, by what was known at the previous close; in [0, 0.5].

    The levels of the book against its mid; what they do not hold pays the square-root law on top of the last level. Without a
    book: half the spread plus that law, sigma * sqrt(quantity / volume of a bar) (Torre 1997).
    """
    size = math.fabs(quantity)
    law = default_bps / 1e4
    known = carry.sigma[s] >= 0.0 and carry.volume[s] > 0.0
    if known:
        law = impact * carry.sigma[s] * math.sqrt(size / carry.volume[s])
    half = carry.spread_bps[s] / 2e4 if carry.spread_bps[s] >= 0.0 else (default_bps / 1e4 if known else 0.0)
    cost = half + law
    if use_book != 0 and carry.mid[s] > 0.0:
        side = 1.0 if quantity > 0.0 else -1.0
        taken, paid, last = 0.0, 0.0, 0.0
        for d in range(carry.ask_price.shape[1]):
            price = carry.ask_price[s, d] if quantity > 0.0 else carry.bid_price[s, d]
            held = carry.ask_size[s, d] if quantity > 0.0 else carry.bid_size[s, d]
            if not (price > 0.0 and held > 0.0):
                break
            part = held if held < size - taken else size - taken
            taken += part
            paid += part * price
            last = price
            if not (taken < size):
                break
        if taken > 0.0:
            rest = size - taken
            if rest > 0.0:
                beyond = impact * carry.sigma[s] * math.sqrt(rest / carry.volume[s]) if known else default_bps / 1e4
                paid += rest * last * (1.0 + side * (beyond if beyond < 0.5 else 0.5))
            cost = side * (paid / size / carry.mid[s] - 1.0)
    if not (cost > 0.0):
        return 0.0
    return cost if cost < 0.5 else 0.5


@kernel
def share(left: float, room: float, lot: float) -> float:
    """How much of `left` fits in `room`: all of it, or whole lots."""
    if room >= left:
        return left
    if not (room > 0.0):
        return 0.0
    return math.floor(room / lot + 1e-9) * lot if lot > 0.0 else room


@kernel
def close_out(carry: VenueCarry, log: Executions, k: int, s: int) -> int:
    """The position is closed: its bracket, other reduce-only orders and the rest of the entry that opened it are canceled."""
    for m in range(carry.id.shape[0]):
        order_id = carry.id[m, s]
        if order_id != 0 and carry.accepted_in[m, s] != 0 and (carry.reduce_only[m, s] != 0 or order_id == carry.opened_by[s]):
            k = report(log, k, CANCELED_EVENT, s, order_id, POSITION_CLOSED)
            leave(carry, s, m)
    carry.opened_by[s] = 0
    return k


@kernel
def open_bracket(
    carry: VenueCarry, log: Executions, k: int, s: int, order_id: int, stop: float, target: float, bar: int
) -> int:
    """The position is opened: the stop (id + 1) and the target (id + 2) of the entry go live at once, each for all of it."""
    carry.opened_by[s] = order_id
    for which in range(1, 3):
        price = stop if which == 1 else target
        if math.isnan(price):
            continue
        m = enter(carry, s, order_id + which, STOP_MARKET if which == 1 else TAKE_PROFIT, 1, -carry.position[s])
        if m < 0:
            k = report(log, k, REJECT, s, order_id + which, NO_ROOM)
            continue
        if which == 1:
            carry.stop_price[m, s] = price
        else:
            carry.limit_price[m, s] = price
        carry.accepted_in[m, s] = bar
        k = report(log, k, ACCEPT, s, order_id + which, 0)
    return k


@kernel
def fill(
    carry: VenueCarry,
    log: Executions,
    k: int,
    s: int,
    m: int,
    quantity: float,
    reference: float,
    price: float,
    fee_bps: float,
    liquidity: int,
    uid: int,
    bar: int,
) -> int:
    """Fills `quantity` (signed) of the order in slot m and does what follows from it: bracket, OCO, end of the order."""
    order_id, reduce_only = carry.id[m, s], carry.reduce_only[m, s]
    stop, target = carry.bracket_stop[m, s], carry.bracket_target[m, s]
    before = carry.position[s]
    after = moved(before, quantity)
    carry.position[s] = after
    carry.filled[m, s] += quantity
    carry.fills[s] += 1
    log.kind[k], log.symbol[k], log.id[k], log.reason[k] = FILL, s, order_id, 0
    log.fill_id[k], log.liquidity[k] = (uid << 32) | carry.fills[s], liquidity
    log.quantity[k], log.price[k], log.reference_price[k] = quantity, price, reference
    log.fee[k] = math.fabs(quantity) * price * fee_bps / 1e4
    k += 1
    closed = before > 0.0 >= after or before < 0.0 <= after
    opened = after > 0.0 >= before or after < 0.0 <= before
    whole = closed if closes_position(carry.type[m, s]) else complete(carry.quantity[m, s], carry.filled[m, s])
    if whole:
        leave(carry, s, m)
    if closed:
        k = close_out(carry, log, k, s)
    if opened:
        k = open_bracket(carry, log, k, s, order_id, stop if reduce_only == 0 else math.nan, target, bar)
    return k


@kernel
def refusal(carry: VenueCarry, s: int, m: int, listed: int, trades: int, open_: float) -> int:
    """Why the venue does not take the order in slot m, as a REJECTIONS index; 0: it does."""
    type_, quantity = carry.type[m, s], carry.quantity[m, s]
    price = carry.stop_price[m, s] if type_ == STOP_MARKET else carry.limit_price[m, s]
    if listed == 0:
        return NOT_LISTED
    if not (0.0 < math.fabs(quantity) < LARGEST):
        return BAD_QUANTITY
    if type_ != MARKET and not (0.0 < price < LARGEST):
        return BAD_PRICE
    if closes_position(type_) and carry.reduce_only[m, s] == 0:
        return REDUCE_ONLY
    if carry.reduce_only[m, s] != 0 and not same_side(-carry.position[s], quantity):
        return REDUCE_ONLY
    if type_ == POST_ONLY and trades != 0 and (open_ < price if quantity > 0.0 else open_ > price):
        return WOULD_CROSS
    return 0


@kernel
def arrivals(carry: VenueCarry, log: Executions, k: int, s: int, bar: int, listed: int, trades: int, open_: float) -> int:
    """Cancels and changes that are due, then activations in order of id."""
    for m in range(carry.id.shape[0]):
        if carry.id[m, s] == 0:
            continue
        if 0 < carry.cancel_from[m, s] <= bar:
            k = report(log, k, CANCELED_EVENT, s, carry.id[m, s], 0)
            leave(carry, s, m)
        elif 0 < carry.modify_from[m, s] <= bar:
            carry.stop_price[m, s] = carry.new_stop[m, s]
            carry.modify_from[m, s] = 0
            k = report(log, k, ACCEPT, s, carry.id[m, s], 0)
    after = 0
    while True:
        best = -1
        for m in range(carry.id.shape[0]):
            order_id = carry.id[m, s]
            due = order_id > after and carry.accepted_in[m, s] == 0 and carry.live_from[m, s] <= bar
            if due and (best < 0 or order_id < carry.id[best, s]):
                best = m
        if best < 0:
            return k
        after = carry.id[best, s]
        why = refusal(carry, s, best, listed, trades, open_)
        k = report(log, k, REJECT if why != 0 else ACCEPT, s, after, why)
        if why != 0:
            leave(carry, s, best)
        else:
            carry.accepted_in[best, s] = bar


@kernel
def at_open(
    carry: VenueCarry,
    log: Executions,
    k: int,
    s: int,
    bar: int,
    open_: float,
    volume: float,
    participation: float,
    use_book: int,
    impact: float,
    default_bps: float,
    lot: float,
    taker_bps: float,
    uid: int,
) -> tuple[int, float, float]:
    """Market orders, stops reached earlier, and limits that arrive marketable, at the open plus slippage.

    Returns the log's length, and the volume that entries and that all orders took.
    """
    by_entries, by_all = 0.0, 0.0
    after = 0
    while True:
        m = next_order(carry, s, after)
        if m < 0:
            return k, by_entries, by_all
        after = carry.id[m, s]
        type_, quantity, limit = carry.type[m, s], carry.quantity[m, s], carry.limit_price[m, s]
        buys = quantity > 0.0
        arrives = type_ == LIMIT and carry.tried[m, s] == 0 and (open_ < limit if buys else open_ > limit)
        carry.tried[m, s] = 1
        if not (type_ == MARKET or arrives or carry.triggered[m, s] != 0):
            continue
        left = math.fabs(quantity) - math.fabs(carry.filled[m, s])
        room = volume - by_all
        if carry.reduce_only[m, s] != 0:
            held = math.fabs(carry.position[s])
            if closes_position(type_):
                buys = carry.position[s] < 0.0
                left = held
            left = left if left < held else held
        else:
            allowed = participation * volume - by_entries
            room = room if room < allowed else allowed
        size = share(left, room, lot)
        if not (size > 0.0):
            continue
        side = 1.0 if buys else -1.0
        price = open_ * (1.0 + side * slippage(carry, s, side * size, use_book, impact, default_bps))
        if arrives and (price > limit if buys else price < limit):
            price = limit
        by_all += size
        if carry.reduce_only[m, s] == 0:
            by_entries += size
        k = fill(carry, log, k, s, m, side * size, open_, price, taker_bps, TAKER, uid, bar)


@kernel
def in_path(
    carry: VenueCarry,
    log: Executions,
    k: int,
    s: int,
    bar: int,
    open_: float,
    high: float,
    low: float,
    volume: float,
    by_entries: float,
    by_all: float,
    participation: float,
    queue_share: float,
    use_book: int,
    impact: float,
    default_bps: float,
    lot: float,
    taker_bps: float,
    maker_bps: float,
    uid: int,
) -> int:
    """Limit entries, then stops, then targets and other reduce-only limits: where one bar holds several, the worse comes
    first."""
    by_queue = 0.0
    limit_entry = False
    for leg in range(3):
        after = 0
        while True:
            m = next_order(carry, s, after)
            if m < 0:
                break
            after = carry.id[m, s]
            type_, quantity, limit = carry.type[m, s], carry.quantity[m, s], carry.limit_price[m, s]
            reduces = carry.reduce_only[m, s] != 0
            passive = type_ in (LIMIT, POST_ONLY, TAKE_PROFIT)
            mine = 0 if passive and not reduces else 1 if type_ == STOP_MARKET else 2 if passive else 3
            if mine != leg:
                continue
            if carry.triggered[m, s] != 0 or (type_ == TAKE_PROFIT and limit_entry):
                continue
            held = math.fabs(carry.position[s])
            buys = carry.position[s] < 0.0 if closes_position(type_) else quantity > 0.0
            left = held if closes_position(type_) else math.fabs(quantity) - math.fabs(carry.filled[m, s])
            side = 1.0 if buys else -1.0
            room = volume - by_all
            if leg == 1:
                stop = carry.stop_price[m, s]
                if not (high >= stop if buys else low <= stop):
                    continue
                carry.triggered[m, s] = 1
                reference = (open_ if open_ > stop else stop) if buys else (open_ if open_ < stop else stop)
            else:
                if not (low < limit if buys else high > limit):
                    continue
                reference = (open_ if open_ < limit else limit) if buys else (open_ if open_ > limit else limit)
                allowed = queue_share * volume - by_queue
                room = room if room < allowed else allowed
            if reduces:
                left = left if left < held else held
            else:
                allowed = participation * volume - by_entries
                room = room if room < allowed else allowed
            size = share(left, room, lot)
            if not (size > 0.0):
                continue
            by_all += size
            if leg == 1:
                price = reference * (1.0 + side * slippage(carry, s, side * size, use_book, impact, default_bps))
                k = fill(carry, log, k, s, m, side * size, reference, price, taker_bps, TAKER, uid, bar)
            else:
                by_queue += size
                if not reduces:
                    by_entries += size
                    limit_entry = True
                k = fill(carry, log, k, s, m, side * size, reference, reference, maker_bps, MAKER, uid, bar)
    return k


@kernel
def expiries(carry: VenueCarry, log: Executions, k: int, s: int, bar: int) -> int:
    """Orders whose life ends with this bar."""
    for m in range(carry.id.shape[0]):
        here = carry.id[m, s] != 0 and carry.accepted_in[m, s] != 0
        if here and 0.0 < carry.lifetime[m, s] <= bar - carry.accepted_in[m, s] + 1:
            k = report(log, k, EXPIRE, s, carry.id[m, s], LIFETIME)
            leave(carry, s, m)
    return k
