"""What frames mean: after each of them, what ccxt has made of it goes into bars and books. No I/O, no clock of its own.

ccxt's caches keep the newest rows only, and its futures wake a reader for the last of several updates. Here every frame is
looked at before the next one, so that nothing is passed over, and frames from a recording take the same way.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from drivers.exchanges.book_bars import Levels, SymbolBook
from drivers.exchanges.continuity import CHECKED_BY_CCXT, CONSECUTIVE_TRADES, Continuity, closed_candles
from drivers.exchanges.trade_bars import MS, Row, TradeBars, TradeCounts

CACHED: Final = 1_000
"""Trades of a symbol in ccxt's cache: every frame is looked at before the next, and none brings more. One takes 2.5 KB."""


@dataclass
class BookCounts:
    """What happened to the books."""

    gaps: int = 0  # updates that were missed
    wrong: int = 0  # books that were crossed, or differed from a snapshot of the same update


@dataclass
class Desk:
    """Bars and books of some symbols, from the frames of an exchange.

    client: ccxt's, with its WebSocket side. symbols: as the exchange writes them. frame_name: ccxt's name of the bar's length.
    step: ns. depth: levels; 0: no books. lots: least steps of sizes; 0: unknown. It is written by the thread of the streams and
    read by the engine's: `lock` guards it. `changed` is set when the next bar has become known of every symbol, and not before:
    a waiting thread would slow the one that reads frames.
    """

    client: Any
    symbols: tuple[str, ...]
    frame_name: str
    step: int
    depth: int
    lots: Sequence[float]
    out_of_step: Callable[[str], None] = lambda symbol: None
    trade_counts: TradeCounts = field(default_factory=TradeCounts)
    book_counts: BookCounts = field(default_factory=BookCounts)
    lock: threading.RLock = field(default_factory=threading.RLock)
    changed: threading.Event = field(default_factory=threading.Event)
    exchange_time: int = 0  # UTC ns, of the newest event
    delay: int = 0  # ns, from the newest event to its receipt, by our clock

    def __post_init__(self) -> None:
        says = closed_candles(self.client.id, {}) is not None
        consecutive = self.client.id in CONSECUTIVE_TRADES
        self.bars = [TradeBars(self.step, says, consecutive, lot, self.trade_counts) for lot in self.lots]
        self.books = [SymbolBook(self.depth, self.step) for _ in self.symbols] if self.depth else []
        if self.depth:  # compiles what a state needs, before the first one comes
            trial = SymbolBook(self.depth, self.step)
            trial.state(1, None, [[1.0, 1.0]], [[2.0, 1.0]])
            trial.at(self.step)
        self.continuity = Continuity(self.client.id)
        self._columns = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._names = [(str(self.client.market(symbol)["id"]), symbol) for symbol in self.symbols]
        self._next = 0  # UTC ns of the close of the bar that is awaited; 0: not known yet
        self._open = set(range(len(self.symbols)))  # whose bar is not known yet
        self._reached = 0  # UTC ns of the newest candle's beginning or, where it has closed, end
        self._ids = {self.client.market(symbol)["id"]: symbol for symbol in self.symbols}
        self._trade: list[Any] = [None] * len(self.symbols)
        self._book: list[Any] = [None] * len(self.symbols)
        self._candle: dict[tuple[str, int], tuple[Any, ...]] = {}

    def took(self, message: Any, received: int, text: str = "") -> None:
        """ccxt has handled a message. received: UTC ns by our clock. text: the frame that it came in, where it is known."""
        with self.lock:
            for symbol in self._missed(message):
                self.book_counts.gaps += 1
                self._drop_book(symbol)
            closed = closed_candles(self.client.id, message) or ()
            for i in self._about(text):
                symbol = self.symbols[i]
                self._trades(i, symbol, received)
                self._candles(i, symbol, {at for name, at in closed if self._ids.get(name) == symbol})
                if self.depth:
                    self._books(i, symbol, received)
            self._wake()

    def _about(self, text: str) -> Sequence[int]:
        """The symbols that a frame may have changed: those that it names, and those whose book is out of step. All where it
        names none as we know them."""
        named = [i for i, (name, symbol) in enumerate(self._names) if name in text or symbol in text]
        if not named:
            return range(len(self.symbols))
        return sorted({*named, *(i for i, book in enumerate(self.books) if not book.whole)})

    def _wake(self) -> None:
        """Tells who waits when every symbol's bar is known."""
        if self._next and max(self.exchange_time, self._reached) < self._next:
            return
        self._open = {i for i in self._open if self.bars[i].row(self._next, due=False) is None}
        if not self._open:
            self.changed.set()

    def _missed(self, message: Any) -> list[str]:
        if not self.depth or self.client.id in CHECKED_BY_CCXT:
            return []
        gaps = self.continuity.gaps(message)
        return list(self.symbols) if "*" in gaps else [self._ids[name] for name in gaps if name in self._ids]

    def _trades(self, i: int, symbol: str, received: int) -> None:
        cache = self.client.trades.get(symbol)
        if not cache or cache[-1] is self._trade[i]:
            return
        fresh = list(itertools.takewhile(lambda trade: trade is not self._trade[i], reversed(cache)))
        self._trade[i] = cache[-1]
        for trade in reversed(fresh):
            self.bars[i].add(trade)
        self._timed(fresh[0]["timestamp"], received)

    def _timed(self, ms: int | None, received: int) -> None:
        if ms is not None and ms * MS >= self.exchange_time:
            self.exchange_time = ms * MS
            self.delay = received - ms * MS

    def _candles(self, i: int, symbol: str, closed: set[int]) -> None:
        """closed: opens, ms, of this symbol's candles that the message says have closed."""
        cache = (self.client.ohlcvs.get(symbol) or {}).get(self.frame_name)
        if not cache:
            return
        for row in [cache[-1], *([cache[-2]] if len(cache) > 1 else [])]:
            opens, values = int(row[0]), tuple(row[1:6])
            if opens in closed or self._candle.get((symbol, opens)) != values:
                self._candle[symbol, opens] = values
                self.bars[i].candle(opens, values, opens in closed)
                self._reached = max(self._reached, opens * MS + (self.step if opens in closed else 0))
        if len(self._candle) > 8 * len(self.symbols):
            oldest = sorted(self._candle, key=lambda key: key[1])[: 4 * len(self.symbols)]
            for key in oldest:
                del self._candle[key]

    def _books(self, i: int, symbol: str, received: int) -> None:
        there = self.client.orderbooks.get(symbol)
        book = self.books[i]
        if there is None or not there["bids"] or not there["asks"]:
            if book.whole:
                self.book_counts.gaps += there is None  # ccxt dropped it: an update was missed
                book.lost()
                if there is None:
                    self.out_of_step(symbol)
            elif there is None and self._book[i] is not None:
                self.out_of_step(symbol)
            self._book[i] = None
            return
        state = there["nonce"], there["timestamp"]
        if state == self._book[i] or there["timestamp"] is None:
            return
        self._book[i] = state
        self._timed(there["timestamp"], received)
        if not book.state(int(there["timestamp"]) * MS, there["nonce"], there["bids"], there["asks"]):
            self.book_counts.wrong += 1
            self._drop_book(symbol)

    def _drop_book(self, symbol: str) -> None:
        self.books[self._columns[symbol]].lost()
        self._book[self._columns[symbol]] = None
        self.client.orderbooks.pop(symbol, None)
        self.out_of_step(symbol)

    def compare(self, symbol: str, snapshot: Any) -> None:
        """A book by REST: one that differs at the same update is dropped."""
        with self.lock:
            if self.books[self._columns[symbol]].compare(snapshot["nonce"], snapshot["bids"], snapshot["asks"]) is False:
                self.book_counts.wrong += 1
                self._drop_book(symbol)

    def begin(self, kind: str, now: int) -> None:
        """A stream of this kind has begun. now: UTC ns by the exchange's clock."""
        with self.lock:
            for bars in self.bars if kind == "trades" else ():
                bars.begin(now)

    def lost(self, kind: str) -> None:
        """The streams of this kind have ended."""
        with self.lock:
            for bars in self.bars if kind == "trades" else ():
                bars.lost()
            if kind == "book":
                self.continuity.forget()
                for i, symbol in enumerate(self.symbols):
                    self.books[i].lost()
                    self._book[i] = None
                    self.client.orderbooks.pop(symbol, None)

    # -- read by the engine's thread -----------------------------------------------------------------------------------------

    def rows(self, close: int, *, due: bool) -> list[Row] | None:
        """The bar of every symbol that closes then; None while one is not known."""
        with self.lock:
            found = [bars.row(close, due=due) for bars in self.bars]
        return None if any(row is None for row in found) else [row for row in found if row is not None]

    def levels(self, close: int) -> list[Levels] | None:
        """The book of every symbol as of then; None where there are no books."""
        with self.lock:
            return [book.at(close) for book in self.books] if self.depth else None

    def handed_on(self, close: int) -> list[int]:
        """The bars up to then are over. Of each symbol, trades that came too late since the last call."""
        with self.lock:
            self._next, self._open = close + self.step, set(range(len(self.bars)))
            return [bars.handed_on(close) for bars in self.bars]

    @property
    def unknown_books(self) -> list[str]:
        """Symbols whose book is out of step."""
        with self.lock:
            return [symbol for symbol, book in zip(self.symbols, self.books, strict=False) if not book.whole]
