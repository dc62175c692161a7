"""Opens a partitioned data set: what is always needed at once, the numbers when their stretch of time is asked for."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataflows.data.types import Instruments, unknown_instruments
from dataflows.panel import Floats, Ints
from drivers.feeds.aligned import LEVELS, Dataset, UnknownFunding
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.add import NOTHING
from drivers.feeds.partitioned.blocks import edges
from drivers.feeds.partitioned.manifest import NAME, Held, Manifest, Part, checked, load, path_of, trading_time_of
from drivers.feeds.partitioned.place import Place
from drivers.feeds.reading import symbol_uid
from drivers.feeds.source import Source
from drivers.text.suggestions import did_you_mean
from drivers.text.times import utc

KEPT: Final = 2
"""Blocks that stay in memory: a chunk may lie in two."""


def is_partitioned(source: Source) -> bool:
    """Whether a partitioned data set lies there. A URL always means one."""
    return not isinstance(source, Path) or (source / NAME).is_file()


class Frame(NamedTuple):
    """What a list of symbols has in common: closes of the first and the last bar, UTC ns, and the leader. Some of the symbols
    alone would have others."""

    first: int
    last: int
    leader: str


def frame_of(data: Dataset) -> Frame:
    """The frame of a data set, for those who read a part of its symbols."""
    leads = np.flatnonzero(data.instruments.leader)
    return Frame(int(data.time[0]), int(data.time[-1]), data.symbols[leads[0]] if len(leads) else "")


def open_partitioned(
    source: Source,
    *,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    frame: Frame | None = None,
) -> Dataset:
    """A partitioned data set as `open_dataset` gives a folder. The arguments are the same; `frame`, instead of start and
    end, is that of the larger data set which the symbols are a part of.

    Prices of symbols with splits or dividends are on the basis of the first bar of the whole set, whatever `start` says; so is
    `quality`, which is of all parts. Raises DataError naming the place, the symbol or the file at fault.
    """
    place = Place(source)
    manifest = load(place)
    if manifest is None:
        raise DataError(f"{source}: holds no {NAME}; make the data set with `stratoquant data partition DIR --out {source}`")
    chosen = _chosen(manifest, symbols)
    files = _Files(place)
    held = {name: manifest.symbols[name] for name in chosen}
    if frame is not None:
        first, last = frame.first, frame.last
    elif start is None and end is None and len(chosen) == len(manifest.symbols):
        first, last = manifest.first, manifest.last
    else:
        first, last = _span(files, held, start, end)
    trading = trading_time_of(place, manifest).between(first, last)
    stored = _Stored(manifest, held, trading.closes, files)
    panels: dict[str, Any] = {name: _Column(stored, name) for name in manifest.columns}
    listed = _listed(held, trading.closes)
    if "alpha" in panels:
        panels["alpha_age"] = _ages(stored, held, manifest, first)
    return Dataset(
        path=source,
        symbols=chosen,
        step=manifest.step,
        time=trading.closes,
        depth=manifest.depth,
        instruments=_instruments(manifest, held, stored, None if frame is None else frame.leader),
        calendar=manifest.calendar,
        clock=manifest.clock,
        source=manifest.source,
        licence=manifest.licence,
        digest=manifest.digest,
        quality=manifest.quality,
        unknown_funding=tuple(
            UnknownFunding(name, *each.unknown_funding) for name, each in held.items() if each.unknown_funding is not None
        ),
        _panels=panels,
        _listed=listed,
        _trading=trading,
        _duplicates=np.zeros((0, 3), np.int64),
    )


def _chosen(manifest: Manifest, symbols: Sequence[str] | None) -> tuple[str, ...]:
    known = sorted(manifest.symbols)
    if symbols is not None and not symbols:
        raise DataError("no symbol was asked for; name at least one, or leave the choice out for all")
    for name in symbols or ():
        if name not in manifest.symbols:
            raise DataError(f"symbol {name} is not in the data; {did_you_mean(name, known)}")
    return tuple(known if symbols is None else sorted(set(symbols)))


class _Files:
    """Parts by symbol, each fetched and checked once while its month is in use."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._open: dict[str, tuple[str, pq.ParquetFile]] = {}

    def get(self, symbol: str, part: Part) -> pq.ParquetFile:
        """The file of a part. Those of other months are let go."""
        name = path_of(symbol, part)
        if name not in self._open:
            self._open = {key: each for key, each in self._open.items() if each[0] == part.month}
            content = checked(self._place, name, part.sha256)
            self._open[name] = part.month, pq.ParquetFile(io.BytesIO(content))
        return self._open[name][1]

    def times(self, symbol: str, part: Part) -> Ints:
        """The closes in a part, UTC ns."""
        return _nanoseconds(self.get(symbol, part).read(columns=["timestamp"]))


