"""L90: what the venue did. Simulated from the bar, or as a live venue reports it."""

from __future__ import annotations

import math
from typing import Final

from dataflows.data.types import OPERATOR_CASH_FLOW, Bars, Book, Clock, Instruments, Market
from dataflows.execution.account import carry_cost, is_dust, year_part
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.matching_engine import liquidate, meet
from dataflows.execution.order_table import closes_position, find, is_stop
from dataflows.execution.types import (
    CANCEL,
    CANCEL_REJECT,
    CANCELED_EVENT,
    PLACE,
    REJECT,
    Executions,
    OrderIntents,
)
from dataflows.execution.venue_books import (
    ASK_PRICE,
    ASK_SIZE,
    BARS,
    BID_PRICE,
    BID_SIZE,
    BRACKET_LIMIT,
    BRACKET_STOP,
    BRACKET_TARGET,
    CANCEL_FROM,
    CLOSE,
    DELISTED,
    DUST_SWEPT,
    ID,
    IN_FORCE,
    LAST_CLOSE,
    LIFE,
    LIMIT_PRICE,
    LIVE_FROM,
    MESSAGES,
    MID,
    MODIFY_FROM,
    MOST_ORDERS,
    NEW_LIMIT,
    NEW_PRICE,
    NEW_QUANTITY,
    NO_ROOM,
    ORDERS,
    RATE,
    SIGMA,
    SPREAD_BPS,
    STOP_PRICE,
    TODAY,
    TYPE,
    UNKNOWN_ORDER,
    VOLUME,
    Log,
    VenueCarry,
    enter,
    executions_of,
    leave,
    new_log,
    report,
)
from dataflows.execution.venue_fills import Terms, close_by_venue
from dataflows.execution.venue_filters import Bar, Rules, free
from dataflows.kernels.contract import notional_of
from dataflows.kinematics.types import Returns
from dataflows.layer import layer, variant
from dataflows.microstructure.types import SpreadDepth
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

DAY: Final = 86_400_000_000_000  # ns


@kernel
def least_positive(limits: Ints) -> int:
    """The least of the limits that are above 0; 0: there is none."""
    least = 0
    for s in range(limits.shape[0]):
        if limits[s] > 0 and (least == 0 or limits[s] < least):
            least = limits[s]
    return least


@kernel
def accept(carry: VenueCarry, log: Log, orders: OrderIntents, i: int, due: int, most_orders: int) -> None:
    """Takes a new order into the book, from bar `due` on; or refuses it for lack of room."""
    s = orders.symbol[i]
    if 0 < most_orders <= carry.counts[ORDERS, s]:
        report(log, REJECT, s, orders.id[i], MOST_ORDERS)
        return
    m = enter(carry, s, orders.id[i], orders.type[i], orders.reduce_only[i], orders.quantity[i])
    if m < 0:
        report(log, REJECT, s, orders.id[i], NO_ROOM)
        return
    carry.codes[LIVE_FROM, m, s], carry.numbers[LIFE, m, s] = due, orders.lifetime[i]
    carry.codes[IN_FORCE, m, s] = orders.time_in_force[i]
    carry.numbers[LIMIT_PRICE, m, s], carry.numbers[STOP_PRICE, m, s] = orders.limit_price[i], orders.stop_price[i]
    carry.numbers[BRACKET_STOP, m, s], carry.numbers[BRACKET_TARGET, m, s] = orders.bracket_stop[i], orders.bracket_target[i]
    carry.numbers[BRACKET_LIMIT, m, s] = orders.bracket_limit[i]


@kernel
def cancel(carry: VenueCarry, log: Log, s: int, m: int, due: int, at_once: bool) -> None:
    """Takes the order in slot m off: now, or when the message arrives."""
    if at_once:
        report(log, CANCELED_EVENT, s, carry.codes[ID, m, s], 0)
        leave(carry, s, m)
    else:
        carry.codes[CANCEL_FROM, m, s] = due


