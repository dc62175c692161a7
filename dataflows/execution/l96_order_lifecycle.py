"""L96: every order we know of, and how far it has come."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import NAN, Axes, Count, Zero
from dataflows.data.types import Instruments
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_table import (
    CONTRADICTION,
    FRESH,
    LARGEST,
    NEXT,
    TOO_OLD,
    allocate,
    closes_position,
    complete,
    find,
    first_sight,
    is_live,
    is_stop,
    moved,
    same_side,
)
from dataflows.execution.types import (
    ACCEPT,
    ACCEPTED,
    CANCEL,
    CANCEL_REJECT,
    CANCELED_EVENT,
    FILL,
    FILLED,
    FUNDING,
    MODIFY,
    PENDING_CANCEL,
    PENDING_MODIFY,
    PLACE,
    REJECTED_ORDER,
    REJECTIONS,
    STOP_LIMIT,
    STOP_MARKET,
    SUBMITTED,
    TAKE_PROFIT,
    Executions,
    OrderIntents,
    Orders,
)
from dataflows.kernels.contract import booked, notional_of
from dataflows.layer import layer
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

_UNKNOWN_ORDER = REJECTIONS.index("UNKNOWN_ORDER")
_NO_TROUBLE = tuple(REJECTIONS.index(why) for why in ("WOULD_CROSS", "NOT_LISTED", "REDUCE_ONLY", "POSITION_CLOSED", "STALE"))
# a race, or a rule that did its work: such a refusal is no sign of trouble, and does not count for the kill switch


# The table is two blocks, whole numbers and others, so that compiled code hands on few arrays. Rows of `codes` and `numbers`:
ID, STATUS, TYPE, REDUCES, STAMP, CHANGING = range(6)
# STAMP: order of registration. CHANGING: 1 while a change was sent that the venue has not answered.
QUANTITY, DONE, LIMIT_PRICE, STOP_PRICE, PRICE_BEFORE, DECISION_PRICE, QUANTITY_BEFORE, LIMIT_BEFORE = range(8)
# PRICE_BEFORE, QUANTITY_BEFORE, LIMIT_BEFORE: what they were before a change that the venue has not confirmed; NaN none.
# LIMIT_BEFORE is that of a stop, whose PRICE_BEFORE is its trigger. Rows 8 on: the bracket, and the first four of them of
# `bracket`, that of the order that opened the position:
BRACKET = 8
STOP, TARGET, TRAIL, HORIZON, LIMIT = range(5)


class OrderTableCarry(NamedTuple):
    """The table, the position that its fills add up to, and the bracket of the order that opened it."""

    codes: Annotated[Ints, Axes(6, "slots", "N")]
    numbers: Annotated[Floats, Axes(13, "slots", "N", start=NAN)]
    registered: Annotated[Ints, Axes(1)]
    seen: Annotated[Ints, Axes("fill_window", "N")]
    position: Zero
    opened_by: Count
    started: Annotated[Ints, Axes(1)]  # 1: the position from before the start is in
    bracket: Annotated[Floats, Axes(4, "N", start=NAN)]


@kernel
def price_row(type_: int) -> int:
    """The row of `numbers` that holds the price which a change restates."""
    return STOP_PRICE if is_stop(type_) else LIMIT_PRICE


@kernel
def register(carry: OrderTableCarry, s: int, order_id: int, type_: int, reduce_only: int, quantity: float) -> int:
    """Takes a row for a new order, prices still unknown, and returns its slot; -1: known already, or no room."""
    if order_id <= 0 or find(carry.codes[ID], s, order_id) >= 0:
        return -1
    m = allocate(carry.codes[STATUS], carry.codes[STAMP], s)
    if m < 0:
        return -1
    carry.registered[0] += 1
    carry.codes[ID, m, s], carry.codes[STATUS, m, s], carry.codes[TYPE, m, s] = order_id, SUBMITTED, type_
    carry.codes[REDUCES, m, s], carry.codes[STAMP, m, s] = reduce_only, carry.registered[0]
    carry.codes[CHANGING, m, s] = 0
    for row in range(carry.numbers.shape[0]):
        carry.numbers[row, m, s] = math.nan
    carry.numbers[QUANTITY, m, s], carry.numbers[DONE, m, s] = quantity, 0.0
    return m


@kernel
def open_position(carry: OrderTableCarry, s: int, order_id: int, m: int, position: float) -> None:
    """Latches the bracket of the order that opened a position (m: its slot, -1 unknown) and registers its stop and target."""
    carry.opened_by[s] = order_id
    for row in range(4):
        carry.bracket[row, s] = math.nan
    if m < 0 or carry.codes[REDUCES, m, s] != 0:
        return
    stop, target = carry.numbers[BRACKET + STOP, m, s], carry.numbers[BRACKET + TARGET, m, s]
    for row in range(4):
        carry.bracket[row, s] = carry.numbers[BRACKET + row, m, s]
    if stop == stop:
        limit = carry.numbers[BRACKET + LIMIT, m, s]
        k = register(carry, s, order_id + 1, STOP_MARKET if math.isnan(limit) else STOP_LIMIT, 1, -position)
        if k >= 0:
            carry.numbers[LIMIT_PRICE, k, s] = limit
            carry.numbers[STOP_PRICE, k, s] = carry.numbers[DECISION_PRICE, k, s] = stop
    if target == target:
        k = register(carry, s, order_id + 2, TAKE_PROFIT, 1, -position)
        if k >= 0:
            carry.numbers[LIMIT_PRICE, k, s] = carry.numbers[DECISION_PRICE, k, s] = target


@kernel
def sent_quantity(carry: OrderTableCarry, s: int, m: int) -> float:
    """The quantity up to which an order may fill: while a change is under way, what it was before."""
    before = carry.numbers[QUANTITY_BEFORE, m, s]
    return float(before if before == before else carry.numbers[QUANTITY, m, s])


@kernel
def apply_fill(carry: OrderTableCarry, s: int, order_id: int, m: int, quantity: float, fee_base: float) -> tuple[int, float]:
    """Books a fill that counts. Returns (1 if it contradicts what is known else 0, quantity beyond the order's).

    order_id 0: the venue traded by itself. fee_base: what the fee took of the base units bought.
    """
    before = carry.position[s]
    after = moved(before, quantity - fee_base)
    closed = before > 0.0 >= after or before < 0.0 <= after
    opened = after > 0.0 >= before or after < 0.0 <= before
    odd, over = 0, 0.0
    if m < 0:
        odd = 0 if order_id == 0 else 1
    else:
        if same_side(quantity, carry.numbers[QUANTITY, m, s]):
            whole = math.fabs(sent_quantity(carry, s, m))
            was, now = math.fabs(carry.numbers[DONE, m, s]), math.fabs(carry.numbers[DONE, m, s] + quantity)
            carry.numbers[DONE, m, s] += quantity
            if now > whole * (1.0 + 1e-9):
                over = now - (was if was > whole else whole)
        else:
            odd = 1  # a fill on the other side than the order's: the position moves, the order does not
        then = NEXT[carry.codes[STATUS, m, s], FILL]
        if then == CONTRADICTION:
            odd = 1
        else:
            carry.codes[STATUS, m, s] = then
            done = (
                closed
                if closes_position(carry.codes[TYPE, m, s])
                else complete(sent_quantity(carry, s, m), carry.numbers[DONE, m, s])
            )
            if done and is_live(then):
                carry.codes[STATUS, m, s] = FILLED
    carry.position[s] = after
    for k in range(carry.codes.shape[1]):  # the whole position is what stops and targets are for
        if is_live(carry.codes[STATUS, k, s]) and closes_position(carry.codes[TYPE, k, s]):
            carry.numbers[QUANTITY, k, s] = carry.numbers[DONE, k, s] - after
    if closed:
        carry.opened_by[s] = 0
        for row in range(4):
            carry.bracket[row, s] = math.nan
    if opened:
        open_position(carry, s, order_id, m, after)
    return odd, over


@kernel
def modify(carry: OrderTableCarry, s: int, m: int, price: float, limit: float, quantity: float) -> None:
    """Notes a change that was sent: a price, the limit of a stop (NaN: as they are), and a quantity (0: as it is), and what
    they were before."""
    type_, row = carry.codes[TYPE, m, s], price_row(carry.codes[TYPE, m, s])
    carry.codes[CHANGING, m, s] = 1
    if carry.codes[STATUS, m, s] == ACCEPTED:
        carry.codes[STATUS, m, s] = PENDING_MODIFY
    if math.fabs(quantity) > 0.0 and not closes_position(type_):
        if math.isnan(carry.numbers[QUANTITY_BEFORE, m, s]):
            carry.numbers[QUANTITY_BEFORE, m, s] = carry.numbers[QUANTITY, m, s]
        carry.numbers[QUANTITY, m, s] = quantity
        if math.isnan(price):
            return
    if math.isnan(carry.numbers[PRICE_BEFORE, m, s]):
        carry.numbers[PRICE_BEFORE, m, s] = carry.numbers[row, m, s]
    carry.numbers[row, m, s] = price
    if type_ == STOP_LIMIT and limit == limit:
        if math.isnan(carry.numbers[LIMIT_BEFORE, m, s]):
            carry.numbers[LIMIT_BEFORE, m, s] = carry.numbers[LIMIT_PRICE, m, s]
        carry.numbers[LIMIT_PRICE, m, s] = limit
    if closes_position(type_):  # what a stop or a target is worth is decided by its price
        carry.numbers[DECISION_PRICE, m, s] = price


@kernel
def restore(carry: OrderTableCarry, s: int, m: int, row: int, before: int) -> None:
    """Takes a number of the order back to what it was before a change, where one is under way."""
    if carry.numbers[before, m, s] == carry.numbers[before, m, s]:
        carry.numbers[row, m, s] = carry.numbers[before, m, s]
        carry.numbers[before, m, s] = math.nan


@kernel
def apply_event(carry: OrderTableCarry, s: int, m: int, event: int, reason: int) -> tuple[int, int]:
    """Applies an event that is not a fill to slot m. Returns (1 if it contradicts what is known, 1 if it is a new refusal)."""
    status = carry.codes[STATUS, m, s]
    if event == CANCEL_REJECT and reason == _UNKNOWN_ORDER:
        event = CANCELED_EVENT  # the venue has no such order: a row that waited for it would be lost
    elif event == CANCEL_REJECT and status != PENDING_CANCEL:  # the change was refused: the order rests as it was
        restore(carry, s, m, price_row(carry.codes[TYPE, m, s]), PRICE_BEFORE)
        restore(carry, s, m, QUANTITY, QUANTITY_BEFORE)
        restore(carry, s, m, LIMIT_PRICE, LIMIT_BEFORE)
        carry.codes[CHANGING, m, s] = 0
    elif event == ACCEPT and status not in (SUBMITTED, PENDING_CANCEL):  # there it may be the order itself that is accepted
        carry.codes[CHANGING, m, s] = 0
        carry.numbers[PRICE_BEFORE, m, s] = carry.numbers[QUANTITY_BEFORE, m, s] = math.nan
        carry.numbers[LIMIT_BEFORE, m, s] = math.nan
    then = NEXT[status, event]
    if then == CONTRADICTION:
        return 1, 0
    carry.codes[STATUS, m, s] = then
    if event == ACCEPT and status == SUBMITTED and carry.codes[CHANGING, m, s] != 0:
        carry.codes[STATUS, m, s] = PENDING_MODIFY
    changed = event == ACCEPT and status == PENDING_MODIFY and not closes_position(carry.codes[TYPE, m, s])
    if changed and complete(carry.numbers[QUANTITY, m, s], carry.numbers[DONE, m, s]):
        carry.codes[STATUS, m, s] = FILLED  # it had filled that far before it was lessened
    refused = then == REJECTED_ORDER and status != REJECTED_ORDER
    return 0, 1 if refused else 0


@kernel
def is_trouble(reason: int) -> bool:
    """True where a refusal counts for the kill switch."""
    return reason not in _NO_TROUBLE


@layer("L96", schedule="step")
def l96_order_lifecycle(
    l90_fills: Executions,
    orders: OrderIntents,
    instruments: Instruments,
    execution: ExecutionConfig,
    carry: OrderTableCarry,
) -> Orders:
    """Registers the intents of the instant before, then applies the venue's reports, as a pure reducer.

    Returns quantities in signed base units, prices in quote currency, NaN where there is none. A fill counts once (`full`), by
    its sequence number within the last `fill_window` fills of the symbol; one without a usable quantity, price or fee, or too
    old to tell, counts as unknown and moves nothing. Any other fill moves the position, also one of an order that is unknown,
    ended or on the other side: it is then counted in `unknown` as well. A payment of funding counts once in the same way, and
    is for L97 alone. On the first fill of an order that opens a position its stop (id + 1) and target (id + 2) are registered,
    as the venue activates them.
    Source: order state changes of FIX 4.4, appendix D; the table is `order_table.TRANSITIONS`.
    """
    slots, symbols = carry.codes.shape[1:]
    if carry.started[0] == 0:
        carry.started[0] = 1
        for s in range(symbols):
            if instruments.start_position[s] != 0.0:
                carry.position[s] = instruments.start_position[s]
    for i in range(orders.n):
        s, kind, order_id = orders.symbol[i], orders.kind[i], orders.id[i]
        if kind == PLACE:
            m = register(carry, s, order_id, orders.type[i], orders.reduce_only[i], orders.quantity[i])
            if m >= 0:
                carry.numbers[LIMIT_PRICE, m, s], carry.numbers[STOP_PRICE, m, s] = orders.limit_price[i], orders.stop_price[i]
                carry.numbers[BRACKET + STOP, m, s], carry.numbers[BRACKET + TARGET, m, s] = (
                    orders.bracket_stop[i],
                    orders.bracket_target[i],
                )
                carry.numbers[BRACKET + TRAIL, m, s], carry.numbers[BRACKET + HORIZON, m, s] = (
                    orders.bracket_trail[i],
                    orders.bracket_horizon[i],
                )
                carry.numbers[BRACKET + LIMIT, m, s] = orders.bracket_limit[i]
                carry.numbers[DECISION_PRICE, m, s] = orders.decision_price[i]
        else:
            m = find(carry.codes[ID], s, order_id)
            if m >= 0 and is_live(carry.codes[STATUS, m, s]):
                if kind == CANCEL:
                    carry.codes[STATUS, m, s] = PENDING_CANCEL
                elif kind == MODIFY:
                    stops = price_row(carry.codes[TYPE, m, s]) == STOP_PRICE
                    price, limit = orders.stop_price[i] if stops else orders.limit_price[i], orders.limit_price[i]
                    modify(carry, s, m, price, limit, orders.quantity[i])

    sums = full((14, symbols), 0.0)
    rejects, unknown, overfilled = sums[0], sums[1], sums[2]
    notional, delay, spread, impact, fees = sums[3], sums[4], sums[5], sums[6], sums[7]
    bought, value, refused_exits = sums[8], sums[9], sums[13]
    counts = full(l90_fills.n, 0)
    for i in range(l90_fills.n):
        s, order_id = l90_fills.symbol[i], l90_fills.id[i]
        m = find(carry.codes[ID], s, order_id)
        funding = l90_fills.kind[i] == FUNDING
        if l90_fills.kind[i] != FILL and not funding:
            if m < 0:
                unknown[s] += 1.0
            else:
                odd, refused = apply_event(carry, s, m, l90_fills.kind[i], l90_fills.reason[i])
                unknown[s] += odd
                if is_trouble(l90_fills.reason[i]):
                    rejects[s] += refused
                if carry.codes[REDUCES, m, s] != 0:
                    refused_exits[s] += refused
            continue
        q, p, fee, fee_base = l90_fills.quantity[i], l90_fills.price[i], l90_fills.fee[i], l90_fills.fee_base[i]
        whole = 0.0 < math.fabs(q) < LARGEST and 0.0 < p < LARGEST and 0.0 <= fee_base <= math.fabs(q)
        if not ((funding or whole) and math.fabs(fee) < LARGEST):
            unknown[s] += 1.0
            continue
        sight = first_sight(carry.seen, s, l90_fills.fill_id[i] & 0xFFFFFFFF)
        if sight == TOO_OLD:
            unknown[s] += 1.0
        if sight != FRESH:
            continue
        counts[i] = 1
        if funding:  # the ledger's alone
            continue
        reference = l90_fills.reference_price[i]
        reference = reference if 0.0 < reference < LARGEST else p
        decision = carry.numbers[DECISION_PRICE, m, s] if m >= 0 else math.nan
        decision = decision if 0.0 < decision < LARGEST else reference
        size, inverse = instruments.multiplier[s], instruments.inverse[s]
        unit, at_reference = notional_of(p, size, inverse), booked(reference, size, inverse)
        notional[s] += math.fabs(q) * unit
        delay[s] += q * (at_reference - booked(decision, size, inverse))
        touch = l90_fills.touch_price[i]
        touch = touch if 0.0 < touch < LARGEST else reference
        at_touch, at_fill = booked(touch, size, inverse), booked(p, size, inverse)
        spread[s] += q * (at_touch - at_reference)
        impact[s] += q * (at_fill - at_touch)
        fees[s] += fee + fee_base * unit
        bought[s] += q
        value[s] += q * at_fill
        odd, over = apply_fill(carry, s, order_id, m, q, fee_base)
        unknown[s] += odd
        overfilled[s] += over

    working, working_reduce, open_orders = sums[10], sums[11], sums[12]
    ids = full((3, symbols), 0)
    stop_id, target_id, opened_by = ids[0], ids[1], ids[2]
    prices = full((7, symbols), math.nan)
    stop_price, target_price, stop_limit = prices[4], prices[5], prices[6]
    for s in range(symbols):
        opened_by[s] = carry.opened_by[s]
        for k in range(4):
            prices[k, s] = carry.bracket[k, s]
        for m in range(slots):
            status = carry.codes[STATUS, m, s]
            if not is_live(status):
                continue
            open_orders[s] += 1.0
            if closes_position(carry.codes[TYPE, m, s]):
                resting = status != PENDING_CANCEL and carry.position[s] != 0.0
                if resting and is_stop(carry.codes[TYPE, m, s]) and carry.codes[ID, m, s] > stop_id[s]:
                    stop_id[s], stop_price[s] = carry.codes[ID, m, s], carry.numbers[STOP_PRICE, m, s]
                    stop_limit[s] = carry.numbers[LIMIT_PRICE, m, s]
                if resting and carry.codes[TYPE, m, s] == TAKE_PROFIT and carry.codes[ID, m, s] > target_id[s]:
                    target_id[s], target_price[s] = carry.codes[ID, m, s], carry.numbers[LIMIT_PRICE, m, s]
                continue
            left = carry.numbers[QUANTITY, m, s] - carry.numbers[DONE, m, s]
            if same_side(left, carry.numbers[QUANTITY, m, s]):
                if carry.codes[REDUCES, m, s] != 0:
                    working_reduce[s] += left
                else:
                    working[s] += left
    return Orders(
        working=working,
        working_reduce=working_reduce,
        open_orders=open_orders,
        rejects=rejects,
        refused_exits=refused_exits,
        unknown=unknown,
        overfilled=overfilled,
        stop_id=stop_id,
        stop_price=stop_price,
        stop_limit=stop_limit,
        target_id=target_id,
        target_price=target_price,
        bracket_stop=prices[STOP],
        bracket_target=prices[TARGET],
        bracket_trail=prices[TRAIL],
        bracket_horizon=prices[HORIZON],
        opened_by=opened_by,
        fresh=counts,
        id=carry.codes[ID],  # the table itself, unrecorded: the layers of this bar read it, and none changes it
        status=carry.codes[STATUS],
        type=carry.codes[TYPE],
        reduce_only=carry.codes[REDUCES],
        quantity=carry.numbers[QUANTITY],
        filled=carry.numbers[DONE],
        limit_price=carry.numbers[LIMIT_PRICE],
        filled_notional=notional,
        delay_cost=delay,
        spread_cost=spread,
        impact_cost=impact,
        fee_cost=fees,
        filled_quantity=bought,
        filled_value=value,
    )
