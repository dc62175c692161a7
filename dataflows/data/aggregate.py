"""Ticks to bars: trades to OHLCV, order-book snapshots to the last one of each bar and to the order flow inside it.

Kernels consume a batch of ticks in file order and go on where the last batch ended, so that a file of any length needs the
memory of its bars. Bar t covers (t-1, t]: a tick stamped exactly at a close belongs to the bar that closes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class TradeBars(NamedTuple):
    """Bars under construction: panels (T, N), and of each symbol (N,) its last trade's time and the price before the bars."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats  # base units
    notional: Floats  # quote currency; vwap is notional / volume
    trades: Floats  # how many
    buy_volume: Floats  # taker buys; NaN where the side of a trade in the bar is unknown
    buy_count: Floats
    last_time: Ints  # UTC ns
    before: Floats  # price of the last trade before the first bar; NaN: none


class BookBars(NamedTuple):
    """Book panels under construction (T, N, D), and what the next snapshot is compared with."""

    bid_price: Floats
    bid_size: Floats
    ask_price: Floats
    ask_size: Floats
    ofi: Floats
    taken: Ints  # (T, N) UTC ns of the snapshot that the bar shows; a negative number: none yet
    before: Floats  # (4, N, D) last snapshot before the first bar, rows BID_PRICE to ASK_SIZE
    before_taken: Ints  # (N,)
    previous: Floats  # (4, N, D) last uncrossed snapshot
    seen: Ints  # (N,) 1 once there is a previous
    last_time: Ints  # (N,) UTC ns


BID_PRICE, BID_SIZE, ASK_PRICE, ASK_SIZE = range(4)
"""Rows of a snapshot."""
NEVER = -(1 << 62)
"""Time of a tick that has not come yet."""


def trade_bars(bars: int, symbols: int) -> TradeBars:
    """Empty bars: NaN, counts included, until the first trade of a bar."""
    panels = [np.full((bars, symbols), np.nan) for _ in range(9)]
    return TradeBars._make([*panels, np.full(symbols, NEVER, np.int64), np.full(symbols, np.nan)])


def book_bars(bars: int, symbols: int, depth: int) -> BookBars:
    """Empty book panels: NaN until the first snapshot."""
    bid_price, bid_size, ask_price, ask_size, ofi = (np.full((bars, symbols, depth), np.nan) for _ in range(5))
    return BookBars(
        bid_price=bid_price,
        bid_size=bid_size,
        ask_price=ask_price,
        ask_size=ask_size,
        ofi=ofi,
        taken=np.full((bars, symbols), NEVER, np.int64),
        before=np.full((4, symbols, depth), np.nan),
        before_taken=np.full(symbols, NEVER, np.int64),
        previous=np.full((4, symbols, depth), np.nan),
        seen=np.zeros(symbols, np.int64),
        last_time=np.full(symbols, NEVER, np.int64),
    )


@kernel
def add_trades(time: Ints, row: Ints, col: Ints, price: Floats, size: Floats, side: Ints, bars: TradeBars) -> int:
    """Adds trades to their bars.

    time: UTC ns (M,). row, col: bar and symbol of each; rows outside the panels add to no bar. price in quote currency, size
    in base units. side: 1 the aggressor bought, 0 sold, -1 unknown. bars: updated in place; of the trades before the first bar
    the last price is kept.
    Returns the index of the first trade earlier than one of its symbol before it (nothing after it is added), or -1.
    """
    last_time, before, bars_open, high, low = bars.last_time, bars.before, bars.open, bars.high, bars.low
    volume, notional, trades, buy_volume = bars.volume, bars.notional, bars.trades, bars.buy_volume
    buy_count, close = bars.buy_count, bars.close
    n_bars = bars_open.shape[0]
    for i in range(time.shape[0]):
        t = row[i]
        n = col[i]
        if time[i] < last_time[n]:
            return i
        last_time[n] = time[i]
        p = price[i]
        s = size[i]
        if t < 0:
            before[n] = p
        if t < 0 or t >= n_bars:
            continue
        if np.isnan(bars_open[t, n]):
            bars_open[t, n] = p
            high[t, n] = p
            low[t, n] = p
            volume[t, n] = 0.0
            notional[t, n] = 0.0
            trades[t, n] = 0.0
            buy_volume[t, n] = 0.0
            buy_count[t, n] = 0.0
        if p > high[t, n]:
            high[t, n] = p
        if p < low[t, n]:
            low[t, n] = p
        close[t, n] = p
        volume[t, n] += s
        notional[t, n] += p * s
        trades[t, n] += 1.0
        if side[i] == 1:
            buy_volume[t, n] += s
            buy_count[t, n] += 1.0
        elif side[i] != 0:
            buy_volume[t, n] = np.nan
            buy_count[t, n] = np.nan
    return -1


@kernel
def fill_quiet(alive: Ints, last: Ints, sided: Ints, bars: TradeBars) -> int:
    """Makes bars without a trade observed ones: all four prices the last trade's, nothing traded. Returns how many.

    alive: (T, N) 1 where the exchange is known to have been at work in the bar. last: (N,) last bar in which the symbol traded;
    later ones stay NaN, as do those before its first trade. sided: (N,) 1 where the trades of the symbol name the aggressor:
    then nobody bought, else that is not known. bars: updated in place; notional 0, so that vwap is not known.
    """
    before, close, bars_open, high, low, volume = bars.before, bars.close, bars.open, bars.high, bars.low, bars.volume
    notional, trades, buy_volume, buy_count = bars.notional, bars.trades, bars.buy_volume, bars.buy_count
    filled = 0
    for n in range(bars_open.shape[1]):
        price = before[n]
        for t in range(bars_open.shape[0]):
            if not np.isnan(close[t, n]):
                price = close[t, n]
            elif alive[t, n] == 1 and t <= last[n] and not np.isnan(price):
                bars_open[t, n] = price
                high[t, n] = price
                low[t, n] = price
                close[t, n] = price
                volume[t, n] = 0.0
                notional[t, n] = 0.0
                trades[t, n] = 0.0
                if sided[n] == 1:
                    buy_volume[t, n] = 0.0
                    buy_count[t, n] = 0.0
                filled += 1
    return filled


