"""L5: from what is approved to what the venue is asked to do."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.carry import Count
from dataflows.data.types import OPERATOR_CANCEL, Clock, Instruments, Market
from dataflows.execution.account import entry_value
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_intents import (
    BRACKET_STOP,
    BRACKET_TARGET,
    HORIZON,
    IN_FORCE,
    LIFETIME,
    LIMIT,
    PARENT,
    PRICE,
    QUANTITY,
    REDUCE_ONLY,
    STOP,
    TRAIL,
    TYPE,
    IntentLog,
    Stamp,
    add,
    intents_of,
    new_intents,
)
from dataflows.execution.order_table import LARGEST, closes_position, is_live, same_side
from dataflows.execution.rounding import HAIR, ceil_to, floor_to
from dataflows.execution.types import (
    CANCEL,
    GTC,
    MARKET,
    MODIFY,
    PENDING_CANCEL,
    PLACE,
    STOP_MARKET,
    Constrained,
    Ledger,
    OrderIntents,
    Orders,
)
from dataflows.kernels.contract import notional_of
from dataflows.layer import layer
from dataflows.panel import Floats, Ints, IntTable, Table
from dataflows.risk.types import APPROVED, EXIT, REDUCED, Approval
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

_STEP = 4  # of the sequence: the next two ids are the bracket's
_ENTRY_ROWS = 3  # an entry and its bracket
_KEPT_ROWS = 2  # rows that entries leave for an exit and a stop


class BridgeCarry(NamedTuple):
    """How many ids each symbol has used, and how often in a row its exits were refused."""

    sequence: Count
    refused: Count  # times in a row
    wait: Count  # closes until the next exit is tried


class Work(NamedTuple):
    """What is at work in the market, (N,) each."""

    buys: Floats  # quantity of working entries, also of those whose cancel is not confirmed
    sells: Floats
    exits: Floats  # quantity of reduce-only orders, brackets apart
    blocked: Ints  # 1: something other than a bracket is being canceled
    open: Ints  # orders open when those of this instant are placed


class OpenOrders(NamedTuple):
    """The part of L96's table that decides what is canceled, (slots, N) each."""

    id: IntTable
    status: IntTable
    type: IntTable
    reduce_only: IntTable
    quantity: Table
    filled: Table


class View(NamedTuple):
    """One symbol at this instant."""

    stamp: Stamp
    held: float  # position, base units
    ask: float  # what L89 lets through, signed
    target: float  # approved position, base units; NaN: unknown
    leaving: bool  # nothing is approved
    stop_id: int  # resting stop; 0 none
    resting: float  # its price
    active: float  # the approval's active stop; NaN unknown
    opened_by: int


class Venue(NamedTuple):
    """What the venue asks of the symbol's orders."""

    base: int  # ids begin here
    tick: float
    lot: float
    least: float  # notional
    exempt: int  # 1: `least` spares reduce-only orders
    rows: int  # orders that may be open
    multiplier: float
    inverse: int


class Form(NamedTuple):
    """How the order is sent."""

    type: int
    price: float  # NaN: at the market
    lifetime: float
    in_force: int  # of an entry at the market, a TIMES_IN_FORCE code


class Bracket(NamedTuple):
    """Distances of the approval, fractions of price."""

    stop: float
    target: float
    trail: float
    horizon: float  # bars


@kernel
def inward(price: float, above: bool, mark: float, tick: float) -> float:
    """A protecting price on the tick nearer the mark, so that rounding never adds risk; where that would reach it, the other
    way.

    above: the price lies above the mark (the stop of a short position, the target of a long one).
    """
    near = floor_to(price, tick) if above else ceil_to(price, tick)
    if (near > mark) if above else (near < mark):
        return near
    return ceil_to(price, tick) if above else floor_to(price, tick)


@kernel
def rows_of(slots: int, most_orders: int) -> int:
    """Orders of a symbol that may be open: rows of the table, or fewer where the venue takes fewer."""
    return most_orders if 0 < most_orders < slots else slots


@kernel
def place(log: IntentLog, carry: BridgeCarry, work: Work, base: int, stamp: Stamp) -> int:
    """Appends a PLACE with the symbol's next id, and returns its place in the log."""
    carry.sequence[stamp.symbol] += _STEP
    work.open[stamp.symbol] += 1
    return add(log, PLACE, base | carry.sequence[stamp.symbol], stamp)


