"""The simulated venue: its books, and what it does with one symbol in one bar. L90 is made of these."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import NAN, Axes, Zero
from dataflows.execution.order_table import LARGEST, closes_position, complete, moved, same_side
from dataflows.execution.rounding import HAIR
from dataflows.execution.types import (
    ACCEPT,
    CANCEL_REJECT,
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
)
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

WOULD_CROSS = REJECTIONS.index("WOULD_CROSS")
NO_ROOM = REJECTIONS.index("NO_ROOM")
REDUCE_ONLY = REJECTIONS.index("REDUCE_ONLY")
NOT_LISTED = REJECTIONS.index("NOT_LISTED")
BAD_QUANTITY = REJECTIONS.index("BAD_QUANTITY")
BAD_PRICE = REJECTIONS.index("BAD_PRICE")
LIFETIME = REJECTIONS.index("LIFETIME")
POSITION_CLOSED = REJECTIONS.index("POSITION_CLOSED")
PRICE_BAND = REJECTIONS.index("PRICE_BAND")
MIN_NOTIONAL = REJECTIONS.index("MIN_NOTIONAL")
NO_SHORT = REJECTIONS.index("NO_SHORT")


# Orders at the venue are two blocks, whole numbers and others, so that compiled code hands on few arrays. Rows of `codes`:
ID, TYPE, REDUCES, LIVE_FROM, ACCEPTED_IN, TRIED, TRIGGERED, CANCEL_FROM, MODIFY_FROM = range(9)
# ID 0: the place is free. LIVE_FROM: number of the first bar in which the order is at the venue. ACCEPTED_IN: number of the bar
# that accepted it; 0: still under way. TRIED: 1 once a bar has traded since, it then rests. TRIGGERED: 1: a stop that was
# reached, now a market order. CANCEL_FROM, MODIFY_FROM: number of the bar in which a cancel or change takes effect; 0 none.
# Rows of `numbers`:
QUANTITY, DONE, LIMIT_PRICE, STOP_PRICE, NEW_PRICE, LIFE, BRACKET_STOP, BRACKET_TARGET = range(8)
# NEW_PRICE: what a change makes of the stop of a stop order, of the limit of another.
# rows of `counts`: the entry that opened the position, orders in the book, fills so far; of `instant`: bars so far, last close
# (UTC ns), messages since then; of `quoted`: the market as of the previous close, VOLUME the average of a bar in base units,
# CLOSE the last one known; of `book`: its levels
OPENED_BY, ORDERS, FILLS = range(3)
BARS, LAST_CLOSE, MESSAGES = range(3)
MID, SPREAD_BPS, SIGMA, VOLUME, CLOSE = range(5)
BID_PRICE, BID_SIZE, ASK_PRICE, ASK_SIZE = range(4)


class VenueCarry(NamedTuple):
    """Orders under way and at rest, the position they made, and the market as of the previous close."""

    codes: Annotated[Ints, Axes(9, "slots", "N")]
    numbers: Annotated[Floats, Axes(8, "slots", "N")]
    position: Zero
    counts: Annotated[Ints, Axes(3, "N")]
    instant: Annotated[Ints, Axes(3)]
    quoted: Annotated[Floats, Axes(5, "N", start=NAN)]
    book: Annotated[Floats, Axes(4, "N", "D", start=NAN)]


class Log(NamedTuple):
    """The columns of `Executions` while they are written: kind, symbol, id, fill_id, liquidity, reason; quantity, price, fee,
    reference_price, touch_price."""

    ints: Ints
    floats: Floats


@kernel
def report(log: Log, k: int, kind: int, s: int, order_id: int, reason: int) -> int:
    """Writes entry k of the log, not a fill, and returns k + 1."""
    ints, floats = log.ints, log.floats
    ints[0, k], ints[1, k], ints[2, k], ints[3, k], ints[4, k], ints[5, k] = kind, s, order_id, 0, TAKER, reason
    floats[0, k], floats[1, k], floats[2, k], floats[3, k], floats[4, k] = 0.0, math.nan, 0.0, math.nan, math.nan
    return k + 1


@kernel
def enter(carry: VenueCarry, s: int, order_id: int, type_: int, reduce_only: int, quantity: float) -> int:
    """Takes a free row for an order, prices still unknown; -1: none is free."""
    for m in range(carry.codes.shape[1]):
        if carry.codes[ID, m, s] == 0:
            carry.codes[ID, m, s], carry.codes[TYPE, m, s], carry.codes[REDUCES, m, s] = order_id, type_, reduce_only
            carry.codes[ACCEPTED_IN, m, s] = carry.codes[TRIED, m, s] = carry.codes[TRIGGERED, m, s] = 0
            carry.codes[LIVE_FROM, m, s] = carry.codes[CANCEL_FROM, m, s] = carry.codes[MODIFY_FROM, m, s] = 0
            carry.numbers[QUANTITY, m, s], carry.numbers[DONE, m, s], carry.numbers[LIFE, m, s] = quantity, 0.0, 0.0
            carry.numbers[LIMIT_PRICE, m, s] = carry.numbers[STOP_PRICE, m, s] = carry.numbers[NEW_PRICE, m, s] = math.nan
            carry.numbers[BRACKET_STOP, m, s] = carry.numbers[BRACKET_TARGET, m, s] = math.nan
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


@kernel
def slippage(carry: VenueCarry, s: int, quantity: float, use_book: int, impact: float, default_bps: float) -> float:
    """Fraction of price that taking `quantity` (signed) at once costs, by what was known at the previous close; in [0, 0.5].

    The levels of the book against its mid; what they do not hold pays the square-root law on top of the last level. Without a
    book: half the spread plus that law, sigma * sqrt(quantity / volume of a bar) (Torre 1997).
    """
    size = math.fabs(quantity)
    law = default_bps / 1e4
    known = carry.quoted[SIGMA, s] >= 0.0 and carry.quoted[VOLUME, s] > 0.0
    if known:
        law = impact * carry.quoted[SIGMA, s] * math.sqrt(size / carry.quoted[VOLUME, s])
    half = carry.quoted[SPREAD_BPS, s] / 2e4 if carry.quoted[SPREAD_BPS, s] >= 0.0 else (default_bps / 1e4 if known else 0.0)
    cost = half + law
    if use_book != 0 and carry.quoted[MID, s] > 0.0:
        side = 1.0 if quantity > 0.0 else -1.0
        taken, paid, last = 0.0, 0.0, 0.0
        for d in range(carry.book.shape[2]):
            price = carry.book[ASK_PRICE, s, d] if quantity > 0.0 else carry.book[BID_PRICE, s, d]
            held = carry.book[ASK_SIZE, s, d] if quantity > 0.0 else carry.book[BID_SIZE, s, d]
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
                beyond = (
                    impact * carry.quoted[SIGMA, s] * math.sqrt(rest / carry.quoted[VOLUME, s]) if known else default_bps / 1e4
                )
                paid += rest * last * (1.0 + side * (beyond if beyond < 0.5 else 0.5))
            cost = side * (paid / size / carry.quoted[MID, s] - 1.0)
    if not (cost > 0.0):
        return 0.0
    return cost if cost < 0.5 else 0.5


@kernel
def touch_of(carry: VenueCarry, s: int, side: float, reference: float, price: float) -> float:
    """The reference moved by half the spread of the previous close, never beyond the fill's price; NaN: no spread is known."""
    half = carry.quoted[SPREAD_BPS, s] / 2e4
    if not (half >= 0.0):
        return math.nan
    touch = reference * (1.0 + side * half)
    return price if side * (touch - price) > 0.0 else touch


