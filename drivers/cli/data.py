"""`stratoquant data`: make, import and check market data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from drivers.cli.app import App
from drivers.cli.common import Failed, names
from drivers.cli.say import say, say_json

app = App(help="Import market data from other formats, fetch them from an exchange, check and simulate them.")


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
    from drivers.feeds.simulate import simulate as write
    from drivers.feeds.simulate.market import DEFAULT_SYMBOLS
    from drivers.run.progress import progress_bar
    from drivers.text.terminal import Terminal
    from drivers.text.times import parse_duration

    try:
        seconds = parse_duration(clock) // 1_000_000_000
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--clock") from None
    with progress_bar(Terminal(stderr=True)) as progress:
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
    say(f"{folder} holds the market; run it with: stratoquant run --data {folder}")


Unit = Literal["s", "ms", "us", "ns"]


@app.command("import")
def import_(
    sources: Annotated[
        list[Path], typer.Argument(metavar="SOURCE...", help="Files, zip archives, or folders with all below them.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The market-data folder to make.")],
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="A known layout, e.g. binance-klines; `data presets` lists them.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=THEIRS",
            help="Our column and theirs, e.g. timestamp=ts; volume=none imports it as unknown. Repeatable.",
        ),
    ] = None,
    header: Annotated[
        str | None, typer.Option(metavar="A,B", help="Names of the columns, where files have no header or another one.")
    ] = None,
    symbol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The symbol, or a pattern of the file names like '{symbol}_*'; else column or file name."
        ),
    ] = None,
    kind: Annotated[
        Literal["bars", "book", "trades", "funding", "splits", "dividends", "alpha"] | None,
        typer.Option(help="What the files hold."),
    ] = None,
    only: Annotated[
        str | None, typer.Option(metavar="GLOB", help="Of folders and archives, take files of such names, e.g. '*_5.csv'.")
    ] = None,
    stamp: Annotated[Literal["open", "close"] | None, typer.Option(help="The end of the bar that its time names.")] = None,
    clock: Annotated[
        str | None, typer.Option(metavar="TIME", help="Length of a bar, e.g. 1m; else as they are spaced.")
    ] = None,
    calendar: Annotated[str | None, typer.Option(metavar="NAME", help="24/7, or an exchange calendar, e.g. XNYS.")] = None,
    time_unit: Annotated[Unit | None, typer.Option(help="Unit of times that are numbers; else by magnitude.")] = None,
    timezone: Annotated[str | None, typer.Option(metavar="ZONE", help="Zone of times without one, e.g. Europe/Berlin.")] = None,
    time_format: Annotated[
        str | None, typer.Option(metavar="FORM", help="How times are written, e.g. '%d/%m/%Y %H:%M'; else by their look.")
    ] = None,
    skip_lines: Annotated[int | None, typer.Option(min=0, help="Lines of text before the table; else found.")] = None,
    encoding: Annotated[str | None, typer.Option(metavar="NAME", help="Encoding of text, e.g. gbk; else UTF-8.")] = None,
    decimal: Annotated[
        str | None, typer.Option(metavar="MARK", help="Decimal mark of numbers, . or ,; else as the numbers show it.")
    ] = None,
    scale: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OURS=FACTOR", help="Multiply a column, e.g. close=1e-9; price=... is for all prices. Repeatable."
        ),
    ] = None,
    off_clock: Annotated[
        Literal["refuse", "drop", "snap"],
        typer.Option(help="Bars whose time is not on the clock: leave them out, or move them to the clock before."),
    ] = "refuse",
    clock_offset: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="With --off-clock: bars begin so long after midnight UTC, e.g. 2h for 4h bars from 22:00."
        ),
    ] = None,
    duplicates: Annotated[
        Literal["refuse", "first", "last"], typer.Option(help="Which of the bars of one time and symbol that differ to keep.")
    ] = "refuse",
    funding_interval: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time between two payments, e.g. 8h, of funding rows that are quotes.")
    ] = None,
    venue: Annotated[
        str | None, typer.Option(metavar="NAME", help="A file of config/venues, whose fees and rules hold: perpetual, spot.")
    ] = None,
    fact: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE",
            help="A fact of the instruments, e.g. contract=inverse or 'multiplier={ESZ5: 50}'. Repeatable.",
        ),
    ] = None,
    licence: Annotated[str | None, typer.Option(metavar="TEXT", help="Under which licence the data are.")] = None,
    source_text: Annotated[str | None, typer.Option(metavar="TEXT", help="Where the data come from.")] = None,
    guess_ticks: Annotated[
        bool, typer.Option("--guess-ticks", help="Write the steps that all prices and sizes keep as tick_size and lot_size.")
    ] = False,
    add: Annotated[bool, typer.Option("--add", help="Add kinds that an existing folder lacks.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the market data in --out.")] = False,
    allow_faults: Annotated[bool, typer.Option("--allow-faults", help="Write what a run would refuse, to look at it.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is taken for what; write nothing.")] = False,
) -> None:
    """Turn files of other shapes into a market-data folder: csv (packed or not), json, parquet, feather.

    Columns are recognised by their common names, by a preset, or by --column; what is taken for what is shown. Each file may be
    of one symbol or have a column of them. Times become UTC; nothing is filled or mended, and unknown columns are dropped. Rows
    are sorted, files may be larger than memory. The folder appears when it is whole and a run would take it.
    """
    from drivers.feeds.importing import ImportRequest, plan_import, plan_table, result_table, run_import
    from drivers.run.progress import progress_bar
    from drivers.text.terminal import Terminal

    request = ImportRequest(
        sources=tuple(sources),
        out=out,
        preset=preset,
        kind=kind,
        only=only,
        columns=_pairs(column or []),
        header=names(header) or (),
        symbol=symbol,
        stamp=stamp,
        clock=clock,
        calendar=calendar,
        time_unit=time_unit,
        timezone=timezone,
        time_format=time_format,
        skip_lines=skip_lines,
        encoding=encoding,
        decimal=_mark(decimal),
        scale=_factors(scale or []),
        off_clock=off_clock,
        clock_offset=clock_offset,
        duplicates=duplicates,
        funding_interval=funding_interval,
        venue=venue,
        facts=_facts(fact or []),
        licence=licence,
        source_text=source_text,
        guess_ticks=guess_ticks,
        overwrite=overwrite,
        add=add,
        allow_faults=allow_faults,
    )
    plan = plan_import(request)
    console = Terminal()
    console.print(plan_table(plan))
    if dry_run:
        console.print("Nothing was written: this was a dry run.")
        return
    with progress_bar(Terminal(stderr=True)) as progress:
        task = progress.add_task("Reading", total=1.0)
        result = run_import(plan, lambda share, what: progress.update(task, completed=share, description=what))
    console.print(result.report)
    console.print(result_table(result))
    if not result.report.ok:
        raise Failed(f"{out} was written, and a run would refuse it: {result.report.faults[0].sentence}")
    say(f"{out} holds the data; run them with: stratoquant run --data {out}")


@app.command("presets")
def presets() -> None:
    """List the layouts that `data import --preset` knows."""
    from rich.table import Table

    from drivers.feeds.importing.presets import described
    from drivers.text.terminal import Terminal

    grid = Table("preset", "kind", "what it is")
    for row in described():
        grid.add_row(*row)
    Terminal().print(grid)


def _pairs(texts: list[str]) -> dict[str, str]:
    """`ours=theirs` as a mapping."""
    made: dict[str, str] = {}
    for text in texts:
        ours, equals, theirs = text.partition("=")
        if not equals or not ours.strip() or not theirs:
            raise typer.BadParameter(f"{text!r} is not OURS=THEIRS, e.g. timestamp=ts", param_hint="--column")
        if ours.strip() in made:
            raise typer.BadParameter(f"{ours.strip()} is named twice", param_hint="--column")
        made[ours.strip()] = theirs
    return made


def _facts(texts: list[str]) -> dict[str, Any]:
    """Facts as `dataset.yml` has them."""
    from drivers.feeds.description import read_fact

    made: dict[str, Any] = {}
    for key, value in map(read_fact, texts):
        if key in made:
            raise typer.BadParameter(f"{key} is named twice", param_hint="--fact")
        made[key] = value
    return made


def _mark(text: str | None) -> Literal[".", ","] | None:
    """The decimal mark."""
    if text is None or text == "." or text == ",":
        return text  # type: ignore[return-value]
    raise typer.BadParameter(f"{text!r} is neither . nor ,", param_hint="--decimal")


def _factors(texts: list[str]) -> dict[str, float]:
    """`ours=factor` as a mapping; `price` stands for every price of a bar or book."""
    made: dict[str, float] = {}
    for text in texts:
        ours, _, factor = text.partition("=")
        try:
            number = float(factor)
        except ValueError:
            number = 0.0
        if not ours or not 0.0 < number < float("inf"):
            raise typer.BadParameter(f"{text!r} is not OURS=FACTOR, e.g. close=1e-9", param_hint="--scale")
        for name in ("price", "open", "high", "low", "close", "vwap", "bid_px", "ask_px") if ours == "price" else (ours,):
            made[name] = number
    return made


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of market data.")],
    symbols: Annotated[str | None, typer.Option(metavar="A,B", help="Check these symbols only.")] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Draw the report as a page: where, when and how much.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Say what a folder of market data holds, and what is wrong with it.

    Impossible values, gaps, duplicates, outliers, bad books, each with its first place, and a line for each symbol that shows
    where bars are missing. Fails when a run would refuse the data.
    """
    from drivers.feeds.check import inspect_dataset
    from drivers.feeds.quality import coverage, measure, quality_page

    report, data = inspect_dataset(folder, symbols=names(symbols))
    picture = measure(data) if data is not None and (html is not None or not json) else None
    if html is not None:
        from drivers.files.atomic import write_atomic

        write_atomic(html, quality_page(report, picture))
    if json:
        say_json(report.as_dict(), default=str)
    else:
        from drivers.text.terminal import Terminal

        console = Terminal()
        console.print(report)
        if picture is not None:
            console.print(coverage(picture))
        if html is not None:
            console.print(f"The picture: {html}", highlight=False)
    if not report.ok:
        raise Failed(report.faults[-1].sentence)
