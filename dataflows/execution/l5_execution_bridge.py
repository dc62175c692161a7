"""L5: from what is approved to what the venue is told."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.carry import Count
from dataflows.data.types import Clock, Instruments, Market
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_table import LARGEST, closes_position, is_live, same_side
from dataflows.execution.rounding import HAIR, ceil_to, floor_to
from dataflows.execution.types import (
    CANCEL,
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
from dataflows.layer import layer
from dataflows.panel import Floats, Ints
from dataflows.risk.types import APPROVED, EXIT, REDUCED, Approval
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import fresh

_STEP = 4  # of the sequence: the next two ids are the bracket's
_ENTRY_ROWS = 3  # an entry and its bracket
_KEPT_ROWS = 2  # rows that entries leave for an exit and a stop


class BridgeCarry(NamedTuple):
    """How many ids each symbol has used."""

    sequence: Count


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
def write(ints: Ints, floats: Floats, k: int, kind: int, s: int, order_id: int, time: int, mark: float, reason: int) -> int:
    """Writes entry k of the log, with nothing in it but what every intent has, and returns k + 1.

    ints (8, room): kind, symbol, id, parent, type, reduce_only, decision_time, reason. floats (9, room): quantity, limit_price,
    stop_price, lifetime, bracket_stop, bracket_target, bracket_trail, bracket_horizon, decision_price.
    """
    ints[0, k], ints[1, k], ints[2, k], ints[3, k] = kind, s, order_id, 0
    ints[4, k], ints[5, k], ints[6, k], ints[7, k] = MARKET, 0, time, reason
    for column in range(8):
        floats[column, k] = math.nan
    floats[0, k], floats[3, k], floats[8, k] = 0.0, 0.0, mark
    return k + 1


@kernel
def rows_of(slots: int, most_orders: int) -> int:
    """Orders of a symbol that may be open: rows of the table, or fewer where the venue takes fewer."""
    return most_orders if 0 < most_orders < slots else slots


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

    Cancels: every entry at HALT, on an EXIT, against the position, or beyond the approved once its side were filled; passive
    reduce-only orders where the market is now asked for; reduce-only orders where more is wanted; stray brackets without a
    position. Changes: the resting stop, when the approval's is tighter. Places, in this order: a reduce-only order for what a
    reduction still lacks; a stop where an open position has neither one at rest nor an exit on its way (at the approval's
    active stop; where that is unknown, an exit at the market); and an entry with its bracket for what an increase still lacks.
    An entry is placed at a close only, when approved with a stop, with room in the table, no reduction at work and, for a
    position held, its stop at rest; position and all working entries of its side never exceed target_weight * equity / mark.
    Any unknown among these refuses the entry; none of them refuses an exit, a stop or a cancel.

    Returns a log: signed base units, prices in quote currency, NaN where none. Ids are uid << 32 | sequence, multiples of 4,
    taken only when used: the same state gives the same intents and ids.
    """
    slots, symbols = l96_order_lifecycle.id.shape
    room = 4 * symbols
    for s in range(symbols):
        room += int(l96_order_lifecycle.open_orders[s])
    ints, floats = fresh((8, room), 0), fresh((9, room), math.nan)
    log = OrderIntents(
        0,
        ints[0],
        ints[1],
        ints[2],
        ints[3],
        floats[0],
        ints[4],
        floats[1],
        floats[2],
        ints[5],
        floats[3],
        floats[4],
        floats[5],
        floats[6],
        floats[7],
        ints[6],
        floats[8],
        ints[7],
    )
    buys, sells = fresh(symbols, 0.0), fresh(symbols, 0.0)  # working entries, also those whose cancel is not confirmed
    exits, blocked = fresh(symbols, 0.0), fresh(symbols, 0)  # reduce-only at work; 1: something was canceled
    open_ = fresh(symbols, 0)  # orders open when those of this instant are placed
    approved = fresh(symbols, math.nan)
    k = 0
    for s in range(symbols):
        held, mark, ask = l97_ledger.position[s], l97_ledger.mark[s], l89_venue_constraints.quantity[s]
        leaving = l4_risk_gate.verdict[s] == EXIT or l4_risk_gate.target_weight[s] == 0.0
        if leaving:
            approved[s] = 0.0
        elif 0.0 < l97_ledger.equity < LARGEST and 0.0 < mark < LARGEST and math.fabs(l4_risk_gate.target_weight[s]) < LARGEST:
            approved[s] = l4_risk_gate.target_weight[s] * l97_ledger.equity / mark
        if not (l96_order_lifecycle.open_orders[s] > 0.0):
            continue
        for m in range(slots):
            status = l96_order_lifecycle.status[m, s]
            if is_live(status) and l96_order_lifecycle.reduce_only[m, s] == 0:
                left = l96_order_lifecycle.quantity[m, s] - l96_order_lifecycle.filled[m, s]
                if same_side(left, l96_order_lifecycle.quantity[m, s]):
                    buys[s] += left if left > 0.0 else 0.0
                    sells[s] += left if left < 0.0 else 0.0
        limit = approved[s]
        slack = 1e-9 * math.fabs(limit)
        halted = l4_risk_gate.halt[s] != 0 or leaving
        no_buys = halted or held < 0.0 or not (held + buys[s] <= limit + slack)
        no_sells = halted or held > 0.0 or not (held + sells[s] >= limit - slack)
        time, reason = int(clock.ts), l4_risk_gate.reasons[s]
        reducing = same_side(-held, ask)
        to_market = reducing and l89_venue_constraints.type[s] == MARKET
        for m in range(slots):
            status = l96_order_lifecycle.status[m, s]
            if not is_live(status):
                continue
            type_, quantity = l96_order_lifecycle.type[m, s], l96_order_lifecycle.quantity[m, s]
            reduce_only = l96_order_lifecycle.reduce_only[m, s] != 0
            if not reduce_only:
                unwanted = no_buys if quantity > 0.0 else no_sells
            elif closes_position(type_):
                unwanted = held == 0.0
            else:
                unwanted = not same_side(-held, quantity) or same_side(held, ask) or (to_market and type_ != MARKET)
                if not unwanted and status != PENDING_CANCEL:
                    exits[s] += quantity - l96_order_lifecycle.filled[m, s]
            if unwanted and status != PENDING_CANCEL:
                k = write(ints, floats, k, CANCEL, s, l96_order_lifecycle.id[m, s], time, mark, reason)
            if unwanted and not closes_position(type_):
                blocked[s] = 1
        stop_id, active = l96_order_lifecycle.stop_id[s], l4_risk_gate.active_stop[s]
        if stop_id != 0 and held != 0.0 and 0.0 < active < LARGEST:
            long = held > 0.0
            stop, resting = inward(active, not long, mark, instruments.tick_size[s]), l96_order_lifecycle.stop_price[s]
            tighter = stop > resting * (1.0 + HAIR) if long else stop < resting * (1.0 - HAIR)
            if tighter or math.isnan(resting):
                k = write(ints, floats, k, MODIFY, s, stop_id, time, stop, reason)
                log.stop_price[k - 1] = stop

    for s in range(symbols):
        held, mark, ask = l97_ledger.position[s], l97_ledger.mark[s], l89_venue_constraints.quantity[s]
        time, reason, tick, lot = int(clock.ts), l4_risk_gate.reasons[s], instruments.tick_size[s], instruments.lot_size[s]
        used, rows = int(l96_order_lifecycle.open_orders[s]), rows_of(slots, instruments.most_orders[s])
        base = instruments.uid[s] << 32
        if held != 0.0 and same_side(-held, ask) and used < rows:
            size = math.fabs(ask) if math.fabs(ask) < math.fabs(held) else math.fabs(held)
            lacks = floor_to(size - math.fabs(exits[s]), lot) if exits[s] != 0.0 else size
            refused = instruments.reduce_only_exempt[s] == 0 and lacks * mark < instruments.min_notional[s]
            if lacks > HAIR * size and not (refused and exits[s] != 0.0):  # a trifle waits for the exit that is on its way
                carry.sequence[s] += _STEP
                k = write(ints, floats, k, PLACE, s, base | carry.sequence[s], time, mark, reason)
                log.parent[k - 1], log.reduce_only[k - 1] = l96_order_lifecycle.opened_by[s], 1
                log.quantity[k - 1] = lacks if ask > 0.0 else -lacks
                log.type[k - 1], log.lifetime[k - 1] = l89_venue_constraints.type[s], l89_venue_constraints.lifetime[s]
                log.limit_price[k - 1] = l89_venue_constraints.price[s]
                exits[s] += log.quantity[k - 1]
                used += 1
        if held != 0.0 and l96_order_lifecycle.stop_id[s] == 0 and used < rows:
            active = l4_risk_gate.active_stop[s]
            stops = 0.0 < active < LARGEST
            naked = math.fabs(held) - math.fabs(exits[s])
            naked = naked if stops else floor_to(naked, lot)  # what is below a lot is dust: no venue takes it
            if naked > HAIR * math.fabs(held):
                carry.sequence[s] += _STEP
                k = write(ints, floats, k, PLACE, s, base | carry.sequence[s], time, mark, reason)
                log.parent[k - 1], log.reduce_only[k - 1] = l96_order_lifecycle.opened_by[s], 1
                size = math.fabs(held) if stops else naked
                log.quantity[k - 1] = -size if held > 0.0 else size
                if stops:
                    stop = inward(active, held < 0.0, mark, tick)
                    log.type[k - 1], log.stop_price[k - 1], log.decision_price[k - 1] = STOP_MARKET, stop, stop
                else:
                    exits[s] += log.quantity[k - 1]
                used += 1
        open_[s] = used

    for s in range(symbols):  # entries after all exits and stops: where the venue counts messages, these come first
        held, mark, ask = l97_ledger.position[s], l97_ledger.mark[s], l89_venue_constraints.quantity[s]
        time, reason, tick, lot = int(clock.ts), l4_risk_gate.reasons[s], instruments.tick_size[s], instruments.lot_size[s]
        used, rows = open_[s], rows_of(slots, instruments.most_orders[s])
        base = instruments.uid[s] << 32
        verdict, distance = l4_risk_gate.verdict[s], l4_risk_gate.stop[s]
        close, target = l0_market_feed.bars.close[s], approved[s]
        if clock.is_bar == 0 or blocked[s] != 0 or exits[s] != 0.0 or verdict not in (APPROVED, REDUCED):
            continue
        if l4_risk_gate.halt[s] != 0 or l4_risk_gate.reduce_only[s] != 0 or not same_side(ask, target) or same_side(-held, ask):
            continue
        if not (0.0 < close < LARGEST and 0.0 < mark < LARGEST and 0.0 < distance < 1.0):
            continue
        if (held != 0.0 and l96_order_lifecycle.stop_id[s] == 0) or used + _ENTRY_ROWS + _KEPT_ROWS > rows:
            continue
        long = ask > 0.0
        working = buys[s] if long else -sells[s]
        if (sells[s] if long else buys[s]) != 0.0:
            continue  # entries of the other side are still there
        lacks = floor_to(math.fabs(ask) - working, lot) if working > 0.0 else math.fabs(ask)
        if not (lacks > 0.0) or not (math.fabs(held) + working + lacks <= math.fabs(target) * (1.0 + 1e-9)):
            continue
        limit = l89_venue_constraints.price[s]
        worth = lacks * (limit if limit < mark else mark)
        if working > 0.0 and (lacks < execution.band * math.fabs(target) or worth < instruments.min_notional[s]):
            continue
        stop = inward(mark * (1.0 - distance) if long else mark * (1.0 + distance), not long, mark, tick)
        entry = limit if limit == limit else mark
        if not (stop > 0.0 and (stop < entry if long else stop > entry)):
            continue
        gain = l4_risk_gate.take_profit[s]
        carry.sequence[s] += _STEP
        k = write(ints, floats, k, PLACE, s, base | carry.sequence[s], time, mark, reason)
        log.quantity[k - 1] = lacks if long else -lacks
        log.type[k - 1], log.lifetime[k - 1] = l89_venue_constraints.type[s], l89_venue_constraints.lifetime[s]
        log.limit_price[k - 1] = limit
        log.bracket_stop[k - 1] = stop
        if 0.0 < gain < (math.inf if long else 1.0):
            log.bracket_target[k - 1] = inward(mark * (1.0 + gain) if long else mark * (1.0 - gain), long, mark, tick)
        log.bracket_trail[k - 1], log.bracket_horizon[k - 1] = l4_risk_gate.trail[s], l4_risk_gate.horizon[s]
    return OrderIntents(
        k,
        log.kind,
        log.symbol,
        log.id,
        log.parent,
        log.quantity,
        log.type,
        log.limit_price,
        log.stop_price,
        log.reduce_only,
        log.lifetime,
        log.bracket_stop,
        log.bracket_target,
        log.bracket_trail,
        log.bracket_horizon,
        log.decision_time,
        log.decision_price,
        log.reason,
    )
