"""The runs that the scripts are held against: four days of the sample market, and the crash of May 2021 where it is there."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from drivers.cli.common import utc_ns
from drivers.pine.export import Exported, export
from drivers.pine.recorded import Recorded, read_symbol
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.reader import RecordedRun, open_run
from tests.pine.runtimes import ChartBars, Drawn, Runtime

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


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Case:
    out = tmp_path_factory.mktemp("pine") / "sample"
    end = utc_ns("2026-01-09T12:00")
    run_batch(RunRequest(out=out, symbols=("SIMA",), end=end, spec="prior_belief", report=False))
    return case_of(out, "SIMA", 500, 1e-5, chart=4000)


@pytest.fixture(scope="session")
def crash(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Case:
    out = tmp_path_factory.mktemp("pine") / "crash"
    span = {"start": utc_ns("2021-05-17T00:00"), "end": utc_ns("2021-05-19T14:00")}
    data = shared_data / "crash_2021-05"
    run_batch(RunRequest(data=data, out=out, symbols=("BTCUSDT",), spec="prior_belief", report=False, **span))  # type: ignore[arg-type]
    return case_of(out, "BTCUSDT", 120, 0.01)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the transpiled scripts are kept while the tests run."""
    return tmp_path_factory.mktemp("scripts")


@pytest.fixture(scope="session")
def drawn(scripts: Path) -> Any:
    """What a runtime draws of a whole case; computed once for all tests of a worker."""

    @functools.cache
    def run(runtime: Runtime, folder: Path, script: str) -> Drawn:
        case = cases[folder]
        return runtime(case.exported().scripts[script], case.bars, {}, scripts)

    cases: dict[Path, Case] = {}

    def of(runtime: Runtime, case: Case, script: str) -> Drawn:
        cases[case.run.folder] = case
        return run(runtime, case.run.folder, script)

    return of