def _nanoseconds(table: pa.Table) -> Ints:
    return np.asarray(table["timestamp"].cast(pa.int64()).to_numpy(), np.int64)


def _span(files: _Files, held: Mapping[str, Held], start: int | None, end: int | None) -> tuple[int, int]:
    """Closes of the first and the last bar that any symbol has in (start, end]."""
    found: list[int] = []
    for symbol, each in held.items():
        inside = [p for p in each.parts if (start is None or p.last > start) and (end is None or p.first <= end)]
        for part in (inside[0], inside[-1]) if inside else ():
            cut = (start is not None and part.first <= start) or (end is not None and part.last > end)
            times = files.times(symbol, part) if cut else np.array([part.first, part.last], np.int64)
            kept = times[(times > (times[0] - 1 if start is None else start)) & (times <= (times[-1] if end is None else end))]
            found.extend(int(t) for t in kept[:1].tolist() + kept[-1:].tolist())
    if not found:
        spans = [(each.parts[0].first, each.parts[-1].last) for each in held.values() if each.parts]
        there = f"they span {utc(min(a for a, _ in spans))} to {utc(max(b for _, b in spans))}" if spans else "they are empty"
        wanted = f"{'the first bar' if start is None else utc(start)} and {'the last' if end is None else utc(end)}"
        raise DataError(f"no bar of {', '.join(held)} lies between {wanted}; {there}")
    return min(found), max(found)


class _Stored:
    """The observations of some symbols on an axis, in blocks."""

    def __init__(self, manifest: Manifest, held: Mapping[str, Held], closes: Ints, files: _Files) -> None:
        self.manifest, self.held, self.closes = manifest, held, closes
        self._files = files
        self._edges = edges(closes, manifest.step)
        self._blocks: dict[int, dict[str, Any]] = {}
        self.stated: dict[int, float] = {}  # by column: alpha that was stated before the first bar, and counts on it

    def rows(self, name: str, a: int, b: int) -> Any:
        """Rows a to b of one column: a view where they lie in one block."""
        i = int(np.searchsorted(self._edges, a, side="right")) - 1
        pieces = []
        while a < b:
            begin, end = int(self._edges[i]), int(self._edges[i + 1])
            pieces.append(self._block(i)[name][a - begin : min(b, end) - begin])
            a, i = end, i + 1
        if not pieces:
            return self._empty(name, 0)
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _empty(self, name: str, bars: int) -> Any:
        shape = (bars, len(self.held), self.manifest.depth) if name in LEVELS else (bars, len(self.held))
        return np.full(shape, NOTHING.get(name, np.nan), np.int64 if name == "duplicates" else np.float64)

    def _block(self, i: int) -> dict[str, Any]:
        if i not in self._blocks:
            while len(self._blocks) >= KEPT:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[i] = self._load(int(self._edges[i]), int(self._edges[i + 1]))
        return self._blocks[i]

    def _load(self, a: int, b: int) -> dict[str, Any]:
        made = {name: self._empty(name, b - a) for name in self.manifest.columns}
        closes = self.closes[a:b]
        for n, (symbol, held) in enumerate(self.held.items()):
            for part in held.parts:
                if part.first <= closes[-1] and part.last >= closes[0]:
                    for table in self._groups(symbol, part, closes):
                        self._place(table, closes, n, made)
        if a == 0:
            for n, value in self.stated.items():
                made["alpha"][0, n] = value
        return made

    def forget(self) -> None:
        """Lets go of what was read."""
        self._blocks = {}

    def last_alpha(self, symbol: str, before: int) -> tuple[int, float] | None:
        """The last bar before an instant on which something was stated, and what."""
        for part in reversed([p for p in self.held[symbol].parts if p.first < before]):
            file = self._files.get(symbol, part)
            if "alpha" not in file.schema_arrow.names:
                continue
            table = file.read(columns=["timestamp", "alpha"])
            time, value = _nanoseconds(table), table["alpha"].to_numpy()
            known = np.flatnonzero((time < before) & ~np.isnan(value))
            if len(known):
                return int(time[known[-1]]), float(value[known[-1]])
        return None

    def _groups(self, symbol: str, part: Part, closes: Ints) -> Iterator[pa.Table]:
        """The row groups of a part that have bars of a block."""
        file = self._files.get(symbol, part)
        wanted = []
        for group in range(file.num_row_groups):
            kept = file.metadata.row_group(group).column(0).statistics
            low, high = kept.min_raw, kept.max_raw
            if low <= closes[-1] and high >= closes[0]:
                wanted.append(group)
        if wanted:
            yield file.read_row_groups(wanted, use_threads=False)

    def _place(self, table: pa.Table, closes: Ints, n: int, made: dict[str, Any]) -> None:
        time = _nanoseconds(table)
        row = np.searchsorted(closes, time)
        inside = (time >= closes[0]) & (time <= closes[-1])
        row = row[inside]
        for name in table.column_names[1:]:
            values = table[name].to_numpy()[inside]
            stem, _, level = name.rpartition("_")
            if stem in LEVELS:
                made[stem][row, n, int(level)] = values
            else:
                made[name][row, n] = values


