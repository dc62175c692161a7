"""`stratoquant explain`: from an order, or a refusal, back to the market data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.cli.common import project_of
from drivers.cli.say import say, say_json

WIDE = 1000

if TYPE_CHECKING:
    from drivers.explain.trace import Explanation


def explain(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run's results.")],
    what: Annotated[
        str,
        typer.Argument(
            metavar='ORDER|"SYMBOL TIME"',
            help='An order\'s id, as BTCUSDT-52; or a symbol and a time (UTC), as "BTCUSDT 2026-03-01T12:00", in quotes.',
        ),
    ],
    up: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Go back N steps. Without it: back to the market data.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show every value of every layer, unknown ones too.")] = False,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write a picture instead: .svg, .png or .dot.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show how an order came about, or why there was none: the layers back to the market data, with their values.

    An order is traced back from L5, which sent it; a symbol and a time from L4, which approved or refused it. All values
    are those of that close, as the run recorded them. Values that the run did not record are listed as missing. A layer
    appears once, below the first layer that takes it.

    Order ids are in orders.parquet, in report.html, and in `stratoquant logs RUN --event order`. `stratoquant logs RUN --event
    refusal` lists what was refused and when. Use --up 2 for the decisive part, and --full for every value.
    """
    if out is not None and json:
        raise typer.BadParameter("give either -o or --json, not both", param_hint="-o, --json")
    if out is not None and out.suffix.lower() not in (".svg", ".png", ".dot"):
        raise typer.BadParameter(f"{out} is none of .svg, .png, .dot", param_hint="-o")

    from drivers.explain.target import target_of
    from drivers.explain.trace import explain as way_back
    from drivers.project.locate import locate
    from drivers.store.reader import open_run

    recorded = open_run(run)
    found = way_back(recorded, target_of(recorded, what), up=up, project=locate(project_of(context)))
    if json:
        from drivers.explain.show import as_data

        say_json({"run": recorded.folder.name, **as_data(found)})
    elif out is not None:
        _draw(found, out)
        say(f"{out}: {found.target.name}, {len(found.steps)} layers.")
    else:
        from drivers.explain.show import tree
        from drivers.text.terminal import Terminal

        console = Terminal(highlight=False)
        if not console.is_terminal:  # a file or a pipe has no edge to wrap at
            console = Terminal(highlight=False, width=WIDE)
        console.print(tree(found, full=full))


def _draw(found: Explanation, out: Path) -> None:
    from drivers.diagrams import dot
    from drivers.diagrams.picture import source
    from drivers.explain.show import headline, lines_of

    dot.write(out, source(found.model, found.selection(), notes=lines_of(found), about=headline(found)))
