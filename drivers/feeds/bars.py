"""Reads a bars file onto its clock: first the times and symbols, then the numbers, each row checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.feeds.bounds import COUNT, PRICE, SIZE, Bound
from drivers.feeds.description import DAY, SECOND
from drivers.feeds.errors import DataError
from drivers.feeds.reading import Axis, Listing, Reading
from drivers.feeds.tables import Table
from drivers.feeds.trading_time import ALWAYS
from drivers.text.times import duration, utc

DEFAULT_STEP: Final = 60 * SECOND
PRICES: Final = ("open", "high", "low", "close")
COLUMNS: Final = ("timestamp", "symbol", *PRICES, "volume")
EXTRAS: Final = ("vwap", "trade_count", "buy_volume", "buy_count", "adjustment")
BOUNDS: Final = dict[str, Bound](volume=SIZE, vwap=PRICE, trade_count=COUNT, buy_volume=SIZE, buy_count=COUNT, adjustment=PRICE)
ROUNDING: Final = 8 * float(np.finfo(np.float64).eps)
"""Prices that were multiplied by the same factor may change places within this; the bar then spans its open and close."""
LONG_BAR: Final = 3600 * SECOND
"""From this length on bars may begin elsewhere than on UTC multiples of it: at 22:00 every four hours."""
_OTHER: Final = np.iinfo(np.int64).max  # spacing of two rows of different symbols


def read_bars(
    reading: Reading, table: Table, symbols: Sequence[str] | None, start: int | None, end: int | None
) -> tuple[Axis, Ints]:
    """Fills the panels of a bars file. Returns the axis, and the first and last observed row of each symbol (2, N)."""
    time, code, names = _scan(table)
    column = reading.columns(names, symbols, table)
    shown = tuple(column)
    code = np.array([column.get(name, -1) for name in names], np.int32)[code]
    code[reading.future(table, 0, code >= 0, shown, code, time)] = -1
    repeated, gaps = _order(reading, table, time, code, shown)
    step = _step(reading, table, gaps)
    del gaps
    offset = _offset(time[code >= 0] % step, step)
    off = (code >= 0) & (time % step != offset)
    what = (
        f" is not on the clock of {duration(step)}; correct the timestamp or `clock` in dataset.yml, or import the file with "
        "--off-clock snap or drop"
    )
    reading.fault("off the clock", table, off, 0, shown, code, time, lambda i: what)
    code[off] = -1
    close = time + (step if reading.about.stamp == "open" else 0)
    inside = code >= 0
    if start is not None:
        inside &= close > start
    if end is not None:
        inside &= close <= end
    if not inside.any():
        low, high = int(close.min()), int(close.max())
        wanted = f"{utc(low if start is None else start)} and {utc(high if end is None else end)}"
        spans = f"the file spans {utc(low)} to {utc(high)}"
        raise DataError(f"{table.name}: no bar of {', '.join(shown)} lies between {wanted}; {spans}")
    first, last = int(close[inside].min()), int(close[inside].max())
    axis = reading.axis(table, first, last, step, column, int(np.count_nonzero(inside)), close[code >= 0])
    row = axis.rows(close).astype(np.int32)
    if axis.calendar != ALWAYS:
        closed = inside & (axis.trading.closes[np.clip(row, 0, axis.bars - 1)] != close)
        reading.counts["while_closed"] = int(np.count_nonzero(closed))
        inside &= ~closed
    del time, close  # a year of twenty symbols has ten million rows
    return axis, _Values(reading, table, axis).fill(row, code, inside, repeated & inside)


def _offset(into: Ints, step: int) -> int:
    """Where bars begin, from UTC multiples of their length: elsewhere only when all agree on it, to the minute.

    None begins a minute before the hour: 09:59 is the last minute of a bar.
    """
    if step < LONG_BAR or not len(into):
        return 0
    first = int(into[0])
    agreed = first % (60 * SECOND) == 0 and bool((into == first).all())
    return first if agreed and first % LONG_BAR != LONG_BAR - 60 * SECOND else 0


def _scan(table: Table) -> tuple[Ints, Any, list[str]]:
    """Time and symbol of every row, and the symbols' names in order of appearance."""
    names: dict[str, int] = {}
    times: list[Ints] = []
    codes: list[Any] = []
    for start, batch in table.batches(["timestamp", "symbol"]):
        times.append(table.times(batch.column("timestamp"), start))
        found, index = table.texts(batch, "symbol", start)
        lookup = np.array([names.setdefault(name, len(names)) for name in found] or [0], np.int32)
        codes.append(lookup[index])
    return np.concatenate(times), np.concatenate(codes), list(names)


