"""Markets in memory, as the suite takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from dataflows.data.types import Observations
from dataflows.panel import Ints
from drivers.engine.chunk import cut
from drivers.engine.engine import DAY_NS


class Observed:
    """Observations with names for their columns."""

    def __init__(self, observations: Observations, names: tuple[str, ...] | None = None) -> None:
        self.observations = observations
        self.symbols = names or tuple(f"S{n:03d}" for n in range(observations.close.shape[1]))
        self.time: Ints = observations.time
        self.depth = observations.bid_price.shape[2]

    def __len__(self) -> int:
        return len(self.time)

    def rows(self, a: int, b: int) -> Observations:
        made: Observations = cut(self.observations, Observations, a, b)
        return made

    def inputs(self, observations: Observations) -> dict[str, Any]:
        return {"observations": observations}

    def cuts(self, max_bars: int, *, epoch_ns: int = DAY_NS) -> Iterator[tuple[int, int]]:
        """At most `max_bars`, and never across the end of an epoch."""
        edges = {0, len(self), *(np.flatnonzero(np.diff((self.time - 1) // epoch_ns)) + 1).tolist()}
        a = 0
        for end in sorted(edges - {0}):
            while a < end:
                yield a, min(a + max_bars, end)
                a = min(a + max_bars, end)


def observations(bars: int = 400, symbols: int = 3, *, before_midnight: int = 250, seed: int = 3) -> Observations:
    """Closes at random around a midnight; nothing else of them is known."""
    from tests.drivers.engine.conftest import toy_data
    from tests.support import filled

    data: Any = toy_data(bars, symbols, before_midnight=before_midnight, seed=seed)
    close = data.inputs["observations"].close
    levels = {f: np.full((bars, symbols, 1), np.nan) for f in ("bid_price", "bid_size", "ask_price", "ask_size", "ofi")}
    made: Observations = filled(Observations, (bars, symbols), np.nan, time=data.time, close=close, **levels)
    return made
