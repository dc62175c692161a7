"""A live market as a feed: the history that the graph needs, then each bar as the exchange closes it.

Streams (`Streams`) bring bars as they close, with their flow and books. What they do not know (an exchange without streams, a
stream that was away) is asked for by REST when the clock says that a bar has closed: the exchange's own candles, so that a gap
is filled in order, before anything newer. After `hold` bars without an answer the bars become missing ones as
time passes, so that the kill switch sees a feed that is stale; when they come after all they are counted as late, and never
inserted. What the exchange does not have of a bar that it has closed is a missing bar. Nothing that it answers, or does not
answer, ends the feed.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from dataflows.data.types import OPERATOR_HALT, OPERATOR_NONE, OPERATOR_RELEASE, Instruments, Observations
from dataflows.risk.types import KILL_OPERATOR_HALT
from dataflows.spans import BarClock
from drivers.engine.chunk import Chunk
from drivers.exchanges.access import Exchange
from drivers.exchanges.book_bars import Levels
from drivers.exchanges.errors import LONGEST_WAIT, ExchangeFault, ExchangeOutage
from drivers.exchanges.flow import fill_in
from drivers.exchanges.frames import Frame, FrameRecorder
from drivers.exchanges.history import TRIES_OF_IMPOSSIBLE, Candle, Counts, candles, funding
from drivers.exchanges.markets import in_order, name_of
from drivers.exchanges.streams import Streams
from drivers.exchanges.trade_bars import Row
from drivers.feeds.aligned import LEVELS, Dataset
from drivers.feeds.base import DAY, Delivered, Quiet
from drivers.feeds.trading_time import always
from drivers.text.times import stamp

LOOK: Final = 0.2
"""Seconds between two looks at the clock while a bar is open."""
ASK_AGAIN: Final = 1_000_000_000
"""ns until a bar is asked for again that the exchange did not have yet."""
RECHECK: Final = 60 * 1_000_000_000
"""ns between two readings of the exchange's clock."""
BUSY: Final = 5 * 1_000_000_000
"""ns before a close in which the clock is not read: the answer may take long, and the bar would wait for it."""
HOUR: Final = 3_600_000_000_000
"""ns: funding is paid at full hours."""
AHEAD: Final = 1_000_000_000
"""ns by which an event may seem to be in the future before the exchange's clock is read again."""