@kernel
def add_snapshots(
    time: Ints,
    row: Ints,
    col: Ints,
    bid_price: Floats,
    bid_size: Floats,
    ask_price: Floats,
    ask_size: Floats,
    book: BookBars,
) -> int:
    """Adds order-book snapshots to their bars: the last one of a bar stays, the order flow of all of them is summed.

    time: UTC ns (M,). row, col: bar and symbol; a row below 0 lies before the first bar and serves as the state to start from,
    one past the end is passed over. Prices and sizes (M, D), best level first, NaN where a level is absent. book: updated in
    place. Returns the index of the first snapshot earlier than one of its symbol before it, or -1.

    `ofi` of a level is the sum of e = q_b [P_b >= P_b'] - q_b' [P_b <= P_b'] - q_a [P_a <= P_a'] + q_a' [P_a >= P_a'] over the
    bar's snapshots, primes marking the snapshot before, in an earlier bar if need be. A level absent on any of the four adds
    nothing; a crossed snapshot is shown as it is but takes no part. NaN where no event was measured.
    Source: Cont, Kukanov and Stoikov (2014), each level by itself as in Xu, Gould and Howison (2018).
    """
    last_time, previous, book_bid_price, book_bid_size = book.last_time, book.previous, book.bid_price, book.bid_size
    book_ask_price, book_ask_size, before, seen, ofi = book.ask_price, book.ask_size, book.before, book.seen, book.ofi
    taken, before_taken = book.taken, book.before_taken
    n_bars = taken.shape[0]
    depth = bid_price.shape[1]
    for i in range(time.shape[0]):
        t = row[i]
        n = col[i]
        if time[i] < last_time[n]:
            return i
        last_time[n] = time[i]
        if t >= n_bars:
            continue
        crossed = bid_price[i, 0] >= ask_price[i, 0]
        for d in range(depth):
            bp = bid_price[i, d]
            bq = bid_size[i, d]
            ap = ask_price[i, d]
            aq = ask_size[i, d]
            if t >= 0:
                book_bid_price[t, n, d] = bp
                book_bid_size[t, n, d] = bq
                book_ask_price[t, n, d] = ap
                book_ask_size[t, n, d] = aq
            else:
                before[BID_PRICE, n, d] = bp
                before[BID_SIZE, n, d] = bq
                before[ASK_PRICE, n, d] = ap
                before[ASK_SIZE, n, d] = aq
            if crossed:
                continue
            if t >= 0 and seen[n] == 1:
                bp0 = previous[BID_PRICE, n, d]
                bq0 = previous[BID_SIZE, n, d]
                ap0 = previous[ASK_PRICE, n, d]
                aq0 = previous[ASK_SIZE, n, d]
                event = 0.0
                if bp >= bp0:
                    event += bq
                if bp <= bp0:
                    event -= bq0
                if ap <= ap0:
                    event -= aq
                if ap >= ap0:
                    event += aq0
                known = not (np.isnan(bp) or np.isnan(bp0) or np.isnan(ap) or np.isnan(ap0))
                if known and not np.isnan(event):
                    if np.isnan(ofi[t, n, d]):
                        ofi[t, n, d] = 0.0
                    ofi[t, n, d] += event
            previous[BID_PRICE, n, d] = bp
            previous[BID_SIZE, n, d] = bq
            previous[ASK_PRICE, n, d] = ap
            previous[ASK_SIZE, n, d] = aq
        if not crossed:
            seen[n] = 1
        if t >= 0:
            taken[t, n] = time[i]
        else:
            before_taken[n] = time[i]
    return -1


@kernel
def carry_books(closes: Ints, step: int, book: BookBars) -> Floats:
    """Shows the last snapshot in every later bar, and returns its age in bars (T, N): close less snapshot time, over the step.

    closes: (T,) UTC ns. step: ns. book: price, size and `taken` updated in place; `ofi` stays NaN in bars
    without a snapshot. NaN before a symbol's first snapshot.
    """
    taken, before_taken, bid_price, before = book.taken, book.before_taken, book.bid_price, book.before
    bid_size, ask_price, ask_size = book.bid_size, book.ask_price, book.ask_size
    n_bars, n_symbols, depth = bid_price.shape
    age = np.empty((n_bars, n_symbols))
    for t in range(n_bars):
        for n in range(n_symbols):
            if taken[t, n] < 0:
                if t == 0:
                    taken[t, n] = before_taken[n]
                    for d in range(depth):
                        bid_price[t, n, d] = before[BID_PRICE, n, d]
                        bid_size[t, n, d] = before[BID_SIZE, n, d]
                        ask_price[t, n, d] = before[ASK_PRICE, n, d]
                        ask_size[t, n, d] = before[ASK_SIZE, n, d]
                else:
                    taken[t, n] = taken[t - 1, n]
                    for d in range(depth):
                        bid_price[t, n, d] = bid_price[t - 1, n, d]
                        bid_size[t, n, d] = bid_size[t - 1, n, d]
                        ask_price[t, n, d] = ask_price[t - 1, n, d]
                        ask_size[t, n, d] = ask_size[t - 1, n, d]
            if taken[t, n] < 0:
                age[t, n] = np.nan
            else:
                age[t, n] = (closes[t] - taken[t, n]) / step
    return age
