"""The watchdog as a process beside `stream`: whether somebody guards the account is said, and is true."""

from __future__ import annotations

import builtins
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.cli.common import Failed
from drivers.cli.watchdog import guarded
from drivers.run.request import RunRequest

SLEEPS = "import time; time.sleep(60)"
WAITS = "import pathlib, sys, time\nwhile not pathlib.Path(sys.argv[1]).is_dir(): time.sleep(0.01)"


def request_of(folder: Path) -> RunRequest:
    (folder / "dog.yml").touch()
    return RunRequest(out=folder / "out")


def begin(folder: Path) -> None:
    """What a stream has written once it trades."""
    (folder / "out.partial" / "journal").mkdir(parents=True)
    (folder / "out.partial" / "journal" / "000001.journal").write_bytes(bytes(64))


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What runs in place of the watchdog."""

    def put(code: str, *arguments: str) -> None:
        monkeypatch.setattr("drivers.cli.common.own_process", lambda *words: [sys.executable, "-c", code, *arguments])

    return put


def heard(capsys: pytest.CaptureFixture[str], word: str) -> str:
    """What stderr says, once it has the word."""
    said, until = "", time.monotonic() + 30.0
    while word not in said and time.monotonic() < until:
        time.sleep(0.01)
        said += capsys.readouterr().err
    return said


def test_a_watchdog_that_ends_before_its_stream_is_told(tmp_path: Path, child: Any, capsys: pytest.CaptureFixture[str]) -> None:
    child("raise SystemExit(3)")
    with guarded(request_of(tmp_path), tmp_path / "dog.yml"):
        begin(tmp_path)
        said = heard(capsys, "guards")
        assert "The watchdog has ended (exit code 3): nobody guards the account" in said
        assert f"stratoquant watchdog {tmp_path / 'out'} --rules {tmp_path / 'dog.yml'}" in said
    with pytest.raises(ZeroDivisionError), guarded(request_of(tmp_path), tmp_path / "dog.yml"):
        heard(capsys, "guards")
        raise ZeroDivisionError
    said = heard(capsys, "guards")
    assert "The watchdog had ended before the stream: nobody guards the account" in said and "goes on" not in said


def test_a_normal_end_says_nothing(tmp_path: Path, child: Any, capsys: pytest.CaptureFixture[str]) -> None:
    child(WAITS, str(tmp_path / "out"))
    with guarded(request_of(tmp_path), tmp_path / "dog.yml"):
        begin(tmp_path)
        (tmp_path / "out.partial").rename(tmp_path / "out")
        time.sleep(0.5)  # the watchdog sees it first
    assert capsys.readouterr().err == ""


def test_a_stream_that_fails_leaves_its_watchdog_at_work(
    tmp_path: Path, child: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    child(SLEEPS)
    with pytest.raises(ZeroDivisionError), guarded(request_of(tmp_path), tmp_path / "dog.yml"):
        begin(tmp_path)
        raise ZeroDivisionError
    said = capsys.readouterr().err
    assert "The watchdog goes on (process " in said and "nobody" not in said
    os.kill(int(said.partition("(process ")[2].partition(")")[0]), signal.SIGTERM)


def test_what_is_not_installed_is_told_before_anything_trades(
    tmp_path: Path, child: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    child("raise SystemExit(3)")
    for name in [name for name in sys.modules if name == "drivers.watchdog.process"]:
        monkeypatch.delitem(sys.modules, name)
    find = builtins.__import__

    def missing(name: str, *given: Any, **more: Any) -> Any:
        if name == "drivers.exchanges.access":
            raise ModuleNotFoundError("No module named 'ccxt'", name="ccxt")
        return find(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    told = pytest.raises(Failed, match=r"ccxt is not installed; add it with: pip install 'stratoquant\[live\]'")
    with told, guarded(request_of(tmp_path), tmp_path / "dog.yml"):
        raise AssertionError("it has begun")