@kernel
def share(left: float, room: float, lot: float) -> float:
    """How much of `left` fits in `room`: all of it, or whole lots."""
    if room >= left:
        return left
    if not (room > 0.0):
        return 0.0
    return math.floor(room / lot + 1e-9) * lot if lot > 0.0 else room


@kernel
def close_out(carry: VenueCarry, log: Log, k: int, s: int) -> int:
    """The position is closed: its bracket, other reduce-only orders and the rest of the entry that opened it are canceled."""
    for m in range(carry.codes.shape[1]):
        order_id = carry.codes[ID, m, s]
        if (
            order_id != 0
            and carry.codes[ACCEPTED_IN, m, s] != 0
            and (carry.codes[REDUCES, m, s] != 0 or order_id == carry.counts[OPENED_BY, s])
        ):
            k = report(log, k, CANCELED_EVENT, s, order_id, POSITION_CLOSED)
            leave(carry, s, m)
    carry.counts[OPENED_BY, s] = 0
    return k


@kernel
def open_bracket(carry: VenueCarry, log: Log, k: int, s: int, order_id: int, stop: float, target: float, bar: int) -> int:
    """The position is opened: the stop (id + 1) and the target (id + 2) of the entry go live at once, each for all of it."""
    carry.counts[OPENED_BY, s] = order_id
    for which in range(1, 3):
        price = stop if which == 1 else target
        if math.isnan(price):
            continue
        m = enter(carry, s, order_id + which, STOP_MARKET if which == 1 else TAKE_PROFIT, 1, -carry.position[s])
        if m < 0:
            k = report(log, k, REJECT, s, order_id + which, NO_ROOM)
            continue
        if which == 1:
            carry.numbers[STOP_PRICE, m, s] = price
        else:
            carry.numbers[LIMIT_PRICE, m, s] = price
        carry.codes[ACCEPTED_IN, m, s] = bar
        k = report(log, k, ACCEPT, s, order_id + which, 0)
    return k


