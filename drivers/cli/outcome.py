"""What a finished run prints."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.cli.common import Failed
from drivers.text.terminal import Terminal

if TYPE_CHECKING:
    from drivers.run.batch import RunResult


def show(result: RunResult) -> None:
    """The summary, where the results are, and what to look at next. Raises Failed when only the report is missing."""
    from drivers.store.summary import table

    console = Terminal()
    console.print(table(result.summary))
    console.print(f"Results: {result.out}", highlight=False, soft_wrap=True)
    if result.uncounted:
        console.print(f"Not counted as a trial: {result.uncounted}.", highlight=False, soft_wrap=True)
    if result.report_failed:
        raise Failed(
            f"The results in {result.out} are whole, but their report could not be made: {result.report_failed}. Make it with: "
            f"stratoquant report {result.out}"
        )
    out = shlex.quote(str(result.out))
    if isinstance(result.out, Path) and (report := result.out / "report.html").is_file():
        console.print(f"Open {report} in a browser. ", end="", highlight=False, soft_wrap=True)
    console.print(
        f"Next: stratoquant logs {out} tells what happened, stratoquant explain {out} ORDER_ID why.",
        highlight=False,
        soft_wrap=True,
    )
