"""The market of the practice exchange: seeded trades, and the candles that they make."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints

MINUTE: Final = 60_000
"""ms."""
HOUR: Final = 3_600_000
"""ms."""
DAY_MINUTES: Final = 1_440
ORIGIN: Final = 1_767_225_600_000
"""ms: 2026-01-01T00:00Z. Nothing traded before."""
LENGTHS: Final = {"1m": 1, "5m": 5, "15m": 15, "1h": 60, "4h": 240, "1d": 1_440}
"""Minutes of each candle."""
BOOK_EVERY: Final = 500
"""ms between two updates of a book."""
BOOK_LEVELS: Final = 25
"""On each side."""
UPDATES: Final = 7
"""Update ids that one update of a book takes."""
TICK: Final = 0.01
LOT: Final = 0.0001
_SIGMA: Final = 6e-4
"""Standard deviation of a minute's log return."""
_MEAN_TRADES: Final = 12.0
"""A minute's mean count of trades; a minute without any occurs now and then, as at real exchanges."""


class Trades(NamedTuple):
    """The trades of one minute, in order."""

    id: Ints
    time: Ints  # ms
    price: Floats
    size: Floats
    sold: Ints  # 1: the buyer was the maker


class Book(NamedTuple):
    """Sizes by price on each side, after an update."""

    update: int
    bids: dict[float, float]
    asks: dict[float, float]


def funding_rate(symbol: str, ms: int) -> Decimal:
    """What longs of a swap pay shorts at a time, as a fraction of the notional: -3 to 3 basis points."""
    return Decimal(zlib.crc32(f"{symbol} {ms}".encode()) % 61 - 30) / 100_000


