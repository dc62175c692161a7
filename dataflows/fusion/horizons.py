"""The horizon at which the edge pays best after costs: L70's kernel."""

from __future__ import annotations

import math

import numpy as np

from dataflows.fusion.costs import Waiting, expected_trip, net_of_cost
from dataflows.fusion.types import Cost
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


@kernel
def best_horizon(
    edge_bps: Floats,
    observations: Floats,
    cost: Cost,
    waiting: Waiting,
    horizons: tuple[int, ...],
    enough: float,
) -> tuple[Floats, Floats, Ints]:
    """Bars, net edge (bps) and index of the horizon with the highest net edge per square root of time; each (T, N).

    edge_bps, observations (T, N, H). Horizons with an edge and `enough` observations come before those with an edge and too
    few, and these before those with none; ties go to the shorter. Where none has an edge, bars is NaN and net edge is what
    trading for nothing costs. Index -1 and all NaN where no horizon's net edge is known.
    """
    # taken out of the records once: inside the loop each mention would count references
    round_trip_bps, entry_saving_bps, carry_bps_per_bar = cost.round_trip_bps, cost.entry_saving_bps, cost.carry_bps_per_bar
    bars, symbols, width = edge_bps.shape
    chosen = np.empty((bars, symbols))
    net = np.empty((bars, symbols))
    index = np.empty((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            best = -1
            best_rate = 0.0
            best_net = math.nan
            best_class = 0
            for j in range(width):
                h = float(horizons[j])
                edge = edge_bps[t, n, j]
                trip = expected_trip(edge, round_trip_bps[t, n], entry_saving_bps[t, n], h, waiting)
                left = net_of_cost(edge, trip, carry_bps_per_bar[t, n], h)
                if left != left:
                    continue
                rate = left / math.sqrt(h)
                kind = 0 if edge == 0.0 else (2 if observations[t, n, j] >= enough else 1)
                if best < 0 or kind > best_class or (kind == best_class and rate > best_rate):
                    best = j
                    best_rate = rate
                    best_net = left
                    best_class = kind
            index[t, n] = best
            net[t, n] = best_net
            chosen[t, n] = float(horizons[best]) if best_class > 0 else math.nan
    return chosen, net, index
