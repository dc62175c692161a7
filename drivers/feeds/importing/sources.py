"""Files of any shape as a stream of record batches with named columns: CSV and JSON (also packed), Parquet, Feather.

A CSV, Parquet or Feather file is never held whole. JSON is one value, so that it is; it is therefore bounded in size.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq

from drivers.feeds.errors import DataError
from drivers.feeds.importing.presets import Preset
from drivers.feeds.tables import BATCH_ROWS, broken

FORMATS: Final = (".parquet", ".feather", ".csv", ".csv.gz", ".csv.zst", ".csv.bz2", ".zip", ".json", ".json.gz")
_CODECS: Final = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
_JSON_BYTES: Final = 1 << 30
_EMPTY: Final = "the file is empty; it needs at least one row"
_ERRORS: Final = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError, zipfile.BadZipFile)


@dataclass
class Source(ABC):
    """A file whose columns are known. about: what the file itself says, e.g. `source` and `licence` (Parquet's metadata)."""

    path: Path
    columns: tuple[str, ...]
    types: dict[str, Any]  # column -> its type; of a CSV file, as its first rows look
    about: dict[str, str]
    done: float = 0.0  # how much of it has been read, 0 to 1
    as_text: frozenset[str] = frozenset()  # columns whose digits must stay what they are, not become floats

    kind = "CSV"

    @property
    def name(self) -> str:
        """The file's name, as messages give it."""
        return self.path.name

    def row(self, index: int) -> str:
        """`bars.csv, row 3`: rows count from 1 without the header."""
        return f"{self.name}, row {index + 1}"

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(index of the first row, batch) of the named columns. Raises DataError when the file is broken."""
        start = 0
        try:
            for batch in self._raw(list(columns), rows):
                for at in range(0, batch.num_rows, rows):
                    part = batch.slice(at, rows)
                    yield start, part
                    start += part.num_rows
        except _ERRORS as error:
            raise DataError(f"{self.name}: {broken(error, self.kind)}") from None
        self.done = 1.0

    @abstractmethod
    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]: ...


class _Parquet(Source):
    kind = "Parquet"

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path) as file:
            for group in range(file.num_row_groups):
                yield from file.iter_batches(rows, [group], columns)
                self.done = (group + 1) / file.num_row_groups


class _Feather(Source):
    kind = "Feather"

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(self.path)) as source, pa.ipc.open_file(source) as file:
            for i in range(file.num_record_batches):
                yield file.get_batch(i).select(columns)
                self.done = (i + 1) / file.num_record_batches


@dataclass
class _Csv(Source):
    names: tuple[str, ...] | None = None  # of a file without a header
    delimiter: str = ","

    def row(self, index: int) -> str:
        return f"{self.name}, row {index + 1} (line {index + (1 if self.names else 2)})"

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        types = {name: pa.string() if name in self.as_text else _stable(self.types[name]) for name in columns}
        convert = pa.csv.ConvertOptions(column_types=types, include_columns=columns, strings_can_be_null=True)
        # pyarrow reads 32 blocks ahead
        reading = pa.csv.ReadOptions(block_size=1 << 21, use_threads=False, column_names=list(self.names or ()) or None)
        parse = pa.csv.ParseOptions(delimiter=self.delimiter)
        size = max(self.path.stat().st_size, 1)
        with (
            self.path.open("rb") as packed,
            ExitStack() as stack,
            pa.csv.open_csv(
                _unpacked(self.path, packed, stack), read_options=reading, parse_options=parse, convert_options=convert
            ) as reader,
        ):
            for batch in reader:
                yield batch
                self.done = packed.tell() / size


class _Json(Source):
    kind = "JSON"

    def __init__(self, path: Path, batch: pa.RecordBatch) -> None:
        super().__init__(path, tuple(batch.schema.names), _types(batch.schema), {})
        self._batch = batch

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield self._batch.select(columns)


def open_source(path: Path, *, preset: Preset | None = None, header: Sequence[str] = ()) -> Source:
    """A file, its columns read. header: their names, where the file has no header of its own.

    Raises DataError, one sentence, for what is empty, half-written, of no known format, or without names of its columns.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder' if path.is_dir() else 'does not exist; check the path'}")
    if path.stat().st_size == 0:
        raise DataError(f"{path.name}: {_EMPTY}")
    kind = _format(path)
    try:
        if kind == "parquet":
            with pq.ParquetFile(path) as parquet:
                rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
            source: Source = _Parquet(path, tuple(schema.names), _types(schema), _about(schema))
        elif kind == "feather":
            with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as feather:
                rows = sum(feather.get_batch(i).num_rows for i in range(feather.num_record_batches))
                source = _Feather(path, tuple(feather.schema.names), _types(feather.schema), _about(feather.schema))
        elif kind == "json":
            source, rows = _open_json(path, preset, header)
        else:
            source, rows = _open_csv(path, preset, header)
    except _ERRORS as error:
        raise DataError(f"{path.name}: {broken(error, {'csv': 'CSV', 'json': 'JSON'}.get(kind, kind.title()))}") from None
    if not rows:
        raise DataError(f"{path.name}: {_EMPTY}")
    twice = [name for i, name in enumerate(source.columns) if name in source.columns[:i]]
    if twice:
        raise DataError(f"{path.name}: two columns are called {twice[0]}; rename one of them")
    return source


def files_in(folder: Path) -> list[Path]:
    """The files of a folder that have a format that can be read, sorted by name."""
    return sorted(
        p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".") and p.name.lower().endswith(FORMATS)
    )


