"""L90: what the venue did. Simulated from the bar, or as a live venue reports it."""

from __future__ import annotations

import math

from dataflows.data.types import Clock, Instruments, Market
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.matching_engine import (
    ASK_PRICE,
    ASK_SIZE,
    BARS,
    BID_PRICE,
    BID_SIZE,
    BRACKET_STOP,
    BRACKET_TARGET,
    CANCEL_FROM,
    CLOSE,
    ID,
    LAST_CLOSE,
    LIFE,
    LIMIT_PRICE,
    LIVE_FROM,
    MESSAGES,
    MID,
    MODIFY_FROM,
    NEW_PRICE,
    NO_ROOM,
    ORDERS,
    SIGMA,
    SPREAD_BPS,
    STOP_PRICE,
    TYPE,
    VOLUME,
    Filters,
    Log,
    VenueCarry,
    arrivals,
    at_open,
    enter,
    expiries,
    in_path,
    leave,
    report,
)
from dataflows.execution.order_table import find
from dataflows.execution.types import (
    CANCEL,
    CANCEL_REJECT,
    CANCELED_EVENT,
    PLACE,
    REJECT,
    REJECTIONS,
    STOP_MARKET,
    Executions,
    OrderIntents,
)
from dataflows.kinematics.types import Returns
from dataflows.layer import layer, variant
from dataflows.microstructure.types import SpreadDepth
from dataflows.runtime.scratch import fresh

