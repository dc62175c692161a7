"""Thresholds of the regimes that follow the market: trailing quantiles, within bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes
from dataflows.kernels.arith import clip
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
def volatility_scores(percentile: Floats) -> Floats:
    """L1's first feature, flat, from its `vol_percentile` (T, N): the inverse of the logistic function that made it."""
    flat = percentile.reshape(percentile.size)
    found = np.full(len(flat), math.nan)
    for i in range(len(flat)):
        if 0.0 < flat[i] < 1.0:
            found[i] = math.log(flat[i] / (1.0 - flat[i])) / LOGISTIC
    return found


@kernel
def largest_of(z: Floats) -> float:
    """The greatest size of the finite values of z (T, N); NaN where there is none."""
    flat = z.reshape(z.size)
    found = math.nan
    for i in range(len(flat)):
        if math.isfinite(flat[i]) and not math.fabs(flat[i]) <= found:
            found = math.fabs(flat[i])
    return found


@kernel
def changes(before: Floats, now: Floats) -> int:
    """How many numbers differ."""
    found = 0
    for i in range(len(now)):
        found += 1 if before[i] != now[i] else 0
    return found


@kernel
def normal_cdf(x: float) -> float:
    """The chance that a standard normal value is below x."""
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@kernel
def follow(volatility: Floats, trend: Floats, largest: float, means: Floats, step: float, most: float, state: Trail) -> None:
    """Moves the advised thresholds towards the trailing quantiles, by at most `step` and within `most` of the configured ones.

    volatility, trend: the epoch's scores, flat. largest: its greatest |z|. means: (LEVELS,) the configured values. A mean m of
    a score stands at the quantile that a standard normal law has at m; it follows the median of that quantile over the last
    epochs, so that nothing moves where scores are what they were meant to be. The trend's is that of its size, so up and down
    stay alike. A crash is greater than the greatest move of nine in ten of those epochs; its shift is relative.
    """
    kept = len(state.quantiles)
    row = state.quantiles[state.epochs[0] % kept]
    row[CALM_VOLATILITY] = quantile(volatility, normal_cdf(means[CALM_VOLATILITY]))
    row[HIGH_VOLATILITY] = quantile(volatility, normal_cdf(means[HIGH_VOLATILITY]))
    row[TREND_SIZE] = quantile(np.abs(trend), 2.0 * normal_cdf(means[TREND_SIZE]) - 1.0)
    row[CRASH] = largest
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