@kernel
def back_off(carry: BridgeCarry, orders: Orders, is_bar: int, most: int) -> None:
    """After each refusal of an exit in a row the next one waits twice as long, at most `most` closes; a fill ends that."""
    for s in range(carry.wait.shape[0]):
        carry.wait[s] -= is_bar if carry.wait[s] > 0 else 0
        if orders.filled_notional[s] > 0.0:
            carry.refused[s], carry.wait[s] = 0, 0
        if orders.refused_exits[s] > 0.0:
            carry.refused[s] += 1
            wait = most if carry.refused[s] > 16 else (1 << (carry.refused[s] - 1)) - 1
            carry.wait[s] = most if wait > most else wait


@kernel
def count_entries(work: Work, orders: OpenOrders, s: int) -> None:
    """Adds up what working entries of symbol s may still buy and sell."""
    for m in range(orders.id.shape[0]):
        if is_live(orders.status[m, s]) and orders.reduce_only[m, s] == 0:
            left = orders.quantity[m, s] - orders.filled[m, s]
            if same_side(left, orders.quantity[m, s]):
                work.buys[s] += left if left > 0.0 else 0.0
                work.sells[s] += left if left < 0.0 else 0.0


@kernel
def lessened(left: float, done: float, excess: float, lot: float, least: float) -> float:
    """The whole quantity of an entry, signed, that is lessened by `excess` (>= 0); 0: what would be left is no order.

    left: signed quantity still open; done: filled. What is left is whole lots, and at least `least`.
    """
    size = floor_to(math.fabs(left) - excess, lot) if excess < math.fabs(left) else 0.0
    if not (size > 0.0) or size < least:
        return 0.0
    return done + size if left > 0.0 else done - size


@kernel
def cancel_unwanted(
    log: IntentLog, work: Work, orders: OpenOrders, view: View, halted: bool, form: tuple[int, float, float], told: int
) -> None:
    """Cancels what the approval no longer wants, and counts the exits that stay. An entry that is only too large is lessened
    where it is the only one of its side.

    form: the type of the order now asked for, a lot, and the least quantity of an entry. told: id of the order that the
    operator wants off, 0 none; not heeded for the stop of a position.
    """
    type_, lot, least = form
    s, held, limit = view.stamp.symbol, view.held, view.target
    slack = 1e-9 * math.fabs(limit)
    no_buys = halted or held < 0.0 or not (held + work.buys[s] <= limit + slack)
    no_sells = halted or held > 0.0 or not (held + work.sells[s] >= limit - slack)
    to_market = same_side(-held, view.ask) and type_ == MARKET
    for m in range(orders.id.shape[0]):
        status, quantity = orders.status[m, s], orders.quantity[m, s]
        if not is_live(status):
            continue
        bracket = closes_position(orders.type[m, s])
        if orders.id[m, s] == told and not (orders.type[m, s] == STOP_MARKET and held != 0.0):
            unwanted = True
        elif orders.reduce_only[m, s] == 0:
            unwanted = no_buys if quantity > 0.0 else no_sells
            excess = held + work.buys[s] - limit if quantity > 0.0 else limit - held - work.sells[s]
            opposite = held < 0.0 if quantity > 0.0 else held > 0.0
            if unwanted and not halted and not opposite and excess < math.inf and status != PENDING_CANCEL:
                whole = lessened(quantity - orders.filled[m, s], orders.filled[m, s], excess, lot, least)
                alone = (work.buys[s] if quantity > 0.0 else work.sells[s]) == quantity - orders.filled[m, s]
                if whole != 0.0 and alone:
                    k = add(log, MODIFY, orders.id[m, s], view.stamp)
                    log.floats[QUANTITY, k], log.floats[PRICE, k] = whole, view.stamp.mark
                    work.blocked[s] = 1
                    continue
        elif bracket:
            unwanted = held == 0.0
        else:
            passive = to_market and orders.type[m, s] != MARKET
            unwanted = not same_side(-held, quantity) or same_side(held, view.ask) or passive
            if not unwanted and status != PENDING_CANCEL:
                work.exits[s] += quantity - orders.filled[m, s]
        if unwanted and status != PENDING_CANCEL:
            add(log, CANCEL, orders.id[m, s], view.stamp)
        if unwanted and not bracket:
            work.blocked[s] = 1


