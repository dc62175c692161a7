"""A universe in shards gives what one engine gives, to the bit: however it is cut, late symbols, dead workers and all."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import stratoquant as sq
from benchmarks.serial import Serial
from drivers.engine.building import boundaries, make_engine, make_plan
from drivers.engine.chunk import Chunk, joined
from drivers.engine.plan import Plan
from drivers.executors.local import LocalPool
from drivers.executors.protocol import Done, Task, Then, nothing_more
from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.source import Url
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import locate
from drivers.scale import shard as shard_of
from drivers.scale import sweep
from drivers.scale.features import FeaturesRequest, features
from drivers.scale.passes import passes
from drivers.scale.sweep import ScaleError
from drivers.store.columns import columns_of
from tests.drivers.small_market import EARLY, market

SYMBOLS = ("AAA", "BBB", "CCC")


class Here(Serial):
    """The last task first: no order may matter."""

    def pick(self, waiting: list[Task]) -> Task:
        return waiting.pop()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven hours of three symbols from the evening on, of which one comes late and one has a gap."""
    root = tmp_path_factory.mktemp("wide")
    frame = market(420, SYMBOLS)
    late = (frame["symbol"] == "CCC") & (frame["timestamp"] < frame["timestamp"].min() + pd.Timedelta("130min"))
    gap = (frame["symbol"] == "AAA") & frame["timestamp"].between("2024-03-04T22:10Z", "2024-03-04T22:14Z")
    (root / "folder").mkdir()
    frame[~late & ~gap].to_parquet(root / "folder" / "bars.parquet")
    (root / "folder" / "dataset.yml").write_text("clock: 1m\n", encoding="utf-8")
    partition_folder(root / "folder", root / "parts")
    return root / "parts"


@pytest.fixture(scope="module")
def plan() -> Plan:
    files = locate(None)
    return make_plan(load(files.wiring), load_configs(files, EARLY), files)


@pytest.fixture(scope="module")
def alone(place: Path, plan: Plan) -> dict[str, dict[str, Any]]:
    """By layer: its columns, as one engine gives them over all symbols."""
    files = locate(None)
    wiring = load(files.wiring)
    data = open_dataset(place)
    market_side = make_plan(wiring, load_configs(files, EARLY), files, only=[n.name for n in plan.stage["columnar"]])
    engine = make_engine(market_side, data.symbols, data.instruments, models=boundaries(wiring))
    made = [engine.advance(Chunk(o.time, data.inputs(o))).values for o in data.chunks(10_000)]
    return {
        name: columns_of(name, joined([m[name] for m in made], node.returns), node.returns, len(data.symbols))
        for name, node in market_side.nodes.items()
    }


def request(data: Path | Url, out: Path | Url, shard: int) -> FeaturesRequest:
    return FeaturesRequest(data, out, overrides=EARLY, shard=shard)


def same(out: Path, alone: dict[str, dict[str, Any]]) -> None:
    for layer, columns in alone.items():
        frame = sq.load_features(out, layer)
        for name, expected in columns.items():
            np.testing.assert_array_equal(frame[name.removeprefix(f"{layer}.")], expected, err_msg=name)


@pytest.mark.parametrize("shard", [*(pytest.param(n, marks=pytest.mark.long) for n in (1, 2)), 3])
def test_shards_give_the_bits_of_one_engine(
    place: Path, tmp_path: Path, alone: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch, shard: int
) -> None:
    monkeypatch.setattr(sweep, "TASK_BYTES", 1)  # an epoch each
    monkeypatch.setattr(shard_of, "CHUNK_BYTES", 1 << 20)
    shares: list[float] = []
    made = features(request(place, tmp_path / "out", shard), Here(), shares.append)
    same(tmp_path / "out", alone)
    assert (made.bars, made.symbols) == (420, SYMBOLS)
    assert shares == sorted(shares)
    assert set(made.layers) == set(alone)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["features", "features.json"]  # nothing handed on is left
    about = json.loads((tmp_path / "out" / "features.json").read_text())
    assert {f: (tmp_path / "out" / f).stat().st_size for f in about["files"]} == about["files"]


def test_the_split_follows_the_marks_of_the_graph(plan: Plan) -> None:
    found = passes(plan)
    names = [name for each in found for name in each.layers]
    assert sorted(names) == sorted(n.name for n in plan.stage["columnar"])
    seen: set[str] = set()
    for each in found:
        for name in each.layers:
            node = plan.nodes[name]
            assert node.cross_sectional == each.across
            assert {p for p in node.params if p in plan.nodes} <= seen | set(each.layers)
        seen |= set(each.layers)
    assert [each.across for each in found][:2] == [False, True]


def test_workers_that_are_killed_cost_their_task(
    place: Path, tmp_path: Path, alone: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep, "TASK_BYTES", 1)
    killed: list[int] = []
    with LocalPool(2) as pool:

        def kill(share: float) -> None:
            if not killed:
                killed.append(pool.processes()[0])
                os.kill(killed[-1], signal.SIGKILL)

        features(request(place, tmp_path / "out", 2), pool, kill)
    assert killed
    same(tmp_path / "out", alone)


def test_it_goes_to_a_url_as_well(place: Path, tmp_path: Path, alone: dict[str, dict[str, Any]]) -> None:
    out = Url(f"memory://{tmp_path.name}/features")
    features(request(place, out, 2), Here())
    frame = sq.load_features(str(out), "L12", symbols="BBB", start="2024-03-04T22:00")
    whole = sq.load_features(str(out), "l12_regression_slope_short")
    assert set(frame.index.get_level_values("symbol")) == {"BBB"}
    assert frame.index.get_level_values("timestamp").min() == pd.Timestamp("2024-03-04T22:01Z")
    pd.testing.assert_frame_equal(frame, whole.loc[frame.index])
    np.testing.assert_array_equal(whole["slope"], alone["l12_regression_slope_short"]["l12_regression_slope_short.slope"])


def test_what_cannot_be_done_is_one_sentence(place: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no partitioned data set; make one with: stratoquant data partition"):
        features(FeaturesRequest(place.parent / "folder", tmp_path / "out"), Here())
    with pytest.raises(ScaleError, match=r"holds no features.json: it is no result of `stratoquant features`"):
        sq.load_features(tmp_path, "L12")
    out = tmp_path / "made"
    features(dataclasses.replace(request(place, out, 3), symbols=("AAA",)), Here())
    with pytest.raises(ScaleError, match="holds features already; name another place"):
        features(request(place, out, 3), Here())
    with pytest.raises(ScaleError, match=r"holds no layer 'L5'"):
        sq.load_features(out, "L5")
    with pytest.raises(ScaleError, match="no bar of l12_regression_slope_short lies in what was asked for"):
        sq.load_features(out, "L12", symbols="BBB")


def test_a_task_that_fails_is_named(place: Path, tmp_path: Path) -> None:
    class Failing(Here):
        def run(self, tasks: Sequence[Task], then: Then = nothing_more) -> Iterator[Done]:
            yield Done(tasks[0], None, "the disk is full")

    with pytest.raises(ScaleError, match=r"pass 1 of AAA to BBB, 2024-03-04T.*: the disk is full"):
        features(request(place, tmp_path / "out", 2), Failing())
    assert not (tmp_path / "out" / "features.json").exists()
