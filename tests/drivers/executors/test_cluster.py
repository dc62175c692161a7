"""The Dask executor: what the local pool promises, on processes of a cluster; unlike workers are refused by name."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.executors.cluster import Cluster, ClusterError
from drivers.executors.protocol import Done, Task
from tests.drivers.executors import work

ROOT = Path(__file__).parents[3]
WORK = "tests.drivers.executors.work"


@pytest.fixture(autouse=True, scope="module")
def importable() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("local:2", work.alike) as made:
        yield made


def test_every_task_ends_once_with_its_value_or_its_error(cluster: Cluster) -> None:
    tasks = [Task(f"t{x}", f"{WORK}:square", x) for x in range(20)] + [Task("bad", f"{WORK}:refuse", 7)]
    found = {done.task.name: done for done in cluster.run(tasks)}
    assert len(found) == 21 and cluster.workers == 2
    assert all(found[f"t{x}"].value == x * x and not found[f"t{x}"].error for x in range(20))
    assert found["bad"].error == "ValueError: 7 is refused"


def test_results_come_as_they_are_made(cluster: Cluster) -> None:
    slow_first = [Task("slow", f"{WORK}:sleep", 1.5), Task("fast", f"{WORK}:sleep", 0.0)]
    assert [done.task.name for done in cluster.run(slow_first)] == ["fast", "slow"]


def test_the_end_of_a_task_makes_others_possible(cluster: Cluster) -> None:
    def then(done: Done) -> list[Task]:
        return [Task(f"after {done.task.name}", f"{WORK}:square", done.value)] if done.value < 100 else []

    found = {done.task.name: done.value for done in cluster.run([Task("a", f"{WORK}:square", 3)], then)}
    assert found == {"a": 9, "after a": 81, "after after a": 6561}


def test_a_worker_killed_in_the_middle_costs_only_its_task(cluster: Cluster, tmp_path: Path) -> None:
    tasks = [Task(name, f"{WORK}:noted", (str(tmp_path), name, 1.0)) for name in "abcd"]
    found = []
    for done in cluster.run(tasks):
        if not found:
            until = time.monotonic() + 20
            begun: list[Path] = []
            while not begun and time.monotonic() < until:
                begun = [path for path in tmp_path.iterdir() if path.name != done.task.name and path.read_text()]
            os.kill(int(begun[0].read_text().split()[0]), signal.SIGKILL)
        found.append(done.value)
    assert sorted(found) == list("abcd")
    times = sorted(len(path.read_text().split()) for path in tmp_path.iterdir())
    assert times[:2] == [1, 1] and sum(times) >= 5


def test_a_worker_that_would_give_other_bits_is_refused_by_name() -> None:
    with pytest.raises(ClusterError, match=r"worker tcp://\S+ would give other bits: process is \d+, here \d+"):
        Cluster("local:1", work.unlike)


@pytest.mark.parametrize(
    ("address", "said"),
    [("local:x", "names no number of processes"), ("local:0", "no number"), ("tcp://127.0.0.1:1", "no Dask scheduler answers")],
)
def test_an_address_without_a_cluster_is_one_sentence(monkeypatch: pytest.MonkeyPatch, address: str, said: str) -> None:
    monkeypatch.setattr("drivers.executors.cluster._TIMEOUT", "1s")
    with pytest.raises(ClusterError, match=said) as refused:
        Cluster(address, work.alike)
    assert "\n" not in str(refused.value)


def test_a_scheduler_and_two_workers_of_their_own(tmp_path: Path) -> None:
    """As on several machines; a worker with two threads is refused."""
    file = tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(command: str, *words: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-P", "-m", f"distributed.cli.dask_{command}", *words, "--scheduler-file", str(file)]
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=tmp_path)

    begun = [start("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")]
    try:
        until = time.monotonic() + 30
        while not file.exists() and time.monotonic() < until:
            time.sleep(0.05)
        import json

        address = json.loads(file.read_text())["address"]
        with pytest.raises(ClusterError, match="has no workers"):
            Cluster(address, work.alike)
        begun += [start("worker", "--nthreads", "1", "--no-dashboard") for _ in range(2)]
        made = _when_there(address, 2)
        with made:
            assert not made.here
            assert {done.value for done in made.run([Task(str(x), f"{WORK}:square", x) for x in range(6)])} == {
                x * x for x in range(6)
            }
        begun.append(start("worker", "--nthreads", "2", "--no-dashboard"))
        with pytest.raises(ClusterError, match=r"runs 2 tasks in one process; start it with --nthreads 1"):
            _when_there(address, 3)
    finally:
        for process in reversed(begun):
            process.terminate()
        for process in begun:
            process.wait(30)


def _when_there(address: str, workers: int) -> Cluster:
    until = time.monotonic() + 40
    while True:
        try:
            made = Cluster(address, work.alike)
            if made.workers == workers:
                return made
            made.__exit__(None, None, None)
        except ClusterError as error:
            if "no workers" not in str(error):
                raise
        assert time.monotonic() < until, "the workers did not come"
        time.sleep(0.3)