@kernel
def tighten_stop(log: IntentLog, view: View, tick: float, step: float) -> None:
    """Moves the resting stop to the active one where that is tighter by more than `step`, a fraction of its price."""
    if view.stop_id == 0 or view.held == 0.0 or not (0.0 < view.active < LARGEST):
        return
    long, resting = view.held > 0.0, view.resting
    stop = inward(view.active, not long, view.stamp.mark, tick)
    tighter = stop > resting * (1.0 + step) if long else stop < resting * (1.0 - step)
    if tighter or math.isnan(resting):
        k = add(log, MODIFY, view.stop_id, view.stamp)
        log.floats[STOP, k] = log.floats[PRICE, k] = stop


@kernel
def place_exit(log: IntentLog, carry: BridgeCarry, work: Work, view: View, venue: Venue, form: Form) -> None:
    """A reduce-only order for what a reduction still lacks."""
    s, held, ask = view.stamp.symbol, view.held, view.ask
    if held == 0.0 or not same_side(-held, ask) or work.open[s] >= venue.rows:
        return
    size = math.fabs(ask) if math.fabs(ask) < math.fabs(held) else math.fabs(held)
    lacks = floor_to(size - math.fabs(work.exits[s]), venue.lot) if work.exits[s] != 0.0 else size
    unit = notional_of(view.stamp.mark, venue.multiplier, venue.inverse) if view.stamp.mark > 0.0 else math.nan
    refused = venue.exempt == 0 and lacks * unit < venue.least
    if not (lacks > HAIR * size) or (refused and work.exits[s] != 0.0):
        return  # a trifle waits for the exit that is on its way
    k = place(log, carry, work, venue.base, view.stamp)
    log.ints[PARENT, k], log.ints[REDUCE_ONLY, k] = view.opened_by, 1
    log.floats[QUANTITY, k] = lacks if ask > 0.0 else -lacks
    log.ints[TYPE, k], log.floats[LIFETIME, k], log.floats[LIMIT, k] = form.type, form.lifetime, form.price
    work.exits[s] += log.floats[QUANTITY, k]


@kernel
def place_stop(log: IntentLog, carry: BridgeCarry, work: Work, view: View, venue: Venue) -> None:
    """A stop where a position has none and no exit covers it; where its price is unknown, an exit at the market."""
    s, held = view.stamp.symbol, view.held
    if held == 0.0 or view.stop_id != 0 or work.open[s] >= venue.rows:
        return
    known = 0.0 < view.active < LARGEST
    naked = math.fabs(held) - math.fabs(work.exits[s])
    naked = naked if known else floor_to(naked, venue.lot)  # what is below a lot is dust: no venue takes it
    if not (naked > HAIR * math.fabs(held)):
        return
    k = place(log, carry, work, venue.base, view.stamp)
    log.ints[PARENT, k], log.ints[REDUCE_ONLY, k] = view.opened_by, 1
    size = math.fabs(held) if known else naked
    log.floats[QUANTITY, k] = -size if held > 0.0 else size
    if known:
        log.ints[TYPE, k] = STOP_MARKET
        log.floats[STOP, k] = log.floats[PRICE, k] = inward(view.active, held < 0.0, view.stamp.mark, venue.tick)
    else:
        work.exits[s] += log.floats[QUANTITY, k]


@kernel
def entry_lacks(work: Work, view: View, venue: Venue, price: float, band: float, crumb: float) -> float:
    """What an increase still lacks beside its working entries, base units; 0: nothing, or too little to send.

    price: the limit; NaN: at the market. Beside working entries too little is less than `band` of the approved position, than
    the venue's least notional, or than `crumb`, in the account's currency. Position and all working entries of the side never
    exceed the approved position."""
    s, held, size = view.stamp.symbol, view.held, math.fabs(view.ask)
    working = work.buys[s] if view.ask > 0.0 else -work.sells[s]
    if (work.sells[s] if view.ask > 0.0 else work.buys[s]) != 0.0:
        return 0.0  # entries of the other side are still there
    lacks = floor_to(size - working, venue.lot) if working > 0.0 else size
    if not (lacks > 0.0) or not (math.fabs(held) + working + lacks <= math.fabs(view.target) * (1.0 + 1e-9)):
        return 0.0
    worth = lacks * entry_value(price, view.stamp.mark, venue.multiplier, venue.inverse)
    if working > 0.0 and (lacks < band * math.fabs(view.target) or worth < venue.least or worth < crumb):
        return 0.0
    return lacks


