"""An exchange's market streams by ccxt's WebSocket side, in a thread of their own, watched over.

A stream may end without a word: ccxt ends its receive loop at an exception in a handler, a socket may stay open and say
nothing. So every frame is timed, and `tick` looks at what has been silent for too long. Whatever ends a stream (silence, a
frame that cannot be read, a dropped socket) it is dialed again after an exponential, jittered wait, and subscribed to again.
Bars that it does not know are asked for by REST, by the feed, before anything newer.
"""

from __future__ import annotations

import asyncio
import contextvars
import json
import random
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import ccxt
import ccxt.pro
from aiohttp import WSMsgType

from drivers.exchanges.access import Exchange, place, settings_of
from drivers.exchanges.book_bars import Levels
from drivers.exchanges.desk import CACHED, Desk
from drivers.exchanges.errors import ExchangeFault, Malformed
from drivers.exchanges.frames import Frame, FrameRecorder
from drivers.exchanges.history import timeframe
from drivers.exchanges.markets import steps_of
from drivers.exchanges.trade_bars import Row
from drivers.text.times import stamp

METHODS: Final = {"trades": "watchTrades", "candles": "watchOHLCV", "book": "watchOrderBook"}
"""What a venue's file calls them, and ccxt."""
LONGEST_WAIT: Final = 60.0
"""Seconds between two tries to connect."""
SOUND: Final = 60 * 1_000_000_000
"""ns after which a stream counts as sound: when it ends then, the waits begin with the shortest again."""
COMPARE_EVERY: Final = 600 * 1_000_000_000
"""ns between two comparisons of a symbol's book with a snapshot by REST."""


_DIALING: contextvars.ContextVar[_Stream | None] = contextvars.ContextVar("dialing", default=None)


@dataclass
class _Stream:
    """One kind of stream. due: UTC ns at which it is dialed next. since, heard: of its connection's first and last frame."""

    kind: str
    due: int = 0
    made: Any = None  # ccxt's connection
    heard: int = 0
    since: int = 0
    begun: bool = False
    failures: int = 0
    reconnects: int = 0
    task: asyncio.Task[None] | None = None


