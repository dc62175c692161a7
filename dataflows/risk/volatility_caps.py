"""Sizes and distances from forecast volatility."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


class Regimes(NamedTuple):
    """Probabilities of the regimes, (T, N)."""

    calm: Floats
    trend_up: Floats
    trend_down: Floats
    high_vol: Floats
    chaotic: Floats


class RegimeFactors(NamedTuple):
    """Share of the size in each regime; both trends have one."""

    calm: float
    trend: float
    high_vol: float
    chaotic: float


class VolatilityTarget(NamedTuple):
    """The volatility that a full position should have."""

    annual: float
    days: float  # trading days a year
    power: int  # 1: inverse volatility, 2: inverse variance


@kernel
def _mixed(p: Regimes, t: int, n: int, factors: RegimeFactors) -> float:
    """The factor of a bar: the regimes' own, by their probabilities."""
    mixed = p.calm[t, n] * factors.calm + (p.trend_up[t, n] + p.trend_down[t, n]) * factors.trend
    return float(mixed + p.high_vol[t, n] * factors.high_vol + p.chaotic[t, n] * factors.chaotic)


@kernel
def volatility_cap(sigma_day: Floats, p: Regimes, slow: Regimes, factors: RegimeFactors, target: VolatilityTarget) -> Floats:
    """(target / annualised volatility)^power times the smaller of the factors mixed by p and by slow; (T, N).

    sigma_day: volatility of a day's bars together. p, slow: probabilities on the base clock and on the higher one. NaN where
    sigma_day or one of p is unknown; an unknown one of slow leaves p alone.
    """
    bars, symbols = sigma_day.shape
    cap = np.empty((bars, symbols))
    year = math.sqrt(target.days)
    for t in range(bars):
        for n in range(symbols):
            sigma = sigma_day[t, n] * year
            if sigma > 0.0:
                size = target.annual / sigma
                if target.power == 2:
                    size = size * size
                mixed = _mixed(p, t, n, factors)
                higher = _mixed(slow, t, n, factors)
                if higher < mixed:
                    mixed = higher
                cap[t, n] = size * mixed
            else:
                cap[t, n] = math.nan
    return cap


class Noise(NamedTuple):
    """How far the price moves without meaning anything, (T, N)."""

    sigma: Floats  # forecast volatility of a bar's log price
    atr: Floats  # quote currency
    var_bar: Floats  # loss that one bar exceeds once in a hundred, as a log return


class StopRule(NamedTuple):
    """How a stop's distance is made of the noise."""

    by_sigma: float
    by_atr: float
    min_ticks: float
    most: float  # fraction of price
    default_horizon: float  # bars


@kernel
def stop_distance(close: Floats, noise: Noise, horizon: Floats, tick: Floats, rule: StopRule) -> tuple[Floats, Floats]:
    """Distance of a stop as a fraction of price, and the holding period in bars; each (T, N), NaN together.

    The largest known of by_sigma * sigma * sqrt(horizon), by_atr * atr / close, var_bar and min_ticks * tick / close, at most
    `most`. close (T, N) and tick (N,) in quote currency, horizon (T, N) in bars: default where NaN. NaN where the price is
    unknown or neither volatility is: ticks alone say nothing of how far the price moves.
    """
    sigma, var_bar, atr = noise.sigma, noise.var_bar, noise.atr
    bars, symbols = close.shape
    stop, hold = np.empty((bars, symbols)), np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            stop[t, n] = hold[t, n] = math.nan
            price = close[t, n]
            if not 0.0 < price < math.inf:
                continue
            h = horizon[t, n] if 1.0 <= horizon[t, n] < math.inf else rule.default_horizon
            d = 0.0
            if sigma[t, n] > 0.0:
                d = rule.by_sigma * sigma[t, n] * math.sqrt(h)
            if rule.by_atr * atr[t, n] / price > d:
                d = rule.by_atr * atr[t, n] / price
            if not d > 0.0:
                continue
            if var_bar[t, n] > d:
                d = var_bar[t, n]
            if rule.min_ticks * tick[n] / price > d:
                d = rule.min_ticks * tick[n] / price
            stop[t, n] = d if d < rule.most else rule.most
            hold[t, n] = h
    return stop, hold
