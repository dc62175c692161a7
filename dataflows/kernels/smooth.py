"""Exponentially weighted means along time, per symbol."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class SeededEwm(NamedTuple):
    """State of `seeded_ewm`."""

    mean: Unknown  # NaN until seeded
    total: Zero  # of the values that seed it
    held: Count  # of them, up to `seed`


class Ewm(NamedTuple):
    """An exponentially weighted mean that its first value seeds."""

    mean: Unknown  # NaN until the first value


@kernel
def seeded_push(v: float, n: int, alpha: float, seed: int, state: SeededEwm) -> None:
    """Takes the finite value v into symbol n's mean, which is NaN until `seed` values have come."""
    if state.held[n] < seed:
        state.held[n] += 1
        state.total[n] += v
        if state.held[n] == seed:
            state.mean[n] = state.total[n] / seed
    else:
        state.mean[n] += alpha * (v - state.mean[n])


@kernel
def seeded_ewm(x: Floats, on: Ints, alpha: float, seed: int, state: SeededEwm) -> Floats:
    """Exponentially weighted mean seeded with the simple mean of the first `seed` values, as Pine's and TA-Lib's EMA are.

    x: float64 (T, N). on: int64 (T, N), 1 where the bar counts. alpha in (0, 1]. seed >= 1. Returns (T, N): NaN before the
    seed is whole, then m += alpha * (x - m); where `on` is 0 or x is not finite the mean holds. State is updated in place.

    EMA: alpha = 2 / (span + 1), seed = span. Wilder: alpha = 1 / period, seed = period. Half-life: alpha = 1 - exp(-log 2 / h).
    """
    mean = state.mean
    bars, symbols = x.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = x[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                seeded_push(v, n, alpha, seed, state)
            y[t, n] = mean[n]
    return y


@kernel
def halflife_alpha(halflife: float) -> float:
    """The alpha of an exponentially weighted mean whose weights halve in `halflife` bars (> 0)."""
    return 1.0 - math.exp(-math.log(2.0) / halflife)
