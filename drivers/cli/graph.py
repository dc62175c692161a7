"""`stratoquant graph`: the map of the layers, drawn."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import complete, options
from drivers.cli.common import project_of
from drivers.cli.say import say


class Form(StrEnum):
    """What the picture is written as."""

    svg = "svg"
    png = "png"
    dot = "dot"
    html = "html"


def graph(
    context: typer.Context,
    domain: Annotated[
        str | None,
        typer.Option(metavar="NAME", autocompletion=complete.domains, help="Only this domain, with its inputs and outputs."),
    ] = None,
    layer: Annotated[
        str | None,
        typer.Option(
            metavar="L37", autocompletion=complete.layers, help="Only the surroundings of this layer: an id or a name."
        ),
    ] = None,
    up: Annotated[int, typer.Option(min=0, help="With --layer: steps towards the market data.")] = 1,
    down: Annotated[int, typer.Option(min=0, help="With --layer: steps towards the orders.")] = 1,
    path: Annotated[
        tuple[str, str] | None, typer.Option(metavar="L0 L4", help="Only the paths from the first layer to the second.")
    ] = None,
    external: Annotated[bool, typer.Option("--external", help="Also show the inputs that come from the engine.")] = False,
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="FILE", help="Where to: .svg, .png, .dot, or .html for a page to explore."),
    ] = Path("graph.svg"),
    run: Annotated[
        Path | None,
        typer.Option("--run", metavar="RUN", parser=options.results, help="On a page: show this run's values at a bar."),
    ] = None,
    at: Annotated[str | None, typer.Option(metavar="TIME", help="With --run: the bar that is shown first.")] = None,
    symbol: Annotated[str | None, typer.Option(metavar="NAME", help="With --run: the symbol that is shown first.")] = None,
) -> None:
    """Draw the graph of layers: all of it, a domain, a layer's surroundings, or the paths between two.

    Each domain is a box with its own colour; delayed edges are dashed and labelled with their delay. L4, the risk gate, is red,
    and so is every path from a proposal to an order: all lead through it.
    A page (-o graph.html) opens in any browser, offline: search, zoom, click a layer for its method, fields, settings and code.
    """
    form = _form(out)
    if form is not Form.html and (run or at or symbol):
        raise typer.BadParameter("only an HTML page shows values; write -o graph.html", param_hint="--run, --at, --symbol")
    if sum(x is not None for x in (domain, layer, path)) > 1:
        raise typer.BadParameter("give only one of these", param_hint="--domain, --layer, --path")
    if form is Form.html and (domain or layer or path):
        raise typer.BadParameter(
            "an HTML page always shows the whole graph; select inside the page", param_hint="--domain, --layer, --path"
        )
    if (at or symbol) and run is None:
        raise typer.BadParameter("these need a run; name it with --run", param_hint="--at, --symbol")

    from drivers.diagrams.model import read_model
    from drivers.project.locate import locate

    project = locate(project_of(context))
    if form is Form.html:
        from drivers.diagrams.page import write_page
        from drivers.store.kept import instead
        from drivers.store.reader import open_run

        model = read_model(project)
        recorded = None if run is None else open_run(run)
        write_page(out, model, project, run=recorded, at=at, symbol=symbol)
        say(f"{out}: {len(model.layers)} layers.")
        if recorded is not None and recorded.kept != "all":
            say(f"It shows few values: {instead(recorded.kept)}.")
        return
    from drivers.diagrams import dot
    from drivers.diagrams.picture import source
    from drivers.diagrams.selection import selected

    model = read_model(project)
    shown = selected(model, domain_=domain, layer=layer, up=up, down=down, path=path, inputs=external)
    dot.write(out, source(model, shown))
    say(f"{out}: {shown.title}; {len(shown.shown)} layers and {len(shown.edges)} edges.")


def _form(out: Path) -> Form:
    try:
        return Form(out.suffix.lower().removeprefix("."))
    except ValueError:
        known = ", ".join(f".{form}" for form in Form)
        raise typer.BadParameter(f"{out} is none of {known}", param_hint="-o") from None
