"""What L0 decides about each bar: was it observed, is it sane, is it filled, and what is it worth."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Unknown, Zero
from dataflows.data.types import Observations
from dataflows.kernels.compile import kernel
from dataflows.kernels.order import SortedWindow, window_mad, window_median, window_push
from dataflows.panel import Floats, Ints

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
    for t in range(bars):
        session = (seen.time[t] - 1) // DAY
        into = (seen.time[t] - 1) % DAY
        last = 1 if seen.time[t] % DAY == 0 else 0
        if session != state.session[0]:
            state.session[0] = session
            for n in range(symbols):
                state.turnover[n] = 0.0
                state.volume[n] = 0.0
        for n in range(symbols):
            k[5, t, n] = 1 if book_feed[n] != 0 else 0
            k[6, t, n] = session
            k[7, t, n] = into // clock
            k[8, t, n] = 1
            k[9, t, n] = last
            if seen.listed[t, n] == 0:
                state.close[n] = math.nan  # a symbol that is listed again starts anew
                state.stale[n] = math.nan
                state.frozen[n] = math.nan
                state.book_age[n] = math.nan
                x[13, t, n] = 0.0  # a symbol that is not listed pays no funding
            else:
                before = state.close[n]
                sane = is_sane(seen.open[t, n], seen.high[t, n], seen.low[t, n], seen.close[t, n], seen.volume[t, n])
                if sane:
                    close = seen.close[t, n]
                    high = seen.high[t, n]
                    low = seen.low[t, n]
                    volume = seen.volume[t, n]
                    k[0, t, n] = 1
                    x[0, t, n] = seen.open[t, n]
                    x[1, t, n] = high
                    x[2, t, n] = low
                    x[3, t, n] = close
                    x[4, t, n] = volume
                    vwap = seen.vwap[t, n]
                    if not (vwap >= low and vwap <= high):
                        vwap = low + ((high - low) + (close - low)) / 3.0  # the typical price, without leaving [low, high]
                    x[5, t, n] = vwap
                    x[6, t, n] = seen.trade_count[t, n]
                    buy = seen.buy_volume[t, n]
                    if buy >= 0.0 and buy <= volume * (1.0 + 1e-9):
                        x[9, t, n] = buy if buy < volume else volume
                        x[10, t, n] = volume - x[9, t, n]
                    buys = seen.buy_count[t, n]
                    if buys >= 0.0 and buys <= seen.trade_count[t, n]:
                        x[11, t, n] = buys
                        x[12, t, n] = seen.trade_count[t, n] - buys
                    state.turnover[n] += vwap * volume
                    state.volume[n] += volume
                    if before == before:
                        r = math.log(close / before)
                        centre = window_median(n, returns)
                        if centre == centre:
                            scale = GAUSSIAN * window_mad(centre, n, returns)
                            tick = tick_size[n] / before  # a price that hardly moves has no deviation below its tick
                            if tick > scale:
                                scale = tick
                            if scale > 0.0 and math.fabs(r - centre) > hampel_k * scale:
                                k[3, t, n] = 1
                        window_push(r, n, returns)
                        state.frozen[n] = state.frozen[n] + 1.0 if close == before else 0.0
                    else:
                        state.frozen[n] = 0.0
                    state.close[n] = close
                    state.stale[n] = 0.0
                else:
                    k[2, t, n] = 1
                    state.stale[n] += 1.0
                    state.frozen[n] += 1.0
                    if state.stale[n] <= max_gap:
                        k[1, t, n] = 1
                        for i in range(4):
                            x[i, t, n] = before
                        x[4, t, n] = 0.0
                        x[5, t, n] = before
                        x[6, t, n] = 0.0
                age = seen.book_age[t, n]
                state.book_age[n] = age if age >= 0.0 else state.book_age[n] + 1.0
                if seen.bid_price[t, n, 0] >= seen.ask_price[t, n, 0]:
                    k[4, t, n] = 1
                x[13, t, n] = seen.funding_rate[t, n]
                if state.volume[n] > 0.0:
                    x[7, t, n] = state.turnover[n] / state.volume[n]
            x[8, t, n] = state.book_age[n]
            x[14, t, n] = state.stale[n]
            x[15, t, n] = state.frozen[n]
    return x, k
