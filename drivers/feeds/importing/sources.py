"""Files of any shape as a stream of record batches with named columns: CSV and JSON (also packed), Parquet, Feather.

A CSV, Parquet or Feather file is never held whole. JSON is one value, so that it is; it is therefore bounded in size.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from drivers.feeds.errors import DataError
from drivers.feeds.importing.delimited import names_of_rows, open_delimited
from drivers.feeds.importing.packed import unpacked
from drivers.feeds.importing.presets import Preset
from drivers.feeds.importing.source import EMPTY, READ_ERRORS, Source, types_of
from drivers.feeds.tables import broken

FORMATS: Final = (
    *(".parquet", ".feather", ".csv", ".csv.gz", ".csv.zst", ".csv.bz2", ".txt", ".tsv", ".zip", ".json", ".json.gz"),
)
_JSON_BYTES: Final = 1 << 30


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


class _Json(Source):
    kind = "JSON"

    def __init__(self, path: Path, batch: pa.RecordBatch) -> None:
        super().__init__(path, tuple(batch.schema.names), types_of(batch.schema), {})
        self._batch = batch

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield self._batch.select(columns)


def open_source(
    path: Path,
    *,
    preset: Preset | None = None,
    header: Sequence[str] = (),
    skip: int | None = None,
    encoding: str | None = None,
) -> Source:
    """A file, its columns read. header: their names, where the file has no header or another one.

    skip: lines of text before the table; None finds them. encoding: of text; None is UTF-8 or what the file's mark names.

    Raises DataError, one sentence, for what is empty, half-written, of no known format, or without names of its columns.
    """
    if not path.is_file():
        raise DataError(f"{path}: {'is a folder' if path.is_dir() else 'does not exist; check the path'}")
    if path.stat().st_size == 0:
        raise DataError(f"{path.name}: {EMPTY}")
    kind = _format(path)
    try:
        if kind == "parquet":
            with pq.ParquetFile(path) as parquet:
                rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
            source: Source = _Parquet(path, tuple(schema.names), types_of(schema), _about(schema))
        elif kind == "feather":
            with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as feather:
                rows = sum(feather.get_batch(i).num_rows for i in range(feather.num_record_batches))
                source = _Feather(path, tuple(feather.schema.names), types_of(feather.schema), _about(feather.schema))
        elif kind == "json":
            source, rows = _open_json(path, preset, header)
        else:
            source, rows = open_delimited(path, preset, header, skip, encoding)
    except READ_ERRORS as error:
        raise DataError(f"{path.name}: {broken(error, {'csv': 'CSV', 'json': 'JSON'}.get(kind, kind.title()))}") from None
    if not rows:
        raise DataError(f"{path.name}: {EMPTY}")
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
            return "csv" if suffix in (".zip", ".txt", ".tsv") else suffix.split(".")[1]
    if path.name.lower().endswith((".jsonl", ".jsonl.gz", ".jsonl.zst", ".zst", ".log")):
        raise DataError(
            f"{path.name}: recorded messages of a venue are no table; import the tables made of them (bars, trades, book "
            "snapshots), or rename the file if it is a csv"
        )
    raise DataError(f"{path.name}: not a format that is read; there are {', '.join(FORMATS)}")


def _about(schema: pa.Schema) -> dict[str, str]:
    metadata = schema.metadata or {}
    return {key: metadata[key.encode()].decode() for key in ("source", "licence") if metadata.get(key.encode())}


# -- JSON ---------------------------------------------------------------------------------------------------------------------


def _open_json(path: Path, preset: Preset | None, header: Sequence[str]) -> tuple[Source, int]:
    with path.open("rb") as packed, ExitStack() as stack:
        content = unpacked(path, packed, stack).read(_JSON_BYTES + 1)
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
        names = list(names_of_rows(path, width, preset, header))
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
