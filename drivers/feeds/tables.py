"""Reads bars, book, trades and funding files batch by batch: Parquet, CSV, CSV.gz, Feather.

A file is never held whole. Parquet is decoded column by column and some hundred thousand rows at a time, so that a year of
twenty symbols needs little more memory than its panels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

from dataflows.panel import Floats, Ints
from drivers.feeds.errors import DataError
from drivers.feeds.time_forms import EARLIEST, day_in_1970, days_of
from drivers.text.inert import MOST_CHARACTERS, name_fault
from drivers.text.suggestions import did_you_mean
from drivers.text.times import utc

BATCH_ROWS: Final = 1 << 18
SUFFIXES: Final = (".parquet", ".csv", ".csv.gz", ".feather")
TEXT: Final = frozenset({"symbol", "side", "trade_id"})
_BROKEN: Final = "is not a whole {kind} file ({reason}); it may be half-written: download or write it again"


@dataclass
class Table:
    """One file of a market-data folder, its header read.

    path: the file. columns: as it names them. time_zone: what a timestamp without a zone means, "UTC" or None (refused).
    """

    path: Path
    columns: tuple[str, ...]
    kind: str
    time_zone: str | None = None
    _integer_time: bool = False
    _zone: tuple[str, int] | None = field(default=None, repr=False)
    _unit: int = 0

    @property
    def name(self) -> str:
        """The file's name, as messages give it."""
        return self.path.name

    def row(self, index: int) -> str:
        """`bars.csv, row 3 (line 4)`: rows count from 1 without the header."""
        line = f" (line {index + 2})" if self.kind == "CSV" else ""
        return f"{self.name}, row {index + 1}{line}"

    def require(self, columns: Sequence[str]) -> None:
        """Raises DataError naming the first column that is not there."""
        for column in columns:
            if column not in self.columns:
                others = [c for c in self.columns if c not in columns]
                hint = did_you_mean(column, others, f"it has {', '.join(self.columns)}.")
                raise DataError(f"{self.name}: column {column} is missing; {hint} Needed: {', '.join(columns)}")

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(index of the first row, batch) of the named columns, in file order, about `rows` at a time.

        Raises DataError when the file is broken.
        """
        start = 0
        try:
            for batch in self._raw(list(columns), rows):
                if batch.num_rows:
                    yield start, batch
                    start += batch.num_rows
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError) as error:
            raise DataError(f"{self.name}: {broken(error, self.kind)}") from None

    def _raw(self, columns: list[str], size: int) -> Iterator[pa.RecordBatch]:
        if self.kind == "Parquet":
            with pq.ParquetFile(self.path, read_dictionary=["symbol"]) as file:
                groups: list[int] = []  # a few at a time: asked for all at once, pyarrow keeps what it read of the whole file
                rows = 0
                for group in range(file.num_row_groups):
                    groups.append(group)
                    rows += file.metadata.row_group(group).num_rows
                    if rows >= size or group == file.num_row_groups - 1:
                        yield from file.iter_batches(size, groups, columns)
                        groups, rows = [], 0
        elif self.kind == "Feather":
            with pa.memory_map(str(self.path)) as source, pa.ipc.open_file(source) as file:
                for i in range(file.num_record_batches):
                    yield file.get_batch(i).select(columns)
        else:
            types = {c: pa.string() if c in TEXT else pa.float64() for c in columns}
            if "timestamp" in types:
                types["timestamp"] = pa.int64() if self._integer_time else pa.string()
            options = pa.csv.ConvertOptions(column_types=types, include_columns=columns)
            reading = pa.csv.ReadOptions(block_size=1 << 24, use_threads=False)
            with pa.csv.open_csv(self.path, read_options=reading, convert_options=options) as reader:
                for batch in reader:
                    yield _empty_as_null(batch)

    def times(self, column: Any, start: int) -> Ints:
        """A batch's timestamps as UTC nanoseconds (M,). start: index of its first row, for messages.

        Takes datetimes of any unit (stored without a zone: UTC), dates, integers in s, ms, us or ns told apart by magnitude,
        and ISO 8601 text with a zone. Raises DataError for a missing one, text without a zone, and mixed zones or units.
        """
        if column.null_count:
            index = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(f"{self.row(start + index)}: timestamp is missing; remove the row or give its time")
        if isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        kind = column.type
        try:
            if pa.types.is_integer(kind):
                return self._scaled(np.asarray(_numbers(column), np.int64), start)
            if pa.types.is_timestamp(kind):
                column = column.cast(pa.timestamp("ns", kind.tz))
            elif pa.types.is_date(kind):
                column = column.cast(pa.timestamp("ns"))
            elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
                column = self._parsed(column, start)
            else:
                raise DataError(f"{self.name}: timestamp is a column of {kind}; write UTC datetimes or integer ms or ns")
        except pa.ArrowInvalid as error:
            raise DataError(f"{self.name}: timestamp cannot be read as UTC nanoseconds ({_first_line(error)})") from None
        ns = np.array(_numbers(column.cast(pa.int64())), np.int64)
        if (day := day_in_1970(ns)) is not None:
            raise DataError(
                f"{self.row(start + day[0])}: timestamp {utc(int(ns[day[0]]))} is {day[1]}, counted from 1970; write it as "
                "a date"
            )
        return ns

    def _scaled(self, time: Ints, start: int) -> Ints:
        days = days_of(time)
        if days is not None:
            return days
        size = np.abs(time)
        unit = np.select([size < 10**11, size < 10**14, size < 10**17], [10**9, 10**6, 10**3], 1)
        self._unit = self._unit or int(unit[0])
        odd = unit != self._unit
        if odd.any():
            index = int(np.argmax(odd))
            raise DataError(
                f"{self.row(start + index)}: timestamp {time[index]} is in another unit than those before it; "
                "write all of them in one unit, e.g. ms"
            )
        early = size * self._unit < EARLIEST
        if early.any():
            index = int(np.argmax(early))
            raise DataError(
                f"{self.row(start + index)}: timestamp {time[index]}, as seconds since 1970, is "
                f"{utc(int(time[index]) * self._unit)}; write it as YYYYMMDD, or like 2026-03-01T12:00:00Z"
            )
        return time * self._unit

    def _parsed(self, text: Any, start: int) -> Any:
        if pc.all(pc.ends_with(text, "Z")).as_py() and (self._zone is None or self._zone[0] == "Z"):
            self._zone = self._zone or ("Z", start)
            return self._cast(text, start)
        zones = pc.struct_field(pc.extract_regex(text, r"(?P<zone>Z| ?UTC|[+-]\d{2}:?\d{2})$"), "zone")
        distinct = pc.unique(zones).to_pylist()
        first = [str(z).strip() if z is not None else "" for z in distinct]
        if self._zone is None:
            self._zone = (first[0], start)
        for raw, zone in zip(distinct, first, strict=True):
            if zone == self._zone[0]:
                continue
            is_raw = pc.is_null(zones) if raw is None else pc.equal(zones, raw).fill_null(False)
            index = int(np.argmax(is_raw.to_numpy(zero_copy_only=False)))
            raise DataError(
                f"{self.row(start + index)}: timestamp {text[index].as_py()!r} {_named(zone)}, while row {self._zone[1] + 1} "
                f"{_named(self._zone[0])}: mixed time zones; convert all of them to UTC and write a Z after each"
            )
        if self._zone[0] == "":
            if self.time_zone is None:
                raise DataError(
                    f"{self.row(start)}: timestamp {text[0].as_py()!r} has no time zone; write UTC with a Z after it, "
                    "or `timezone: UTC` in dataset.yml"
                )
            text = pc.binary_join_element_wise(text, "Z", "")
        elif self._zone[0] == "UTC":
            text = pc.replace_substring_regex(text, r" ?UTC$", "Z")
        return self._cast(text, start)

    def _cast(self, text: Any, start: int) -> Any:
        try:
            return text.cast(pa.timestamp("ns", "UTC"))
        except pa.ArrowInvalid:
            for index in range(len(text)):
                try:
                    text.slice(index, 1).cast(pa.timestamp("ns", "UTC"))
                except pa.ArrowInvalid:
                    found = text[index].as_py()
                    raise DataError(
                        f"{self.row(start + index)}: timestamp {found!r} is not a time; write it like 2026-03-01T12:00:00Z"
                    ) from None
            raise

    def texts(self, batch: pa.RecordBatch, column: str, start: int) -> tuple[list[str], Ints]:
        """A text column as (distinct values, index of each row's value).

        Raises DataError naming a row without a value, and one whose symbol has a name that is refused.
        """
        values = batch.column(column)
        if values.null_count:
            index = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(f"{self.row(start + index)}: {column} is missing; remove the row or fill it in")
        coded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
        names = [str(name) for name in coded.dictionary.to_pylist()]
        of = np.asarray(_numbers(coded.indices), np.int64)
        if column == "symbol":
            check_names(names, of, lambda i: self.row(start + i))
        return names, of

    def floats(self, batch: pa.RecordBatch, column: str) -> Floats:
        """A numeric column as float64 (M,), NaN where it is null. Raises DataError naming a column of another type."""
        values = batch.column(column)
        try:
            return np.asarray(_numbers(values.cast(pa.float64())), np.float64)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise DataError(f"{self.name}: column {column} is of type {values.type}; it must hold numbers") from None


def _numbers(column: Any) -> Any:
    """An Arrow column of numbers for NumPy, NaN where it is null. Arrow's own way there imports pandas: a fifth of a second."""
    return column.to_numpy(zero_copy_only=False) if column.null_count else np.from_dlpack(column)


def check_names(names: Sequence[str], index: Ints, row: Callable[[int], str]) -> None:
    """Raises DataError for a symbol's name that is refused, at the first row that has it.

    names: distinct. index: of each row's name. row: what to call a row.
    """
    for i, name in enumerate(names):
        fault = name_fault(name)
        if fault is not None and (index == i).any():
            raise DataError(f"{row(int(np.argmax(index == i)))}: symbol {name[:MOST_CHARACTERS]!r} {fault}")


def find_table(folder: Path, stem: str, time_zone: str | None = None) -> Table | None:
    """The folder's file of that name in whichever format, its header read; None where there is none.

    Raises DataError when there are two of them, or when it is empty, half-written or without rows.
    """
    found = [folder / f"{stem}{s}" for s in SUFFIXES if (folder / f"{stem}{s}").exists()]
    if not found:
        return None
    if len(found) > 1:
        raise DataError(f"{found[0].name} and {found[1].name} are both in {folder.name}; keep one of them")
    path = found[0]
    kind = {".parquet": "Parquet", ".feather": "Feather"}.get(path.suffix, "CSV")
    if path.stat().st_size == 0:
        raise DataError(f"{path.name}: the file is empty; write a header and one row per time and symbol")
    integer_time = False
    try:
        if kind == "Parquet":
            with pq.ParquetFile(path) as file:
                columns, rows = file.schema_arrow.names, file.metadata.num_rows
        elif kind == "Feather":
            with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as feather:
                columns = feather.schema.names
                rows = sum(feather.get_batch(i).num_rows for i in range(feather.num_record_batches))
        else:
            with pa.csv.open_csv(path, read_options=pa.csv.ReadOptions(block_size=1 << 20, use_threads=False)) as reader:
                columns = reader.schema.names
                rows = reader.read_next_batch().num_rows
                integer_time = "timestamp" in columns and pa.types.is_integer(reader.schema.field("timestamp").type)
    except StopIteration:
        columns, rows = [], 0
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise DataError(f"{path.name}: {broken(error, kind)}") from None
    if not rows:
        raise DataError(f"{path.name}: the file is empty: it has no rows; write one row per time and symbol")
    return Table(path, tuple(columns), kind, time_zone, integer_time)


def _empty_as_null(batch: pa.RecordBatch) -> pa.RecordBatch:
    """In a column of text only an empty cell is missing: NA, NAN and NULL are tickers."""
    columns = [
        pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column) if pa.types.is_string(column.type) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)


def _named(zone: str) -> str:
    return f"is in {zone}" if zone else "has no time zone"


def _first_line(error: BaseException) -> str:
    return re.sub(r"\s+", " ", str(error)).strip().rstrip(".")[:200]


def broken(error: BaseException, kind: str) -> str:
    """What a reader's error says about a file, and what to do: the rest of a sentence that begins with the file's name."""
    text = _first_line(error)
    if kind == "CSV" and "CSV" in text:
        match = re.search(r"Row #(\d+)", text)
        line = f"line {match[1]}: " if match else ""
        text = re.sub(r"^(In CSV column #\d+: )?(CSV \w+ error:? )?(Row #\d+: )?", "", text)
        text = re.sub(r"^CSV conversion error to \w+: invalid value ('.*')", r"\1 is not a number", text)
        return f"{line}{text}; mend or remove that line"
    return _BROKEN.format(kind=kind, reason=text)
