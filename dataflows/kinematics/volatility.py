"""The recursions of L2: log returns over valid bars and the volatilities made of them."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Unknown
from dataflows.data.types import Bars, HigherBars
from dataflows.kernels.arith import clip
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.true_range import true_range
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

LAGS: Final = (5, 15, 60)
DEEP: Final = 60
AVERAGES: Final = 4
FAST, SLOW, TRUE_RANGE, TRUE_RANGE_60 = range(AVERAGES)
"""Rows of the averages: of r squared, and of the true range of base bars and of 60-bars."""
FIELDS: Final = 13
(
    R_1, R_5, R_15, R_60, SIGMA, SIGMA_SLOW, PARKINSON, GARMAN_KLASS, YANG_ZHANG, ATR, ATR_60, SIGMA_FLOOR, Z,
) = range(FIELDS)  # fmt: skip
"""Rows of what `returns_and_volatility` gives."""
# what the window of the range volatilities holds of each bar, in logarithms
HIGH_LOW, BODY_SQUARED, ROGERS_SATCHELL, GAP, BODY = 0, 1, 2, 3, 4
PARTS: Final = 5
Z_MOST: Final = 1000.0
"""Largest z in size. Further out the ratio says nothing more; it also stands where the volatility before was 0."""


class VolatilityCarry(NamedTuple):
    """What L2 needs of the past. The averages and the window are written out in the kernel: calls of the shared ones, each with
    its own state, took three quarters of its time."""

    closes: Annotated[Floats, Axes(DEEP, "N", start=NAN)]
    pos: Count
    last: Unknown  # close of the last valid bar
    last_60: Unknown  # close of the last closed 60-bar
    sigma: Unknown  # as handed on with `last`
    odd: Count  # outliers since the last closed 60-bar
    mean: Annotated[Floats, Axes(AVERAGES, "N", start=NAN)]
    seed: Annotated[Floats, Axes(AVERAGES, "N", start=0.0)]  # sum of the values that seed it
    seeded: Annotated[Ints, Axes(AVERAGES, "N", start=0)]  # number of them
    ring: Annotated[Floats, Axes(PARTS, "volatility_range_window", "N", start=0.0)]
    ring_pos: Count
    held: Count
    anchor: Annotated[Floats, Axes(PARTS, "N", start=0.0)]  # sums are of the distance from it
    sum: Annotated[Floats, Axes(PARTS, "N", start=0.0)]
    squares: Annotated[Floats, Axes(PARTS, "N", start=0.0)]


@kernel
def _believed(v: float, most: float, k: int, n: int, mean: Floats, total: Floats, seeded: Ints) -> float:
    """v, at most `most` times average k of symbol n as it stands; v itself before the average has any value."""
    level = mean[k, n]
    if level != level and seeded[k, n] > 0:
        level = total[k, n] / seeded[k, n]
    return most * level if level > 0.0 and v > most * level else v


@kernel
def _average(v: float, k: int, n: int, alpha: float, seed: int, mean: Floats, total: Floats, seeded: Ints) -> None:
    """`seeded_push` for average k of symbol n."""
    if seeded[k, n] < seed:
        seeded[k, n] += 1
        total[k, n] += v
        if seeded[k, n] == seed:
            mean[k, n] = total[k, n] / seed
    else:
        mean[k, n] += alpha * (v - mean[k, n])


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
    outlier: Ints,
    tick_size: Floats,
    halflife: int,
    halflife_slow: int,
    window: int,
    period: int,
    floor_ticks: float,
    outlier_most: float,
    state: VolatilityCarry,
) -> Floats:
    """float64 (FIELDS, T, N), rows R_1 to Z; see L2 for what each means."""
    last, state_sigma, last_60, pos, closes = state.last, state.sigma, state.last_60, state.pos, state.closes
    held, state_odd, ring_pos, anchor, state_sum = state.held, state.odd, state.ring_pos, state.anchor, state.sum
    state_squares = state.squares
    bars_open, bars_high, bars_low, bars_close = bars.open, bars.high, bars.low, bars.close
    closed, bars_60_close, bars_60_high, bars_60_low = bars_60.closed, bars_60.close, bars_60.high, bars_60.low
    steps, symbols = bars_close.shape
    y = np.full((FIELDS, steps, symbols), np.nan)
    mean = state.mean
    ring = state.ring
    alpha = halflife_alpha(halflife)
    alpha_slow = halflife_alpha(halflife_slow)
    wilder = 1.0 / period
    body_share = 0.34 / (1.34 + (window + 1.0) / (window - 1.0))
    unbiased = window / (window - 1.0)
    curve = 2.0 * math.log(2.0) - 1.0
    spread = 1.0 / (4.0 * math.log(2.0))
    for t in range(steps):
        for n in range(symbols):
            if listed[t, n] == 0 and last[n] == last[n]:
                last[n] = math.nan  # no return reaches across a new listing
                last_60[n] = math.nan
                for i in range(DEEP):
                    closes[i, n] = math.nan
            before = last[n]
            sigma_before = state_sigma[n]
            is_valid = valid[t, n] != 0
            if is_valid:
                open_ = bars_open[t, n]
                high = bars_high[t, n]
                low = bars_low[t, n]
                close = bars_close[t, n]
                p = pos[n]
                for i in range(3):
                    at = p - LAGS[i]
                    y[R_5 + i, t, n] = math.log(close / closes[at if at >= 0 else at + DEEP, n])
                closes[p, n] = close
                pos[n] = 0 if p == DEEP - 1 else p + 1
                reach = true_range(high, low, before)
                odd = outlier[t, n] != 0
                if odd:
                    state_odd[n] += 1
                    reach = _believed(reach, outlier_most, TRUE_RANGE, n, mean, state.seed, state.seeded)
                _average(reach, TRUE_RANGE, n, wilder, period, mean, state.seed, state.seeded)
                if before == before:
                    r = math.log(close / before)
                    y[R_1, t, n] = r
                    fast = r * r
                    slow = r * r
                    if odd:
                        squared = outlier_most * outlier_most
                        fast = _believed(fast, squared, FAST, n, mean, state.seed, state.seeded)
                        slow = _believed(slow, squared, SLOW, n, mean, state.seed, state.seeded)
                    _average(fast, FAST, n, alpha, halflife, mean, state.seed, state.seeded)
                    _average(slow, SLOW, n, alpha_slow, halflife_slow, mean, state.seed, state.seeded)
                    up = math.log(high / open_)
                    down = math.log(low / open_)
                    body = math.log(close / open_)
                    width = up - down
                    q = ring_pos[n]
                    full = held[n] == window
                    for k in range(PARTS):
                        if k == HIGH_LOW:
                            v = width * width
                        elif k == BODY_SQUARED:
                            v = body * body
                        elif k == ROGERS_SATCHELL:
                            v = up * (up - body) + down * (down - body)
                        elif k == GAP:
                            v = math.log(open_ / before)
                        else:
                            v = body
                        old = ring[k, q, n]
                        ring[k, q, n] = v
                        if q == window - 1:  # the ring is in time order now: sum anew, about its newest value
                            total = 0.0
                            squares = 0.0
                            for i in range(window):
                                d = ring[k, i, n] - v
                                total += d
                                squares += d * d
                            anchor[k, n] = v
                            state_sum[k, n] = total
                            state_squares[k, n] = squares
                        elif full:
                            d = v - anchor[k, n]
                            o = old - anchor[k, n]
                            state_sum[k, n] += d - o
                            state_squares[k, n] += d * d - o * o
                    ring_pos[n] = 0 if q == window - 1 else q + 1
                    if not full:
                        held[n] += 1
                last[n] = close
            if closed[t, n] != 0:
                reach = true_range(bars_60_high[t, n], bars_60_low[t, n], last_60[n])
                if state_odd[n] > 0:  # one of its bars was an outlier
                    reach = _believed(reach, outlier_most, TRUE_RANGE_60, n, mean, state.seed, state.seeded)
                    state_odd[n] = 0
                _average(reach, TRUE_RANGE_60, n, wilder, period, mean, state.seed, state.seeded)
                last_60[n] = bars_60_close[t, n]
            known = last[n]
            floor = floor_ticks * tick_size[n] / known if known == known else math.nan
            sigma = _root(mean[FAST, n], floor)
            if is_valid:
                y[Z, t, n] = z_score(y[R_1, t, n], sigma_before)
                state_sigma[n] = sigma
            y[SIGMA, t, n] = sigma
            y[SIGMA_SLOW, t, n] = _root(mean[SLOW, n], floor)
            if held[n] == window:
                high_low = anchor[HIGH_LOW, n] + state_sum[HIGH_LOW, n] / window
                body_squared = anchor[BODY_SQUARED, n] + state_sum[BODY_SQUARED, n] / window
                inside = anchor[ROGERS_SATCHELL, n] + state_sum[ROGERS_SATCHELL, n] / window
                gap_mean = state_sum[GAP, n] / window
                gap_variance = unbiased * (state_squares[GAP, n] / window - gap_mean * gap_mean)
                body_mean = state_sum[BODY, n] / window
                body_variance = unbiased * (state_squares[BODY, n] / window - body_mean * body_mean)
                y[PARKINSON, t, n] = _root(spread * high_low, floor)
                y[GARMAN_KLASS, t, n] = _root(0.5 * high_low - curve * body_squared, floor)
                y[YANG_ZHANG, t, n] = _root(gap_variance + body_share * body_variance + (1.0 - body_share) * inside, floor)
            y[ATR, t, n] = clip(mean[TRUE_RANGE, n], floor_ticks * tick_size[n], math.inf)
            y[ATR_60, t, n] = clip(mean[TRUE_RANGE_60, n], floor_ticks * tick_size[n], math.inf)
            y[SIGMA_FLOOR, t, n] = floor
    return y