def _format(path: Path) -> str:
    for suffix in FORMATS:
        if path.name.lower().endswith(suffix):
            return "csv" if suffix == ".zip" else suffix.split(".")[1]
    if path.name.lower().endswith((".jsonl", ".jsonl.gz", ".jsonl.zst", ".zst", ".log", ".txt")):
        raise DataError(
            f"{path.name}: recorded messages of a venue are no table; import the tables made of them (bars, trades, book "
            "snapshots), or rename the file if it is a csv"
        )
    raise DataError(f"{path.name}: not a format that is read; there are {', '.join(FORMATS)}")


def _types(schema: pa.Schema) -> dict[str, Any]:
    return {field.name: field.type for field in schema}


def _about(schema: pa.Schema) -> dict[str, str]:
    metadata = schema.metadata or {}
    return {key: metadata[key.encode()].decode() for key in ("source", "licence") if metadata.get(key.encode())}


# -- CSV ----------------------------------------------------------------------------------------------------------------------


def _unpacked(path: Path, packed: BinaryIO, stack: ExitStack) -> Any:
    """A stream of the text in an opened file, whatever it is packed in; closed with `stack`."""
    if path.suffix.lower() == ".zip":
        archive = stack.enter_context(zipfile.ZipFile(packed))
        names = [i.filename for i in archive.infolist() if not i.is_dir() and i.filename.lower().endswith((".csv", ".txt"))]
        if len(names) != 1:
            what = f"holds {len(names)} csv files; unpack it and import them" if names else "holds no csv file"
            raise DataError(f"{path.name}: {what}")
        return stack.enter_context(archive.open(names[0]))
    codec = _CODECS.get(path.suffix.lower())
    return packed if codec is None else stack.enter_context(pa.CompressedInputStream(packed, codec))


