"""Which patterns earn: the chance that a Sharpe ratio is above 0, and a test of many at once."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.panel import Floats
from dataflows.pattern.types import PATTERNS
from dataflows.runtime.compile import kernel


class ReturnMoments(NamedTuple):
    """Count, mean and the sums of the second to fourth powers of the deviations from it, of each pattern's epoch returns."""

    epochs: Annotated[Floats, Axes(PATTERNS)]
    mean: Annotated[Floats, Axes(PATTERNS)]
    m2: Annotated[Floats, Axes(PATTERNS)]
    m3: Annotated[Floats, Axes(PATTERNS)]
    m4: Annotated[Floats, Axes(PATTERNS)]


@kernel
def add_returns(returns: Floats, state: ReturnMoments) -> None:
    """Takes an epoch's returns (P,) into the moments; 0: no position, which does not count. Terriberry (2007)."""
    for k in range(len(returns)):
        x = returns[k]
        if x == 0.0 or not math.isfinite(x):
            continue
        before = state.epochs[k]
        n = before + 1.0
        apart = x - state.mean[k]
        step = apart / n
        product = apart * step * before
        state.epochs[k] = n
        state.mean[k] += step
        state.m4[k] += (
            product * step * step * (n * n - 3.0 * n + 3.0) + 6.0 * step * step * state.m2[k] - 4.0 * step * state.m3[k]
        )
        state.m3[k] += product * step * (n - 2.0) - 3.0 * step * state.m2[k]
        state.m2[k] += product


@kernel
def sharpe_chance(sharpe: float, skewness: float, kurtosis: float, count: float) -> float:
    """Probability that the true Sharpe ratio is above 0: the probabilistic Sharpe ratio PSR(0), in [0, 1].

    sharpe: a period, not annualised. skewness and kurtosis (3: normal) of the returns. NaN where the variance of the estimate
    is not positive. Source: Bailey and Lopez de Prado (2012).
    """
    variance = 1.0 - skewness * sharpe + 0.25 * (kurtosis - 1.0) * sharpe * sharpe
    if not (variance > 0.0 and count > 1.0):
        return math.nan
    return 0.5 * math.erfc(-sharpe * math.sqrt((count - 1.0) / variance) / math.sqrt(2.0))


@kernel
def chances(state: ReturnMoments, least: float) -> Floats:
    """PSR(0) of each pattern (P,); NaN before `least` epochs or while all returns are alike."""
    found = np.full(len(state.epochs), math.nan)
    for k in range(len(found)):
        n = state.epochs[k]
        variance = state.m2[k] / n if n > 0.0 else 0.0
        if n < least or not variance > 0.0:
            continue
        sharpe = state.mean[k] / math.sqrt(state.m2[k] / (n - 1.0))
        found[k] = sharpe_chance(
            sharpe, state.m3[k] / n / (variance * math.sqrt(variance)), state.m4[k] / n / (variance * variance), n
        )
    return found


@kernel
def rejected(p: Floats, rate: float) -> Floats:
    """1.0 for each hypothesis that is rejected at a false discovery rate, else 0.0. p: (P,) p-values, NaN: not tested.

    Source: Benjamini and Hochberg (1995).
    """
    tested = 0
    for k in range(len(p)):
        tested += 1 if p[k] == p[k] else 0
    limit = -1.0
    for k in range(len(p)):
        rank = 0
        for j in range(len(p)):
            rank += 1 if p[j] <= p[k] else 0
        if rank > 0 and p[k] <= rate * rank / tested:
            limit = max(limit, p[k])
    found = np.zeros(len(p))
    for k in range(len(p)):
        found[k] = 1.0 if p[k] <= limit else 0.0
    return found


@kernel
def switch(chance: Floats, off: float, on: float, weights: Floats) -> None:
    """Sets the switches (P,): 0 where it is rejected that a pattern earns, 1 again where its chance is above `on`."""
    lost = rejected(chance, off)
    for k in range(len(weights)):
        if lost[k] > 0.0:
            weights[k] = 0.0
        elif chance[k] > on:
            weights[k] = 1.0
