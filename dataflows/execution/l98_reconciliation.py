"""L98: our books against the venue's."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Axes, Zero
from dataflows.data.types import OPERATOR_CASH_FLOW, Clock, Instruments
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_table import is_live, same_side
from dataflows.execution.types import FILL, SUBMITTED, Executions, Ledger, Orders, Reconciliation, VenueSnapshot
from dataflows.layer import layer, variant
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full


class VenueBooksCarry(NamedTuple):
    """What the venue says that the account holds, and for how long our books have differed."""

    position: Zero  # as the venue last stated it
    money: Annotated[Floats, Axes(1, start="start_cash")]  # cash that it last stated, without flows and funding
    turnover: Annotated[Floats, Axes(1)]
    started: Annotated[Ints, Axes(1)]  # 1: the position from before the start is in
    asked: Annotated[Ints, Axes("slots", "N")]  # id of the order in each row of the table at the last close
    waiting: Annotated[Ints, Axes("slots", "N")]  # closes for which it has been submitted and not answered
    differ: Annotated[Ints, Axes(1)]  # closes in a row


class SnapshotCarry(NamedTuple):
    """For how long our books have differed from the venue's snapshots."""

    differ: Annotated[Ints, Axes(1)]


@kernel
def in_flight(s: int, status: Ints, quantity: Floats, filled: Floats, gap: float) -> float:
    """Quantity of symbol s that live orders on the side of the gap may still fill."""
    total = 0.0
    for m in range(status.shape[0]):
        if is_live(status[m, s]) and same_side(quantity[m, s], gap):
            left = math.fabs(quantity[m, s]) - math.fabs(filled[m, s])
            if left > 0.0:
                total += left
    return total


@kernel
def position_differs(gap: float, held: float, explained: float, tolerance: float) -> bool:
    """Whether a gap of a position is more than rounding and than what orders in flight explain; an unknown one is."""
    return not math.fabs(gap) <= explained + tolerance * (1.0 + math.fabs(held))


@variant(venue="sim")
@layer("L98", schedule="step", cross_sectional=True)
def l98_reconciliation__sim(
    l90_fills: Executions,
    l96_order_lifecycle: Orders,
    l97_ledger: Ledger,
    clock: Clock,
    instruments: Instruments,
    execution: ExecutionConfig,
    carry: VenueBooksCarry,
) -> Reconciliation:
    """The ledger against the account that the simulated venue keeps by itself, as its reports of fills state it.

    The venue counts positions and cash on its own: from what it has traded, from funding, borrow cost and cash flows, never
    from L96 or L97. Returns position_gap and cash_gap (venue less ours; cash without flows and funding, as of the last fill);
    unknown_orders: reports of orders that L96 does not know; missing_orders: orders that the venue has not answered though they
    should have reached it; snapshot_age 0. matched is 0 once, for more than `reconcile_grace` closes in a row, a gap was beyond
    rounding (NaN is) or there was an unknown or a missing order; it is 1 again at the first close without. A fill in flight is
    no gap here: venue and ledger learn of it in the same instant. Only closes count.
    """
    symbols = carry.position.shape[0]
    if carry.started[0] == 0:
        carry.started[0] = 1
        for s in range(symbols):
            if instruments.start_position[s] != 0.0:
                carry.position[s] = instruments.start_position[s]
    flows = float(l97_ledger.cash_flows - l97_ledger.funding)
    if clock.operator == OPERATOR_CASH_FLOW and math.fabs(clock.amount) < math.inf:
        flows -= float(clock.amount)  # it comes after the fills of this instant
    for i in range(l90_fills.n):
        s = l90_fills.symbol[i]
        if l90_fills.kind[i] == FILL and 0 <= s < symbols:
            carry.turnover[0] += math.fabs(l90_fills.quantity[i] * l90_fills.price[i])
            carry.position[s], carry.money[0] = l90_fills.venue_position[i], l90_fills.venue_cash[i] - flows
    gap, unknown, missing = full(symbols, 0.0), full(symbols, 0.0), full(symbols, 0.0)
    wrong = False
    for s in range(symbols):
        gap[s] = carry.position[s] - l97_ledger.position[s]
        if not math.isfinite(gap[s]):
            gap[s] = math.nan
        unknown[s] = l96_order_lifecycle.unknown[s]
        for m in range(carry.asked.shape[0]):
            order_id = l96_order_lifecycle.id[m, s] if l96_order_lifecycle.status[m, s] == SUBMITTED else 0
            if clock.is_bar != 0:
                carry.waiting[m, s] = carry.waiting[m, s] + 1 if order_id != 0 and order_id == carry.asked[m, s] else 0
                carry.asked[m, s] = order_id
            if carry.waiting[m, s] > execution.extra_latency_bars:
                missing[s] += 1.0
        if position_differs(gap[s], l97_ledger.position[s], 0.0, execution.reconcile_tolerance):
            wrong = True
        if unknown[s] > 0.0 or missing[s] > 0.0:
            wrong = True
    cash_gap = carry.money[0] - (l97_ledger.cash + l97_ledger.funding - l97_ledger.cash_flows)
    if not math.isfinite(cash_gap):
        cash_gap = math.nan
    if not math.fabs(cash_gap) <= execution.reconcile_tolerance * (1.0 + execution.start_cash + carry.turnover[0]):
        wrong = True
    if clock.is_bar != 0:
        carry.differ[0] = carry.differ[0] + 1 if wrong else 0
    matched = 0 if carry.differ[0] > execution.reconcile_grace else 1
    return Reconciliation(matched, gap, float(cash_gap), unknown, missing, 0.0)


