"""The Sharpe ratio as an estimate: how likely the true one is above a bar, and how high luck sets that bar.

A ratio here is of one return (a day's), not of a year; skew and kurtosis (3 for a Gaussian) are those of the returns.
Sources: Bailey and Lopez de Prado (2012), "The Sharpe Ratio Efficient Frontier"; (2014), "The Deflated Sharpe Ratio".
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Final, NamedTuple

from dataflows.panel import Floats

EULER: Final = 0.5772156649015329
_NORMAL: Final = NormalDist()


class Moments(NamedTuple):
    """Of n returns: mean over standard deviation (n - 1), skewness and kurtosis (population moments, 3 for a Gaussian)."""

    sharpe: float
    n: int
    skew: float
    kurtosis: float


def moments(returns: Floats) -> Moments | None:
    """Of returns (n,); None where fewer than three are there, or they do not differ."""
    n = len(returns)
    if n < 3 or not float(returns.std()) > 0.0:
        return None
    centred = returns - returns.mean()
    variance = float((centred**2).mean())
    return Moments(
        float(returns.mean()) / math.sqrt(variance * n / (n - 1)),
        n,
        float((centred**3).mean()) / variance**1.5,
        float((centred**4).mean()) / variance**2,
    )


def standard_error(found: Moments) -> float:
    """Of the ratio. NaN where skew and kurtosis are impossible together."""
    square = 1.0 - found.skew * found.sharpe + 0.25 * (found.kurtosis - 1.0) * found.sharpe**2
    return math.sqrt(square / (found.n - 1)) if square > 0.0 else math.nan


def probabilistic_sharpe(found: Moments, above: float = 0.0) -> float:
    """The probability, 0 to 1, that the true ratio lies above another one. NaN where the standard error is."""
    error = standard_error(found)
    return math.nan if math.isnan(error) else _NORMAL.cdf((found.sharpe - above) / error)


def expected_maximum(trials: int, variance: float) -> float:
    """The highest ratio to expect of so many trials whose true ratios are all 0. variance: of the trials' ratios.

    0 for one trial: nothing was chosen. Raises ValueError for fewer, and for a variance below 0.
    """
    if trials < 1 or not variance >= 0.0:
        raise ValueError(f"{trials} trials with a variance of {variance} have no highest ratio; there is 1 at least, and 0")
    if trials == 1:
        return 0.0
    low, high = _NORMAL.inv_cdf(1.0 - 1.0 / trials), _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    return math.sqrt(variance) * ((1.0 - EULER) * low + EULER * high)


def deflated_sharpe(found: Moments, trials: int, variance: float) -> float:
    """The probability, 0 to 1, that the true ratio lies above the highest one that so many worthless trials would show."""
    return probabilistic_sharpe(found, expected_maximum(trials, variance))


def minimum_track_record(found: Moments, above: float = 0.0, confidence: float = 0.95) -> float:
    """How many returns the ratio needs for such a probability that the true one lies above another; infinite where it does not
    lie above it itself."""
    if not found.sharpe > above:
        return math.inf
    spread = standard_error(found) ** 2 * (found.n - 1)
    return 1.0 + spread * (_NORMAL.inv_cdf(confidence) / (found.sharpe - above)) ** 2
