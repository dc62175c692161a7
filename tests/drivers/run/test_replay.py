"""A stream to which somebody speaks; its journal gives the same bits, from any instant on."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from dataflows.data.types import OPERATOR_CASH_FLOW, Observations
from drivers.cli.main import run_command
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk, Outputs
from drivers.engine.engine import Engine
from drivers.report.contents import read_report
from drivers.report.html import report_page
from drivers.run.journaled import state_of
from drivers.run.replay import ReplayError, replay
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.instants import chunk_of, instant_of
from drivers.store.journal import JournalReader, JournalWriter, Record
from drivers.store.segments import segments_of
from tests.drivers.engine.conftest import same_bits
from tests.drivers.small_market import EARLY, folder

pytestmark = pytest.mark.usefixtures("no_disk")

MINUTES = 420
"""From 21:00 on, with nothing from 23:48 to 0:03."""
COMMANDS = """
2024-03-05T01:10    HALT
2024-03-05T01:20:30 RELEASE
2024-03-05T01:40    CASH_FLOW 5000
2024-03-05T01:45    REBASE
2024-03-05T01:46:30 CANCEL AAA-1
2024-03-05T02:00    FLATTEN AAA
2024-03-05T02:05    HALT BBB
2024-03-05T02:20    RELEASE AAA
2024-03-05T02:20    RELEASE BBB
2024-03-05T02:25    RELEASE LATCH REJECTS
2024-03-05T02:30    FLATTEN
2024-03-05T03:30    RELEASE
"""


def shown(console: Console) -> str:
    return str(console.file.getvalue())  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", MINUTES)


@pytest.fixture(scope="module")
def commanded(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a stream with every operator command; its journal lies beside them."""
    out = tmp_path_factory.mktemp("commanded") / "out"
    commands = out.with_name("operator.txt")
    commands.write_text(COMMANDS, encoding="utf-8")
    run_stream(
        RunRequest(data=data, out=out, spec="prior_belief", overrides=EARLY, operator_file=commands, report=False),
        Console(file=io.StringIO()),
    )
    return out


def records_of(out: Path) -> list[Record]:
    """All records of a journal, of all its segments."""
    return [record for segment in segments_of(out) for record in JournalReader(segment)]


def torn(out: Path, path: Path, bytes_: int) -> Path:
    """A copy of a journal whose last segment lacks so many bytes at its end."""
    shutil.copytree(out / "journal", path)
    last = segments_of(path)[-1]
    last.write_bytes(last.read_bytes()[:-bytes_])
    return path


