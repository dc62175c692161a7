"""What a fill does at the simulated venue: sizes, fees, the position, its bracket, and closing by the venue itself."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.execution.order_table import closes_position, complete, moved
from dataflows.execution.slippage import touch_of
from dataflows.execution.types import (
    ACCEPT,
    CANCELED_EVENT,
    FILL,
    MAKER,
    REJECT,
    STOP_LIMIT,
    STOP_MARKET,
    TAKE_PROFIT,
    TAKER,
)
from dataflows.execution.venue_books import (
    ACCEPTED_IN,
    BRACKET_LIMIT,
    BRACKET_STOP,
    BRACKET_TARGET,
    DONE,
    FEE,
    FEE_BASE,
    FILL_ID,
    FILLS,
    ID,
    LIMIT_PRICE,
    LIQUIDITY,
    NO_ROOM,
    OPENED_BY,
    POSITION_CLOSED,
    PRICE,
    QUANTITY,
    REASON,
    REDUCES,
    REFERENCE,
    STOP_PRICE,
    TODAY,
    TOUCH,
    TRADED,
    TYPE,
    VENUE_CASH,
    VENUE_POSITION,
    Log,
    VenueCarry,
    enter,
    leave,
    report,
)
from dataflows.execution.venue_filters import Rules
from dataflows.kernels.contract import booked, notional_of
from dataflows.runtime.compile import kernel

BY_ENTRIES, BY_ALL, BY_QUEUE = range(3)  # of the bar's volume: taken by entries, by all orders, by resting limits


class Terms(NamedTuple):
    """How orders fill, the same for every symbol: keys of `ExecutionConfig`."""

    participation: float
    queue_share: float
    use_book: int
    impact: float
    default_bps: float
    gap_share: float  # of the way from a stop to the worst price of the bar that its fill is charged at least


class Trade(NamedTuple):
    """A fill before it is booked."""

    quantity: float  # signed
    reference: float
    price: float
    liquidity: int


@kernel
def share(left: float, room: float, lot: float) -> float:
    """How much of `left` fits in `room`: all of it, or whole lots."""
    if room >= left:
        return left
    if not (room > 0.0):
        return 0.0
    return math.floor(room / lot + 1e-9) * lot if lot > 0.0 else room


@kernel
def close_out(carry: VenueCarry, log: Log, s: int) -> None:
    """The position is closed: its bracket, other reduce-only orders and the rest of the entry that opened it are canceled."""
    for m in range(carry.codes.shape[1]):
        order_id = carry.codes[ID, m, s]
        if (
            order_id != 0
            and carry.codes[ACCEPTED_IN, m, s] != 0
            and (carry.codes[REDUCES, m, s] != 0 or order_id == carry.counts[OPENED_BY, s])
        ):
            report(log, CANCELED_EVENT, s, order_id, POSITION_CLOSED)
            leave(carry, s, m)
    carry.counts[OPENED_BY, s] = 0


@kernel
def open_bracket(
    carry: VenueCarry, log: Log, s: int, order_id: int, stop: float, limit: float, target: float, bar: int
) -> None:
    """The position is opened: the stop (id + 1) and the target (id + 2) of the entry go live at once, each for all of it.

    limit: of the stop; NaN: it goes to the market."""
    stop_type = STOP_MARKET if math.isnan(limit) else STOP_LIMIT
    carry.counts[OPENED_BY, s] = order_id
    for which in range(1, 3):
        price = stop if which == 1 else target
        if math.isnan(price):
            continue
        m = enter(carry, s, order_id + which, stop_type if which == 1 else TAKE_PROFIT, 1, -carry.position[s])
        if m < 0:
            report(log, REJECT, s, order_id + which, NO_ROOM)
            continue
        carry.numbers[STOP_PRICE if which == 1 else LIMIT_PRICE, m, s] = price
        if which == 1:
            carry.numbers[LIMIT_PRICE, m, s] = limit
        carry.codes[ACCEPTED_IN, m, s] = bar
        report(log, ACCEPT, s, order_id + which, 0)


@kernel
def settle(carry: VenueCarry, log: Log, s: int, order_id: int, trade: Trade, rules: Rules) -> float:
    """Books a trade in the venue's own account and reports it; returns the position before.

    The fee of a purchase is taken from what is bought where the venue does so, else from cash. Fee and cash are of the price as
    quoted, which may be negative.
    """
    before, quantity, quoted = float(carry.position[s]), trade.quantity, trade.price - rules.shift
    bps = rules.maker_bps if trade.liquidity == MAKER else rules.taker_bps
    notional = math.fabs(quantity * notional_of(quoted, rules.multiplier, rules.inverse))
    fee, fee_base = notional * bps / 1e4, 0.0
    carry.traded[carry.instant[TODAY] % carry.traded.shape[0]] += notional
    if rules.base_fee != 0 and quantity > 0.0 and bps > 0.0:
        fee, fee_base = 0.0, quantity * bps / 1e4
    carry.position[s] = moved(before, quantity - fee_base)
    carry.money[0] -= quantity * booked(quoted, rules.multiplier, rules.inverse) + fee
    carry.counts[FILLS, s] += 1
    k = report(log, FILL, s, order_id, 0)
    log.ints[FILL_ID, k], log.ints[LIQUIDITY, k] = (rules.uid << 32) | carry.counts[FILLS, s], trade.liquidity
    log.floats[TRADED, k], log.floats[PRICE, k], log.floats[FEE, k] = quantity, trade.price, fee
    log.floats[FEE_BASE, k], log.floats[REFERENCE, k] = fee_base, trade.reference
    log.floats[TOUCH, k] = touch_of(carry, s, 1.0 if quantity > 0.0 else -1.0, trade.reference, trade.price)
    log.floats[VENUE_POSITION, k], log.floats[VENUE_CASH, k] = carry.position[s], carry.money[0]
    return before


@kernel
def fill(carry: VenueCarry, log: Log, s: int, m: int, trade: Trade, rules: Rules, bar: int) -> None:
    """Fills the order in slot m and does what follows from it: bracket, OCO, end of the order."""
    order_id, reduce_only = carry.codes[ID, m, s], carry.codes[REDUCES, m, s]
    stop = carry.numbers[BRACKET_STOP, m, s] if reduce_only == 0 else math.nan
    limit, target = carry.numbers[BRACKET_LIMIT, m, s], carry.numbers[BRACKET_TARGET, m, s]
    before = settle(carry, log, s, order_id, trade, rules)
    after = carry.position[s]
    carry.numbers[DONE, m, s] += trade.quantity
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
        close_out(carry, log, s)
    if opened:
        open_bracket(carry, log, s, order_id, stop, limit, target, bar)


@kernel
def close_by_venue(carry: VenueCarry, log: Log, s: int, price: float, rules: Rules, why: int) -> None:
    """The venue closes the position by itself, for the reason `why`: every order of the symbol is canceled, and a fill without
    an order (id 0) at `price` ends the position."""
    for m in range(carry.codes.shape[1]):
        if carry.codes[ID, m, s] != 0:
            report(log, CANCELED_EVENT, s, carry.codes[ID, m, s], why)
            leave(carry, s, m)
    carry.counts[OPENED_BY, s] = 0
    if carry.position[s] != 0.0 and price > 0.0:
        settle(carry, log, s, 0, Trade(-carry.position[s], price, price, TAKER), rules)
        log.ints[REASON, log.n[0] - 1] = why
