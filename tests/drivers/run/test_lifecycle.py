"""Hamilton's lifecycle adapters follow a batch by day: what they are told is what the run recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hamilton.lifecycle import GraphExecutionHook, NodeExecutionHook

import stratoquant as sq
from drivers.engine.chunk import Outputs
from drivers.feeds.simulate import simulate
from drivers.run.recorder import Recorder
from drivers.store.errors import StoreError
from drivers.store.reader import open_run


class Recording(GraphExecutionHook, NodeExecutionHook):
    """Keeps what it is told. fail_on: a run id at whose end it raises."""

    def __init__(self, fail_on: str = "") -> None:
        self.begun: list[str] = []
        self.asked: list[set[str]] = []
        self.ended: list[tuple[str, bool, Any]] = []
        self.nodes: dict[tuple[str, str], Any] = {}
        self.inputs: dict[str, list[str]] = {}
        self.tags: dict[str, str] = {}
        self.fail_on = fail_on

    def run_before_graph_execution(self, *, run_id: str, final_vars: list[str], execution_path: Any, **_: Any) -> None:
        self.begun.append(run_id)
        self.asked.append(set(final_vars))
        assert set(final_vars) <= set(execution_path)

    def run_after_graph_execution(self, *, run_id: str, success: bool, error: Any, **_: Any) -> None:
        self.ended.append((run_id, success, error))
        if run_id == self.fail_on and success:
            raise RuntimeError("the tracker is not there")

    def run_before_node_execution(self, *, node_name: str, node_kwargs: dict[str, Any], node_tags: Any, **_: Any) -> None:
        self.inputs[node_name] = sorted(node_kwargs)
        self.tags[node_name] = node_tags["layer"]

    def run_after_node_execution(self, *, run_id: str, node_name: str, result: Any, **_: Any) -> None:
        self.nodes[run_id, node_name] = result


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("followed") / "market"
    simulate(folder, seed=5, symbols=("AAA", "BBB"), days=3, trades=False)
    return folder


def test_each_day_is_an_execution_and_each_layer_a_node(market: Path, tmp_path: Path) -> None:
    seen = Recording()
    run = sq.run(market, out=tmp_path / "run", report=False, trial=False, adapters=[seen])
    recorded = open_run(run.folder)
    times = pd.DatetimeIndex(recorded.times(), tz="UTC")
    days = (times - pd.Timedelta(1, "ns")).strftime("%Y-%m-%d")
    ids = [f"run/{day}" for day in days.unique()]
    assert seen.begun == ids and seen.ended == [(name, True, None) for name in ids]
    slope = run.features("L12")["slope"].unstack()
    for name in ids:
        told = seen.nodes[name, "l12_regression_slope_short"].slope
        np.testing.assert_array_equal(told, slope[days == name.partition("/")[2]].to_numpy())
    fills = sum(seen.nodes[name, "l90_fills"].n for name in ids)
    assert fills == len(run.fills)
    layers = {layer for _, layer in seen.nodes}
    assert {"l0_market_feed", "l4_risk_gate", "l5_execution_bridge", "l100_decision_audit", "l6_performance_monitor"} <= layers
    assert ("run/2026-01-05", "l6_performance_monitor") not in seen.nodes  # an epoch layer speaks when a day has ended
    assert {"l3_action_proposal", "l97_ledger"} <= set(seen.inputs["l4_risk_gate"])
    assert seen.tags["l4_risk_gate"] == "L4"


def test_the_results_are_those_of_a_run_that_nobody_follows(market: Path, tmp_path: Path) -> None:
    followed = sq.run(market, out=tmp_path / "a", report=False, trial=False, adapters=[Recording()])
    alone = sq.run(market, out=tmp_path / "b", report=False, trial=False)
    pd.testing.assert_frame_equal(followed.ledger, alone.ledger)
    pd.testing.assert_frame_equal(followed.features("L66"), alone.features("L66"))


def test_an_error_ends_the_day_that_it_comes_up_in(market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, taken = Recording(), []

    def take(recorder: Recorder, outputs: Outputs) -> None:
        taken.append(outputs)
        if len(taken) == 2:
            raise StoreError("the disk is full")

    monkeypatch.setattr(Recorder, "take", take)
    with pytest.raises(StoreError):
        sq.run(market, out=tmp_path / "run", report=False, trial=False, adapters=[seen])
    *before, (_, failed, error) = seen.ended  # results are taken beside the engine, which may be days ahead
    assert before[0] == ("run/2026-01-05", True, None)
    assert all(ended for _, ended, _ in before)
    assert not failed and str(error) == "the disk is full"


def test_an_adapter_that_fails_ends_the_run(market: Path, tmp_path: Path) -> None:
    seen = Recording(fail_on="run/2026-01-05")
    with pytest.raises(RuntimeError, match="the tracker is not there"):
        sq.run(market, out=tmp_path / "run", report=False, trial=False, adapters=[seen])
    assert seen.ended == [("run/2026-01-05", True, None)] and not (tmp_path / "run").exists()