def _order(reading: Reading, table: Table, time: Ints, code: Any, symbols: Sequence[str]) -> tuple[Any, Ints]:
    """Which rows repeat the time of one before them, and the spacings of the others; tells of times that go backwards."""

    def spacings(order: Ints) -> Ints:
        gaps = np.diff(time[order])
        gaps[np.diff(code[order]) != 0] = _OTHER
        return gaps

    unused = int(np.count_nonzero(code < 0))
    order = np.argsort(code, kind="stable")[unused:]  # by symbol, in file order
    gaps = spacings(order)
    if (gaps < 0).any():
        back = np.zeros(len(time), bool)
        back[order[1:][gaps < 0]] = True
        first = int(np.argmax(back))
        before = utc(int(time[order[int(np.flatnonzero(order == first)[0]) - 1]]))
        what = f" comes after {before}: timestamps of a symbol must not go backwards; sort the file by timestamp and symbol"
        reading.fault("unsorted", table, back, 0, symbols, code, time, lambda i: what)
        order = np.lexsort((np.arange(len(time)), time, code))[unused:]
        gaps = spacings(order)
    repeated = np.zeros(len(time), bool)
    repeated[order[1:][gaps == 0]] = True
    return repeated, gaps[(gaps > 0) & (gaps < _OTHER)]


def _step(reading: Reading, table: Table, gaps: Ints) -> int:
    """The clock: what dataset.yml says, else the most common spacing."""
    step = reading.about.step
    if step is None:
        if not len(gaps):
            return DEFAULT_STEP
        sizes, counts = np.unique(gaps[: 1 << 20], return_counts=True)
        step = int(sizes[np.argmax(counts)])
        if step < SECOND or DAY % step:
            raise DataError(
                f"{table.name}: bars are mostly {duration(step)} apart, which is not a clock of a second or more that divides "
                "a day; name it in dataset.yml, e.g. `clock: 1m`, or import with --clock 1m"
            )
    elif len(gaps) and int(gaps.min()) > step:
        raise DataError(
            f"{table.name}: no two bars of a symbol are closer than {duration(int(gaps.min()))}, but dataset.yml says `clock: "
            f"{reading.about.clock}`; correct it"
        )
    return step


def must_be_positive(shift: float) -> str:
    """What to do about a price at or below 0, a `price_shift` included."""
    if shift > 0.0:
        return f"with the price_shift of {shift:g} it must be positive: name a larger one in dataset.yml, or correct the row"
    return "a price must be positive: correct or remove it, or name a `price_shift` in dataset.yml if it is a future's"


