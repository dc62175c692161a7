"""A stream is the run, to the bit; stopped and gone on with, it is the stream that never stopped."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import drivers.run.paced
import drivers.run.stream
from dataflows.panel import Ints
from drivers.cli.main import run_command
from drivers.engine.guards import Guards
from drivers.run.batch import RunResult, run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.runlog.events import Events
from drivers.store.errors import TakenError
from tests.drivers.small_market import EARLY, folder, left

pytestmark = pytest.mark.usefixtures("no_disk")

MINUTES = 420


class Wall:
    """A clock that moves only when somebody sleeps; presses Ctrl-C at a given moment."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop_after: float | None = None) -> None:
        self.now, self.stop_after = 1000.0, stop_after
        for module in (drivers.run.stream, drivers.run.paced):
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now, perf_counter=lambda: self.now))

    def sleep(self, seconds: float) -> None:
        """Lets time pass."""
        assert 0.0 < seconds <= 0.2  # so that Ctrl-C is heard soon
        self.now += seconds
        if self.stop_after is not None and self.now - 1000.0 >= self.stop_after:
            self.stop_after = None
            signal.raise_signal(signal.SIGINT)


def quiet() -> Console:
    return Console(file=io.StringIO())


def tables(out: Path) -> dict[str, pa.Table]:
    """Every table of a run's results by name."""
    return {str(p.relative_to(out)): pq.read_table(p) for p in sorted(out.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", MINUTES)


@pytest.fixture(scope="module")
def batch(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    out = tmp_path_factory.mktemp("batch") / "out"
    return run_batch(RunRequest(data=data, out=out, spec="prior_belief", overrides=EARLY), quiet())


def test_there_is_something_to_compare(batch: RunResult) -> None:
    assert batch.summary["fills"] > 20
    assert len(batch.summary["orders"]["by_type"]) >= 3
    verdicts = batch.summary["decisions"]["by_verdict"]
    assert verdicts.get("APPROVED", 0) + verdicts["REDUCED"] > 20
    assert batch.summary["data_quality"]["missing"] > 20


def test_a_stream_is_the_run_to_the_bit(data: Path, batch: RunResult, tmp_path: Path) -> None:
    streamed = run_stream(RunRequest(data=data, out=tmp_path / "out", spec="prior_belief", overrides=EARLY), quiet())
    ours, theirs = tables(streamed.out), tables(batch.out)
    assert set(ours) == set(theirs) >= {"orders.parquet", "fills.parquet", "ledger.parquet", "decisions.parquet"}
    for name in theirs:
        same(ours[name], theirs[name], name)
    assert json.dumps(streamed.summary) == json.dumps(batch.summary)
    assert (streamed.out / "checkpoint.npz").is_file()


def same(one: pa.Table, other: pa.Table, name: str) -> None:
    """The same rows in the same order, every float to the bit (NaN too)."""
    assert one.schema.names == other.schema.names, name
    assert one.num_rows == other.num_rows, name
    for column in one.schema.names:
        a, b = (t[column].combine_chunks() for t in (one, other))
        if pa.types.is_floating(a.type):
            a, b = (x.fill_null(-12345.678).to_numpy().view("int64") for x in (a, b))
            assert (a == b).all(), f"{name}: {column}"
        else:
            a, b = (x.dictionary_decode() if pa.types.is_dictionary(x.type) else x for x in (a, b))
            assert a.equals(b), f"{name}: {column}"


@pytest.mark.parametrize("bars", [*(pytest.param(n, marks=pytest.mark.long) for n in (1, 200)), 400])
def test_a_stream_that_was_stopped_and_goes_on_is_one_that_never_stopped(
    data: Path, batch: RunResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bars: int
) -> None:
    state = tmp_path / "state.npz"
    request = RunRequest(data=data, out=tmp_path / "one", spec="prior_belief", overrides=EARLY, checkpoint=state)
    wall = Wall(monkeypatch, stop_after=60.0 * bars - 30.0)
    first = run_stream(RunRequest(**{**vars(request), "speed": "realtime"}), console := quiet(), wall.sleep)
    assert first.summary["bars"] == bars
    assert f"stratoquant stream --checkpoint {state}" in console.file.getvalue().replace("\n", "")  # type: ignore[attr-defined]
    told = json.loads((first.out / "run.json").read_text(encoding="utf-8"))
    assert told["stopped_at"] == told["summary"]["end"]
    assert left(tmp_path) & {"one.partial"} == set()
    second = run_stream(RunRequest(**{**vars(request), "out": tmp_path / "two"}), quiet())
    assert first.summary["bars"] + second.summary["bars"] == batch.summary["bars"]
    one, two, whole = tables(first.out), tables(second.out), tables(batch.out)
    for name in whole:
        if name != "orders.parquet":
            parts = [t for t in (one[name], two[name]) if t.num_rows or name == "fills.parquet"]
            same(pa.concat_tables(parts).unify_dictionaries(), whole[name], name)
    orders = {o["order_id"]: o for part in (one, two) for o in part["orders.parquet"].to_pylist()}  # as last told
    assert orders == {o["order_id"]: o for o in whole["orders.parquet"].to_pylist()}
    under_way = {o["order_id"] for o in one["orders.parquet"].to_pylist() if o["ended"] is None}
    again = {o["order_id"] for part in (one, two) for o in part["orders.parquet"].to_pylist()}
    assert one["orders.parquet"].num_rows + two["orders.parquet"].num_rows == len(again) + len(under_way)
    a, b, c = (run.summary["account"] for run in (first, second, batch))
    assert b["start_equity"] == a["end_equity"]
    assert (1.0 + a["return"]) * (1.0 + b["return"]) == pytest.approx(1.0 + c["return"], rel=1e-12)
    for sum_ in ("fees", "traded_notional", "slippage_cost", "realised"):
        assert a[sum_] + b[sum_] == pytest.approx(c[sum_], abs=1e-6)


def test_going_on_at_the_end_says_so(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["stream", "--data", str(data), "--checkpoint", str(tmp_path / "c.npz"), "--end", "2024-03-04T23:00"]
    assert run_command([*line, "--out", str(tmp_path / "one")]) == 0
    capsys.readouterr()
    before = left(tmp_path)
    assert run_command([*line, "--out", str(tmp_path / "two")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "the checkpoint is at 2024-03-04T23:00:00Z, the end of the data; there is nothing left to stream"
    )
    assert left(tmp_path) == before


def test_a_checkpoint_of_another_configuration_is_refused_by_name(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["stream", "--data", str(data), "--checkpoint", str(tmp_path / "c.npz")]
    assert run_command([*line, "--out", str(tmp_path / "one"), "--end", "2024-03-04T23:00"]) == 0
    before, state = left(tmp_path), (tmp_path / "c.npz").read_bytes()
    capsys.readouterr()
    for more, said in ((["--set", "risk.gross=0.5"], "risk.gross was 1.0, is 0.5"), (["--symbols", "AAA"], "its symbols are")):
        assert run_command([*line, "--out", str(tmp_path / "two"), *more]) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "c.npz").write_bytes(state[:2000])
    assert run_command([*line, "--out", str(tmp_path / "two")]) == 2
    assert "the checkpoint is damaged or no checkpoint at all" in capsys.readouterr().err
    assert left(tmp_path) == before


def test_results_that_are_there_are_not_streamed_over(data: Path, tmp_path: Path) -> None:
    request = RunRequest(data=data, out=tmp_path / "one", end=1_709_589_600 * 10**9)
    run_stream(request, quiet())
    before = left(tmp_path)
    with pytest.raises(TakenError):
        run_stream(request, quiet())
    assert left(tmp_path) == before


@pytest.mark.parametrize("command", ["run", "stream"])
def test_what_is_interrupted_in_the_middle_leaves_nothing_but_an_unfinished_stream(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Events, "write", interrupted)
    line = [command, "--data", str(data), "--out", str(tmp_path / "out"), "--checkpoint", str(tmp_path / "c.npz")]
    assert run_command(line if command == "stream" else line[:-2]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Stopped."
    if command == "run":
        assert left(tmp_path) == set()
    else:
        assert {"out.partial/journal/000001.journal", "c.npz.stream"} <= left(tmp_path)
        assert not {"out", "c.npz"} & left(tmp_path)


def test_a_boundary_that_is_broken_ends_the_run_in_one_sentence(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Guards.check

    def planted(self: Guards, time: Ints, values: Mapping[str, Any], *, within: bool) -> None:
        if len(time) > 7:  # not the two bars of the warm-up
            values["l8_spread_depth"].spread_bps[7, 1] = -1.0
        real(self, time, values)  # all of them: what `within` has said was before

    monkeypatch.setattr(Guards, "check", planted)
    assert run_command(["run", "--data", str(data), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith(
        "l8_spread_depth.spread_bps of BBB at 2024-03-04T21:08:00Z is -1.0; the microstructure boundary says"
    )
    assert "\n" not in said
    assert left(tmp_path) == set()
