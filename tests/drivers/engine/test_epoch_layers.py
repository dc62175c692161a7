"""What an epoch layer may take, and what becomes of what it returns: `toy_epoch` takes one of everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandera.pandas as pa
import pyarrow.parquet as pq
import pytest
from pandera.typing import Series

from dataflows.boundary import Boundary
from dataflows.data.types import ExternalAlpha
from dataflows.panel import Ints
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk, Instant, Outputs, joined
from drivers.engine.engine import Engine
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.engine.promises import BoundaryError
from drivers.store.columns import EpochLayer
from drivers.store.writer import ResultWriter
from tests.drivers.engine import toy, toy_epoch
from tests.drivers.engine.conftest import DELAYED, MINUTE, same_bits, toy_data
from tests.drivers.engine.conftest import piece as piece_of

CONFIG = toy.ToyConfig(every=4)
PLAN = Plan([toy, toy_epoch], {"toy": CONFIG}, DELAYED)
SYMBOLS = ("A", "B", "C")
DATA = toy_data()
MIDNIGHT = 120  # bars before it
REACTS = (30, 30, 119)
"""After these bars something happens: twice after one of them, and once after the epoch's last bar."""


def alpha(time: Ints) -> ExternalAlpha:
    value = np.where((time // MINUTE)[:, None] % np.array([2, 3, 5]) == 0, 0.5, np.nan)
    return ExternalAlpha(value, np.where(np.isfinite(value), 0.0, np.nan))


def piece(a: int, b: int) -> Chunk:
    chunk = piece_of(DATA, a, b)
    return chunk._replace(inputs={**chunk.inputs, "external_alpha": alpha(chunk.time)})


def instants_after(engine: Engine, bar: int) -> list[Outputs]:
    return [engine.react(Instant(int(DATA.time[bar]) + 1_000_000_000 * (i + 1), 2)) for i in range(REACTS.count(bar))]


def go(engine: Engine, cuts: list[int]) -> list[Outputs]:
    """All bars and instants, the bars cut at least where something happens."""
    edges = sorted({0, 300, MIDNIGHT, *cuts, *(bar + 1 for bar in REACTS)})
    found = []
    for a, b in zip(edges, edges[1:], strict=False):
        found += [engine.advance(piece(a, b)), *instants_after(engine, b - 1)]
    return found


def engine(**more: Any) -> Engine:
    return Engine(PLAN, SYMBOLS, {}, **more)


def seen(outputs: list[Outputs]) -> toy_epoch.Seen:
    """What the layer returned, once."""
    (found,) = [o.epoch["l82_seen"] for o in outputs if o.epoch]
    assert isinstance(found, toy_epoch.Seen)
    return found


REFERENCE = go(engine(), [])


def test_it_sees_every_bar_and_every_instant_of_its_epoch_and_nothing_of_the_next() -> None:
    outputs = [o for o in REFERENCE if o.time[0] < DATA.time[MIDNIGHT]]
    got = seen(REFERENCE)

    def whole(name: str, which: list[Outputs] = outputs) -> Any:
        return joined([o.values[name] for o in which if name in o.values], PLAN.annotations[name])

    assert (got.bars, got.instants.tolist()) == (MIDNIGHT, [len(REACTS)])
    assert got.quantity == pytest.approx(whole("l5_orders").quantity.sum())
    assert whole("l5_orders").n > 50
    assert got.audit == pytest.approx(whole("l9_audit").sum())
    close = DATA.inputs["observations"].close[:MIDNIGHT]
    np.testing.assert_array_equal(got.gap, np.isnan(close).sum(axis=0))
    np.testing.assert_array_equal(got.stated, np.isfinite(alpha(DATA.time[:MIDNIGHT]).value).sum(axis=0))
    score = whole("l2_score")
    np.testing.assert_array_equal(got.extremes, [np.nanmin(score, axis=0), np.nanmax(score, axis=0)])
    np.testing.assert_array_equal(got.held, whole("l3_account").held[-3:].T)
    assert (got.held[:, -1] == 0.0).all()  # the operator's word after the last bar has flattened
    np.testing.assert_array_equal(got.every, [1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(got.gain, next(o.epoch["l6_learn"].weights.gain for o in REFERENCE if o.epoch))


@pytest.mark.parametrize("cuts", [list(range(300)), [1, 77, 200]], ids=["bar by bar", "pieces"])
def test_it_returns_the_same_bits_however_the_bars_come(cuts: list[int]) -> None:
    same_bits(seen(REFERENCE), seen(go(engine(), cuts)))


def test_a_checkpoint_within_the_epoch_keeps_its_records() -> None:
    first = engine()
    before = [first.advance(piece(0, 31)), *instants_after(first, 30)]
    second = engine()
    restore(second, save(first))
    assert len(before) == 3
    second.advance(piece(31, MIDNIGHT))
    instants_after(second, MIDNIGHT - 1)
    same_bits(seen(REFERENCE), seen([second.advance(piece(MIDNIGHT, 300))]))


class ToyBoundary(Boundary):
    """What the toy domain promises: of the epoch layers a line for one value, the others bring their range."""

    close: Series[float] = pa.Field(alias="l1_feed.close", nullable=True)
    mean: Series[float] = pa.Field(alias="l1_feed.mean", nullable=True)
    before: Series[float] = pa.Field(alias="l1_feed.before", nullable=True)
    score: Series[float] = pa.Field(alias="l2_score", nullable=True)
    held: Series[float] = pa.Field(alias="l3_account.held")
    equity: Series[float] = pa.Field(alias="l3_account.equity")
    bars: Series[int] = pa.Field(alias="l3_account.bars", ge=0)
    audit: Series[float] = pa.Field(alias="l9_audit")
    seen: Series[float] = pa.Field(alias="l6_learn.weights.seen", ge=0.0)


def test_what_it_returns_is_guarded_by_the_boundary_model_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    guards = Guards(PLAN, {"engine": ToyBoundary}, SYMBOLS)
    go(engine(guard=guards), [])
    plan = PLAN.stage["epoch"]
    broken = plan[-1]._replace(fn=lambda *a: seen(REFERENCE)._replace(gain=np.array([1.0, 7.0, 1.0])))
    monkeypatch.setitem(PLAN.stage, "epoch", [*plan[:-1], broken])
    made = engine(guard=guards)
    made.advance(piece(0, MIDNIGHT))
    with pytest.raises(BoundaryError, match=r"l82_seen\.gain of B at 2026-01-01T00:00:00Z is 7.0; the engine boundary says"):
        made.advance(piece(MIDNIGHT, MIDNIGHT + 1))


def test_it_is_written_once_an_epoch_and_symbol(tmp_path: Path) -> None:
    made = engine()
    layers = [EpochLayer(n.name, n.domain, n.returns, made.epoch_start(n)) for n in PLAN.stage["epoch"]]
    writer = ResultWriter(tmp_path / "out", SYMBOLS, epoch=layers)
    domains = {n.name: n.domain for n in PLAN.nodes.values() if n.schedule != "epoch"}
    for outputs in go(made, [50]):
        writer.write(outputs.values, PLAN.annotations, domains, outputs.time, outputs.offsets, outputs.epoch)
    writer.finish({"symbols": list(SYMBOLS)})
    assert not any(name.startswith("l82_seen") for name in pq.read_schema(tmp_path / "out/features/engine.parquet").names)
    table = pq.read_table(tmp_path / "out" / "epochs" / "engine.parquet")
    assert table.num_rows == len(SYMBOLS)  # one epoch has ended
    got = seen(REFERENCE)
    for name, wanted in {
        "bars": [got.bars] * 3,
        "instants": [len(REACTS)] * 3,
        "quantity": [got.quantity] * 3,
        "gap": got.gap.tolist(),
        "extremes.0": got.extremes[0].tolist(),
        "extremes.1": got.extremes[1].tolist(),
        "held.0": got.held[:, 0].tolist(),
        "held.2": got.held[:, 2].tolist(),
        "every.3": [1.0] * 3,
    }.items():
        assert table[f"l82_seen.{name}"].to_pylist() == wanted, name
    assert {t.value for t in table["timestamp"].to_pylist()} == {DATA.time[MIDNIGHT]}  # the first bar on which it holds


def test_its_table_is_there_before_an_epoch_has_ended(tmp_path: Path) -> None:
    made = engine()
    layers = [EpochLayer(n.name, n.domain, n.returns, made.epoch_start(n)) for n in PLAN.stage["epoch"]]
    writer = ResultWriter(tmp_path / "out", SYMBOLS, epoch=layers, features="none")
    domains = {n.name: n.domain for n in PLAN.nodes.values() if n.schedule != "epoch"}
    outputs = made.advance(piece(0, 10))
    writer.write(outputs.values, PLAN.annotations, domains, outputs.time, outputs.offsets, outputs.epoch)
    writer.finish({"symbols": list(SYMBOLS)})
    table = pq.read_table(tmp_path / "out" / "epochs" / "engine.parquet")
    assert table.num_rows == 0
    assert {"timestamp", "symbol", "l82_seen.bars", "l82_seen.held.2", "l6_learn.weights.gain"} <= set(table.column_names)
