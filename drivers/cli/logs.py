"""`stratoquant logs`: what happened in a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drivers.cli import complete, options
from drivers.cli.common import Failed, project_of, utc_ns
from drivers.cli.say import say, say_json

if TYPE_CHECKING:
    from rich.text import Text

    from drivers.runlog.reading import Query

_STYLES = {
    "entry": "green", "exit": "cyan", "reduction": "cyan", "refusal": "yellow", "fill": "bold green", "reject": "bold red",
    "kill_switch": "bold red", "data_anomaly": "magenta", "regime_change": "blue",
}  # fmt: skip


def logs(
    context: typer.Context,
    run: options.Run,
    symbol: Annotated[str | None, typer.Option(metavar="NAME", help="Lines of this symbol.")] = None,
    layer: Annotated[
        str | None, typer.Option(metavar="L4", autocompletion=complete.layers, help="Lines of this layer: an id or a name.")
    ] = None,
    event: Annotated[str | None, typer.Option(metavar="NAME", help="Lines of this event, e.g. regime_change.")] = None,
    order: Annotated[
        str | None, typer.Option(metavar="ID", help="An order (BTCUSDT-52): decision, bracket, fills, what closes it.")
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Not before this, e.g. 2026-03-01T12:00 (UTC).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Not after this.")] = None,
    level: Annotated[str | None, typer.Option(metavar="LEVEL", help="This or worse: info, warning, error.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Show so many lines.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Of a stream that is going on: its events as they happen, from its journal.")
    ] = False,
    count: Annotated[bool, typer.Option("--count", help="Count the lines, by event.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the lines as they are in the log.")] = False,
) -> None:
    """Show what happened in a run: data anomalies, regime changes, entries, exits, refusals, orders, fills, the kill switch.

    Filters can be combined. Times are market time, in UTC.
    """
    from collections import Counter

    from drivers.runlog.reading import LEVELS, Query, Reading, log_of, why_nothing
    from drivers.text.terminal import Terminal

    if level is not None and level not in LEVELS:
        raise typer.BadParameter(f"{level!r} is none of {', '.join(LEVELS)}", param_hint="--level")
    query = Query(symbol, None if layer is None else _id(layer, run), event, order, utc_ns(since), utc_ns(until), level)
    if follow:
        if order is not None or count or until is not None:
            raise typer.BadParameter("it takes --symbol, --layer, --event, --since, --level and --json", param_hint="--follow")
        _follow(run, query, project_of(context), json)
        return
    path = log_of(run)
    reading, console, found = Reading(path, query), Terminal(), Counter[str]()
    for line in reading.matches():
        found[str(line.get("event"))] += 1
        if json and not count:
            say_json(line, indent=None)
        elif not count:
            console.print(_shown(line), soft_wrap=True, highlight=False)
        if limit is not None and found.total() == limit and not count:
            break
    if count and json:
        say_json(dict(found), indent=None)
    elif count:
        for name, lines in found.most_common():
            say(f"{lines:>9,}  {name}")
    if not found:
        say(why_nothing(path, query), err=True)
    for number, why in reading.damaged[:5]:
        say(f"{path}, line {number}: {why}; it was left out.", err=True)
    if reading.damaged_lines > 5:
        say(f"{path}: {reading.damaged_lines - 5} more lines are damaged.", err=True)


def _id(layer: str, run: Path) -> str:
    """The id of a layer that was given as `L4`, `4` or a name."""
    from drivers.graph.wiring import load
    from drivers.project.locate import WIRING, locate
    from drivers.text.suggestions import layer_hint, layer_named

    own = run / WIRING
    entries = load(own if own.is_file() else locate(None).wiring).layers
    name = layer_named(layer, list(entries))
    if name is None:
        raise typer.BadParameter(f"there is no layer {layer!r}; {layer_hint(layer, list(entries))}", param_hint="--layer")
    return entries[name].id


def _follow(run: Path, query: Query, project: Path | None, json: bool) -> None:
    from drivers.engine.interrupts import graceful
    from drivers.run.follow import follow_events
    from drivers.text.terminal import Terminal

    folder = run if run.suffix == ".partial" else run.with_name(f"{run.name}.partial")
    if not (folder / "journal").is_dir():
        raise Failed(f"no stream of {run} is going on; leave --follow out for one that has ended")
    console = Terminal()

    def take(line: dict[str, Any]) -> None:
        if query.takes(line):
            if json:
                say_json(line, indent=None)
            else:
                console.print(_shown(line), soft_wrap=True, highlight=False)

    with graceful() as stop:
        follow_events(folder, take, project=project, stopped=lambda: stop.asked)


def _shown(line: dict[str, Any]) -> Text:
    """A line in columns: time, event, layer, symbol, order, and the rest in words."""
    from rich.text import Text

    known = ("timestamp", "level", "event", "run", "epoch", "symbol", "layer", "order", "time")
    rest = "  ".join(f"{k.replace('_', ' ')} {_word(v)}" for k, v in line.items() if k not in known and v not in ([], ""))
    name = str(line.get("event", ""))
    return Text.assemble(
        f"{line.get('time', line.get('timestamp', '')):<20}  ",
        (f"{name.replace('_', ' '):<13}", _STYLES.get(name, "")),
        f"  {line.get('layer', ''):<4} {line.get('symbol', ''):<10} {line.get('order', ''):<14} {rest}",
    )


def _word(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
