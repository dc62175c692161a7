"""Tasks on processes of this machine.

Workers are started as programs of their own, so that no script of a user is imported again, and are kept while there are
tasks: imports and machine code are loaded once. A worker whose parent is gone ends.
"""

from __future__ import annotations

import os
import pickle
import selectors
import struct
import subprocess
import tempfile
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import IO, Any, Final

from drivers.engine.interrupts import deferred
from drivers.executors.protocol import ATTEMPTS, Done, Task, usable_cores
from drivers.project.own_process import own_process

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

    def __init__(self, threads: int) -> None:
        self.task: Task | None = None
        self.said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        self.process = subprocess.Popen(
            own_process("drivers.executors.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env={**os.environ, "STRATOQUANT_THREADS": str(threads)},
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.inward: IO[bytes] = self.process.stdin
        self.outward: IO[bytes] = self.process.stdout

    def begin(self, task: Task) -> bool:
        """Hands it a task; False where it is dead."""
        self.task = task
        try:
            send(self.inward, (task.function, task.argument))
        except BrokenPipeError:
            return False
        return True

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


class LocalPool:
    """Worker processes of this machine. threads: that each may use; the cores are shared out where it is 0."""

    def __init__(self, workers: int = 0, threads: int = 0) -> None:
        self.workers = workers or usable_cores()
        self._threads = threads or max(1, usable_cores() // self.workers)
        self._pool: list[_Worker] = []
        self.here = True

    def run(self, tasks: Sequence[Task]) -> Iterator[Done]:
        """See `Executor.run`."""
        waiting, lost = deque(tasks), Counter[str]()
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
                                waiting.appendleft(task)
                                continue
                            value, error = None, f"its worker died {ATTEMPTS} times, the last time by {how}"
                        assert task is not None  # a worker answers tasks, and nothing else
                        worker.task = None
                        yield Done(task, value, error)
            finally:
                for worker in [worker for worker in self._pool if worker.task]:
                    self._pool.remove(worker)
                    worker.end()

    def _hand_out(self, waiting: deque[Task], selector: selectors.BaseSelector) -> None:
        """A task for every worker that has none; workers are started as they are needed."""
        while waiting:
            worker = next((worker for worker in self._pool if worker.task is None), None)
            if worker is None:
                if len(self._pool) == self.workers:
                    return
                with deferred():  # a process that Ctrl-C interrupts while it starts would stay
                    worker = _Worker(self._threads)
                    self._pool.append(worker)
                selector.register(worker.outward, selectors.EVENT_READ, worker)
            worker.begin(waiting.popleft())  # one that is dead is found so when it is listened to

    def processes(self) -> list[int]:
        """Ids of the worker processes that there are now."""
        return [worker.process.pid for worker in self._pool]

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._pool:
            self._pool.pop().end()
