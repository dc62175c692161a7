"""A run's tables read a few bars at a time, as panels: what a report takes of memory does not grow with the run.

The rows of a run lie by bar, then symbol, on a regular clock, so a bar is a number: `Clock` turns numbers into times and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataflows.panel import Ints
from drivers.store.reader import RecordedError, RecordedRun

Panels = dict[str, Any]
"""Column to its values, (bars, N)."""

DAY: Final = 86_400 * 1_000_000_000
"""ns."""
YEAR: Final = 365 * DAY
"""ns."""
_WIDTHS: Final = tuple(n * 1_000_000_000 for n in (60, 300, 900, 3600, 14_400, 86_400, 7 * 86_400, 28 * 86_400))
_MOST_PERIODS: Final = 60


@dataclass(frozen=True)
class BarTimes:
    """The bars of a run: bar t closes at `first + t * step`, UTC ns, but for the time in which the market was closed.

    jumps: (bar, its close, UTC ns) of each bar that does not follow the one before it, in order.
    """

    first: int
    step: int
    bars: int
    jumps: tuple[tuple[int, int], ...] = ()

    @property
    def span(self) -> int:
        """From the open of the first bar to the close of the last, ns."""
        return self.last - self.first + self.step

    @property
    def last(self) -> int:
        """Close of the last bar, UTC ns."""
        return int(self.closes(np.array([self.bars - 1], np.int64))[0])

    @property
    def bars_a_year(self) -> float:
        """Of 365 days. Of a market that closes, as many as the run had in its span."""
        return self.bars * YEAR / self.span if self.jumps else YEAR / self.step

    def closes(self, bars: Ints) -> Ints:
        """UTC ns at which these bars close."""
        if not self.jumps:
            return self.first + bars * self.step
        at, time = np.array([(0, self.first), *self.jumps], np.int64).T
        k = np.searchsorted(at, bars, side="right") - 1
        return np.asarray(time[k] + (bars - at[k]) * self.step, np.int64)

    def bar(self, time: Ints) -> Ints:
        """The bars within which these times lie, a close being the bar's own; may lie outside the run."""
        regular = -(-(time - self.first) // self.step)
        if not self.jumps:
            return regular
        inside = np.searchsorted(self.closes(np.arange(self.bars)), time)
        return np.where(regular < 0, regular, inside)

    def bar_of_fill(self, time: Ints) -> Ints:
        """The bars to which fills at these times count: those after the last close, at the end of a stream, to the last."""
        return np.minimum(self.bar(time), self.bars - 1)

    @property
    def period(self) -> int:
        """Length of the periods in which a run is shown, ns: from a minute to four weeks, so that there are at most 60."""
        return next((w for w in _WIDTHS if w >= self.step and self.span / w <= _MOST_PERIODS - 1), _WIDTHS[-1])

    def period_of(self, bars: Ints) -> Ints:
        """The number of the period that each bar is in, from 0; periods are aligned to midnight UTC, which belongs to the day
        that it ends."""
        start = (self.first - 1) // self.period
        return (self.closes(bars) - 1) // self.period - start

    @property
    def period_starts(self) -> Ints:
        """UTC ns, one a period."""
        count = int(self.period_of(np.array([self.bars - 1]))[0]) + 1
        return ((self.first - 1) // self.period + np.arange(count)) * self.period


def clock_data(clock: BarTimes) -> dict[str, Any]:
    """The clock as report_chart.js reads it, in milliseconds."""
    jumps = [[bar, close // 1_000_000] for bar, close in clock.jumps]
    return {"first": clock.first // 1_000_000, "step": clock.step // 1_000_000, "bars": clock.bars, "jumps": jumps}


def clock_of(run: RecordedRun) -> BarTimes:
    """The clock of a run. Raises RecordedError when its bars are not regular: then it is no run, or it was changed."""
    times = run.times()
    step = int(run.about["clock_seconds"]) * 1_000_000_000
    gaps = np.diff(times)
    if not len(times) or (gaps < step).any() or (gaps % step != 0).any():
        raise RecordedError(f"{run.folder}: its bars do not follow the clock that run.json names; run it again")
    jumps = np.flatnonzero(gaps != step) + 1
    return BarTimes(int(times[0]), step, len(times), tuple((int(bar), int(times[bar])) for bar in jumps))


def holds(run: RecordedRun, name: str, columns: Sequence[str] = ()) -> bool:
    """True when the run has this table with these columns: a layer may be switched off, or not exist yet."""
    return name in run.tables() and set(columns) <= set(run.columns(name))


def panels(run: RecordedRun, name: str, columns: Sequence[str]) -> Iterator[tuple[int, Panels]]:
    """(first bar, panels) of a table that has a row for every bar and symbol, in order, a few ten thousand rows at a time."""
    n, first = len(run.symbols), 0
    rest: Panels = {}
    for table in run.groups(name, columns):
        flat = {c: _summable(table[c].to_numpy()) for c in columns}
        if rest:
            flat = {c: np.concatenate([rest[c], flat[c]]) for c in columns}
        whole = len(flat[columns[0]]) // n
        yield first, {c: flat[c][: whole * n].reshape(whole, n) for c in columns}
        first += whole
        rest = {c: flat[c][whole * n :] for c in columns} if len(flat[columns[0]]) > whole * n else {}
    if rest:
        raise RecordedError(f"{run.folder / name}.parquet ends in the middle of a bar; it was cut off")


def _summable(x: Any) -> Any:
    """Codes of one byte as int64, which no sum over a run overflows."""
    return x.astype(np.int64) if x.dtype == np.int8 else x