class _Values:
    """The second pass: numbers to panels."""

    def __init__(self, reading: Reading, table: Table, axis: Axis) -> None:
        self.reading, self.table, self.axis = reading, table, axis
        self.names = [*PRICES, "volume", *(c for c in EXTRAS if c in table.columns)]
        self.back = axis.step if reading.about.stamp == "open" else 0
        self.shift = reading.about.per_symbol("price_shift", axis.symbols)

    def fill(self, row: Any, code: Any, inside: Any, repeated: Any) -> Ints:
        """row, code: int32, bar and column of each row of the file, column -1 where it is not used. inside: whether it lies in
        the span asked for. repeated: whether it is of the same time and symbol as one before it.
        """
        panels, axis = self.reading.panels, self.axis
        for name in self.names:
            panels[name] = axis.panel()
        listing = Listing(len(axis.column))
        for start, batch in self.table.batches(self.names):
            part = slice(start, start + batch.num_rows)
            r, c, used, again = row[part].astype(np.int64), code[part].astype(np.int64), inside[part], repeated[part]
            values = {name: self.table.floats(batch, name) for name in self.names}
            if "vwap" in values:
                unknown = (values["vwap"] == 0.0) & (self.shift[c] == 0.0)  # so written where nothing traded
                values["vwap"] = np.where(unknown, np.nan, values["vwap"])
            for name in (*PRICES, "vwap") if self.shift.any() else ():
                if name in values:
                    values[name] = values[name] + self.shift[c]
            quotes = np.stack([values[name] for name in PRICES])
            absent = np.isnan(quotes).all(axis=0)
            seen = (c >= 0) & ~absent
            listing.add(c[seen], r[seen])
            self.reading.counts["rows"] += int(np.count_nonzero(used))
            gone = absent | self._impossible(start, used, values, quotes, r, c)
            if gone.any():
                values = {name: np.where(gone, np.nan, v) for name, v in values.items()}
            keep = used & ~again
            whole = bool(keep.all())
            at = (r, c) if whole else (r[keep], c[keep])
            for name, v in values.items():
                panels[name][at] = v if whole else v[keep]
            if again.any():
                self._repeated(start, again, values, r, c)
        self._without_volume()
        return listing.within(axis.bars)

    def _without_volume(self) -> None:
        """A volume of 0 on every bar of a price that moves is not known: some vendors write it so."""
        close, volume = self.reading.panels["close"], self.reading.panels["volume"]
        for n in range(close.shape[1]):
            seen = ~np.isnan(close[:, n])
            moves = len(seen.nonzero()[0]) > 1 and bool((close[seen, n] != close[seen, n][0]).any())
            if moves and bool((volume[seen, n] == 0.0).all()):
                volume[seen, n] = np.nan
                self.reading.counts["zero_volume"] += int(np.count_nonzero(seen))

    def _tell(self, kind: str, mask: Any, start: int, r: Ints, c: Ints, what: Callable[[int], str]) -> bool:
        time = self.axis.trading.closes[np.clip(r, 0, self.axis.bars - 1)] - self.back if mask.any() else r
        return self.reading.fault(kind, self.table, mask, start, self.axis.symbols, c, time, what)

    def _impossible(self, start: int, used: Any, values: dict[str, Floats], quotes: Floats, r: Ints, c: Ints) -> Any:
        """The rows that cannot be, each told under the first rule that it breaks."""
        bad = np.zeros(len(used), bool)

        def fault(kind: str, mask: Any, what: Callable[[int], str]) -> None:
            mask = mask & used & ~bad
            if self._tell(kind, mask, start, r, c, lambda i: f": {what(i)}"):
                bad[mask] = True

        def first(test: Callable[[Any], Any], i: int) -> str:
            return next(f"{name} is {values[name][i]:g}" for name in PRICES if test(values[name][i]))

        def outside(i: int) -> str:
            name = "open" if not low[i] <= o[i] <= high[i] else "close"
            return f"{name} {values[name][i]:.10g} lies outside low {low[i]:.10g} and high {high[i]:.10g}; {cure}"

        cure = "correct or remove the row"
        o, high, low, close = quotes
        top, bottom = np.maximum(np.maximum(o, close), low), np.minimum(np.minimum(o, close), high)
        unknown = np.isnan(quotes)
        fault(
            "infinite price",
            np.isinf(quotes).any(axis=0),
            lambda i: f"{first(np.isinf, i)}; remove the row or correct the price",
        )
        fault(
            "missing price",
            unknown.any(axis=0) & ~unknown.all(axis=0),
            lambda i: (
                f"{first(np.isnan, i)} while other prices of the bar are given; correct the row, or remove it, which makes it "
                "a missing bar"
            ),
        )
        fault(
            "price not positive",
            (quotes <= 0.0).any(axis=0),
            lambda i: f"{first(lambda x: x <= 0.0, i)}; {must_be_positive(self.shift[c[i]])}",
        )
        for name, price in zip(PRICES, quotes, strict=True):
            self._beyond(name, price, PRICE, fault, cure)
        fault(
            "high below low", high < low * (1.0 - ROUNDING), lambda i: f"high {high[i]:.10g} is below low {low[i]:.10g}; {cure}"
        )
        fault("price outside the bar", (top > high * (1.0 + ROUNDING)) | (bottom < low * (1.0 - ROUNDING)), outside)
        values["high"], values["low"] = np.fmax(high, top), np.fmin(low, bottom)  # within rounding, or refused
        for name in self.names[len(PRICES) :]:
            v = values[name]
            fault(f"infinite {name}", np.isinf(v), lambda i, v=v, name=name: f"{name} is {v[i]:g}; {cure}")  # type: ignore[misc]
            fault(
                f"negative {name}",
                v < 0.0,
                lambda i, v=v, name=name: f"{name} is {v[i]:.10g}; it cannot be negative: {cure}",  # type: ignore[misc]
            )
            self._beyond(name, v, BOUNDS[name], fault, cure)
        if "buy_volume" in values:
            v, total = values["buy_volume"], values["volume"]
            fault(
                "buy_volume above volume",
                v > total * (1.0 + 1e-6),
                lambda i: f"buy_volume {v[i]:.10g} exceeds volume {total[i]:.10g}; {cure}",
            )
        return bad

    def _beyond(self, name: str, x: Floats, bound: Bound, fault: Callable[..., None], cure: str) -> None:
        fault(f"{name} out of bounds", bound.beyond(x), lambda i: f"{bound.sentence(name, float(x[i]))}; {cure}")

    def _repeated(self, start: int, again: Any, values: dict[str, Floats], r: Ints, c: Ints) -> None:
        """Rows of a time and symbol that was there already: dropped and counted when they are the same."""
        rows = np.flatnonzero(again)
        for name, v in values.items():
            kept = self.reading.panels[name][r[rows], c[rows]]
            differs = np.zeros(len(again), bool)
            differs[rows] = ~((kept == v[rows]) | (np.isnan(kept) & np.isnan(v[rows])))
            before = np.full(len(again), np.nan)
            before[rows] = kept
            self._tell(
                "differing duplicate",
                differs,
                start,
                r,
                c,
                lambda i, v=v, name=name, before=before: (  # type: ignore[misc]
                    f" appears twice with different values of {name} ({before[i]:.10g}, {v[i]:.10g}); remove one of them"
                ),
            )
        self.reading.dropped(r[rows], c[rows], self.axis)
