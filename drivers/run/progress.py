"""The progress of a run, for whoever waits for it: a bar on a terminal, and plain lines in a log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from drivers.text.inert import shown

SECONDS_BETWEEN_LINES = 3.0


@contextmanager
def progress_bar(console: Console, *, seconds: float | None = None) -> Iterator[Progress]:
    """A progress bar with the time gone and left, which vanishes when done; lines of text where there is no terminal.

    seconds: between two such lines; None: SECONDS_BETWEEN_LINES. What takes less says nothing.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), _Steps(), TimeElapsedColumn(), _TimeLeft())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        if console.is_terminal:
            yield progress
            return
        done = Event()
        teller = Thread(target=_tell, args=(progress, console, done, seconds or SECONDS_BETWEEN_LINES), daemon=True)
        teller.start()
        try:
            yield progress
        finally:
            done.set()
            teller.join()


class _Steps(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(steps_of(task))


class _TimeLeft(TimeRemainingColumn):
    """The time left, of tasks whose steps cost alike: `even` of the task's fields says so."""

    def render(self, task: Task) -> Text:
        return super().render(task) if task.fields.get("even", True) else Text()


def _tell(progress: Progress, console: Console, done: Event, seconds: float) -> None:
    """Writes where the last task is, until done."""
    while not done.wait(seconds):
        task = next((task for task in reversed(progress.tasks) if not task.finished), None)
        if task is not None:
            try:
                console.file.write(f"{shown(line_of(task))}\n")
                console.file.flush()
            except OSError:
                return  # whoever read it is gone


def line_of(task: Task) -> str:
    """`Compiling l12_regression_slope_short: 11 of 99, 0:00:34`."""
    seconds = int(task.elapsed or 0.0)
    parts = (steps_of(task), f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}")
    return f"{task.description}: {', '.join(part for part in parts if part)}"


def steps_of(task: Task) -> str:
    """`11 of 99`; of a task that counts to 1, how much of it is done."""
    if task.total is None:
        return ""
    return f"{task.completed:.0%}" if task.total == 1.0 else f"{task.completed:,.0f} of {task.total:,.0f}"
