"""`stratoquant report`: a run's report again, or several runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.say import say, say_json


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", parser=options.results, help="Results of runs: folders, or URLs. Of two or more: a comparison."
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="The page to write. Without it: report.html in the run's folder; of several runs, compare_RUN_RUN.html here.",
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            metavar="LAYER.FIELD",
            help="A recorded field to draw under the price, as l12_regression_slope_short.t_stat. Give it again for more. "
            "Without it: the score (L7) and the edge (L3).",
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON instead of writing a page.")] = False,
) -> None:
    """Write the report of a run, or compare runs.

    A report is one HTML file that works offline. It shows equity beside buy and hold, drawdown, exposure, returns by day and
    month, candles with fills, stops and layer fields, round trips with their reasons, decisions and refusals, costs, the
    contribution of each source, data quality, and every figure with its definition. A comparison shows the accounts and their
    figures side by side and the settings that differ; of two runs, also the decisions that differ.
    """
    from drivers.files.atomic import write_atomic
    from drivers.report.compare import write_comparison
    from drivers.report.contents import read_report
    from drivers.report.html import NAME, report_page

    if field and len(runs) > 1:
        raise typer.BadParameter("a comparison draws no fields; give it with one run", param_hint="--field")
    reports = [read_report(folder, fields=field or ()) for folder in runs]
    if json:
        payload = [{"run": each.name, "figures": {f.key: f.as_dict() for f in each.figures}} for each in reports]
        say_json(payload[0] if len(payload) == 1 else payload)
        return
    if len(reports) == 1:
        path = out or runs[0] / NAME
        write_atomic(path, report_page(reports[0]))
    else:
        path = write_comparison(reports, out or Path(f"compare_{reports[0].name}_{reports[-1].name}.html"))
    say(str(path))
    if show:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())
