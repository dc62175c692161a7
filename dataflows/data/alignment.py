"""What L0 decides about each bar: was it observed, is it sane, is it filled, and what is it worth."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Unknown, Zero
from dataflows.data.types import Observations
from dataflows.kernels.order import SortedWindow, count_below, sorted_mad, sorted_median, window_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

SECOND: Final = 1_000_000_000
DAY: Final = 86_400 * SECOND
GAUSSIAN: Final = 1.4826
"""A median absolute deviation times this is the standard deviation of a Gaussian."""
FLOATS: Final = 16
INTS: Final = 10


class LastSeen(NamedTuple):
    """State of `align`."""

    close: Unknown  # of the last observed bar; NaN before the first and while not listed
    stale: Unknown  # bars since
    frozen: Unknown  # bars since it changed
    book_age: Unknown
    session: Annotated[Ints, Axes(1, start=-1)]
    turnover: Zero  # of the session so far
    volume: Zero  # of the session so far


@kernel
def is_sane(open_: float, high: float, low: float, close: float, volume: float) -> bool:
    """True for a bar that can be: prices finite and positive, high not below low, volume finite and not negative."""
    prices = open_ > 0.0 and high > 0.0 and low > 0.0 and close > 0.0 and open_ < math.inf and close < math.inf
    return bool(prices and low <= high and high < math.inf and volume >= 0.0 and volume < math.inf)


@kernel
def align(
    seen: Observations,
    tick_size: Floats,
    book_feed: Ints,
    clock: int,
    max_gap: int,
    hampel_k: float,
    state: LastSeen,
    returns: SortedWindow,
) -> tuple[Floats, Ints]:
    """The bars as the other layers may use them, and what is known of their quality.

    clock: ns of a base bar. Returns float64 (16, T, N): open, high, low, close, volume, vwap, trade_count, session vwap, book
    age, buy_volume, sell_volume, buy_count, sell_count, funding, stale, frozen; and int64 (10, T, N): valid, filled, missing,
    outlier, crossed, has_feed, session id, bar_of_session, is_open, is_last.
    """
    bars, symbols = seen.close.shape
    x = np.full((FLOATS, bars, symbols), np.nan)
    k = np.zeros((INTS, bars, symbols), np.int64)
    # taken out of the records once: inside the loop each mention would count references
    time, listed, opens, highs, lows, closes, volumes = (
        seen.time, seen.listed, seen.open, seen.high, seen.low, seen.close, seen.volume,
    )  # fmt: skip
    vwaps, trades, bought, buyers = seen.vwap, seen.trade_count, seen.buy_volume, seen.buy_count
    bids, asks, ages, rates = seen.bid_price, seen.ask_price, seen.book_age, seen.funding_rate
    last_close, stale, frozen, book_age = state.close, state.stale, state.frozen, state.book_age
    turnover, traded, last_session = state.turnover, state.volume, state.session
    ring, past, pos, held = returns.ring, returns.sorted, returns.pos, returns.held
    for t in range(bars):
        session = (time[t] - 1) // DAY
        into = (time[t] - 1) % DAY
        last = 1 if time[t] % DAY == 0 else 0
        if session != last_session[0]:
            last_session[0] = session
            for n in range(symbols):
                turnover[n] = 0.0
                traded[n] = 0.0
        for n in range(symbols):
            k[5, t, n] = 1 if book_feed[n] != 0 else 0
            k[6, t, n] = session
            k[7, t, n] = into // clock
            k[8, t, n] = 1
            k[9, t, n] = last
            if listed[t, n] == 0:
                last_close[n] = math.nan  # a symbol that is listed again starts anew
                stale[n] = math.nan
                frozen[n] = math.nan
                book_age[n] = math.nan
                x[13, t, n] = 0.0  # a symbol that is not listed pays no funding
            else:
                before = last_close[n]
                sane = is_sane(opens[t, n], highs[t, n], lows[t, n], closes[t, n], volumes[t, n])
                if sane:
                    close = closes[t, n]
                    high = highs[t, n]
                    low = lows[t, n]
                    volume = volumes[t, n]
                    k[0, t, n] = 1
                    x[0, t, n] = opens[t, n]
                    x[1, t, n] = high
                    x[2, t, n] = low
                    x[3, t, n] = close
                    x[4, t, n] = volume
                    vwap = vwaps[t, n]
                    if not (vwap >= low and vwap <= high):
                        vwap = low + ((high - low) + (close - low)) / 3.0  # the typical price, without leaving [low, high]
                    x[5, t, n] = vwap
                    x[6, t, n] = trades[t, n]
                    buy = bought[t, n]
                    if buy >= 0.0 and buy <= volume * (1.0 + 1e-9):
                        x[9, t, n] = buy if buy < volume else volume
                        x[10, t, n] = volume - x[9, t, n]
                    buys = buyers[t, n]
                    if buys >= 0.0 and buys <= trades[t, n]:
                        x[11, t, n] = buys
                        x[12, t, n] = trades[t, n] - buys
                    turnover[n] += vwap * volume
                    traded[n] += volume
                    if before == before:
                        r = math.log(close / before)
                        centre = sorted_median(held[n], past[n])
                        if centre == centre:
                            scale = GAUSSIAN * sorted_mad(centre, held[n], past[n])
                            tick = tick_size[n] / before  # a price that hardly moves has no deviation below its tick
                            if tick > scale:
                                scale = tick
                            if scale > 0.0 and math.fabs(r - centre) > hampel_k * scale:
                                k[3, t, n] = 1
                        window_push(r, count_below(past[n], held[n], r), n, ring, past, pos, held)
                        frozen[n] = frozen[n] + 1.0 if close == before else 0.0
                    else:
                        frozen[n] = 0.0
                    last_close[n] = close
                    stale[n] = 0.0
                else:
                    k[2, t, n] = 1
                    stale[n] += 1.0
                    frozen[n] += 1.0
                    if stale[n] <= max_gap:
                        k[1, t, n] = 1
                        for i in range(4):
                            x[i, t, n] = before
                        x[4, t, n] = 0.0
                        x[5, t, n] = before
                        x[6, t, n] = 0.0
                age = ages[t, n]
                book_age[n] = age if age >= 0.0 else book_age[n] + 1.0
                if bids[t, n, 0] >= asks[t, n, 0]:
                    k[4, t, n] = 1
                x[13, t, n] = rates[t, n]
                if traded[n] > 0.0:
                    x[7, t, n] = turnover[n] / traded[n]
            x[8, t, n] = book_age[n]
            x[14, t, n] = stale[n]
            x[15, t, n] = frozen[n]
    return x, k
