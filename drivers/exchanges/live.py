"""A live market as a feed: the history that the graph needs, then each bar as the exchange closes it.

Bars are the exchange's own candles, asked for by REST when the clock says that one has closed: so a gap after an outage is
filled by the same call, in order, before anything newer. After `hold` bars without an answer the bars become missing ones as
time passes, so that the kill switch sees a feed that is stale; when they come after all they are counted as late, and never
inserted. What the exchange does not have of a bar that it has closed is a missing bar. Nothing that it answers, or does not
answer, ends the feed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from dataflows.data.types import OPERATOR_HALT, OPERATOR_NONE, OPERATOR_RELEASE, Instruments, Observations
from dataflows.panel import Floats
from dataflows.risk.types import KILL_OPERATOR_HALT
from dataflows.spans import BarClock
from drivers.engine.chunk import Chunk
from drivers.exchanges.access import Exchange
from drivers.exchanges.errors import LONGEST_WAIT, ExchangeFault, ExchangeOutage
from drivers.exchanges.history import TRIES_OF_IMPOSSIBLE, Candle, Counts, candles
from drivers.exchanges.markets import name_of
from drivers.feeds.aligned import Dataset
from drivers.feeds.base import DAY, Delivered, Quiet
from drivers.feeds.trading_time import always
from drivers.text.times import stamp

LOOK: Final = 0.2
"""Seconds between two looks at the clock while a bar is open."""
ASK_AGAIN: Final = 1_000_000_000
"""ns until a bar is asked for again that the exchange did not have yet."""
RECHECK: Final = 60 * 1_000_000_000
"""ns between two readings of the exchange's clock."""


