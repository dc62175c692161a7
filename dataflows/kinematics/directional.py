"""Wilder's directional movement."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.kernels.smooth import SeededEwm, seeded_push
from dataflows.kinematics.true_range import true_range
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class DirectionalMovement(NamedTuple):
    """State of `directional_movement`."""

    high: Unknown  # of the last bar that counted
    low: Unknown
    close: Unknown
    range: SeededEwm
    plus: SeededEwm
    minus: SeededEwm
    dx: SeededEwm


@kernel
def directional_movement(
    high: Floats, low: Floats, close: Floats, on: Ints, period: int, full: float, state: DirectionalMovement
) -> tuple[Floats, Floats, Floats, Floats]:
    """(adx, plus_di, minus_di, score), each (T, N), over the bars that count.

    plus_di, minus_di, adx in [0, 100]: Wilder's averages, each seeded with the mean of its first `period` values. score in
    [-1, 1]: the two directions' difference over their sum, times adx / `full`, at most 1. All 0 where nothing moved. NaN until
    whole; held where `on` is 0 or a price is not finite. Source: Wilder (1978).
    """
    range_mean, dx_mean, state_high, state_low = state.range.mean, state.dx.mean, state.high, state.low
    state_close, plus_mean, minus_mean = state.close, state.plus.mean, state.minus.mean
    bars, symbols = close.shape
    adx = np.empty((bars, symbols))
    plus_di = np.empty((bars, symbols))
    minus_di = np.empty((bars, symbols))
    score = np.empty((bars, symbols))
    alpha = 1.0 / period
    for t in range(bars):
        for n in range(symbols):
            h = high[t, n]
            low_ = low[t, n]
            c = close[t, n]
            fresh = on[t, n] != 0 and math.isfinite(h) and math.isfinite(low_) and math.isfinite(c)
            if fresh and state_close[n] == state_close[n]:
                up = h - state_high[n]
                down = state_low[n] - low_
                seeded_push(up if up > down and up > 0.0 else 0.0, n, alpha, period, state.plus)
                seeded_push(down if down > up and down > 0.0 else 0.0, n, alpha, period, state.minus)
                seeded_push(true_range(h, low_, state_close[n]), n, alpha, period, state.range)
            span = range_mean[n]
            plus = 100.0 * (plus_mean[n] / span) if span > 0.0 else 0.0 * span
            minus = 100.0 * (minus_mean[n] / span) if span > 0.0 else 0.0 * span
            both = plus + minus
            lean = (plus - minus) / both if both > 0.0 else 0.0 * both
            if fresh:
                if lean == lean:
                    seeded_push(100.0 * math.fabs(lean), n, alpha, period, state.dx)
                state_high[n] = h
                state_low[n] = low_
                state_close[n] = c
            strength = dx_mean[n]
            adx[t, n] = strength
            plus_di[t, n] = plus
            minus_di[t, n] = minus
            score[t, n] = lean * (1.0 if strength > full else strength / full)
    return adx, plus_di, minus_di, score
