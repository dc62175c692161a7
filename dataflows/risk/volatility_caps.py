"""Sizes and distances from forecast volatility."""

from __future__ import annotations

import math

import numpy as np

from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


@kernel
def volatility_cap(
    sigma_day: Floats,
    calm: Floats,
    trend_up: Floats,
    trend_down: Floats,
    high_vol: Floats,
    chaotic: Floats,
    target: float,
    days: float,
    power: int,
    factors: tuple[float, float, float, float],
) -> Floats:
    """(target / annualised volatility)^power times the factor mixed by the probabilities; (T, N), NaN where one is unknown.

    sigma_day: volatility of a day's bars together. days: a year's. factors: calm, trend, high volatility, chaotic.
    """
    bars, symbols = sigma_day.shape
    cap = np.empty((bars, symbols))
    year = math.sqrt(days)
    for t in range(bars):
        for n in range(symbols):
            sigma = sigma_day[t, n] * year
            if sigma > 0.0:
                size = target / sigma
                if power == 2:
                    size = size * size
                mixed = (
                    calm[t, n] * factors[0]
                    + (trend_up[t, n] + trend_down[t, n]) * factors[1]
                    + high_vol[t, n] * factors[2]
                    + chaotic[t, n] * factors[3]
                )
                cap[t, n] = size * mixed
            else:
                cap[t, n] = math.nan
    return cap


@kernel
def stop_distance(
    close: Floats,
    sigma: Floats,
    atr: Floats,
    var_bar: Floats,
    horizon: Floats,
    tick: Floats,
    by_sigma: float,
    by_atr: float,
    min_ticks: float,
    most: float,
    default_horizon: float,
) -> tuple[Floats, Floats]:
    """Distance of a stop as a fraction of price, and the holding period in bars; each (T, N), NaN together.

    The largest known of by_sigma * sigma * sqrt(horizon), by_atr * atr / close, var_bar and min_ticks * tick / close, at most
    `most`. close, atr (T, N) and tick (N,) in quote currency, sigma and var_bar (T, N) of a bar, horizon (T, N) in bars:
    default where NaN. NaN where the price is unknown or neither volatility is: ticks alone say nothing of how far the price
    moves.
    """
    bars, symbols = close.shape
    stop, hold = np.empty((bars, symbols)), np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            stop[t, n] = hold[t, n] = math.nan
            price = close[t, n]
            if not 0.0 < price < math.inf:
                continue
            h = horizon[t, n] if 1.0 <= horizon[t, n] < math.inf else default_horizon
            d = 0.0
            if sigma[t, n] > 0.0:
                d = by_sigma * sigma[t, n] * math.sqrt(h)
            if by_atr * atr[t, n] / price > d:
                d = by_atr * atr[t, n] / price
            if not d > 0.0:
                continue
            if var_bar[t, n] > d:
                d = var_bar[t, n]
            if min_ticks * tick[n] / price > d:
                d = min_ticks * tick[n] / price
            stop[t, n] = d if d < most else most
            hold[t, n] = h
    return stop, hold
