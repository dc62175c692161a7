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

GAUSSIAN: Final = 1.4826
"""A median absolute deviation times this is the standard deviation of a Gaussian."""
FLOATS: Final = 16
(
    OPEN, HIGH, LOW, CLOSE, VOLUME, VWAP, TRADE_COUNT, SESSION_VWAP,
    BOOK_AGE, BUY_VOLUME, SELL_VOLUME, BUY_COUNT, SELL_COUNT, FUNDING, STALE, FROZEN,
) = range(FLOATS)  # fmt: skip
INTS: Final = 10
VALID, FILLED, MISSING, OUTLIER, CROSSED, HAS_FEED, SESSION, BAR_OF_SESSION, IS_OPEN, IS_LAST = range(INTS)
"""Rows of the two blocks that `align` fills."""


class LastSeen(NamedTuple):
    """State of `align`."""

    close: Unknown  # of the last observed bar; NaN before the first and while not listed
    bar_volume: Unknown  # of the last observed bar; NaN where it was not known
    stale: Unknown  # bars since
    frozen: Unknown  # bars since it changed
    book_age: Unknown
    session: Annotated[Ints, Axes(1, start=-1)]
    turnover: Zero  # of the session so far
    volume: Zero  # of the session so far


@kernel
def is_sane(open_: float, high: float, low: float, close: float, volume: float) -> bool:
    """True for a bar that can be: prices finite and positive, high not below low, volume unknown or finite and not negative."""
    prices = open_ > 0.0 and high > 0.0 and low > 0.0 and close > 0.0 and open_ < math.inf and close < math.inf
    return bool(prices and low <= high and high < math.inf and not (volume < 0.0 or volume == math.inf))


@kernel
def align(
    seen: Observations,
    tick_size: Floats,
    book_feed: Ints,
    max_gap: int,
    hampel_k: float,
    state: LastSeen,
    returns: SortedWindow,
) -> tuple[Floats, Ints]:
    """The bars as the other layers may use them, and what is known of their quality.

    Returns float64 (FLOATS, T, N), rows OPEN to FROZEN, and int64 (INTS, T, N), rows VALID to IS_LAST.
    """
    bars, symbols = seen.close.shape
    x = np.full((FLOATS, bars, symbols), np.nan)
    k = np.zeros((INTS, bars, symbols), np.int64)
    # taken out of the records once: inside the loop each mention would count references
    sessions, bar_of, last_of = seen.session, seen.bar_of_session, seen.is_last
    listed, opens, highs, lows, closes, volumes = seen.listed, seen.open, seen.high, seen.low, seen.close, seen.volume
    vwaps, trades, bought, buyers = seen.vwap, seen.trade_count, seen.buy_volume, seen.buy_count
    bids, asks, ages, rates = seen.bid_price, seen.ask_price, seen.book_age, seen.funding_rate
    last_close, stale, frozen, book_age = state.close, state.stale, state.frozen, state.book_age
    turnover, traded, last_session = state.turnover, state.volume, state.session
    bar_volume = state.bar_volume
    ring, past, pos, held = returns.ring, returns.sorted, returns.pos, returns.held
    for t in range(bars):
        session = sessions[t]
        if session != last_session[0]:
            last_session[0] = session
            for n in range(symbols):
                turnover[n] = 0.0
                traded[n] = 0.0
        for n in range(symbols):
            k[HAS_FEED, t, n] = 1 if book_feed[n] != 0 else 0
            k[SESSION, t, n] = session
            k[BAR_OF_SESSION, t, n] = bar_of[t]
            k[IS_OPEN, t, n] = 1
            k[IS_LAST, t, n] = last_of[t]
            if listed[t, n] == 0:
                last_close[n] = math.nan  # a symbol that is listed again starts anew
                stale[n] = math.nan
                frozen[n] = math.nan
                book_age[n] = math.nan
                x[FUNDING, t, n] = 0.0  # a symbol that is not listed pays no funding
            else:
                before = last_close[n]
                sane = is_sane(opens[t, n], highs[t, n], lows[t, n], closes[t, n], volumes[t, n])
                if sane:
                    close = closes[t, n]
                    high = highs[t, n]
                    low = lows[t, n]
                    volume = volumes[t, n]
                    k[VALID, t, n] = 1
                    x[OPEN, t, n] = opens[t, n]
                    x[HIGH, t, n] = high
                    x[LOW, t, n] = low
                    x[CLOSE, t, n] = close
                    x[VOLUME, t, n] = volume
                    vwap = vwaps[t, n]
                    if not (vwap >= low and vwap <= high):
                        vwap = low + ((high - low) + (close - low)) / 3.0  # the typical price, without leaving [low, high]
                    x[VWAP, t, n] = vwap
                    x[TRADE_COUNT, t, n] = trades[t, n]
                    buy = bought[t, n]
                    if buy >= 0.0 and buy <= volume * (1.0 + 1e-9):
                        x[BUY_VOLUME, t, n] = buy if buy < volume else volume
                        x[SELL_VOLUME, t, n] = volume - x[BUY_VOLUME, t, n]
                    buys = buyers[t, n]
                    if buys >= 0.0 and buys <= trades[t, n]:
                        x[BUY_COUNT, t, n] = buys
                        x[SELL_COUNT, t, n] = trades[t, n] - buys
                    if volume >= 0.0:  # unknown volume weighs nothing
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
                                k[OUTLIER, t, n] = 1
                        window_push(r, count_below(past[n], held[n], r), n, ring, past, pos, held)
                        frozen[n] = frozen[n] + 1.0 if close == before else 0.0
                    else:
                        frozen[n] = 0.0
                    last_close[n] = close
                    bar_volume[n] = volume
                    stale[n] = 0.0
                else:
                    k[MISSING, t, n] = 1
                    stale[n] += 1.0
                    frozen[n] += 1.0
                    if stale[n] <= max_gap:
                        k[FILLED, t, n] = 1
                        x[OPEN, t, n] = before
                        x[HIGH, t, n] = before
                        x[LOW, t, n] = before
                        x[CLOSE, t, n] = before
                        x[VOLUME, t, n] = 0.0 if bar_volume[n] == bar_volume[n] else math.nan
                        x[VWAP, t, n] = before
                        x[TRADE_COUNT, t, n] = 0.0
                age = ages[t, n]
                book_age[n] = age if age >= 0.0 else book_age[n] + 1.0
                if bids[t, n, 0] >= asks[t, n, 0]:
                    k[CROSSED, t, n] = 1
                x[FUNDING, t, n] = rates[t, n]
                if traded[n] > 0.0:
                    x[SESSION_VWAP, t, n] = turnover[n] / traded[n]
            x[BOOK_AGE, t, n] = book_age[n]
            x[STALE, t, n] = stale[n]
            x[FROZEN, t, n] = frozen[n]
    return x, k