class _Column:
    """One observation, (T, N) or (T, N, D), of which a slice of rows is read when it is asked for."""

    def __init__(self, stored: _Stored, name: str) -> None:
        self._stored, self._name = stored, name

    def __getitem__(self, rows: slice) -> Any:
        a, b, _ = rows.indices(len(self._stored.closes))
        return self._stored.rows(self._name, a, b)


def _listed(held: Mapping[str, Held], closes: Ints) -> Ints:
    """(2, N) first and last row in which each symbol is listed, those outside moved to the edge; first > last: in none."""
    made = np.stack([np.full(len(held), len(closes)), np.full(len(held), -1)]).astype(np.int64)
    for n, each in enumerate(held.values()):
        if each.listed is not None:
            made[0, n] = np.searchsorted(closes, each.listed[0])
            made[1, n] = np.searchsorted(closes, each.listed[1], side="right") - 1
    return made


def _instruments(manifest: Manifest, held: Mapping[str, Held], stored: _Stored, leader: str | None) -> Instruments:
    made = unknown_instruments(len(held))
    known = set(Instruments._fields) - {"leader"}
    for n, (symbol, each) in enumerate(held.items()):
        if set(each.facts) != known or each.facts["uid"] != symbol_uid(symbol):
            raise DataError(f"{NAME}: the facts of {symbol} are those of another version; partition the data again")
        for name, value in each.facts.items():
            getattr(made, name)[n] = value
        if made.start_position[n] != 0.0 and np.isnan(stored.rows("close", 0, 1)[0, n]):
            raise DataError(f"start_position names {symbol}, which has no price in the first bar; begin the run later")
    if leader is None:
        leader = manifest.leader or _most_traded(manifest, held, stored)
    made.leader[:] = [int(name == leader) for name in held]
    return made


def _most_traded(manifest: Manifest, held: Mapping[str, Held], stored: _Stored) -> str:
    """The symbol of the largest turnover in the first week, as for a folder."""
    week = min(manifest.clock.week, len(stored.closes))
    close, volume = (stored.rows(name, 0, week) for name in ("close", "volume"))
    return list(held)[int(np.argmax(np.nansum(close * volume, axis=0)))]


def _ages(stored: _Stored, held: Mapping[str, Held], manifest: Manifest, first: int) -> Floats:
    """(1, N) bars since what was last stated by the first bar. It is put on that bar, as a folder's reader does."""
    age = np.full((1, len(held)), np.nan)
    value = stored.rows("alpha", 0, 1)
    for n, (symbol, each) in enumerate(held.items()):
        at = first
        if np.isnan(value[0, n]):
            said = stored.last_alpha(symbol, first)
            if said is None:
                continue
            at, stored.stated[n] = said
        begin, before = each.alpha_age or (0, 0.0)
        age[0, n] = (first - at) // manifest.step + (before if at == begin else 0.0)
    stored.forget()
    return age