@dataclass
class LiveFeed:
    """Fulfils `Feed`. Bars that close up to `begins` are history: entries are barred while they are run.

    exchange: the connection; closed with the feed. symbols: as the exchange writes them. history: bars up to about now.
    begins: UTC ns. end: UTC ns of the last close that is delivered; None: it does not end. grace: ns after a close before it is
    asked for. hold: bars for which time stands still in an outage. notify: told of outages. time_ns: this machine's clock, UTC.
    wait: sleeps for so many seconds. streams: of the same symbols, `in_order`; None: bars come by REST alone. record: takes
    what the feed does, so that it can be done again.
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
    streams: Streams | None = None
    record: FrameRecorder | None = None
    depth: int = 1
    digest: str = ""
    skew: int = 0  # ns, the exchange's clock less ours
    outages: int = 0
    clock_skew: Callable[[], int] | None = None  # in place of asking the exchange
    orders: str = "on paper"  # where they go, in words
    missing: int = 0  # bars that no answer came of in time
    streamed: int = 0  # bars that the streams brought
    asked: int = 0  # bars that were asked for by REST
    refilled: int = 0  # bars of symbols whose trades were asked for by REST
    counts: Counts = field(default_factory=Counts)
    _checked: int = 0
    _skewed: bool = False
    _paid: set[tuple[str, int]] = field(default_factory=set)  # funding that bars have brought
    _owed: bool = False
    _chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.wanted = in_order(self.wanted)
        names = tuple(name_of(symbol) for symbol in self.wanted)
        if names != self.history.symbols:
            raise ExchangeFault(f"the history has {', '.join(self.history.symbols)}, and {', '.join(names)} are asked for")
        self.exchange.patience.tries = TRIES_OF_IMPOSSIBLE  # the loop below asks again, and acts on commands meanwhile
        self.depth = max(1, self.streams.depth if self.streams is not None else 1, self.history.depth)
        if self.streams is not None and self.wait is time.sleep:
            self.wait = self.streams.wait
        self._chance.seed(self.begins)

    @property
    def symbols(self) -> tuple[str, ...]:
        """See `Feed.symbols`."""
        return self.history.symbols

    @property
    def instruments(self) -> Instruments:
        """See `Feed.instruments`. Where the streams bring books, the book counts and no proxy of it."""
        found = self.history.instruments
        if self.streams is None or not self.streams.depth:
            return found
        return found._replace(book_feed=np.ones_like(found.book_feed))

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
            yield _with_word(_deepened(chunk, self.depth), word)
            first, last = False, int(chunk.time[-1])
        yield from self._live(last or int(self.history.time[-1]), barred)

    def _live(self, last: int, barred: bool) -> Iterator[Delivered]:
        """What comes after the close `last`. barred: the history's HALT still stands."""
        step, due, failures, missed = self.history.step, 0, 0, 0
        while self.end is None or last + step <= self.end:
            now = self._now()
            bars = self._heard(last + step, now, missed, max(due, last + step + self.grace))
            if not bars and now < max(due, last + step + self.grace):
                # the bar that is open, or awaited, is not over for the engine
                yield Quiet(min(max(last, now), last + step - 1))
                self.wait(LOOK)
                continue
            try:
                bars = bars or self._closed(last, now // step * step, missed)
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
            if bars and self.streams is not None and self.streams.with_trades:
                self.refilled += fill_in(self.exchange, self.wanted, step, bars)
            for chunk in bars:
                word = self._word(barred, int(chunk.time[0]))
                barred = barred and chunk.time[0] <= self.begins
                yield _with_word(chunk, word)
                last = int(chunk.time[-1])

    def _word(self, barred: bool, close: int) -> int:
        """What an operator would say at this bar. A clock that is too far from the exchange's halts, and only the operator
        releases it."""
        beyond = abs(self.skew) > self.exchange.rules.max_skew * 1e9
        if beyond and not self._skewed:
            self.notify(
                f"{stamp(close)} this clock and that of {self.exchange.name} differ by {self.skew / 1e9:+.2f} s, more than "
                f"max_skew ({self.exchange.rules.max_skew:g} s): HALT. Set the clock, then send RELEASE"
            )
        was, self._skewed = self._skewed, beyond
        if beyond and not was:
            return OPERATOR_HALT
        return OPERATOR_RELEASE if barred and close > self.begins and not beyond else OPERATOR_NONE

    def wake(self) -> None:
        """Ends a wait of `deliver`, from any thread: something has come that is not of the market."""
        if self.streams is not None:
            self.streams.desk.changed.set()

    def remaining(self, after: int = 0) -> int | None:
        """See `Feed.remaining`."""
        return None if self.end is None else max(0, (self.end - max(after, int(self.history.time[0]))) // self.history.step)

    def about(self) -> dict[str, Any]:
        """See `Feed.about`."""
        return {
            "data": f"{self.exchange.name}, live {self.orders}",
            "source": self.exchange.rules.about,
            "external_alpha": False,
        }

    def notes(self) -> list[str]:
        """See `Feed.notes`."""
        said = self.history.notes()
        if self.outages:
            lost = f"{self.missing} bars are missing, the others were" if self.missing else "what was missed was"
            said.append(f"{self.exchange.name} did not answer {self.outages} times; {lost} fetched afterwards")
        if self.counts.impossible:
            said.append(f"{self.counts.impossible} candles had an impossible price and are missing bars")
        if self.record is not None and self.record.failed:
            said.append(f"frames could not be recorded any more ({self.record.failed})")
        return said + (self.streams.notes() if self.streams is not None else [])

    def health(self) -> dict[str, Any]:
        """How the feed is, as JSON has it."""
        own = {
            "venue": self.exchange.name,
            "skew_ms": self.skew / 1e6,
            "max_skew_ms": self.exchange.rules.max_skew * 1e3,
            "outages": self.outages,
            "missing_bars": self.missing,
            "streamed_bars": self.streamed,
            "asked_bars": self.asked,
            "refilled_bars": self.refilled,
        }
        return own | (self.streams.health() if self.streams is not None else {})

    def close(self) -> None:
        """See `Feed.close`."""
        if self.streams is not None:
            self.streams.close()
        self.exchange.close()
        if self.record is not None:
            self.record.close()

    def _now(self) -> int:
        """UTC ns by the exchange's clock."""
        ours = self.time_ns()
        ahead = self.streams is not None and self.streams.desk.exchange_time > ours + self.skew + AHEAD
        old, into = ours - self._checked, (ours + self.skew) % self.history.step
        calm = self.grace < into < self.history.step - BUSY
        if (old > RECHECK and calm) or old > 2 * RECHECK or (ahead and old > AHEAD) or old < 0:  # ours was set back
            self._checked = ours
            with suppress(ExchangeOutage):  # the last known skew goes on
                self.skew = self.clock_skew() if self.clock_skew is not None else self._measured(ours)
        now = ours + self.skew
        if self.streams is not None:
            self.streams.tick(now, self.skew)
        return now

    def _measured(self, ours: int) -> int:
        """The exchange's clock less ours, ns."""
        if self.record is None:
            return self._skew_now()
        with self.record.apart():
            skew = self._skew_now()
        self.record.write(Frame(ours, "skew", "", str(skew)))
        return skew

    def _skew_now(self) -> int:
        """By the middle of a request (Cristian 1989), without the waits of those that failed before it. One that took so long
        that it could be wrong by `max_skew` says nothing: the last known skew goes on."""

        def reading() -> tuple[int, int]:
            begun = self.time_ns()
            theirs = self.exchange.client.fetch_time()
            ended = self.time_ns()
            return int(theirs) * 1_000_000 - (begun + ended) // 2, ended - begun

        if not self.exchange.client.has.get("fetchTime"):
            return 0
        skew, took = self.exchange.ask(reading)
        return skew if took <= 2e9 * self.exchange.rules.max_skew else self.skew

    def _heard(self, close: int, now: int, missed: int, due: int) -> list[Chunk]:
        """The bar that closes then, where the streams know it of every symbol. due: UTC ns from which on it is asked for."""
        if self.streams is None:
            if self.record is not None and now >= due:
                self.record.write(Frame(now - self.skew, "look", "", ""))
            return []
        if now < close:
            return []
        with self.streams.desk.lock:
            rows = self.streams.rows(close, due=now >= close + self.grace)
            if self.record is not None and (rows is not None or now >= due):
                self.record.write(Frame(now - self.skew, "look", "", ""))
            if rows is None:
                return []
            self.streamed += 1
            return [self._chunk(close, rows, missed)]

    def _closed(self, last: int, until: int, missed: int) -> list[Chunk]:
        """The bars that close after `last`, up to `until`, one chunk each. missed: bars before them that come too late."""
        step = self.history.step
        found: list[dict[int, Candle]] = []
        for symbol in self.wanted:
            pages = candles(self.exchange, symbol, step, last, until, self.counts)
            found.append({row[0] + step: row for page in pages for row in page})
        newest = max((time for rows in found for time in rows), default=last)
        closes = range(last + step, min(newest, self.end or newest) + 1, step)
        self.asked += len(closes)
        return [
            self._chunk(close, [_row(rows.get(close)) for rows in found], missed if close == last + step else 0)
            for close in closes
        ]

    def _unanswered(self, last: int, now: int) -> list[Chunk]:
        """Missing bars for those that have been awaited for `hold` bars."""
        step = self.history.step
        closes = range(last + step, min(now - self.hold * step, self.end or now) + 1, step)
        self.missing += len(closes)
        return [self._chunk(close, [None] * len(self.symbols), 0) for close in closes]

    def _chunk(self, close: int, rows: Sequence[Row | None], late: int) -> Chunk:
        levels = self.streams.levels(close) if self.streams is not None else None
        too_late = self.streams.handed_on(close) if self.streams is not None else [0] * len(rows)
        observations = observed(
            close, self.history.step, rows, [late + n for n in too_late], self.depth, levels, self._funding(close)
        )
        return Chunk(np.array([close]), {"observations": observations})

    def _funding(self, close: int) -> list[float]:
        """Funding of each symbol for the bar that closes then, as a fraction. An exchange states it after the full hour, so it
        comes with the next bar; while the exchange does not answer it is owed. At the full hour itself nothing is asked, for
        the orders of that bar would wait."""
        step, none = self.history.step, [0.0] * len(self.wanted)
        self._owed = self._owed or close % HOUR == step or step >= HOUR
        if self.exchange.rules.market != "swap" or not self._owed:
            return none
        since = max(close - max(2 * step, HOUR), int(self.history.time[-1])) + 1
        try:
            found = [
                [row for page in funding(self.exchange, symbol, since, close + 1, Counts()) for row in page]
                for symbol in self.wanted
            ]
        except ExchangeFault:
            return none
        self._owed = False
        fresh = [
            sum(rate for at, rate in rows if (symbol, at) not in self._paid)
            for symbol, rows in zip(self.wanted, found, strict=True)
        ]
        self._paid = {(symbol, at) for symbol, rows in zip(self.wanted, found, strict=True) for at, _ in rows}
        return fresh


def _row(candle: Candle | None) -> Row | None:
    return None if candle is None else Row(*candle[1:])


def observed(
    close: int,
    step: int,
    rows: Sequence[Row | None],
    late: Sequence[int] = (),
    depth: int = 1,
    levels: Sequence[Levels] | None = None,
    funding_rates: Sequence[float] | None = None,
) -> Observations:
    """One bar of a market that never closes. rows: of each symbol; None: missing. late: observations of earlier bars that came
    too late, of each symbol. levels: the books; None: there are none. funding_rates: paid within it, of each symbol."""
    symbols = len(rows)
    bars = np.array([row if row is not None else (np.nan,) * len(Row._fields) for row in rows], np.float64)
    none: Any = np.zeros((1, symbols), np.int64)
    axis = always(close, close, step)
    values: dict[str, Any] = {
        "time": axis.closes, "session": axis.session, "bar_of_session": axis.bar_of_session, "is_last": axis.is_last,
        "ordinal": axis.ordinal, "funding_rate": np.array([funding_rates or [0.0] * symbols]), "listed": none + 1,
        "duplicates": none, "late": none + np.array(late or none[0], np.int64), "book_age": np.full((1, symbols), np.nan),
    }  # fmt: skip
    values |= {name: np.ascontiguousarray(bars[None, :, i]) for i, name in enumerate(Row._fields)}
    values |= {name: np.full((1, symbols, depth), np.nan) for name in LEVELS}
    if levels is not None:
        values |= {name: np.array([[getattr(book, name) for book in levels]]) for name in LEVELS}
        values["book_age"] = np.array([[book.age for book in levels]])
    return Observations(**values)


def _deepened(chunk: Chunk, depth: int) -> Chunk:
    """The same with so many book levels."""
    seen = chunk.inputs["observations"]
    more = depth - seen.bid_price.shape[2]
    if more <= 0:
        return chunk
    bars, symbols = seen.close.shape
    absent = np.full((bars, symbols, more), np.nan)
    wide = {name: np.concatenate([getattr(seen, name), absent], axis=2) for name in LEVELS}
    return chunk._replace(inputs={**chunk.inputs, "observations": seen._replace(**wide)})


def _with_word(chunk: Chunk, word: int) -> Chunk:
    """The same with an operator's word at its first bar: RELEASE lifts the history's HALT and nothing else."""
    if word == OPERATOR_NONE:
        return chunk
    bars = len(chunk.time)
    operator, subject = np.full(bars, OPERATOR_NONE), np.zeros(bars, np.int64)
    operator[0], subject[0] = word, KILL_OPERATOR_HALT if word == OPERATOR_RELEASE else 0
    return chunk._replace(operator=operator, amount=np.zeros(bars), symbol=np.full(bars, -1), subject=subject)
