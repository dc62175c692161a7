"""Track records: the usual figures of a series of returns, updated with every epoch."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

BPS: Final = 1e4
(RETURN, MEAN, SHARPE, HIT, DRAWDOWN, TURNOVER, COST, STABILITY) = range(8)
FIGURES: Final = 8


class Tracks(NamedTuple):
    """What G track records need of the past."""

    epochs: Annotated[Floats, Axes("G")]  # with a position
    mean: Annotated[Floats, Axes("G")]
    squares: Annotated[Floats, Axes("G")]  # sum of squared deviations from the mean
    gained: Annotated[Floats, Axes("G")]
    total: Annotated[Floats, Axes("G")]  # summed return
    peak: Annotated[Floats, Axes("G")]
    drawdown: Annotated[Floats, Axes("G")]
    turnover: Annotated[Floats, Axes("G")]
    cost: Annotated[Floats, Axes("G")]
    level: Annotated[Floats, Axes("G")]  # sums of the summed return, of its square, and of it times the epoch's number
    level_square: Annotated[Floats, Axes("G")]
    level_time: Annotated[Floats, Axes("G")]


@kernel
def add_epoch(returns: Floats, turnover: Floats, cost: Floats, active: Ints, a_year: float, state: Tracks) -> Floats:
    """Takes an epoch into G track records; returns (FIGURES, G), in the order of `PaperTracks`.

    returns and cost: fractions; turnover: of the notional, (G,) each. active: 0 leaves the record as it is. a_year: epochs a
    year. Sharpe: mean over standard deviation (n - 1) times sqrt(a_year); NaN before two epochs or without a deviation.
    Stability: R^2 of the summed return on the number of the epoch; NaN before three.
    """
    width = len(returns)
    y = np.full((FIGURES, width), math.nan)
    for g in range(width):
        x = returns[g]
        y[RETURN, g] = BPS * x if active[g] != 0 else 0.0
        if active[g] != 0:
            state.epochs[g] += 1.0
            n = state.epochs[g]
            apart = x - state.mean[g]
            state.mean[g] += apart / n
            state.squares[g] += apart * (x - state.mean[g])
            state.gained[g] += 1.0 if x > 0.0 else 0.0
            state.total[g] += x
            state.peak[g] = max(state.peak[g], state.total[g])
            state.drawdown[g] = max(state.drawdown[g], state.peak[g] - state.total[g])
            state.turnover[g] += turnover[g]
            state.cost[g] += cost[g]
            state.level[g] += state.total[g]
            state.level_square[g] += state.total[g] * state.total[g]
            state.level_time[g] += state.total[g] * n
        n = state.epochs[g]
        if n < 1.0:
            continue
        y[MEAN, g] = BPS * state.mean[g]
        y[HIT, g] = state.gained[g] / n
        y[DRAWDOWN, g] = BPS * state.drawdown[g]
        y[TURNOVER, g] = state.turnover[g] / n
        y[COST, g] = BPS * state.cost[g] / n
        if n > 1.0 and state.squares[g] > 0.0:
            y[SHARPE, g] = state.mean[g] / math.sqrt(state.squares[g] / (n - 1.0)) * math.sqrt(a_year)
        if n > 2.0:
            y[STABILITY, g] = line_fit(n, state.level[g], state.level_square[g], state.level_time[g])
    return y


@kernel
def line_fit(n: float, level: float, square: float, product: float) -> float:
    """R^2 of values on 1, 2, … n, from their sums; NaN where they do not vary."""
    middle = 0.5 * (n + 1.0)
    spread_time = n * (n * n - 1.0) / 12.0
    spread = square - level * level / n
    together = product - middle * level
    if not spread > 1e-12 * square:
        return math.nan
    return min(1.0, together * together / (spread_time * spread))
