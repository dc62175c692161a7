"""Memory that is written over and over, and never while somebody still reads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

ALONE: Final = 2
"""References to an array that only a list holds: that list, and the one who counts."""


class Rooms:
    """Lists of arrays of the same shapes. To make one costs what touching its memory for the first time costs, so who has read
    one leaves it to be written again. make: makes one, its memory touched."""

    def __init__(self, make: Callable[[], list[Any]]) -> None:
        self._make, self._made = make, list[list[Any]]()

    def prepare(self, many: int) -> None:
        """Makes so many beforehand."""
        self._made += [self._make() for _ in range(many - len(self._made))]

    def free(self, but: list[Any] | None = None) -> list[Any]:
        """One that nobody reads. A view of an array, wherever it is, counts. but: one that is not to be given."""
        for arrays in self._made:
            if arrays is not but and all(sys.getrefcount(arrays[i]) == ALONE for i in range(len(arrays))):
                return arrays
        self._made.append(self._make())
        return self._made[-1]