@dataclass
class PracticeMarket:
    """Trades of each symbol from ORIGIN on, the same for the same seed. prices: by symbol, at ORIGIN. funding_every: ms between
    two payments of a swap's funding."""

    prices: dict[str, float]
    seed: int = 1
    funding_every: int = 8 * HOUR
    _days: dict[tuple[str, int], tuple[Ints, Floats]] = field(default_factory=dict)

    def _day(self, symbol: str, day: int) -> tuple[Ints, Floats]:
        """Of a day after ORIGIN: (number of the first trade of each minute, log price at the start of each), with the end."""
        if (symbol, day) not in self._days:
            for earlier in range(day if (symbol, day - 1) not in self._days else 0):
                self._day(symbol, earlier)  # one after the other: there may be more than calls can be nested
            rng = np.random.default_rng((self.seed, zlib.crc32(symbol.encode()), day))
            counts, moves = rng.poisson(_MEAN_TRADES, DAY_MINUTES), rng.normal(0.0, _SIGMA, DAY_MINUTES)
            if day:
                numbers, logs = self._day(symbol, day - 1)
                first, start = int(numbers[-1]), float(logs[-1])
            else:
                first, start = 1, float(np.log(self.prices[symbol]))
            numbers = first + np.concatenate([[0], np.cumsum(counts)])
            moves[counts == 0] = 0.0
            self._days[symbol, day] = numbers, start + np.concatenate([[0.0], np.cumsum(moves)])
        return self._days[symbol, day]

    def minute_of(self, symbol: str, number: int) -> int:
        """The minute, counted from ORIGIN, in which the trade of this id was, or would be."""
        day = 0
        while number >= int(self._day(symbol, day)[0][-1]):
            day += 1
        return day * DAY_MINUTES + max(0, int(np.searchsorted(self._day(symbol, day)[0], number, side="right")) - 1)

    def trades(self, symbol: str, minute: int) -> Trades:
        """The trades of one minute, counted from ORIGIN."""
        return _trades(self, symbol, minute)

    def __hash__(self) -> int:
        return id(self)

    def until(self, symbol: str, ms: int) -> Trades:
        """The trades of the minute that holds this time, up to it."""
        made = self.trades(symbol, (ms - ORIGIN) // MINUTE)
        there = made.time <= ms
        return Trades(made.id[there], made.time[there], made.price[there], made.size[there], made.sold[there])

    def last_price(self, symbol: str, ms: int) -> float:
        """The price of the last trade up to then, in its minute; at a minute's begin, where the one before ended."""
        made = self.until(symbol, ms)
        if len(made.price):
            return float(made.price[-1])
        day, at = divmod((ms - ORIGIN) // MINUTE, DAY_MINUTES)
        return _rounded(float(np.exp(self._day(symbol, day)[1][at])))

    @staticmethod
    def book_number(ms: int) -> int:
        """How many updates every book had had by then."""
        return (ms - ORIGIN) // BOOK_EVERY

    @staticmethod
    def book_time(number: int) -> int:
        """When it had had so many, ms."""
        return ORIGIN + number * BOOK_EVERY

    def book(self, symbol: str, number: int) -> Book:
        """The book after so many updates: levels about the last price, of which a few change with each."""
        return _book(self, symbol, number)

    def candle(self, symbol: str, open_ms: int, length: int, now: int) -> list[float] | None:
        """[open time, open, high, low, close, volume, taker's buys, trades] of what has traded by now; of nothing, the last
        price. None before ORIGIN and in the future."""
        if open_ms < ORIGIN or open_ms > now:
            return None
        minutes = range((open_ms - ORIGIN) // MINUTE, (min(open_ms + length, now + 1) - 1 - ORIGIN) // MINUTE + 1)
        parts = [self.trades(symbol, m) for m in minutes]
        price, size, sold = (
            np.concatenate([column[part.time <= now] for part, column in ((p, getattr(p, name)) for p in parts)])
            for name in ("price", "size", "sold")
        )
        if not len(price):
            _, logs = self._day(symbol, minutes[0] // DAY_MINUTES)
            last = _rounded(float(np.exp(logs[minutes[0] % DAY_MINUTES])))
            return [open_ms, last, last, last, last, 0.0, 0.0, 0]
        buys = float(size[sold == 0].sum())
        return [open_ms, price[0], price.max(), price.min(), price[-1], float(size.sum()), buys, len(price)]


@lru_cache(maxsize=20_000)
def _trades(market: PracticeMarket, symbol: str, minute: int) -> Trades:
    day, at = divmod(minute, DAY_MINUTES)
    numbers, logs = market._day(symbol, day)
    n, first = int(numbers[at + 1] - numbers[at]), int(numbers[at])
    rng = np.random.default_rng((market.seed, zlib.crc32(symbol.encode()), day, at))
    time = ORIGIN + minute * MINUTE + np.sort(rng.integers(0, MINUTE, n))
    steps = np.arange(1, n + 1) / max(n, 1)
    noise = rng.normal(0.0, 1e-4, n)
    path = logs[at] + (logs[at + 1] - logs[at]) * steps + noise - noise[-1:] * steps  # ends where the next minute begins
    size = np.maximum(1, rng.lognormal(0.0, 1.0, n) / LOT // 10) * LOT
    price: Floats = np.round(np.exp(path) / TICK) * TICK
    return Trades(first + np.arange(n), time, price, size, rng.integers(0, 2, n))


@lru_cache(maxsize=2_000)
def _book(market: PracticeMarket, symbol: str, number: int) -> Book:
    step = max(1, round(market.prices[symbol] * 1e-5 / TICK))  # ticks between two levels
    middle = round(market.last_price(symbol, market.book_time(number)) / TICK / step)

    def size(level: int) -> float:
        turn = (number + zlib.crc32(f"{symbol} {level}".encode())) // 11  # each level changes every eleventh update
        return (1 + zlib.crc32(f"{market.seed} {symbol} {level} {turn}".encode()) % 20_000) * LOT

    bids, asks = (
        {round(level * step * TICK, 2): round(size(level), 4) for level in levels}
        for levels in (range(middle - 1, middle - 1 - BOOK_LEVELS, -1), range(middle + 1, middle + 1 + BOOK_LEVELS))
    )
    return Book(number * UPDATES, bids, asks)


def _rounded(price: float) -> float:
    return round(price / TICK) * TICK