@kernel
def fill(
    carry: VenueCarry,
    log: Log,
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
    order_id, reduce_only = carry.codes[ID, m, s], carry.codes[REDUCES, m, s]
    stop, target = carry.numbers[BRACKET_STOP, m, s], carry.numbers[BRACKET_TARGET, m, s]
    before = carry.position[s]
    after = moved(before, quantity)
    carry.position[s] = after
    carry.numbers[DONE, m, s] += quantity
    carry.counts[FILLS, s] += 1
    ints, floats = log.ints, log.floats
    fill_id = (uid << 32) | carry.counts[FILLS, s]
    ints[0, k], ints[1, k], ints[2, k], ints[3, k], ints[4, k], ints[5, k] = FILL, s, order_id, fill_id, liquidity, 0
    fee = math.fabs(quantity) * price * fee_bps / 1e4
    floats[0, k], floats[1, k], floats[2, k], floats[3, k] = quantity, price, fee, reference
    floats[4, k] = touch_of(carry, s, 1.0 if quantity > 0.0 else -1.0, reference, price)
    k += 1
    closed = before > 0.0 >= after or before < 0.0 <= after
    opened = after > 0.0 >= before or after < 0.0 <= before
    whole = (
        closed
        if closes_position(carry.codes[TYPE, m, s])
        else complete(carry.numbers[QUANTITY, m, s], carry.numbers[DONE, m, s])
    )
    if whole:
        leave(carry, s, m)
    if closed:
        k = close_out(carry, log, k, s)
    if opened:
        k = open_bracket(carry, log, k, s, order_id, stop if reduce_only == 0 else math.nan, target, bar)
    return k


@kernel
def on_step(x: float, step: float) -> bool:
    """True where x is a whole number of steps, to rounding, or no step is known."""
    if not (step > 0.0):
        return True
    steps = math.fabs(x) / step
    return math.fabs(steps - math.floor(steps + 0.5)) <= HAIR * (steps if steps > 1.0 else 1.0)


class Filters(NamedTuple):
    """What the venue asks of the orders of one symbol."""

    listed: int
    tick: float
    lot: float
    min_notional: float
    exempt: int  # 1: min_notional spares reduce-only orders
    band: float  # fraction; 0 none
    long_only: int


@kernel
def refusal(carry: VenueCarry, s: int, m: int, rules: Filters, trades: int, open_: float) -> int:
    """Why the venue does not take the order in slot m, as a REJECTIONS index; 0: it does.

    Stops and targets close whatever there is: lots and the least notional are not asked of them.
    """
    type_, quantity = carry.codes[TYPE, m, s], carry.numbers[QUANTITY, m, s]
    price = carry.numbers[STOP_PRICE, m, s] if type_ == STOP_MARKET else carry.numbers[LIMIT_PRICE, m, s]
    reduces = carry.codes[REDUCES, m, s] != 0
    if rules.listed == 0:
        return NOT_LISTED
    if not (0.0 < math.fabs(quantity) < LARGEST) or not (closes_position(type_) or on_step(quantity, rules.lot)):
        return BAD_QUANTITY
    if type_ != MARKET and not (0.0 < price < LARGEST and on_step(price, rules.tick)):
        return BAD_PRICE
    if closes_position(type_) and not reduces:
        return REDUCE_ONLY
    if reduces and not same_side(-carry.position[s], quantity):
        return REDUCE_ONLY
    if rules.long_only != 0 and not reduces and carry.position[s] + quantity < 0.0:
        return NO_SHORT
    last = carry.quoted[CLOSE, s]
    passive = type_ in (LIMIT, POST_ONLY)
    if passive and rules.band > 0.0 and math.fabs(price - last) > rules.band * (1.0 + HAIR) * last:
        return PRICE_BAND
    worst = price if passive and price < last else last
    small = math.fabs(quantity) * worst < rules.min_notional * (1.0 - HAIR)
    if small and not closes_position(type_) and not (reduces and rules.exempt != 0):
        return MIN_NOTIONAL
    if type_ == POST_ONLY and trades != 0 and (open_ < price if quantity > 0.0 else open_ > price):
        return WOULD_CROSS
    return 0


@kernel
def change(carry: VenueCarry, log: Log, k: int, s: int, m: int, tick: float) -> int:
    """The change of the order in slot m takes effect: of a stop's trigger, of a limit's or a target's price. What is no price,
    and a change of a market order or of a stop that was reached, is refused."""
    price, type_ = carry.numbers[NEW_PRICE, m, s], carry.codes[TYPE, m, s]
    carry.codes[MODIFY_FROM, m, s] = 0
    if type_ == MARKET or carry.codes[TRIGGERED, m, s] != 0 or not (0.0 < price < LARGEST and on_step(price, tick)):
        return report(log, k, CANCEL_REJECT, s, carry.codes[ID, m, s], BAD_PRICE)
    if type_ == STOP_MARKET:
        carry.numbers[STOP_PRICE, m, s] = price
    else:
        carry.numbers[LIMIT_PRICE, m, s] = price
    return report(log, k, ACCEPT, s, carry.codes[ID, m, s], 0)


@kernel
def arrivals(carry: VenueCarry, log: Log, k: int, s: int, bar: int, rules: Filters, trades: int, open_: float) -> int:
    """Cancels and changes that are due, then activations in order of id."""
    for m in range(carry.codes.shape[1]):
        if carry.codes[ID, m, s] == 0:
            continue
        if 0 < carry.codes[CANCEL_FROM, m, s] <= bar:
            k = report(log, k, CANCELED_EVENT, s, carry.codes[ID, m, s], 0)
            leave(carry, s, m)
        elif 0 < carry.codes[MODIFY_FROM, m, s] <= bar:
            k = change(carry, log, k, s, m, rules.tick)
    after = 0
    while True:
        best = -1
        for m in range(carry.codes.shape[1]):
            order_id = carry.codes[ID, m, s]
            due = order_id > after and carry.codes[ACCEPTED_IN, m, s] == 0 and carry.codes[LIVE_FROM, m, s] <= bar
            if due and (best < 0 or order_id < carry.codes[ID, best, s]):
                best = m
        if best < 0:
            return k
        after = carry.codes[ID, best, s]
        why = refusal(carry, s, best, rules, trades, open_)
        k = report(log, k, REJECT if why != 0 else ACCEPT, s, after, why)
        if why != 0:
            leave(carry, s, best)
        else:
            carry.codes[ACCEPTED_IN, best, s] = bar


@kernel
def at_open(
    carry: VenueCarry,
    log: Log,
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
        after = carry.codes[ID, m, s]
        type_, quantity, limit = carry.codes[TYPE, m, s], carry.numbers[QUANTITY, m, s], carry.numbers[LIMIT_PRICE, m, s]
        buys = quantity > 0.0
        arrives = type_ == LIMIT and carry.codes[TRIED, m, s] == 0 and (open_ < limit if buys else open_ > limit)
        carry.codes[TRIED, m, s] = 1
        if not (type_ == MARKET or arrives or carry.codes[TRIGGERED, m, s] != 0):
            continue
        left = math.fabs(quantity) - math.fabs(carry.numbers[DONE, m, s])
        room = volume - by_all
        if carry.codes[REDUCES, m, s] != 0:
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
        if carry.codes[REDUCES, m, s] == 0:
            by_entries += size
        k = fill(carry, log, k, s, m, side * size, open_, price, taker_bps, TAKER, uid, bar)


@kernel
def in_path(
    carry: VenueCarry,
    log: Log,
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
            after = carry.codes[ID, m, s]
            type_, quantity, limit = carry.codes[TYPE, m, s], carry.numbers[QUANTITY, m, s], carry.numbers[LIMIT_PRICE, m, s]
            reduces = carry.codes[REDUCES, m, s] != 0
            passive = type_ in (LIMIT, POST_ONLY, TAKE_PROFIT)
            mine = 0 if passive and not reduces else 1 if type_ == STOP_MARKET else 2 if passive else 3
            if mine != leg:
                continue
            if carry.codes[TRIGGERED, m, s] != 0 or (type_ == TAKE_PROFIT and limit_entry):
                continue
            held = math.fabs(carry.position[s])
            buys = carry.position[s] < 0.0 if closes_position(type_) else quantity > 0.0
            left = held if closes_position(type_) else math.fabs(quantity) - math.fabs(carry.numbers[DONE, m, s])
            side = 1.0 if buys else -1.0
            room = volume - by_all
            if leg == 1:
                stop = carry.numbers[STOP_PRICE, m, s]
                if not (high >= stop if buys else low <= stop):
                    continue
                carry.codes[TRIGGERED, m, s] = 1
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
def expiries(carry: VenueCarry, log: Log, k: int, s: int, bar: int) -> int:
    """Orders whose life ends with this bar."""
    for m in range(carry.codes.shape[1]):
        here = carry.codes[ID, m, s] != 0 and carry.codes[ACCEPTED_IN, m, s] != 0
        if here and 0.0 < carry.numbers[LIFE, m, s] <= bar - carry.codes[ACCEPTED_IN, m, s] + 1:
            k = report(log, k, EXPIRE, s, carry.codes[ID, m, s], LIFETIME)
            leave(carry, s, m)
    return k
