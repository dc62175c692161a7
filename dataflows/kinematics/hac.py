"""Rolling least squares on time with errors that allow for autocorrelation."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Ring
from dataflows.kernels.ols import EXACT
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class RollingHac(NamedTuple):
    """State of `rolling_hac`."""

    ring: Ring
    pos: Count
    held: Count
    result: Annotated[Floats, Axes(3, "N", start=NAN)]  # slope, t_stat, r2 as of the last bar that counted


@kernel
def rolling_hac(y: Floats, on: Ints, lags: int, state: RollingHac) -> tuple[Floats, Floats, Floats]:
    """Least squares of the last W values on the count of their bars, with a Newey-West t-statistic: (slope, t_stat, r2).

    y: float64 (T, N); on: int64 (T, N), 1 where the bar counts; W >= 3 the length of the state's ring; lags >= 0 with
    Bartlett weights. slope: units of y per counted bar; t_stat: at most 1e7 in size; r2 in [0, 1]. All 0 where the W values
    are equal. NaN until W are held; the last result where `on` is 0 or y is not finite. O(W * lags) on a bar that counts,
    since every residual moves with the line: meant for the bars of a higher timeframe. Source: Newey and West (1987),
    without small-sample correction.
    """
    result, pos, ring, held = state.result, state.pos, state.ring, state.held
    bars, symbols = y.shape
    width = ring.shape[0]
    half = (width - 1) / 2.0
    sum_tt = width * (width * width - 1.0) / 12.0
    slope = np.empty((bars, symbols))
    t_stat = np.empty((bars, symbols))
    r2 = np.empty((bars, symbols))
    moved = np.empty(width)  # each value's pull on the slope: its distance in time from the middle times its residual
    for t in range(bars):
        for n in range(symbols):
            v = y[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                p = pos[n]
                ring[p, n] = v
                pos[n] = 0 if p == width - 1 else p + 1
                if held[n] < width:
                    held[n] += 1
                if held[n] == width:
                    oldest = pos[n]
                    sum_y = 0.0
                    sum_ty = 0.0
                    for i in range(width):
                        d = ring[oldest + i if oldest + i < width else oldest + i - width, n] - v
                        sum_y += d
                        sum_ty += (i - half) * d
                    mean = sum_y / width
                    b = sum_ty / sum_tt
                    spread = 0.0
                    left = 0.0
                    for i in range(width):
                        d = ring[oldest + i if oldest + i < width else oldest + i - width, n] - v - mean
                        e = d - b * (i - half)
                        spread += d * d
                        left += e * e
                        moved[i] = (i - half) * e
                    long_run = 0.0
                    for i in range(width):
                        long_run += moved[i] * moved[i]
                    for lag in range(1, lags + 1):
                        common = 0.0
                        for i in range(lag, width):
                            common += moved[i] * moved[i - lag]
                        long_run += 2.0 * (1.0 - lag / (lags + 1.0)) * common
                    error = math.sqrt(long_run) / sum_tt if long_run > 0.0 else 0.0
                    exact = left <= EXACT * spread
                    result[0, n] = b if spread > 0.0 else 0.0
                    result[2, n] = (1.0 if exact else 1.0 - left / spread) if spread > 0.0 else 0.0
                    if spread == 0.0 or b == 0.0:
                        result[1, n] = 0.0
                    elif exact or not (math.fabs(b) < 1e7 * error):
                        result[1, n] = 1e7 if b > 0.0 else -1e7
                    else:
                        result[1, n] = b / error
            slope[t, n] = result[0, n]
            t_stat[t, n] = result[1, n]
            r2[t, n] = result[2, n]
    return slope, t_stat, r2
