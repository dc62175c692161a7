"""Runs to report on: one that trades, the same market under other settings, and one that trades nothing."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from drivers.feeds.simulate import simulate
from drivers.report.contents import RunReport, read_report
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest

SYMBOLS = ("SIMA", "SIMB", "SIMC")
EARLY = (  # an edge that is believed in without having been learned, sides that end soon, windows that are full after hours
    "fusion.prior_slope_bps=800",
    "fusion.prior_strength=400",
    "fusion.horizons=[5, 15, 60, 240]",
    "fusion.leave_cost=0.0",
    "fusion.leave_halflife=0.02",
    "kinematics.volatility_halflife_slow=240",
    "risk.cap_volume_bars=240",
)
RUNS = {
    "traded": (*EARLY, "execution.style_limit_ratio=0.5", "execution.style_post_ratio=1.0"),
    "hasty": (*EARLY, "risk.stop_sigma=0.3", "risk.stop_atr=1.0", "risk.gross=0.6"),
    "idle": ("fusion.entry_min_observations=100000",),
}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of finished runs by name, over two days of three symbols with an outage."""
    folder = tmp_path_factory.mktemp("reported")
    simulate(folder / "market", seed=5, symbols=SYMBOLS, days=2, edge=3.0, trades=False)
    for name, overrides in RUNS.items():
        request = RunRequest(data=folder / "market", out=folder / name, overrides=overrides)
        run_batch(request, Console(file=StringIO()))
    return {name: folder / name for name in RUNS}


@pytest.fixture(scope="session")
def reports(finished: dict[str, Path]) -> dict[str, RunReport]:
    return {name: read_report(folder) for name, folder in finished.items()}


@pytest.fixture(params=["traded", "hasty"])
def traded(request: pytest.FixtureRequest, reports: dict[str, RunReport]) -> RunReport:
    """A run with fills."""
    return reports[request.param]
