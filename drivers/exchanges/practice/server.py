"""The practice exchange's server: Binance's spot protocol on 127.0.0.1, its REST side and its streams."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from drivers.exchanges.practice.account import TYPES, PracticeAccount
from drivers.exchanges.practice.faults import Faults
from drivers.exchanges.practice.market import LENGTHS, LOT, MINUTE, ORIGIN, TICK, PracticeMarket
from drivers.exchanges.practice.order_faults import OrderFaults
from drivers.exchanges.practice.orders_api import OrdersApi
from drivers.exchanges.practice.streams import MarketStreams
from drivers.exchanges.practice.user_stream import UserStream

MOST_ROWS: Final = 1_000


def wall_clock() -> int:
    """UTC ms."""
    return time.time_ns() // 1_000_000


@dataclass
class PracticeExchange:
    """market: what trades. now: the exchange's clock, UTC ms. faults: what goes wrong. asked: the paths that were asked for.

    pace: seconds between two pushes over the streams; None: they are pushed by `advance`. on_advance: called with each time,
    ms, before what happened until then is pushed. account: whose orders it takes; None: nobody's. order_faults:
    what goes wrong with them.
    """

    market: PracticeMarket
    now: Callable[[], int] = wall_clock
    faults: Faults = field(default_factory=Faults)
    asked: list[str] = field(default_factory=list)
    account: PracticeAccount | None = None
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
        app.router.add_get("/api/v3/ping", self._ping)
        app.router.add_get("/api/v3/time", self._time)
        app.router.add_get("/api/v3/exchangeInfo", self._info)
        app.router.add_get("/api/v3/klines", self._klines)
        app.router.add_get("/api/v3/depth", self._depth)
        self.streams.routes(app)
        if self.account is not None:
            OrdersApi(self.account, tuple(self.market.prices), self.order_faults).routes(app)
            UserStream(self.account, self.order_faults).routes(app)
        return app

    @web.middleware
    async def _faulty(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
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

    async def _ping(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def _time(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.now()})

    async def _info(self, request: web.Request) -> web.Response:
        return web.json_response({"timezone": "UTC", "serverTime": self.now(), "rateLimits": [], "symbols": [
            {
                "symbol": name, "status": "TRADING", "baseAsset": name.removesuffix("USDT"), "quoteAsset": "USDT",
                "baseAssetPrecision": 8, "quotePrecision": 8, "quoteAssetPrecision": 8, "isSpotTradingAllowed": True,
                "orderTypes": list(TYPES),
                "permissions": ["SPOT"],
                "filters": [
                    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": f"{TICK:.2f}"},
                    {"filterType": "LOT_SIZE", "minQty": f"{LOT:.4f}", "maxQty": "9000.0", "stepSize": f"{LOT:.4f}"},
                    {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True},
                ],
            }
            for name in self.market.prices
        ]})  # fmt: skip

    async def _klines(self, request: web.Request) -> web.Response:
        symbol, interval = request.query["symbol"], request.query["interval"]
        if symbol not in self.market.prices:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        length, now = LENGTHS[interval] * MINUTE, self.now()
        limit = min(MOST_ROWS, int(request.query.get("limit", 500)))
        start = int(request.query.get("startTime", now - limit * length))
        at = max(-(-start // length) * length, -(-ORIGIN // length) * length)
        end = int(request.query.get("endTime", now))
        rows: list[list[Any]] = []
        while at <= end and len(rows) < limit and (candle := self.market.candle(symbol, at, length, now)) is not None:
            rows.append(_row(candle, length))
            at += length
        return web.json_response(rows)

    async def _depth(self, request: web.Request) -> web.Response:
        symbol, limit = request.query["symbol"], int(request.query.get("limit", 100))
        if symbol not in self.market.prices:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        book = self.market.book(symbol, self.market.book_number(self.now()))
        sides = {
            key: [[f"{p:.8f}", f"{q:.8f}"] for p, q in list(side.items())[:limit]]
            for key, side in (("bids", book.bids), ("asks", book.asks))
        }
        return web.json_response({"lastUpdateId": book.update, **sides})

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


def _row(candle: list[float], length: int) -> list[Any]:
    """As Binance writes a candle: numbers in text, times in ms."""
    at, open_, high, low, close, volume, buys, count = candle
    prices = [f"{x:.8f}" for x in (open_, high, low, close, volume)]
    quote = f"{volume * close:.8f}"
    return [int(at), *prices, int(at) + length - 1, quote, int(count), f"{buys:.8f}", f"{buys * close:.8f}", "0"]
