"""The stretches in which parts are written and read: at most BLOCK_BARS bars, never across the end of a month."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dataflows.panel import Ints

BLOCK_BARS: Final = 4_096
"""Length of the clock that a row group covers. All symbols' row groups begin at the same instants."""


def months(closes: Ints) -> Any:
    """The UTC month of each bar, as datetime64[M]: a bar that closes at midnight belongs to the day before."""
    return (closes - 1).astype("datetime64[ns]").astype("datetime64[M]")


def edges(closes: Ints, step: int) -> Ints:
    """The rows at which a block begins, and the number of rows at the end. closes: UTC ns, rising."""
    month = months(closes)
    block = (closes - 1 - month.astype("datetime64[ns]").astype(np.int64)) // (BLOCK_BARS * step)
    new = np.flatnonzero((month[1:] != month[:-1]) | (block[1:] != block[:-1])) + 1
    return np.concatenate([[0], new, [len(closes)]]).astype(np.int64)
