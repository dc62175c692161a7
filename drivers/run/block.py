"""The outputs of successive single bars, each written into memory that was made beforehand.

To join what hundreds of bars put out takes a moment that a bar would wait for; to write one bar's row takes microseconds. What
is taken out of a block lies as it would after one chunk of all the bars, so tables are made of it without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from dataflows.panel import Ints, is_log, leaves, rebuild, walk
from drivers.engine.chunk import Outputs, empty_log, joined
from drivers.engine.one_bar.flat import FlatValues, Layout
from drivers.engine.one_bar.rooms import Rooms, Shape

MOST_BARS: Final = 1440
MOST_ROWS: Final = 1 << 15
"""Bars, and bars times symbols, of one block: a row group of the results."""
FEW: Final = 8
"""Rows that fill less than this part of a block are copied out of it. A file of results keeps them until a row group is full; a
stream that hands over a bar or two at every fill would keep a block's memory for each."""


def room_for(symbols: int) -> int:
    """Bars of a block."""
    return max(1, min(MOST_BARS, -(-MOST_ROWS // symbols)))


class Block:
    """Outputs of so many bars at most. annotations: by node, what it returns."""

    def __init__(self, annotations: Mapping[str, Any], room: int) -> None:
        self.annotations, self.room = annotations, room
        self._gather: Callable[[Mapping[str, Any]], tuple[tuple[Any, ...], ...]] | None = None
        self._kinds: list[tuple[int, Any, tuple[int, ...]]] = []  # leaves, type and shape of each group
        self._members: list[list[tuple[str, tuple[str, ...]]]] = []  # node and path of each leaf of each group
        self._layout: Layout | None = None  # that `_flat` is made for
        self._flat: list[tuple[str, Any]] = []
        self._places: dict[str, list[tuple[int, int] | Any]] = {}  # by node, where each leaf lies, or the leaf itself
        self._rooms = Rooms(self._shapes)
        self._empty()

    def _empty(self) -> None:
        self.bars = 0
        self._time: Ints = np.empty(self.room, np.int64)
        self._groups: list[Any] = []
        self._logs: dict[str, list[tuple[int, Any]]] = {}
        self._epoch: dict[str, Any] = {}

    @property
    def full(self) -> bool:
        """Whether there is no room for another bar."""
        return self.bars == self.room

    def add(self, outputs: Outputs) -> None:
        """Takes the outputs of one bar; nothing of them is kept but logs with entries."""
        values, i = outputs.values, self.bars
        if self._gather is None:
            self._gather = self._lay_out(values)
        if not self._groups:
            self._groups = self._rooms.free()
            self._logs = {name: [] for name in outputs.offsets}
        if isinstance(values, FlatValues):
            for group, (dtype, places) in zip(self._groups, self._flat_places(values.layout), strict=True):
                group[:, i] = getattr(values, dtype)[places]
        else:
            for group, rows in zip(self._groups, self._gather(values), strict=True):
                group[:, i] = np.concatenate(rows)
        for name, entries in self._logs.items():
            if values[name].n:
                entries.append((i, values[name]))
        self._time[i] = outputs.time[0]
        self._epoch |= outputs.epoch
        self.bars += 1

    def _flat_places(self, layout: Layout) -> list[tuple[str, Any]]:
        """By group, where the values of its leaves are in the flat outputs of a bar, in the shape of the group's row."""
        if self._layout is not layout:
            self._layout, self._flat = layout, []
            for (_, _, shape), own in zip(self._kinds, self._members, strict=True):
                leaves = [layout.leaves[member] for member in own]
                places = np.array([np.arange(leaf.start, leaf.stop) for leaf in leaves])
                self._flat.append((leaves[0].dtype, places.reshape(len(own), *shape)))
        return self._flat

    def _shapes(self) -> list[Shape]:
        return [Shape(dtype, (many, self.room, *shape)) for many, dtype, shape in self._kinds]

    def handed(self) -> Callable[[], Outputs]:
        """What makes the outputs of one chunk of everything, later and in any thread; the block is empty then. The memory is
        not written again while somebody looks into it."""
        bars, time, groups, logs, epoch = self.bars, self._time, tuple(self._groups), self._logs, self._epoch
        if bars * FEW < self.room:
            time, groups = time[:bars].copy(), tuple(group[:, :bars].copy() for group in groups)
        self._empty()

        def made() -> Outputs:
            values: dict[str, Any] = {}
            for name, places in self._places.items():
                found = (groups[p[0]][p[1], :bars] if isinstance(p, tuple) else p for p in places)
                values[name] = rebuild(self.annotations[name], found)
            offsets: dict[str, Ints] = {}
            for name, entries in logs.items():
                values[name] = joined([log for _, log in entries], self.annotations[name]) if entries else self._no_log(name)
                counts = np.zeros(bars, np.int64)
                for i, log in entries:
                    counts[i] = log.n
                offsets[name] = np.concatenate([[0], np.cumsum(counts)])
            return Outputs(time[:bars], {name: values[name] for name in self._order}, offsets, epoch)

        return made

    def _no_log(self, name: str) -> Any:
        return empty_log(self.annotations[name])

    def _lay_out(self, values: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], tuple[tuple[Any, ...], ...]]:
        """Groups leaves by type and shape. Returns the function that gathers each group's leaves of one bar."""
        self._order = list(values)
        groups: dict[tuple[Any, tuple[int, ...]], list[str]] = {}
        members: dict[tuple[Any, tuple[int, ...]], list[tuple[str, tuple[str, ...]]]] = {}
        for name, value in values.items():
            annotation = self.annotations[name]
            if is_log(annotation):
                continue
            places: list[Any] = []
            for (path, kind), leaf in zip(walk(annotation), leaves(value), strict=True):
                if leaf is None or "static" in kind.axes:
                    places.append(leaf)
                    continue
                key = (leaf.dtype, leaf.shape[1:])
                own = groups.setdefault(key, [])
                places.append((list(groups).index(key), len(own)))
                members.setdefault(key, []).append((name, path))
                own.append(f"v[{name!r}]{''.join(f'.{field}' for field in path)}")
            self._places[name] = places
        self._members = list(members.values())
        self._kinds = [(len(own), dtype, shape) for (dtype, shape), own in groups.items()]
        namespace: dict[str, Any] = {}
        parts = ", ".join(f"({', '.join(own)},)" for own in groups.values())
        exec(f"def gather(v): return ({parts},)", namespace)
        gather: Callable[[Mapping[str, Any]], tuple[tuple[Any, ...], ...]] = namespace["gather"]
        return gather
