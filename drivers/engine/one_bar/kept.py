"""What the epoch layers will read of single bars, written row by row where it lies at the end as after one chunk.

To join what more than a thousand bars left takes a tenth of a second, for which the first bar of the next epoch would wait.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints, is_log, leaves, rebuild, walk
from drivers.engine.chunk import empty_log, joined
from drivers.engine.one_bar.flat import Layout
from drivers.engine.one_bar.rooms import Rooms, Shape

if TYPE_CHECKING:
    from drivers.engine.engine import Engine

MOST_ROWS: Final = 1440
MOST_BYTES: Final = 1 << 28
"""Bars, and bytes, of one room: a day of minutes. Where an epoch has more, its rooms are joined."""


class Group(NamedTuple):
    """Leaves of one type and shape. places: where they lie in the flat outputs of a bar, as one row of the room. own: the leaf,
    where it lies elsewhere."""

    dtype: str
    shape: tuple[int, ...]
    places: Ints
    own: Any = None


class KeptRows:
    """What an engine's `records` are to have of single bars. values: by name, as `OneBar` has them.

    A row is never written twice while `records`, or what was made of them, looks into it.
    """

    def __init__(self, engine: Engine, layout: Layout, values: Mapping[str, Any]) -> None:
        self._engine = engine
        self._types = {p: engine.plan.type_of(p) for p in engine.plan.epoch_needs}
        self._logs: dict[str, list[Any]] = {p: [] for p, annotation in self._types.items() if is_log(annotation)}
        self._groups: list[Group] = []
        self._places: dict[str, list[tuple[int, int] | None]] = {}
        self._lay_out(layout, values, engine.plan.epoch_needs)
        numbers = sum(group.places.size if group.own is None else group.own.size for group in self._groups)
        self._rows = int(min(MOST_ROWS, max(16, MOST_BYTES // max(1, 8 * numbers))))
        self._rooms = Rooms(self._shapes)
        self._room: list[Any] = self._rooms.free()
        self._first = self._settled = self._at = 0  # of the rows, and of those that are settled as one part
        self._last: dict[str, Any] = {}  # that part

    def _lay_out(self, layout: Layout, values: Mapping[str, Any], needs: Mapping[str, Collection[tuple[str, ...]]]) -> None:
        found: dict[tuple[str, tuple[int, ...]], list[Ints]] = {}
        own: list[Group] = []
        where: dict[str, list[tuple[Any, int] | None]] = {}
        for p, paths in needs.items():
            if p in self._logs:
                continue
            where[p] = []
            for (path, kind), value in zip(walk(self._types[p]), leaves(values[p]), strict=True):
                if path not in paths or value is None:
                    where[p].append(None)
                elif p in layout.paths:
                    leaf = layout.leaves[p, path]
                    rows = found.setdefault((leaf.dtype, leaf.shape), [])
                    where[p].append(((leaf.dtype, leaf.shape), len(rows)))
                    rows.append(np.arange(leaf.start, leaf.stop).reshape(leaf.shape))
                else:
                    where[p].append((len(own), 0))
                    own.append(Group(kind.dtype, value.shape, np.empty(0, np.int64), value))
        self._groups = [Group(*key, np.array(rows)) for key, rows in found.items()] + own
        order = {key: i for i, key in enumerate(found)}
        for p, parts in where.items():
            self._places[p] = [
                x if x is None else ((len(order) + x[0]) if isinstance(x[0], int) else order[x[0]], x[1]) for x in parts
            ]

    def _shapes(self) -> list[Shape]:
        many = [1 if group.own is not None else len(group.places) for group in self._groups]
        return [
            Shape(np.float64 if group.dtype == "f8" else np.int64, (m, self._rows, *group.shape))
            for m, group in zip(many, self._groups, strict=True)
        ]

    def add(self, f8: Floats, i8: Ints, logs: Mapping[str, Any]) -> None:
        """Keeps a bar. f8, i8: its flat outputs. logs: by name, among others."""
        if self._at == self._rows:
            self.begin()
        at = self._at
        for room, (dtype, _, places, own) in zip(self._room, self._groups, strict=True):
            room[:, at] = (f8 if dtype == "f8" else i8)[places] if own is None else own
        for p, entries in self._logs.items():
            if logs[p].n:
                entries.append(logs[p])
        self._at = at + 1

    def settle(self) -> None:
        """Puts what was kept since the last time among the engine's records: with what was put there then as one part, where
        nothing has come between."""
        if self._settled == self._at:
            return
        records = self._engine.records
        if not self._last or any(not records[p] or records[p][-1] is not part for p, part in self._last.items()):
            self._first, self._last = self._settled, {}
        self._settled = self._at
        for p, annotation in self._types.items():
            before = [records[p].pop()] if self._last else []
            if p in self._logs:
                entries, self._logs[p] = [*before, *self._logs[p]], []
                part = joined(entries, annotation) if entries else empty_log(annotation)
            else:
                part = rebuild(annotation, (None if x is None else self._leaf(*x) for x in self._places[p]))
            records[p].append(part)
        self._last = {p: records[p][-1] for p in self._types}

    def _leaf(self, group: int, k: int) -> Any:
        part = self._room[group][k, self._first : self._at]
        return part.reshape(-1, *part.shape[2:])

    def begin(self) -> None:
        """Begins another room, as a new epoch does: the last one is written anew where nobody has kept a view of it."""
        self.settle()
        self._last = {}
        self._room, self._first, self._settled, self._at = self._rooms.free(), 0, 0, 0
