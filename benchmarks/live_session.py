"""The two processes of `benchmarks.live`: the practice exchange with a clock that runs fast, and a stream that trades at it."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

MS: Final = 1_000_000
MINUTE: Final = 60_000
HISTORY: Final = 260
"""Bars: the windows are full by then, and what the market, a random walk, teaches has not yet refuted the configured belief in
an edge, so that many orders go out."""
ORIGIN: Final = 1_767_225_600_000 + 3 * 86_400_000 + HISTORY * MINUTE
"""UTC ms by the exchange's clock at the start, three days after its market began. The history begins with this day, so that no
epoch ends before the first bar."""
ORDERS: Final = ("/api/v3/order", "/fapi/v1/order", "/fapi/v1/algoOrder")
TRADES_MUCH: Final = (  # an edge that is believed in, sides that end soon, windows that are full after hours
    "fusion.prior_slope_bps=3000",
    "fusion.prior_strength=400",
    "fusion.horizons=[5, 15, 60, 240]",
    "fusion.leave_cost=0.0",
    "fusion.leave_halflife=0.02",
    "kinematics.volatility_halflife_slow=240",
    "risk.cap_volume_bars=240",
)

SLOW_ANSWERS: Final = ("execution.reconcile_max_age=2h", "execution.reconcile_grace=60")
"""Where time runs fast throughout, the account is read and answered minutes later by the exchange's clock."""


@dataclass(frozen=True)
class Clock:
    """The exchange's time as a function of this machine's monotonic clock, the same in both processes.

    begun: monotonic ns at ORIGIN. bar: seconds that a minute takes. real: of these, the seconds about each close in which time
    goes as fast as ours; the rest of the minute goes by in the rest of `bar`.
    """

    begun: int
    bar: float
    real: float

    def ms(self) -> int:
        """UTC ms."""
        return self.ns() // MS

    def ns(self) -> int:
        """UTC ns."""
        bars, into = divmod((time.monotonic_ns() - self.begun) / 1e9, self.bar)
        slow = self.real * 0.2  # before the close; the rest is after it
        fast = self.bar - self.real
        rate = (60.0 - self.real) / fast
        if into < slow:
            seconds = into
        elif into < slow + fast:
            seconds = slow + (into - slow) * rate
        else:
            seconds = 60.0 - (self.bar - into)
        return ORIGIN * MS + int((bars * 60.0 + seconds - slow) * 1e9)


def prices(symbols: int) -> dict[str, float]:
    """Of the practice market, by symbol."""
    return {f"S{i:02d}USDT": 60_000.0 / 1.05**i for i in range(symbols)}


