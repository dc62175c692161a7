"""The practice exchange's server: Binance's spot and USD-M futures on 127.0.0.1, by REST and by streams."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from drivers.exchanges.practice.account import PracticeAccount
from drivers.exchanges.practice.faults import Faults
from drivers.exchanges.practice.futures import FuturesAccount
from drivers.exchanges.practice.futures_api import FuturesApi
from drivers.exchanges.practice.market import PracticeMarket
from drivers.exchanges.practice.market_api import MarketApi
from drivers.exchanges.practice.order_faults import OrderFaults
from drivers.exchanges.practice.orders_api import OrdersApi
from drivers.exchanges.practice.streams import MarketStreams
from drivers.exchanges.practice.user_stream import FuturesStream, UserStream


def wall_clock() -> int:
    """UTC ms."""
    return time.time_ns() // 1_000_000


@dataclass
class PracticeExchange:
    """market: what trades. now: the exchange's clock, UTC ms. faults: what goes wrong. asked: the paths that were asked for.

    pace: seconds between two pushes over the streams; None: they are pushed by `advance`. on_advance: called with each time,
    ms, before what happened until then is pushed. account, futures: whose orders it takes, at the spot market and of
    perpetual swaps; None: nobody's. order_faults: what goes wrong with them.
    """

    market: PracticeMarket
    now: Callable[[], int] = wall_clock
    faults: Faults = field(default_factory=Faults)
    asked: list[str] = field(default_factory=list)
    account: PracticeAccount | None = None
    futures: FuturesAccount | None = None
    order_faults: OrderFaults = field(default_factory=OrderFaults)
    pace: float | None = None
    streams: MarketStreams = field(init=False)
    on_advance: list[Callable[[int], None]] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop | None = None

    def __post_init__(self) -> None:
        self.streams = MarketStreams(self.market, lambda: self.now())

    def app(self) -> web.Application:
        """The server."""
        app = web.Application(middlewares=[self._faulty])
        MarketApi(self.market, lambda: self.now()).routes(app)
        self.streams.routes(app)
        symbols = tuple(self.market.prices)
        if self.account is not None:
            OrdersApi(self.account, symbols, self.order_faults).routes(app)
            UserStream(self.account, self.order_faults).routes(app)
        if self.futures is not None:
            FuturesApi(self.futures, symbols, self.order_faults).routes(app)
            FuturesStream(self.futures, self.order_faults).routes(app)
        return app

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith(("/api/", "/fapi/")):
            return await handler(request)  # type: ignore[no-any-return]
        self.asked.append(request.path_qs)
        kind = self.faults.next()
        if kind in ("429", "418"):
            return web.json_response(
                {"code": -1003, "msg": "Too many requests."}, status=int(kind), headers={"Retry-After": "1"}
            )
        if kind == "502":
            return web.Response(text="<html><h1>502 Bad Gateway</h1></html>", status=502, content_type="text/html")
        if kind == "html":
            return web.Response(text="<html><body>Be right back</body></html>", content_type="text/html")
        if kind == "hang":
            await asyncio.sleep(3_600)
        answer: web.Response = await handler(request)
        if kind == "broken":
            return web.Response(text=str(answer.text)[: len(str(answer.text)) // 2], content_type="application/json")
        if kind in ("null", "empty") and request.path.endswith("klines"):
            rows = json.loads(str(answer.text))
            blank = [] if kind == "empty" else [[row[0], None, None, None, None, *row[5:]] for row in rows]
            return web.json_response(blank)
        return answer

    def advance(self, seconds: float = 1.0) -> None:
        """What has happened by now goes out over the streams, and has been read when it returns, or so long has passed."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(self._advanced(seconds), self._loop).result(timeout=30)

    async def _advanced(self, seconds: float) -> None:
        now = self.now()
        for act in self.on_advance:
            act(now)
        await self.streams.push(now)
        await self.streams.read(seconds)

    async def _push(self, pace: float) -> None:
        while True:
            await asyncio.sleep(pace)
            await self._advanced(0.0)

    @contextmanager
    def serving(self, port: int = 0) -> Iterator[str]:
        """Serves on 127.0.0.1 in a thread of its own while the context lasts; gives its address. port: 0 chooses one."""
        loop = asyncio.new_event_loop()
        runner = web.AppRunner(self.app(), shutdown_timeout=0.1)
        started: list[int] = []

        async def start() -> None:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
            assert site._server is not None and site._server.sockets  # type: ignore[attr-defined]
            started.append(site._server.sockets[0].getsockname()[1])  # type: ignore[attr-defined]

        loop.run_until_complete(start())
        self._loop = loop
        pushing = None if self.pace is None else loop.create_task(self._push(self.pace))
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{started[0]}"
        finally:
            self._loop = None
            if pushing is not None:
                loop.call_soon_threadsafe(pushing.cancel)
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(timeout=10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=10)
            loop.close()
