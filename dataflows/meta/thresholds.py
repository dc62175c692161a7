"""Thresholds of the regimes that follow the market: trailing quantiles, within bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes
from dataflows.kernels.arith import clip
from dataflows.kernels.selection import counted, neighbours
from dataflows.panel import Floats, Ints
from dataflows.regime.types import CALM, FEATURES, HIGH_VOL, REGIMES, TREND, TREND_DOWN, TREND_UP, VOLATILITY
from dataflows.runtime.compile import kernel

CALM_VOLATILITY, HIGH_VOLATILITY, TREND_SIZE, CRASH = range(4)
LEVELS: Final = 4
LOGISTIC: Final = 1.702
"""Slope at which L1 makes its `vol_percentile` of a score."""
ORDINARY: Final = 0.9
"""A crash is a move that so many epochs out of all do not have."""


class Trail(NamedTuple):
    """The quantiles of the last epochs, and the thresholds as they are advised."""

    quantiles: Annotated[Floats, Axes("least_epochs", LEVELS, start=NAN)]
    epochs: Annotated[Ints, Axes(1)]
    shifts: Annotated[Floats, Axes(LEVELS, start="meta.threshold_shifts")]  # from those of regime.yml: of the crash, a part


@kernel
def quantile(x: Floats, q: float) -> float:
    """The quantile q in [0, 1] of the finite values of x, interpolated linearly (type 7 of Hyndman and Fan 1996); NaN: none."""
    kept = x[np.isfinite(x)]
    kept = kept[np.argsort(kept, kind="mergesort")]
    if len(kept) == 0:
        return math.nan
    at = q * (len(kept) - 1)
    low = int(at)
    high = min(low + 1, len(kept) - 1)
    return float(kept[low] + (at - low) * (kept[high] - kept[low]))


@kernel
def volatility_score(percentile: float) -> float:
    """L1's first feature from its `vol_percentile`: the inverse of the logistic function that made it."""
    return math.log(percentile / (1.0 - percentile)) / LOGISTIC


@kernel
def largest_of(z: Floats) -> float:
    """The greatest size of the finite values of z; NaN where there is none."""
    found = math.nan
    for i in range(len(z)):
        if math.isfinite(z[i]) and not math.fabs(z[i]) <= found:
            found = math.fabs(z[i])
    return found


@kernel
def normal_cdf(x: float) -> float:
    """The chance that a standard normal value is below x."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@kernel
def measured(percentile: Floats, trend: Floats, trend_scale: float, z: Floats, means: Floats) -> Floats:
    """The levels of an epoch (LEVELS,) that the thresholds follow; NaN where nothing is known.

    percentile, trend, z: L1's `vol_percentile` and `trend_t` and L2's z, flat. means: (LEVELS,) the configured values. A mean m
    of a score stands at the quantile that a standard normal law has at m. The trend's is that of its size, so up and down stay
    alike. A crash: the greatest |z|.
    """
    found = np.empty(LEVELS)
    counts = counted(percentile, 0.0, 1.0)
    for i in (CALM_VOLATILITY, HIGH_VOLATILITY):
        a, b, part = neighbours(percentile, 0.0, 1.0, counts, normal_cdf(means[i]))
        low, high = volatility_score(a), volatility_score(b)
        found[i] = low + part * (high - low)
    sizes = np.abs(trend)
    counts = counted(sizes, -1.0, math.inf)
    a, b, part = neighbours(sizes, -1.0, math.inf, counts, 2.0 * normal_cdf(means[TREND_SIZE]) - 1.0)
    low, high = a / trend_scale, b / trend_scale
    found[TREND_SIZE] = low + part * (high - low)
    found[CRASH] = largest_of(z)
    return found


@kernel
def changes(before: Floats, now: Floats) -> int:
    """How many numbers differ."""
    found = 0
    for i in range(len(now)):
        found += 1 if before[i] != now[i] else 0
    return found


@kernel
def follow(levels: Floats, means: Floats, step: float, most: float, state: Trail) -> None:
    """Moves the advised thresholds towards the trailing quantiles, by at most `step` and within `most` of the configured ones.

    levels: what `measured` found in the epoch. means: (LEVELS,) the configured values. A threshold follows the median of its
    level over the last epochs, so that nothing moves where scores are what they were meant to be. A crash is greater than the
    greatest move of nine in ten of those epochs; its shift is relative.
    """
    kept = len(state.quantiles)
    state.quantiles[state.epochs[0] % kept] = levels
    state.epochs[0] += 1
    if state.epochs[0] < kept:
        return
    for i in range(LEVELS):
        found = quantile(state.quantiles[:, i], ORDINARY if i == CRASH else 0.5)
        apart = found / means[i] - 1.0 if i == CRASH else found - means[i]
        if math.isfinite(apart):
            wanted = clip(apart, -most, most)
            if i == CRASH:
                wanted = clip(apart, 1.0 / (1.0 + most) - 1.0, most)
            state.shifts[i] += clip(wanted - state.shifts[i], -step, step)


def mean_shifts(shifts: Sequence[float] | Floats) -> tuple[tuple[float, ...], ...]:
    """The shifts of the thresholds (LEVELS,) as they are added to the means of the regimes (REGIMES, FEATURES)."""
    rows = [[0.0] * len(FEATURES) for _ in REGIMES]
    rows[CALM][VOLATILITY], rows[HIGH_VOL][VOLATILITY] = float(shifts[CALM_VOLATILITY]), float(shifts[HIGH_VOLATILITY])
    rows[TREND_UP][TREND], rows[TREND_DOWN][TREND] = float(shifts[TREND_SIZE]), -float(shifts[TREND_SIZE])
    return tuple(map(tuple, rows))


def shifts_of(mean_shift: Floats, crash_factor: float) -> Floats:
    """The shifts (LEVELS,) that `mean_shifts` and a crash factor were made of."""
    return np.array(
        (mean_shift[CALM, VOLATILITY], mean_shift[HIGH_VOL, VOLATILITY], mean_shift[TREND_UP, TREND], crash_factor - 1.0)
    )
