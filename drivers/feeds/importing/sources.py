"""Files of any shape as a stream of record batches with named columns: CSV and JSON (also packed), Parquet, Feather.

A CSV, Parquet or Feather file is never held whole. JSON is one value, so that it is; it is therefore bounded in size.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from drivers.feeds.errors import DataError
from drivers.feeds.importing.answers import rows_of
from drivers.feeds.importing.delimited import names_of_rows, open_delimited
from drivers.feeds.importing.packed import Origin, entries
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
        with pq.ParquetFile(self.origin.path) as file:
            for group in range(file.num_row_groups):
                yield from file.iter_batches(rows, [group], columns)
                self.done = (group + 1) / file.num_row_groups


class _Feather(Source):
    kind = "Feather"

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        with pa.memory_map(str(self.origin.path)) as source, pa.ipc.open_file(source) as file:
            for i in range(file.num_record_batches):
                yield file.get_batch(i).select(columns)
                self.done = (i + 1) / file.num_record_batches


class _Json(Source):
    kind = "JSON"

    def __init__(self, origin: Origin, batch: pa.RecordBatch, symbol: str | None = None) -> None:
        super().__init__(origin, tuple(batch.schema.names), types_of(batch.schema), {}, symbol=symbol)
        self._batch = batch

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        yield self._batch.select(columns)


def open_source(
    origin: Origin,
    *,
    preset: Preset | None = None,
    header: Sequence[str] = (),
    skip: int | None = None,
    encoding: str | None = None,
) -> Source:
    """A table, its columns read. header: their names, where the file has no header or another one.

    skip: lines of text before the table; None finds them. encoding: of text; None is UTF-8 or what the file's mark names.

    Raises DataError, one sentence, for what is empty, half-written, of no known format, or without names of its columns.
    """
    path = origin.path
    kind = _format(origin)
    try:
        if origin.size == 0:
            raise DataError(f"{origin.name}: {EMPTY}")
        if kind == "parquet":
            with pq.ParquetFile(path) as parquet:
                rows, schema = parquet.metadata.num_rows, parquet.schema_arrow
            source: Source = _Parquet(origin, tuple(schema.names), types_of(schema), _about(schema))
        elif kind == "feather":
            with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as feather:
                rows = sum(feather.get_batch(i).num_rows for i in range(feather.num_record_batches))
                source = _Feather(origin, tuple(feather.schema.names), types_of(feather.schema), _about(feather.schema))
        elif kind == "json":
            source, rows = _open_json(origin, preset, header)
        else:
            source, rows = open_delimited(origin, preset, header, skip, encoding)
    except READ_ERRORS as error:
        raise DataError(f"{origin.name}: {broken(error, {'csv': 'CSV', 'json': 'JSON'}.get(kind, kind.title()))}") from None
    if not rows:
        raise DataError(f"{origin.name}: {EMPTY}")
    twice = [name for i, name in enumerate(source.columns) if name in source.columns[:i]]
    if twice:
        raise DataError(f"{origin.name}: two columns are called {twice[0]}; rename one of them")
    return source


def origins_in(path: Path, only: str | None = None) -> list[Origin]:
    """The tables of a file, an archive, or a folder with all below it, sorted by name. only: a pattern of their names.

    Hidden files, and folders that are links, are passed over. Raises DataError where there is nothing of a known format.
    """
    if path.is_dir():
        files = []
        for folder, below, names in os.walk(path):
            below[:] = sorted(name for name in below if not name.startswith("."))
            files += [
                Path(folder, name) for name in sorted(names) if not name.startswith(".") and name.lower().endswith(FORMATS)
            ]
        found = [origin for file in files for origin in _tables(file)]
    elif not path.exists():
        raise DataError(f"{path}: does not exist; check the path")
    else:
        found = _tables(path)
    if not found:
        raise DataError(f"{path}: holds no file of a known format ({', '.join(FORMATS)})")
    kept = [o for o in found if only is None or fnmatch(PurePosixPath(o.entry or o.path.name).name, only)]
    if not kept:
        raise DataError(f"--only {only}: no file in {path.name} is called so; there is e.g. {found[0].names[-1]}")
    return kept


def _tables(path: Path) -> list[Origin]:
    if path.suffix.lower() != ".zip":
        return [Origin(path)]
    try:
        return [Origin(path, entry) for entry in entries(path)]
    except READ_ERRORS as error:
        empty = not path.stat().st_size
        raise DataError(f"{path.name}: {EMPTY if empty else broken(error, 'zip')}") from None


def _format(origin: Origin) -> str:
    name = (origin.entry or origin.path.name).lower()
    for suffix in FORMATS:
        if name.endswith(suffix):
            return "csv" if suffix in (".txt", ".tsv") else suffix.split(".")[1]
    if name.endswith((".jsonl", ".jsonl.gz", ".jsonl.zst", ".zst", ".log")):
        raise DataError(
            f"{origin.name}: recorded messages of a venue are no table; import the tables made of them (bars, trades, book "
            "snapshots), or rename the file if it is a csv"
        )
    raise DataError(f"{origin.name}: not a format that is read; there are {', '.join(FORMATS)}")


def _about(schema: pa.Schema) -> dict[str, str]:
    metadata = schema.metadata or {}
    return {key: metadata[key.encode()].decode() for key in ("source", "licence") if metadata.get(key.encode())}


# -- JSON ---------------------------------------------------------------------------------------------------------------------


def _open_json(origin: Origin, preset: Preset | None, header: Sequence[str]) -> tuple[Source, int]:
    with ExitStack() as stack:
        content = origin.open(stack)[0].read(_JSON_BYTES + 1)
    name = origin.name
    if len(content) > _JSON_BYTES:
        raise DataError(f"{name}: a JSON file is read whole, and this one is beyond {_JSON_BYTES >> 30} GB; write it as csv")
    try:
        told = json.loads(content)
    except ValueError as error:
        raise DataError(f"{name}: not whole JSON ({error}); it may be half-written: download or write it again") from None
    rows, symbol = rows_of(name, told)
    if not rows:
        return _Json(origin, pa.RecordBatch.from_pylist([])), 0
    if isinstance(rows[0], dict):
        names = list(dict.fromkeys(key for row in rows for key in row))
        columns = [[row.get(key) for row in rows] for key in names]
    else:
        width = len(rows[0])
        odd = next((i for i, row in enumerate(rows) if len(row) != width), None)
        if odd is not None:
            raise DataError(f"{name}, row {odd + 1}: has {len(rows[odd])} values, and the first row {width}")
        names = list(names_of_rows(origin, width, preset, header))
        columns = [list(column) for column in zip(*rows, strict=True)]
    return _Json(origin, pa.RecordBatch.from_arrays([_json_column(column) for column in columns], names), symbol), len(rows)


def _json_column(values: list[Any]) -> pa.Array:
    """Numbers as they are, else texts; what is nested is dropped, as no column of ours is a list."""
    kinds = {type(v) for v in values if v is not None}
    if kinds == {int, float}:
        return pa.array(values, pa.float64())
    if kinds & {list, dict}:
        return pa.nulls(len(values))
    return pa.array(values if len(kinds) <= 1 else [None if v is None else str(v) for v in values])
