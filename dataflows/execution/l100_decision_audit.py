"""L100: what trading cost against the decision, what was refused, and who earned what."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Zero
from dataflows.data.types import Clock, Instruments, Market
from dataflows.execution.types import PLACE, Audit, Ledger, OrderIntents, Orders, Reconciliation
from dataflows.fusion.types import LONG, PARTS, SHORT, Proposal, with_an_edge
from dataflows.layer import layer
from dataflows.panel import Bools, Floats, Ints
from dataflows.regime.types import Regime
from dataflows.risk.types import HOLD, RUN, Approval, KillSwitch
from dataflows.runtime.compile import kernel

SUMS: Final = 7
"""Sums over the fills: notional, costs of delay, spread, impact and fee, signed quantity and value."""


class AuditCarry(NamedTuple):
    """The last regime that was known, and of each symbol: what it had made at the last close, its side, and who spoke for it;
    and what has happened since."""

    label: Annotated[Ints, Axes("N", start=-1)]
    total: Zero
    side: Count
    share: Annotated[Floats, Axes(PARTS, "N")]  # of each part in the edge that opened the position
    said: Annotated[Floats, Axes(PARTS, "N")]  # the parts of the edge at the last close
    filled: Annotated[Floats, Axes(SUMS, "N")]  # over the fills between the last close and the next
    happened: Count  # mask of AUDIT_EVENTS between them


@kernel
def label_changes(label: Ints, state: Ints) -> Ints:
    """1 where a known label (T, N) differs from the last known one before it. state: (N,), -1 none yet; updated in place."""
    changed = np.zeros(label.shape, np.int64)
    for t in range(label.shape[0]):
        for n in range(label.shape[1]):
            if label[t, n] >= 0:
                if state[n] >= 0 and label[t, n] != state[n]:
                    changed[t, n] = 1
                state[n] = label[t, n]
    return changed


@kernel
def since_close(fills: Floats, events: Ints, is_bar: Ints, carry: AuditCarry) -> None:
    """Adds to each row what has happened since the last close, in place; at a close nothing is left to add.

    fills: (SUMS, T, N). events: (T, N) masks. is_bar: (T,).
    """
    happened, filled = carry.happened, carry.filled
    for t in range(is_bar.shape[0]):
        for n in range(events.shape[1]):
            for f in range(fills.shape[0]):
                if filled[f, n] != 0.0:
                    fills[f, t, n] += filled[f, n]
                filled[f, n] = 0.0 if is_bar[t] != 0 else fills[f, t, n]
            events[t, n] |= happened[n]
            happened[n] = 0 if is_bar[t] != 0 else events[t, n]


@kernel
def latch_shares(share: Floats, said: Floats, n: int) -> None:
    """Each part's share of the edge of symbol n; 0 of an edge that is 0 or unknown. share, said: (PARTS, N)."""
    edge = 0.0
    for k in range(said.shape[0]):
        edge += said[k, n]
    for k in range(said.shape[0]):
        part = said[k, n] / edge if edge != 0.0 else 0.0
        share[k, n] = part if math.fabs(part) < math.inf else 0.0


@kernel
def profits(
    position: Floats,
    realised: Floats,
    unrealised: Floats,
    fees: Floats,
    funding: Floats,
    edge_parts: Floats,
    is_bar: Ints,
    carry: AuditCarry,
) -> tuple[Floats, Floats]:
    """Profit of each bar (T, N), and its parts by source (T, N, PARTS); those add up to it where the edge was known.

    Between two bars (is_bar (T,) is 0) it is that since the last close.
    A position is its sources' from the close that decided to open it, the one before the bar in which it was filled, until it
    is closed; a bar in which it turns over is the old one's. edge_parts: (T, N, PARTS), NaN: nothing said.
    """
    carry_total, carry_side, carry_said, share = carry.total, carry.side, carry.said, carry.share
    bars, symbols = position.shape
    made, parts = np.zeros((bars, symbols)), np.zeros((bars, symbols, edge_parts.shape[2]))
    for t in range(bars):
        for n in range(symbols):
            total = realised[t, n] + unrealised[t, n] - fees[t, n] - funding[t, n]
            made[t, n] = total - carry_total[n]
            side = 1 if position[t, n] > 0.0 else -1 if position[t, n] < 0.0 else 0
            if carry_side[n] == 0:
                latch_shares(share, carry_said, n)
            for k in range(edge_parts.shape[2]):
                parts[t, n, k] = made[t, n] * share[k, n]
            if is_bar[t] == 0:
                continue
            carry_total[n] = total
            if carry_side[n] != 0 and side != carry_side[n]:
                latch_shares(share, carry_said, n)
            carry_side[n] = side
            for k in range(edge_parts.shape[2]):
                said = edge_parts[t, n, k]
                carry_said[k, n] = said if math.fabs(said) < math.inf else 0.0
    return made, parts


