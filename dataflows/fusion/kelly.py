"""Kelly fractions: L75's kernel."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dataflows.fusion.costs import Waiting, expected_trip, net_of_cost
from dataflows.fusion.success import Bracket, stop_of
from dataflows.fusion.types import Cost, Expectancy, Horizon
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel

LEAST_EDGE: Final = 1e-12
"""Of price: a smaller net edge is none (and its reciprocal could overflow)."""


class KellyRules(NamedTuple):
    """How much of Kelly's bet is suggested."""

    horizons: tuple[int, ...]  # bars
    fraction: float  # of the bet
    cap: float  # fraction of equity
    waiting: Waiting


@kernel
def kelly_fractions(
    learned: Expectancy,
    held: Horizon,
    cost: Cost,
    sigma: Floats,
    p_success: Floats,
    rules: KellyRules,
    bracket: Bracket,
) -> Floats:
    """Fraction of equity (T, N) in [0, cap]: fractional Kelly of the net edge, cut for its uncertainty, or of the bet itself.

    Kelly's bet is m / v for a mean m and a variance v over the horizon. An estimate of m with standard error e is worth the
    share m^2 / (m^2 + e^2) of it (Baker and McHale 2013, for small edges). The bet itself wins the target with chance p or
    loses the stop, both after cost: p / lost - (1 - p) / won; the smaller of the two counts. 0 where the edge does not cover
    its cost or the chance the odds, NaN where an input is unknown.
    """
    # taken out of the records once: inside the loop each mention would count references
    edge_bps, edge_std_bps, index = learned.edge_bps, learned.edge_std_bps, held.chosen
    round_trip_bps, entry_saving_bps, carry_bps_per_bar = cost.round_trip_bps, cost.entry_saving_bps, cost.carry_bps_per_bar
    horizons, fraction, cap = rules.horizons, rules.fraction, rules.cap
    bars, symbols = sigma.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            y[t, n] = math.nan
            j = index[t, n]
            if j < 0:
                continue
            h = float(horizons[j])
            trip = expected_trip(edge_bps[t, n, j], round_trip_bps[t, n], entry_saving_bps[t, n], h, rules.waiting)
            net = 1e-4 * net_of_cost(edge_bps[t, n, j], trip, carry_bps_per_bar[t, n], h)
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
            stop = stop_of(sigma[t, n], bracket)
            paid = 1e-4 * (math.fabs(edge_bps[t, n, j])) - net
            won = bracket.reward_risk * stop - paid
            odds = p / (stop + paid) - (1.0 - p) / won if won > LEAST_EDGE else 0.0
            if odds < bet:
                bet = odds if odds > 0.0 else 0.0
            bet *= fraction
            y[t, n] = bet if bet < cap else cap
    return y
