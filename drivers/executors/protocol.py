"""What runs tasks, and what a task is.

A task is coarse (a whole run, seconds to hours) and depends on no other. It is named by a function of an importable module and
its argument, so that any process can run it. An executor hands results on as they come, in any order. A worker that dies costs
the task that it was at, and that task is begun again elsewhere, `ATTEMPTS` times at most.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol

ATTEMPTS: Final = 3
"""How often a task is begun whose workers die."""


@dataclass(frozen=True)
class Task:
    """name: for messages, and one of its own. function: `module:name`; it takes the argument. argument: what can be pickled.
    turn: of the tasks that wait, one of the lowest turn is begun first."""

    name: str
    function: str
    argument: Any = None
    turn: int = 0


@dataclass(frozen=True)
class Done:
    """A task that ended. error: empty, or why there is no value, in a sentence."""

    task: Task
    value: Any = None
    error: str = ""


Then = Callable[[Done], Sequence[Task]]


def nothing_more(_: Done) -> Sequence[Task]:
    """Makes no other task possible."""
    return ()


class Executor(Protocol):
    """Runs tasks. As a context manager it gives its workers back."""

    @property
    def workers(self) -> int:
        """How many tasks run at a time."""

    @property
    def here(self) -> bool:
        """Whether the workers are of this machine, and share its files."""

    def run(self, tasks: Sequence[Task], then: Then = nothing_more) -> Iterator[Done]:
        """Each task once it has ended, in the order in which they end. What a task raises is its error and ends nothing else.
        then: gives the tasks that the end of one makes possible; they are run as well. Whoever stops before the last one leaves
        no task running."""

    def __enter__(self) -> Executor: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def function_of(name: str) -> Callable[[Any], Any]:
    """The function `module:name`."""
    module, _, function = name.partition(":")
    found: Callable[[Any], Any] = getattr(importlib.import_module(module), function)
    return found


def attempt(function: str, argument: Any) -> tuple[Any, str]:
    """(what a function returns, empty) or (None, what it raised, in a sentence)."""
    try:
        return function_of(function)(argument), ""
    except Exception as error:
        text = " ".join(str(error).split())
        ours = type(error).__module__.partition(".")[0] in ("drivers", "dataflows", "stratoquant")
        return None, text if ours and text else f"{type(error).__name__}: {text}".removesuffix(": ")


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
