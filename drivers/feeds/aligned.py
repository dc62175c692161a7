"""Market data as a run takes it: aligned to the clock, cut into chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.data.types import ExternalAlpha, Instruments, Observations
from dataflows.panel import Ints
from dataflows.spans import BarClock
from drivers.engine.chunk import Chunk
from drivers.feeds.description import DAY
from drivers.feeds.source import Source
from drivers.feeds.trading_time import TradingTime

LEVELS: Final = frozenset({"bid_price", "bid_size", "ask_price", "ask_size", "ofi"})
"""The observations that have an axis of book levels."""


class QualityCounts(NamedTuple):
    """What was found while reading, over the rows that were used."""

    rows: int = 0  # of the bars file; of the trades file where there is none
    missing: int = 0  # bars not observed while their symbol was listed
    duplicates: int = 0  # repeated rows that were dropped
    zero_volume: int = 0
    snapshots: int = 0  # of the book
    crossed: int = 0  # snapshots whose best bid is not below the best ask
    one_sided: int = 0
    empty: int = 0
    unlisted: int = 0  # bars before `listing_time` or after `delivery_time`, which were left out
    while_closed: int = 0  # bars outside of the sessions of the calendar, which were left out


class UnknownFunding(NamedTuple):
    """A perpetual of which funding payments are not in the data; 0 of 0 where none at all is."""

    symbol: str
    missing: int
    expected: int


def funding_notes(unknown: Sequence[UnknownFunding]) -> list[str]:
    """What the data do not say of perpetuals' funding, a sentence each."""
    silent = [u.symbol for u in unknown if not u.expected]
    notes = []
    if silent:
        notes.append(
            f"the funding of {', '.join(silent[:8])}{' and more' if len(silent) > 8 else ''} is unknown: perpetuals pay it, no "
            "rate is in the data, and none is charged; add funding.* to the data"
        )
    return notes + [
        f"{u.missing} of {u.expected} funding payments of {u.symbol} are not in the data, and none is charged for them"
        for u in unknown
        if u.expected
    ]


