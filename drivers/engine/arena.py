"""All carries and delayed values in two buffers, so that a checkpoint is two copies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints, leaves


class Slot(NamedTuple):
    """Where one array of the arena lies."""

    dtype: str  # "f8" or "i8"
    start: int
    stop: int
    shape: tuple[int, ...]


class Arena:
    """Lays out values (records of float64 and int64 arrays) in one float64 and one int64 buffer.

    values: the same records, as views of the buffers: what a layer updates in place. slots: per name, one Slot a leaf.
    """

    def __init__(self, start: Mapping[str, Any]) -> None:
        self.slots: dict[str, list[Slot]] = {}
        length = {"f8": 0, "i8": 0}
        for name, value in start.items():
            self.slots[name] = []
            for leaf in leaves(value):
                dtype = {"float64": "f8", "int64": "i8"}.get(str(leaf.dtype))
                if dtype is None:
                    raise TypeError(f"{name}: a carry holds float64 and int64 arrays only, not {leaf.dtype}")
                at = length[dtype]
                self.slots[name].append(Slot(dtype, at, at + leaf.size, leaf.shape))
                length[dtype] = at + leaf.size
        self.f8: Floats = np.zeros(length["f8"], np.float64)
        self.i8: Ints = np.zeros(length["i8"], np.int64)
        self.values: dict[str, Any] = {}
        for name, value in start.items():
            views = iter([self._view(slot) for slot in self.slots[name]])
            self.values[name] = _like(value, views)
            for view, leaf in zip(leaves(self.values[name]), leaves(value), strict=True):
                view[...] = leaf

    def _view(self, slot: Slot) -> Any:
        buffer = self.f8 if slot.dtype == "f8" else self.i8
        return buffer[slot.start : slot.stop].reshape(slot.shape)


def _like(value: Any, views: Iterator[Any]) -> Any:
    if isinstance(value, tuple):
        return type(value)(*[_like(v, views) for v in value])
    return next(views)
