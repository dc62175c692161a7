"""Values of single bars, written row after row: each value's rows are neighbours, as after one chunk of all the bars."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numba
import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import fixed_kernel
from drivers.engine.one_bar.flat import Leaf
from drivers.engine.one_bar.rooms import Rooms, Shape

nb: Any = numba  # its own annotations leave out what a compiler's user needs

DTYPES: Final[Mapping[str, Any]] = {"f8": np.float64, "i8": np.int64}
SOURCE, SIZE, FIRST = range(3)
"""Columns of a table of values: where one begins in a bar's flat outputs, its numbers, where its rows begin in a room."""


def put(flat: Any, memory: Any, table: Ints, row: int) -> None:
    """Copies the values of a bar into their row of a room. table: (values, 3)."""
    for k in range(table.shape[0]):
        source, size = table[k, SOURCE], table[k, SIZE]
        into = table[k, FIRST] + row * size
        memory[into : into + size] = flat[source : source + size]


@functools.cache
def putter(dtype: str) -> Any:
    """`put`, compiled for float64 or int64. It keeps Python's lock: another thread takes longer to give it back than this to
    copy a bar."""
    number = nb.float64 if dtype == "f8" else nb.int64
    return fixed_kernel(put, (number[::1], number[::1], nb.int64[:, ::1], nb.int64), nogil=False)


class Value(NamedTuple):
    """A value that rows have. shape: of one bar, with the time axis."""

    dtype: str
    shape: tuple[int, ...]


class Rows:
    """So many rows at most, in a room that nobody else reads; another one after `begin`."""

    def __init__(self, values: Sequence[Value], most: int) -> None:
        self.values, self.most = tuple(values), most
        self._sizes = [math.prod(value.shape) for value in self.values]
        words = dict.fromkeys(DTYPES, 0)
        self._first = []
        for value, size in zip(self.values, self._sizes, strict=True):
            self._first.append(most * words[value.dtype])
            words[value.dtype] += size
        self._rooms = Rooms(lambda: [Shape(kind, (most * words[dtype],)) for dtype, kind in DTYPES.items()])
        self._put = [putter(dtype) for dtype in DTYPES]
        self.begin()

    def begin(self) -> None:
        """Goes on in a room that nobody reads: what was written stays as long as somebody reads it."""
        self._room: list[Any] = self._rooms.free()

    def tables(self, leaves: Sequence[Leaf | None]) -> list[Ints]:
        """What `put` needs of flat outputs. leaves: where each value lies there; None: it lies elsewhere."""
        found: dict[str, list[tuple[int, int, int]]] = {dtype: [] for dtype in DTYPES}
        for value, size, first, leaf in zip(self.values, self._sizes, self._first, leaves, strict=True):
            if leaf is not None:
                found[value.dtype].append((leaf.start, size, first))
        return [np.array(rows, np.int64).reshape(-1, 3) for rows in found.values()]

    def put(self, tables: Sequence[Ints], row: int, f8: Floats, i8: Ints) -> None:
        """Writes a bar's flat outputs into a row. tables: those of these outputs."""
        for put, flat, memory, table in zip(self._put, (f8, i8), self._room, tables, strict=True):
            put(flat, memory, table, row)

    def put_value(self, k: int, row: int, value: Any) -> None:
        """Writes one value into a row."""
        self.views(row, row + 1)(k)[...] = value

    def views(self, first: int, end: int) -> Callable[[int], Any]:
        """What gives the rows from `first` to `end` of a value, by its number, as one chunk has them; also after `begin`."""
        room = tuple(self._room)

        def view(k: int) -> Any:
            (dtype, shape), size, start = self.values[k], self._sizes[k], self._first[k]
            memory = room[dtype == "i8"]
            return memory[start + first * size : start + end * size].reshape(-1, *shape[1:])

        return view
