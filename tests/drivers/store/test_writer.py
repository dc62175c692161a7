"""Results on disk: what was computed, under their name only when whole, one sentence when they cannot be written."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataflows.execution import types as ex
from dataflows.fusion.types import NO_SIGNAL, REFUSALS, UNKNOWN_SIDE
from dataflows.risk.types import REASONS, VERDICTS
from drivers.files.json_values import json_values
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.store import parquet
from drivers.store.columns import FILLS, ORDERS, columns_of, mask_text
from drivers.store.errors import StoreError, TakenError
from drivers.store.folder import foreign
from drivers.store.reader import RecordedRun
from drivers.store.writer import ResultWriter
from tests.drivers.store.records import ANNOTATIONS, DOMAINS, MINUTE, START, SYMBOLS, UID, Shape, logs, no_logs, outputs, times
from tests.drivers.store.test_order_history import event, fill, place


def written(out: Path, cuts: tuple[int, ...] = (), bars: int = 600, **options: Any) -> Path:
    writer = ResultWriter(out, SYMBOLS, **options)
    edges = [0, *cuts, bars]
    for a, b in pairwise(edges):
        writer.write(outputs(a, b), ANNOTATIONS, DOMAINS, times(a, b), no_logs(b - a))
    writer.finish({"bars": bars})
    return out


def same(one: Path, other: Path) -> None:
    """All tables of two runs hold the same, names compared as text."""
    for path in sorted(one.rglob("*.parquet")):
        frames = [pd.read_parquet(p) for p in (path, other / path.relative_to(one))]
        frames = [f.astype({c: str for c in f if isinstance(f[c].dtype, pd.CategoricalDtype)}) for f in frames]
        pd.testing.assert_frame_equal(*frames, check_exact=True)


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_features_are_the_outputs_sorted_by_time_then_symbol(tmp_path: Path) -> None:
    frame = pd.read_parquet(written(tmp_path / "run") / "features" / "regime.parquet")
    made = outputs(0, 600)
    shape = made["l1_shape"]
    assert list(frame.columns) == [
        "timestamp",
        "symbol",
        "l1_shape.level",
        "l1_shape.code",
        "l1_shape.account",
        "l1_shape.both.0",
        "l1_shape.both.1",
        "l1_shape.both.2",
        "l1_shape.inner.high",
        "l1_shape.inner.flag",
        "l1_shape.count",
        "l2_single",
    ]
    assert len(frame) == 1200
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2026-03-01T00:01:00Z")
    assert frame["symbol"].tolist() == list(SYMBOLS) * 600
    assert frame["timestamp"].is_monotonic_increasing
    for n, symbol in enumerate(SYMBOLS):
        mine = frame[frame["symbol"] == symbol]
        np.testing.assert_array_equal(mine["timestamp"].astype("int64"), times(0, 600))
        np.testing.assert_array_equal(mine["l1_shape.level"], shape.level[:, n])
        np.testing.assert_array_equal(mine["l1_shape.code"], shape.code[:, n])
        np.testing.assert_array_equal(mine["l1_shape.account"], shape.account)
        np.testing.assert_array_equal(mine["l1_shape.both.1"], shape.both[:, n, 1])
        np.testing.assert_array_equal(mine["l1_shape.inner.high"], shape.inner.high[:, n])
        np.testing.assert_array_equal(mine["l2_single"], made["l2_single"][:, n])
    assert frame["l1_shape.level"].dtype == np.float64
    assert frame["l1_shape.code"].dtype == frame["l1_shape.count"].dtype == np.int64


def test_every_domain_has_its_file_and_no_log_is_in_it(tmp_path: Path) -> None:
    out = written(tmp_path / "run")
    assert sorted(p.stem for p in (out / "features").iterdir()) == ["execution", "fusion", "regime", "risk"]
    columns = pq.read_schema(out / "features" / "execution.parquet").names
    assert all(c.startswith("l97_ledger.") for c in columns[2:])


@pytest.mark.parametrize("cuts", [(1,), tuple(range(1, 600, 7)), (100, 500)])
def test_results_are_the_same_however_the_run_was_cut(tmp_path: Path, cuts: tuple[int, ...]) -> None:
    one, other = written(tmp_path / "a"), written(tmp_path / "b", cuts)
    same(one, other)


def test_row_groups_are_written_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 100)
    whole = written(tmp_path / "a")
    parts = written(tmp_path / "b", tuple(range(30, 600, 30)))
    assert pq.ParquetFile(parts / "ledger.parquet").num_row_groups == 10
    same(whole, parts)


def test_a_row_group_of_many_columns_has_fewer_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = tuple(range(30, 600, 30))  # 60 rows a time
    columns = len(pq.read_schema(written(tmp_path / "a", cuts) / "ledger.parquet").names)
    monkeypatch.setattr(parquet, "GROUP_CELLS", 300 * columns)
    parts = written(tmp_path / "b", cuts)
    assert pq.ParquetFile(parts / "ledger.parquet").num_row_groups == 4
    same(tmp_path / "a", parts)


def test_rows_that_wait_long_are_joined_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MOST_PIECES", 4)
    monkeypatch.setattr(parquet, "FEW_ROWS", 600)
    most: list[int] = []
    monkeypatch.setattr(parquet, "_joined", lambda parts, real=parquet._joined: most.append(len(parts)) or real(parts))
    parts = written(tmp_path / "b", tuple(range(30, 600, 30)))
    assert 1 < max(most) <= 4
    monkeypatch.undo()
    same(written(tmp_path / "a"), parts)


def test_a_long_table_is_a_folder_of_files_with_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 100)
    cuts = tuple(range(30, 600, 30))
    whole = written(tmp_path / "a", cuts)
    monkeypatch.setattr(parquet, "GROUPS_A_FILE", 3)
    parts = written(tmp_path / "b", cuts)
    assert [p.name for p in sorted((parts / "ledger.parquet").iterdir())] == [f"{i:06}.parquet" for i in range(4)]
    one, other = (RecordedRun(folder, {}, tuple(SYMBOLS)) for folder in (whole, parts))
    assert one.tables() == other.tables() and one.domains() == other.domains()
    for name in one.tables():
        assert one.columns(name) == other.columns(name)
        pd.testing.assert_frame_equal(one.frame(name), other.frame(name))
        pd.testing.assert_frame_equal(pd.read_parquet(whole / f"{name}.parquet"), pd.read_parquet(parts / f"{name}.parquet"))
    np.testing.assert_array_equal(other.times(), times(0, 600))
    start, end = (int(t) for t in times(0, 600)[[170, 400]])
    pd.testing.assert_frame_equal(one.frame("ledger", start=start, end=end), other.frame("ledger", start=start, end=end))
    assert not foreign(parts)
    written(parts, overwrite=True)


@pytest.mark.parametrize("durable", [True, False])
def test_results_wait_for_the_disk_unless_they_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    written(tmp_path / "run", durable=durable)
    assert bool(synced) is durable


def test_files_are_compressed_with_lz4(tmp_path: Path) -> None:
    meta = pq.ParquetFile(written(tmp_path / "run") / "features" / "regime.parquet").metadata
    assert {meta.row_group(0).column(i).compression for i in range(meta.num_columns)} == {"LZ4"}


def test_the_ledger_has_a_row_for_each_bar_and_symbol(tmp_path: Path) -> None:
    frame = pd.read_parquet(written(tmp_path / "run") / "ledger.parquet")
    assert len(frame) == 1200
    for name in ("cash", "equity", "peak", "drawdown", "gross", "net", "position", "average_price", "unrealised"):
        assert name in frame
    np.testing.assert_array_equal(frame["equity"][::2], outputs(0, 600)["l97_ledger"].equity)


def test_decisions_hold_what_has_an_edge_or_a_verdict_with_names_for_codes(tmp_path: Path) -> None:
    frame = pd.read_parquet(written(tmp_path / "run") / "decisions.parquet")
    made = outputs(0, 600)
    proposal, verdict = made["l3_action_proposal"], made["l4_risk_gate"].verdict
    weighed = (proposal.side != UNKNOWN_SIDE) & (proposal.refusal & NO_SIGNAL == 0)
    assert len(frame) == np.count_nonzero(weighed | (verdict != 0))
    assert set(frame["side"]) == {"SHORT", "FLAT", "LONG"}
    assert set(frame["verdict"]) <= set(VERDICTS)
    reduced = frame[frame["verdict"] == "REDUCED"]
    assert set(reduced["reasons"]) == {f"{REASONS[1]}|{REASONS[2]}"}
    assert set(frame[frame["side"] == "LONG"]["refusal"]) == {f"{REFUSALS[0]}|{REFUSALS[2]}"}
    assert mask_text(0, REASONS) == ""


def orders_run(out: Path) -> Path:
    """An entry with its bracket, a refusal, and an order that is still under way at the end."""
    told: list[list[dict[str, Any]]] = [[] for _ in range(20)]
    reports: list[list[dict[str, Any]]] = [[] for _ in range(20)]
    now = int(times(2, 3)[0])
    told[2] = [place(4, bracket_stop=95.0, decision_time=now, reason=2), place(8, -1.0, 1, decision_time=now, type=ex.LIMIT)]
    reports[3] = [event(ex.ACCEPT, 4), fill(4, 1, 2.0, 101.0), event(ex.ACCEPT, 5), event(ex.REJECT, 8, "NO_ROOM", 1)]
    reports[9] = [fill(5, 2, -2.0, 95.0)]
    told[19] = [place(12, 1.0, decision_time=int(times(19, 20)[0]))]
    writer = ResultWriter(out, SYMBOLS)
    for a, b in ((0, 7), (7, 20)):
        intents, intents_at = logs(ex.OrderIntents, told[a:b])
        found, found_at = logs(ex.Executions, reports[a:b])
        made = outputs(a, b) | {"l5_execution_bridge": intents, "l90_fills": found}
        writer.write(made, ANNOTATIONS, DOMAINS, times(a, b), {"l5_execution_bridge": intents_at, "l90_fills": found_at})
    writer.finish({})
    return out


def test_orders_and_fills_have_names_and_tie_together(tmp_path: Path) -> None:
    out = orders_run(tmp_path / "run")
    assert pq.read_schema(out / "orders.parquet").equals(ORDERS)
    assert pq.read_schema(out / "fills.parquet").equals(FILLS)
    orders, fills = pd.read_parquet(out / "orders.parquet").set_index("order_id"), pd.read_parquet(out / "fills.parquet")
    assert orders.index.tolist() == ["BTCUSDT-4", "ETHUSDT-8", "BTCUSDT-5", "BTCUSDT-12"]
    entry, stop, refused = orders.loc["BTCUSDT-4"], orders.loc["BTCUSDT-5"], orders.loc["ETHUSDT-8"]
    assert (entry["side"], entry["type"], entry["status"], entry["quantity"]) == ("BUY", "MARKET", "FILLED", 2.0)
    assert (entry["average_price"], entry["timestamp"]) == (101.0, pd.Timestamp("2026-03-01T00:03:00Z"))
    assert entry["reason"] == REASONS[1]
    assert pd.isna(entry["limit_price"])
    assert pd.isna(entry["end_reason"])
    assert (stop["parent_id"], stop["type"], stop["side"], stop["stop_price"]) == ("BTCUSDT-4", "STOP_MARKET", "SELL", 95.0)
    assert (stop["status"], stop["reduce_only"], stop["reason"]) == ("FILLED", True, "STOP")
    assert (refused["status"], refused["end_reason"], refused["side"]) == ("REJECTED", "NO_ROOM", "SELL")
    assert (orders.loc["BTCUSDT-12", "status"], orders.loc["BTCUSDT-12", "ended"]) == ("SUBMITTED", pd.NaT)
    assert fills["order_id"].tolist() == ["BTCUSDT-4", "BTCUSDT-5"]
    assert fills["fill_id"].tolist() == ["BTCUSDT-1", "BTCUSDT-2"]
    assert fills["side"].tolist() == ["BUY", "SELL"]
    assert fills["quantity"].tolist() == [2.0, 2.0]
    assert fills["timestamp"].tolist() == [pd.Timestamp("2026-03-01T00:04:00Z"), pd.Timestamp("2026-03-01T00:10:00Z")]
    assert set(fills["liquidity"]) == {"TAKER"}


def test_a_run_without_orders_has_the_files_all_the_same(tmp_path: Path) -> None:
    out = written(tmp_path / "run")
    assert pq.read_table(out / "orders.parquet").num_rows == pq.read_table(out / "fills.parquet").num_rows == 0
    assert pq.read_schema(out / "orders.parquet").equals(ORDERS)


def test_an_instant_between_bars_counts_for_orders_only(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path / "run", SYMBOLS)
    writer.write(outputs(0, 5), ANNOTATIONS, DOMAINS, times(0, 5), no_logs(5))
    intents, at = logs(ex.OrderIntents, [[place(4)]])
    found, found_at = logs(ex.Executions, [[]])
    between = {"l5_execution_bridge": intents, "l90_fills": found, "l97_ledger": outputs(4, 5)["l97_ledger"]}
    offsets = {"l5_execution_bridge": at, "l90_fills": found_at}
    writer.write(between, ANNOTATIONS, DOMAINS, np.array([START + 5 * MINUTE + 7], np.int64), offsets)
    writer.write(outputs(5, 9), ANNOTATIONS, DOMAINS, times(5, 9), no_logs(4))
    writer.finish({})
    assert pq.read_table(tmp_path / "run" / "ledger.parquet").num_rows == 18
    assert pq.read_table(tmp_path / "run" / "orders.parquet").column("order_id").to_pylist() == ["BTCUSDT-4"]


def test_run_json_is_json_whatever_is_in_it(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path / "run", SYMBOLS)
    writer.finish(
        {"a": np.float64(1.5), "b": float("nan"), "c": (np.int64(2), [np.inf]), "d": {"path": tmp_path}, "e": np.arange(2)}
    )
    read = json.loads((tmp_path / "run" / "run.json").read_text())
    assert read == {"a": 1.5, "b": None, "c": [2, [None]], "d": {"path": str(tmp_path)}, "e": [0, 1]}
    assert json_values({1: True}) == {"1": True}


def test_the_project_as_used_lies_beside_the_results(tmp_path: Path) -> None:
    project = defaults()
    configs = load_configs(project)
    writer = ResultWriter(tmp_path / "run", SYMBOLS)
    writer.copy_project(project, configs)
    writer.finish({})
    assert (tmp_path / "run" / "wiring_master.yaml").read_bytes() == project.wiring.read_bytes()
    assert {p.stem for p in (tmp_path / "run" / "config").iterdir()} == set(configs)


# -- whole or not at all -------------------------------------------------------------------------------------------------------


def test_nothing_has_the_final_name_before_the_end(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    writer = ResultWriter(out, SYMBOLS)
    writer.write(outputs(0, 600), ANNOTATIONS, DOMAINS, times(0, 600), no_logs(600))
    assert not out.exists()
    assert writer.folder == tmp_path / "deep" / "run.partial"
    writer.finish({})
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["run"]
    assert not (out / "writing").exists()


def test_abandon_leaves_nothing(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path / "run", SYMBOLS)
    writer.write(outputs(0, 600), ANNOTATIONS, DOMAINS, times(0, 600), no_logs(600))
    writer.abandon()
    writer.abandon()
    assert list(tmp_path.iterdir()) == []


def test_abandon_after_the_end_keeps_the_results(tmp_path: Path) -> None:
    writer = ResultWriter(tmp_path / "run", SYMBOLS)
    writer.finish({})
    writer.abandon()
    assert (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("before", [False, True])
def test_a_full_disk_is_one_sentence_and_leaves_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, after: int, before: bool
) -> None:
    out = tmp_path / "run"
    if before:
        written(out)
    earlier = content(tmp_path)
    monkeypatch.setattr(parquet, "GROUP_ROWS", 100)
    calls = []
    real = pq.ParquetWriter.write_table

    def full(self: Any, *args: Any, **options: Any) -> None:
        calls.append(1)
        if len(calls) > after:
            raise OSError(number, os.strerror(number))
        real(self, *args, **options)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    with pytest.raises(StoreError) as caught:
        written(out, overwrite=True)
    message = str(caught.value)
    assert message.startswith(f"the disk is full: the results for {out} could not be written and were removed; free some space")
    assert "\n" not in message
    assert content(tmp_path) == earlier


def test_a_disk_that_is_really_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("the system has no /dev/full")
    monkeypatch.setattr(parquet, "GROUP_ROWS", 100)
    real = pq.ParquetWriter

    class Full(real):  # type: ignore[misc, valid-type]
        def __init__(self, where: Any, schema: pa.Schema, **options: Any) -> None:
            super().__init__("/dev/full", schema, **options)

    monkeypatch.setattr(pq, "ParquetWriter", Full)
    with pytest.raises(StoreError, match="the disk is full"):
        written(tmp_path / "run", (200, 400))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["write_text", "rename"])
def test_an_error_at_the_very_end_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    out = written(tmp_path / "run")
    earlier = content(tmp_path)
    writer = ResultWriter(out, SYMBOLS, overwrite=True)
    writer.write(outputs(0, 600), ANNOTATIONS, DOMAINS, times(0, 600), no_logs(600))
    real = getattr(Path, step)

    def broken(self: Path, *args: Any, **options: Any) -> Any:
        if self.name in ("run.json", "run.partial"):
            raise OSError(errno.EIO, "Input/output error")
        return real(self, *args, **options)

    monkeypatch.setattr(Path, step, broken)
    with pytest.raises(StoreError, match="could not be written \\(Input/output error\\) and were removed"):
        writer.finish({})
    assert content(tmp_path) == earlier


def test_results_are_not_overwritten_unless_asked(tmp_path: Path) -> None:
    out = written(tmp_path / "run")
    earlier = content(out)
    with pytest.raises(TakenError, match="holds the results of a run already; name another folder, or give --overwrite"):
        ResultWriter(out, SYMBOLS)
    assert content(out) == earlier
    writer = ResultWriter(out, SYMBOLS, overwrite=True)
    assert content(out) == earlier  # the old stay until the new are whole
    writer.finish({"new": 1})
    assert json.loads((out / "run.json").read_text()) == {"new": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert (written(tmp_path / "run") / "run.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_of_something_else_is_never_touched(tmp_path: Path, overwrite: bool) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("precious")
    with pytest.raises(TakenError, match="holds something else than a run's results; name another folder"):
        ResultWriter(tmp_path / "home", SYMBOLS, overwrite=overwrite)
    (tmp_path / "file").write_text("x")
    with pytest.raises(TakenError, match="is a file; name a folder"):
        ResultWriter(tmp_path / "file", SYMBOLS, overwrite=overwrite)
    assert (tmp_path / "home" / "thesis.txt").read_text() == "precious"


def test_what_a_killed_run_left_is_cleared_and_a_living_one_is_respected(tmp_path: Path) -> None:
    out = tmp_path / "run"
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True, check=True)
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "run.partial" / "writing").write_text(dead.stdout.strip())
    written(out)
    (tmp_path / "run.partial").mkdir()
    (tmp_path / "run.partial" / "writing").write_text(str(os.getppid()))
    with pytest.raises(TakenError, match=f"is being written by process {os.getppid()}"):
        ResultWriter(out, SYMBOLS, overwrite=True)
    (tmp_path / "run.partial" / "writing").unlink()
    with pytest.raises(TakenError, match="is in the way and is no unfinished run"):
        ResultWriter(out, SYMBOLS, overwrite=True)


def test_a_folder_that_cannot_be_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: Any, **options: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(
        StoreError, match="could not be written \\(Permission denied\\) and were removed; check the folder's permissions"
    ):
        ResultWriter(tmp_path / "run", SYMBOLS)


def test_a_disk_that_is_full_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(StoreError, match="the disk is full"):
        ResultWriter(tmp_path / "run", SYMBOLS)
    assert list(tmp_path.iterdir()) == []


def test_columns_without_a_prefix(tmp_path: Path) -> None:
    made = columns_of("", outputs(0, 3)["l1_shape"], Shape, 2)
    assert "level" in made
    assert "inner.high" in made
    assert UID[0] != UID[1]