@kernel
def receive(carry: VenueCarry, log: Log, orders: OrderIntents, latency: int, is_bar: int, most: Ints, budget: int) -> None:
    """The messages of the last instant reach the venue: orders, cancels and changes.

    most: (N,) orders of a symbol open at once; budget: messages in one bar; 0: no limit.
    """
    bar = carry.instant[BARS] + 1
    for i in range(orders.n):
        s, kind, order_id = orders.symbol[i], orders.kind[i], orders.id[i]
        due = bar + latency + (1 if orders.decision_time[i] > carry.instant[LAST_CLOSE] else 0)
        m = find(carry.codes[ID], s, order_id)
        if kind == PLACE and (m >= 0 or order_id <= 0):
            continue  # it came twice
        carry.instant[MESSAGES] += 1
        if 0 < budget < carry.instant[MESSAGES]:
            report(log, REJECT if kind == PLACE else CANCEL_REJECT, s, order_id, RATE)
        elif kind == PLACE:
            accept(carry, log, orders, i, due, most[s])
        elif m < 0:
            report(log, CANCEL_REJECT, s, order_id, UNKNOWN_ORDER)
        elif kind == CANCEL:  # one decided at the last close was there when the bar under way opened
            cancel(carry, log, s, m, due, is_bar == 0 and due <= bar)
        else:
            stops = is_stop(carry.codes[TYPE, m, s])
            carry.numbers[NEW_PRICE, m, s] = orders.stop_price[i] if stops else orders.limit_price[i]
            carry.numbers[NEW_LIMIT, m, s] = orders.limit_price[i]
            carry.numbers[NEW_QUANTITY, m, s] = orders.quantity[i] if math.fabs(orders.quantity[i]) > 0.0 else math.nan
            carry.codes[MODIFY_FROM, m, s] = due


@kernel
def remember(carry: VenueCarry, s: int, bars: Bars, book: Book, valid: bool, use_book: bool, alpha: float) -> None:
    """What the next bar's slippage and filters go by: the last close, the average volume and the book as of this close."""
    close, volume = bars.close[s], bars.volume[s]
    carry.quoted[CLOSE, s] = close if 0.0 < close < math.inf else carry.quoted[CLOSE, s]
    if valid and volume >= 0.0:
        old = carry.quoted[VOLUME, s]
        carry.quoted[VOLUME, s] = old + alpha * (volume - old) if old == old else volume
    if use_book:
        known = book.has_feed[s] != 0
        for d in range(carry.book.shape[2]):
            carry.book[BID_PRICE, s, d] = book.bid_price[s, d] if known else math.nan
            carry.book[BID_SIZE, s, d] = book.bid_size[s, d] if known else math.nan
            carry.book[ASK_PRICE, s, d] = book.ask_price[s, d] if known else math.nan
            carry.book[ASK_SIZE, s, d] = book.ask_size[s, d] if known else math.nan


@kernel
def pay_carry(carry: VenueCarry, rates: Floats, facts: Instruments, years: float) -> None:
    """Funding and borrow cost of the positions held before this bar's fills leave the venue's account."""
    for s in range(rates.shape[0]):
        if carry.position[s] != 0.0:
            unit = notional_of(carry.quoted[CLOSE, s], facts.multiplier[s], facts.inverse[s])
            carry.money[0] -= carry_cost(carry.position[s], unit, rates[s], facts.borrow_rate[s], years)


@kernel
def begin_day(carry: VenueCarry, ts: int) -> None:
    """Empties the place of a new UTC day, and of those between. The bar that closes at midnight belongs to the day that
    ends."""
    day = (ts - 1) // DAY
    if carry.instant[TODAY] == 0:
        carry.instant[TODAY] = day
    while carry.instant[TODAY] < day:
        carry.instant[TODAY] += 1
        carry.traded[carry.instant[TODAY] % carry.traded.shape[0]] = 0.0
        if day - carry.instant[TODAY] > carry.traded.shape[0]:
            carry.instant[TODAY] = day - carry.traded.shape[0]


@kernel
def fee_tier(carry: VenueCarry, volumes: tuple[float, ...]) -> int:
    """The highest tier whose volume was traded in the 30 UTC days before this one."""
    total, tier = 0.0, 0
    for k in range(carry.traded.shape[0]):
        if k != carry.instant[TODAY] % carry.traded.shape[0]:
            total += carry.traded[k]
    for k in range(len(volumes)):
        if total >= volumes[k]:
            tier = k
    return tier


