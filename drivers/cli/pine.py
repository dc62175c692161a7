"""`stratoquant pine`: a run on a TradingView chart, and what comes back from there."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.cli.say import say, say_json

if TYPE_CHECKING:
    from drivers.pine.export import Exported

app = typer.Typer(no_args_is_help=True, help="Show a run on a TradingView chart, and check that the chart agrees.")

Run = Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run's results.")]
Symbol = Annotated[str | None, typer.Option(metavar="S", help="The symbol. Needed where the run has several.")]


class Printed(StrEnum):
    """What `export` prints where no folder is named."""

    mirror = "mirror"
    strategy = "strategy"
    payload = "payload"
    records = "records"


@app.command("export")
def export(
    run: Run,
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