@dataclass
class LiveFeed:
    """Fulfils `Feed`. Bars that close up to `begins` are history: entries are barred while they are run.

    exchange: the connection; closed with the feed. symbols: as the exchange writes them. history: bars up to about now.
    begins: UTC ns. end: UTC ns of the last close that is delivered; None: it does not end. grace: ns after a close before it is
    asked for. hold: bars for which time stands still in an outage. notify: told of outages. time_ns: this machine's clock, UTC.
    wait: sleeps for so many seconds.
    """

    exchange: Exchange
    wanted: tuple[str, ...]
    history: Dataset
    begins: int
    end: int | None = None
    grace: int = 1_500_000_000
    hold: int = 3
    notify: Callable[[str], None] = lambda text: None
    time_ns: Callable[[], int] = time.time_ns
    wait: Callable[[float], None] = time.sleep
    depth: int = 1
    digest: str = ""
    skew: int = 0  # ns, the exchange's clock less ours
    outages: int = 0
    counts: Counts = field(default_factory=Counts)
    _checked: int = 0
    _chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        names = tuple(name_of(symbol) for symbol in self.wanted)
        order = sorted(range(len(names)), key=names.__getitem__)
        self.wanted = tuple(self.wanted[i] for i in order)
        if tuple(names[i] for i in order) != self.history.symbols:
            raise ExchangeFault(f"the history has {', '.join(self.history.symbols)}, and {', '.join(names)} are asked for")
        self.exchange.patience.tries = TRIES_OF_IMPOSSIBLE  # the loop below asks again, and acts on commands meanwhile

    @property
    def symbols(self) -> tuple[str, ...]:
        """See `Feed.symbols`."""
        return self.history.symbols

    @property
    def instruments(self) -> Instruments:
        """See `Feed.instruments`."""
        return self.history.instruments

    @property
    def clock(self) -> BarClock:
        """See `Feed.clock`."""
        return self.history.clock

    def deliver(self, *, after: int = 0, most: int = 1, epoch_ns: int = DAY) -> Iterator[Delivered]:
        """See `Feed.deliver`. The first bar of the history carries HALT, and the first bar after `begins` lifts that HALT."""
        barred = after < self.begins
        first = after == 0
        last = after
        for chunk in self.history.deliver(after=after, most=most, epoch_ns=epoch_ns):
            word = OPERATOR_HALT if first and chunk.time[0] <= self.begins else OPERATOR_NONE
            if barred and chunk.time[-1] > self.begins:
                word, barred = OPERATOR_RELEASE, False
            yield _with_word(chunk, word)
            first, last = False, int(chunk.time[-1])
        yield from self._live(last or int(self.history.time[-1]), barred)

    def _live(self, last: int, barred: bool) -> Iterator[Delivered]:
        """What comes after the close `last`. barred: the history's HALT still stands."""
        step, due, failures, missed = self.history.step, 0, 0, 0
        while self.end is None or last + step <= self.end:
            now = self._now()
            if now < max(due, last + step + self.grace):
                yield Quiet(
                    min(max(last, now), last + step - 1)
                )  # the bar that is open, or awaited, is not over for the engine
                self.wait(LOOK)
                continue
            try:
                bars = self._closed(last, now // step * step, missed)
                if failures:
                    self.notify(f"{stamp(now)} {self.exchange.name} answers again; {missed} bars are missing")
                due, failures = (0, 0) if bars else (now + ASK_AGAIN, 0)
                missed = 0 if bars else missed
                bars = bars or self._unanswered(last, now)
            except ExchangeOutage as error:
                self.outages += 1
                if not failures:
                    self.notify(f"{stamp(now)} {error}; asking again")
                failures += 1
                due = now + int(1e9 * min(LONGEST_WAIT, 2.0**failures) * (0.5 + 0.5 * self._chance.random()))
                bars = self._unanswered(last, now)
                missed += len(bars)
            for chunk in bars:
                word = OPERATOR_RELEASE if barred and chunk.time[0] > self.begins else OPERATOR_NONE
                barred = barred and word == OPERATOR_NONE
                yield _with_word(chunk, word)
                last = int(chunk.time[-1])

    def remaining(self, after: int = 0) -> int | None:
        """See `Feed.remaining`."""
        return None if self.end is None else max(0, (self.end - max(after, int(self.history.time[0]))) // self.history.step)

    def about(self) -> dict[str, Any]:
        """See `Feed.about`."""
        return {"data": f"{self.exchange.name}, live on paper", "source": self.exchange.rules.about, "external_alpha": False}

    def notes(self) -> list[str]:
        """See `Feed.notes`."""
        said = self.history.notes()
        if self.outages:
            said.append(f"{self.exchange.name} did not answer {self.outages} times; what was missed was fetched afterwards")
        if self.counts.impossible:
            said.append(f"{self.counts.impossible} candles had an impossible price and are missing bars")
        return said

    def close(self) -> None:
        """See `Feed.close`."""
        self.exchange.close()

    def _now(self) -> int:
        """UTC ns by the exchange's clock."""
        ours = self.time_ns()
        if ours - self._checked > RECHECK:
            try:
                self.skew, self._checked = self.exchange.now() - ours, ours
            except ExchangeOutage:
                self._checked = ours  # the last known skew goes on
        return ours + self.skew

    def _closed(self, last: int, until: int, missed: int) -> list[Chunk]:
        """The bars that close after `last`, up to `until`, one chunk each. missed: bars before them that come too late."""
        step = self.history.step
        found: list[dict[int, Candle]] = []
        for symbol in self.wanted:
            pages = candles(self.exchange, symbol, step, last, until, self.counts)
            found.append({row[0] + step: row for page in pages for row in page})
        newest = max((time for rows in found for time in rows), default=last)
        closes = range(last + step, min(newest, self.end or newest) + 1, step)
        return [
            self._chunk(close, [rows.get(close) for rows in found], missed if close == last + step else 0) for close in closes
        ]

    def _unanswered(self, last: int, now: int) -> list[Chunk]:
        """Missing bars for those that have been awaited for `hold` bars."""
        step = self.history.step
        closes = range(last + step, min(now - self.hold * step, self.end or now) + 1, step)
        return [self._chunk(close, [None] * len(self.symbols), 0) for close in closes]

    def _chunk(self, close: int, rows: list[Candle | None], late: int) -> Chunk:
        bars = np.array([row[1:] if row is not None else (np.nan,) * 5 for row in rows])
        return Chunk(np.array([close]), {"observations": observed(close, self.history.step, bars, late)})


def observed(close: int, step: int, bars: Floats, late: int = 0) -> Observations:
    """One bar of a market that never closes. bars: (N, 5) open, high, low, close, volume; NaN: missing. late: earlier bars of
    each symbol that came too late."""
    symbols = len(bars)
    blank: Any = np.full((1, symbols), np.nan)
    levels: Any = np.full((1, symbols, 1), np.nan)
    none: Any = np.zeros((1, symbols), np.int64)
    axis = always(close, close, step)
    values: dict[str, Any] = {
        "time": axis.closes, "session": axis.session, "bar_of_session": axis.bar_of_session, "is_last": axis.is_last,
        "ordinal": axis.ordinal, "funding_rate": np.zeros((1, symbols)), "listed": none + 1, "duplicates": none,
        "late": none + late,
    }  # fmt: skip
    values |= {
        name: np.ascontiguousarray(bars[None, :, i]) for i, name in enumerate(("open", "high", "low", "close", "volume"))
    }
    deep = {"bid_price", "bid_size", "ask_price", "ask_size", "ofi"}
    return Observations(**{name: values.get(name, levels if name in deep else blank) for name in Observations._fields})


def _with_word(chunk: Chunk, word: int) -> Chunk:
    """The same with an operator's word at its first bar: RELEASE lifts the history's HALT and nothing else."""
    if word == OPERATOR_NONE:
        return chunk
    bars = len(chunk.time)
    operator, subject = np.full(bars, OPERATOR_NONE), np.zeros(bars, np.int64)
    operator[0], subject[0] = word, KILL_OPERATOR_HALT if word == OPERATOR_RELEASE else 0
    return chunk._replace(operator=operator, amount=np.zeros(bars), symbol=np.full(bars, -1), subject=subject)
