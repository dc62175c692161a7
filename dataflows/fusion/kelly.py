"""Kelly fractions: L75's kernel."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dataflows.fusion.costs import net_of_cost
from dataflows.fusion.success import stop_of
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

LEAST_EDGE: Final = 1e-12
"""Of price: a smaller net edge is none (and its reciprocal could overflow)."""


@kernel
def kelly_fractions(
    edge_bps: Floats,
    edge_std_bps: Floats,
    index: Ints,
    sigma: Floats,
    round_trip_bps: Floats,
    carry_bps_per_bar: Floats,
    p_success: Floats,
    horizons: tuple[int, ...],
    fraction: float,
    cap: float,
    success_horizon: float,
    stop_sigma: float,
    stop_max: float,
    reward_risk: float,
) -> Floats:
    """Fraction of equity (T, N) in [0, cap]: fractional Kelly of the net edge, cut for its uncertainty, or of the bet itself.

    Kelly's bet is m / v for a mean m and a variance v over the horizon. An estimate of m with standard error e is worth the
    share m^2 / (m^2 + e^2) of it (Baker and McHale 2013, for small edges). The bet itself wins the target with chance p or
    loses the stop, both after cost: p / lost - (1 - p) / won; the smaller of the two counts. 0 where the edge does not cover
    its cost or the chance the odds, NaN where an input is unknown.
    """
    bars, symbols = sigma.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            y[t, n] = math.nan
            j = index[t, n]
            if j < 0:
                continue
            h = float(horizons[j])
            net = 1e-4 * net_of_cost(edge_bps[t, n, j], round_trip_bps[t, n], carry_bps_per_bar[t, n], h)
            error = 1e-4 * edge_std_bps[t, n, j]
            variance = sigma[t, n] * sigma[t, n] * h
            p = p_success[t, n]
            if not math.isfinite(net + error + variance + p):
                continue
            if not (net > LEAST_EDGE and variance > 0.0):
                y[t, n] = 0.0
                continue
            doubt = error / net
            bet = (net / variance) / (1.0 + doubt * doubt)
            stop = stop_of(sigma[t, n], success_horizon, stop_sigma, stop_max)
            cost = 1e-4 * (math.fabs(edge_bps[t, n, j])) - net
            won = reward_risk * stop - cost
            odds = p / (stop + cost) - (1.0 - p) / won if won > LEAST_EDGE else 0.0
            if odds < bet:
                bet = odds if odds > 0.0 else 0.0
            bet *= fraction
            y[t, n] = bet if bet < cap else cap
    return y