@variant(venue="live")
@layer("L98", schedule="step", cross_sectional=True)
def l98_reconciliation__live(
    venue_snapshot: VenueSnapshot,
    l96_order_lifecycle: Orders,
    l97_ledger: Ledger,
    clock: Clock,
    execution: ExecutionConfig,
    carry: SnapshotCarry,
) -> Reconciliation:
    """Ledger and order table against the last snapshot of the venue.

    Gaps are venue less ours. A gap of a position up to what live orders may still fill on its side is a fill in flight. The
    driver compares orders by their ids and states how many are unknown and missing; where it knows of more or fewer than L96,
    these count too. matched is 0 while the snapshot is older than `reconcile_max_age` bars (or there is none), and once, for
    more than `reconcile_grace` closes in a row, a gap was unexplained (NaN is) or an order unknown or missing. Cash is compared
    to `reconcile_cash_tolerance` of start cash and equity. Only closes count.
    """
    symbols = l97_ledger.position.shape[0]
    gap, unknown, missing = full(symbols, 0.0), full(symbols, 0.0), full(symbols, 0.0)
    wrong = False
    for s in range(symbols):
        gap[s] = venue_snapshot.position[s] - l97_ledger.position[s]
        if not math.isfinite(gap[s]):
            gap[s] = math.nan
        explained = in_flight(
            s, l96_order_lifecycle.status, l96_order_lifecycle.quantity, l96_order_lifecycle.filled, float(gap[s])
        )
        if position_differs(gap[s], l97_ledger.position[s], explained, execution.reconcile_tolerance):
            wrong = True
        more = venue_snapshot.open_orders[s] - l96_order_lifecycle.open_orders[s]
        stated, lacking = venue_snapshot.unknown_orders[s], venue_snapshot.missing_orders[s]
        if more != 0.0 or stated != 0.0 or lacking != 0.0:  # NaN too
            wrong = True
        unknown[s] = (more if 0.0 < more < math.inf else 0.0) + (stated if 0.0 < stated < math.inf else 0.0)
        missing[s] = (-more if -math.inf < more < 0.0 else 0.0) + (lacking if 0.0 < lacking < math.inf else 0.0)
    cash_gap = venue_snapshot.cash - l97_ledger.cash
    if not math.isfinite(cash_gap):
        cash_gap = math.nan
    most = execution.reconcile_cash_tolerance * (1.0 + execution.start_cash + math.fabs(l97_ledger.equity))
    if not math.fabs(cash_gap) <= most:
        wrong = True
    if clock.is_bar != 0:
        carry.differ[0] = carry.differ[0] + 1 if wrong else 0
    age = venue_snapshot.age if 0.0 <= venue_snapshot.age < math.inf else math.nan
    matched = 1 if age <= execution.reconcile_max_age and carry.differ[0] <= execution.reconcile_grace else 0
    return Reconciliation(matched, gap, float(cash_gap), unknown, missing, float(age))
