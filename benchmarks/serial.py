"""An executor that runs tasks in this process, one after another: for tests, and for measuring without other processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

from drivers.executors.protocol import Done, Task, Then, attempt, nothing_more


class Serial:
    """See `Executor`. `pick` and `end` may be overridden."""

    workers, here = 1, True

    def run(self, tasks: Sequence[Task], then: Then = nothing_more) -> Iterator[Done]:
        """See `Executor.run`."""
        waiting = list(tasks)
        while waiting:
            done = self.end(self.pick(waiting))
            waiting.extend(then(done))
            yield done

    def pick(self, waiting: list[Task]) -> Task:
        """Takes the task that is next: the first of the lowest turn."""
        return waiting.pop(min(range(len(waiting)), key=lambda i: waiting[i].turn))

    def end(self, task: Task) -> Done:
        """Runs a task."""
        return Done(task, *attempt(task.function, task.argument))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """There is no worker to end."""
