"""Tasks on processes of this machine.

Workers are started as programs of their own, so that no script of a user is imported again, and are kept while there are
tasks: imports and machine code are loaded once. A worker whose parent is gone ends.
"""

from __future__ import annotations

import heapq
import itertools
import os
import pickle
import selectors
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Final

from drivers.engine.interrupts import deferred
from drivers.executors.protocol import ATTEMPTS, Done, Task, Then, nothing_more, usable_cores
from drivers.project.own_process import own_process

AHEAD: Final = 4
"""Workers that start before it is known how many tasks there are: more of them would cost the first ones their cores."""
_LENGTH: Final = struct.Struct("<Q")


def send(file: IO[bytes], value: Any) -> None:
    """Writes a value, its length first."""
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    file.write(_LENGTH.pack(len(content)) + content)
    file.flush()


def receive(file: IO[bytes]) -> Any:
    """Reads a value that our own process at the other end has sent. Raises EOFError where that is gone."""
    head = file.read(_LENGTH.size)
    content = file.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(content) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return pickle.loads(content)


class _Worker:
    """A process, and the task that it is at."""

    def __init__(self, threads: int, modules: Sequence[str]) -> None:
        self.task: Task | None = None
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.process = subprocess.Popen(
            own_process("drivers.executors.worker", *modules),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env={**os.environ, "STRATOQUANT_THREADS": str(threads)},
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.inward: IO[bytes] = self.process.stdin
        self.outward: IO[bytes] = self.process.stdout

    def begin(self, task: Task) -> None:
        """Hands it a task. One that is dead is found so when it is listened to."""
        self.task = task
        with suppress(BrokenPipeError):
            send(self.inward, (task.function, task.argument))

    def end(self) -> str:
        """Ends it, whatever it is at; returns how it ended, as a worker that died is told of."""
        self.process.kill()
        code = self.process.wait()
        for file in (self.outward, self.inward):
            try:
                file.close()
            except BrokenPipeError:
                continue  # what it was to be told, it will not read
        self.said.seek(0)
        last = self.said.read().decode(errors="replace").strip().splitlines()[-1:]
        self.said.close()
        return (f"signal {-code}" if code < 0 else f"exit code {code}") + (f", {last[0]}" if last else "")


class _Waiting:
    """Tasks that wait, by turn; of equal turn, in the order in which they came."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._heap: list[tuple[int, int, Task]] = []
        self._count = itertools.count()
        self.add(tasks)

    def add(self, tasks: Sequence[Task]) -> None:
        for task in tasks:
            heapq.heappush(self._heap, (task.turn, next(self._count), task))

    def again(self, task: Task) -> None:
        """Puts a task that was begun before all others of its turn."""
        heapq.heappush(self._heap, (task.turn, -next(self._count), task))

    def next(self) -> Task:
        return heapq.heappop(self._heap)[2]

    def __bool__(self) -> bool:
        return bool(self._heap)


class LocalPool:
    """Worker processes of this machine. threads: that each may use; the cores are shared out where it is 0. modules: what the
    workers import while they wait for their first task; where there are some, the first workers start when the pool is entered,
    the others as tasks come."""

    def __init__(self, workers: int = 0, threads: int = 0, modules: Sequence[str] = ()) -> None:
        self.workers = workers or usable_cores()
        self._threads = threads or max(1, usable_cores() // self.workers)
        self._modules = tuple(modules)
        self._pool: list[_Worker] = []
        self.here = True

    def run(self, tasks: Sequence[Task], then: Then = nothing_more) -> Iterator[Done]:
        """See `Executor.run`."""
        waiting, lost = _Waiting(tasks), Counter[str]()
        with selectors.DefaultSelector() as selector:
            for worker in self._pool:
                selector.register(worker.outward, selectors.EVENT_READ, worker)
            try:
                while waiting or any(worker.task for worker in self._pool):
                    self._hand_out(waiting, selector)
                    for key, _ in selector.select():
                        worker = key.data
                        task: Task | None = worker.task
                        try:
                            value, error = receive(worker.outward)
                        except EOFError:
                            selector.unregister(worker.outward)
                            self._pool.remove(worker)
                            how = worker.end()
                            if task is None:  # it died while it had nothing to do
                                continue
                            lost[task.name] += 1
                            if lost[task.name] < ATTEMPTS:
                                waiting.again(task)
                                continue
                            value, error = None, f"its worker died {ATTEMPTS} times, the last time by {how}"
                        assert task is not None  # a worker answers tasks, and nothing else
                        worker.task = None
                        done = Done(task, value, error)
                        waiting.add(then(done))
                        self._hand_out(waiting, selector)  # whoever takes what is done may take long
                        yield done
            finally:
                for worker in [worker for worker in self._pool if worker.task]:
                    self._pool.remove(worker)
                    worker.end()

    def _hand_out(self, waiting: _Waiting, selector: selectors.BaseSelector) -> None:
        """A task for every worker that has none; workers are started as they are needed."""
        while waiting:
            worker = next((worker for worker in self._pool if worker.task is None), None)
            if worker is None:
                if len(self._pool) == self.workers:
                    return
                worker = self._start()
                selector.register(worker.outward, selectors.EVENT_READ, worker)
            worker.begin(waiting.next())

    def _start(self) -> _Worker:
        with deferred():  # a process that Ctrl-C interrupts while it starts would stay
            worker = _Worker(self._threads, self._modules)
            self._pool.append(worker)
        return worker

    def processes(self) -> list[int]:
        """Ids of the worker processes that there are now."""
        return [worker.process.pid for worker in self._pool]

    def __enter__(self) -> LocalPool:
        while self._modules and len(self._pool) < min(self.workers, AHEAD):
            self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._pool:
            self._pool.pop().end()
