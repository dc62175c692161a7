"""A market-data folder, read and aligned to the clock.

How a folder is read:

1. `dataset.yml`, then the header of each file; a fault of structure ends it here.
2. Times and symbols of the bars file (of the trades where there is no bars file): the clock, the span, what is unsorted,
   in the future, off the grid or double.
3. The numbers, batch by batch, each batch checked and written to its place in the panels. What a file does not have takes no
   memory: its NaN panels are made chunk by chunk.
4. Book snapshots and trades run through the kernels of `dataflows.data.aggregate`, batch by batch; so does funding. What an
   alpha file states goes to the first bar that closes at or after its time (see `drivers.feeds.alpha`).
5. Splits and dividends, or the bars' column `adjustment`, put prices and sizes on the basis of the first bar (see
   `drivers.feeds.actions`).

Bars built from trades (no bars file): bar t has the trades of (t-1, t]. A bar in which nothing traded although the exchange was
at work is an observed one: open, high, low and close are the last trade's price, volume, trade count and buys are 0, vwap is
NaN. It was at work where a snapshot of that symbol's book lies inside the bar; for a symbol of which the folder has no book,
where some other symbol of the trades file traded inside it. All other bars without a trade are NaN, and so is every bar before
a symbol's first trade and after its last.

What is refused (DataError, one sentence naming the row): a file that is missing, empty, broken or lacks a column; a symbol
asked for and not there; a price that is infinite, not positive (its `price_shift` included) or only partly there; a high
below the low, or an open or close outside them; a negative or infinite volume or size; times that go backwards within a
symbol, are off the clock, in the future, or in mixed zones or units; two bars of one time and symbol that differ; a book file
in which every snapshot is crossed.
What is counted and goes on: bars that are not there, or whose four prices are all NaN (NaN rows; L0 fills the first of a gap);
repeated bars and snapshots that are the same and repeated trade ids (dropped; `Observations.duplicates`); bars without volume;
books that are crossed, one-sided or empty (kept as they are: the layers that read them give NaN).
"""

from __future__ import annotations

import hashlib
import time as clock_time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from dataflows.panel import Ints
from drivers.feeds.actions import apply_actions, apply_column
from drivers.feeds.aligned import Dataset, QualityCounts
from drivers.feeds.alpha import read_alpha
from drivers.feeds.bars import COLUMNS, read_bars
from drivers.feeds.description import DAY, Description, read_description
from drivers.feeds.errors import DataError, Sink, refuse
from drivers.feeds.funding import read_funding, unknown_funding
from drivers.feeds.instruments import check_shifts, instruments_of, list_symbols
from drivers.feeds.partitioned import is_partitioned, open_partitioned
from drivers.feeds.reading import Axis, Reading, symbol_uid
from drivers.feeds.source import Source
from drivers.feeds.tables import Table, find_table
from drivers.feeds.ticks import BOOK_SIDES, read_book, read_trades, trade_axis
from drivers.feeds.venue_facts import described

__all__ = ["Dataset", "QualityCounts", "open_dataset", "read_folder", "symbol_uid"]


FILES: Final = ("bars", "book", "trades", "funding", "alpha", "splits", "dividends")
"""What a folder may hold, by name without ending."""


def open_dataset(
    path: Source,
    *,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    now: int | None = None,
    venues: Path | None = None,
) -> Dataset:
    """Reads a market-data folder (see interfaces in the docs) onto its clock, or opens a partitioned data set, a folder or a
    URL (see `drivers.feeds.partitioned`), of which the numbers are read as they are asked for.

    symbols: which of them, None for the universe of `dataset.yml`, else all. start, end: UTC ns; the bars whose close lies in
    (start, end]. now: UTC ns, the latest time that data may have (plus a day); None asks the system's clock. venues: the folder
    in which a venue that `dataset.yml` names is looked for, before the package's own.
    Returns a Dataset whose columns are sorted by name. Where there is no bars file, bars of the clock are built from the
    trades (see the module); the first and the last of them hold what the file holds of them. Raises DataError (see the module).
    """
    if is_partitioned(path):
        return open_partitioned(path, symbols=symbols, start=start, end=end)
    assert isinstance(path, Path)  # a URL is of a partitioned data set
    return read_folder(path, symbols=symbols, start=start, end=end, now=now, venues=venues, sink=refuse)


