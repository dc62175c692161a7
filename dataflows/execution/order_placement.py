"""From what is wanted and what is at work to orders, cancels and changes: the steps of L5."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from dataflows.carry import Count
from dataflows.execution.account import entry_value
from dataflows.execution.order_intents import (
    BRACKET_LIMIT,
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
)
from dataflows.execution.order_table import LARGEST, closes_position, is_live, is_stop, same_side
from dataflows.execution.rounding import HAIR, ceil_to, floor_to
from dataflows.execution.types import (
    CANCEL,
    GTC,
    MARKET,
    MODIFY,
    PENDING_CANCEL,
    PLACE,
    STOP_LIMIT,
    STOP_MARKET,
    Orders,
)
from dataflows.kernels.contract import notional_of
from dataflows.panel import Floats, Ints, IntTable, Table
from dataflows.runtime.compile import kernel

_STEP: Final = 4  # of the sequence: the next two ids are the bracket's
ENTRY_ROWS: Final = 3  # an entry and its bracket
KEPT_ROWS: Final = 2  # rows that entries leave for an exit and a stop


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
    beyond: float  # fraction of a stop's trigger by which it may fill beyond; 0: at the market


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
def stop_limit(stop: float, sells: bool, beyond: float, tick: float) -> float:
    """The limit of a stop: `beyond` of its trigger away, on a tick outwards, so that it rather fills; NaN: at the market."""
    if not (beyond > 0.0):
        return math.nan
    limit = floor_to(stop * (1.0 - beyond), tick) if sells else ceil_to(stop * (1.0 + beyond), tick)
    return limit if limit > 0.0 else tick


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
        if orders.id[m, s] == told and not (is_stop(orders.type[m, s]) and held != 0.0):
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
        log.floats[LIMIT, k] = stop_limit(stop, long, view.beyond, tick)


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
        stop = inward(view.active, held < 0.0, view.stamp.mark, venue.tick)
        log.ints[TYPE, k] = STOP_LIMIT if view.beyond > 0.0 else STOP_MARKET
        log.floats[STOP, k] = log.floats[PRICE, k] = stop
        log.floats[LIMIT, k] = stop_limit(stop, held > 0.0, view.beyond, venue.tick)
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
    log.floats[BRACKET_STOP, k], log.floats[BRACKET_LIMIT, k] = stop, stop_limit(stop, long, view.beyond, tick)
    gain = bracket.target
    if 0.0 < gain < (math.inf if long else 1.0):
        log.floats[BRACKET_TARGET, k] = inward(mark * (1.0 + gain) if long else mark * (1.0 - gain), long, mark, tick)
    log.floats[TRAIL, k], log.floats[HORIZON, k] = bracket.trail, bracket.horizon
