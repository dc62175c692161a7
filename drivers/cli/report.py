"""`stratoquant report`: a run's report again, or two runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli.say import say, say_json


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run's results.")],
    other: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="A second run: the two are compared.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The page to write. Without it: report.html in the run's folder; of two runs, compare_RUN_RUN.html here.",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON instead of writing a page.")] = False,
) -> None:
    """Write the report of a run, or compare two runs.

    A report is one HTML file that works offline. It shows equity and drawdown, exposure, trades on the price with their
    reasons, decisions and refusals, costs, the contribution of each source, data quality, and every figure with its
    definition. A comparison shows both accounts and their figures side by side, the settings that differ, and the decisions
    that differ.
    """
    from drivers.files.atomic import write_atomic
    from drivers.report.compare import write_comparison
    from drivers.report.contents import read_report
    from drivers.report.html import NAME, report_page

    runs = [read_report(folder) for folder in (run, other) if folder is not None]
    if json:
        payload = [{"run": each.name, "figures": {f.key: f.as_dict() for f in each.figures}} for each in runs]
        say_json(payload[0] if other is None else payload)
        return
    if other is None:
        path = out or run / NAME
        write_atomic(path, report_page(runs[0]))
    else:
        path = write_comparison(runs[0], runs[1], out or Path(f"compare_{runs[0].name}_{runs[1].name}.html"))
    say(str(path))
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
