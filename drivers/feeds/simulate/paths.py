"""The loops of the simulation over bars and trades, compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Flow(NamedTuple):
    """Constants of order flow and impact, as the kernel takes them."""

    pool: int
    tail: float
    ceiling: float
    size_sd: float
    exponent: float
    tick_inverse: float  # 1 / tick size, an integer
    lot_inverse: float  # 1 / lot size, an integer
    log_price: float  # of the first bar


class Bar(NamedTuple):
    """One symbol's latent bars (T,), in log units."""

    trades: Ints
    common: Floats  # return that is spread evenly over the bar's trades: factor, drift, crash
    jump: Floats  # return that comes at once
    noise: Floats  # sd of the symbol's own return
    swing: Floats  # sd of the path inside the bar
    push: Floats  # impact of a middling trade, were the bar one trade
    half_spread: Floats
    size: Floats  # base units of a middling trade
    bad_kind: Ints
    bad_size: Floats


class Tape(NamedTuple):
    """Where the kernel writes: bars (T,), snapshots (T * S,), and trades (E,) or (0,) when they are not wanted."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vwap: Floats
    buy_volume: Floats
    mid: Floats
    snapshot_mid: Floats
    snapshot_flow: Floats
    price: Floats
    size: Floats
    buy: Ints
    mid_before: Floats
    mid_after: Floats


@kernel
def ornstein_uhlenbeck(z: Floats, keep: float) -> Floats:
    """x[t] = keep * x[t-1] + sqrt(1 - keep**2) * z[t], unit variance from the first value on. z: (T,) standard normal."""
    out = np.empty_like(z)
    fresh = math.sqrt(1.0 - keep * keep)
    x = z[0]
    for t in range(z.size):
        if t > 0:
            x = keep * x + fresh * z[t]
        out[t] = x
    return out


@kernel
def regimes(u: Floats, leave: Floats) -> Ints:
    """A chain of three states that stays with 1 - leave[state] and goes to either other alike. u: (T,) uniform."""
    out = np.empty(u.size, np.int64)
    state = 0
    for t in range(u.size):
        p = leave[state]
        if u[t] < p:
            state = (state + (1 if u[t] < 0.5 * p else 2)) % 3
        out[t] = state
    return out


@kernel
def walk(bar: Bar, flow: Flow, z: Floats, u: Floats, q: Floats, snapshots: int, tape: Tape) -> None:
    """The path of one symbol, trade by trade.

    z, q: (E,) standard normal (path, size); u: (E,) uniform (which hidden order trades, and what replaces it). Writes `tape`.
    The propagator is a sum of four exponentials whose weights follow lag**-0.25 from 1 to 1000 trades: with signs that decay as
    lag**-0.5 that is the exponent at which the price diffuses, (1 - 0.5) / 2.
    """
    keep = (math.exp(-1.0 / 2.0), math.exp(-1.0 / 15.0), math.exp(-1.0 / 150.0), math.exp(-1.0 / 1500.0))
    weight = (0.32, 0.26, 0.22, 0.20)
    side = np.ones(flow.pool, np.float64)
    left = np.ones(flow.pool, np.float64)
    for i in range(flow.pool):
        side[i] = 1.0 if i % 2 == 0 else -1.0
    a = b = c = d = 0.0
    recent = 0.0
    tick, lot = flow.tick_inverse, flow.lot_inverse
    keep_trades = tape.price.size > 0
    m = flow.log_price
    e = 0
    for t in range(bar.trades.size):
        k = bar.trades[t]
        mean = 0.0
        for j in range(k):
            mean += z[e + j]
        mean /= k
        root = math.sqrt(k)
        even = bar.common[t] / k + bar.noise[t] * mean / root
        push = bar.push[t] / root
        swing = bar.swing[t] / root
        first = high = low = price = 0.0
        volume = money = bought = 0.0
        mid = 0.0
        shot = 0
        for j in range(k):
            m += even + swing * (z[e] - mean)
            if j == k // 2:
                m += bar.jump[t]
            x = u[e] * flow.pool
            i = int(x)
            s = side[i]
            left[i] -= 1.0
            if left[i] < 0.5:  # the order is done: another takes its place
                f = 2.0 * (x - i)
                side[i] = 1.0
                if f >= 1.0:
                    side[i] = -1.0
                    f -= 1.0
                left[i] = min(flow.ceiling, math.ceil(math.exp(-math.log(1.0 - f + 1e-12) / flow.tail)))
            before = math.exp(m + a + b + c + d)
            half = bar.half_spread[t] * before
            bid = math.floor((before - half) * tick + 0.5)
            ask = math.floor((before + half) * tick + 0.5)
            if ask <= bid:
                bid = math.floor(before * tick)
                ask = bid + 1.0
            price = (ask if s > 0.0 else bid) / tick
            if (bar.bad_kind[t] == 1 and j == k // 2) or (bar.bad_kind[t] == 2 and j == k - 1):
                price = math.floor(before * math.exp(bar.bad_size[t]) * tick + 0.5) / tick
            big = math.exp(flow.size_sd * q[e])
            lots = math.floor(bar.size[t] * big * lot + 0.5)
            size = (lots if lots > 1.0 else 1.0) / lot
            moved = s * push * (math.sqrt(big) if flow.exponent == 0.5 else math.exp(flow.exponent * flow.size_sd * q[e]))
            a = keep[0] * a + weight[0] * moved
            b = keep[1] * b + weight[1] * moved
            c = keep[2] * c + weight[2] * moved
            d = keep[3] * d + weight[3] * moved
            recent += 0.15 * (s - recent)
            shown = shot < snapshots and j == ((shot + 1) * k) // snapshots - 1
            if shown or keep_trades:
                mid = math.exp(m + a + b + c + d)
            if j == 0:
                first = high = low = price
            high = price if price > high else high
            low = price if price < low else low
            volume += size
            money += size * price
            if s > 0.0:
                bought += size
            if keep_trades:
                tape.price[e] = price
                tape.size[e] = size
                tape.buy[e] = 1 if s > 0.0 else 0
                tape.mid_before[e] = before
                tape.mid_after[e] = mid
            e += 1
            if shown:
                tape.snapshot_mid[t * snapshots + shot] = mid
                tape.snapshot_flow[t * snapshots + shot] = recent
                shot += 1
        tape.open[t] = first
        tape.high[t] = high
        tape.low[t] = low
        tape.close[t] = price
        tape.volume[t] = volume
        tape.vwap[t] = money / volume
        tape.buy_volume[t] = bought
        tape.mid[t] = mid


@kernel
def ladder(
    mid: Floats, half_spread: Floats, best_size: Floats, tilt: Floats, gaps: Floats, z: Floats, tick: float, lot: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """Ten levels a side around the mid: prices on the tick, sizes on the lot, best first, never crossed.

    mid, half_spread (log), best_size (base units), tilt (> 0: more on the bid): (S,). gaps: (S, 2, 10) uniform; z: (S, 2, 10)
    standard normal. tick and lot: their inverses. Returns bid price, bid size, ask price, ask size, each (S, 10).
    """
    n, levels = mid.size, z.shape[2]
    bid_price, bid_size = np.empty((n, levels)), np.empty((n, levels))
    ask_price, ask_size = np.empty((n, levels)), np.empty((n, levels))
    for s in range(n):
        half = half_spread[s] * mid[s]
        bid = math.floor((mid[s] - half) * tick + 0.5)
        ask = math.floor((mid[s] + half) * tick + 0.5)
        if ask <= bid:
            bid = math.floor(mid[s] * tick)
            ask = bid + 1.0
        step = half * tick  # ticks: the mean distance of two levels
        for level in range(levels):
            if level > 0:
                bid -= 1.0 + math.floor(2.0 * step * gaps[s, 0, level] * gaps[s, 0, level])
                ask += 1.0 + math.floor(2.0 * step * gaps[s, 1, level] * gaps[s, 1, level])
            shape = best_size[s] * (1.0 + 0.5 * level) / (1.0 + 0.02 * level * level)
            lean = tilt[s] / (1.0 + level)
            bids = math.floor(shape * math.exp(0.5 * z[s, 0, level] + lean) * lot + 0.5)
            asks = math.floor(shape * math.exp(0.5 * z[s, 1, level] - lean) * lot + 0.5)
            bid_price[s, level] = bid / tick
            ask_price[s, level] = ask / tick
            bid_size[s, level] = (bids if bids > 1.0 else 1.0) / lot
            ask_size[s, level] = (asks if asks > 1.0 else 1.0) / lot
    return bid_price, bid_size, ask_price, ask_size
