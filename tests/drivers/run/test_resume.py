"""A stream that is killed anywhere, and resumed as often as it takes, leaves the results of one that was never killed."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import random
import re
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from rich.console import Console

import drivers.run.stream
import drivers.store.writer
from drivers.cli.main import run_command
from drivers.engine import interrupts
from drivers.project.locate import WIRING, defaults
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.journal import JournalError, JournalReader, JournalWriter
from drivers.store.segments import Segments, last_beginning, segments_of
from tests.drivers.run.test_stream import same, tables
from tests.drivers.small_market import EARLY, folder, left

pytestmark = pytest.mark.usefixtures("no_disk")
LONG = pytest.mark.long

MINUTES = 420
"""From 21:00 on, with nothing from 23:48 to 0:03."""
COMMANDS = """
2024-03-05T00:10 RELEASE
2024-03-05T00:20 CASH_FLOW 5000
2024-03-05T00:40 HALT AAA
2024-03-05T00:50 CANCEL AAA-400
2024-03-05T00:50 RELEASE AAA
2024-03-05T01:10:30 REBASE
2024-03-05T02:10 FLATTEN BBB
2024-03-05T02:30 RELEASE BBB
2024-03-05T03:20 FLATTEN
2024-03-05T03:30 RELEASE LATCH OPERATOR_FLATTEN
"""
"""On the closes of bars and between them, two of them at one instant, after the watchdog's HALT."""


HALF = 2_000_000
"""About half of the bytes that a stream writes to its journal."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", MINUTES)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose epochs, and so the segments of a journal, last an hour."""
    path = tmp_path_factory.mktemp("project")
    text = defaults().wiring.read_text(encoding="utf-8")
    made, n = re.subn(r"(?m)^epoch: .*$", "epoch: 1h", text)
    assert n == 1
    (path / WIRING).write_text(made, encoding="utf-8")
    return path


def request(data: Path, project: Path, out: Path) -> RunRequest:
    commands = out.with_name("operator.txt")
    commands.write_text(COMMANDS, encoding="utf-8")
    return RunRequest(
        data=data, out=out, project=project, spec="prior_belief", overrides=EARLY, report=False, operator_file=commands,
        stale_after=600.0,
    )  # fmt: skip


def quiet() -> Console:
    return Console(file=io.StringIO(), width=300)