def exchange(about: dict[str, Any]) -> None:
    """Serves until its input ends; then prints when each bar's last frame left and when each order arrived, monotonic ns."""
    from aiohttp import web

    from drivers.exchanges.practice.account import PracticeAccount
    from drivers.exchanges.practice.core import MarketTape
    from drivers.exchanges.practice.futures import FuturesAccount
    from drivers.exchanges.practice.market import PracticeMarket
    from drivers.exchanges.practice.server import PracticeExchange

    clock = Clock(about["begun"], about["bar"], about["real"])
    market = PracticeMarket(prices(about["symbols"]), seed=1)
    cash = {"USDT": "1000000"}
    served = PracticeExchange(market, now=clock.ms, pace=about["pace"])
    served.account = PracticeAccount(MarketTape(market), clock.ms, cash)
    served.futures = FuturesAccount(MarketTape(market), clock.ms, cash)
    left: dict[int, int] = {}
    arrived: list[tuple[int, int, str]] = []
    sent = served.streams._sent

    async def noted(socket: Any, at: int, text: str) -> None:
        await sent(socket, at, text)
        if at % MINUTE == 0:
            left[at] = time.monotonic_ns()

    served.streams._sent = noted  # type: ignore[method-assign]

    @web.middleware
    async def orders(request: web.Request, handler: Any) -> web.StreamResponse:
        now, ms = time.monotonic_ns(), clock.ms()
        if request.method in ("POST", "DELETE") and request.path.startswith(ORDERS):
            given = request.query_string or await request.text()
            arrived.append((now, ms // MINUTE * MINUTE, f"{request.method} {request.path}?{given.partition('&sig')[0]}"))
        return await handler(request)  # type: ignore[no-any-return]

    app = served.app

    def with_orders() -> web.Application:
        made = app()
        made.middlewares.insert(0, orders)
        return made

    served.app = with_orders  # type: ignore[method-assign]
    with served.serving() as address:
        print(address, flush=True)
        sys.stdin.read()
    print(json.dumps({"left": left, "arrived": arrived}), flush=True)


def trader(about: dict[str, Any]) -> None:
    """A stream with keys at the practice exchange, through everything that `stratoquant stream --mode testnet` goes through."""
    import ccxt.async_support

    clock = Clock(about["begun"], about["bar"], about["real"])
    for kind in (ccxt.Exchange, ccxt.async_support.Exchange):
        kind.milliseconds = staticmethod(clock.ms)  # requests are stamped by the exchange's time

    from rich.console import Console

    from drivers.exchanges import account_access
    from drivers.exchanges.access import Exchange
    from drivers.exchanges.fetch import FetchRequest, fetch
    from drivers.exchanges.live import LiveFeed
    from drivers.exchanges.markets import in_order
    from drivers.exchanges.streams import Streams
    from drivers.feeds.dataset import open_dataset
    from drivers.run.live_account import connected
    from drivers.run.request import RunRequest
    from drivers.run.stream import run_stream
    from drivers.venues.description import VenueRules

    step, speed, address = MINUTE * MS, 60.0 / about["bar"], about["address"]
    account_access.with_bursts = unlimited
    wire = one_clock(account_access.CcxtWire)
    account_access.CcxtWire = partial(wire, window=int(3_000 * speed))  # type: ignore[assignment, misc]
    market: dict[str, Any] = {"kind": "spot", "exchange": "binance", "fee_currency": "base"}
    if about["swap"]:
        market = {"kind": "perpetual", "exchange": "binanceusdm", "market": "swap", "leverage": 2.0}
    rules = VenueRules(
        about="the practice exchange", endpoints={"rest": address, "ws": address.replace("http", "ws")},  # type: ignore[arg-type]
        options={"fetchMarkets": {"types": ["linear" if about["swap"] else "spot"]}, "fetchCurrencies": False},
        streams=about["streams"], silence=60.0 * speed, max_skew=speed,
        gate={"notional_per_order": 1e6, "notional_per_minute": 1e8, "price_band_bps": 1_000.0},  # type: ignore[arg-type]
        **market,
    )  # fmt: skip
    exchange = Exchange("benchmark", rules)
    unlimited(exchange.client)
    ending = "/USDT:USDT" if about["swap"] else "/USDT"
    wanted, out = in_order([name.removesuffix("USDT") + ending for name in prices(about["symbols"])]), Path(about["out"])
    begins = clock.ns()
    history = out.parent / "history"
    fetch(exchange, FetchRequest(wanted, begins - HISTORY * step, begins, step, history))
    console = Console(stderr=True, quiet=not about["loud"])
    streams = Streams(exchange, wanted, step, time_ns=clock.ns, notify=console.print)
    feed = LiveFeed(
        exchange, wanted, open_dataset(history), begins, grace=int(1.5e9 * speed if about["real"] else 1.5e9 * speed / 4),
        time_ns=clock.ns, streams=streams, notify=console.print,
    )  # fmt: skip
    feed.end = begins // step * step + about["bars"] * step
    marks: dict[str, list[tuple[int, int]]] = {}
    if about["stages"]:
        watch_stages(marks, clock)
    threading.Thread(target=remember, args=(about["memory"],), daemon=True).start()
    threading.Thread(target=end_with_parent, daemon=True).start()
    keys = account_access.Keys("practice-key", "practice-secret", "")
    run_stream(
        RunRequest(
            out=out, venue="benchmark", mode="testnet", live_from=begins, report=False,
            overrides=(*TRADES_MUCH, *(() if about["real"] else SLOW_ANSWERS)),
        ),
        Console(quiet=True), feed=feed, connect=lambda session: connected(session, keys, console.print),
    )  # fmt: skip
    print(json.dumps({"health": feed.health(), "notes": feed.notes(), "marks": marks}, default=str))


def unlimited(client: Any) -> Any:
    """The same client without ccxt's limits, which are counted by the minute: a minute is short here."""
    client.enableRateLimit = False
    return client


def one_clock(wire: Any) -> Any:
    """A wire that asks for the exchange's time and does not correct its own by the answer: both processes go by one clock, and
    where a minute takes two seconds, half a round trip would be seconds of error."""

    class OneClock(wire):  # type: ignore[misc]
        def measure_clock(self) -> Any:
            made = super().measure_clock()
            self.client.options["timeDifference"] = 0
            return made

    return OneClock


def end_with_parent() -> None:
    """Ends this process, which holds the account's lock, when the one that started it has ended."""
    os.read(0, 1)
    os._exit(1)


def remember(every: float) -> None:
    """Prints [seconds, MiB of this process] to the standard error, now and then."""
    begun, page = time.monotonic(), os.sysconf("SC_PAGESIZE")
    while True:
        resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * page / 2**20
        print(f"memory {time.monotonic() - begun:.1f} {resident:.3f}", file=sys.stderr, flush=True)
        time.sleep(every)


def watch_stages(marks: dict[str, list[tuple[int, int]]], clock: Clock) -> None:
    """Notes when a bar passes each station (known, journaled, decided, handed to the wire): monotonic ns, and processor time
    of the thread, ns."""
    from drivers.exchanges.live import LiveFeed
    from drivers.exchanges.wire import CcxtWire
    from drivers.run.bar_by_bar import Stream
    from drivers.run.journaled import Journaled
    from drivers.run.venue_link import VenueLink

    def noted(kind: Any, name: str, before: str, after: str) -> None:
        inner: Callable[..., Any] = getattr(kind, name)

        def call(*given: Any, **more: Any) -> Any:
            if before:
                marks.setdefault(before, []).append((time.monotonic_ns(), time.thread_time_ns()))
            made = inner(*given, **more)
            if after:
                marks.setdefault(after, []).append((time.monotonic_ns(), time.thread_time_ns()))
            return made

        setattr(kind, name, call)

    noted(LiveFeed, "_chunk", "known", "chunk")
    noted(Stream, "_advance", "advance", "advanced")
    noted(Journaled, "advance", "journal", "decided")
    noted(VenueLink, "send", "send", "sent")
    noted(CcxtWire, "place", "wire", "answered")


if __name__ == "__main__":
    {"exchange": exchange, "trader": trader}[sys.argv[1]](json.loads(sys.argv[2]))