def read_folder(
    path: Path,
    *,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    now: int | None = None,
    venues: Path | None = None,
    sink: Sink,
) -> Dataset:
    """As `open_dataset`, with `sink` told of each impossible row: where it returns, the row counts as missing."""
    path = Path(path)
    if not path.is_dir():
        what = "is a file; name the folder that holds it" if path.exists() else "does not exist; check the path"
        raise DataError(f"{path}: {what}")
    about = read_description(path)
    rules = described(about, path, venues)
    tables = {stem: find_table(path, stem, about.timezone) for stem in FILES}
    latest = (clock_time.time_ns() if now is None else now) + DAY

    bars, book, trades, funding = (tables[stem] for stem in ("bars", "book", "trades", "funding"))
    _require(tables)
    reading = Reading(path, about, latest, sink)
    listed: Ints | None = None
    if bars is not None:
        axis, listed = read_bars(reading, bars, symbols, start, end)
    elif trades is not None:
        axis = trade_axis(reading, trades, symbols, start, end)
    else:
        raise DataError(f"{path.name}: holds neither bars.* nor trades.*; put bars.parquet (.csv, .csv.gz, .feather) there")
    depth = read_book(reading, book, axis) if book is not None else 1
    if trades is not None:
        traded = read_trades(reading, trades, axis, whole=bars is None)
        listed = traded if listed is None else listed
    assert listed is not None  # there are bars or trades
    if funding is not None:
        read_funding(reading, funding, axis)
    if tables["alpha"] is not None:
        read_alpha(reading, tables["alpha"], axis)
    shares = [stem for stem in ("funding", "splits", "dividends") if tables[stem] is not None]
    check_shifts(rules, axis.symbols, [*shares, *(["adjustment"] if "adjustment" in reading.panels else [])])
    if "adjustment" in reading.panels:
        apply_column(reading)
    apply_actions(reading, tables["splits"], tables["dividends"], axis)
    list_symbols(reading, axis, rules, listed)
    digest = _hash(path, [t.path for t in tables.values() if t is not None])
    return assembled(reading, axis, rules, listed, depth=depth, digest=digest)


def assembled(reading: Reading, axis: Axis, rules: Description, listed: Ints, *, depth: int, digest: str) -> Dataset:
    """The data set of what has been read. rules: the description with what its venue adds. listed: (2, N) first and last
    row."""
    return Dataset(
        path=reading.path,
        symbols=axis.symbols,
        step=axis.step,
        time=axis.trading.closes,
        depth=depth,
        instruments=instruments_of(reading, axis, rules),
        calendar=axis.calendar,
        clock=axis.clock,
        source=reading.about.source,
        licence=reading.about.licence,
        digest=digest,
        quality=_quality(reading, axis, listed),
        unknown_funding=unknown_funding(reading, axis, listed) if rules.kind == "perpetual" else (),
        _panels=reading.panels,
        _listed=listed,
        _trading=axis.trading,
        _duplicates=_by_row(reading.duplicates),
    )


def _require(tables: Mapping[str, Table | None]) -> None:
    needed = {
        "bars": COLUMNS[2:],
        "trades": ("price", "size", "side"),
        "book": tuple(f"{side}_0" for side in BOOK_SIDES),
        "funding": ("funding_rate",),
        "alpha": ("value",),
        "splits": ("ratio",),
        "dividends": ("dividend",),
    }
    for stem, columns in needed.items():
        table = tables[stem]
        if table is not None:
            table.require(("timestamp", "symbol", *columns))


def _by_row(parts: Sequence[Ints]) -> Ints:
    found = np.concatenate([np.zeros((0, 3), np.int64), *parts])
    return np.ascontiguousarray(found[np.argsort(found[:, 0], kind="stable")])


def _quality(reading: Reading, axis: Axis, listed: Ints) -> QualityCounts:
    close, volume = reading.panels["close"], reading.panels["volume"]
    while_listed = int(np.clip(listed[1] - listed[0] + 1, 0, None).sum())
    counts = reading.counts | {
        "missing": while_listed - int(np.count_nonzero(~np.isnan(close))),
        "zero_volume": reading.counts["zero_volume"] + int(np.count_nonzero(volume == 0.0)),
    }
    return QualityCounts(**counts)


def _hash(folder: Path, files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    description = folder / "dataset.yml"
    for path in sorted([*files, *([description] if description.exists() else [])]):
        with path.open("rb") as file:
            digest.update(f"{path.name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()
