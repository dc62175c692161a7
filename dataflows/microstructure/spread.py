"""The touch and the depth of a book, and what bars alone tell of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Ring, Unknown, Zero
from dataflows.kernels.contract import notional_of
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class SpreadProxy(NamedTuple):
    """What the proxies need of the past; W is the window of both averages."""

    product: Ring  # (c - eta)(c - next eta) of the last W pairs of bars, squared log price
    product_sum: Zero
    squares: Ring  # the same, squared
    squares_sum: Zero
    squared: Count
    pairs: Count  # pairs seen
    notional: Ring  # traded in each of the last W valid bars, the account's currency
    notional_sum: Zero
    bars: Count  # valid bars seen
    close: Unknown  # log close of the bar before; NaN after an unknown bar
    middle: Unknown  # middle of that bar's log range
    spread_bps: Unknown  # the estimates, held on bars that are not valid
    depth: Unknown


@kernel
def push(ring: Floats, total: Floats, count: Ints, n: int, value: float) -> None:
    """Replaces the oldest of symbol n's last W values; its running sum is made anew each time the ring wraps.

    ring: (W, N). total, count: (N,). The new sum bounds the drift of the running one to W roundings, and depends on the count
    of values alone, so that no cutting into chunks changes it.
    """
    window = ring.shape[0]
    at = count[n] % window
    if count[n] >= window:
        total[n] -= ring[at, n]
    ring[at, n] = value
    total[n] += value
    count[n] += 1
    if at == window - 1:
        again = 0.0
        for i in range(window):
            again += ring[i, n]
        total[n] = again


@kernel
def proxy_update(
    high: float,
    low: float,
    close: float,
    traded: float,
    n: int,
    tick: float,
    floor_bps: float,
    errors: float,
    share: float,
    state: SpreadProxy,
) -> None:
    """One valid bar of symbol n: Abdi and Ranaldo (2017) with its mid-range lagged, and depth out of traded notional.

    traded: notional of the bar, in the account's currency. errors: how many standard errors of the mean product count as
    the price's own moves, and not as spread.
    """
    window = state.product.shape[0]
    c = math.log(close)
    eta = 0.5 * (math.log(high) + math.log(low))
    if state.close[n] == state.close[n]:
        product = (state.close[n] - state.middle[n]) * (state.close[n] - eta)
        push(state.product, state.product_sum, state.pairs, n, product)
        push(state.squares, state.squares_sum, state.squared, n, product * product)
    state.close[n] = c
    state.middle[n] = eta
    if state.pairs[n] >= window:
        mean = state.product_sum[n] / window
        variance = (state.squares_sum[n] / window - mean * mean) / window
        mean -= errors * math.sqrt(variance) if variance > 0.0 else 0.0
        spread = 2e4 * math.sqrt(mean) if mean > 0.0 else 0.0
        least = 1e4 * tick / close if tick > 0.0 else floor_bps
        state.spread_bps[n] = spread if spread > least else least
    if traded >= 0.0:
        push(state.notional, state.notional_sum, state.bars, n, traded)
    if state.bars[n] >= window:
        mean = state.notional_sum[n] / window
        state.depth[n] = share * mean if mean > 0.0 else 0.0


@kernel
def side_depth(
    price: Floats,
    size: Floats,
    t: int,
    n: int,
    mid: float,
    sign: float,
    levels: int,
    band_bps: float,
    multiplier: float,
    inverse: int,
) -> tuple[float, float]:
    """Notional of one side within `levels` levels and `band_bps` of mid, and how far from mid its last counted level is, bps.

    price, size: (T, N, D). sign: 1 asks, -1 bids. A level without a positive price and size is absent; (0, 0) where
    none counts.
    """
    depth = 0.0
    reach = 0.0
    for k in range(min(levels, price.shape[2])):
        p = price[t, n, k]
        q = size[t, n, k]
        if p > 0.0 and q > 0.0:
            away = 1e4 * sign * (p - mid) / mid
            if away <= band_bps:
                depth += notional_of(p, multiplier, inverse) * q
                if away > reach:
                    reach = away
    return depth, reach


@kernel
def spread_depth(
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    valid: Ints,
    bid_price: Floats,
    bid_size: Floats,
    ask_price: Floats,
    ask_size: Floats,
    book_feed: Ints,
    tick_size: Floats,
    multiplier: Floats,
    inverse: Ints,
    levels: int,
    band_bps: float,
    floor_bps: float,
    errors: float,
    share: float,
    state: SpreadProxy,
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Ints]:
    """Mid, spread in bps, microprice, depth of bids and asks in the account's currency, depth per bp, 1 where they are proxies.

    Bars (T, N), book (T, N, D), facts (N,). A symbol with a book feed is measured in its book alone: NaN where the touch lacks
    a side or is crossed or locked. Without a feed the bars speak: the state is updated where `valid` is 1 and held elsewhere;
    mid and microprice are the close. state: updated in place.
    """
    spread_bps, depth, state_close = state.spread_bps, state.depth, state.close
    bars, symbols = close.shape
    mid = np.full((bars, symbols), np.nan)
    spread = np.full((bars, symbols), np.nan)
    micro = np.full((bars, symbols), np.nan)
    bids = np.full((bars, symbols), np.nan)
    asks = np.full((bars, symbols), np.nan)
    slope = np.full((bars, symbols), np.nan)
    proxied = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            if book_feed[n] != 0:
                b = bid_price[t, n, 0]
                a = ask_price[t, n, 0]
                bs = bid_size[t, n, 0]
                az = ask_size[t, n, 0]
                if b > 0.0 and a > b and bs > 0.0 and az > 0.0:
                    m = 0.5 * (b + a)
                    u = b + (a - b) * (bs / (bs + az))
                    mid[t, n] = m
                    micro[t, n] = u if u <= a else a  # b + (a - b) may round past a
                    spread[t, n] = 1e4 * (a - b) / m
                    unit, inverted = multiplier[n], inverse[n]
                    bids[t, n], far_bid = side_depth(
                        price=bid_price,
                        size=bid_size,
                        t=t,
                        n=n,
                        mid=m,
                        sign=-1.0,
                        levels=levels,
                        band_bps=band_bps,
                        multiplier=unit,
                        inverse=inverted,
                    )
                    asks[t, n], far_ask = side_depth(
                        price=ask_price,
                        size=ask_size,
                        t=t,
                        n=n,
                        mid=m,
                        sign=1.0,
                        levels=levels,
                        band_bps=band_bps,
                        multiplier=unit,
                        inverse=inverted,
                    )
                    per_bid = bids[t, n] / far_bid if far_bid > 0.0 else 0.0
                    per_ask = asks[t, n] / far_ask if far_ask > 0.0 else 0.0
                    slope[t, n] = 0.5 * (per_bid + per_ask)
            else:
                c = close[t, n]
                proxied[t, n] = 1
                if not (c > 0.0):
                    state_close[n] = np.nan  # a pair of bars is never formed across what is unknown
                elif valid[t, n] != 0 and low[t, n] > 0.0 and high[t, n] >= low[t, n]:
                    proxy_update(
                        high=high[t, n],
                        low=low[t, n],
                        close=c,
                        traded=notional_of(c, multiplier[n], inverse[n]) * volume[t, n],
                        n=n,
                        tick=tick_size[n],
                        floor_bps=floor_bps,
                        errors=errors,
                        share=share,
                        state=state,
                    )
                if c > 0.0:
                    mid[t, n] = c
                    micro[t, n] = c
                spread[t, n] = spread_bps[n]
                bids[t, n] = depth[n]
                asks[t, n] = depth[n]
                slope[t, n] = depth[n] / band_bps
    return mid, spread, micro, bids, asks, slope, proxied
