"""Parquet files that grow row group by row group, written by one background thread.

A file is readable when it is closed. A table of a stream therefore grows in parts: a folder `<table>.parquet` with a closed
file for each epoch, which Parquet readers take for one table, and a hidden one that is being written. A long table is such a
folder, too, so that memory does not grow with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drivers.engine.interrupts import deferred
from drivers.files.atomic import sync

GROUP_ROWS: Final = 1 << 15
"""Rows of a row group: as many bars x symbols wait in memory."""

GROUP_CELLS: Final = 1 << 23
"""Rows times columns of a row group at most, 64 MiB: what hundreds of columns have learned at the end of a day does not wait
for so many rows."""

GROUPS_A_FILE: Final = 128
"""Row groups of a file; a longer table becomes a folder of files. Whoever writes or reads a file has its footer in memory,
0.9 KB a column and row group."""

MOST_PIECES: Final = 64
"""Pieces of a row group that wait side by side, where each is of a few rows. Those take some kilobytes as pieces of their own,
and may be views of arrays that are larger still: of orders and fills, of which it takes months to fill a group, some megabytes
a day would wait."""

FEW_ROWS: Final = 128
"""Rows of a piece, on average, that are not few."""

COMPRESSION: Final = "lz4"
"""With the bytes of floats split, files are as small as with zstd at level 3, and are written in two thirds of its time."""


class Background:
    """One thread that does what it is given in order, at most `room` jobs ahead."""

    def __init__(self, room: int = 8) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="results")
        self._jobs: deque[Future[None]] = deque()
        self._room = room

    def do(self, job: Callable[[], None]) -> None:
        """Queues a job; raises what an earlier one raised."""
        while self._jobs and (self._jobs[0].done() or len(self._jobs) >= self._room):
            self._jobs.popleft().result()
        with deferred():  # a thread that Ctrl-C interrupts while it starts is never joined: it would write on after `stop`
            self._jobs.append(self._pool.submit(job))

    def wait(self) -> None:
        """Until all is done; raises what a job raised."""
        while self._jobs:
            self._jobs.popleft().result()

    def stop(self) -> None:
        """Ends the thread; what has not begun is not done."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._jobs.clear()


