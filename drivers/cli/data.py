"""`stratoquant data`: make market data, and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli.common import Failed, names

app = typer.Typer(help="Make market data, and check what is wrong with some.", no_args_is_help=True, rich_markup_mode=None)


@app.command("simulate")
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make; it must not exist yet.")],
    days: Annotated[int, typer.Option(min=1, help="Days of market.")] = 14,
    symbols: Annotated[str | None, typer.Option(metavar="A,B", help="Names of the symbols, the first the leader.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same market, to the bit.")] = 7,
    clock: Annotated[str, typer.Option(metavar="TIME", help="Length of a bar: a number and s, m or h.")] = "1m",
    start: Annotated[str, typer.Option(metavar="DATE", help="First day.")] = "2026-01-05",
    edge: Annotated[float, typer.Option(min=0.0, help="Strength of the planted edge; 0 plants none.")] = 1.0,
    snapshots: Annotated[int, typer.Option(min=1, help="Snapshots of the book in each bar.")] = 1,
    book: Annotated[bool, typer.Option(help="Write the 10-level book.")] = True,
    trades: Annotated[bool, typer.Option(help="Write the trades.")] = True,
) -> None:
    """Make a market: several correlated symbols with bars, 10-level books and aggressor-side trades.

    It has volatility that clusters and changes regime, jumps, order flow with long memory and an impact that fades, a crash
    day, an exchange outage, bad ticks, and a weak edge that a system can learn.
    """
    from rich.console import Console

    from drivers.engine.wiring import duration_ns
    from drivers.feeds.simulate import simulate as write
    from drivers.feeds.simulate.market import DEFAULT_SYMBOLS

    try:
        seconds = duration_ns(clock) // 1_000_000_000
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--clock") from None
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"Simulating {days} days", total=1.0)
        write(
            folder,
            seed=seed,
            symbols=names(symbols) or DEFAULT_SYMBOLS,
            days=days,
            clock_seconds=seconds,
            start=start,
            edge=edge,
            snapshots=snapshots,
            book=book,
            trades=trades,
            progress=lambda done: progress.update(task, completed=done),
        )
    typer.echo(f"{folder} holds the market; run it with: stratoquant run --data {folder}")


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of market data.")],
    symbols: Annotated[str | None, typer.Option(metavar="A,B", help="Check these symbols only.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what a folder of market data holds, and what is wrong with it.

    Impossible values, gaps, duplicates, outliers, bad books, each with its first place. Fails when a run would refuse the data.
    """
    from drivers.feeds.check import check_dataset

    report = check_dataset(folder, symbols=names(symbols))
    if json:
        import json as jsonlib

        typer.echo(jsonlib.dumps(report.as_dict(), indent=2, default=str))
    else:
        from rich.console import Console

        Console().print(report)
    if not report.ok:
        raise Failed(report.faults[-1].sentence)
