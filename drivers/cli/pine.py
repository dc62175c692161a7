"""`stratoquant pine`: a run on a TradingView chart, and what comes back from there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.cli import options
from drivers.cli.app import App
from drivers.cli.say import say, say_json

if TYPE_CHECKING:
    from drivers.pine.export import Exported

app = App(help="Show a run on a TradingView chart, and check that the chart agrees.")

Symbol = Annotated[str | None, typer.Option(metavar="S", help="The symbol. Needed where the run has several.")]


class Printed(StrEnum):
    """What `export` prints where no folder is named."""

    mirror = "mirror"
    strategy = "strategy"
    payload = "payload"
    records = "records"


@app.command("export")
def export(
    run: options.Run,
    symbol: Symbol = None,
    bars: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="The last N bars. Without it: 120, or fewer where they take over 4,000 characters."
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="DIR", help="Write both scripts, the payload and the records here.")
    ] = None,
    what: Annotated[
        Printed, typer.Option("--print", help="What to print without -o, ready for the clipboard.")
    ] = Printed.mirror,
) -> None:
    """Make the Pine scripts of a run: what Python said, to be compared on a TradingView chart.

    Paste the script into the Pine editor of a chart with the same symbol and clock. With -o every symbol is written, or the one
    that --symbol names: one folder each. Without -o one text is printed: `stratoquant pine export RUN --symbol S | xclip`.
    """
    from drivers.pine.export import export as made_of
    from drivers.pine.recorded import symbol_of
    from drivers.store.reader import open_run

    recorded = open_run(run)
    if out is None:
        found = made_of(recorded, symbol_of(recorded, symbol), bars)
        _print(found, what)
        say(_summary(found), err=True)
        return
    from drivers.pine.export import folder_names, write

    wanted = recorded.symbols if symbol is None else (symbol_of(recorded, symbol),)
    names = folder_names(recorded.symbols)
    for each in wanted:
        found = made_of(recorded, each, bars)
        folder = out / names[each] if symbol is None and len(wanted) > 1 else out
        write(found, folder)
        say(f"{folder}: {_summary(found)}")


def _print(found: Exported, what: Printed) -> None:
    from drivers.pine.render import MIRROR, STRATEGY

    if what is Printed.records:
        say_json(found.records)
    elif what is Printed.payload:
        say(found.payload)
    else:
        say(found.scripts[MIRROR if what is Printed.mirror else STRATEGY])


def _summary(found: Exported) -> str:
    from drivers.pine.payload import LITERAL

    short = f" of {found.asked} asked for" if found.bars < found.asked else ""
    apart = "; too long for the script, so paste the payload into its input field" if len(found.payload) > LITERAL else ""
    return f"{found.symbol}, {found.bars} bars{short}, a payload of {len(found.payload):,} characters{apart}."


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="What TradingView's `Export chart data` wrote.")],
    run: Annotated[Path, typer.Option("--run", metavar="RUN", parser=options.results, help="The results of the run.")],
    symbol: Symbol = None,
    tolerance: Annotated[
        float, typer.Option(min=0.0, metavar="X", help="Relative difference up to which what is measured is equal.")
    ] = 1e-6,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Compare data exported from a chart with the run, bar by bar: a verdict, and the first difference.

    The mirror must be on the chart when its data are exported. Regime and side must be equal; numbers may differ by
    --tolerance. The exit code is 1 where anything differs or nothing could be compared.
    """
    from dataclasses import asdict

    from rich.table import Table

    from drivers.cli.common import Failed
    from drivers.pine.check import check as compared
    from drivers.pine.recorded import read_symbol, symbol_of
    from drivers.store.reader import open_run
    from drivers.text.terminal import Terminal
    from drivers.text.times import SECOND_NS, stamp

    recorded = open_run(run)
    found = compared(file, read_symbol(recorded, symbol_of(recorded, symbol)), tolerance)
    if json:
        say_json({**asdict(found), "equal": found.equal, "words": found.words})
        if not found.equal:
            raise typer.Exit(1)
        return
    table = Table("series", "bars", "differ", "largest error", "first difference (UTC)", "chart", "run")
    for each in found.series:
        first = each.first
        at = ("", "", "") if first is None else (stamp(first.time * SECOND_NS), f"{first.chart:.10g}", f"{first.python:.10g}")
        table.add_row(each.title, f"{each.bars:,}", f"{each.differ:,}", f"{each.error:.2g}", *at)
    Terminal().print(table)
    if found.only_chart or found.only_run:
        say(f"{found.only_chart:,} bars are on the chart only, {found.only_run:,} in the run only.")
    if not found.equal:
        raise Failed(found.words)
    say(found.words)


@app.command("listen")
def listen(
    context: typer.Context,
    run: Annotated[
        Path, typer.Option("--run", metavar="RUN", help="The folder of a run's results, or of a stream that is going on.")
    ],
    address: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Where to listen.")] = "127.0.0.1:8099",
    token: Annotated[
        str | None,
        typer.Option(
            envvar="STRATOQUANT_PINE_TOKEN",
            metavar="TOKEN",
            help="What the script's input `Alert token` holds, 16 characters or more. Without it: one is made and shown.",
        ),
    ] = None,
    heartbeat: Annotated[
        float | None,
        typer.Option(min=1.0, metavar="SECONDS", help="Silence that is a fault. Without it: two bars and half a minute."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Listen where other machines can reach it.")] = False,
) -> None:
    """Receive the alerts of charts and hold them against the engine: what differs, and silence, are events in the run's log.

    On the chart: an alert of the mirror on `Any alert() function call`, with a webhook to this address. TradingView calls
    ports 80 and 443 of public hosts only, so a proxy of your own must forward to here. Nothing that arrives can lead to an
    order. A running stream is followed by its journal. Ctrl-C ends it.
    """
    import secrets

    from drivers.cli.common import project_of
    from drivers.engine.interrupts import graceful
    from drivers.run.listen import listen as until
    from drivers.text.addresses import address_of

    if token is not None and len(token) < 16:
        raise typer.BadParameter("a token has 16 characters or more", param_hint="--token")
    place = address_of(address, public=public)
    secret = token or secrets.token_urlsafe(16)
    if token is None:
        say(f"Alert token: {secret}")
    with graceful() as stop:
        counts = until(
            run, place, secret, patience=heartbeat, project=project_of(context), tell=say, stopped=lambda: stop.asked
        )
    say(", ".join(f"{name} {count:,}" for name, count in counts.items()))
