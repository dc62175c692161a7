"""What a round trip costs: L71's kernel, and an edge after it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.kernels.arith import sign
from dataflows.kernels.passage import touch_chance
from dataflows.microstructure.types import PriceImpact
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


class Conditions(NamedTuple):
    """What a trade meets in the market."""

    spread_bps: Floats  # (T, N), quoted
    slippage_bps: Floats  # (T, N, S) against mid, of one order of each size
    sizes: tuple[float, ...]  # (S,), quote currency, ascending
    sigma: Floats  # (T, N), volatility a bar
    traded: Floats  # (T, N), mean notional a bar


class CostRules(NamedTuple):
    """What is costed, and how."""

    notional: float  # of one trade, quote currency
    delta: float  # exponent of the impact
    day_bars: float
    taker_fee_bps: Floats  # (N,); NaN: unknown
    fee_default_bps: float  # where it is


class TradeCost(NamedTuple):
    """What a round trip costs without funding, panels (T, N) in bps."""

    round_trip: Floats
    spread: Floats
    impact: Floats
    fees: Floats


@kernel
def slippage_of(stack: Floats, sizes: tuple[float, ...], t: int, n: int, notional: float) -> float:
    """Slippage in bps of an order of `notional`, from what is known at some sizes (ascending): (T, N, S) at t and n.

    Linear in between, that of the least size below it, growing as the square root beyond the greatest.
    """
    last = stack.shape[2] - 1
    if notional <= sizes[0]:
        return float(stack[t, n, 0])
    if notional >= sizes[last]:
        return float(stack[t, n, last] * math.sqrt(notional / sizes[last]))
    y = math.nan
    for i in range(last):
        if sizes[i] <= notional < sizes[i + 1]:
            share = (notional - sizes[i]) / (sizes[i + 1] - sizes[i])
            y = stack[t, n, i] + share * (stack[t, n, i + 1] - stack[t, n, i])
    return y


@kernel
def trading_costs(conditions: Conditions, law: PriceImpact, rules: CostRules) -> TradeCost:
    """The parts of the cost, none negative. NaN where a part is unknown.

    law: L59's log return per root of notional, and how much of the returns it explains. Impact of one trade:
    sigma_day * (notional / V_day)**delta, drawn to what was measured by the share that this explains, or what the book says
    beyond the touch where that is more.
    """
    # taken out of the records once: inside the loop each mention would count references
    spread_bps, slippage_bps, sizes = conditions.spread_bps, conditions.slippage_bps, conditions.sizes
    sigma, volume = conditions.sigma, conditions.traded
    measured, measured_r2 = law.lambda_sqrt, law.r2
    notional, delta, day_bars = rules.notional, rules.delta, rules.day_bars
    taker_fee_bps, fee_default = rules.taker_fee_bps, rules.fee_default_bps
    bars, symbols = spread_bps.shape
    whole = np.empty((bars, symbols))
    spread = np.empty((bars, symbols))
    impact = np.empty((bars, symbols))
    fees = np.empty((bars, symbols))
    size = math.log(notional) - math.log(day_bars)
    root = math.sqrt(notional)
    day = 1e4 * math.sqrt(day_bars)
    for t in range(bars):
        for n in range(symbols):
            s = spread_bps[t, n]
            if s < 0.0:
                s = 0.0  # a crossed book is no rebate
            spread[t, n] = s
            one = math.nan
            v = volume[t, n]
            if v > 0.0 and math.isfinite(v):
                one = day * sigma[t, n] * math.exp(delta * (size - math.log(v)))
                share = measured_r2[t, n]
                if math.isfinite(measured[t, n] + share):
                    seen = 1e4 * measured[t, n] * root if measured[t, n] > 0.0 else 0.0
                    one += share * (seen - one)
                walked = slippage_of(slippage_bps, sizes, t, n, notional) - 0.5 * s
                if walked > one:
                    one = walked
            impact[t, n] = 2.0 * one
            fee = taker_fee_bps[n] if math.isfinite(taker_fee_bps[n]) else fee_default
            fees[t, n] = 2.0 * fee if fee > 0.0 else 0.0  # no taker rebate is counted on
            whole[t, n] = spread[t, n] + impact[t, n] + fees[t, n]
    return TradeCost(round_trip=whole, spread=spread, impact=impact, fees=fees)


class Waiting(NamedTuple):
    """How L69 waits for a better price than the market's."""

    bars: int  # life of an order at the touch
    ratio: float  # of what it saves over what goes by meanwhile, from which it is placed


@kernel
def entry_savings(
    spread_bps: Floats, sigma: Floats, taker_fee_bps: Floats, maker_fee_bps: Floats, offset_bps: float, wait_bars: int
) -> Floats:
    """What an entry that waits at the touch saves on average (T, N), bps >= 0; 0 where an input is unknown.

    The chance that it is filled within `wait_bars` times half the spread and the difference of the fees (N,). Adverse selection
    is in it: see `l69_order_style`.
    """
    bars, symbols = spread_bps.shape
    saved = np.zeros((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            half = 0.5 * spread_bps[t, n] if spread_bps[t, n] > 0.0 else 0.0
            better = half + taker_fee_bps[n] - maker_fee_bps[n]
            if better > 0.0 and spread_bps[t, n] >= 0.0:
                saved[t, n] = touch_chance((half + offset_bps) / 1e4, sigma[t, n], wait_bars) * better
    return saved


@kernel
def expected_trip(edge_bps: float, round_trip_bps: float, entry_saving_bps: float, bars: float, waiting: Waiting) -> float:
    """A round trip's cost in bps where the entry waits at the touch if L69 would.

    It does if the saving is more than `ratio` times the edge that goes by meanwhile, |edge| * wait / bars; that is a cost too.
    """
    lost = math.fabs(edge_bps) * (waiting.bars / bars)
    return round_trip_bps - (entry_saving_bps - lost) if entry_saving_bps > waiting.ratio * lost else round_trip_bps


@kernel
def net_of_cost(edge_bps: float, round_trip_bps: float, carry_bps_per_bar: float, bars: float) -> float:
    """What is left, in bps, of a position on the side of the edge: |edge| less the round trip and the funding it pays.

    Funding that it would receive is not counted on. NaN where an argument is unknown.
    """
    paid = sign(edge_bps) * carry_bps_per_bar * bars
    if paid < 0.0:
        paid = 0.0
    return math.fabs(edge_bps) - round_trip_bps - paid
