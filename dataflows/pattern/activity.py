"""How unusual a bar is beside the bars before it."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.window import Moments, previous_moments
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


@kernel
def previous_z(x: Floats, on: Ints, state: Moments) -> Floats:
    """Distance of x from the mean of the PREVIOUS W values that count, in their deviations; (T, N).

    NaN until W are held, where they did not vary, where `on` is 0 and where x is not finite. This bar is not among its own
    references, so that a single large one is not measured by itself.
    """
    bars, symbols = x.shape
    z = np.full((bars, symbols), np.nan)
    mean, variance = previous_moments(x, on, state)
    for t in range(bars):
        for n in range(symbols):
            v = x[t, n]
            if variance[t, n] > 0.0 and on[t, n] != 0 and math.isfinite(v):
                z[t, n] = (v - mean[t, n]) / math.sqrt(variance[t, n])
    return z