@kernel
def place_entry(
    log: IntentLog, carry: BridgeCarry, work: Work, view: View, venue: Venue, form: Form, lacks: float, bracket: Bracket
) -> None:
    """An entry of `lacks` with its bracket; none where its stop would not protect it."""
    long, mark, tick = view.ask > 0.0, view.stamp.mark, venue.tick
    stop = inward(mark * (1.0 - bracket.stop) if long else mark * (1.0 + bracket.stop), not long, mark, tick)
    entry = form.price if form.price == form.price else mark
    if not (stop > 0.0 and (stop < entry if long else stop > entry)):
        return
    k = place(log, carry, work, venue.base, view.stamp)
    log.floats[QUANTITY, k] = lacks if long else -lacks
    log.ints[TYPE, k], log.floats[LIFETIME, k], log.floats[LIMIT, k] = form.type, form.lifetime, form.price
    log.ints[IN_FORCE, k] = form.in_force if form.type == MARKET else GTC
    log.floats[BRACKET_STOP, k] = stop
    gain = bracket.target
    if 0.0 < gain < (math.inf if long else 1.0):
        log.floats[BRACKET_TARGET, k] = inward(mark * (1.0 + gain) if long else mark * (1.0 - gain), long, mark, tick)
    log.floats[TRAIL, k], log.floats[HORIZON, k] = bracket.trail, bracket.horizon


