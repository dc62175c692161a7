"""L78: how the symbols move together."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import NAN, Axes, Unknown
from dataflows.data.types import Clock, Market
from dataflows.layer import layer
from dataflows.panel import Floats, Ints
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import Correlation, VolForecast
from dataflows.runtime.compile import kernel


class CorrelationCarry(NamedTuple):
    """Weighted products of 15-bar returns, what has been made of them, and which were unknown."""

    close: Unknown  # log close of the 15-bar before; NaN: that was unknown
    r: Unknown
    product: Annotated[Floats, Axes("N", "N")]
    correlation: Annotated[Floats, Axes("N", "N", start=NAN)]
    missed: Annotated[Ints, Axes("correlation_halflife", "N", start=1)]  # 1: unknown, of the last half-life; a ring
    misses: Annotated[Ints, Axes("N", start="correlation_halflife")]
    at: Annotated[Ints, Axes(1)]
    told: Annotated[Floats, Axes(2, start=NAN)]  # mean correlation, effective bets


@kernel
def shrunk_correlation(product: Floats, misses: Ints, most: float, shrink: float, correlation: Floats, told: Floats) -> None:
    """Correlations of the known symbols, `shrink` of the way to their mean, into `correlation`; NaN for the others.

    A symbol is known with at most `most` misses and a variance. told: the mean off the diagonal, and (sum of eigenvalues)^2 /
    sum of their squares, which is the number of equal and independent symbols with as much variety.
    """
    symbols = misses.shape[0]
    total, pairs, count = 0.0, 0, 0
    for i in range(symbols):
        for j in range(symbols):
            correlation[i, j] = math.nan
        if misses[i] <= most and 0.0 < product[i, i] < math.inf:
            correlation[i, i] = 1.0
            count += 1
    for i in range(symbols):
        for j in range(i):
            if correlation[i, i] == 1.0 and correlation[j, j] == 1.0:
                rho = product[i, j] / (math.sqrt(product[i, i]) * math.sqrt(product[j, j]))
                rho = 1.0 if rho > 1.0 else (-1.0 if rho < -1.0 else rho)
                correlation[i, j] = rho
                total += rho
                pairs += 1
    mean = total / pairs if pairs > 0 else math.nan
    squares = 0.0
    for i in range(symbols):
        for j in range(i):
            rho = correlation[i, j]
            if rho == rho:
                rho += shrink * (mean - rho)
                correlation[i, j] = correlation[j, i] = rho
                squares += 2.0 * rho * rho
    told[0] = mean
    told[1] = count * count / (count + squares) if count > 0 else math.nan


@layer("L78", schedule="step", cross_sectional=True)
def l78_correlation(
    l0_market_feed: Market, l76_volatility_forecast: VolForecast, clock: Clock, risk: RiskConfig, carry: CorrelationCarry
) -> Correlation:
    """Exponentially weighted correlation of closed 15-bar returns, `correlation_shrink` of the way to their common mean.

    At one bar, trading that is not simultaneous hides it (Epps 1979). It moves where a 15-bar of any symbol closes. A return
    that is unknown, or reaches over more than one 15-bar, enters as 0 for all pairs: leaving out pairs one by one would give
    matrices that no returns can have. So the block of known symbols is symmetric and positive semidefinite.
    Returns correlation (N, N) in [-1, 1], NaN for a symbol that does not move or of which more than `correlation_unknown` of
    the last half-life was unknown (before the first bar all was), which L87 and L95 count as 1; sigma_day (N,) as L76 gives it;
    the mean correlation, and effective bets, (sum of eigenvalues)^2 / sum of their squares, NaN while none is known. The
    matrices are not recorded. O(N^2) once in 15 bars.
    Source: RiskMetrics (1996); shrinkage target: Ledoit and Wolf (2004), with a fixed weight.
    """
    symbols = carry.close.shape[0]
    closes = 0
    if clock.is_bar != 0:
        for n in range(symbols):
            if l0_market_feed.bars_15.closed[n] != 0:
                closes = 1
    if closes != 0:
        fade = math.exp(-math.log(2.0) / risk.correlation_halflife)
        at = carry.at[0]
        carry.at[0] = 0 if at + 1 >= carry.missed.shape[0] else at + 1
        for n in range(symbols):
            close = l0_market_feed.bars_15.close[n]
            level = math.nan
            if l0_market_feed.bars_15.closed[n] != 0 and 0.0 < close < math.inf:
                level = math.log(close)
            r = level - carry.close[n]
            carry.close[n] = level
            unknown = 0 if r == r else 1
            carry.r[n] = r if unknown == 0 else 0.0
            carry.misses[n] += unknown - carry.missed[at, n]
            carry.missed[at, n] = unknown
        for i in range(symbols):
            for j in range(i + 1):
                carry.product[i, j] = fade * carry.product[i, j] + (1.0 - fade) * (carry.r[i] * carry.r[j])
        most = risk.correlation_unknown * risk.correlation_halflife
        shrunk_correlation(carry.product, carry.misses, most, risk.correlation_shrink, carry.correlation, carry.told)
    return Correlation(carry.correlation, l76_volatility_forecast.sigma_day, float(carry.told[0]), float(carry.told[1]))
