"""The Dask executor: what the local pool promises, on processes of a cluster; unlike workers are refused by name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.evaluation.machine import machine
from drivers.executors.cluster import Cluster, ClusterError
from drivers.executors.protocol import Done, Task
from tests.drivers.executors import work
from tests.drivers.executors.dask_processes import processes

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


OLD_NUMBA = (
    "import importlib.metadata as m\nreal = m.version\nm.version = lambda name: '0.1' if name == 'numba' else real(name)\n"
)


def test_a_cluster_of_real_workers_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    """Processes of their own, as on several machines (`tests/drivers/scale/test_on_a_cluster.py` has those that fit)."""
    own = machine()
    with processes(tmp_path) as begun:
        with pytest.raises(ClusterError, match="has no workers"):
            Cluster(begun.address, machine)
        (tmp_path / "sitecustomize.py").write_text(OLD_NUMBA)  # Python runs it first
        begun.worker(env={"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"})
        says = (
            rf"worker tcp://127.0.0.1:\d+ would give other bits: numba is 0.1, here {own['numba']}; make it like this machine"
        )
        with pytest.raises(ClusterError, match=says):
            begun.cluster(1, machine)
        begun.end_last()
        begun.worker(env={"NUMBA_CPU_NAME": "nocona", "NUMBA_CPU_FEATURES": "+sse2"})
        says = (
            rf"bits: processor is nocona, here {own['processor']}; processor features is \w+, here {own['processor features']}"
        )
        with pytest.raises(ClusterError, match=says):
            begun.cluster(1, machine)
        begun.end_last()
        begun.worker(threads=2)
        with pytest.raises(ClusterError, match=r"runs 2 tasks in one process; start it with --nthreads 1"):
            begun.cluster(1, machine)
