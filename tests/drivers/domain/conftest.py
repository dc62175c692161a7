"""One small run that all tests of domain runs start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from tests.drivers.small_market import folder

EARLY = (  # windows that are full within hours
    "kinematics.volatility_halflife_slow=240",
    "risk.cap_volume_bars=240",
)


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of bars over a midnight, with gaps and a symbol that comes late."""
    return folder(tmp_path_factory.mktemp("domain") / "market", minutes=300)


@pytest.fixture(scope="session")
def whole(market: Path) -> Path:
    """The results of a run of the whole graph over it, which trades."""
    out = market.parent / "whole"
    return run_batch(RunRequest(data=market, out=out, overrides=EARLY, spec="prior_belief")).out
