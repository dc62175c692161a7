"""The generalised Hurst exponent: how the size of a move grows with the time that it is given."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Unknown
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Roughness(NamedTuple):
    """State of `hurst`: L lags, the longest M, over W bars."""

    values: Annotated[Floats, Axes("M", "N", start=NAN)]
    at: Count
    seen: Count  # up to M
    moves: Annotated[Floats, Axes("L", "W", "N", start=0.0)]  # squares of the moves over each lag
    pos: Count
    held: Count
    totals: Annotated[Floats, Axes("L", "N", start=0.0)]
    result: Unknown


@kernel
def hurst(x: Floats, on: Ints, lags: tuple[int, ...], state: Roughness) -> Floats:
    """Half the slope of log mean (x[t] - x[t - lag])^2 on log lag, (T, N): 0.5 for a walk, above where moves persist.

    x: float64 (T, N), log price; lags: ascending. The mean is over the last W bars that count, once the longest lag is
    behind them. 0.5 where nothing moved. NaN before; held where `on` is 0 or x is not finite. O(lags) a bar; sums are made
    anew when the ring wraps. Source: Di Matteo (2007), structure function of order 2.
    """
    result, at, values, seen, pos, held = state.result, state.at, state.values, state.seen, state.pos, state.held
    totals, moves = state.totals, state.moves
    bars, symbols = x.shape
    deep = values.shape[0]
    count = moves.shape[0]
    width = moves.shape[1]
    middle = 0.0
    for lag in lags:
        middle += math.log(lag) / count
    spread = 0.0
    from_middle = np.empty(count)
    steps = np.empty(count, np.int64)  # the lags: a tuple is looked into by a jump for each of its entries
    for k, lag in enumerate(lags):
        steps[k] = lag
        from_middle[k] = math.log(lag) - middle
        spread += from_middle[k] * from_middle[k]
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = x[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                a = at[n]
                if seen[n] == deep:
                    p = pos[n]
                    for k in range(count):
                        then = a - steps[k]
                        move = v - values[then if then >= 0 else then + deep, n]
                        square = move * move
                        totals[k, n] += square - moves[k, p, n]
                        moves[k, p, n] = square
                    if p == width - 1:
                        for k in range(count):
                            total = 0.0
                            for i in range(width):
                                total += moves[k, i, n]
                            totals[k, n] = total
                        held[n] = width
                    pos[n] = 0 if p == width - 1 else p + 1
                else:
                    seen[n] += 1
                values[a, n] = v
                at[n] = 0 if a == deep - 1 else a + 1
                if held[n] == width:
                    slope = 0.0
                    moved = True
                    for k in range(count):
                        mean = totals[k, n] / width
                        if mean > 0.0:
                            slope += from_middle[k] * math.log(mean)
                        else:
                            moved = False
                    result[n] = 0.5 * slope / spread if moved else 0.5
            y[t, n] = result[n]
    return y