@dataclass(frozen=True)
class Dataset:
    """Market data of a fixed set of symbols in trading time. Row t is the bar that closes at `time[t]`."""

    path: Source
    symbols: tuple[str, ...]  # sorted by name: the columns
    step: int  # ns
    time: Ints  # (T,) closes, UTC ns; a `step` apart but where the market was closed in between
    depth: int  # book levels; 1 where there is no book
    instruments: Instruments
    calendar: str
    clock: BarClock  # at which times in the configuration become bars
    source: str
    licence: str
    digest: str  # SHA-256 of the files that were read
    quality: QualityCounts
    unknown_funding: tuple[UnknownFunding, ...]
    _panels: Mapping[str, Any] = field(repr=False)  # Observations field -> (T, N) or (T, N, D); only what the files hold
    _trading: TradingTime = field(repr=False)
    _listed: Ints = field(repr=False)  # (2, N) first and last row
    _duplicates: Ints = field(repr=False)  # (M, 3) row, column, how many; sorted by row

    @property
    def listed(self) -> Ints:
        """(2, N) the first and the last row in which each symbol is listed; first > last: in none."""
        return self._listed

    @property
    def trading(self) -> TradingTime:
        """The bars, and the sessions that they belong to."""
        return self._trading

    @property
    def held(self) -> tuple[str, ...]:
        """Names of the observations that the data have, `alpha` among them where they have one."""
        repeated = ("duplicates",) if len(self._duplicates) and "duplicates" not in self._panels else ()
        return (*(name for name in self._panels if name != "alpha_age"), *repeated)

    def __len__(self) -> int:
        return len(self.time)

    def rows(self, a: int, b: int) -> Observations:
        """The observations of rows a to b: views of what the files hold; what they do not hold shares one panel of NaN.

        Raises IndexError unless 0 <= a <= b <= len(dataset).
        """
        if not 0 <= a <= b <= len(self.time):
            raise IndexError(f"rows {a} to {b} are not within the {len(self.time)} bars of {self.path.name}")
        shape = (b - a, len(self.symbols))
        made: dict[str, Any] = {
            "time": self.time[a:b],
            "session": self._trading.session[a:b],
            "bar_of_session": self._trading.bar_of_session[a:b],
            "is_last": self._trading.is_last[a:b],
            "ordinal": self._trading.ordinal[a:b],
            "listed": self._listed_in(a, b),
            "duplicates": self._duplicates_in(a, b),
            "late": np.zeros(shape, np.int64),
        }
        unknown, unknown_levels = np.full(shape, np.nan), np.full((*shape, self.depth), np.nan)
        for name in Observations._fields:
            if name in self._panels:
                made[name] = self._panels[name][a:b]
            elif name == "funding_rate":
                made[name] = np.zeros(shape)
            elif name not in made:
                made[name] = unknown_levels if name in LEVELS else unknown
        return Observations(**made)

    def inputs(self, observations: Observations) -> dict[str, Any]:
        """What the engine is handed with these rows, by name: they themselves, and what was stated from outside."""
        found: dict[str, Any] = {"observations": observations}
        if "alpha" in self._panels:
            a = int(np.searchsorted(self.time, observations.time[0]))
            value = self._panels["alpha"][a : a + len(observations.time)]
            age = np.where(np.isnan(value), np.nan, 0.0)
            if a == 0:
                age[0] = self._panels["alpha_age"][0]
            found["external_alpha"] = ExternalAlpha(value, age)
        return found

    @property
    def has_alpha(self) -> bool:
        """True where the folder holds an alpha file."""
        return "alpha" in self._panels

    def deliver(self, *, after: int = 0, most: int = 1, epoch_ns: int = DAY) -> Iterator[Chunk]:
        """See `Feed.deliver`."""
        for a, b in self.cuts(most, int(np.searchsorted(self.time, after, side="right")), epoch_ns):
            observations = self.rows(a, b)
            yield Chunk(observations.time, self.inputs(observations))

    def remaining(self, after: int = 0) -> int:
        """See `Feed.remaining`."""
        return len(self.time) - int(np.searchsorted(self.time, after, side="right"))

    def about(self) -> dict[str, Any]:
        """See `Feed.about`."""
        return {"data": self.path.name, "source": self.source, "bars": len(self), "external_alpha": self.has_alpha}

    def notes(self) -> list[str]:
        """See `Feed.notes`."""
        shifts = zip(self.symbols, self.instruments.price_shift.tolist(), strict=True)
        return [
            *funding_notes(self.unknown_funding),
            *(f"prices of {name} are shown with its price_shift of {by:g} added" for name, by in shifts if by),
        ]

    def close(self) -> None:
        """See `Feed.close`: it is in memory, so there is nothing to give back."""

    def _listed_in(self, a: int, b: int) -> Ints:
        first, last = self._listed
        if a >= first.max() and b - 1 <= last.min():
            return np.ones((b - a, len(self.symbols)), np.int64)
        t = np.arange(a, b)[:, None]
        return np.asarray((t >= first) & (t <= last), np.int64)

    def _duplicates_in(self, a: int, b: int) -> Ints:
        found = np.zeros((b - a, len(self.symbols)), np.int64)
        if len(self._duplicates):
            i, j = np.searchsorted(self._duplicates[:, 0], (a, b))
            np.add.at(found, (self._duplicates[i:j, 0] - a, self._duplicates[i:j, 1]), self._duplicates[i:j, 2])
        return found

    def chunks(self, max_bars: int, epoch_ns: int = DAY) -> Iterator[Observations]:
        """The observations in order, at most `max_bars` at a time, cut so that no piece straddles two epochs.

        epoch_ns: length of an epoch, counted from 1970; by default a UTC day, to which the bar stamped 00:00 at its end
        belongs.
        """
        for a, b in self.cuts(max_bars, epoch_ns=epoch_ns):
            yield self.rows(a, b)

    def cuts(self, max_bars: int, start: int = 0, epoch_ns: int = DAY) -> Iterator[tuple[int, int]]:
        """The (first, end) rows of `chunks`, from row `start` on."""
        if max_bars < 1:
            raise ValueError(f"max_bars is {max_bars}; a chunk needs at least 1 bar")
        a = start
        while a < len(self.time):
            close = int(self.time[a])
            ends = -(-close // epoch_ns) * epoch_ns  # of the epoch that this bar is in; its own close if it is the last
            b = min(a + max_bars, int(np.searchsorted(self.time, ends, side="right")))
            yield a, b
            a = b
