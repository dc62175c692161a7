"""The simulator as a feed: a market that is drawn in memory and delivered without touching the disk."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from drivers.feeds.aligned import Dataset
from drivers.feeds.dataset import assembled
from drivers.feeds.description import describe
from drivers.feeds.errors import refuse
from drivers.feeds.reading import Axis, Reading
from drivers.feeds.simulate.market import DEFAULT_SYMBOLS, NS, simulate_market
from drivers.feeds.simulate.write import description_of
from drivers.feeds.trading_time import ALWAYS, always, bar_clock

PANELS: Final = ("open", "high", "low", "close", "volume", "vwap", "trade_count", "buy_volume")


def simulated_feed(
    *,
    seed: int = 7,
    symbols: Sequence[str] = DEFAULT_SYMBOLS,
    days: int = 14,
    clock_seconds: int = 60,
    start: str = "2026-01-05",
    edge: float = 1.0,
) -> Dataset:
    """A simulated market of bars, without books and trades, as `open_dataset` would read it from the folder that `simulate`
    writes.

    The arguments are those of `simulate_market`. Raises ValueError for arguments out of range.
    """
    market = simulate_market(
        seed=seed, symbols=symbols, days=days, clock_seconds=clock_seconds, start=start, edge=edge, bars_only=True
    )
    seen, step = np.flatnonzero(market.observed), clock_seconds * NS
    span = slice(int(seen[0]), int(seen[-1]) + 1)
    time = market.time[span]
    trading = always(int(time[0]), int(time[-1]), step)
    columns = {name: n for n, name in enumerate(market.symbols)}
    reading = Reading(Path(f"simulated-{seed}"), describe(description_of(market, seed, edge)), int(time[-1]), refuse)
    reading.panels |= {name: np.ascontiguousarray(getattr(market, name)[span]) for name in PANELS}
    reading.counts["rows"] = len(seen) * len(columns)
    digest = hashlib.sha256(time.tobytes())
    for panel in reading.panels.values():
        digest.update(panel.tobytes())
    listed = np.array([np.zeros(len(columns)), np.full(len(columns), len(time) - 1)], np.int64)
    axis = Axis(step, columns, trading, ALWAYS, bar_clock(ALWAYS, trading, step))
    return assembled(reading, axis, reading.about, listed, depth=1, digest=digest.hexdigest())
