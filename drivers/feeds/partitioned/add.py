"""Adds market data to a partitioned data set: symbols that it does not have, or what comes after those that it has."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataflows.data.types import Observations
from dataflows.panel import Ints
from drivers.feeds.aligned import LEVELS, Dataset, QualityCounts
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.blocks import edges, months
from drivers.feeds.partitioned.manifest import (
    NAME,
    Held,
    Manifest,
    Part,
    axis_name,
    axis_table,
    facts_of,
    load,
    path_of,
    table_bytes,
    trading_time_of,
)
from drivers.feeds.partitioned.place import Place
from drivers.feeds.source import Source
from drivers.feeds.trading_time import ALWAYS, RHYTHM, TradingTime, bar_clock, trading_time
from drivers.text.times import duration, utc

COLUMNS: Final = (
    *(name for name in Observations._fields[Observations._fields.index("open") :] if name not in ("listed", "late")),
    "alpha",
)
"""What a part may hold, one column each, and one each level of the book."""
NOTHING: Final = {"funding_rate": 0.0, "duplicates": 0}
"""What stands where nothing was observed; NaN in all other columns."""


@dataclass(frozen=True)
class Added:
    """What was written: symbols, files, bars, bytes."""

    symbols: int
    parts: int
    rows: int
    bytes: int


def add(
    data: Dataset, out: Source, *, leader: str = "", adjusted: bool = False, progress: Callable[[int], None] = lambda bars: None
) -> Added:
    """Writes a data set's bars as parts below `out`, then the manifest. An error leaves what was there before.

    leader: as the data set's description names it. adjusted: its prices go on across splits or dividends from its own first
    bar, so nothing can be added to it, and it to nothing. progress: told of the bars written.
    Raises DataError where the two do not fit together: another clock or calendar, other facts of a symbol, bars of a time that
    is there.
    """
    place = Place(out)
    with place.writing():
        before = load(place)
        if before is not None:
            _fits(data, before, place, leader, adjusted)
        made = _written(data, place, progress)
        manifest = _joined(data, made, before, place, leader)
        place.write(NAME, manifest.text().encode())
    parts = [part for each in made.values() for part in each]
    return Added(len(made), len(parts), sum(p.rows for p in parts), sum(p.bytes for p in parts))


def _fits(data: Dataset, before: Manifest, place: Place, leader: str, adjusted: bool) -> None:
    where = str(place.source)
    if data.step != before.step:
        raise DataError(f"{data.path.name}: its bars are {duration(data.step)} long, those of {where} {duration(before.step)}")
    if data.calendar != before.calendar:
        raise DataError(
            f"{data.path.name}: goes by {data.calendar}, and {where} by {before.calendar}; write the same `calendar` in "
            "dataset.yml"
        )
    if data.depth != before.depth and "bid_price" in before.columns and "bid_price" in data.held:
        raise DataError(f"{data.path.name}: its book has {data.depth} levels, and that of {where} {before.depth}")
    if leader and before.leader and leader != before.leader:
        raise DataError(f"{data.path.name}: names {leader} as the leader, and {where} names {before.leader}; keep one of them")
    for n, symbol in enumerate(data.symbols):
        held = before.symbols.get(symbol)
        if held is None:
            continue
        if adjusted:
            raise DataError(
                f"{data.path.name}: {symbol} has splits or dividends, and its prices go on from the first bar of the folder; "
                f"partition the whole history at once into a new place"
            )
        last = held.parts[-1].last if held.parts else before.first - before.step
        if int(data.time[0]) <= last:
            raise DataError(
                f"{where}: {symbol} is there until {utc(last)}, and {data.path.name} begins at {utc(int(data.time[0]))}; add "
                f"what comes after with --start {utc(last)}"
            )
        for name, value in facts_of(data.instruments, n).items():
            if held.facts.get(name) != value:
                raise DataError(
                    f"{data.path.name}: {name} of {symbol} is {value:g}, and {where} has {held.facts.get(name)}; make them the "
                    "same in dataset.yml, or partition into a new place"
                )


def _written(data: Dataset, place: Place, progress: Callable[[int], None]) -> dict[str, list[Part]]:
    """Writes a file for each symbol and month; returns the parts of each symbol."""
    made: dict[str, list[Part]] = {symbol: [] for symbol in data.symbols}
    cut, month = edges(data.time, data.step), months(data.time)
    blocks = list(zip(cut, cut[1:], strict=False))
    for name, own in groupby(blocks, key=lambda block: str(month[block[0]])):
        files = [_File() for _ in data.symbols]
        for a, b in own:
            rows = data.rows(int(a), int(b))
            values = [(held, _values(data, rows, held)) for held in data.held]
            for n, file in enumerate(files):
                file.add(_table(rows.time, values, n))
            progress(int(b - a) * len(files))
        for symbol, file in zip(data.symbols, files, strict=True):
            content, time = file.close()
            if len(time):
                sha256 = hashlib.sha256(content).hexdigest()
                part = Part(
                    month=name, sha256=sha256, bytes=len(content), rows=len(time), first=int(time[0]), last=int(time[-1])
                )
                place.write(path_of(symbol, part), content)
                made[symbol].append(part)
    return made


class _File:
    """A Parquet file in memory, a row group a block."""

    def __init__(self) -> None:
        self._sink = io.BytesIO()
        self._writer: pq.ParquetWriter | None = None
        self._times: list[Ints] = [np.zeros(0, np.int64)]

    def add(self, table: pa.Table) -> None:
        if not table.num_rows:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._sink, table.schema, compression="zstd", use_dictionary=False, write_statistics=["timestamp"]
            )
        self._writer.write_table(table)
        self._times.append(table["timestamp"].cast(pa.int64()).to_numpy())

    def close(self) -> tuple[bytes, Ints]:
        """The file, and the closes of its bars, UTC ns."""
        if self._writer is not None:
            self._writer.close()
        return self._sink.getvalue(), np.concatenate(self._times)


def _values(data: Dataset, rows: Observations, name: str) -> Any:
    return data.inputs(rows)["external_alpha"].value if name == "alpha" else getattr(rows, name)


def _table(closes: Ints, panels: Sequence[tuple[str, Any]], column: int) -> pa.Table:
    """The bars of one symbol of which anything is known."""
    values = {level: np.ascontiguousarray(series) for name, panel in panels for level, series in _series(name, panel, column)}
    known = np.zeros(len(closes), bool)
    for name, series in values.items():
        known |= series != NOTHING[name] if name in NOTHING else ~np.isnan(series)
    time = pa.array(closes[known], pa.timestamp("ns", tz="UTC"))
    return pa.table({"timestamp": time, **{name: pa.array(series[known]) for name, series in values.items()}})


def _series(name: str, panel: Any, column: int) -> Iterator[tuple[str, Any]]:
    if name in LEVELS:
        for level in range(panel.shape[2]):
            yield f"{name}_{level}", panel[:, column, level]
    else:
        yield name, panel[:, column]


def _joined(data: Dataset, made: Mapping[str, list[Part]], before: Manifest | None, place: Place, leader: str) -> Manifest:
    """The manifest of what was there and what was added."""
    symbols = dict(before.symbols) if before is not None else {}
    unknown = {u.symbol: (u.missing, u.expected) for u in data.unknown_funding}
    closes = data.rows(0, len(data)).close
    ages = data.inputs(data.rows(0, 1))["external_alpha"].age[0] if data.has_alpha else np.full(len(data.symbols), np.nan)
    for n, (symbol, parts) in enumerate(made.items()):
        first, last = (int(row) for row in data.listed[:, n])
        listed = (int(data.time[first]), int(data.time[last])) if first <= last else None
        held = Held(
            facts=facts_of(data.instruments, n),
            listed=listed,
            observed=int(np.count_nonzero(~np.isnan(closes[:, n]))),
            unknown_funding=unknown.get(symbol),
            alpha_age=None if np.isnan(ages[n]) else (int(data.time[0]), float(ages[n])),
            parts=tuple(parts),
        )
        symbols[symbol] = held if symbol not in symbols else _continued(symbols[symbol], held)
    time = _axis(data, before, place)
    quality = data.quality if before is None else QualityCounts(*(a + b for a, b in zip(before.quality, data.quality)))
    always = data.calendar == ALWAYS
    content = b"" if always else table_bytes(axis_table(time))
    manifest = Manifest(
        step=data.step,
        calendar=data.calendar,
        clock=bar_clock(data.calendar, time, data.step) if before is not None else data.clock,
        first=int(time.closes[0]),
        last=int(time.closes[-1]),
        axis=None if always else hashlib.sha256(content).hexdigest(),
        depth=max(data.depth, before.depth if before is not None else 1),
        columns=tuple(name for name in COLUMNS if name in {*data.held, *(before.columns if before is not None else ())}),
        quality=quality._replace(missing=_missing(symbols, time)),
        source=_both(before.source if before is not None else "", data.source),
        licence=_both(before.licence if before is not None else "", data.licence),
        leader=leader or (before.leader if before is not None else ""),
        symbols=symbols,
    )
    if manifest.axis is not None:
        place.write(axis_name(manifest.axis), content)
    return manifest


def _continued(one: Held, other: Held) -> Held:
    """A symbol, and what comes after."""
    spans = [span for span in (one.listed, other.listed) if span is not None]
    unknown = [u for u in (one.unknown_funding, other.unknown_funding) if u is not None]
    return one.model_copy(
        update={
            "listed": (spans[0][0], spans[-1][1]) if spans else None,
            "observed": one.observed + other.observed,
            "unknown_funding": (sum(u[0] for u in unknown), sum(u[1] for u in unknown)) if unknown else None,
            "parts": (*one.parts, *other.parts),
        }
    )


def _axis(data: Dataset, before: Manifest | None, place: Place) -> TradingTime:
    """The bars of the market from the first to the last of both."""
    own = data.trading
    if before is None:
        return own
    if before.axis is None:
        first, last = min(before.first, int(own.closes[0])), max(before.last, int(own.closes[-1]))
        return trading_time(ALWAYS, np.array([first, last], np.int64), data.step)[0]
    closes = np.union1d(trading_time_of(place, before).closes, own.closes)
    found, calendar = trading_time("" if before.calendar == RHYTHM else before.calendar, closes, data.step)
    if calendar != before.calendar:
        raise DataError(f"{data.path.name}: added to {place.source}, the bars no longer show a weekly rhythm; name a calendar")
    return found.between(int(closes[0]), int(closes[-1]))


def _missing(symbols: Mapping[str, Held], time: TradingTime) -> int:
    """Bars without a price while their symbol was listed."""
    missing = 0
    for held in symbols.values():
        if held.listed is not None:
            a, b = np.searchsorted(time.closes, held.listed)
            missing += int(b - a) + 1 - held.observed
    return missing


def _both(one: str, other: str) -> str:
    return one if not other or other in one.split("; ") else f"{one}; {other}" if one else other
