"""The practice exchange's market streams: Binance's WebSocket of spot and of USD-M futures, with faults on purpose and by seed.

Streams of one socket: `<symbol>@trade`, `<symbol>@aggTrade`, `<symbol>@kline_<length>`, `<symbol>@depth@100ms` and, of futures,
`<symbol>@markPrice`. What they say is what REST says: the same trades, their candles, and updates of the same book.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSMsgType, web

from drivers.exchanges.practice.faults import Faults
from drivers.exchanges.practice.market import LENGTHS, MINUTE, ORIGIN, PracticeMarket
from drivers.exchanges.practice.market_api import MarketApi

KINDS: Final = ("drop", "silence", "malformed", "lost", "duplicate", "reorder", "late", "null")
"""drop: the socket ends. silence: it stays open and says nothing more. malformed: half of a frame. lost: a frame does not come.
duplicate: it comes twice. reorder: after the next one. late: three seconds later. null: a candle without prices."""
LATE: Final = 3_000
"""ms."""
SWAPS: Final = ("/public", "/market")
"""Where the sockets of futures are."""


@dataclass
class _Socket:
    response: web.WebSocketResponse
    wanted: list[str] = field(default_factory=list)
    swap: bool = False  # of futures
    silent: bool = False
    held: list[tuple[int, str]] = field(default_factory=list)  # (due in ms, text)
    ponged: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class MarketStreams:
    """market: what trades. now: the exchange's clock, UTC ms. faults: what goes wrong in frames, which are pushed by `push`."""

    market: PracticeMarket
    now: Callable[[], int]
    faults: Faults = field(default_factory=lambda: Faults(kinds=KINDS))
    sockets: list[_Socket] = field(default_factory=list)
    refused: bool = False  # no connection is taken
    _pushed: int = 0

    def __post_init__(self) -> None:
        self.about = MarketApi(self.market, self.now)

    def routes(self, app: web.Application) -> None:
        """Adds the addresses of the streams."""
        for path in ("/ws/{number}", *(f"{root}/ws/{{number}}" for root in SWAPS)):
            app.router.add_get(path, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.refused:
            return web.Response(text="<html>no</html>", status=503, content_type="text/html")
        response = web.WebSocketResponse(autoping=False)
        await response.prepare(request)
        socket = _Socket(response, swap=request.path.startswith(SWAPS))
        self.sockets.append(socket)
        try:
            async for message in response:
                if message.type == WSMsgType.PING:
                    await response.pong(message.data)
                elif message.type == WSMsgType.PONG:
                    socket.ponged.set()
                elif message.type == WSMsgType.TEXT:
                    await self._asked(socket, json.loads(message.data))
        finally:
            self.sockets.remove(socket)
            socket.ponged.set()
        return response

    async def _asked(self, socket: _Socket, what: dict[str, Any]) -> None:
        if what.get("method") == "SUBSCRIBE":
            socket.wanted += [name for name in what["params"] if name not in socket.wanted]
        elif what.get("method") == "UNSUBSCRIBE":
            socket.wanted = [name for name in socket.wanted if name not in what["params"]]
        if not socket.silent:
            await socket.response.send_str(json.dumps({"result": None, "id": what["id"]}))

    async def push(self, until: int) -> None:
        """Sends what happened since the last call, up to a time (UTC ms)."""
        since, self._pushed = self._pushed or until, max(self._pushed, until)
        for socket in list(self.sockets):
            frames = sorted(
                frame
                for name in ([] if socket.silent else socket.wanted)
                for frame in self._happened(name, since, until, socket.swap)
            )
            ready = [(at, text) for at, text in socket.held if at <= until]
            socket.held = [(at, text) for at, text in socket.held if at > until]
            for at, text in [*frames, *ready]:
                if socket.silent or socket.response.closed:
                    break
                await self._sent(socket, at, text)

    async def _sent(self, socket: _Socket, at: int, text: str) -> None:
        kind = self.faults.next()
        if kind == "drop":
            transport = socket.response._req.transport if socket.response._req is not None else None
            if transport is not None:
                transport.abort()
            socket.silent = True
        elif kind == "silence":
            socket.silent = True
        elif kind == "malformed":
            await socket.response.send_str(text[: len(text) // 2])
        elif kind in ("reorder", "late"):
            socket.held.append((at + (1 if kind == "reorder" else LATE), text))
        elif kind != "lost":
            said = json.loads(text)
            if kind == "null" and said["e"] == "kline":
                text = json.dumps(said | {"k": said["k"] | dict.fromkeys("ohlc")})
            for _ in range(2 if kind == "duplicate" else 1):
                await socket.response.send_str(text)

    async def read(self, seconds: float) -> None:
        """Waits until all that was sent has been read: a ping is answered after what was sent before it."""
        waits = []
        for socket in list(self.sockets):
            if not socket.silent and not socket.response.closed:
                socket.ponged.clear()
                try:
                    await socket.response.ping()
                except ConnectionError:
                    continue
                waits.append(asyncio.ensure_future(socket.ponged.wait()))
        if waits:
            await asyncio.wait(waits, timeout=seconds)

    # -- what happened, as Binance writes it -----------------------------------------------------------------------------------

    def _happened(self, name: str, since: int, until: int, swap: bool) -> Iterator[tuple[int, str]]:
        """(when, frame) of one stream after `since`, up to `until`, ms."""
        lower, _, what = name.partition("@")
        symbol = lower.upper()
        if symbol not in self.market.prices:
            return
        if what in ("trade", "aggTrade"):
            yield from self._trades(symbol, since, until, what, swap)
        elif what.startswith("kline_"):
            yield from self._klines(symbol, what.removeprefix("kline_"), since, until)
        elif what.startswith("depth"):
            yield from self._depth(symbol, since, until, swap)
        elif what.startswith("markPrice") and swap:
            yield from self._marks(symbol, since, until, 1_000 if what.endswith("@1s") else 3_000)

    def _trades(self, symbol: str, since: int, until: int, kind: str, swap: bool) -> Iterator[tuple[int, str]]:
        for minute in range((since - ORIGIN) // MINUTE, (until - ORIGIN) // MINUTE + 1):
            for number, at, price, size, sold in zip(*(column.tolist() for column in self.market.trades(symbol, minute))):
                if since < at <= until:
                    ids = {"t": number} if kind == "trade" else {"a": number, "f": number, "l": number}
                    own = {} if kind == "aggTrade" and swap else {"X": "MARKET"} if swap else {"M": True}
                    yield at, json.dumps({
                        "e": kind, "E": at, "s": symbol, **ids, "p": f"{price:.8f}", "q": f"{size:.8f}", "T": at,
                        "m": bool(sold), **own,
                    })  # fmt: skip

    def _klines(self, symbol: str, frame: str, since: int, until: int) -> Iterator[tuple[int, str]]:
        length = LENGTHS[frame] * MINUTE
        for opens in range(since // length * length, until + 1, length):
            ends = opens + length
            for at, closed in ((min(until, ends - 1), False), (ends, True)):
                if since < at <= until and (candle := self.market.candle(symbol, opens, length, min(at, ends - 1))) is not None:
                    _, o, h, low, c, volume, buys, count = candle
                    k = {
                        "t": opens, "T": ends - 1, "s": symbol, "i": frame, "f": 0, "L": 0, "o": f"{o:.8f}", "c": f"{c:.8f}",
                        "h": f"{h:.8f}", "l": f"{low:.8f}", "v": f"{volume:.8f}", "n": int(count), "x": closed,
                        "q": f"{volume * c:.8f}", "V": f"{buys:.8f}", "Q": f"{buys * c:.8f}", "B": "0",
                    }  # fmt: skip
                    yield at, json.dumps({"e": "kline", "E": at, "s": symbol, "k": k})

    def _depth(self, symbol: str, since: int, until: int, swap: bool) -> Iterator[tuple[int, str]]:
        for number in range(self.market.book_number(since) + 1, self.market.book_number(until) + 1):
            before, after = self.market.book(symbol, number - 1), self.market.book(symbol, number)
            sides = {}
            for key, old, new in (("b", before.bids, after.bids), ("a", before.asks, after.asks)):
                gone = {price: 0.0 for price in old if price not in new}
                changed = {price: size for price, size in new.items() if old.get(price) != size}
                sides[key] = [[f"{p:.8f}", f"{q:.8f}"] for p, q in sorted((gone | changed).items())]
            at = self.market.book_time(number)
            own = {"T": at, "pu": before.update} if swap else {}
            yield at, json.dumps({
                "e": "depthUpdate", "E": at, "s": symbol, "U": before.update + 1, "u": after.update, **own, **sides
            })  # fmt: skip

    def _marks(self, symbol: str, since: int, until: int, every: int) -> Iterator[tuple[int, str]]:
        for at in range((since // every + 1) * every, until + 1, every):
            said = self.about.premium(symbol, at)
            yield at, json.dumps({
                "e": "markPriceUpdate", "E": at, "s": symbol, "p": said["markPrice"], "i": said["indexPrice"],
                "P": said["estimatedSettlePrice"], "r": said["lastFundingRate"], "T": said["nextFundingTime"],
            })  # fmt: skip
