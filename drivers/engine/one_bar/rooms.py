"""Memory that is written over and over, and never while somebody still reads it."""

from __future__ import annotations

import math
import mmap
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

ALONE: Final = 2
"""References to an array that only a list holds: that list, and the one who counts."""
AT_ONCE: Final = 1 << 20
"""Bytes of an array up to which its memory is touched when it is made."""


class Shape(NamedTuple):
    """What an array of a room is like."""

    dtype: Any
    shape: tuple[int, ...]


class Rooms:
    """Lists of arrays of the same shapes, zero at first.

    The system gives memory when it is touched, which costs as much as writing it ten times. So a room that has been read is
    left to be written again; and the memory of a large one comes in small pages, as the rows are written, since a page of 2 MiB
    for each of hundreds of arrays would all come with the first row. shapes: of the arrays, asked for when the first room is
    made.
    """

    def __init__(self, shapes: Callable[[], Sequence[Shape]]) -> None:
        self._shapes, self._made = shapes, list[list[Any]]()

    def free(self) -> list[Any]:
        """A room that nobody reads. A view of an array, wherever it is, counts."""
        for arrays in self._made:
            if all(sys.getrefcount(arrays[i]) == ALONE for i in range(len(arrays))):
                return arrays
        self._made.append([_zeros(*shape) for shape in self._shapes()])
        return self._made[-1]


def _zeros(dtype: Any, shape: tuple[int, ...]) -> Any:
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= AT_ONCE:
        return np.full(shape, 0, dtype)
    memory = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.ndarray(shape, dtype, memory)  # no view of another array: the base of its views is itself
