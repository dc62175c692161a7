"""L97: the account."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Axes, Unknown, Zero
from dataflows.data.types import OPERATOR_CASH_FLOW, OPERATOR_REBASE, Clock, Instruments, Market
from dataflows.execution.account import carry_cost, is_dust, year_part
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_table import moved, same_side
from dataflows.execution.types import FUNDING, Executions, Ledger, Orders
from dataflows.kernels.contract import average_of, booked, notional_of
from dataflows.layer import layer, variant
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import copied, full

REALISED, FEES, HELD = range(3)  # rows of `parts`; HELD: what holding costs, funding and borrow cost


class LedgerCarry(NamedTuple):
    """Positions at average cost, marks, and the sums of the account."""

    position: Zero
    average_price: Unknown
    mark: Unknown
    mark_age: Unknown
    parts: Annotated[Floats, Axes(3, "N")]  # realised, fees and funding of each symbol
    cash: Annotated[Floats, Axes(1, start="start_cash")]
    fees: Annotated[Floats, Axes(1)]
    funding: Annotated[Floats, Axes(1)]
    cash_flows: Annotated[Floats, Axes(1)]
    realised: Annotated[Floats, Axes(1)]
    peak: Annotated[Floats, Axes(1, start="start_cash")]
    drawdown: Annotated[Floats, Axes(1)]
    last_close: Annotated[Ints, Axes(1)]  # UTC ns


@kernel
def account(
    l0_market_feed: Market,
    l90_fills: Executions,
    l96_order_lifecycle: Orders,
    instruments: Instruments,
    clock: Clock,
    carry: LedgerCarry,
    by_rate: bool,
) -> Ledger:
    """See `l97_ledger__sim`. by_rate: funding and borrow cost by the published rates; else what the venue reports of them."""
    symbols = carry.position.shape[0]
    at_close = clock.is_bar != 0
    first = carry.last_close[0] == 0
    if first:
        for s in range(symbols):
            if instruments.start_position[s] != 0.0:
                carry.position[s], begun = instruments.start_position[s], instruments.start_price[s]
                carry.average_price[s] = begun if begun > 0.0 else math.nan
    if at_close:
        years = year_part(int(carry.last_close[0]), int(clock.ts))
        for s in range(symbols):
            if by_rate and carry.position[s] != 0.0:
                rate, borrow = l0_market_feed.funding[s], instruments.borrow_rate[s]
                unit = notional_of(carry.mark[s], instruments.multiplier[s], instruments.inverse[s])
                paid = carry_cost(carry.position[s], unit, rate, borrow, years)
                carry.cash[0] -= paid
                carry.funding[0] += paid
                carry.parts[HELD, s] += paid
        carry.last_close[0] = clock.ts

    for i in range(l90_fills.n):
        if l96_order_lifecycle.fresh[i] == 0:
            continue
        if l90_fills.kind[i] == FUNDING:
            carry.cash[0] -= l90_fills.fee[i]
            carry.funding[0] += l90_fills.fee[i]
            carry.parts[HELD, l90_fills.symbol[i]] += l90_fills.fee[i]
            continue
        s, q, p, fee = l90_fills.symbol[i], l90_fills.quantity[i], l90_fills.price[i], l90_fills.fee[i]
        before, average = carry.position[s], carry.average_price[s]
        size, inverse, shift = instruments.multiplier[s], instruments.inverse[s], instruments.price_shift[s]
        at_fill = booked(p - shift, size, inverse)
        carry.cash[0] -= q * at_fill + fee
        if l90_fills.fee_base[i] > 0.0:  # bought in full, and the fee then given away at the same price
            q, fee = q - l90_fills.fee_base[i], fee + l90_fills.fee_base[i] * notional_of(p, size, inverse)
        after = moved(before, q)
        carry.fees[0] += fee
        carry.parts[FEES, s] += fee
        if before == 0.0 or same_side(before, q):
            carry.average_price[s] = p if before == 0.0 else average_of(before, average, q, p, inverse)
        else:
            flipped = same_side(after, q)
            gain = (before if flipped or after == 0.0 else -q) * (at_fill - booked(average - shift, size, inverse))
            carry.realised[0] += gain
            carry.parts[REALISED, s] += gain
            if flipped:
                carry.average_price[s] = p
        carry.position[s] = after
        if after == 0.0:
            carry.average_price[s] = math.nan
        if math.isnan(carry.mark[s]):
            carry.mark[s] = p

    if at_close:
        for s in range(symbols):
            close = l0_market_feed.bars.close[s]
            carry.mark_age[s] += 1.0
            if 0.0 < close < math.inf:
                carry.mark[s] = close
                if l0_market_feed.quality.missing[s] == 0:
                    carry.mark_age[s] = 0.0

    unrealised, held, unit_value = full(symbols, 0.0), copied(carry.position), full(symbols, math.nan)
    worth, net, gross = 0.0, 0.0, 0.0
    for s in range(symbols):
        size, inverse, shift = instruments.multiplier[s], instruments.inverse[s], instruments.price_shift[s]
        if carry.mark[s] > 0.0:
            unit_value[s] = notional_of(carry.mark[s], size, inverse)
        if carry.position[s] != 0.0 and carry.mark[s] > 0.0:
            if math.isnan(carry.average_price[s]):
                carry.average_price[s] = carry.mark[s]  # held from the start
            at_mark = booked(carry.mark[s] - shift, size, inverse)
            worth += carry.position[s] * at_mark
            value = carry.position[s] * unit_value[s]
            net += value
            lot, least, exempt = instruments.lot_size[s], instruments.min_notional[s], instruments.reduce_only_exempt[s]
            if is_dust(carry.position[s], unit_value[s], lot, least, exempt):
                held[s] = 0.0
            gross += math.fabs(value)
            unrealised[s] = carry.position[s] * (at_mark - booked(carry.average_price[s] - shift, size, inverse))
    equity = carry.cash[0] + worth
    if at_close and (equity > carry.peak[0] or first):
        carry.peak[0] = equity
    if clock.operator == OPERATOR_CASH_FLOW and math.fabs(clock.amount) < math.inf:
        carry.cash[0] += clock.amount
        carry.cash_flows[0] += clock.amount
        moved_equity = carry.cash[0] + worth
        if equity > 0.0 and moved_equity > 0.0:
            carry.peak[0] *= moved_equity / equity
        equity = moved_equity
    if clock.operator == OPERATOR_REBASE and equity > 0.0:
        carry.peak[0] = equity
        carry.drawdown[0] = 0.0
    if at_close:
        drawdown = 1.0 - equity / carry.peak[0] if equity > 0.0 else 1.0
        carry.drawdown[0] = drawdown if drawdown > 0.0 else 0.0
    parts = copied(carry.parts)
    return Ledger(
        position=copied(carry.position),
        held=held,
        average_price=copied(carry.average_price),
        mark=copied(carry.mark),
        unit_value=unit_value,
        mark_age=copied(carry.mark_age),
        unrealised=unrealised,
        symbol_realised=parts[REALISED],
        symbol_fees=parts[FEES],
        symbol_funding=parts[HELD],
        cash=float(carry.cash[0]),
        fees=float(carry.fees[0]),
        funding=float(carry.funding[0]),
        cash_flows=float(carry.cash_flows[0]),
        realised=float(carry.realised[0]),
        equity=float(equity),
        peak=float(carry.peak[0]),
        drawdown=float(carry.drawdown[0]),
        gross=float(gross),
        net=float(net),
    )


@variant(venue="sim")
@layer("L97", schedule="step", cross_sectional=True)
def l97_ledger__sim(
    l0_market_feed: Market,
    l90_fills: Executions,
    l96_order_lifecycle: Orders,
    instruments: Instruments,
    clock: Clock,
    execution: ExecutionConfig,
    carry: LedgerCarry,
) -> Ledger:
    """Funding and borrow cost of what was held before this bar's fills, then fills and fees, cash flows, and the new marks.

    Returns money in the account's currency, never NaN. Funding is the notional at the last mark times the rate, paid by longs;
    an unknown rate pays nothing. A short position pays borrow_rate a year of its value for the time since the last close. A fee
    in base units reduces what was bought, and counts as a fee at the price of the fill. `held` is the position, 0 where it is
    dust. Only fills that L96 calls fresh are booked, at average cost. Marks are this close, or the last known one (before the
    first: the price of the first fill); mark_age counts bars since, NaN before the first. Equity is cash and what positions are
    booked at, at their marks (position * mark, where a unit is worth its price). Where prices have a `price_shift`, cash is of
    quoted prices; marks, average prices, `unit_value`, gross and net have it. Peak, drawdown, marks and funding move at
    closes only (clock.is_bar); between them equity follows fills and cash flows at held marks. What is held from the start
    (`start_position`) costs nothing and counts from its first mark on; the first peak is the equity of the first close. Each
    symbol's realised gains, fees and funding are kept apart, too: their sums are the account's to rounding. A cash flow scales
    the peak with equity, so that it changes no drawdown; REBASE sets the peak to equity. Drawdown is 1 - equity / peak, and 1
    when equity is not positive."""
    return account(l0_market_feed, l90_fills, l96_order_lifecycle, instruments, clock, carry, True)


@variant(venue="live")
@layer("L97", schedule="step", cross_sectional=True)
def l97_ledger__live(
    l0_market_feed: Market,
    l90_fills: Executions,
    l96_order_lifecycle: Orders,
    instruments: Instruments,
    clock: Clock,
    execution: ExecutionConfig,
    carry: LedgerCarry,
) -> Ledger:
    """The account as the venue's reports make it: fills, fees, and the funding that it has paid or taken, each once.

    No rate is applied: what holding costs is what the venue says (FUNDING), booked when it is reported, at a close or between
    two. All else, and what is returned, is as in the simulated variant.
    """
    return account(l0_market_feed, l90_fills, l96_order_lifecycle, instruments, clock, carry, False)
