"""The recursions of L2: log returns over valid bars and the volatilities made of them."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Bind, Count, Unknown
from dataflows.data.types import Bars, HigherBars
from dataflows.kernels.arith import clip
from dataflows.kernels.compile import kernel
from dataflows.kernels.smooth import SeededEwm, halflife_alpha, seeded_push
from dataflows.kernels.true_range import TrueRange, true_range
from dataflows.kernels.window import Moments, RollingSum, moments_push, sum_push, window_sum, window_variance
from dataflows.panel import Floats, Ints

LAGS: Final = (5, 15, 60)
DEEP: Final = 60
Z_MOST: Final = 1000.0
"""Largest z in size. Further out the ratio says nothing more; it also stands where the volatility before was 0."""


class VolatilityCarry(NamedTuple):
    """What L2 needs of the past."""

    closes: Annotated[Floats, Axes(DEEP, "N", start=NAN)]
    pos: Count
    last: Unknown  # close of the last valid bar
    sigma: Unknown  # as handed on with it
    fast: SeededEwm  # of squared returns
    slow: SeededEwm
    high_low: Annotated[RollingSum, Bind(W="volatility_range_window")]  # squared log ranges
    garman_klass: Annotated[RollingSum, Bind(W="volatility_range_window")]
    rogers_satchell: Annotated[RollingSum, Bind(W="volatility_range_window")]
    gap: Annotated[Moments, Bind(W="volatility_range_window")]  # log of open over the close before
    body: Annotated[Moments, Bind(W="volatility_range_window")]  # log of close over open
    range: TrueRange
    range_60: TrueRange


@kernel
def _root(variance: float, floor: float) -> float:
    """Square root of a variance, at least `floor`; NaN stays NaN. Rounding below 0 counts as 0."""
    if variance != variance:
        return math.nan
    s = math.sqrt(variance) if variance > 0.0 else 0.0
    return floor if s < floor else s


@kernel
def z_score(r: float, sigma: float) -> float:
    """r / sigma within +-Z_MOST; 0 where r is 0, however small sigma; NaN where one is unknown."""
    if r != r or sigma != sigma:
        return math.nan
    if r == 0.0:
        return 0.0
    if math.fabs(r) >= Z_MOST * sigma:
        return Z_MOST if r > 0.0 else -Z_MOST
    return r / sigma


@kernel
def returns_and_volatility(
    bars: Bars,
    bars_60: HigherBars,
    valid: Ints,
    listed: Ints,
    tick_size: Floats,
    halflife: int,
    halflife_slow: int,
    window: int,
    period: int,
    floor_ticks: float,
    state: VolatilityCarry,
) -> Floats:
    """float64 (13, T, N) in the order of `Returns`; see L2 for what each means."""
    steps, symbols = bars.close.shape
    y = np.full((13, steps, symbols), np.nan)
    alpha = halflife_alpha(halflife)
    alpha_slow = halflife_alpha(halflife_slow)
    body_share = 0.34 / (1.34 + (window + 1.0) / (window - 1.0))
    unbiased = window / (window - 1.0)
    for t in range(steps):
        for n in range(symbols):
            if listed[t, n] == 0 and state.last[n] == state.last[n]:
                state.last[n] = math.nan  # no return reaches across a new listing
                state.range.close[n] = math.nan
                state.range_60.close[n] = math.nan
                for i in range(DEEP):
                    state.closes[i, n] = math.nan
            before = state.last[n]
            sigma_before = state.sigma[n]
            is_valid = valid[t, n] != 0
            if is_valid:
                open_ = bars.open[t, n]
                high = bars.high[t, n]
                low = bars.low[t, n]
                close = bars.close[t, n]
                p = state.pos[n]
                for i in range(3):
                    y[1 + i, t, n] = math.log(close / state.closes[(p - LAGS[i] + DEEP) % DEEP, n])
                state.closes[p, n] = close
                state.pos[n] = 0 if p == DEEP - 1 else p + 1
                width = math.log(high / low)
                body = math.log(close / open_)
                sum_push(width * width, n, state.high_low)
                sum_push(0.5 * width * width - (2.0 * math.log(2.0) - 1.0) * body * body, n, state.garman_klass)
                seeded_push(true_range(high, low, state.range.close[n]), n, 1.0 / period, period, state.range.mean)
                state.range.close[n] = close
                if before == before:
                    r = math.log(close / before)
                    y[0, t, n] = r
                    seeded_push(r * r, n, alpha, halflife, state.fast)
                    seeded_push(r * r, n, alpha_slow, halflife_slow, state.slow)
                    up = math.log(high / open_)
                    down = math.log(low / open_)
                    moments_push(math.log(open_ / before), n, state.gap)
                    moments_push(body, n, state.body)
                    sum_push(up * (up - body) + down * (down - body), n, state.rogers_satchell)
                state.last[n] = close
            if bars_60.closed[t, n] != 0:
                reach = true_range(bars_60.high[t, n], bars_60.low[t, n], state.range_60.close[n])
                seeded_push(reach, n, 1.0 / period, period, state.range_60.mean)
                state.range_60.close[n] = bars_60.close[t, n]
            known = state.last[n]
            floor = floor_ticks * tick_size[n] / known if known == known else math.nan
            sigma = _root(state.fast.mean[n], floor)
            if is_valid:
                y[12, t, n] = z_score(y[0, t, n], sigma_before)
                state.sigma[n] = sigma
            y[4, t, n] = sigma
            y[5, t, n] = _root(state.slow.mean[n], floor)
            y[6, t, n] = _root(window_sum(n, state.high_low) / window / (4.0 * math.log(2.0)), floor)
            y[7, t, n] = _root(window_sum(n, state.garman_klass) / window, floor)
            yang_zhang = unbiased * (window_variance(n, state.gap) + body_share * window_variance(n, state.body))
            yang_zhang += (1.0 - body_share) * window_sum(n, state.rogers_satchell) / window
            y[8, t, n] = _root(yang_zhang, floor)
            y[9, t, n] = clip(state.range.mean.mean[n], floor_ticks * tick_size[n], math.inf)
            y[10, t, n] = clip(state.range_60.mean.mean[n], floor_ticks * tick_size[n], math.inf)
            y[11, t, n] = floor
    return y
