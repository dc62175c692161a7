"""Volatility-scaled time-series momentum."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count
from dataflows.kinematics.volatility import z_score
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class MomentumWindow(NamedTuple):
    """State of `scaled_momentum`; H is the longest horizon."""

    closes: Annotated[Floats, Axes("H", "N", start=NAN)]
    pos: Count
    returns: Annotated[Floats, Axes(3, "N", start=NAN)]  # as of the last bar that counted


@kernel
def scaled_momentum(
    close: Floats,
    sigma: Floats,
    on: Ints,
    listed: Ints,
    horizons: tuple[int, int, int],
    skip: int,
    scale: float,
    state: MomentumWindow,
) -> tuple[Floats, Floats]:
    """Scores (T, N) and scaled returns (3, T, N).

    A scaled return is the log return from `horizon` to `skip` counted bars ago, over sigma * sqrt(horizon - skip); the score is
    the mean of tanh(scaled return / scale), an unknown one counting 0; NaN where all are unknown.
    """
    pos, closes, returns = state.pos, state.closes, state.returns
    bars, symbols = close.shape
    depth = closes.shape[0]
    score = np.empty((bars, symbols))
    scaled = np.empty((3, bars, symbols))
    spans = np.empty(3, np.int64)  # the horizons: a tuple is looked into by a jump for each of its entries
    roots = np.empty(3)
    for i in range(3):
        spans[i] = horizons[i]
        roots[i] = math.sqrt(horizons[i] - skip)
    for t in range(bars):
        for n in range(symbols):
            p = pos[n]
            if listed[t, n] == 0 and closes[p - 1 if p > 0 else depth - 1, n] > 0.0:
                for i in range(depth):  # no return reaches across a new listing
                    closes[i, n] = math.nan
                for i in range(3):
                    returns[i, n] = math.nan
            if on[t, n] != 0 and close[t, n] > 0.0:
                recent = close[t, n] if skip == 0 else closes[p - skip if p >= skip else p - skip + depth, n]
                for i in range(3):
                    then = p - spans[i]
                    returns[i, n] = math.log(recent / closes[then if then >= 0 else then + depth, n])
                closes[p, n] = close[t, n]
                pos[n] = 0 if p == depth - 1 else p + 1
            total = 0.0
            known = 0
            for i in range(3):
                z = z_score(returns[i, n], sigma[t, n] * roots[i])
                scaled[i, t, n] = z
                if z == z:
                    total += math.tanh(z / scale)
                    known += 1
            score[t, n] = total / 3.0 if known > 0 else math.nan
    return score, scaled
