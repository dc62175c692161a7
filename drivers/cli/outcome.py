"""What a finished run prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from drivers.batch import RunResult


def show(result: RunResult) -> None:
    """The summary, and where the results are."""
    from drivers.store.summary import table

    console = Console()
    console.print(table(result.summary))
    console.print(f"Results: {result.out}", highlight=False)
