"""What a policy sees of an epoch that has ended: the same numbers for the table, the network and whoever learns outside."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dataflows.kernels.arith import clip
from dataflows.panel import Floats
from dataflows.regime.types import REGIMES
from dataflows.runtime.compile import kernel

OBSERVED: Final = (
    *(f"mean probability of {name}" for name in REGIMES),
    "growth of the shadow account, percent",
    "growth of the account, percent",
    "volatility of the account in the epoch, percent",
    "drawdown of the account, fraction",
    "gross exposure at the end, of equity",
    "lead over the shadow account, percent",
    "multiplier in force",
)
"""All are of the epoch that ended, or at its end."""
(SHADOW_GROWTH, GROWTH, VOLATILITY, DRAWDOWN, GROSS, LEAD, MULTIPLIER) = range(len(REGIMES), len(OBSERVED))
PERCENT: Final = 100.0
MOST: Final = 10.0


@kernel
def regime_means(probabilities: tuple[Floats, ...]) -> Floats:
    """Mean over bars and symbols of the probability of each regime, R of (T, N) to (R,); NaN where it was never known."""
    y = np.full(len(probabilities), math.nan)
    for r in range(len(probabilities)):
        p = probabilities[r]
        total = 0.0
        count = 0.0
        for t in range(p.shape[0]):
            for n in range(p.shape[1]):
                if math.isfinite(p[t, n]):
                    total += p[t, n]
                    count += 1.0
        if count > 0.0:
            y[r] = total / count
    return y


@kernel
def realised_variance(equity: Floats) -> float:
    """Sum of the squared log returns from one instant to the next; an unknown or worthless account has none."""
    total = 0.0
    for t in range(1, len(equity)):
        if equity[t] > 0.0 and equity[t - 1] > 0.0 and math.isfinite(equity[t]) and math.isfinite(equity[t - 1]):
            move = math.log(equity[t] / equity[t - 1])
            total += move * move
    return total


@kernel
def masked(raw: Floats, known: Floats) -> Floats:
    """The numbers within [-10, 10], 0 where they are not finite; `known` is set to 1 where they are."""
    y = np.zeros(len(raw))
    for i in range(len(raw)):
        known[i] = 1.0 if math.isfinite(raw[i]) else 0.0
        if known[i] > 0.0:
            y[i] = clip(raw[i], -MOST, MOST)
    return y
