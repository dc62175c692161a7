"""`stratoquant domain`: one domain of the graph by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import complete, options
from drivers.cli.app import App
from drivers.cli.common import names, project_of, utc_ns
from drivers.cli.say import say_json

app = App(help="Run one domain alone; change one by a machine spec.")


@app.command("run")
def run(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", autocompletion=complete.domains, help="The domain, as wiring_master.yaml names it.")
    ],
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="RUN_OR_DATA",
            help="The results of a run, or market data: a folder or a partitioned data set, or the URL of either.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder of the results. Without it: runs/NAME-<time>.")
    ] = None,
    overwrite: options.Overwrite = False,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DIR", help="The market data of the run, if they are no longer where it found them."),
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option("--symbols", metavar="A,B", help="Of market data: take these only. Of a run: show these only."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--start", metavar="TIME", help="Of market data: take bars that close after this. Of a run: show them."),
    ] = None,
    end: options.End = None,
    overrides: options.Set = None,
    spec: options.Spec = None,
    json: Annotated[bool, typer.Option("--json", help="Print the figures of every field as JSON.")] = False,
) -> None:
    """Run one domain alone, on the results of a run or on market data.

    On a run, the domain's layers take the recorded outputs of the other domains, and reproduce their own to the bit. With
    --set or --spec the outputs change, and the summary reports which fields changed and by how much. Wiring and
    configuration are those of the run unless --project names others. The computation always begins at the run's first bar,
    so that the layers have the same memory; --start and --symbols choose what is shown. Data that a run does not record
    (the levels of the book) are computed again from its market data.

    Layers that depend on the account (risk, execution), or on what was learned of it (regime, pattern, fusion), run in an open
    loop on a run: what the other domains gave stays that of the run, whatever this domain does differently. Only a full run
    shows how the account would have developed. On market data everything that the domain depends on is computed too, the
    account included: a closed loop.
    """
    from drivers.domain import run_domain

    result = run_domain(
        name,
        source,
        out=out,
        data=data,
        symbols=names(symbols),
        start=utc_ns(start),
        end=utc_ns(end),
        overrides=tuple(overrides or ()),
        spec=spec,
        project=project_of(context),
        overwrite=overwrite,
    )
    from drivers.domain.summary import as_records, table, verdict

    found = result.figures()
    if json:
        payload = {
            "out": str(result.out),
            "domain": name,
            "loop": result.loop,
            "notes": result.notes,
            "fields": as_records(found),
        }
        say_json(payload)
        return
    from drivers.text.terminal import Terminal

    console = Terminal()
    console.print(table(found, f"{name}, {result.run.about['bars']} bars of {', '.join(result.run.symbols)}"))
    for note in result.notes:
        console.print(f"- {note}", highlight=False, soft_wrap=True)
    if result.source is not None:
        console.print(verdict(found), highlight=False, soft_wrap=True)
    console.print(f"Results: {result.out}", highlight=False, soft_wrap=True)
