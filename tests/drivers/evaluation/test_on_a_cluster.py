"""An evaluation on Dask: the bits of the local one, also where a worker is killed in the middle."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from drivers.evaluation.machine import machine
from drivers.evaluation.run import evaluate
from drivers.evaluation.settings import combined
from drivers.evaluation.task import unlike
from drivers.executors.cluster import Cluster
from drivers.executors.protocol import Done, Task
from tests.drivers.evaluation.conftest import Here, asked

QUIET = Console(file=StringIO())
SETTINGS = combined({"fusion.entry_min_t": ["0.5", "1.8"]})


class Killing(Cluster):
    """Kills a worker when the first run has ended, and the other one is in the middle of its own."""

    killed = 0

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        for done in super().run(tasks):
            if not self.killed:
                busy = [address for address, keys in self._client.processing().items() if keys]
                self.killed = self.processes()[busy[0]]
                os.kill(self.killed, signal.SIGKILL)
            yield done


def contents(out: Path) -> dict[str, str]:
    return {path.name: json.loads(path.read_text())["content"] for path in (out / "tasks").glob("*.json")}


def test_orders_and_ledger_are_those_of_one_process(traded_market: Path, tmp_path: Path) -> None:
    evaluate(asked(traded_market, tmp_path / "here", SETTINGS), Here(), QUIET)
    with Killing("local:2", machine) as cluster:
        evaluation = evaluate(asked(traded_market, tmp_path / "there", SETTINGS), cluster, QUIET)
    assert cluster.killed and not evaluation.failures
    assert contents(tmp_path / "there") == contents(tmp_path / "here") and len(contents(tmp_path / "here")) == 3
    assert len(set(contents(tmp_path / "here").values())) > 1


def test_what_differs_is_named() -> None:
    own = machine()
    assert unlike(own, own) == ""
    other = {**own, "numba": "0.1", "processor": "abacus"}
    assert (
        unlike(own, other) == f"numba 0.1 where {own['numba']} is wanted, processor abacus where {own['processor']} is wanted"
    )


class Struck(Cluster):
    """Survives its evaluations. At a moment, a worker is killed."""

    def __exit__(self, *about: object) -> None:
        return None

    def end(self) -> None:
        self._close()

    def whole(self) -> bool:
        until = time.monotonic() + 60
        while len(self.processes()) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        return len(self.processes()) == 2

    def strike(self, after: float, which: int) -> threading.Timer:
        victim = sorted(self.processes().values())[which]
        timer = threading.Timer(after, lambda: os.kill(victim, signal.SIGKILL))
        timer.start()
        return timer


@pytest.mark.long
def test_killed_at_twenty_random_moments_the_bits_are_the_same(traded_market: Path, tmp_path: Path) -> None:
    evaluate(asked(traded_market, tmp_path / "here", SETTINGS), Here(), QUIET)
    random = np.random.default_rng(0)
    cluster = Struck("local:2", machine)
    try:
        begun = time.monotonic()
        evaluate(asked(traded_market, tmp_path / "warm", SETTINGS), cluster, QUIET)
        lasts = time.monotonic() - begun
        for i in range(20):
            if not cluster.whole():  # Dask gives up a worker that dies while it starts
                cluster.end()
                cluster = Struck("local:2", machine)
            timer = cluster.strike(random.uniform(0.0, lasts), int(random.integers(2)))
            evaluation = evaluate(asked(traded_market, tmp_path / str(i), SETTINGS), cluster, QUIET)
            timer.join()
            assert not evaluation.failures and contents(tmp_path / str(i)) == contents(tmp_path / "here")
    finally:
        cluster.end()