@kernel
def placed(kind: Ints, symbol: Ints, order_id: Ints, decided: Ints, time: Ints, symbols: int) -> tuple[Floats, Ints]:
    """How many orders were placed at each instant (T, N), and the first of them, 0 none. decided: of each intent, by time."""
    count, first = np.zeros((time.shape[0], symbols)), np.zeros((time.shape[0], symbols), np.int64)
    t = 0
    for i in range(kind.shape[0]):
        while t < time.shape[0] - 1 and time[t] < decided[i]:
            t += 1
        if kind[i] == PLACE and time[t] == decided[i]:
            n = symbol[i]
            count[t, n] += 1.0
            if first[t, n] == 0:
                first[t, n] = order_id[i]
    return count, first


@kernel
def oddities(outlier: Ints, crossed: Ints, missing: Ints, listed: Ints, duplicates: Ints, late: Ints, is_bar: Ints) -> Ints:
    """1 at a close whose data are odd: an outlier, a crossed book, a gap while listed, repeated or late rows. (T, N)."""
    odd = np.zeros(outlier.shape, np.int64)
    for t in range(is_bar.shape[0]):
        if is_bar[t] == 0:
            continue
        for n in range(outlier.shape[1]):
            gap = missing[t, n] != 0 and listed[t, n] != 0
            if outlier[t, n] != 0 or crossed[t, n] != 0 or gap or duplicates[t, n] > 0 or late[t, n] > 0:
                odd[t, n] = 1
    return odd


@kernel
def refusals(side: Ints, asked: Floats, target: Floats) -> Floats:
    """The part of the proposed weight (T, N) that was not approved, a fraction of equity, >= 0; 0 where nothing is proposed."""
    refused = np.zeros(side.shape)
    for t in range(side.shape[0]):
        for n in range(side.shape[1]):
            if side[t, n] == LONG or side[t, n] == SHORT:
                given = target[t, n] * side[t, n]
                lacks = asked[t, n] - (given if given > 0.0 else 0.0)
                if lacks > 0.0:
                    refused[t, n] = lacks
    return refused


@kernel
def happenings(
    odd: Ints,
    changed: Ints,
    refused: Floats,
    shut_out: Bools,
    verdict: Ints,
    orders: Floats,
    filled: Floats,
    rejects: Floats,
    level: Ints,
    matched: Ints,
) -> Ints:
    """Masks (T, N) of what is worth a record, a bit for each of AUDIT_EVENTS. matched: (T,)."""
    events = np.zeros(odd.shape, np.int64)
    for t in range(odd.shape[0]):
        for n in range(odd.shape[1]):
            happened = 1 if odd[t, n] != 0 else 0
            happened |= 2 if changed[t, n] != 0 else 0
            happened |= 4 if refused[t, n] > 0.0 or shut_out[t, n] else 0
            happened |= 8 if verdict[t, n] != HOLD else 0
            happened |= 16 if orders[t, n] > 0.0 else 0
            happened |= 32 if filled[t, n] > 0.0 else 0
            happened |= 64 if rejects[t, n] > 0.0 else 0
            happened |= 128 if level[t, n] != RUN else 0
            happened |= 256 if matched[t] == 0 else 0
            events[t, n] = happened
    return events


@kernel
def shortfalls(fills: Floats, vwap: Floats, multiplier: Floats, inverse: Ints) -> Floats:
    """What trading cost in bps of the notional filled, (6, T, N): all of it, its four parts, and against the bar's VWAP; NaN
    without a fill. fills: (SUMS, T, N). multiplier, inverse: (N,)."""
    made = np.full((6, fills.shape[1], fills.shape[2]), np.nan)
    for t in range(fills.shape[1]):
        for n in range(fills.shape[2]):
            base = fills[0, t, n]
            if not base > 0.0:
                continue
            for k in range(1, 5):
                made[k, t, n] = fills[k, t, n] / base * 1e4
            made[0, t, n] = made[1, t, n] + made[2, t, n] + made[3, t, n] + made[4, t, n]
            at = vwap[t, n]
            worth = at if inverse[n] == 0 else -1.0 / at if at > 0.0 else math.nan
            against = fills[6, t, n] - multiplier[n] * worth * fills[5, t, n]
            made[5, t, n] = (against + fills[4, t, n]) / base * 1e4
    return made


