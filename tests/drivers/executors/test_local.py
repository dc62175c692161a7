"""The local pool: every task ends once, whatever happens to workers, and nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.executors import local
from drivers.executors.local import LocalPool
from drivers.executors.protocol import Done, Task

ROOT = Path(__file__).parents[3]
WORK = "tests.drivers.executors.work"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_every_task_ends_once_with_its_value_or_its_error() -> None:
    tasks = [Task(f"t{x}", f"{WORK}:square", x) for x in range(30)]
    tasks += [Task("bad", f"{WORK}:refuse", 7), Task("none", f"{WORK}:absent")]
    with LocalPool(3) as pool:
        found = {done.task.name: done for done in pool.run(tasks)}
        assert len(found) == 32 and len(pool.processes()) == 3
        workers = pool.processes()
    assert all(found[f"t{x}"].value == x * x and not found[f"t{x}"].error for x in range(30))
    assert found["bad"].error == "ValueError: 7 is refused" and found["bad"].value is None
    assert found["none"].error.startswith("AttributeError: ")
    assert not any(alive(pid) for pid in workers)


def test_the_end_of_a_task_makes_others_possible_and_the_lowest_turn_goes_first() -> None:
    more = {"early": [Task("between", f"{WORK}:square", 3, turn=3)]}
    with LocalPool(1) as pool:
        tasks = [Task("late", f"{WORK}:square", 1, turn=5), Task("early", f"{WORK}:square", 2, turn=1)]
        order = [(done.task.name, done.value) for done in pool.run(tasks, lambda done: more.get(done.task.name, []))]
    assert order == [("early", 4), ("between", 9), ("late", 1)]


def test_the_first_workers_that_import_ahead_start_with_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "AHEAD", 2)
    with LocalPool(3, modules=[WORK]) as pool:
        first = set(pool.processes())
        assert len(first) == 2
        used = {done.value for done in pool.run([Task(str(i), f"{WORK}:sleep", 0.1) for i in range(6)])}
        workers = set(pool.processes())
        assert first < workers and len(workers) == 3 and used <= workers
    assert not any(alive(pid) for pid in workers)


def test_results_come_as_they_are_made_and_the_workers_stay() -> None:
    with LocalPool(2) as pool:
        order = [done.task.name for done in pool.run([Task("slow", f"{WORK}:sleep", 1.0), Task("fast", f"{WORK}:sleep", 0.0)])]
        before = set(pool.processes())
        assert order == ["fast", "slow"]
        assert {done.value for done in pool.run([Task(str(i), f"{WORK}:sleep", 0.1) for i in range(4)])} <= before


def test_a_dead_worker_costs_its_task_which_is_begun_again(tmp_path: Path) -> None:
    tasks = [Task("a", f"{WORK}:die_once", str(tmp_path / "a")), *(Task(str(x), f"{WORK}:square", x) for x in range(8))]
    with LocalPool(2) as pool:
        found = {done.task.name: done for done in pool.run(tasks)}
    assert found["a"] == Done(tasks[0], "alive") and all(found[str(x)].value == x * x for x in range(8))


def test_a_task_that_kills_its_workers_fails_alone() -> None:
    with LocalPool(2) as pool:
        found = {done.task.name: done for done in pool.run([Task("die", f"{WORK}:die"), Task("live", f"{WORK}:square", 3)])}
    assert found["live"].value == 9
    assert found["die"].error.startswith("its worker died 3 times, the last time by signal 9")


def test_a_worker_killed_from_outside_costs_only_its_task(tmp_path: Path) -> None:
    tasks = [Task(name, f"{WORK}:noted", (str(tmp_path), name, 0.6)) for name in "abcd"]
    with LocalPool(2) as pool:
        found = []
        for done in pool.run(tasks):
            if not found:
                begun: list[Path] = []
                while len(begun) < 2:  # the younger has just begun; the other, as old as the one that has ended, may end now
                    begun = [path for path in tmp_path.iterdir() if path.name != done.task.name and path.read_text()]
                youngest = max(begun, key=lambda path: path.stat().st_mtime_ns)
                os.kill(int(youngest.read_text().split()[0]), signal.SIGKILL)
            found.append(done.value)
    assert sorted(found) == list("abcd")
    times = sorted(len(path.read_text().split()) for path in tmp_path.iterdir())
    assert times == [1, 1, 1, 2]


def test_a_worker_that_dies_while_it_waits_costs_nothing() -> None:
    tasks = [Task("slow", f"{WORK}:sleep", 0.8), Task("fast", f"{WORK}:square", 2)]
    with LocalPool(2) as pool:
        found = {}
        for done in pool.run(tasks):
            if not found:  # the worker of the fast task has nothing to do now
                for pid in pool.processes()[1:]:
                    os.kill(pid, signal.SIGKILL)
            found[done.task.name] = done.error
    assert found == {"slow": "", "fast": ""}


def test_who_stops_before_the_end_leaves_nothing_running() -> None:
    with LocalPool(2) as pool:
        running = pool.run([Task("fast", f"{WORK}:sleep", 0.0), Task("slow", f"{WORK}:sleep", 60.0)])
        next(running)
        workers = pool.processes()
        running.close()  # type: ignore[attr-defined]
        assert sum(alive(pid) for pid in workers) == 1
    assert not any(alive(pid) for pid in workers)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    code = (
        "from drivers.executors.local import LocalPool; from drivers.executors.protocol import Task\n"
        f"list(LocalPool(2).run([Task(n, '{WORK}:noted', ({str(tmp_path)!r}, n, 60.0)) for n in 'ab']))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    until = time.monotonic() + 30
    while len([p for p in tmp_path.iterdir() if p.read_text()]) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    workers = [int(path.read_text()) for path in tmp_path.iterdir()]
    assert len(workers) == 2
    parent.kill()
    parent.wait()
    until = time.monotonic() + 20
    while any(alive(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(alive(pid) for pid in workers)