class ParquetFile:
    """One Parquet file that grows row group by row group. part: the number of its first part, where it grows in parts. durable:
    what is written goes to the disk at once. made: makes the columns of what `add` was given, for a whole row group at once."""

    def __init__(
        self,
        path: Path,
        background: Background,
        part: int | None = None,
        *,
        durable: bool = True,
        made: Callable[[dict[Any, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.path, self.part, self._durable = path, part, durable
        self._made = made or dict
        self._background = background
        self._writer: _TableWriter | None = None
        self._waiting: list[dict[Any, Any]] = []
        self.rows = 0
        self.begun = part is not None and bool(parts_of(path))  # its columns are known, rows or not

    def add(self, columns: dict[Any, Any], rows: int) -> None:
        """Takes successive rows as Arrow or NumPy columns, or what `made` makes columns of: arrays whose last axis grows with
        the rows. They are written when a row group is full."""
        self._waiting.append(columns)
        self.begun = True
        self.rows += rows
        width = sum(len(c) if isinstance(c, np.ndarray) and c.ndim > 1 else 1 for c in columns.values())
        if self.rows >= GROUP_ROWS or self.rows * width >= GROUP_CELLS:
            self.flush()
        elif len(self._waiting) >= MOST_PIECES and self.rows < len(self._waiting) * FEW_ROWS:
            self._waiting = [_joined(self._waiting)]

    def flush(self, schema: pa.Schema | None = None) -> None:
        """Writes what waits. schema: of a file that has not got a row yet."""
        if not self._waiting:
            if not self.begun and schema is not None:
                self.begun = True
                self._background.do(partial(self._write, schema.empty_table()))
            return
        waiting, self._waiting, self.rows = self._waiting, [], 0
        self._background.do(lambda: self._write(self._table(waiting)))

    def _table(self, waiting: Sequence[dict[Any, Any]]) -> pa.Table:
        return pa.table(self._made(_joined(waiting)))

    def _write(self, table: pa.Table) -> None:
        self._encode(table)
        if self.part is None and self._durable:
            assert self._writer is not None
            sync(self._writer.file)  # here nobody waits for the disk; a run that is complete would

    def _encode(self, table: pa.Table) -> None:
        if self._writer is None:
            target = self.path if self.part is None else self.path / f".{_part(self.part)}"
            target.parent.mkdir(parents=True, exist_ok=True)
            self._writer = _TableWriter(target, table.schema, split=self.part is None)
        self._writer.write(table)

    def cut(self) -> None:
        """Ends the part: in the background it is closed, brought to the disk and given its name."""
        self.flush()
        self._background.do(self._end_part)

    def _end_part(self) -> None:
        assert self.part is not None
        if self._writer is not None:
            self.close()
            hidden = self.path / f".{_part(self.part)}"
            sync(hidden)
            hidden.rename(self.path / _part(self.part))
            sync(self.path)
        self.part += 1

    def end(self) -> None:
        """Writes what waits, and the footer, in the thread that calls, which brings neither to the disk. Nothing may be
        under way in the background."""
        if self._waiting:
            waiting, self._waiting, self.rows = self._waiting, [], 0
            self._encode(self._table(waiting))
        self.close()

    def close(self) -> None:
        """Writes the footer."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def merge(self, target: Path) -> None:
        """Writes all closed parts into one file, or the files of a long table."""
        parts = parts_of(self.path)
        if not parts:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        if len(parts) == 1:
            link(parts[0], target)
            return
        with contextlib.closing(_TableWriter(target, pq.read_schema(parts[0]))) as writer:
            for part in parts:
                with pq.ParquetFile(part) as file:
                    for i in range(file.num_row_groups):
                        writer.write(file.read_row_group(i).unify_dictionaries())

    def drop(self) -> None:
        """Closes it in whatever state it is; on a full disk that fails as well, and does not matter."""
        self._waiting = []
        with contextlib.suppress(Exception):
            self.close()


class _TableWriter:
    """Writes a table: one file or, where split, once that is full, a folder of files. file: the one that is being written."""

    def __init__(self, path: Path, schema: pa.Schema, *, split: bool = True) -> None:
        self.file, self._path, self._schema, self._split = path, path, schema, split
        self._writer = writer_of(path, schema)
        self._groups, self._files = 0, 1

    def write(self, table: pa.Table) -> None:
        """Appends rows."""
        if self._split and self._groups >= GROUPS_A_FILE:
            self._begin_file()
        self._writer.write_table(table, row_group_size=4 * GROUP_ROWS)
        self._groups += -(-table.num_rows // (4 * GROUP_ROWS))

    def _begin_file(self) -> None:
        self._writer.close()
        if self._files == 1:
            first = self._path.with_name(f".{self._path.name}")
            self._path.rename(first)
            self._path.mkdir()
            first.rename(self._path / _part(0))
        self.file = self._path / _part(self._files)
        self._writer = writer_of(self.file, self._schema)
        self._groups, self._files = 0, self._files + 1

    def close(self) -> None:
        """Writes the footer."""
        self._writer.close()


def _part(number: int) -> str:
    return f"{number:06d}.parquet"


def parts_of(path: Path) -> list[Path]:
    """The closed parts of a table that is a folder, oldest first."""
    return sorted(path.glob("[0-9]*.parquet"))


def files_of(path: Path) -> list[Path]:
    """The files of a table, oldest first: its own or its parts; none where there is no such table."""
    return [path] if path.is_file() else parts_of(path)


def drop_parts(folder: Path, first: int) -> None:
    """Removes the parts from number `first` on, and those that were being written, of every table below a folder."""
    for part in folder.rglob("*.parquet"):
        number = part.name.removeprefix(".").removesuffix(".parquet")
        if part.parent.name.endswith(".parquet") and number.isdigit() and (part.name[0] == "." or int(number) >= first):
            part.unlink()


def link(path: Path, target: Path) -> None:
    """The same file under a second name; a copy where the file system has no links."""
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _joined(parts: Sequence[dict[Any, Any]]) -> dict[Any, Any]:
    """Successive rows in one piece, by column: Arrow's chunks cost more than their copies."""
    return parts[0] if len(parts) == 1 else {name: _column([part[name] for part in parts]) for name in parts[0]}


def _column(parts: list[Any]) -> Any:
    if isinstance(parts[0], pa.Array):
        return pa.chunked_array(parts).unify_dictionaries().combine_chunks()
    return np.concatenate(parts, axis=-1)


def writer_of(where: Path | IO[bytes], schema: pa.Schema) -> pq.ParquetWriter:
    """A writer of a table of results: fast to write, and to read a stretch of time of."""
    encoded = {f.name: "BYTE_STREAM_SPLIT" for f in schema if pa.types.is_floating(f.type)}
    encoded |= {f.name: "DELTA_BINARY_PACKED" for f in schema if pa.types.is_timestamp(f.type)}
    return pq.ParquetWriter(
        where,
        schema,
        compression=COMPRESSION,
        use_dictionary=[name for name in schema.names if name not in encoded],
        column_encoding=encoded,
        write_statistics=["timestamp"],  # by which readers find their rows
    )
