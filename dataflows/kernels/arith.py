"""Scalars and small loops with the same bits compiled and plain: what NumPy's own functions do not promise."""

from __future__ import annotations

import math

import numpy as np

from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


@kernel
def clip(x: float, low: float, high: float) -> float:
    """x held within [low, high]; NaN stays NaN."""
    if x < low:
        return low
    if x > high:
        return high
    return x


@kernel
def sign(x: float) -> float:
    """-1.0, 0.0 or 1.0; NaN stays NaN."""
    if x > 0.0:
        return 1.0
    if x < 0.0:
        return -1.0
    return x


@kernel
def logistic(x: float) -> float:
    """1 / (1 + exp(-x)) in (0, 1), without overflow; NaN stays NaN."""
    if x >= 0.0:
        return 1.0 / (1.0 + math.exp(-x))
    e = math.exp(x)
    return e / (1.0 + e)


@kernel
def known(x: float, otherwise: float) -> float:
    """x, or `otherwise` where x is NaN: a weighted combination gives an unknown input weight 0 and does not renormalise."""
    if x == x:
        return x
    return otherwise


@kernel
def finite_or_zero(x: float) -> float:
    """x; 0 where it is NaN or infinite."""
    return x if math.isfinite(x) else 0.0


@kernel
def tanh_panel(x: Floats) -> Floats:
    """tanh of each entry of a panel (T, N); NaN stays NaN. np.tanh has other bits than compiled code."""
    y = np.empty(x.shape)
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            y[t, n] = math.tanh(x[t, n])
    return y


@kernel
def log_panel(x: Floats) -> Floats:
    """Natural logarithm of each entry of a panel (T, N); NaN where x is not positive, without a warning."""
    y = np.empty(x.shape)
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            y[t, n] = math.log(x[t, n]) if x[t, n] > 0.0 else math.nan
    return y


@kernel
def over(x: Floats, scale: Floats) -> Floats:
    """x / scale, panels (T, N): 0 where both are 0, so that what does not move has no distance; NaN where scale is not
    positive."""
    y = np.empty(x.shape)
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            s = scale[t, n]
            if s > 0.0:
                y[t, n] = x[t, n] / s
            else:
                y[t, n] = 0.0 if s == 0.0 and x[t, n] == 0.0 else math.nan
    return y
