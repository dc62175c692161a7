"""Parquet files that grow row group by row group, written by one background thread."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS: Final = 1 << 15
"""Rows of a row group: as many bars x symbols wait in memory."""

COMPRESSION: Final[dict[str, Any]] = {"compression": "zstd", "compression_level": 3}


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
    """One Parquet file that grows row group by row group."""

    def __init__(self, path: Path, background: Background) -> None:
        self.path = path
        self._background = background
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[dict[str, Any]] = []
        self.rows = 0
        self.begun = False  # its columns are known, rows or not

    def add(self, columns: dict[str, Any], rows: int) -> None:
        """Takes successive rows as Arrow or NumPy columns; they are written when a row group is full."""
        self._waiting.append(columns)
        self.begun = True
        self.rows += rows
        if self.rows >= GROUP_ROWS:
            self.flush()

    def flush(self, schema: pa.Schema | None = None) -> None:
        """Writes what waits. schema: of a file that has not got a row yet."""
        if not self._waiting:
            if not self.begun and schema is not None:
                self.begun = True
                self._background.do(partial(self._write, schema.empty_table()))
            return
        names = list(self._waiting[0])
        parts = {name: [part[name] for part in self._waiting] for name in names}
        self._waiting, self.rows = [], 0
        self._background.do(
            partial(
                self._write,
                pa.table(
                    {
                        name: pa.chunked_array(p)
                        if isinstance(p[0], pa.Array)
                        else pa.array(p[0] if len(p) == 1 else np.concatenate(p))
                        for name, p in parts.items()
                    }
                ),
            )
        )

    def _write(self, table: pa.Table) -> None:
        if self._writer is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            coded = [f.name for f in table.schema if not pa.types.is_floating(f.type)]
            self._writer = pq.ParquetWriter(self.path, table.schema, use_dictionary=coded, **COMPRESSION)
        self._writer.write_table(table.unify_dictionaries(), row_group_size=4 * GROUP_ROWS)

    def close(self) -> None:
        """Writes the footer."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def drop(self) -> None:
        """Closes it in whatever state it is; on a full disk that fails as well, and does not matter."""
        self._waiting = []
        with contextlib.suppress(Exception):
            self.close()
