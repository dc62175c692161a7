"""The numbers that market data may hold: beyond them products and squares of later layers overflow, or vanish.

They leave room for every market: the smallest token against the largest currency, and a year's volume of either in one bar.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.panel import Floats


class Bound(NamedTuple):
    """What a number other than 0 may be: its size lies between `least` and `most`, both included."""

    least: float
    most: float

    def beyond(self, x: Floats) -> Any:
        """Where a finite number lies outside; 0 and NaN do not."""
        size = np.abs(x)
        return np.isfinite(x) & (x != 0.0) & ((size < self.least) | (size > self.most))

    def sentence(self, name: str, x: float) -> str:
        """What is wrong with a number that lies outside: `volume is 1e+300, above 1e+18`."""
        side = f"above {self.most:g}" if abs(x) > self.most else f"below {self.least:g}"
        return f"{name} is {x:.10g}, {side if x > 0.0 else f'in size {side}'}, and no market has such a number"


PRICE: Final = Bound(1e-12, 1e12)
"""Quote currency."""
SIZE: Final = Bound(1e-18, 1e18)
"""Units of the instrument: of a trade, a level of the book, a bar."""
COUNT: Final = Bound(0.0, 1e15)
"""Trades of a bar."""
FUNDING: Final = Bound(0.0, 1.0)
"""A share of the position's value: 1 is all of it, in one payment."""
ALPHA: Final = Bound(0.0, 1e12)
"""A signal of one's own, in its own unit."""
