"""The market side from bars to proposals: it learns an edge that is there, and none where there is none."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks.planted_alpha import planted
from dataflows.fusion.types import EXTERNAL, REFUSALS, K
from dataflows.panel import leaves
from drivers.engine.chunk import Chunk, joined
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.feeds.dataset import open_dataset
from drivers.feeds.simulate import simulate
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import locate


def market_side(folder: Path, **fusion: Any) -> dict[str, Any]:
    """All that L3 depends on, over a data set."""
    data = open_dataset(folder)
    project = locate(None)
    wiring = load(project.wiring)
    configs = load_configs(project, tuple(f"fusion.{key}={value}" for key, value in fusion.items()))
    modules, delayed = layer_modules(), wiring.delayed_edges()
    whole = Plan(modules, configs, delayed, variant=wiring.variants)
    needed, waiting = set(), ["l3_action_proposal"]
    while waiting:
        name = waiting.pop()
        if name in whole.nodes and name not in needed:
            needed.add(name)
            waiting += whole.nodes[name].params
    plan = Plan(modules, configs, delayed, variant=wiring.variants, only=needed)
    engine = Engine(plan, data.symbols, {"instruments": data.instruments}, depth=data.depth)
    made = [engine.advance(Chunk(seen.time, data.inputs(seen))).values for seen in data.chunks(len(data))]
    return {name: joined([values[name] for values in made], plan.annotations[name]) for name in needed}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[float, Path]:
    """Two simulated markets that differ only in what is planted."""
    made = {}
    for edge in (0.0, 5.0):
        made[edge] = tmp_path_factory.mktemp("markets") / f"edge_{edge:g}"
        simulate(made[edge], symbols=("SIMA", "SIMB", "SIMC"), days=9, edge=edge, book=False, trades=False)
    return made


def certainty(values: dict[str, Any], horizon: int) -> float:
    """The edge over its standard deviation on the last day, its size, at the horizon of that index."""
    learned = values["l67_expectancy"]
    with np.errstate(invalid="ignore"):
        return float(np.nanmedian(np.abs(learned.edge_bps[-1440:, :, horizon] / learned.edge_std_bps[-1440:, :, horizon])))


def test_a_planted_edge_is_learned_and_traded_and_no_edge_is_not(folders: dict[float, Path]) -> None:
    rich, poor = market_side(folders[5.0]), market_side(folders[0.0])
    assert certainty(rich, 0) > 3.0
    assert certainty(poor, 0) < 1.5
    assert rich["l3_action_proposal"].may_enter.sum() > 100
    assert poor["l3_action_proposal"].may_enter.sum() == 0
    early = rich["l3_action_proposal"].refusal[300:450]
    assert ((early[early != 0] & (1 << REFUSALS.index("NOT_LEARNED") | 1 << REFUSALS.index("NO_SIGNAL"))) != 0).all()


def test_a_stated_belief_may_enter_within_the_first_hours_where_there_is_no_edge(folders: dict[float, Path]) -> None:
    values = market_side(folders[0.0], prior_slope_bps=800.0, prior_strength=400.0)
    assert values["l3_action_proposal"].may_enter[:480].any(axis=0).all()
    for name in ("l66_signal_matrix", "l7_ensemble", "l67_expectancy", "l71_trading_cost", "l3_action_proposal"):
        assert not any(np.isinf(leaf).any() for leaf in leaves(values[name]))


def test_a_signal_of_ones_own_is_entered_on_where_it_foretells_and_not_where_it_is_shuffled(
    folders: dict[float, Path], tmp_path: Path
) -> None:
    bars = pd.read_parquet(folders[0.0] / "bars.parquet").dropna()
    alone = tuple(float(k == EXTERNAL) for k in range(K))
    entered = {}
    for shuffled in (False, True):
        folder = tmp_path / str(shuffled)
        shutil.copytree(folders[0.0], folder)
        planted(bars, 0.4, shuffled=shuffled).to_parquet(folder / "alpha.parquet")
        proposal = market_side(folder, source_weights=list(alone))["l3_action_proposal"]
        entered[shuffled] = int(proposal.may_enter.sum())
    assert entered[False] > 100
    assert entered[True] == 0