def _open_csv(path: Path, preset: Preset | None, header: Sequence[str]) -> tuple[Source, int]:
    with path.open("rb") as packed, ExitStack() as stack:
        head = _unpacked(path, packed, stack).read(1 << 20)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path.name}: is text in UTF-16; write it again in UTF-8")
    text = head.decode("utf-8-sig", errors="replace")
    lines = text.splitlines()[: 1 if len(head) < 1 << 20 and "\n" not in text else 50]
    if not lines or not lines[0].strip():
        raise DataError(f"{path.name}: {_EMPTY}")
    delimiter = max(",;\t|", key=lines[0].count)
    first = next(csv.reader([lines[0]], delimiter=delimiter))
    names: tuple[str, ...] | None = None
    if all(_is_value(cell) for cell in first):
        names = _names(path, len(first), preset, header)
    elif header:
        raise DataError(f"{path.name}: has a header of its own ({lines[0][:60]}); leave --header out")
    elif len(lines) == 1 and len(head) < 1 << 20:
        raise DataError(f"{path.name}: the file is empty below its first line ({lines[0][:60]}); it needs at least one row")
    reading = pa.csv.ReadOptions(use_threads=False, column_names=list(names) if names else None)
    whole = head[: head.rfind(b"\n") + 1] or head  # the last line may be cut
    table = pa.csv.read_csv(
        io.BytesIO(whole if len(head) == 1 << 20 else head),
        read_options=reading,
        parse_options=pa.csv.ParseOptions(delimiter=delimiter),
        convert_options=pa.csv.ConvertOptions(strings_can_be_null=True),
    )
    source = _Csv(path, tuple(table.schema.names), _types(table.schema), {}, names=names, delimiter=delimiter)
    return source, table.num_rows


def _stable(kind: Any) -> Any:
    """The type to read a whole column in, from that of its first rows: whole numbers may go on with fractions, or as text."""
    return pa.float64() if pa.types.is_floating(kind) else pa.string()


def _is_value(cell: str) -> bool:
    plain = cell.strip().lower()
    return plain in ("", "true", "false", "nan", "null", "buy", "sell") or bool(re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", plain))


def _names(path: Path, width: int, preset: Preset | None, header: Sequence[str]) -> tuple[str, ...]:
    """Names for a file without a header."""
    if header:
        if len(header) != width:
            raise DataError(f"{path.name}: has {width} columns, and --header names {len(header)}")
        return tuple(header)
    if preset is None or not preset.order:
        raise DataError(
            f"{path.name}: the first line holds values, not names; name the {width} columns with --header A,B,..., or choose a "
            "--preset"
        )
    found = preset.header(width)
    if found is None:
        raise DataError(f"{path.name}: has {width} columns, and the preset {preset.name} has {', '.join(preset.order)}")
    return found


# -- JSON ---------------------------------------------------------------------------------------------------------------------


def _open_json(path: Path, preset: Preset | None, header: Sequence[str]) -> tuple[Source, int]:
    with path.open("rb") as packed, ExitStack() as stack:
        content = _unpacked(path, packed, stack).read(_JSON_BYTES + 1)
    if len(content) > _JSON_BYTES:
        raise DataError(
            f"{path.name}: a JSON file is read whole, and this one is beyond {_JSON_BYTES >> 30} GB; write it as csv"
        )
    try:
        rows = json.loads(content)
    except ValueError as error:
        raise DataError(f"{path.name}: not whole JSON ({error}); it may be half-written: download or write it again") from None
    if not isinstance(rows, list) or not all(isinstance(r, (list, dict)) and type(r) is type(rows[0]) for r in rows):
        raise DataError(f"{path.name}: must be a list of rows, each a list of values or an object with names")
    if not rows:
        return _Json(path, pa.RecordBatch.from_pylist([])), 0
    if isinstance(rows[0], dict):
        names = list(dict.fromkeys(name for row in rows for name in row))
        columns = [[row.get(name) for row in rows] for name in names]
    else:
        width = len(rows[0])
        odd = next((i for i, row in enumerate(rows) if len(row) != width), None)
        if odd is not None:
            raise DataError(f"{path.name}, row {odd + 1}: has {len(rows[odd])} values, and the first row {width}")
        names = list(_names(path, width, preset, header))
        columns = [list(column) for column in zip(*rows, strict=True)]
    try:
        arrays = [_json_column(column) for column in columns]
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise DataError(f"{path.name}: a column mixes numbers and other values; write each column in one type") from None
    return _Json(path, pa.RecordBatch.from_arrays(arrays, names)), len(rows)


def _json_column(values: list[Any]) -> pa.Array:
    kinds = {type(v) for v in values if v is not None}
    if kinds == {int, float}:
        return pa.array(values, pa.float64())
    return pa.array(values)
