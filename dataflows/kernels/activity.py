"""How unusual a bar is beside the bars before it."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.compile import kernel
from dataflows.kernels.window import Moments, moments_push, window_moments
from dataflows.panel import Floats, Ints


@kernel
def z_push(v: float, n: int, state: Moments) -> float:
    """Distance of v from the mean of symbol n's window, in its deviations; then the window takes v.

    NaN until the window is full, where it did not vary, and where v is not finite: the window does not take that.
    """
    if not math.isfinite(v):
        return math.nan
    mean, variance = window_moments(n, state)
    z = (v - mean) / math.sqrt(variance) if variance > 0.0 else math.nan
    moments_push(v, n, state)
    return z


@kernel
def previous_z(x: Floats, on: Ints, state: Moments) -> Floats:
    """Distance of x from the mean of the PREVIOUS W values that count, in their deviations; (T, N).

    NaN until W are held, where they did not vary, where `on` is 0 and where x is not finite. This bar is not among its own
    references, so that a single large one is not measured by itself.
    """
    bars, symbols = x.shape
    y = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0:
                y[t, n] = z_push(x[t, n], n, state)
    return y