@kernel
def sweep(carry: VenueCarry, log: Log, s: int, price: float, rules: Rules) -> None:
    """Turns dust into cash, unless an order other than a stop or a target is in the book."""
    unit = notional_of(price, rules.multiplier, rules.inverse)
    dust = is_dust(carry.position[s], unit, rules.lot, rules.min_notional, rules.exempt)
    if dust and only_brackets(carry, s):
        close_by_venue(carry, log, s, price, rules, DUST_SWEPT)


@kernel
def only_brackets(carry: VenueCarry, s: int) -> bool:
    """True where nothing but stops and targets is in the book of symbol s."""
    for m in range(carry.codes.shape[1]):
        if carry.codes[ID, m, s] != 0 and not closes_position(carry.codes[TYPE, m, s]):
            return False
    return True


@variant(venue="sim")
@layer("L90", schedule="step")
def l90_fills__sim(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    instruments: Instruments,
    clock: Clock,
    orders: OrderIntents,
    execution: ExecutionConfig,
    carry: VenueCarry,
) -> Executions:
    """A simulated venue: the orders decided at the previous close meet this bar.

    In this order: cancels and changes, activations, market orders at the open plus slippage, limit entries, stops, targets,
    expiries. Slippage is that of the book of the previous close, or half its spread plus the square-root law. A limit fills
    only when the bar trades strictly through it, at the limit or a better open; a stop at the worse of stop and open, plus
    slippage; a stop before a target, and no target in the bar of a limit entry. A stop-limit that is reached fills like a
    stop where that price is within its limit; else it rests as a limit order, and fills in the same bar only where the
    price has surely come back: the bar opened beyond the limit and trades through it, or closes on its near side. Of an IOC
    order what does not fill at the open of its first bar, of a stop at its trigger, is canceled, and a FOK order fills
    there whole or not at all. A change of quantity only lessens an order. Entries take at most `participation` of the bar's
    volume, resting limits `queue_share`, reduce-only orders up to all of it; the rest stays working. In a bar that is
    unknown, filled, closed or without volume nothing fills. Orders must keep to the venue's filters: tick, lot, least
    notional, price band about the last close, long only, orders open at once, messages a bar.
    The first fill of an entry that opens a position makes its stop (id + 1) and target (id + 2) live for the whole position;
    when a position is closed, its bracket, other reduce-only orders and the rest of the entry that opened it are canceled.
    Orders decided inside a bar (the operator's word, a watchdog) meet the next one; between bars only cancels are answered.

    Fees are those of the tier that the notional of the 30 UTC days before reaches (`fee_tier_volumes`); what a liquidation pays
    is not lessened. Returns a log: signed units, prices in quote currency, fees in the account's. Fills number 1, 2, 3 ... per
    symbol in `fill_id`. Source: price impact after Torre (1997); a resting order's place in the queue as a share of volume."""
    symbols = carry.position.shape[0]
    if carry.instant[BARS] == 0:
        for s in range(symbols):
            if instruments.start_position[s] != 0.0:
                carry.position[s] = instruments.start_position[s]
    under_way = orders.n
    for s in range(symbols):
        under_way += carry.counts[ORDERS, s]
    log = new_log(8 * under_way + 2 * symbols)  # at most 6 reports an order and bar, its bracket included, and the venue's own
    budget = least_positive(instruments.orders_per_bar)
    receive(carry, log, orders, execution.extra_latency_bars, int(clock.is_bar), instruments.most_orders, budget)
    if clock.is_bar == 0:
        if clock.operator == OPERATOR_CASH_FLOW and math.fabs(clock.amount) < math.inf:
            carry.money[0] += clock.amount
        return executions_of(log)

    pay_carry(carry, l0_market_feed.funding, instruments, year_part(int(carry.instant[LAST_CLOSE]), int(clock.ts)))
    begin_day(carry, int(clock.ts))
    tier = fee_tier(carry, execution.fee_tier_volumes)
    taker, maker = execution.fee_tier_taker[tier], execution.fee_tier_maker[tier]
    number = carry.instant[BARS] + 1
    taken = full(3, 0.0)
    terms = Terms(
        participation=execution.participation,
        queue_share=execution.queue_share,
        use_book=execution.slippage_law,
        impact=execution.slippage_impact,
        default_bps=execution.slippage_default_bps,
        gap_share=execution.stop_gap_share,
    )
    alpha = 1.0 - math.exp(-math.log(2.0) / execution.slippage_volume_bars)
    for s in range(symbols):
        valid = l0_market_feed.quality.valid[s] != 0
        if carry.counts[ORDERS, s] > 0 or carry.position[s] != 0.0:
            open_, high, low = l0_market_feed.bars.open[s], l0_market_feed.bars.high[s], l0_market_feed.bars.low[s]
            close, volume, session_open = (
                l0_market_feed.bars.close[s],
                l0_market_feed.bars.volume[s],
                l0_market_feed.session.is_open[s] != 0,
            )
            trades = 1 if valid and session_open and volume > 0.0 and 0.0 < low <= open_ <= high < math.inf else 0
            rules = Rules(
                uid=instruments.uid[s],
                listed=l0_market_feed.quality.listed[s],
                tick=instruments.tick_size[s],
                lot=instruments.lot_size[s],
                min_notional=instruments.min_notional[s],
                exempt=instruments.reduce_only_exempt[s],
                band=instruments.price_band_bps[s] / 1e4,
                long_only=instruments.long_only[s],
                taker_bps=instruments.taker_fee_bps[s] * taker,
                maker_bps=instruments.maker_fee_bps[s] * maker,
                base_fee=instruments.base_fee[s],
                multiplier=instruments.multiplier[s],
                shift=instruments.price_shift[s],
                inverse=instruments.inverse[s],
            )
            if carry.counts[ORDERS, s] > 0:
                meet(carry, log, s, Bar(number, trades, open_, high, low, close, volume), terms, rules, taken)
            if rules.listed == 0:
                given = instruments.delivery_price[s]
                close_by_venue(carry, log, s, given if given > 0.0 else carry.quoted[CLOSE, s], free(rules), DELISTED)
            elif execution.sweep_dust != 0 and trades != 0:
                sweep(carry, log, s, l0_market_feed.bars.close[s], rules)
        carry.quoted[MID, s], carry.quoted[SPREAD_BPS, s] = l8_spread_depth.mid[s], l8_spread_depth.spread_bps[s]
        carry.quoted[SIGMA, s] = l2_returns_volatility.sigma[s]
        remember(carry, s, l0_market_feed.bars, l0_market_feed.book, valid, execution.slippage_law != 0, alpha)
    liquidate(carry, log, l0_market_feed.bars, l0_market_feed.quality.valid, instruments)
    if clock.operator == OPERATOR_CASH_FLOW and math.fabs(clock.amount) < math.inf:
        carry.money[0] += clock.amount
    carry.instant[BARS] = number
    carry.instant[LAST_CLOSE], carry.instant[MESSAGES] = clock.ts, 0
    return executions_of(log)


@variant(venue="live")
@layer("L90", schedule="step")
def l90_fills__live(venue_events: Executions) -> Executions:
    """What a venue reported since the last instant, as its driver translated and journaled it.

    The driver validates events at the edge, numbers the fills of each symbol 1, 2, 3 ... as it first sees them, and keeps the
    bracket where the venue does not. Units as in the simulated variant.
    """
    return Executions(
        n=venue_events.n,
        kind=venue_events.kind,
        symbol=venue_events.symbol,
        id=venue_events.id,
        fill_id=venue_events.fill_id,
        quantity=venue_events.quantity,
        price=venue_events.price,
        fee=venue_events.fee,
        liquidity=venue_events.liquidity,
        reference_price=venue_events.reference_price,
        touch_price=venue_events.touch_price,
        reason=venue_events.reason,
        fee_base=venue_events.fee_base,
        venue_position=venue_events.venue_position,
        venue_cash=venue_events.venue_cash,
    )  # made anew: the loop hands a record in by its place, which is no record to return
