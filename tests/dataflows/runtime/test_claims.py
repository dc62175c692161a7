"""Claims: one process compiles and the others load; one that dies, stops or fails keeps nobody waiting."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import pytest

from dataflows.runtime import claims
from dataflows.runtime import compile as compiling
from dataflows.runtime.claims import claim, claim_or_wait
from dataflows.runtime.compile import inner_kernel, kernel

ROOT = Path(__file__).parents[3]
HOLD = """
import sys, time
from dataflows.runtime.claims import claim
held = claim("it")
print("held" if held else "refused", flush=True)
time.sleep(600)
"""
# says when it compiles, then waits for a line where it is told to; then what it got and how many kernels it has compiled
COMPILE = """
import sys
from numba.core import event
from dataflows.runtime.compile import kernel
compiled = []
class Listener(event.Listener):
    def on_start(self, event):
        compiled.append(event)
        print("compiling", flush=True)
        if "wait" in sys.argv:
            sys.stdin.readline()
    def on_end(self, event):
        pass
@kernel
def inner(x):
    return x + 1.0
@kernel
def outer(x):
    return inner(x) * 2.0
with event.install_listener("numba:compile", Listener()):
    got = outer(1.0)
print(f"{got} {len(compiled)}", flush=True)
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a process of this source over a cache folder of the test's own."""
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    started: list[subprocess.Popen[str]] = []

    def go(source: str, *words: str) -> subprocess.Popen[str]:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([sys.executable, "-c", source, *words], cwd=ROOT, **pipes))
        return started[-1]

    yield go
    for process in started:
        process.kill()
        process.communicate()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_what_one_process_has_claimed_no_other_gets_until_it_dies(start: Start) -> None:
    holder = start(HOLD)
    assert line(holder) == "held"
    assert claim("it") is None
    other = claim("something else")
    assert other is not None
    other.let_go()
    holder.kill()
    mine = claim_or_wait("it")
    assert mine is not None
    assert claim("it") is None  # in this process too
    mine.let_go()
    mine.let_go()
    again = claim("it")
    assert again is not None
    again.let_go()


def test_a_holder_that_somebody_has_stopped_costs_the_patience_and_not_the_run(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = start(HOLD)
    assert line(holder) == "held"
    os.kill(holder.pid, signal.SIGSTOP)
    monkeypatch.setattr(claims, "PATIENCE_SECONDS", 0.2)
    begun = time.monotonic()
    assert claim_or_wait("it") is None
    assert time.monotonic() - begun >= 0.2


def test_without_a_folder_for_claims_nobody_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder can be below a file, whoever asks")
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OSError, match="File exists"):
        claim("it")
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("waits"))
    assert claim_or_wait("it") is None


def test_two_processes_that_begin_at_once_compile_each_kernel_once(start: Start) -> None:
    first = start(COMPILE, "wait")
    assert line(first) == "compiling"  # and it holds the claim
    second = start(COMPILE)
    time.sleep(0.1)
    out, _ = first.communicate("\n\n")
    assert out.split() == ["compiling", "4.0", "2"]
    assert second.communicate()[0].split() == ["4.0", "0"]


def test_a_process_that_is_killed_while_it_compiles_is_replaced(start: Start, tmp_path: Path) -> None:
    killed = start(COMPILE, "wait")
    assert line(killed) == "compiling"
    second = start(COMPILE)
    killed.kill()
    assert second.communicate()[0].split() == ["compiling", "compiling", "4.0", "2"]
    assert len(list(tmp_path.glob("cache/machine-code/*/*.nbc"))) == 2


def test_a_full_disk_costs_the_cache_and_no_claim_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    taken: list[Any] = []
    monkeypatch.setattr(compiling, "claim_or_wait", lambda key: taken.append(claim_or_wait(key)) or taken[-1])

    def full(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compiling._SignedFiles, "_write", full)

    @kernel
    def plus(x: float) -> float:
        return x + 1.0

    with pytest.warns(RuntimeWarning, match="machine code is not kept: .*No space left"):
        assert plus(1.0) == 2.0
    assert len(taken) == 1 and taken[0]._at not in claims._HELD


def test_a_kernel_that_does_not_compile_keeps_no_claim(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    before = set(claims._HELD)

    @kernel
    def wrong(x: float) -> float:
        return x + "text"  # type: ignore[operator, no-any-return]

    with pytest.raises(Exception, match="No implementation of function"):
        wrong(1.0)
    assert before == claims._HELD


@kernel
def below(x: float) -> float:
    return x + 1.0


@kernel
def above(x: float) -> float:
    return below(x) * 2.0


def test_a_kernel_that_compiled_code_calls_has_no_entry_from_python_until_python_calls_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    assert above(1.0) == 4.0
    assert not below.overloads  # type: ignore[attr-defined]
    assert below(1.0) == 2.0
    assert len(list(tmp_path.glob("machine-code/*/*.nbc"))) == 3


def test_a_kernel_that_calls_itself_compiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    assert calls_factorial(5) == 120
    assert factorial(4) == 24


@kernel
def factorial(n: int) -> int:
    if n <= 1:
        return 1
    return n * factorial(n - 1)


@kernel
def calls_factorial(n: int) -> int:
    return factorial(n)


def test_inner_code_is_claimed_as_well(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    asked: list[str] = []
    monkeypatch.setattr(compiling, "claim_or_wait", lambda key: asked.append(key))

    def tripled(x: float) -> float:
        return x * 3.0

    inner_kernel(tripled).compile((numba.float64,))  # type: ignore[attr-defined]
    assert len(asked) == 1