def test_each_command_is_in_the_results_and_has_acted(commanded: Path) -> None:
    results = json.loads((commanded / "run.json").read_text(encoding="utf-8"))
    names = [line.split()[1] for line in COMMANDS.strip().splitlines()]
    assert [x["command"] for x in results["operator_commands"]] == names
    about = [x for x in results["operator_commands"] if set(x) - {"time", "command", "by", "amount"}]
    assert about == [
        {
            "time": "2024-03-05T01:46:30Z", "command": "CANCEL", "symbol": "AAA", "order": "AAA-1", "by": "operator",
            "refused": "AAA-1 is not an open order, or its cancel is under way; nothing was done",
        },
        {"time": "2024-03-05T02:00:00Z", "command": "FLATTEN", "symbol": "AAA", "by": "operator"},
        {"time": "2024-03-05T02:05:00Z", "command": "HALT", "symbol": "BBB", "by": "operator"},
        {"time": "2024-03-05T02:20:00Z", "command": "RELEASE", "symbol": "AAA", "by": "operator"},
        {"time": "2024-03-05T02:20:00Z", "command": "RELEASE", "symbol": "BBB", "by": "operator"},
        {"time": "2024-03-05T02:25:00Z", "command": "RELEASE", "latches": ["REJECTS"], "by": "operator"},
    ]  # fmt: skip
    assert results["summary"]["bars"] == MINUTES
    lines = [json.loads(line) for line in (commanded / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [x["command"] for x in lines if x["event"] == "operator"] == names
    ledger = pq.read_table(commanded / "ledger.parquet").to_pandas()
    flat = ledger[(ledger.timestamp > "2024-03-05T02:40Z") & (ledger.timestamp <= "2024-03-05T03:30Z")]
    assert (flat.position == 0.0).all()
    assert (ledger[ledger.timestamp < "2024-03-05T02:30Z"].position != 0.0).any()
    assert ledger.cash_flows.iloc[-1] == 5000.0
    risk = pq.read_table(commanded / "features" / "risk.parquet").to_pandas()
    halted = (risk.timestamp > "2024-03-05T01:10Z") & (risk.timestamp <= "2024-03-05T01:20Z")
    assert (risk.loc[halted, "l81_kill_switch.overall"] >= 1).all()


def test_what_was_said_of_one_symbol_acts_on_it_alone_and_is_shown(commanded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    risk = pq.read_table(commanded / "features" / "risk.parquet").to_pandas()
    level = risk.pivot(index="timestamp", columns="symbol", values="l81_kill_switch.level")
    said = level[(level.index > "2024-03-05T02:05Z") & (level.index <= "2024-03-05T02:20Z")]
    assert (said["AAA"] == 2).all() and (said["BBB"] == 1).all()
    assert (level.loc["2024-03-05T02:02Z":"2024-03-05T02:05Z", "BBB"] == 0).all()  # type: ignore[misc]
    assert level.loc["2024-03-05T02:21Z"].tolist() == [0, 0]
    ledger = pq.read_table(commanded / "ledger.parquet").to_pandas()
    mine = ledger[
        (ledger.symbol == "AAA") & (ledger.timestamp > "2024-03-05T02:02Z") & (ledger.timestamp <= "2024-03-05T02:20Z")
    ]
    assert (mine.position == 0.0).all()

    assert run_command(["logs", str(commanded), "--event", "operator", "--symbol", "AAA"]) == 0
    printed = capsys.readouterr().out
    assert "FLATTEN" in printed and "AAA-1 is not an open order" in printed and "BBB" not in printed
    orders = pq.read_table(commanded / "orders.parquet").to_pandas()
    closing = orders[orders.timestamp == "2024-03-05T02:00Z"]
    assert len(closing)
    for name in closing.order_id:
        assert run_command(["explain", str(commanded), name]) == 0
        assert "The operator sent FLATTEN AAA at 2024-03-05T02:00:00Z." in capsys.readouterr().out
    assert "<td>RELEASE LATCH REJECTS</td>" in report_page(read_report(commanded))


def test_a_replay_of_the_journal_gives_the_same_bits(commanded: Path) -> None:
    again = replay(commanded)
    assert (again.bars, again.commands, again.torn) == (MINUTES, 12, "")
    assert again.checks == 2  # at midnight and at the end
    with np.load(commanded / "checkpoint.npz") as stored:
        np.testing.assert_array_equal(again.engine.arena.f8.view(np.int64), stored["f8"].view(np.int64))
        np.testing.assert_array_equal(again.engine.arena.i8, stored["i8"])


@pytest.mark.parametrize("every", [40, pytest.param(1, marks=pytest.mark.long)])
def test_cut_at_every_instant_and_restored_there_a_replay_gives_the_same_bits(commanded: Path, every: int) -> None:
    """A fresh engine goes on from a checkpoint before and after each command, and at each instant of the last hours."""
    whole: list[Outputs] = []
    again = replay(commanded, take=whole.append)
    engine = again.engine
    records = [r for r in records_of(commanded) if r.about["kind"] in ("bars", "instant")]
    assert len(records) == len(whole)
    first = len(records) - 150
    cuts = {k + i for k, r in enumerate(records) if r.about["kind"] == "instant" for i in range(2)}
    at = _fresh(engine)
    for k, (record, outputs) in enumerate(zip(records, whole, strict=True)):
        if k in cuts or (k >= first and k % every == 0):
            following = _fresh(engine)
            restore(following, save(at))
            at = following
        found = _go(at, record)
        if k >= first:
            for name, value in outputs.values.items():
                same_bits(value, found.values[name], name)
    assert state_of(at) == state_of(engine)
    assert len(cuts) == 23


def _fresh(like: Engine) -> Engine:
    return Engine(like.plan, like.symbols, like.static, depth=like.dims["D"], epoch_ns=like.epoch_ns)


def _go(engine: Engine, record: Any) -> Outputs:
    if record.about["kind"] == "bars":
        chunk = chunk_of(record)
        assert isinstance(chunk, Chunk)
        assert isinstance(chunk.inputs["observations"], Observations)
        return engine.advance(chunk)
    return engine.react(instant_of(record))


def test_a_journal_that_was_torn_gives_all_but_its_last_record_and_says_so(
    commanded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = torn(commanded, tmp_path / "torn", 1000)
    state = tmp_path / "state.npz"
    assert run_command(["replay", str(path), "--checkpoint", str(state)]) == 0
    printed = capsys.readouterr()
    assert "is half written" in printed.err
    assert "12 operator commands" in printed.out
    assert state.is_file()


def test_a_stream_goes_on_from_the_checkpoint_that_a_replay_leaves(data: Path, commanded: Path, tmp_path: Path) -> None:
    """After a crash: the journal was cut off somewhere, the end is the same."""
    path = torn(commanded, tmp_path / "crashed", 60_000)
    state = tmp_path / "state.npz"
    assert run_command(["replay", str(path), "--checkpoint", str(state)]) == 0
    commands = tmp_path / "operator.txt"
    commands.write_text(COMMANDS, encoding="utf-8")
    request = RunRequest(
        data=data,
        out=tmp_path / "out",
        spec="prior_belief",
        overrides=EARLY,
        operator_file=commands,
        checkpoint=state,
        report=False,
    )
    run_stream(request, Console(file=io.StringIO()))
    with np.load(commanded / "checkpoint.npz") as one, np.load(state) as two:
        for name in ("f8", "i8"):
            np.testing.assert_array_equal(one[name], two[name])
    assert state_of(replay(tmp_path / "out").engine) == state_of(replay(commanded).engine)


def test_a_state_that_is_another_stops_the_replay_and_says_where(commanded: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.journal"
    writer = JournalWriter(path)
    for record in records_of(commanded):
        arrays = dict(record.arrays)
        if record.about["kind"] == "instant" and arrays["operator/0"][0] == OPERATOR_CASH_FLOW:
            arrays["amount/0"] = np.array([5001.0])
        writer.append(record.about, arrays)
    writer.close()
    with pytest.raises(ReplayError, match=r"after 2024-03-05T04:00:00Z \(record \d+\) the state is not what it was; 1 earlier"):
        replay(path)


def test_the_watchdog_halts_when_no_price_comes_and_the_operator_lifts_it(data: Path, tmp_path: Path) -> None:
    commands = tmp_path / "operator.txt"
    commands.write_text("2024-03-05T03:00 RELEASE\n", encoding="utf-8")
    request = RunRequest(data=data, out=tmp_path / "out", operator_file=commands, stale_after=600.0, report=False)
    console = Console(file=io.StringIO(), width=200)
    run_stream(request, console)
    results = json.loads((tmp_path / "out" / "run.json").read_text(encoding="utf-8"))
    (halt, release) = results["operator_commands"]
    assert (halt["command"], halt["by"]) == ("HALT", "watchdog")
    assert halt["time"] == "2024-03-04T23:58:00Z"  # the last bar before the outage closed at 23:48
    assert (release["command"], release["by"]) == ("RELEASE", "operator")
    assert "HALT (watchdog)" in shown(console)
    risk = pq.read_table(tmp_path / "out" / "features" / "risk.parquet").to_pandas()
    between = (risk.timestamp > "2024-03-04T23:58Z") & (risk.timestamp <= "2024-03-05T03:00Z")
    assert (risk.loc[between, "l81_kill_switch.overall"] >= 1).all()
    assert replay(tmp_path / "out").commands == 2


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"stale_after": 60.0}, "data comes every 60 s: --stale-after must be longer"),
        ({"operator_file": "2020-01-01T00:00 HALT\n"}, "operator.txt:1: 2020-01-01T00:00:00Z is before the first bar closes"),
        ({"operator_file": "FLATEN\n"}, "operator.txt:1: FLATEN is not an operator command; did you mean FLATTEN"),
    ],
)
def test_an_operator_file_that_cannot_be_applied_is_refused_before_the_first_bar(
    data: Path, tmp_path: Path, more: Any, why: str
) -> None:
    if "operator_file" in more:
        (tmp_path / "operator.txt").write_text(more["operator_file"], encoding="utf-8")
        more = {"operator_file": tmp_path / "operator.txt"}
    with pytest.raises(ValueError, match=why):
        run_stream(RunRequest(data=data, out=tmp_path / "out", **more), Console(file=io.StringIO()))
    assert not (tmp_path / "out").exists()
