"""Finite impulse responses: weighted sums of the last W bars that count."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dataflows.carry import Count, Ring
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

FEW: Final = 8
"""Windows of a chunk, below which they are summed one by one."""


class Taps(NamedTuple):
    """State of `fir`; W is the number of taps."""

    ring: Ring
    pos: Count
    held: Count


@kernel
def _in_order(x: Floats, on: Ints, n: int, state: Taps) -> tuple[Floats, int]:
    """Symbol n's held values and those of the chunk that count, oldest first; and how many of them were held. Then the state
    holds the latest W."""
    pos, ring, held = state.pos, state.ring, state.held
    bars = x.shape[0]
    width = ring.shape[0]
    old = held[n]
    size = old
    values = np.empty(old + bars)
    for i in range(old):
        p = pos[n] - old + i
        values[i] = ring[p if p >= 0 else p + width, n]
    for t in range(bars):
        v = x[t, n]
        if on[t, n] != 0 and math.isfinite(v):
            values[size] = v
            size += 1
            p = pos[n]
            ring[p, n] = v
            pos[n] = 0 if p == width - 1 else p + 1
            if held[n] < width:
                held[n] += 1
    return values[:size], old


@kernel
def _windows(values: Floats, weights: Floats, sums: Floats) -> None:
    """Weighted sums of every window of W values; sums: (windows,), 0 before.

    The loop over taps is the outer one: each sum adds its terms in the order of the taps, as it would alone, while the
    compiler takes several windows at once. For a few windows the plain order is quicker, and gives the same bits.
    """
    width = len(weights)
    latest = values[width - 1 :]
    whole = 0.0
    for k in range(width):
        whole += weights[k]
    if len(sums) < FEW:
        for i in range(len(sums)):
            level = latest[i]
            total = 0.0
            for k in range(width):
                total += weights[k] * (values[width - 1 - k + i] - level)
            sums[i] = total + whole * level
        return
    for k in range(width):
        w = weights[k]
        lagged = values[width - 1 - k : len(values) - k]
        for i in range(len(sums)):
            sums[i] += w * (lagged[i] - latest[i])
    for i in range(len(sums)):
        sums[i] += whole * latest[i]


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
    for n in range(symbols):
        values, old = _in_order(x, on, n, state)
        if len(values) < width:
            continue
        sums = np.zeros((filters, len(values) - width + 1))
        for f in range(filters):
            _windows(values, weights[f], sums[f])
        last = old - width  # of the windows, the one that ends with the latest value so far
        for t in range(bars):
            if on[t, n] != 0 and math.isfinite(x[t, n]):
                last += 1
            if last >= 0:
                for f in range(filters):
                    y[f, t, n] = sums[f, last]
    return y