@dataclass
class Streams:
    """The streams of some symbols. Close it at the end.

    exchange: the REST connection to the same exchange. symbols: as the exchange writes them. step: ns. time_ns: this machine's
    clock, UTC. notify: told of what ends and begins. record: takes every frame. chance: of the jitter.
    """

    exchange: Exchange
    symbols: tuple[str, ...]
    step: int
    time_ns: Callable[[], int] = time.time_ns
    notify: Callable[[str], None] = lambda text: None
    record: FrameRecorder | None = None
    chance: random.Random = field(default_factory=random.Random)
    malformed: int = 0
    _now: int = 0  # UTC ns by the exchange's clock, at the last tick
    _skew: int = 0

    def __post_init__(self) -> None:
        rules = self.exchange.rules
        self.client = _tapped(self)
        there = [kind for kind in rules.streams if self.client.has.get(METHODS[kind])]
        if not there:
            raise ExchangeFault(f"ccxt has no streams of {rules.exchange} ({', '.join(rules.streams)}); set `streams: []`")
        lots = [steps_of(self.exchange.market(symbol), self.client.precisionMode)[1] for symbol in self.symbols]
        self.desk = Desk(
            self.client, self.symbols, timeframe(self.exchange, self.step), self.step,
            rules.levels if "book" in there else 0, lots, self._mend,
        )  # fmt: skip
        self._streams: dict[str, _Stream] = {kind: _Stream(kind) for kind in there}
        self._compared = dict.fromkeys(self.symbols, 0)
        self._mending: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._down: set[str] = set()
        self._ticking = False
        self._text = ""  # of the frame that is being read
        self._subscription: dict[str, Any] | None = None  # of the books, as ccxt keeps it
        self._loop = self._new_loop()
        self._loop.set_exception_handler(_unawaited)
        self._thread = threading.Thread(target=self._loop.run_forever, name="streams", daemon=True)
        self._thread.start()

    def _new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    # -- for the feed, in the engine's thread ----------------------------------------------------------------------------------

    @property
    def depth(self) -> int:
        """Levels of the books; 0 where there are none."""
        return self.desk.depth

    @property
    def with_trades(self) -> bool:
        """Whether bars have a flow."""
        return "trades" in self._streams

    def tick(self, now: int, skew: int) -> None:
        """What is due now: silence, dialing, comparisons. now: UTC ns by the exchange's clock; skew: it less ours, ns."""
        self._now, self._skew = now, skew
        if not self._ticking:
            self._ticking = True
            self._loop.call_soon_threadsafe(self._tick)

    def rows(self, close: int, *, due: bool) -> list[Row] | None:
        """See `Desk.rows`."""
        return self.desk.rows(close, due=due)

    def levels(self, close: int) -> list[Levels] | None:
        """See `Desk.levels`."""
        return self.desk.levels(close)

    def handed_on(self, close: int) -> list[int]:
        """See `Desk.handed_on`."""
        return self.desk.handed_on(close)

    def wait(self, seconds: float) -> None:
        """Until something has come, or so long."""
        self.desk.changed.wait(seconds)
        self.desk.changed.clear()

    def health(self) -> dict[str, Any]:
        """How the streams are, as JSON has it."""
        return {
            "streams": {
                s.kind: {"up": s.begun, "heard": stamp(s.heard) if s.heard else None, "reconnects": s.reconnects}
                for s in self._streams.values()
            },
            "delay_ms": self.desk.delay / 1e6 + self._skew / 1e6,
            "skew_ms": self._skew / 1e6,
            "malformed": self.malformed,
            "unknown_books": self.desk.unknown_books,
            **vars(self.desk.trade_counts),
            **vars(self.desk.book_counts),
        }

    def notes(self) -> list[str]:
        """What a reader of the results must know, a sentence each."""
        trades, books = self.desk.trade_counts, self.desk.book_counts
        reconnects = sum(s.reconnects for s in self._streams.values())
        said = []
        if reconnects or self.malformed:
            said.append(f"streams were connected again {reconnects} times, {self.malformed} frames could not be read")
        if trades.differing:
            said.append(f"trades and candle differed in {trades.differing} bars; the candle counts, and their flow is unknown")
        if trades.late:
            said.append(f"{trades.late} trades came after their bar and are left out")
        if books.gaps or books.wrong:
            said.append(f"books were out of step {books.gaps + books.wrong} times, and unknown until they were whole again")
        return said

    def settled(self, seconds: float) -> bool:
        """Waits until nothing is being dialed or fetched; False: it is not after so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.call(self._idle()):
                return True
            time.sleep(0.001)
        return False

    def call(self, what: Coroutine[Any, Any, Any]) -> Any:
        """Runs something among the streams, and waits for it."""
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(timeout=30)

    def close(self) -> None:
        """Ends the streams and their thread."""
        if self._loop.is_closed():
            return
        with suppress(Exception):
            self.call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _end(self) -> None:
        for stream in self._streams.values():
            stream.made = None
        tasks = [*self._tasks, *(s.task for s in self._streams.values() if s.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.client.close()

    async def _idle(self) -> bool:
        await asyncio.sleep(0)
        dialing = any(s.due <= self._now and not s.begun for s in self._streams.values())
        books = self.client.orderbooks.values() if self.desk.depth and self._streams["book"].begun else ()
        return not (self._ticking or self._tasks or dialing or any(book["nonce"] is None for book in books))

    # -- among the streams -----------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._ticking = False
        for stream in self._streams.values():
            if stream.task is None and stream.due <= self._now:
                stream.task = self._loop.create_task(self._dial(stream))
            elif stream.made is not None:
                quiet = self._now - self._skew - stream.heard
                if stream.heard and quiet > self.exchange.rules.silence * 1e9:
                    self._broken(stream.made, f"it has said nothing for {quiet / 1e9:.0f} s")
                elif stream.made.connected.done() and stream.made.closed():
                    self._broken(stream.made, "its socket is closed")
        for symbol in self.symbols if self.desk.depth else ():
            if self._compared[symbol] == 0:
                self._compared[symbol] = self._now
            elif self._now - self._compared[symbol] >= COMPARE_EVERY:
                self._compared[symbol] = self._now
                self._spawn(self._compare(symbol))

    def _spawn(self, what: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dial(self, stream: _Stream) -> None:
        """Subscribes, once, and stays until the connection ends: the desk sees every frame, and `_ended` hears of the end. ccxt
        numbers its requests, so a recording can be played only where their number does not depend on time."""
        _DIALING.set(stream)
        self._noted("open", "", stream.kind)
        stream.heard = self.time_ns()
        self.client.ws_dial_backoff = {}  # it waits by `due`, and not by ccxt's clock as well
        try:
            await self._watching(stream.kind)
            await self._loop.create_future()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            stream.task = None
            if isinstance(error, ccxt.ChecksumError):
                stream.due = self._now  # one book is out of step, which `_mend` sees to; the connection is sound
            elif stream.made is not None:
                self._broken(stream.made, str(error))
            else:
                self._again(stream, str(error))

    def _watching(self, kind: str) -> Any:
        """ccxt's wait for the next update; it connects and subscribes where that is not done."""
        client, symbols = self.client, list(self.symbols)
        if kind == "trades":
            if client.has.get("watchTradesForSymbols"):
                return client.watch_trades_for_symbols(symbols)
            return self._first([client.watch_trades(symbol) for symbol in symbols])
        if kind == "candles":
            frame = self.desk.frame_name
            if client.has.get("watchOHLCVForSymbols"):
                return client.watch_ohlcv_for_symbols([[symbol, frame] for symbol in symbols])
            return self._first([client.watch_ohlcv(symbol, frame) for symbol in symbols])
        if client.has.get("watchOrderBookForSymbols"):
            return client.watch_order_book_for_symbols(symbols)
        return self._first([client.watch_order_book(symbol) for symbol in symbols])

    async def _first(self, waits: list[Any]) -> None:
        tasks = [self._loop.create_task(wait) for wait in waits]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    def _again(self, stream: _Stream, why: str, asked: float = 0.0) -> None:
        """The stream has ended, and is dialed again after a while. asked: seconds that the exchange asked to wait."""
        if stream.task is not None:
            stream.task.cancel()
            stream.task = None
        stream.made, stream.begun, stream.heard = None, False, 0
        stream.failures += 1
        stream.reconnects += 1
        wait = min(LONGEST_WAIT, 0.5 * 2.0 ** min(stream.failures, 10)) * (0.5 + 0.5 * self.chance.random())
        stream.due = self._now + int(max(wait, asked) * 1e9)
        self.desk.lost(stream.kind)
        if stream.kind not in self._down:
            self._down.add(stream.kind)
            said = " ".join(why.split())[:160]
            self.notify(f"{stamp(self._now)} the {stream.kind} stream of {self.exchange.name} ended ({said}); connecting again")

    def _broken(self, made: Any, why: str) -> None:
        """This connection is of no use any more."""
        made.on_error(ccxt.NetworkError(why))

    def _opening(self, url: str, made: Any, fresh: bool) -> None:
        """ccxt asks for the connection to an address."""
        dialing = _DIALING.get()
        if dialing is not None:
            dialing.made = made
        if fresh:
            handle = made.handle_message
            made.handle_message = lambda message: self._frame(made, handle, message)

    def _frame(self, made: Any, handle: Callable[[Any], None], message: Any) -> None:
        """One frame. An error while it is read would end ccxt's loop without a word; here it ends the connection aloud."""
        with self.desk.lock:  # so that a recording has frames and looks in the order in which they met
            self._framed(made, handle, message)

    def _framed(self, made: Any, handle: Callable[[Any], None], message: Any) -> None:
        now = self.time_ns()
        self._text = ""
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            self._text = message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
            self._noted("ws", made.url, self._text)
            for stream in self._streams.values():
                if stream.made is made:
                    stream.heard = now
                    if not stream.begun:
                        self._began(stream, now)
        try:
            handle(message)
        except Exception as error:
            self.malformed += 1
            self._broken(made, f"a frame could not be read: {type(error).__name__}")

    def _began(self, stream: _Stream, now: int) -> None:
        stream.begun, stream.since = True, now
        if stream.kind == "book":
            found = stream.made.subscriptions.values()
            self._subscription = next((s for s in found if isinstance(s, dict) and "symbols" in s), None)
        self.desk.begin(stream.kind, now + self._skew)
        if stream.kind in self._down:
            self._down.discard(stream.kind)
            self.notify(f"{stamp(self._now)} the {stream.kind} stream of {self.exchange.name} is back")

    def _took(self, made: Any, message: Any) -> None:
        """ccxt has handled a message."""
        self.desk.took(message, self.time_ns(), self._text)
        for stream in self._streams.values():
            if stream.made is made and self.time_ns() - stream.since >= SOUND:
                stream.failures = 0

    def _ended(self, made: Any, why: str) -> None:
        """A connection is over; ccxt may say so more than once."""
        over = [stream for stream in self._streams.values() if stream.made is made]
        if over:
            self._noted("lost", made.url, why)
        for stream in over:
            self._again(stream, why, made.last_retry_after or 0.0)

    def _mend(self, symbol: str) -> None:
        """A book is out of step: it begins again with a snapshot, over the same connection where ccxt lets it."""
        if symbol not in self._mending:
            self._mending.add(symbol)
            self._loop.call_soon(self._begin_book, symbol)

    def _begin_book(self, symbol: str) -> None:
        self._mending.discard(symbol)
        stream = self._streams.get("book")
        made = stream.made if stream is not None else None
        if made is None or made.closed():
            return
        subscribed = self._subscription
        if hasattr(self.client, "fetch_order_book_snapshot") and subscribed is not None:
            made.subscriptions.setdefault(f"orderbook::{symbol}", subscribed)
            self.client.handle_order_book_subscription(made, {}, {**subscribed, "symbols": [symbol]})
        else:
            self._broken(made, f"the book of {symbol} is out of step")

    async def _compare(self, symbol: str) -> None:
        self._noted("compare", "", symbol)
        with suppress(ccxt.BaseError):
            self.desk.compare(symbol, await self.client.fetch_order_book(symbol, 100))

    def _noted(self, kind: str, url: str, text: str) -> None:
        if self.record is not None:
            self.record.write(Frame(self.time_ns(), kind, url, text))