_UNKNOWN_ORDER = REJECTIONS.index("UNKNOWN_ORDER")
_MOST_ORDERS = REJECTIONS.index("MOST_ORDERS")
_RATE = REJECTIONS.index("RATE")


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
    slippage; a stop before a target, and no target in the bar of a limit entry. Entries take at most `participation` of the
    bar's volume, resting limits `queue_share`, reduce-only orders up to all of it; the rest stays working. In a bar that is
    unknown, filled, closed or without volume nothing fills. Orders must keep to the venue's filters: tick, lot, least notional,
    price band about the last close, long only, orders open at once, messages a bar. The first fill of an entry that opens a
    position makes its stop (id + 1) and target (id + 2) live for the whole position; when a position is closed, its bracket,
    other reduce-only orders and the rest of the entry that opened it are canceled. Orders decided inside a bar (the operator's
    word, a watchdog) meet the next one; between bars only cancels are answered.

    Returns a log: signed base units, prices and fees in quote currency. Fills number 1, 2, 3 ... per symbol in `fill_id`.
    Source: price impact after Torre (1997); a resting order's place in the queue as a share of volume.
    """
    symbols = carry.position.shape[0]
    under_way = orders.n
    for s in range(symbols):
        under_way += carry.counts[ORDERS, s]
    room = 8 * under_way + 8  # an order makes at most 6 reports in a bar, those of its bracket included
    ints = fresh((6, room), 0)
    floats = fresh((5, room), math.nan)
    log = Log(ints, floats)
    k = 0
    bar = carry.instant[BARS] + 1  # the number of this bar; between bars, of the one under way
    most_messages = 0
    for s in range(symbols):
        own = instruments.orders_per_bar[s]
        most_messages = own if own > 0 and (most_messages == 0 or own < most_messages) else most_messages
    for i in range(orders.n):
        s, kind, order_id = orders.symbol[i], orders.kind[i], orders.id[i]
        inside = 1 if orders.decision_time[i] > carry.instant[LAST_CLOSE] else 0
        due = bar + execution.extra_latency_bars + inside
        m = find(carry.codes[ID], s, order_id)
        if kind == PLACE and (m >= 0 or order_id <= 0):
            continue  # it came twice
        carry.instant[MESSAGES] += 1
        if 0 < most_messages < carry.instant[MESSAGES]:
            k = report(log, k, REJECT if kind == PLACE else CANCEL_REJECT, s, order_id, _RATE)
        elif kind == PLACE:
            if 0 < instruments.most_orders[s] <= carry.counts[ORDERS, s]:
                k = report(log, k, REJECT, s, order_id, _MOST_ORDERS)
                continue
            m = enter(carry, s, order_id, orders.type[i], orders.reduce_only[i], orders.quantity[i])
            if m < 0:
                k = report(log, k, REJECT, s, order_id, NO_ROOM)
                continue
            carry.codes[LIVE_FROM, m, s], carry.numbers[LIFE, m, s] = due, orders.lifetime[i]
            carry.numbers[LIMIT_PRICE, m, s], carry.numbers[STOP_PRICE, m, s] = orders.limit_price[i], orders.stop_price[i]
            carry.numbers[BRACKET_STOP, m, s], carry.numbers[BRACKET_TARGET, m, s] = (
                orders.bracket_stop[i],
                orders.bracket_target[i],
            )
        elif m < 0:
            k = report(log, k, CANCEL_REJECT, s, order_id, _UNKNOWN_ORDER)
        elif kind == CANCEL:
            if clock.is_bar == 0 and due <= bar:  # decided at the last close: it was there when the bar under way opened
                k = report(log, k, CANCELED_EVENT, s, order_id, 0)
                leave(carry, s, m)
            else:
                carry.codes[CANCEL_FROM, m, s] = due
        else:
            stops = carry.codes[TYPE, m, s] == STOP_MARKET
            carry.numbers[NEW_PRICE, m, s] = orders.stop_price[i] if stops else orders.limit_price[i]
            carry.codes[MODIFY_FROM, m, s] = due

    if clock.is_bar != 0:
        alpha = 1.0 - math.exp(-math.log(2.0) / execution.slippage_volume_bars)
        for s in range(symbols):
            valid = l0_market_feed.quality.valid[s] != 0
            volume = l0_market_feed.bars.volume[s]
            if carry.counts[ORDERS, s] > 0:
                open_, high, low = l0_market_feed.bars.open[s], l0_market_feed.bars.high[s], l0_market_feed.bars.low[s]
                session_open = l0_market_feed.session.is_open[s] != 0
                trades = 1 if valid and session_open and volume > 0.0 and 0.0 < low <= open_ <= high < math.inf else 0
                lot, uid, taker = instruments.lot_size[s], instruments.uid[s], instruments.taker_fee_bps[s]
                rules = Filters(
                    l0_market_feed.quality.listed[s],
                    instruments.tick_size[s],
                    lot,
                    instruments.min_notional[s],
                    instruments.reduce_only_exempt[s],
                    instruments.price_band_bps[s] / 1e4,
                    instruments.long_only[s],
                )
                k = arrivals(carry, log, k, s, bar, rules, trades, open_)
                if trades != 0:
                    k, by_entries, by_all = at_open(
                        carry,
                        log,
                        k,
                        s,
                        bar,
                        open_,
                        volume,
                        execution.participation,
                        execution.slippage_law,
                        execution.slippage_impact,
                        execution.slippage_default_bps,
                        lot,
                        taker,
                        uid,
                    )
                    k = in_path(
                        carry,
                        log,
                        k,
                        s,
                        bar,
                        open_,
                        high,
                        low,
                        volume,
                        by_entries,
                        by_all,
                        execution.participation,
                        execution.queue_share,
                        execution.slippage_law,
                        execution.slippage_impact,
                        execution.slippage_default_bps,
                        lot,
                        taker,
                        instruments.maker_fee_bps[s],
                        uid,
                    )
                k = expiries(carry, log, k, s, bar)
            carry.quoted[MID, s], carry.quoted[SPREAD_BPS, s] = l8_spread_depth.mid[s], l8_spread_depth.spread_bps[s]
            carry.quoted[SIGMA, s] = l2_returns_volatility.sigma[s]
            close = l0_market_feed.bars.close[s]
            carry.quoted[CLOSE, s] = close if 0.0 < close < math.inf else carry.quoted[CLOSE, s]
            if valid and volume >= 0.0:
                old = carry.quoted[VOLUME, s]
                carry.quoted[VOLUME, s] = old + alpha * (volume - old) if old == old else volume
            if execution.slippage_law != 0:
                known = l0_market_feed.book.has_feed[s] != 0
                for d in range(carry.book.shape[2]):
                    carry.book[BID_PRICE, s, d] = l0_market_feed.book.bid_price[s, d] if known else math.nan
                    carry.book[BID_SIZE, s, d] = l0_market_feed.book.bid_size[s, d] if known else math.nan
                    carry.book[ASK_PRICE, s, d] = l0_market_feed.book.ask_price[s, d] if known else math.nan
                    carry.book[ASK_SIZE, s, d] = l0_market_feed.book.ask_size[s, d] if known else math.nan
        carry.instant[BARS] = bar
        carry.instant[LAST_CLOSE], carry.instant[MESSAGES] = clock.ts, 0
    return Executions(
        k,
        ints[0],
        ints[1],
        ints[2],
        ints[3],
        floats[0],
        floats[1],
        floats[2],
        ints[4],
        floats[3],
        floats[4],
        ints[5],
    )


@variant(venue="live")
@layer("L90", schedule="step")
def l90_fills__live(venue_events: Executions) -> Executions:
    """What a venue reported since the last instant, as its driver translated and journaled it.

    The driver validates events at the edge, numbers the fills of each symbol 1, 2, 3 ... as it first sees them, and keeps the
    bracket where the venue does not. Units as in the simulated variant.
    """
    return venue_events
