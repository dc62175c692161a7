"""A guess of the tick and lot size from the data: the largest step of which every price and every size is a multiple."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_FINEST: Final = 10**8  # exchanges quote to eight decimals at most
_KEYS: Final = {
    "tick_size": ("open", "high", "low", "close", "price", "bid_px_0", "ask_px_0"),
    "lot_size": ("volume", "size", "bid_sz_0", "ask_sz_0"),
}


class TickGuess:
    """Takes tables of ours; says for each symbol the step that they all keep, where they keep one of 1e-8 or more.

    It is an upper bound: a market that happened to trade in whole dollars may have a finer tick.
    """

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str], int | None] = {}  # (key, symbol) -> greatest common divisor in 1e-8

    def add(self, table: pa.Table) -> None:
        """More rows."""
        for symbol in pc.unique(table.column("symbol")).to_pylist():
            mine = table.filter(pc.equal(table.column("symbol"), symbol))
            for key, names in _KEYS.items():
                for name in names:
                    if name in table.column_names:
                        before = self._steps.get((key, symbol), 0)
                        step = _common(mine.column(name).to_numpy())
                        self._steps[key, symbol] = None if before is None or step is None else math.gcd(before, step)

    def found(self) -> dict[str, Any]:
        """tick_size and lot_size by symbol, as dataset.yml takes them; those without a step are left out."""
        made: dict[str, dict[str, float]] = {}
        for (key, symbol), step in sorted(self._steps.items()):
            if step:
                made.setdefault(key, {})[symbol] = step / _FINEST
        return made


def _common(values: Any) -> int | None:
    """The greatest common divisor of the values in 1e-8; None where they have more decimals, 0 where there are no values."""
    known = values[np.isfinite(values) & (values > 0.0)]
    whole = np.rint(known * _FINEST)
    if not len(known):
        return 0
    if (whole >= 2.0**53).any() or (np.abs(whole - known * _FINEST) > 1e-4 * np.maximum(1.0, whole * 1e-9)).any():
        return None
    return int(np.gcd.reduce(whole.astype(np.int64)))