@layer("L100", schedule="post")
def l100_decision_audit(
    l0_market_feed: Market,
    l1_regime: Regime,
    l3_action_proposal: Proposal,
    l4_risk_gate: Approval,
    l5_execution_bridge: OrderIntents,
    l81_kill_switch: KillSwitch,
    l96_order_lifecycle: Orders,
    l97_ledger: Ledger,
    l98_reconciliation: Reconciliation,
    instruments: Instruments,
    clock: Clock,
    carry: AuditCarry,
) -> Audit:
    """Implementation shortfall of the fills of each bar and its parts, what each source made, and the events worth a record.

    Returns panels (T, N). shortfall_bps = delay_bps (decision price to the open, limit or trigger) + spread_bps (from there to
    the touch) + impact_bps (from the touch to the fill) + fee_bps, each of the notional filled in the bar; positive costs
    money; NaN in a bar without a fill. The decision price of a stop or target is its own price. vwap_bps: the fills and their
    fees against the bar's VWAP. refused: the part of the proposed weight, a fraction of equity, that L4 did not approve, >= 0
    (0 where nothing is proposed). profit: quote currency, finite; over bars and symbols it adds up to what the account made.
    by_source (T, N, PARTS): profit times the share of each part, a source's or the stated belief's, in L3's edge at the close
    that opened the position; 0 where that was unknown.
    events, regime_changed and anomaly are flags; orders and order_id tie them to the orders of that close.
    The fills of L90 come here through L96, which knows their orders. What happens between two bars is in the row of the next
    bar; its own row has what has happened since the last close. Source: Perold (1988).
    """
    quality = l0_market_feed.quality
    odd = oddities(
        outlier=quality.outlier,
        crossed=quality.crossed,
        missing=quality.missing,
        listed=quality.listed,
        duplicates=quality.duplicates,
        late=quality.late,
        is_bar=clock.is_bar,
    )
    changed = label_changes(l1_regime.label, carry.label)
    refused = refusals(l3_action_proposal.side, l3_action_proposal.size_fraction, l4_risk_gate.target_weight)
    profit, by_source = profits(
        l97_ledger.position,
        l97_ledger.symbol_realised,
        l97_ledger.unrealised,
        l97_ledger.symbol_fees,
        l97_ledger.symbol_funding,
        l3_action_proposal.parts_bps,
        clock.is_bar,
        carry,
    )
    log, n = l5_execution_bridge, l5_execution_bridge.n
    fills = np.stack(
        (
            l96_order_lifecycle.filled_notional,
            l96_order_lifecycle.delay_cost,
            l96_order_lifecycle.spread_cost,
            l96_order_lifecycle.impact_cost,
            l96_order_lifecycle.fee_cost,
            l96_order_lifecycle.filled_quantity,
            l96_order_lifecycle.filled_value,
        )
    )
    orders, order_id = placed(log.kind[:n], log.symbol[:n], log.id[:n], log.decision_time[:n], clock.ts, fills.shape[2])
    events = happenings(
        odd=odd,
        changed=changed,
        refused=refused,
        shut_out=with_an_edge(l3_action_proposal) & (l3_action_proposal.may_enter == 0),
        verdict=l4_risk_gate.verdict,
        orders=orders,
        filled=fills[0],
        rejects=l96_order_lifecycle.rejects,
        level=l81_kill_switch.level,
        matched=np.asarray(l98_reconciliation.matched),
    )
    since_close(fills, events, clock.is_bar, carry)
    costs = shortfalls(fills, l0_market_feed.bars.vwap, instruments.multiplier, instruments.inverse)
    return Audit(
        shortfall_bps=costs[0],
        delay_bps=costs[1],
        spread_bps=costs[2],
        impact_bps=costs[3],
        fee_bps=costs[4],
        vwap_bps=costs[5],
        filled_notional=fills[0],
        refused=refused,
        profit=profit,
        by_source=by_source,
        orders=orders,
        order_id=order_id,
        events=events,
        regime_changed=changed,
        anomaly=odd,
    )
