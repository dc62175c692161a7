"""What it costs to get out when the market dries up, and what bad days cost."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dataflows.kernels.window import RollingSum, sum_push, window_sum
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

SCENARIOS: Final = 3


class Traded(NamedTuple):
    """What was traded in each bar, (T, N)."""

    volume: Floats
    unit: Floats  # notional of one at the bar's mean price
    valid: Ints


class Quoted(NamedTuple):
    """What it costs to trade now."""

    liquidity: Ints  # (T, N) liquidity class; -1 unknown
    spread_bps: Floats  # (T, N)
    slippage_bps: Floats  # (T, N, 3) from mid, of an order of each of `sizes`
    sizes: tuple[float, float, float]  # quote currency


class DryUp(NamedTuple):
    """The position that is to be left, and the market it is left in."""

    notional: float
    participation: float  # share of the volume that leaving takes
    factor: float  # how many times thinner the market is


@kernel
def dried_up(traded: Traded, quoted: Quoted, case: DryUp, state: RollingSum) -> tuple[Floats, Floats]:
    """Bars to trade `notional` at `participation` of a volume that is `factor` times thinner, and what it costs in bps.

    volume * unit: notional traded in a bar; its mean over the last W valid bars. Cost: half the spread, `factor` times wider,
    and the slippage beyond it of an order `factor` times the size, since every level shows that much less; between the three
    `sizes` linear, beyond them in the square root of the size. Infinite where nothing trades or anything is unknown, never NaN;
    each (T, N).
    """
    slippage_bps, liquidity, spread_bps = quoted.slippage_bps, quoted.liquidity, quoted.spread_bps
    volume, unit, valid = traded.volume, traded.unit, traded.valid
    notional, sizes = case.notional, quoted.sizes
    bars, symbols = volume.shape
    time, cost = np.empty((bars, symbols)), np.empty((bars, symbols))
    width = state.ring.shape[0]
    order = notional * case.factor
    for t in range(bars):
        for n in range(symbols):
            time[t, n] = cost[t, n] = math.inf
            turnover = volume[t, n] * unit[t, n]
            if valid[t, n] != 0 and 0.0 <= turnover < math.inf:
                sum_push(turnover, n, state)
            if liquidity[t, n] < 0:
                continue
            share = case.participation * (window_sum(n, state) / width) / case.factor
            if share > 0.0:
                time[t, n] = notional / share
            half = 0.5 * spread_bps[t, n]
            slippage = slippage_bps[t, n]
            small, middle, large = slippage[0], slippage[1], slippage[2]
            if order <= sizes[0]:
                beyond = (small - half) * math.sqrt(order / sizes[0])
            elif order <= sizes[1]:
                beyond = small - half + (middle - small) * (order - sizes[0]) / (sizes[1] - sizes[0])
            elif order <= sizes[2]:
                beyond = middle - half + (large - middle) * (order - sizes[1]) / (sizes[2] - sizes[1])
            else:
                beyond = (large - half) * math.sqrt(order / sizes[2])
            if half >= 0.0 and beyond == beyond:
                cost[t, n] = case.factor * half + (beyond if beyond > 0.0 else 0.0)
    return time, cost


@kernel
def as_loss(x: float) -> float:
    """Share of a position lost by a move of log price by x against it, the worse of both sides: exp(x) - 1, at most 1."""
    if not x < 1.0:
        return 1.0 if x >= 1.0 else math.nan
    y = math.exp(x) - 1.0
    if y > 1.0:
        return 1.0
    return y if y > 0.0 else 0.0


@kernel
def scenario_losses(
    sigma_1: Floats,
    sigma_day: Floats,
    es_day: Floats,
    time: Floats,
    cost_bps: Floats,
    vol_factor: float,
    gap: float,
) -> tuple[Floats, Floats]:
    """(T, N, 3) and (T, N): the share of a position that each scenario costs, and the worst of them; in [0, 1].

    0: the day's volatility times `vol_factor`. 1: a jump by `gap`, or by the day's expected shortfall where that is more. 2:
    the cost of leaving a dried-up market and one standard deviation of the price over the bars it takes. NaN together where a
    forecast is unknown.
    """
    bars, symbols = sigma_1.shape
    loss, worst = np.empty((bars, symbols, SCENARIOS)), np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            shaken = as_loss(vol_factor * sigma_day[t, n])
            jumped = as_loss(es_day[t, n])
            if jumped < gap:
                jumped = gap
            if not (shaken >= 0.0 and jumped >= 0.0 and sigma_1[t, n] > 0.0):
                loss[t, n, 0] = loss[t, n, 1] = loss[t, n, 2] = worst[t, n] = math.nan
                continue
            out = cost_bps[t, n] / 1e4 + as_loss(sigma_1[t, n] * math.sqrt(time[t, n]))
            dry = out if out < 1.0 else 1.0
            loss[t, n, 0], loss[t, n, 1], loss[t, n, 2] = shaken, jumped, dry
            worst[t, n] = shaken if shaken > jumped else jumped
            if dry > worst[t, n]:
                worst[t, n] = dry
    return loss, worst