@layer("L5", schedule="step")
def l5_execution_bridge(
    l0_market_feed: Market,
    l4_risk_gate: Approval,
    l89_venue_constraints: Constrained,
    l96_order_lifecycle: Orders,
    l97_ledger: Ledger,
    instruments: Instruments,
    clock: Clock,
    execution: ExecutionConfig,
    carry: BridgeCarry,
) -> OrderIntents:
    """The difference between what is approved and the position with its working orders; cancels and changes before places.

    Cancels: every entry at HALT, on an EXIT, against the position, or beyond the approved once its side were filled (the
    only one of its side is lessened to what is approved where that is `least_entry` or more); passive reduce-only orders where
    the market is now asked for; reduce-only orders where more is wanted; stray brackets without a position; the order that the
    operator names, unless it is the stop of a position. Changes: the resting stop, when the approval's is tighter. Places,
    in this order: a reduce-only order for what a reduction still lacks; a stop where an open position has neither one at
    rest nor an exit on its way (at the approval's active stop; where that is unknown, an exit at the market); and an entry
    with its bracket for what an increase still lacks. An entry is placed at a close only, when approved with a stop, with
    room in the table, no reduction at work and, for a position held, its stop at rest; position and all working entries of
    its side never exceed target_weight * equity / unit_value. Any unknown among these refuses the entry; none of them
    refuses an exit, a stop or a cancel. A symbol that is not listed gets no orders. Where the venue refuses exits in a row
    the next ones wait 1, 3, 7 ... closes, at most `retry_most_bars`. A stop is moved only by more than `stop_step_bps`.

    Returns a log: signed base units, prices in quote currency, NaN where none. Ids are uid << 32 | sequence, multiples of 4,
    taken only when used: the same state gives the same intents and ids.
    """
    slots, symbols = l96_order_lifecycle.id.shape
    room = 4 * symbols
    for s in range(symbols):
        room += int(l96_order_lifecycle.open_orders[s])
    log = new_intents(room)
    work = Work(full(symbols, 0.0), full(symbols, 0.0), full(symbols, 0.0), full(symbols, 0), full(symbols, 0))
    orders = OpenOrders(
        l96_order_lifecycle.id,
        l96_order_lifecycle.status,
        l96_order_lifecycle.type,
        l96_order_lifecycle.reduce_only,
        l96_order_lifecycle.quantity,
        l96_order_lifecycle.filled,
    )
    back_off(carry, l96_order_lifecycle, int(clock.is_bar), execution.retry_most_bars)
    step = HAIR + execution.stop_step_bps / 1e4
    off = int(clock.symbol) if clock.operator == OPERATOR_CANCEL else -1
    for turn in range(3):  # cancels and changes; exits and stops; entries: where messages are counted, exits come first
        for s in range(symbols):
            weight, equity, mark = l4_risk_gate.target_weight[s], l97_ledger.equity, l97_ledger.mark[s]
            unit = l97_ledger.unit_value[s]
            leaving, target = l4_risk_gate.verdict[s] == EXIT or weight == 0.0, math.nan
            if leaving:
                target = 0.0
            elif 0.0 < equity < LARGEST and 0.0 < mark < LARGEST and unit < LARGEST and math.fabs(weight) < LARGEST:
                target = weight * equity / unit
            view = View(
                stamp=Stamp(s, int(clock.ts), mark, l4_risk_gate.reasons[s]),
                held=l97_ledger.position[s],
                ask=l89_venue_constraints.quantity[s],
                target=target,
                leaving=leaving,
                stop_id=l96_order_lifecycle.stop_id[s],
                resting=l96_order_lifecycle.stop_price[s],
                active=l4_risk_gate.active_stop[s],
                opened_by=l96_order_lifecycle.opened_by[s],
            )
            if turn == 0:
                work.open[s] = int(l96_order_lifecycle.open_orders[s])
                if work.open[s] > 0:
                    count_entries(work, orders, s)
                    halted = l4_risk_gate.halt[s] != 0 or leaving
                    told = instruments.uid[s] << 32 | clock.subject if off == s else 0
                    lot, unit = instruments.lot_size[s], l97_ledger.unit_value[s]
                    crumb = execution.least_entry * equity
                    least = instruments.min_notional[s]
                    least = (least if least > crumb else crumb) / unit if unit > 0.0 else math.inf
                    cancel_unwanted(log, work, orders, view, halted, (l89_venue_constraints.type[s], lot, least), told)
                    tighten_stop(log, view, instruments.tick_size[s], step)
                continue
            if l0_market_feed.quality.listed[s] == 0:
                continue  # the venue takes no order for it, and settles what is held
            venue = Venue(
                base=instruments.uid[s] << 32,
                tick=instruments.tick_size[s],
                lot=instruments.lot_size[s],
                least=instruments.min_notional[s],
                exempt=instruments.reduce_only_exempt[s],
                rows=rows_of(slots, instruments.most_orders[s]),
                multiplier=instruments.multiplier[s],
                inverse=instruments.inverse[s],
            )
            form = Form(
                l89_venue_constraints.type[s],
                l89_venue_constraints.price[s],
                l89_venue_constraints.lifetime[s],
                execution.entry_time_in_force,
            )
            if turn == 1:
                if carry.wait[s] > 0:
                    continue
                place_exit(log, carry, work, view, venue, form)
                place_stop(log, carry, work, view, venue)
                continue
            known = 0.0 < l0_market_feed.bars.close[s] < LARGEST and 0.0 < mark < LARGEST
            permitted = l4_risk_gate.verdict[s] in (APPROVED, REDUCED) and known and 0.0 < l4_risk_gate.stop[s] < 1.0
            if not permitted or l4_risk_gate.halt[s] != 0 or l4_risk_gate.reduce_only[s] != 0 or clock.is_bar == 0:
                continue
            if work.blocked[s] != 0 or work.exits[s] != 0.0 or (l97_ledger.held[s] != 0.0 and view.stop_id == 0):
                continue
            grows = same_side(view.ask, target) and not same_side(-view.held, view.ask)
            if not grows or work.open[s] + _ENTRY_ROWS + _KEPT_ROWS > venue.rows:
                continue
            crumb = execution.least_entry * equity
            lacks = entry_lacks(work, view, venue, form.price, execution.band, crumb)
            if lacks > 0.0:
                bracket = Bracket(
                    l4_risk_gate.stop[s], l4_risk_gate.take_profit[s], l4_risk_gate.trail[s], l4_risk_gate.horizon[s]
                )
                place_entry(log, carry, work, view, venue, form, lacks, bracket)
    return intents_of(log)
