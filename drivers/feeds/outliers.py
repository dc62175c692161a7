"""Which returns are too large to be believed without a look."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dataflows.panel import Floats

OUTLIER_K: Final = 10.0
"""A log return is an outlier beyond this many robust standard deviations of its symbol's day (1.4826 median deviations)."""


def outliers(returns: Floats, day: Any) -> Any:
    """Returns far from their day's median, in median absolute deviations; a day of fewer than 30 returns has none."""
    odd = np.zeros(len(returns), bool)
    edges = np.flatnonzero(np.diff(day)) + 1
    for a, b in zip([0, *edges], [*edges, len(returns)], strict=True):
        if b - a >= 30:
            far = np.abs(returns[a:b] - np.median(returns[a:b]))
            spread = 1.4826 * np.median(far)
            odd[a:b] = (far > OUTLIER_K * spread) & (spread > 0.0)
    return odd
