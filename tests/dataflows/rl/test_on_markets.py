"""The promise in the closed loop: on every bar the account keeps its part of what the untouched one has, whatever the policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.progress import Progress

from drivers.engine.building import boundaries, make_engine, make_plan
from drivers.feeds.dataset import open_dataset
from drivers.feeds.sample import sample_market
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults

READY = Path(__file__).parents[4] / "shared" / "data" / "ready"
BELIEF = ("fusion.prior_slope_bps=800", "fusion.prior_strength=400")
"""So that real markets, on which little pays its costs, are traded at all."""
LOTS = 2e-3
"""What lots, caps and an open position may take beyond the promise, of the shadow's wealth."""
NOTHING = ("rl.policy=3", "rl.table=[0,0,0,0,0]", "rl.most_behind=0.2")
"""The policy that is furthest from the baseline: it takes no position at all, until the budget is spent."""


def both(data: Path, overrides: tuple[str, ...]) -> tuple[Any, Any]:
    """Equity of the account and of its shadow at every bar."""
    project = defaults()
    wiring = load(project.wiring)
    market = open_dataset(data, venues=project.config / "venues")
    wiring = wiring.at_clock(market.clock)
    plan = make_plan(wiring, load_configs(project, overrides, None, market.clock))
    models, facts = boundaries(wiring), market.instruments
    engine = make_engine(plan, market.symbols, facts, depth=market.depth, models=models, epoch_ns=wiring.epoch_ns)
    shadow = []
    assert engine.shadow is not None
    bars = engine.shadow.bars

    def spied(begun: Any) -> Any:
        account = bars(begun)
        shadow.append(account.equity)
        return account

    engine.shadow.bars = spied  # type: ignore[method-assign]
    made = map(engine.advance, market.deliver(most=1440, epoch_ns=engine.epoch_ns))
    own = [outputs.values["l97_ledger"].equity for outputs in made]
    return np.concatenate(own), np.concatenate(shadow)


@pytest.mark.parametrize(
    ("overrides", "behind"),
    [
        (NOTHING, 0.2),
        pytest.param(("rl.policy=1", "rl.multipliers=[0,1]", "rl.most_behind=0.1"), 0.1, marks=pytest.mark.long),
        pytest.param(("rl.policy=2", "rl.most_behind=0.1", "rl.tilt_factor=50"), 0.1, marks=pytest.mark.long),
    ],
)
def test_the_sample_market_where_the_untouched_account_earns(overrides: tuple[str, ...], behind: float) -> None:
    with Progress(disable=True) as progress:
        data = sample_market(7, progress)
    own, shadow = both(data, overrides)
    assert shadow[-1] > 1.3 * shadow[0]
    assert (own >= (1.0 - behind - LOTS) * shadow).all()
    if overrides is NOTHING:  # it used the budget, and was stopped by it
        assert own[-1] < 0.95 * shadow[-1]
        assert own[-1] > 1.1 * own[0]


@pytest.mark.parametrize(
    "name",
    [
        "book_2025-09-04",
        pytest.param("crash_2021-05", marks=pytest.mark.long),
        pytest.param("perps_2025-05", marks=pytest.mark.long),
    ],
)
@pytest.mark.parametrize("mode", [("rl.policy=1", "rl.multipliers=[0,1]"), ("rl.policy=2", "rl.tilt_factor=50"), NOTHING])
def test_every_recorded_market(name: str, mode: tuple[str, ...]) -> None:
    if not (READY / name).is_dir():
        pytest.skip(f"needs the recorded set ../shared/data/ready/{name}")
    own, shadow = both(READY / name, (*BELIEF, *mode))
    behind = 0.2 if mode is NOTHING else 0.1
    assert (own >= (1.0 - behind - LOTS) * shadow).all()