@pytest.fixture(scope="module")
def whole(data: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a stream that was never killed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run_stream(request(data, project, out), quiet())
    return out


def test_there_is_something_to_lose(whole: Path) -> None:
    """Orders of several kinds, some at work at a kill; commands that acted, and the watchdog's."""
    told = read_json(whole / "run.json")
    assert told["summary"]["fills"] > 20
    assert {"MARKET", "STOP_MARKET", "TAKE_PROFIT"} <= set(told["summary"]["orders"]["by_type"])
    said = [command["command"] for command in told["operator_commands"]]
    assert said == ["HALT", *(line.split()[1] for line in COMMANDS.strip().splitlines())]


def log_of(out: Path) -> list[dict[str, Any]]:
    """The log, without the wall clock and the run's name."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("timestamp", "run")} for line in lines]


def read_json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def compare(pieces: Sequence[Path], whole: Path) -> None:
    """All results of two streams: every table to the bit, the log, the operator commands and, of one piece, the summary."""
    ours, theirs = joined(pieces), joined([whole])
    assert set(ours) == set(theirs)
    for name in theirs:
        if isinstance(ours[name], dict):
            assert ours[name] == {o["order_id"]: o for o in theirs[name].to_pylist()}
        else:
            same(ours[name], theirs[name], name)
    assert [line for piece in pieces for line in log_of(piece)] == log_of(whole)
    a, b = [read_json(piece / "run.json") for piece in pieces], read_json(whole / "run.json")
    assert [command for piece in a for command in piece["operator_commands"]] == b["operator_commands"]
    if len(pieces) == 1:
        assert a[0]["summary"] == b["summary"]


def in_a_child(work: Callable[[], object]) -> int:
    """Does the work in a process of its own; returns how that ended, as `os.waitstatus_to_exitcode` says it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at_byte(byte: int, work: Callable[[], object]) -> int:
    """Does the work in a child that is killed when it has written so many bytes of its journal, in the middle of a record."""

    def child() -> None:
        real, total = JournalWriter.append, 0

        def append(self: JournalWriter, *args: Any, **options: Any) -> None:
            nonlocal total
            before = self._file.tell()
            real(self, *args, **options)
            after = self._file.tell()
            total += after - before
            if total >= byte:
                os.truncate(self._file.fileno(), after - min(total - byte, after - before))
                os.kill(os.getpid(), signal.SIGKILL)

        JournalWriter.append = append  # type: ignore[method-assign]
        work()

    return in_a_child(child)


def killed_after(seconds: float, work: Callable[[], object], *first: signal.Signals) -> int:
    """Does the work in a child that is killed after so long; `first` is sent before, as docker and systemd do."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    for number in first:
        time.sleep(seconds)
        os.kill(child, number)
    time.sleep(seconds / 20.0 if first else seconds)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def damaged(partial: Path, chance: random.Random) -> None:
    """Does to the end of a journal what a machine that dies may do to a record that was not on the disk yet."""
    last = segments_of(partial)[-1]
    content, reader, ends = last.read_bytes(), JournalReader(last), [0]
    ends += [reader.whole for _ in reader]
    begins, size = ends[-2 if len(ends) > 1 else -1], len(content)
    how = chance.choice(["torn", "zeros", "flipped", "zeroed"])
    if how == "torn":
        content = content[: chance.randrange(begins, size)]
    elif how == "zeros":
        content += bytes(chance.randrange(1, 5000))
    elif how == "zeroed":
        begins = chance.randrange(begins, size)
        content = content[:begins] + bytes(size - begins)
    else:
        at = chance.randrange(begins, size)
        content = content[:at] + bytes([content[at] ^ 1 << chance.randrange(8)]) + content[at + 1 :]
    last.write_bytes(content)


def joined(pieces: Sequence[Path]) -> dict[str, pa.Table]:
    """The tables of successive stretches of one stream as one."""
    found = [tables(piece) for piece in pieces]
    if len(found) == 1:
        return found[0]
    made = {name: pa.concat_tables([f[name] for f in found if f[name].num_rows]).unify_dictionaries() for name in found[0]}
    orders = {o["order_id"]: o for f in found for o in f["orders.parquet"].to_pylist()}  # as last told
    return {**made, "orders.parquet": orders}


@pytest.mark.parametrize("kills", [3, pytest.param(200, marks=LONG)])
def test_killed_at_random_and_resumed_the_results_are_whole(
    data: Path, project: Path, whole: Path, tmp_path: Path, kills: int
) -> None:
    """At any byte of the journal or at any time, without warning or soon after another signal; some leave a damaged end.

    A signal that was in time ends a stretch with its results and a checkpoint, from which the next goes on. When the data are
    through, all stretches together are compared with the stream that was never killed, and the next stream begins.
    """
    chance, done, streams = random.Random(kills), 0, 0
    while done < kills or not streams:
        base = tmp_path / f"{streams}"
        base.mkdir()
        pieces: list[Path] = []
        while not pieces or read_json(pieces[-1] / "run.json")["stopped_at"] is not None:
            out = base / f"out{len(pieces)}"
            wanted = dataclasses.replace(request(data, project, out), checkpoint=base / "state.npz")
            ended = 1
            while not (out / "run.json").is_file():
                partial = out.with_name(f"{out.name}.partial")
                under_way = any((partial / "journal").glob("[0-9]*"))
                if under_way and ended < 0 and chance.random() < 0.4:
                    damaged(partial, chance)

                work = functools.partial(run_stream, RunRequest(out=out, resume=True) if under_way else wanted, quiet())

                way = chance.random() if done < kills else 2.0
                if way < 0.5:
                    ended = killed_at_byte(chance.randrange(1, HALF // 2), work)
                elif way < 0.75:
                    ended = killed_after(chance.uniform(0.2, 5.0), work)
                elif way < 1.0:
                    ended = killed_after(chance.uniform(0.2, 5.0), work, chance.choice(interrupts.SIGNALS))
                else:
                    ended = in_a_child(work)
                    assert ended == 0
                by_signal = {1, -signal.SIGTERM, -signal.SIGHUP}  # KeyboardInterrupt, or before the signal is handled
                assert ended in {0, -signal.SIGKILL} | (by_signal if 0.75 <= way < 1.0 else set()), ended
                done += ended != 0
            pieces.append(out)
        compare(pieces, whole)
        streams += 1
        print(f"{done} kills of {kills}, {streams} streams whole")


def crashed(data: Path, project: Path, base: Path, byte: int) -> Path:
    """What a stream leaves that is killed there: the folder that its results would have had."""
    out = base / "out"
    assert killed_at_byte(byte, lambda: run_stream(request(data, project, out), quiet())) == -signal.SIGKILL
    return out


def test_killed_before_the_state_of_an_epoch_is_on_the_disk(data: Path, project: Path, whole: Path, tmp_path: Path) -> None:
    """Bars of the next epoch have acted by then; a restart begins with the epoch before."""
    out, real = tmp_path / "out", Segments.keep_start

    def child() -> None:
        def keep_start(self: Segments, segment: Path, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
            if segment.name.startswith("000003"):
                time.sleep(0.2)
                os.kill(os.getpid(), signal.SIGKILL)
            real(self, segment, about, arrays)

        Segments.keep_start = keep_start  # type: ignore[method-assign]
        run_stream(request(data, project, out), quiet())

    assert in_a_child(child) == -signal.SIGKILL
    partial = tmp_path / "out.partial"
    assert len(segments_of(partial)) >= 3
    assert last_beginning(segments_of(partial), "results")[0][0].name == "000002.journal"
    assert not (partial / "journal" / "000003.start").exists()
    run_stream(RunRequest(out=out, resume=True), quiet())
    compare([out], whole)


@pytest.mark.parametrize("damage", ["flipped", pytest.param("torn", marks=LONG), pytest.param("zeros", marks=LONG)])
def test_damage_at_the_end_costs_the_last_record_and_is_reported(
    data: Path, project: Path, whole: Path, tmp_path: Path, damage: str
) -> None:
    out = crashed(data, project, tmp_path, HALF)
    last = segments_of(tmp_path / "out.partial")[-1]
    content = last.read_bytes()
    made = {"torn": content[:-7], "zeros": content + bytes(4096), "flipped": content[:-9] + b"~" + content[-8:]}[damage]
    last.write_bytes(made)
    console = quiet()
    run_stream(RunRequest(out=out, resume=True), console)
    assert "is half written" in str(console.file.getvalue())  # type: ignore[attr-defined]
    compare([out], whole)


def test_finished_epochs_can_be_read_while_a_stream_goes_on(data: Path, project: Path, whole: Path, tmp_path: Path) -> None:
    crashed(data, project, tmp_path, HALF)
    found = tables_of_parts(tmp_path / "out.partial")
    theirs = tables(whole)
    assert {"ledger.parquet", "features/risk.parquet"} <= set(found)
    for name in ("ledger.parquet", "features/risk.parquet"):
        assert found[name].num_rows and found[name].num_rows % 2 == 0
        same(found[name].unify_dictionaries(), theirs[name].slice(0, found[name].num_rows), name)


def tables_of_parts(partial: Path) -> dict[str, Any]:
    """As a reader of Parquet sees them, by name."""
    import pyarrow.parquet as pq

    folders = {p.parent for p in partial.rglob("[0-9]*.parquet")}
    return {str(path.relative_to(partial)): pq.read_table(path) for path in folders}


def test_the_journal_has_a_segment_an_epoch_and_compresses_old_ones(whole: Path) -> None:
    names = [path.name for path in segments_of(whole)]
    assert len(names) == MINUTES // 60 + 1
    assert all(name.endswith(".zst") for name in names[:-2])
    assert not any(name.endswith(".zst") for name in names[-2:])
    assert run_command(["replay", str(whole)]) == 0
    assert run_command(["replay", str(segments_of(whole)[-1])]) == 0


def test_what_is_unfinished_is_not_begun_anew_and_what_is_finished_not_resumed(
    data: Path, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state.npz"
    wanted = RunRequest(**{**vars(request(data, project, tmp_path / "out")), "checkpoint": state})
    assert killed_at_byte(HALF, lambda: run_stream(wanted, quiet())) == -signal.SIGKILL
    before = left(tmp_path)
    line = ["stream", "--data", str(data), "--no-report"]
    assert run_command([*line, "--out", str(tmp_path / "out")]) == 2
    assert f"go on with `stratoquant stream --resume {tmp_path}/out`" in capsys.readouterr().err
    state.write_bytes(b"an older checkpoint")
    assert run_command([*line, "--out", str(tmp_path / "other"), "--checkpoint", str(state)]) == 2
    assert "the checkpoint is older than its journal" in capsys.readouterr().err
    state.unlink()
    assert left(tmp_path) == before
    assert run_command(["stream", "--resume", str(tmp_path / "out"), "--speed", "max"]) == 2
    assert "leave --speed out" in capsys.readouterr().err
    assert run_command(["stream", "--resume", str(tmp_path / "out")]) == 0
    assert run_command(["stream", "--resume", str(tmp_path / "out")]) == 2
    assert "is finished: there is nothing to resume" in capsys.readouterr().err
    assert run_command(["stream", "--resume", str(tmp_path / "nothing")]) == 2
    assert "holds no unfinished stream" in capsys.readouterr().err


def test_a_stream_that_was_killed_before_its_first_bar_is_started_again(
    data: Path, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed between the making of the journal's folder and its first segment."""
    out = tmp_path / "out"
    crashed(data, project, tmp_path, 1)
    for segment in (tmp_path / "out.partial" / "journal").glob("[0-9]*"):
        segment.unlink()
    assert run_command(["stream", "--resume", str(out)]) == 2
    assert "was killed before its first bar, so nothing is lost; start it again as before" in capsys.readouterr().err
    run_stream(request(data, project, out), quiet())
    assert (out / "run.json").is_file()
    assert left(tmp_path) & {"out.partial"} == set()


@pytest.mark.parametrize(
    "step",
    [
        "the journal joins the results",
        *(pytest.param(step, marks=LONG) for step in ("the rest goes", "the checkpoint is written")),
    ],
)
def test_killed_when_the_results_have_their_name_already_the_stream_is_finished(
    data: Path, project: Path, whole: Path, tmp_path: Path, step: str
) -> None:
    """The next stream with the same checkpoint goes on where this one ended: at the end of the data, so there is nothing left."""
    out, state = tmp_path / "out", tmp_path / "state.npz"
    wanted = dataclasses.replace(request(data, project, out), checkpoint=state)

    def child() -> None:
        def kill(*args: object, **options: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        if step == "the journal joins the results":
            drivers.store.writer.clear_up = kill  # type: ignore[attr-defined]
        elif step == "the rest goes":
            remove, partial = shutil.rmtree, out.with_name("out.partial")
            shutil.rmtree = lambda path, **o: kill() if path == partial else remove(path, **o)  # type: ignore[assignment]
        else:
            real = drivers.run.stream.write_atomic_bytes
            drivers.run.stream.write_atomic_bytes = lambda path, blob: kill() if path == state else real(path, blob)
        run_stream(wanted, quiet())

    assert in_a_child(child) == -signal.SIGKILL
    with pytest.raises(ValueError, match="there is nothing left to stream"):
        run_stream(dataclasses.replace(wanted, out=tmp_path / "more"), quiet())
    assert left(tmp_path) & {"out.partial", "out.partial/stream.json", "state.npz.stream"} <= {"out.partial"}
    with pytest.raises(ValueError, match="is finished: there is nothing to resume"):
        run_stream(RunRequest(out=out, resume=True), quiet())
    compare([out], whole)
    assert run_command(["replay", str(out)]) == 0


def test_a_run_keeps_the_epochs_of_its_wiring_too(data: Path, project: Path, tmp_path: Path) -> None:
    """It used to cut at midnight alone, and the engine refused what straddled an epoch."""
    done = run_batch(RunRequest(data=data, out=tmp_path / "out", project=project, overrides=EARLY, report=False), quiet())
    assert done.summary["bars"] == MINUTES


def test_one_process_writes_a_journal(tmp_path: Path) -> None:
    first = Segments(tmp_path / "journal")
    with pytest.raises(JournalError, match="another process writes the journal"):
        Segments(tmp_path / "journal")
    first.close()
    Segments(tmp_path / "journal").close()
