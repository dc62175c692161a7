"""What a claimed edge has been worth, by regime and by how volatile the market is: the last step of L67's kernel."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from dataflows.carry import Count, Zero
from dataflows.kernels.arith import clip
from dataflows.panel import Floats
from dataflows.regime.types import REGIMES
from dataflows.runtime.compile import kernel

REGIME_COUNT: Final = len(REGIMES)
REGIME_PRIORS: Final = (1.0, 1.0, 1.0, 1.0, 1.0)
"""Factors on a claim before anything is known, by regime."""
VOLATILITY_COUNT: Final = 4
VOLATILITY_PRIORS: Final = (1.0, 1.0, 0.5, 0.25)
"""Factors on a claim before anything is known, at half, once, twice and four times the usual volatility.

A claim is in standard deviations, so a factor of 1 lets the edge grow with volatility, and these keep it from growing beyond
what is usual: expected returns do not rise in proportion to volatility (Moreira and Muir 2017).
"""
MOST_FACTOR: Final = 2.0
"""Most that a class multiplies a claim with."""
USUAL_DAYS: Final = 250
"""Days of bars after which the mean behind the usual volatility begins to forget."""


class Usual(NamedTuple):
    """The mean of the logarithm of each symbol's volatility, and the bars behind it."""

    log_sigma: Zero
    seen: Count


@kernel
def usual_volatility(sigma: float, n: int, most: int, state: Usual) -> float:
    """Geometric mean of symbol n's volatility so far, `sigma` included, in its unit; NaN before the first.

    sigma: of this bar; one that is unknown or 0 leaves the mean. Beyond `most` bars the mean forgets exponentially. state:
    updated in place.
    """
    if sigma > 0.0 and math.isfinite(sigma):
        if state.seen[n] < most:
            state.seen[n] += 1
        state.log_sigma[n] += (math.log(sigma) - state.log_sigma[n]) / state.seen[n]
    return math.exp(state.log_sigma[n]) if state.seen[n] > 0 else math.nan


@kernel
def volatility_classes(sigma: float, usual: float, out: Floats) -> None:
    """How far a volatility belongs to each of the classes 1/2, 1, 2 and 4 times usual, into out (VOLATILITY_COUNT,); sum 1.

    Linear in the logarithm between two classes; all of the nearest outside them. As usual where either is unknown or 0.
    """
    place = 1.0
    if sigma > 0.0 and usual > 0.0:
        place = clip(1.0 + math.log2(sigma / usual), 0.0, VOLATILITY_COUNT - 1.0)
    for c in range(VOLATILITY_COUNT):
        far = math.fabs(place - c)
        out[c] = 1.0 - far if far < 1.0 else 0.0


@kernel
def class_factors(
    xx: Floats, xy: Floats, seen: float, effect: float, strength: float, priors: tuple[float, ...], out: Floats
) -> None:
    """Slope of what came on what was claimed, by class, into out (C,): drawn to `priors` times that of all, and that to 1.

    xx, xy: (C,) weighted sums of the claims' squares and of claim times outcome, of `seen` effective observations in all;
    effect: the design effect, by which samples are divided. A claim's typical square, of which each prior is worth `strength`
    observations, is its mean. In [0, MOST_FACTOR].
    """
    count = out.shape[0]
    all_xx = 0.0
    all_xy = 0.0
    for c in range(count):
        all_xx += xx[c]
        all_xy += xy[c]
    prior = strength * all_xx / seen if all_xx > 0.0 else 0.0
    common = (prior + all_xy / effect) / (prior + all_xx / effect) if all_xx > 0.0 else 1.0
    for c in range(count):
        own = priors[c] * common
        if all_xx > 0.0:
            own = (prior * own + xy[c] / effect) / (prior + xx[c] / effect)
        out[c] = clip(own, 0.0, MOST_FACTOR)
