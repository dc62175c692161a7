"""A market-data folder, read and aligned to the clock.

How a folder is read:

1. `dataset.yml`, then the header of each file; a fault of structure ends it here.
2. Times and symbols of the bars file (of the trades where there is no bars file): the clock, the span, what is unsorted,
   in the future, off the grid or double.
3. The numbers, batch by batch, each batch checked and written to its place in the panels. What a file does not have takes no
   memory: its NaN panels are made chunk by chunk.
4. Trades and book snapshots run through the kernels of `dataflows.data.aggregate`, batch by batch; so does funding.

What is refused (DataError, one sentence naming the row): a file that is missing, empty, broken or lacks a column; a symbol
asked for and not there; a price that is infinite, not positive or only partly there; a high below the low, or an open or close
outside them; a negative or infinite volume or size; times that go backwards within a symbol, are off the clock, in the future,
or in mixed zones or units; two bars of one time and symbol that differ; a book file in which every snapshot is crossed.
What is counted and goes on: bars that are not there, or whose four prices are all NaN (NaN rows; L0 fills the first of a gap);
repeated bars and snapshots that are the same and repeated trade ids (dropped; `Observations.duplicates`); bars without volume;
books that are crossed, one-sided or empty (kept as they are: the layers that read them give NaN).
"""

from __future__ import annotations

import hashlib
import time as clock_time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from dataflows.data.aggregate import NEVER, BookBars, add_snapshots, add_trades, book_bars, carry_books, trade_bars
from dataflows.data.types import Instruments
from dataflows.panel import Floats, Ints
from drivers.feeds.aligned import Dataset, QualityCounts
from drivers.feeds.description import DAY, SECOND, Description, read_description
from drivers.feeds.errors import DataError, Fault, Sink, near, refuse, span, utc
from drivers.feeds.tables import Table, find_table

DEFAULT_STEP: Final = 60 * SECOND
PRICES: Final = ("open", "high", "low", "close")
__all__ = ["Dataset", "QualityCounts", "open_dataset", "read_folder", "symbol_uid"]
BAR_COLUMNS: Final = ("timestamp", "symbol", *PRICES, "volume")
BAR_EXTRAS: Final = ("vwap", "trade_count", "buy_volume", "buy_count")
BOOK_SIDES: Final = ("bid_px", "bid_sz", "ask_px", "ask_sz")
SIDES: Final = {"buy": 1, "b": 1, "sell": 0, "s": 0, "unknown": -1, "none": -1, "": -1}


def open_dataset(
    path: Path,
    *,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    now: int | None = None,
) -> Dataset:
    """Reads a market-data folder (see interfaces in the docs) onto its clock.

    symbols: which of them, None for all. start, end: UTC ns; the bars whose close lies in (start, end].
    now: UTC ns, the latest time that data may have (plus a day); None asks the system's clock.
    Returns a Dataset whose columns are sorted by name. Where there is no bars file, bars of the clock are built from the
    trades; the first and the last of them hold what the file holds of them. Raises DataError (see the module).
    """
    return read_folder(path, symbols=symbols, start=start, end=end, now=now, sink=refuse)


def read_folder(
    path: Path,
    *,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    now: int | None = None,
    sink: Sink,
) -> Dataset:
    """As `open_dataset`, with `sink` told of each impossible row: where it returns, the row counts as missing."""
    path = Path(path)
    if not path.is_dir():
        what = "is a file; name the folder that holds it" if path.exists() else "does not exist; check the path"
        raise DataError(f"{path}: {what}")
    about = read_description(path)
    tables = {stem: find_table(path, stem, about.timezone) for stem in ("bars", "book", "trades", "funding")}
    latest = (clock_time.time_ns() if now is None else now) + DAY
    return _Reader(path, about, tables, latest, sink).read(symbols, start, end)


class _Axis(NamedTuple):
    first: int  # close of row 0, UTC ns
    step: int
    bars: int
    column: dict[str, int]


