"""A stream that is killed anywhere, and resumed as often as it takes, leaves the results of one that was never killed."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import re
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from drivers.cli.main import run_command
from drivers.project.locate import WIRING, defaults
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.journal import JournalError, JournalWriter
from drivers.store.segments import Segments, segments_of
from tests.drivers.run.test_stream import same, tables
from tests.drivers.small_market import folder, left

MINUTES = 1860
"""The data begins at 21:00; trade begins a day later."""
COMMANDS = """
2024-03-05T21:40 HALT
2024-03-05T21:50 RELEASE
2024-03-05T21:50 CASH_FLOW 5000
2024-03-05T22:45:30 REBASE
2024-03-05T23:30 FLATTEN
2024-03-06T01:00 RELEASE
"""
"""On the closes of bars and between them, two of them at one instant."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", MINUTES)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose epochs, and so the segments of a journal, last three hours."""
    path = tmp_path_factory.mktemp("project")
    text = defaults().wiring.read_text(encoding="utf-8")
    made, n = re.subn(r"(?m)^epoch: .*$", "epoch: 3h", text)
    assert n == 1
    (path / WIRING).write_text(made, encoding="utf-8")
    return path


def request(data: Path, project: Path, out: Path) -> RunRequest:
    commands = out.with_name("operator.txt")
    commands.write_text(COMMANDS, encoding="utf-8")
    return RunRequest(
        data=data, out=out, project=project, spec="prior_belief", report=False, operator_file=commands, stale_after=600.0
    )


def quiet() -> Console:
    return Console(file=io.StringIO(), width=300)


@pytest.fixture(scope="module")
def whole(data: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a stream that was never killed."""
    out = tmp_path_factory.mktemp("whole") / "out"
    run_stream(request(data, project, out), quiet())
    return out


def log_of(out: Path) -> list[dict[str, Any]]:
    """The log, without the wall clock and the run's name."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{k: v for k, v in line.items() if k not in ("timestamp", "run")} for line in lines]


def compare(out: Path, whole: Path) -> None:
    """All results of two streams: every table to the bit, the log, the summary and the operator commands."""
    ours, theirs = tables(out), tables(whole)
    assert set(ours) == set(theirs)
    for name in theirs:
        same(ours[name], theirs[name], name)
    assert log_of(out) == log_of(whole)
    a, b = (json.loads((path / "run.json").read_text(encoding="utf-8")) for path in (out, whole))
    for key in ("summary", "operator_commands", "stopped_at", "resumed_after"):
        assert a[key] == b[key], key


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
        real, written = JournalWriter.append, itertools.count(0)
        total = 0

        def append(self: JournalWriter, *args: Any, **options: Any) -> None:
            nonlocal total
            before = self._file.tell()
            real(self, *args, **options)
            after = self._file.tell()
            total += after - before
            if total >= byte:
                os.truncate(self._file.fileno(), after - min(total - byte, after - before))
                os.kill(os.getpid(), signal.SIGKILL)
            next(written)

        JournalWriter.append = append  # type: ignore[method-assign]
        work()

    return in_a_child(child)


def killed_after(seconds: float, number: signal.Signals, work: Callable[[], object]) -> int:
    """Does the work in a child to which a signal is sent after so long."""
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
    time.sleep(seconds)
    os.kill(child, number)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("kills", [6, pytest.param(200, marks=pytest.mark.long)])
def test_killed_at_random_and_resumed_the_results_are_whole(
    data: Path, project: Path, whole: Path, tmp_path: Path, kills: int
) -> None:
    """Some kills are at a byte of the journal, some at any time. When a stream is complete it is compared, and begins anew."""
    chance, done, streams = random.Random(kills), 0, 0
    size = sum(p.stat().st_size for p in segments_of(whole)) * 4  # of all bytes, half of them compressed by now
    while done < kills or not streams:
        base = tmp_path / f"{streams}"
        base.mkdir()
        out = base / "out"
        wanted = request(data, project, out)
        ended = 1
        while ended != 0:
            again = RunRequest(out=out, resume=True) if (base / "out.partial" / "stream.json").is_file() else wanted

            def work(again: RunRequest = again) -> None:
                run_stream(again, quiet())

            if done >= kills:
                ended = in_a_child(work)
                assert ended == 0
            elif chance.random() < 0.6:
                ended = killed_at_byte(chance.randrange(1, max(2, size // 6)), work)
            else:
                ended = killed_after(chance.uniform(0.2, 6.0), signal.SIGKILL, work)
            assert ended in (0, -signal.SIGKILL)
            done += ended != 0
            if ended != 0 and (out / "run.json").is_file():
                break  # killed after the results had their name
        compare(out, whole)
        streams += 1


def crashed(data: Path, project: Path, base: Path, byte: int) -> Path:
    """What a stream leaves that is killed there: the folder that its results would have had."""
    out = base / "out"
    assert killed_at_byte(byte, lambda: run_stream(request(data, project, out), quiet())) == -signal.SIGKILL
    return out


@pytest.mark.parametrize("damage", ["torn", "zeros", "flipped"])
def test_damage_at_the_end_costs_the_last_record_and_is_reported(
    data: Path, project: Path, whole: Path, tmp_path: Path, damage: str
) -> None:
    out = crashed(data, project, tmp_path, 3_000_000)
    last = segments_of(tmp_path / "out.partial")[-1]
    content = last.read_bytes()
    made = {"torn": content[:-7], "zeros": content + bytes(4096), "flipped": content[:-9] + b"~" + content[-8:]}[damage]
    last.write_bytes(made)
    console = quiet()
    run_stream(RunRequest(out=out, resume=True), console)
    assert "is half written" in str(console.file.getvalue())  # type: ignore[attr-defined]
    compare(out, whole)


def test_finished_epochs_can_be_read_while_a_stream_goes_on(data: Path, project: Path, whole: Path, tmp_path: Path) -> None:
    crashed(data, project, tmp_path, 3_000_000)
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
    assert len(names) == MINUTES // 180 + 1
    assert all(name.endswith(".zst") for name in names[:-2])
    assert not any(name.endswith(".zst") for name in names[-2:])
    assert run_command(["replay", str(whole)]) == 0
    assert run_command(["replay", str(segments_of(whole)[-1])]) == 0


def test_what_is_unfinished_is_not_begun_anew_and_what_is_finished_not_resumed(
    data: Path, project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state.npz"
    wanted = RunRequest(**{**vars(request(data, project, tmp_path / "out")), "checkpoint": state})
    assert killed_at_byte(2_000_000, lambda: run_stream(wanted, quiet())) == -signal.SIGKILL
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


def test_one_process_writes_a_journal(tmp_path: Path) -> None:
    first = Segments(tmp_path / "journal")
    with pytest.raises(JournalError, match="another process writes the journal"):
        Segments(tmp_path / "journal")
    first.close()
    Segments(tmp_path / "journal").close()
