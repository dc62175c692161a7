"""The progress of a run, for whoever waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from drivers.engine.engine import Engine


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """A progress bar with the time left, gone when done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def warm_up(engine: Engine, progress: Progress) -> None:
    """Compiles every layer, or loads it from the cache, with a bar."""
    stage = engine.plan.stage
    total = len(stage["columnar"]) + len(stage["post"]) + len(stage["step"]) + 1
    task = progress.add_task("Compiling", total=total)

    def on_layer(name: str) -> None:
        progress.update(task, advance=1, description=f"Compiling {name}")

    engine.warm_up(on_layer)
    progress.remove_task(task)
