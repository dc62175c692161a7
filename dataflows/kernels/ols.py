"""Rolling least squares on time."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Ring, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

EXACT = 1e-14
"""Least unexplained share of the variance: on an exact line rounding alone would decide the t-statistic."""


class RollingOls(NamedTuple):
    """State of `rolling_ols`. Sums are of y - anchor, so that a far level costs no digits."""

    ring: Ring
    pos: Count
    held: Count
    anchor: Zero
    sum_y: Zero
    sum_ty: Zero  # of (time less its mean) times (y - anchor)
    sum_yy: Zero
    run: Count  # how many of the latest values are equal


@kernel
def rolling_ols(y: Floats, on: Ints, state: RollingOls) -> tuple[Floats, Floats, Floats]:
    """Least squares of the last W values on the count of their bars: (slope, t_stat, r2), each (T, N).

    y: float64 (T, N); on: int64 (T, N), 1 where the bar counts; W >= 3 the length of the state's ring. slope: units of y per
    counted bar; t_stat: of the slope, W - 2 degrees of freedom, at most 1e7 * sqrt(W - 2) in size; r2 in [0, 1]. All 0 where
    the W values are equal. NaN until W are held; the last result where `on` is 0 or y is not finite.
    Running sums, made anew when the ring wraps.
    """
    pos, ring, run, held, anchor, sum_y = state.pos, state.ring, state.run, state.held, state.anchor, state.sum_y
    sum_ty, sum_yy = state.sum_ty, state.sum_yy
    bars, symbols = y.shape
    width = ring.shape[0]
    half = (width - 1) / 2.0
    sum_tt = width * (width * width - 1.0) / 12.0
    slope = np.empty((bars, symbols))
    t_stat = np.empty((bars, symbols))
    r2 = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = y[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                p = pos[n]
                old = ring[p, n]
                newest = ring[p - 1 if p > 0 else width - 1, n]
                run[n] = run[n] + 1 if v == newest else 1
                ring[p, n] = v
                if p == width - 1:  # the ring is in time order now: sum anew, about its newest value
                    a = 0.0
                    b = 0.0
                    c = 0.0
                    for i in range(width):
                        d = ring[i, n] - v
                        a += d
                        b += (i - half) * d
                        c += d * d
                    anchor[n] = v
                    sum_y[n] = a
                    sum_ty[n] = b
                    sum_yy[n] = c
                    pos[n] = 0
                elif held[n] == width:  # every value moves one place back, the oldest leaves
                    o = old - anchor[n]
                    d = v - anchor[n]
                    sum_ty[n] += half * d + (half + 1.0) * o - sum_y[n]
                    sum_y[n] += d - o
                    sum_yy[n] += d * d - o * o
                    pos[n] = p + 1
                else:
                    pos[n] = p + 1
                if held[n] < width:
                    held[n] += 1
            if held[n] < width:
                slope[t, n] = math.nan
                t_stat[t, n] = math.nan
                r2[t, n] = math.nan
            else:
                b = sum_ty[n] / sum_tt
                whole = sum_yy[n] - sum_y[n] * sum_y[n] / width
                if run[n] >= width or not (whole > 0.0):
                    slope[t, n] = 0.0
                    t_stat[t, n] = 0.0
                    r2[t, n] = 0.0
                else:
                    rest = whole - b * b * sum_tt
                    if rest < EXACT * whole:
                        rest = EXACT * whole
                    slope[t, n] = b
                    t_stat[t, n] = b / math.sqrt(rest / (width - 2.0) / sum_tt)
                    r2[t, n] = 1.0 - rest / whole if rest < whole else 0.0
    return slope, t_stat, r2
