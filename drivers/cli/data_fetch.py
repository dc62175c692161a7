"""`stratoquant data fetch`: an exchange's history, by REST."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.cli.common import names, needing_live, project_of
from drivers.cli.say import say
from drivers.text.times import parse_utc

if TYPE_CHECKING:
    from drivers.exchanges.fetch import FetchResult


def fetch(
    context: typer.Context,
    venue: Annotated[
        str, typer.Option(metavar="NAME", help="A file of config/venues that names an exchange, e.g. binance_spot.")
    ],
    start: Annotated[str, typer.Option(metavar="TIME", help="From when on (UTC), e.g. 2026-01-01.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The market-data folder to make, or to bring up to date.")],
    symbols: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Symbols as ccxt has them, e.g. BTC/USDT,ETH/USDT; else those of the venue's file."),
    ] = None,
    end: Annotated[str | None, typer.Option(metavar="TIME", help="Until when (UTC); else until now.")] = None,
    clock: Annotated[str, typer.Option(metavar="TIME", help="Length of a bar that the exchange has: 1m, 5m, 1h, 1d.")] = "1m",
) -> None:
    """Fetch bars from an exchange, and of perpetual swaps their funding. No key is needed.

    The exchange's own rate limits are kept to. What ends it early loses nothing: the same command goes on. A bar that has not
    closed is never written. Needs the extra `live`: pip install 'stratoquant[live]'.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from drivers.feeds.description import parse_clock
    from drivers.feeds.venue_facts import OWN_VENUES
    from drivers.project.locate import locate
    from drivers.text.terminal import Terminal

    with needing_live():
        from drivers.exchanges.access import Exchange, exchange_rules
        from drivers.exchanges.fetch import FetchRequest
        from drivers.exchanges.fetch import fetch as run_fetch
    try:
        step, begin = parse_clock(clock), parse_utc(start)
        until = parse_utc(end) if end is not None else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    rules = exchange_rules(venue, [locate(project_of(context)).config / "venues", OWN_VENUES])
    wanted = names(symbols) or tuple(rules.symbols or ())
    if not wanted:
        raise typer.BadParameter(f"name the symbols here, or under `symbols` in {venue}.yml", param_hint="--symbols")
    exchange = Exchange(venue, rules)
    try:
        until = exchange.now() if until is None else until
        if until <= begin:
            raise typer.BadParameter("the end does not lie after the start", param_hint="--end")
        request = FetchRequest(tuple(wanted), begin, until, step, out)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Terminal(stderr=True), transient=True) as progress:
            task = progress.add_task("Fetching", total=1.0)
            result = run_fetch(exchange, request, lambda what, share: progress.update(task, description=what, completed=share))
    except KeyboardInterrupt:
        say(f"Stopped. What was fetched is in {out}.partial; the same command goes on from there.", err=True)
        raise
    finally:
        exchange.close()
    _tell(result)


def _tell(result: FetchResult) -> None:
    from drivers.text.times import stamp

    for of in result.symbols:
        if not of.rows:
            say(f"{of.symbol}: no bars in that time")
            continue
        odd = {"missing": of.missing, "repeated": of.counts.repeated, "impossible": of.counts.impossible}
        told = "".join(f", {n:,} {what}" for what, n in odd.items() if n)
        say(f"{of.symbol}: {of.rows:,} bars, {stamp(of.first)} to {stamp(of.last)}{told}")
    if result.retries:
        say(f"{result.retries} answers were asked for again")
    say(f"{result.out} holds the market; run it with: stratoquant run --data {result.out}")