def _unawaited(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """ccxt rejects what nobody waits for any more; the desk has seen by then what it is about."""
    if not isinstance(context.get("exception"), ccxt.BaseError):
        loop.default_exception_handler(context)


def _tapped(streams: Streams) -> Any:
    """ccxt's client with its WebSocket side, of which every frame and answer is seen."""
    exchange = streams.exchange
    kind: Any = getattr(ccxt.pro, exchange.rules.exchange, None)
    if kind is None:
        raise ExchangeFault(f"ccxt has no streams of {exchange.rules.exchange}; set `streams: []` in {exchange.name}.yml")

    class Tapped(kind):  # type: ignore[misc]
        """The same, heard."""

        def client(self, url: str) -> Any:
            fresh = url not in (self.clients or {})
            made = super().client(url)
            streams._opening(url, made, fresh)
            return made

        def is_spot_url(self, client: Any) -> bool:
            return exchange.rules.market == "spot"  # ccxt looks for Binance's host, which `endpoints` may replace

        def handle_message(self, client: Any, message: Any) -> None:
            super().handle_message(client, message)
            streams._took(client, message)

        def on_error(self, client: Any, error: Any) -> None:
            super().on_error(client, error)
            if self.clients.get(client.url) is client:
                del self.clients[client.url]
            streams._ended(client, str(error))

        def on_close(self, client: Any, error: Any) -> None:
            super().on_close(client, error)
            streams._ended(client, f"closed with {error}")

        async def fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
            try:
                answer = await super().fetch(url, method, headers, body)
                if not isinstance(answer, (dict, list)):
                    raise Malformed("the answer is no JSON")
            except ccxt.BaseError as error:
                streams._noted("fault", url, type(error).__name__)
                raise
            streams._noted("rest", url, json.dumps(answer))
            return answer

    made = Tapped(settings_of(exchange.rules))
    made.options |= {"tradesLimit": CACHED}
    place(made, exchange.rules)
    made.set_markets(list(exchange.client.markets.values()), exchange.client.currencies)
    return made
