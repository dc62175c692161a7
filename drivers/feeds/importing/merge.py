"""Sorts more rows than fit in memory by time, then symbol, and drops what is there twice.

1. Rows are gathered until they fill `budget` bytes; then they are sorted and written aside as a run.
2. The runs are merged: of each only a piece is in memory, and a run is opened when the merge reaches its first time. Files
   that follow each other in time so cost no more than one.
3. What the pieces together say for certain, up to the earliest of their last times, is sorted once more and handed on. Rows
   of one time are never parted, so that those that repeat each other are seen side by side.

Rows of the same time and symbol stay in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from dataflows.panel import Ints
from drivers.feeds.errors import DataError
from drivers.text.times import utc

Policy = Literal["refuse", "first", "last"]
BUDGET: Final = 1 << 27
_PIECE_ROWS: Final = 1 << 15


def times(table: Any) -> Ints:
    """The timestamps of a table, ns."""
    return np.asarray(table.column("timestamp").cast(pa.int64()).to_numpy(), np.int64)


def in_order(table: pa.Table) -> pa.Table:
    """Sorted by time, then symbol; equal ones as they were."""
    time = times(table)
    step = np.diff(time)
    code = _codes(table)
    if not ((step > 0) | ((step == 0) & (np.diff(code) >= 0))).all():
        table = table.take(pa.array(np.lexsort((code, time))))
    return table


def _codes(table: pa.Table) -> Ints:
    """The rank of each row's symbol among those of the table."""
    coded = table.column("symbol").combine_chunks().dictionary_encode()
    rank = np.argsort(np.argsort(np.array(coded.dictionary.to_pylist() or [""])))
    return np.asarray(rank[coded.indices.to_numpy(zero_copy_only=False)], np.int64)


class _Run(NamedTuple):
    """Sorted rows in a file. first: the time of its first row; order: how early its rows came."""

    path: Path
    first: int
    order: int


class _Reader:
    """A run being merged: the rows at hand, of more than one time as long as there are more to come."""

    def __init__(self, run: _Run) -> None:
        self.order = run.order
        self.rows = pa.table({})
        self.spent = False  # what is at hand is all
        self._pieces = _pieces(run.path)
        self.refill()

    @property
    def last(self) -> int:
        """Up to this time, but not with it, the rows at hand are all that the run has."""
        return int(times(self.rows.slice(self.rows.num_rows - 1))[0])

    def take(self, before: int | None) -> pa.Table:
        """The rows at hand that are earlier; None: all."""
        count = self.rows.num_rows if before is None else int(np.searchsorted(times(self.rows), before))
        taken, self.rows = self.rows.slice(0, count), self.rows.slice(count)
        return taken

    def refill(self) -> bool:
        """Reads on until the rows at hand are of more than one time. False when none are left."""
        while not self.spent and (not self.rows.num_rows or times(self.rows.slice(0, 1))[0] == self.last):
            piece = next(self._pieces, None)
            self.spent = piece is None
            if piece is not None:
                self.rows = pa.concat_tables([self.rows, piece]) if self.rows.num_rows else piece
        return bool(self.rows.num_rows)


def _pieces(path: Path) -> Iterator[pa.Table]:
    with pa.memory_map(str(path)) as mapped, pa.ipc.open_file(mapped) as file:
        for i in range(file.num_record_batches):
            yield pa.Table.from_batches([file.get_batch(i)])


class Sorter:
    """Takes tables in any order with `add`; `sorted()` gives them back in order. aside: a folder for runs."""

    def __init__(self, aside: Path, budget: int = BUDGET) -> None:
        self._aside, self._budget = aside, budget
        self._rows: list[pa.Table] = []
        self._bytes = 0
        self._runs: list[_Run] = []

    def add(self, table: pa.Table) -> None:
        """Rows to be sorted with the others. Raises OSError when the disk is full."""
        self._rows.append(table)
        self._bytes += table.nbytes
        if self._bytes >= self._budget:
            self._write()

    def _sorted_rows(self) -> pa.Table:
        table = in_order(pa.concat_tables(self._rows))
        self._rows, self._bytes = [], 0
        return table

    def _write(self) -> None:
        table = self._sorted_rows()
        path = self._aside / f"{len(self._runs)}.arrow"
        options = pa.ipc.IpcWriteOptions(compression="lz4")
        with pa.OSFile(str(path), "wb") as out, pa.ipc.new_file(out, table.schema, options=options) as writer:
            writer.write_table(table, max_chunksize=_PIECE_ROWS)
        self._runs.append(_Run(path, int(times(table.slice(0, 1))[0]), len(self._runs)))

    def sorted(self) -> Iterator[pa.Table]:
        """All rows in order, in tables that never part rows of one time."""
        if not self._runs:
            if self._rows:
                yield self._sorted_rows()
            return
        if self._rows:
            self._write()
        yield from _merged(self._runs)


def _merged(runs: Sequence[_Run]) -> Iterator[pa.Table]:
    waiting = sorted(runs, key=lambda run: (run.first, run.order), reverse=True)
    readers: list[_Reader] = []
    while waiting or readers:
        sure = min((r.last for r in readers if not r.spent), default=None)  # from here on more may come
        if waiting and (sure is None or waiting[-1].first <= sure):
            readers.append(_Reader(waiting.pop()))
            continue
        parts = [r.take(sure) for r in sorted(readers, key=lambda r: r.order)]
        yield in_order(pa.concat_tables([part for part in parts if part.num_rows]))
        readers = [r for r in readers if r.refill()]


def without_repeats(table: pa.Table, policy: Policy) -> tuple[pa.Table, int]:
    """A table in order without the rows that repeat the time and symbol of another, and how many they were.

    Rows that are the same are one. Of others the first or the last that came is kept, or, at "refuse", DataError names them.
    """
    time, code = times(table), _codes(table)
    again = np.flatnonzero((np.diff(time) == 0) & (np.diff(code) == 0)) + 1  # equal to the row before
    if not len(again):
        return table, 0
    if policy == "refuse":
        _refuse_differing(table, again, time)
    drop = again if policy != "last" else again - 1
    keep = np.ones(len(time), bool)
    keep[drop] = False
    return table.filter(pa.array(keep)), len(again)


def _refuse_differing(table: pa.Table, again: Ints, time: Ints) -> None:
    for name in table.column_names[2:]:
        column = table.column(name).combine_chunks()
        one, other = column.take(pa.array(again - 1)), column.take(pa.array(again))
        same = pc.equal(one, other).fill_null(False)
        if pa.types.is_floating(column.type):
            same = pc.or_(same, pc.and_(pc.is_nan(one).fill_null(True), pc.is_nan(other).fill_null(True)))
        differs = ~np.asarray(same.to_numpy(zero_copy_only=False), bool)
        if differs.any():
            i = int(np.argmax(differs))
            symbol, at = table.column("symbol")[int(again[i])].as_py(), utc(int(time[again[i]]))
            values = f"{one[i].as_py():.10g}, {other[i].as_py():.10g}"
            raise DataError(
                f"{symbol} {at} appears twice with different values of {name} ({values}); remove one of them, or import with "
                "--duplicates first or last"
            )
