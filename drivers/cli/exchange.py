"""`stratoquant exchange`: a practice exchange on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from drivers.cli.app import App
from drivers.cli.common import Failed, names, needing_live
from drivers.cli.say import say

app = App(help="A practice exchange on this machine.")


@app.callback()
def _group() -> None:
    """Keeps `simulate` a command of its own."""


@app.command("simulate")
def simulate(
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port on 127.0.0.1.")] = 8700,
    symbols: Annotated[str, typer.Option(metavar="A,B", help="Symbols, quoted in USDT.")] = "BTCUSDT,ETHUSDT",
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same market and the same faults.")] = 1,
    stream_faults: Annotated[
        float, typer.Option(min=0.0, max=0.5, help="Share of the frames of its streams that go wrong: lost, late, twice, cut.")
    ] = 0.0,
    faults: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of the answers that go wrong: limits, outages, nonsense, silence.")
    ] = 0.0,
    order_faults: Annotated[
        float,
        typer.Option(min=0.0, max=0.9, help="The same of orders and their reports: lost, late, twice, refused, broken off."),
    ] = 0.0,
    cash: Annotated[float, typer.Option(min=0.0, help="USDT on each of its two accounts.")] = 100_000.0,
    funding_hours: Annotated[int, typer.Option(min=1, max=24, help="Hours between two payments of a swap's funding.")] = 8,
) -> None:
    """Serve a practice exchange: it speaks Binance's spot and USD-M futures, REST and streams, and fails when told to.

    A venue's file reaches it by `endpoints: {rest: "http://127.0.0.1:8700", ws: "ws://127.0.0.1:8700"}`; `market: spot` and
    `market: swap` choose the account. Both have the key practice-key and the secret practice-secret. Its market is seeded and
    no real one; it begins on 2026-01-01. Ctrl-C ends it. Needs the extra `live`: pip install 'stratoquant[live]'.
    """
    with needing_live():
        from drivers.exchanges.practice.account import PracticeAccount
        from drivers.exchanges.practice.core import MarketTape
        from drivers.exchanges.practice.faults import Faults
        from drivers.exchanges.practice.futures import FuturesAccount
        from drivers.exchanges.practice.market import HOUR, PracticeMarket
        from drivers.exchanges.practice.order_faults import KINDS as ORDER_KINDS
        from drivers.exchanges.practice.order_faults import OrderFaults
        from drivers.exchanges.practice.server import PracticeExchange, wall_clock
        from drivers.exchanges.practice.streams import KINDS
    import signal

    wanted = names(symbols) or ()
    if wrong := [name for name in wanted if not name.endswith("USDT") or name == "USDT"]:
        raise typer.BadParameter(f"{wrong[0]} is not quoted in USDT; write e.g. BTCUSDT", param_hint="--symbols")
    prices = {name: 60_000.0 / 20.0**i for i, name in enumerate(wanted)}
    every, balance = funding_hours * HOUR, {"USDT": str(cash)}
    market = PracticeMarket(prices, seed, every)
    tape = MarketTape(market)
    account = PracticeAccount(tape, wall_clock, balance, seed=seed, broken_off=order_faults)
    futures = FuturesAccount(tape, wall_clock, balance, seed=seed, broken_off=order_faults, funding_every=every)
    exchange = PracticeExchange(
        market,
        faults=Faults(faults, seed=seed),
        account=account,
        futures=futures,
        pace=0.1,
        order_faults=OrderFaults(ORDER_KINDS, order_faults, seed),
    )
    try:
        exchange.streams.faults = Faults(stream_faults, KINDS, seed)
        with exchange.serving(port) as address:
            say(f"The practice exchange is at {address}; Ctrl-C ends it.")
            signal.pause()
    except OSError as error:
        raise Failed(f"port {port} cannot be used ({error.strerror}); choose another with --port") from None
