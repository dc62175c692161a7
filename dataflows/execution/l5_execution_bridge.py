"""L5: from what is approved to what the venue is asked to do."""

from __future__ import annotations

import math

from dataflows.data.types import OPERATOR_CANCEL, Clock, Instruments, Market
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_intents import (
    Stamp,
    intents_of,
    new_intents,
)
from dataflows.execution.order_placement import (
    ENTRY_ROWS,
    KEPT_ROWS,
    Bracket,
    BridgeCarry,
    Form,
    OpenOrders,
    Venue,
    View,
    Work,
    back_off,
    cancel_unwanted,
    count_entries,
    entry_lacks,
    place_entry,
    place_exit,
    place_stop,
    rows_of,
    tighten_stop,
)
from dataflows.execution.order_table import LARGEST, same_side
from dataflows.execution.rounding import HAIR
from dataflows.execution.types import (
    Constrained,
    Ledger,
    OrderIntents,
    Orders,
)
from dataflows.layer import layer
from dataflows.risk.types import APPROVED, EXIT, REDUCED, Approval
from dataflows.runtime.scratch import full


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
    the next ones wait 1, 3, 7 ... closes, at most `retry_most_bars`. A stop is moved only by more than `stop_step_bps`. With
    `stop_limit_bps` every stop is a stop-limit, whose limit lies so far beyond its trigger and moves with it; L94 sends what it
    has left to the market after `stop_limit_bars`.

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
    equity, step = l97_ledger.equity, HAIR + execution.stop_step_bps / 1e4
    crumb = execution.least_entry * equity
    off = int(clock.symbol) if clock.operator == OPERATOR_CANCEL else -1
    for turn in range(3):  # cancels and changes; exits and stops; entries: where messages are counted, exits come first
        for s in range(symbols):
            weight, mark, unit = l4_risk_gate.target_weight[s], l97_ledger.mark[s], l97_ledger.unit_value[s]
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
                beyond=execution.stop_limit_bps / 1e4,
            )
            if turn == 0:
                work.open[s] = int(l96_order_lifecycle.open_orders[s])
                if work.open[s] > 0:
                    count_entries(work, orders, s)
                    halted = l4_risk_gate.halt[s] != 0 or leaving
                    told = instruments.uid[s] << 32 | clock.subject if off == s else 0
                    lot, least = instruments.lot_size[s], instruments.min_notional[s]
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
            if not grows or work.open[s] + ENTRY_ROWS + KEPT_ROWS > venue.rows:
                continue
            lacks = entry_lacks(work, view, venue, form.price, execution.band, crumb)
            if lacks > 0.0:
                bracket = Bracket(
                    l4_risk_gate.stop[s], l4_risk_gate.take_profit[s], l4_risk_gate.trail[s], l4_risk_gate.horizon[s]
                )
                place_entry(log, carry, work, view, venue, form, lacks, bracket)
    return intents_of(log)
