"""`stratoquant explain`: from an order, or a refusal, back to the market data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.cli import options
from drivers.cli.common import project_of
from drivers.cli.say import say, say_json

WIDE = 1000
PICTURE = 130  # letters in a line below a picture

if TYPE_CHECKING:
    from drivers.explain.trace import Explanation


def explain(
    context: typer.Context,
    run: options.Run,
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="ORDER | SYMBOL TIME",
            help="An order's id, as BTCUSDT-52; or a symbol and a time (UTC), as BTCUSDT 2026-03-01 12:00.",
        ),
    ],
    trace: Annotated[
        bool, typer.Option("--trace", help="Also show every layer on the way back to the market data, with its values.")
    ] = False,
    up: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="With --trace, which it implies: go back N steps only.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="With --trace, which it implies: every value of every layer, unknown ones too.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Draw it: .svg, .png or .dot. The ten layers that mattered; with --trace, all."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Explain an order, or why there was none: the reasons, the size and the outcome in a paragraph, then what spoke for it.

    The paragraph says why the order was sent (expected move, its cost, score, chance of success, horizon), why it has its size
    (the caps that lowered it), and what came of it. The table ranks the sources by their part of the expected move. With
    --trace follow the layers back to the market data, with their values at that close as the run recorded them. The way begins
    at L5, which sends orders, or at L4 where nothing was approved. A layer appears once, below the first layer that takes it.

    Order ids are in orders.parquet, in report.html, and in `stratoquant logs RUN --event order`. `stratoquant logs RUN --event
    refusal` lists what was refused and when.
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
    found = way_back(recorded, target_of(recorded, " ".join(what)), project=locate(project_of(context)))
    traced = trace or full or up is not None
    if json:
        from drivers.explain.show import as_data

        say_json({"run": recorded.folder.name, **as_data(found.to(up))})
    elif out is not None:
        say(f"{out}: {found.target.name}, {_draw(found, out, up, traced)} layers.")
    else:
        from drivers.explain.show import short, tree
        from drivers.text.terminal import Terminal

        console = Terminal(highlight=False)
        if not console.is_terminal:  # a file or a pipe has no edge to wrap at
            console = Terminal(highlight=False, width=WIDE)
        console.print(short(found))
        if traced:
            console.print(tree(found.to(up), full=full))
        else:
            say("--trace shows every layer on the way back to the market data.")


def _draw(found: Explanation, out: Path, up: int | None, traced: bool) -> int:
    """Draws the ten layers that mattered, or all; returns how many."""
    from drivers.diagrams import dot
    from drivers.diagrams.picture import source
    from drivers.explain.mattered import mattered
    from drivers.explain.show import headline, lines_of

    shown = found.to(up).selection() if traced else mattered(found)
    dot.write(out, source(found.model, shown, notes=lines_of(found), about=_wrapped(headline(found))))
    return len(shown.layers)


def _wrapped(lines: list[str]) -> list[str]:
    from textwrap import wrap

    return [part for line in lines for part in wrap(line, PICTURE)]
