"""Finite impulse responses: weighted sums of the last W bars that count."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Ring
from dataflows.kernels.compile import kernel
from dataflows.panel import Floats, Ints


class Taps(NamedTuple):
    """State of `fir`; W is the number of taps."""

    ring: Ring
    pos: Count
    held: Count


@kernel
def fir(x: Floats, on: Ints, weights: Floats, state: Taps) -> Floats:
    """F weighted sums of the last W values, latest first: (F, T, N). weights: (F, W).

    x: float64 (T, N); on: int64 (T, N), 1 where the bar counts. NaN until W are held; the last sums where `on` is 0 or x is
    not finite. O(W) a bar, as every filter of this kind is. The last value is taken off before and put back after, so that
    a far level costs no digits.
    """
    bars, symbols = x.shape
    width = state.ring.shape[0]
    filters = weights.shape[0]
    y = np.full((filters, bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            v = x[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                p = state.pos[n]
                state.ring[p, n] = v
                state.pos[n] = 0 if p == width - 1 else p + 1
                if state.held[n] < width:
                    state.held[n] += 1
            if state.held[n] == width:
                last = state.pos[n] - 1 if state.pos[n] > 0 else width - 1
                level = state.ring[last, n]
                for f in range(filters):
                    total = 0.0
                    whole = 0.0
                    i = last
                    for k in range(width):
                        total += weights[f, k] * (state.ring[i, n] - level)
                        whole += weights[f, k]
                        i = width - 1 if i == 0 else i - 1
                    y[f, t, n] = total + whole * level
    return y
