"""A run of one symbol beside a chart with the same bars."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from drivers.pine.export import Exported, export
from drivers.pine.recorded import Recorded, read_symbol
from drivers.store.reader import RecordedRun, open_run
from tests.pine.runtimes import ChartBars

BARS = ("open", "high", "low", "close")


class Case(NamedTuple):
    """A run of one symbol, the chart with the same bars, and which of the run's bars the chart has."""

    run: RecordedRun
    symbol: str
    recorded: Recorded
    bars: ChartBars
    rows: np.ndarray
    payload_bars: int

    def exported(self) -> Exported:
        return export(self.run, self.symbol, self.payload_bars)


def case_of(folder: Path, symbol: str, payload_bars: int, tick: float, chart: int | None = None) -> Case:
    """tick: of the chart. chart: bars that it has, the last of the run's; None: all."""
    run = open_run(folder)
    recorded = read_symbol(run, symbol)
    names = [f"l0_market_feed.bars.{name}" for name in BARS]
    table = run.table("features/data", [*names, "l0_market_feed.quality.valid"], symbols=[symbol])
    rows = np.flatnonzero(table["l0_market_feed.quality.valid"].to_numpy() == 1)
    rows = rows[-(chart or len(rows)) :]
    prices = [table[name].to_numpy()[rows] for name in names]
    return Case(run, symbol, recorded, ChartBars(recorded.opened[rows], *prices, recorded.clock, tick), rows, payload_bars)