@dataclass
class _Reader:
    path: Path
    about: Description
    tables: dict[str, Table | None]
    latest: int
    sink: Sink
    panels: dict[str, Floats] = field(default_factory=dict)
    duplicates: list[Ints] = field(default_factory=list)
    with_book: Any = None  # (N,) whether the book file holds a snapshot of the symbol
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(QualityCounts._fields, 0))

    def read(self, symbols: Sequence[str] | None, start: int | None, end: int | None) -> Dataset:
        bars, trades, book = self.tables["bars"], self.tables["trades"], self.tables["book"]
        if bars is None and trades is None:
            raise DataError(
                f"{self.path.name}: holds neither bars.* nor trades.*; put bars.parquet (.csv, .csv.gz, .feather) there"
            )
        if bars is not None:
            bars.require(BAR_COLUMNS)
        for table, needed in ((trades, ("price", "size", "side")), (self.tables["funding"], ("funding_rate",))):
            if table is not None:
                table.require(("timestamp", "symbol", *needed))
        if book is not None:
            book.require(("timestamp", "symbol", *[f"{side}_0" for side in BOOK_SIDES]))
        if bars is not None:
            axis, listed = self._bars(bars, symbols, start, end)
        else:
            assert trades is not None
            axis, listed = self._trade_axis(trades, symbols, start, end)
        if trades is not None:
            seen = self._trades(trades, axis, whole=bars is None)
            listed = seen if bars is None else listed
        depth = self._book(book, axis) if book is not None else 1
        self._funding(axis)
        names = tuple(axis.column)
        at = np.concatenate([np.zeros((0, 3), np.int64), *self.duplicates])
        at = at[np.argsort(at[:, 0], kind="stable")]
        t = np.arange(axis.bars)[:, None]
        inside = (t >= listed[0]) & (t <= listed[1])
        missing = inside & np.isnan(self.panels["close"])
        self.counts["missing"] = int(np.count_nonzero(missing))
        self.counts["zero_volume"] = int(np.count_nonzero(self.panels["volume"] == 0.0))
        return Dataset(
            path=self.path,
            symbols=names,
            step=axis.step,
            time=axis.first + axis.step * np.arange(axis.bars, dtype=np.int64),
            depth=depth,
            instruments=self._instruments(names),
            calendar=self.about.calendar,
            source=self.about.source,
            licence=self.about.licence,
            hash=_hash(self.path, [t.path for t in self.tables.values() if t is not None]),
            quality=QualityCounts(**self.counts),
            _panels=self.panels,
            _listed=listed,
            _duplicates=at,
        )

    # -- the axis ---------------------------------------------------------------------------------------------------------

    def _bars(self, table: Table, symbols: Sequence[str] | None, start: int | None, end: int | None) -> tuple[_Axis, Ints]:
        time, code, names = _scan(table)
        column = self._columns(names, symbols, table)
        code = np.array([column.get(name, -1) for name in names], np.int32)[code]
        self._check_future(table, time, code, tuple(column))
        used = code >= 0
        order = np.argsort(code, kind="stable")
        order = order[np.count_nonzero(~used):]  # by symbol, in file order
        gaps = np.diff(time[order])
        gaps[np.diff(code[order]) != 0] = np.iinfo(np.int64).max
        back = gaps < 0
        if back.any():
            i = int(order[1:][back].min())
            before = int(time[order[int(np.flatnonzero(order == i)[0]) - 1]])
            self.sink(Fault(
                "unsorted",
                f"{table.row(i)}: {tuple(column)[code[i]]} {utc(int(time[i]))} comes after {utc(before)}: timestamps of a "
                "symbol must not go backwards; sort the file by timestamp and symbol",
                int(np.count_nonzero(back)),
            ))
            order = np.lexsort((np.arange(len(time)), time, code))[np.count_nonzero(~used):]
            gaps = np.diff(time[order])
            gaps[np.diff(code[order]) != 0] = np.iinfo(np.int64).max
        repeated = np.zeros(len(time), bool)
        repeated[order[1:][gaps == 0]] = True
        step = self._step(table, gaps[(gaps > 0) & (gaps < np.iinfo(np.int64).max)])
        del order, gaps, back
        off = used & (time % step != 0)
        if off.any():
            i = int(np.argmax(off))
            self.sink(Fault(
                "off the clock",
                f"{table.row(i)}: {tuple(column)[code[i]]} {utc(int(time[i]))} is not on the clock of {span(step)}; correct "
                "the timestamp, or `clock` in dataset.yml",
                int(np.count_nonzero(off)),
            ))
            used &= ~off
        close = time + (step if self.about.stamp == "open" else 0)
        inside = used.copy()
        if start is not None:
            inside &= close > start
        if end is not None:
            inside &= close <= end
        if not inside.any():
            raise DataError(
                f"{table.name}: no bar of {', '.join(column)} lies between {utc(start or int(close.min()))} and "
                f"{utc(end or int(close.max()))}; the file spans {utc(int(close.min()))} to {utc(int(close.max()))}"
            )
        first, last = int(close[inside].min()), int(close[inside].max())
        axis = self._axis(table, first, last, step, column, int(np.count_nonzero(inside)))
        code[~used] = -1
        close -= first
        close //= step
        row = close.astype(np.int32)
        del time, close, used  # a year of twenty symbols has ten million rows
        return axis, self._bar_values(table, axis, row, code, inside, repeated & inside)

    def _columns(self, names: Sequence[str], symbols: Sequence[str] | None, table: Table) -> dict[str, int]:
        for wanted in symbols or ():
            if wanted not in names:
                raise DataError(f"{table.name}: symbol {wanted} is not in the data; {near(wanted, sorted(names))}")
        self.about.check_symbols(sorted(names), "dataset.yml")
        if symbols is not None and not symbols:
            raise DataError("no symbol was asked for; name at least one, or leave the choice out for all")
        chosen = sorted(set(names if symbols is None else symbols))
        uids: dict[int, str] = {}
        for name in chosen:
            other = uids.setdefault(symbol_uid(name), name)
            if other != name:
                raise DataError(f"{table.name}: symbols {other} and {name} have the same id; rename one of them")
        return {name: i for i, name in enumerate(chosen)}

    def _check_future(self, table: Table, time: Ints, code: Ints, symbols: Sequence[str]) -> None:
        """Rows later than a day from now; the code of one that the sink lets pass becomes -1."""
        future = (code >= 0) & (time > self.latest)
        if future.any():
            i = int(np.argmax(future))
            self.sink(Fault(
                "future",
                f"{table.row(i)}: {symbols[code[i]]} {utc(int(time[i]))} lies in the future (it is {utc(self.latest - DAY)} "
                "now); check the unit and zone of the timestamps",
                int(np.count_nonzero(future)),
            ))
            code[future] = -1

    def _step(self, table: Table, gaps: Ints) -> int:
        step = self.about.step
        if step is None:
            if not len(gaps):
                return DEFAULT_STEP
            sizes, counts = np.unique(gaps[: 1 << 20], return_counts=True)
            step = int(sizes[np.argmax(counts)])
            if step < SECOND or DAY % step:
                raise DataError(
                    f"{table.name}: bars are mostly {span(step)} apart, which is not a clock of a second or more that divides "
                    "a day; name it in dataset.yml, e.g. `clock: 1m`"
                )
        elif len(gaps) and int(gaps.min()) > step:
            raise DataError(
                f"{table.name}: no two bars of a symbol are closer than {span(int(gaps.min()))}, but dataset.yml says `clock: "
                f"{self.about.clock}`; correct it"
            )
        return step

    def _axis(self, table: Table, first: int, last: int, step: int, column: dict[str, int], rows: int) -> _Axis:
        bars = (last - first) // step + 1
        if bars * len(column) > 1000 * rows + 10_000_000:
            raise DataError(
                f"{table.name}: {utc(first)} to {utc(last)} are {bars} bars of {span(step)}, but only {rows} rows hold data; "
                "check the timestamps, or `clock` in dataset.yml"
            )
        return _Axis(first, step, bars, column)

    # -- bars -------------------------------------------------------------------------------------------------------------

    def _bar_values(self, table: Table, axis: _Axis, row: Any, code: Any, inside: Any, repeated: Any) -> Ints:
        """Fills the bar panels; returns the first and last observed row of each symbol (2, N).

        row, code: int32, bar and column of each row of the file, column -1 where it is not used. inside: whether it lies in the
        span asked for. repeated: whether it is of the same time and symbol as one before it.
        """
        extras = [c for c in BAR_EXTRAS if c in table.columns]
        names = [*PRICES, "volume", *extras]
        for name in names:
            self.panels[name] = np.full((axis.bars, len(axis.column)), np.nan)
        symbols = tuple(axis.column)
        listed = np.empty((2, len(symbols)), np.int64)
        listed[0], listed[1] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        for start, batch in table.batches(names):
            part = slice(start, start + batch.num_rows)
            r, c = row[part].astype(np.int64), code[part].astype(np.int64)
            values = {name: table.floats(batch, name) for name in names}
            if "vwap" in values:
                values["vwap"] = np.where(values["vwap"] == 0.0, np.nan, values["vwap"])  # so written where nothing traded
            quotes = np.stack([values[name] for name in PRICES])
            unknown = np.isnan(quotes)
            seen = (c >= 0) & ~unknown.all(axis=0)
            np.minimum.at(listed[0], c[seen], r[seen])
            np.maximum.at(listed[1], c[seen], r[seen])
            used = inside[part]
            self.counts["rows"] += int(np.count_nonzero(used))
            bad = self._check_bars(table, start, used, values, quotes, unknown, symbols, c, axis, r)
            gone = unknown.all(axis=0) | bad
            keep = used & ~repeated[part]
            whole = bool(keep.all())
            at = (r, c) if whole else (r[keep], c[keep])
            for name in names:
                v = values[name]
                if gone.any():
                    v = np.where(gone, np.nan, v)
                    values[name] = v
                self.panels[name][at] = v if whole else v[keep]
            if repeated[part].any():
                self._repeated(table, start, np.flatnonzero(repeated[part]), values, r, c, axis)
        return np.stack([np.clip(listed[0], 0, axis.bars), np.clip(listed[1], -1, axis.bars - 1)])

    def _check_bars(
        self, table: Table, start: int, used: Any, values: dict[str, Floats], quotes: Floats, unknown: Any,
        symbols: Sequence[str], c: Ints, axis: _Axis, r: Ints,
    ) -> Any:
        bad = np.zeros(len(used), bool)

        def fault(kind: str, mask: Any, what: Any) -> None:
            mask = mask & used & ~bad
            if mask.any():
                i = int(np.argmax(mask))
                stamp = axis.first + int(r[i]) * axis.step - (axis.step if self.about.stamp == "open" else 0)
                where = f"{table.row(start + i)}: {symbols[c[i]]} {utc(stamp)}"
                self.sink(Fault(kind, f"{where}: {what(i)}", int(np.count_nonzero(mask))))
                bad[mask] = True

        def first(columns: Sequence[str], test: Any, i: int) -> str:
            return next(f"{name} is {values[name][i]:g}" for name in columns if test(values[name][i]))

        numbers = [n for n in values if n not in PRICES]
        fault("infinite price", np.isinf(quotes).any(axis=0),
              lambda i: f"{first(PRICES, np.isinf, i)}; remove the row or correct the price")
        fault("missing price", unknown.any(axis=0) & ~unknown.all(axis=0),
              lambda i: f"{first(PRICES, np.isnan, i)} while other prices of the bar are given; correct the row, or remove it, "
                        "which makes it a missing bar")
        fault("price not positive", (quotes <= 0.0).any(axis=0),
              lambda i: f"{first(PRICES, lambda x: x <= 0.0, i)}; a price must be positive: correct or remove the row")
        o, h, low, cl = quotes
        fault("high below low", h < low,
              lambda i: f"high {h[i]:.10g} is below low {low[i]:.10g}; correct or remove the row")
        fault("price outside the bar", (np.maximum(o, cl) > h) | (np.minimum(o, cl) < low),
              lambda i: f"{'open' if not low[i] <= o[i] <= h[i] else 'close'} "
                        f"{o[i] if not low[i] <= o[i] <= h[i] else cl[i]:.10g} lies outside low {low[i]:.10g} and high "
                        f"{h[i]:.10g}; correct or remove the row")
        for name in numbers:
            v = values[name]
            fault(f"infinite {name}", np.isinf(v), lambda i, v=v, name=name: f"{name} is {v[i]:g}; correct or remove the row")
            fault(f"negative {name}", v < 0.0,
                  lambda i, v=v, name=name: f"{name} is {v[i]:.10g}; it cannot be negative: correct or remove the row")
        if "buy_volume" in values:
            v, total = values["buy_volume"], values["volume"]
            fault("buy_volume above volume", v > total * (1.0 + 1e-6),
                  lambda i: f"buy_volume {v[i]:.10g} exceeds volume {total[i]:.10g}; correct or remove the row")
        return bad

    def _repeated(
        self, table: Table, start: int, rows: Ints, values: dict[str, Floats], r: Ints, c: Ints, axis: _Axis
    ) -> None:
        for name, v in values.items():
            kept, again = self.panels[name][r[rows], c[rows]], v[rows]
            other = ~((kept == again) | (np.isnan(kept) & np.isnan(again)))
            if other.any():
                i = int(np.argmax(other))
                t, n = int(r[rows[i]]), int(c[rows[i]])
                stamp = axis.first + t * axis.step - (axis.step if self.about.stamp == "open" else 0)
                self.sink(Fault(
                    "differing duplicate",
                    f"{table.row(start + int(rows[i]))}: {tuple(axis.column)[n]} {utc(stamp)} appears twice with different "
                    f"values of {name} ({kept[i]:.10g}, {again[i]:.10g}); remove one of them",
                    int(np.count_nonzero(other)),
                ))
        self.counts["duplicates"] += len(rows)
        self.duplicates.append(np.stack([r[rows], c[rows], np.ones(len(rows), np.int64)], axis=1))

    # -- trades -----------------------------------------------------------------------------------------------------------

    def _trade_axis(
        self, table: Table, symbols: Sequence[str] | None, start: int | None, end: int | None
    ) -> tuple[_Axis, Ints]:
        names: dict[str, int] = {}
        first: list[int] = []
        last: list[int] = []
        for at, batch in table.batches(["timestamp", "symbol"]):
            time = table.times(batch.column("timestamp"), at)
            found, index = table.texts(batch, "symbol", at)
            for k, name in enumerate(found):
                mine = time[index == k]
                if not len(mine):
                    continue
                if name not in names:
                    names[name] = len(names)
                    first.append(int(mine[0]))
                    last.append(int(mine[0]))
                first[names[name]] = min(first[names[name]], int(mine.min()))
                last[names[name]] = max(last[names[name]], int(mine.max()))
            late = time > self.latest
            if late.any():
                i = int(np.argmax(late))
                raise DataError(
                    f"{table.row(at + i)}: {found[index[i]]} {utc(int(time[i]))} lies in the future (it is "
                    f"{utc(self.latest - DAY)} now); check the unit and zone of the timestamps"
                )
        column = self._columns(list(names), symbols, table)
        step = self.about.step or DEFAULT_STEP
        low = min(first[names[s]] for s in column)
        high = max(last[names[s]] for s in column)
        a, b = -(-low // step) * step, -(-high // step) * step
        if start is not None:
            a = max(a, start // step * step + step)
        if end is not None:
            b = min(b, end // step * step)
        if a > b:
            raise DataError(f"{table.name}: no trade lies in the span asked for; the file spans {utc(low)} to {utc(high)}")
        axis = self._axis(table, a, b, step, column, 1 << 20)
        return axis, np.zeros((2, len(column)), np.int64)

    def _trades(self, table: Table, axis: _Axis, *, whole: bool) -> Ints:
        """Bars from trades. whole: prices and volume too, else only what the bars file does not have."""
        bars = trade_bars(axis.bars, len(axis.column))
        again = _repeated_ids(table, axis.column) if "trade_id" in table.columns else None
        kept: dict[tuple[int, str], tuple[int, float, float]] = {}
        columns = ["timestamp", "symbol", "price", "size", "side", *(["trade_id"] if again else [])]
        n_symbols = len(axis.column)
        listed = np.empty((2, n_symbols), np.int64)
        listed[0], listed[1] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
        for start, batch in table.batches(columns):
            time = table.times(batch.column("timestamp"), start)
            code = _codes(table, batch, start, axis.column)
            price, size = table.floats(batch, "price"), table.floats(batch, "size")
            side = _sides(table, batch, start)
            row = -((axis.first - time) // axis.step)
            use = code >= 0
            use &= ~self._bad_ticks(table, start, use, time, code, axis, {"price": price, "size": size}, above="price")
            if again:
                ids = batch.column("trade_id").cast(pa.string()).to_pylist()
                for i in np.flatnonzero(use):
                    if ids[i] in again:
                        key, found = (int(code[i]), ids[i]), (int(time[i]), float(price[i]), float(size[i]))
                        if key not in kept:
                            kept[key] = found
                            continue
                        if kept[key] != found:
                            self.sink(Fault(
                                "differing duplicate",
                                f"{table.row(start + int(i))}: {tuple(axis.column)[code[i]]} trade_id {ids[i]} appears twice "
                                "with different time, price or size; remove one of them",
                            ))
                        use[i] = False
                        self._count_duplicate(int(row[i]), int(code[i]), axis)
            part = np.flatnonzero(use)
            np.minimum.at(listed[0], code[part], row[part])
            np.maximum.at(listed[1], code[part], row[part])
            if whole:
                self.counts["rows"] += len(part)
            back = add_trades(time[part], row[part], code[part], price[part], size[part], side[part], bars)
            if back >= 0:
                self._unsorted(table, start + int(part[back]), tuple(axis.column)[code[part[back]]], int(time[part[back]]))
        with np.errstate(invalid="ignore", divide="ignore"):
            vwap = np.where(bars.volume > 0.0, bars.notional / bars.volume, np.nan)
        made = {
            "open": bars.open, "high": bars.high, "low": bars.low, "close": bars.close, "volume": bars.volume, "vwap": vwap,
            "trade_count": bars.trades, "buy_volume": bars.buy_volume, "buy_count": bars.buy_count,
        }
        for name, panel in made.items():
            if whole or name not in self.panels:
                self.panels[name] = panel
        return np.stack([np.clip(listed[0], 0, axis.bars), np.clip(listed[1], -1, axis.bars - 1)])

    def _count_duplicate(self, row: int, col: int, axis: _Axis) -> None:
        self.counts["duplicates"] += 1
        if 0 <= row < axis.bars:
            self.duplicates.append(np.array([[row, col, 1]], np.int64))

    def _unsorted(self, table: Table, index: int, symbol: str, time: int) -> None:
        raise DataError(
            f"{table.row(index)}: {symbol} {utc(time)} is earlier than the row of that symbol before it: timestamps of a "
            "symbol must not go backwards; sort the file by timestamp"
        )

    def _bad_ticks(
        self, table: Table, start: int, use: Any, time: Ints, code: Ints, axis: _Axis, values: dict[str, Floats], *, above: str
    ) -> Any:
        """Ticks that cannot be: infinite, NaN or negative numbers, or a time in the future."""
        bad = np.zeros(len(time), bool)
        tests = [
            (f"{name} is {{:.10g}}; {rule}: correct or remove the row", name, mask)
            for name, v in values.items()
            for rule, mask in (
                (f"a {name} must be finite", ~np.isfinite(v)),
                (f"a {name} must be positive", v <= 0.0) if name == above else (f"a {name} cannot be negative", v < 0.0),
            )
        ]
        tests.append(("it lies in the future; check the unit and zone of the timestamps", "", time > self.latest))
        for text, name, mask in tests:
            mask = mask & use & ~bad
            if mask.any():
                i = int(np.argmax(mask))
                what = text.format(values[name][i]) if name else text
                kind = f"bad {name}" if name else "future"
                sentence = f"{table.row(start + i)}: {tuple(axis.column)[code[i]]} {utc(int(time[i]))}: {what}"
                self.sink(Fault(kind, sentence, int(np.count_nonzero(mask))))
                bad |= mask
        return bad

    # -- book, funding, instruments -----------------------------------------------------------------------------------------

    def _book(self, table: Table, axis: _Axis) -> int:
        depth = 1
        while all(f"{side}_{depth}" in table.columns for side in BOOK_SIDES):
            depth += 1
        book = book_bars(axis.bars, len(axis.column), depth)
        columns = [f"{side}_{d}" for side in BOOK_SIDES for d in range(depth)]
        last: dict[int, Any] = {}
        for start, batch in table.batches(["timestamp", "symbol", *columns]):
            time = table.times(batch.column("timestamp"), start)
            code = _codes(table, batch, start, axis.column)
            levels = np.stack([table.floats(batch, name) for name in columns], axis=1).reshape(len(time), 4, depth)
            use = code >= 0
            bad = self._bad_levels(table, start, use, time, code, axis, levels, columns, depth)
            use &= ~bad & ~self._bad_ticks(table, start, use, time, code, axis, {}, above="")
            levels[levels == 0.0] = np.nan  # some venues write an absent level as 0
            absent = np.isnan(levels[:, 0::2]).repeat(2, axis=1) | np.isnan(levels[:, 1::2]).repeat(2, axis=1)
            levels[absent] = np.nan
            same = self._same_snapshots(time, code, levels, use, last)
            row = -((axis.first - time) // axis.step)
            for i in np.flatnonzero(same):
                self._count_duplicate(int(row[i]), int(code[i]), axis)
            part = np.flatnonzero(use & ~same)
            bid, ask = levels[part, 0, 0], levels[part, 2, 0]
            self.counts["snapshots"] += len(part)
            self.counts["crossed"] += int(np.count_nonzero(bid >= ask))
            self.counts["one_sided"] += int(np.count_nonzero(np.isnan(bid) != np.isnan(ask)))
            self.counts["empty"] += int(np.count_nonzero(np.isnan(bid) & np.isnan(ask)))
            bp, bs, ap, aq = (np.ascontiguousarray(levels[part, k]) for k in range(4))
            back = add_snapshots(time[part], row[part], code[part], bp, bs, ap, aq, book)
            if back >= 0:
                self._unsorted(table, start + int(part[back]), tuple(axis.column)[code[part[back]]], int(time[part[back]]))
        if self.counts["snapshots"] and self.counts["crossed"] == self.counts["snapshots"]:
            self.sink(Fault(
                "crossed book",
                f"{table.name}: the best bid is at or above the best ask in every one of {self.counts['crossed']} snapshots; "
                "bid and ask columns are perhaps interchanged: correct the file or remove it",
            ))
        self._keep_book(book, axis)
        return depth

    def _keep_book(self, book: BookBars, axis: _Axis) -> None:
        self.panels["book_age"] = carry_books(axis.first, axis.step, book)
        for name in ("bid_price", "bid_size", "ask_price", "ask_size", "ofi"):
            self.panels[name] = getattr(book, name)
        self.with_book = book.last_time > NEVER

    def _bad_levels(
        self, table: Table, start: int, use: Any, time: Ints, code: Ints, axis: _Axis, levels: Floats,
        columns: Sequence[str], depth: int,
    ) -> Any:
        wrong = np.isinf(levels) | (levels < 0.0)
        bad = wrong.any(axis=(1, 2)) & use
        if bad.any():
            i = int(np.argmax(bad))
            k = int(np.argmax(wrong[i].reshape(-1)))
            self.sink(Fault(
                "bad book level",
                f"{table.row(start + i)}: {tuple(axis.column)[code[i]]} {utc(int(time[i]))}: {columns[k]} is "
                f"{levels[i].reshape(-1)[k]:.10g}; a level is positive, or empty where absent: correct or remove the row",
                int(np.count_nonzero(bad)),
            ))
        return bad

    @staticmethod
    def _same_snapshots(time: Ints, code: Ints, levels: Floats, use: Any, last: dict[int, Any]) -> Any:
        """Snapshots equal, time included, to the one of their symbol before. last: column -> (time, levels), kept up."""
        same = np.zeros(len(time), bool)
        for n in np.unique(code[use]):
            mine = np.flatnonzero(use & (code == n))
            t, x = time[mine], levels[mine]
            if n in last:
                t, x = np.concatenate([[last[n][0]], t]), np.concatenate([last[n][1][None], x])
            again = t[1:] == t[:-1]
            at = np.flatnonzero(again)
            again[at] = [np.array_equal(x[k], x[k + 1], equal_nan=True) for k in at]
            same[mine[len(mine) - len(again):]] = again
            last[n] = (t[-1], x[-1].copy())
        return same

    def _funding(self, axis: _Axis) -> None:
        table = self.tables["funding"]
        if table is None:
            return
        panel = np.zeros((axis.bars, len(axis.column)))
        for start, batch in table.batches(["timestamp", "symbol", "funding_rate"]):
            time = table.times(batch.column("timestamp"), start)
            code = _codes(table, batch, start, axis.column)
            rate = table.floats(batch, "funding_rate")
            use = code >= 0
            wrong = use & ~np.isfinite(rate)
            if wrong.any():
                i = int(np.argmax(wrong))
                self.sink(Fault(
                    "bad funding_rate",
                    f"{table.row(start + i)}: {tuple(axis.column)[code[i]]} {utc(int(time[i]))}: funding_rate is {rate[i]:g}; "
                    "it must be finite: correct or remove the row",
                    int(np.count_nonzero(wrong)),
                ))
            row = -((axis.first - time) // axis.step)
            use &= ~wrong & (row >= 0) & (row < axis.bars)
            np.add.at(panel, (row[use], code[use]), rate[use])
        self.panels["funding_rate"] = panel

    def _instruments(self, names: Sequence[str]) -> Instruments:
        def known(panel: str) -> Ints:
            found = self.panels.get(panel)
            if found is None:
                return np.zeros(len(names), np.int64)
            return np.asarray((~np.isnan(found)).any(axis=0), np.int64)

        of = self.about.per_symbol
        return Instruments(
            uid=np.array([symbol_uid(name) for name in names], np.int64),
            tick_size=of("tick_size", names, 0.0),
            lot_size=of("lot_size", names, 0.0),
            min_notional=of("min_notional", names, 0.0),
            taker_fee_bps=of("taker_fee_bps", names, 5.0),
            maker_fee_bps=of("maker_fee_bps", names, 2.0),
            reduce_only_exempt=of("reduce_only_exempt", names, 0.0).astype(np.int64),
            book_feed=self.with_book.astype(np.int64) if self.tables["book"] is not None else np.zeros(len(names), np.int64),
            trade_side_feed=known("buy_volume"),
        )


def symbol_uid(name: str) -> int:
    """A stable id of a symbol's name, 1 to 2**31 - 1; the same in every data set, so that order ids are comparable."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % (2**31 - 1) + 1


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


def _codes(table: Table, batch: Any, start: int, column: dict[str, int]) -> Ints:
    found, index = table.texts(batch, "symbol", start)
    return np.array([column.get(name, -1) for name in found] or [-1], np.int64)[index]


def _sides(table: Table, batch: Any, start: int) -> Ints:
    values = batch.column("side")
    coded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
    codes = [SIDES.get(str(found).strip().lower(), -2) for found in coded.dictionary.to_pylist()]
    if -2 in codes:
        wrong = coded.dictionary[codes.index(-2)].as_py()
        at = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        i = int(np.argmax(at == codes.index(-2)))
        raise DataError(f"{table.row(start + i)}: side is {wrong!r}; write buy or sell (the taker's), or nothing if unknown")
    index = np.asarray(coded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False), np.int64)
    return np.array([*codes, -1], np.int64)[index]


def _repeated_ids(table: Table, column: dict[str, int]) -> frozenset[str]:
    """The trade ids that occur more than once in the file. Compared by hash first, so that few are looked at by name."""
    hashes = []
    for start, batch in table.batches(["symbol", "trade_id"]):
        code = _codes(table, batch, start, column)
        ids = batch.column("trade_id").cast(pa.string()).to_pylist()
        mine = [hash((int(c), i)) for c, i in zip(code, ids, strict=True) if c >= 0 and i is not None]
        hashes.append(np.array(mine, np.int64))
    every = np.sort(np.concatenate(hashes)) if hashes else np.zeros(0, np.int64)
    twice = frozenset(every[1:][every[1:] == every[:-1]].tolist())
    if not twice:
        return frozenset()
    found = set()
    for start, batch in table.batches(["symbol", "trade_id"]):
        code = _codes(table, batch, start, column)
        ids = batch.column("trade_id").cast(pa.string()).to_pylist()
        found |= {i for c, i in zip(code, ids, strict=True) if c >= 0 and i is not None and hash((int(c), i)) in twice}
    return frozenset(found)


def _hash(folder: Path, files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    description = folder / "dataset.yml"
    for path in sorted([*files, *([description] if description.exists() else [])]):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
