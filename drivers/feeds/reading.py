"""What the readers of one market-data folder share: the axis, the panels so far, and how a fault is reported."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.spans import BarClock
from drivers.feeds.aligned import QualityCounts
from drivers.feeds.description import DAY, SECOND, Description
from drivers.feeds.errors import DataError, Fault, Sink
from drivers.feeds.tables import Table
from drivers.feeds.trading_time import ALWAYS, TradingTime, always, bar_clock, trading_time
from drivers.text.suggestions import did_you_mean
from drivers.text.times import duration, utc


class Axis(NamedTuple):
    """The bars of a data set in trading time, and the column of each symbol."""

    step: int
    column: dict[str, int]
    trading: TradingTime
    calendar: str  # what the bars go by
    clock: BarClock

    @property
    def first(self) -> int:
        """Close of row 0, UTC ns."""
        return int(self.trading.closes[0])

    @property
    def bars(self) -> int:
        """How many."""
        return len(self.trading.closes)

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names by column."""
        return tuple(self.column)

    def rows(self, time: Ints) -> Ints:
        """The row of each instant: bar t covers (t-1, t], with the time for which the market was closed between the two.

        Instants outside of the span have rows below 0, or `bars` and above.
        """
        regular = -((self.first - time) // self.step)
        if self.calendar == ALWAYS:
            return regular
        inside = np.searchsorted(self.trading.closes, time)
        return np.where(regular < 0, regular, inside)

    def panel(self, value: float = np.nan) -> Floats:
        """(bars, symbols) of one value."""
        return np.full((self.bars, len(self.column)), value)


@dataclass
class Reading:
    """The state of reading one folder. latest: UTC ns beyond which a time lies in the future."""

    path: Path
    about: Description
    latest: int
    sink: Sink
    panels: dict[str, Floats] = field(default_factory=dict)
    duplicates: list[Ints] = field(default_factory=list)
    payments: dict[str, Ints] = field(default_factory=dict)  # UTC ns of the funding payments of a symbol, sorted
    names: frozenset[str] = frozenset()  # of all symbols that the folder has bars (or trades) of
    has_book: Any = False  # (N,) True where the book file holds a snapshot of the symbol
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QualityCounts._fields, 0))

    def fault(
        self, kind: str, table: Table, mask: Any, start: int, symbols: Sequence[str], code: Any, time: Any, what: Any
    ) -> bool:
        """Tells the sink of the rows in `mask`, naming the first; False when there are none.

        start: index of the batch's first row. code, time: column and UTC ns of each row. what: row of the batch to the rest of
        the sentence.
        """
        if not mask.any():
            return False
        i = int(np.argmax(mask))
        where = f"{table.row(start + i)}: {symbols[code[i]]} {utc(int(time[i]))}"
        self.sink(Fault(kind, f"{where}{what(i)}", int(np.count_nonzero(mask))))
        return True

    def future(self, table: Table, start: int, use: Any, symbols: Sequence[str], code: Any, time: Ints) -> Any:
        """The rows in `use` that lie more than a day ahead, told to the sink."""
        ahead = use & (time > self.latest)
        now = utc((self.latest - DAY) // SECOND * SECOND)
        rest = f" lies in the future (it is {now} now); check the unit and zone of the timestamps"
        self.fault("future", table, ahead, start, symbols, code, time, lambda i: rest)
        return ahead

    def columns(self, names: Sequence[str], symbols: Sequence[str] | None, table: Table) -> dict[str, int]:
        """Column of each symbol, sorted by name. Raises DataError for one that is asked for and not in `names`."""
        self.names = frozenset(names)
        if symbols is not None and not symbols:
            raise DataError("no symbol was asked for; name at least one, or leave the choice out for all")
        for wanted in symbols or ():
            if wanted not in names:
                raise DataError(f"{table.name}: symbol {wanted} is not in the data; {did_you_mean(wanted, sorted(names))}")
        self.about.check_symbols(sorted(names), "dataset.yml")
        symbols = self.about.symbols if symbols is None else symbols
        chosen = sorted(set(names if symbols is None else symbols))
        uids: dict[int, str] = {}
        for name in chosen:
            other = uids.setdefault(symbol_uid(name), name)
            if other != name:
                raise DataError(f"{table.name}: symbols {other} and {name} have the same id; rename one of them")
        return {name: i for i, name in enumerate(chosen)}

    def axis(self, table: Table, first: int, last: int, step: int, column: dict[str, int], rows: int, closes: Ints) -> Axis:
        """The axis of a span that holds `rows` rows, in trading time. closes: of all bars that the file has.

        Raises DataError where it would be nearly empty: a wrong time or clock.
        """
        bars = (last - first) // step + 1
        if bars * len(column) > 50 * rows + 10_000_000:
            raise DataError(
                f"{table.name}: {utc(first)} to {utc(last)} are {bars} bars of {duration(step)}, but only {rows} rows hold "
                "data; check the timestamps, or `clock` in dataset.yml"
            )
        time, calendar = trading_time(self.about.calendar, closes, step)
        if calendar == ALWAYS:
            return Axis(step, column, always(first, last, step), calendar, bar_clock(calendar, time, step))
        part = time.between(first, last)
        if not len(part.closes):
            raise DataError(f"{table.name}: the market is closed from {utc(first)} to {utc(last)} ({calendar})")
        return Axis(step, column, part, calendar, bar_clock(calendar, time, step))

    def dropped(self, row: Ints, column: Ints, axis: Axis) -> None:
        """Counts repeated rows that were dropped."""
        self.counts["duplicates"] += len(row)
        inside = (row >= 0) & (row < axis.bars)
        self.duplicates.append(np.stack([row, column, np.ones_like(row)], axis=1)[inside])


class Listing:
    """The first and last row in which each symbol was observed, as batches come."""

    def __init__(self, symbols: int) -> None:
        self._first = np.full(symbols, np.iinfo(np.int64).max)
        self._last = np.full(symbols, np.iinfo(np.int64).min)

    def add(self, column: Ints, row: Ints) -> None:
        """Observations; rows may lie outside the span."""
        np.minimum.at(self._first, column, row)
        np.maximum.at(self._last, column, row)

    def within(self, bars: int) -> Ints:
        """(2, N) first and last row, those outside the span moved to its edge; first > last: never."""
        return np.stack([np.clip(self._first, 0, bars), np.clip(self._last, -1, bars - 1)])


def codes_of(table: Table, batch: Any, start: int, column: dict[str, int]) -> Ints:
    """Column of each row's symbol, -1 where it is not one of them."""
    found, index = table.texts(batch, "symbol", start)
    return np.array([column.get(name, -1) for name in found] or [-1], np.int64)[index]


def symbol_uid(name: str) -> int:
    """A stable id of a symbol's name, 1 to 2**31 - 1; the same in every data set, so that order ids are comparable."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % (2**31 - 1) + 1
