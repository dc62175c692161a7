"""Which returns are too large to be believed without a look."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.feeds.description import DAY

OUTLIER_K: Final = 10.0
"""A log return is an outlier beyond this many robust standard deviations of its symbol's day (1.4826 median deviations)."""

FEWEST: Final = 30
"""Returns that a day must have to be judged by itself; where the clock has fewer, 250 bars take its place."""


def outliers(returns: Floats, close: Ints, step: int) -> Any:
    """Returns far from the median of their day, in median absolute deviations; a day of fewer than FEWEST returns has none.

    returns: (M,) log returns of one symbol. close: (M,) UTC ns of the bars in which they end. step: ns of the clock.
    """
    day = (close - 1) // (DAY if DAY >= FEWEST * step else 250 * step)
    odd = np.zeros(len(returns), bool)
    edges = np.flatnonzero(np.diff(day)) + 1
    for a, b in zip([0, *edges], [*edges, len(returns)], strict=True):
        if b - a >= FEWEST:
            far = np.abs(returns[a:b] - np.median(returns[a:b]))
            spread = 1.4826 * np.median(far)
            odd[a:b] = (far > OUTLIER_K * spread) & (spread > 0.0)
    return odd
