"""Two weeks of quarter hours in which weights, patterns and thresholds move, run through the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.cli.main import run_command
from drivers.feeds.simulate import simulate

LEARN = (  # an edge that is believed in, so that the account trades; short records, so that everything moves
    "fusion.prior_slope_bps=800",
    "fusion.prior_strength=400",
    "meta.least_epochs=5",
    "meta.pattern_off=0.2",
    "meta.source_volatility=0.2",
)


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapt") / "market"
    simulate(folder, seed=5, symbols=("SIMA", "SIMB"), days=14, clock_seconds=900, edge=3.0, book=False, trades=False)
    return folder


def run(market: Path, out: Path, *more: str, learn: tuple[str, ...] = LEARN) -> Path:
    """A run through the command line. more: options, and settings as `domain.key=value`."""
    line = ["run", "--data", str(market), "--out", str(out), "--no-report"]
    settings = [*learn, *(word for word in more if "=" in word)]
    line += [word for setting in settings for word in ("--set", setting)]
    assert run_command([*line, *(word for word in more if "=" not in word)]) == 0
    return out


@pytest.fixture(scope="session")
def learned(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run in which everything adapts by itself."""
    return run(market, tmp_path_factory.mktemp("learned") / "learned", "meta.adapt_thresholds=1")
