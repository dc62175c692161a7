"""A process that is asked to end: it leaves what it should, and it ends."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import random
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from drivers.cli.main import run_command
from drivers.engine.engine import Engine
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.small_market import folder, left

COMMAND = "import sys; sys.argv[0] = 'stratoquant'; from drivers.cli.main import main; main()"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", 300)


def started(*line: str, **how: object) -> subprocess.Popen[str]:
    """The command line in a process of its own, which does not ignore Ctrl-C."""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *line],
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        **how,  # type: ignore[call-overload]
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_a_closed_terminal_lets_a_stream_finish_its_bar_and_leave_the_checkpoint(data: Path, tmp_path: Path) -> None:
    """SIGHUP, with a terminal on stderr to which nothing can be written any more."""
    ours, theirs = pty.openpty()
    out = tmp_path / "out"
    line = ("stream", "--data", str(data), "--out", str(out), "--speed", "realtime", "--no-report")

    def own_terminal() -> None:
        fcntl.ioctl(2, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *line], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=own_terminal,
    )  # fmt: skip
    os.close(theirs)
    while not (tmp_path / "out.partial").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.5)
    os.close(ours)  # the system sends SIGHUP
    assert process.wait(120) == 0
    assert (out / "run.json").is_file()
    assert (out / "checkpoint.npz").is_file()
    assert left(tmp_path) & {"out.partial"} == set()


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[signal.Signals]]:
    """Sent to this process in the middle of successive bars, one each."""
    wanted: list[signal.Signals] = []
    real = Engine.advance

    def advance(self: Engine, chunk: object) -> object:
        if self.last_time and wanted:
            signal.raise_signal(wanted.pop(0))
        return real(self, chunk)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "advance", advance)
    yield wanted
    assert not wanted


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.long) for n in (signal.SIGTERM, signal.SIGHUP))]
)
def test_a_signal_in_the_middle_of_a_bar_lets_a_stream_finish_it(
    data: Path, tmp_path: Path, signals: list[signal.Signals], number: signal.Signals
) -> None:
    signals.append(number)
    out = tmp_path / "out"
    done = run_stream(RunRequest(data=data, out=out, report=False), console := Console(file=io.StringIO(), width=200))
    assert done.summary["bars"] == 2
    assert (out / "checkpoint.npz").is_file()
    assert "Stopped after 2024-03-04T21:02:00Z." in str(console.file.getvalue())  # type: ignore[attr-defined]


def test_a_second_signal_ends_a_stream_after_the_bar_without_results(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Engine.advance

    def advance(self: Engine, chunk: object) -> object:
        if self.last_time:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        return real(self, chunk)  # type: ignore[arg-type]

    monkeypatch.setattr(Engine, "advance", advance)
    assert run_command(["stream", "--data", str(data), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Stopped."
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_a_run_leaves_nothing(
    data: Path, tmp_path: Path, signals: list[signal.Signals], number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    signals.append(number)
    assert run_command(["run", "--data", str(data), "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "Stopped."
    assert left(tmp_path) == set()


@pytest.mark.parametrize("wait", [pytest.param(0.0, marks=pytest.mark.long), 0.1])
def test_ctrl_c_ends_a_process_that_runs_layers_in_threads(data: Path, tmp_path: Path, wait: float) -> None:
    """Pressed as the threads start, a run used to wait for ever for a thread that nobody had heard of."""
    out = tmp_path / "out"
    process = started("run", "--data", str(data), "--out", str(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    wait_for(tmp_path / "out.partial", process)
    time.sleep(wait)
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=60)
    assert process.returncode == 130, shown
    assert shown.strip().splitlines()[-1] == "Stopped."
    assert left(tmp_path) == set()


def interrupted_at_call(call: int, line: list[str], said: Path) -> tuple[int, int]:
    """Runs a command in a child that gets Ctrl-C in the middle of its n-th call of a function (-1: never).

    Returns how it ended and how many calls there were. said: takes what it prints. One that hangs is killed after five minutes.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        calls = 0

        def count(frame: object, event: str, about: object) -> None:
            nonlocal calls
            calls += event == "call"
            if event == "call" and calls == call:
                signal.raise_signal(signal.SIGINT)

        code = 70
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            sys.stdout = sys.stderr = said.open("a", encoding="utf-8")
            signal.alarm(300)
            sys.setprofile(count)
            code = run_command(line)
        finally:
            sys.setprofile(None)
            sys.stderr.flush()
            os.write(theirs, str(calls).encode())
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        told = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(told or 0)


@pytest.mark.parametrize("tries", [3, pytest.param(100, marks=pytest.mark.long)])
def test_ctrl_c_at_any_instant_of_a_run_ends_it_and_leaves_nothing(data: Path, tmp_path: Path, tries: int) -> None:
    chance, line = random.Random(tries), ["run", "--data", str(data), "--out", str(tmp_path / "out"), "--no-report"]
    ended, calls = interrupted_at_call(-1, line, tmp_path / "said")
    assert ended == 0
    shutil.rmtree(tmp_path / "out")
    (tmp_path / "trials.jsonl").unlink()  # a run that has ended is a trial, and those that are stopped are none
    for k in range(tries):
        said = tmp_path / f"said{k}"
        at = chance.randrange(1, int(0.95 * calls))
        ended, _ = interrupted_at_call(at, line, said)
        text = said.read_text(encoding="utf-8").strip()
        assert (ended, text.splitlines()[-1:]) == (130, ["Stopped."]), f"at call {at} of {calls}: {text[-2000:]}"
        said.unlink()
        assert left(tmp_path) == {"said"}, at
