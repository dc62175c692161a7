"""What the epoch layers will read of single bars, written row by row where it lies at the end as after one chunk.

To join what more than a thousand bars left takes a tenth of a second, for which the first bar of the next epoch would wait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from dataflows.panel import Floats, Ints, is_log, leaves, rebuild, walk
from drivers.engine.chunk import empty_log, joined
from drivers.engine.one_bar.flat import Layout, Leaf
from drivers.engine.one_bar.rows import Rows, Value

if TYPE_CHECKING:
    from drivers.engine.engine import Engine

MOST_ROWS: Final = 1440
MOST_BYTES: Final = 1 << 28
"""Bars, and bytes, of one room: a day of minutes. Where an epoch has more, its rooms are joined."""


class KeptRows:
    """What an engine's `records` are to have of single bars. values: by name, as `OneBar` has them.

    A row is never written twice while `records`, or what was made of them, looks into it.
    """

    def __init__(self, engine: Engine, layout: Layout, values: Mapping[str, Any]) -> None:
        self._engine = engine
        self._types = {p: engine.plan.type_of(p) for p in engine.plan.epoch_needs}
        self._logs: dict[str, list[Any]] = {p: [] for p, annotation in self._types.items() if is_log(annotation)}
        self._places: dict[str, list[int | None]] = {}  # by name, the number of each leaf's value
        self._own: list[tuple[int, Any]] = []  # those that lie elsewhere than in the flat outputs
        found, places = list[Value](), list[Leaf | None]()
        for p, paths in engine.plan.epoch_needs.items():
            if p in self._logs:
                continue
            self._places[p] = []
            for (path, kind), value in zip(walk(self._types[p]), leaves(values[p]), strict=True):
                kept = path in paths and value is not None
                self._places[p].append(len(found) if kept else None)
                if kept:
                    places.append(layout.leaves.get((p, path)))
                    if places[-1] is None:
                        self._own.append((len(found), value))
                    found.append(Value(kind.dtype, value.shape))
        numbers = sum(math.prod(value.shape) for value in found)
        self._rows = Rows(found, int(min(MOST_ROWS, max(16, MOST_BYTES // max(1, 8 * numbers)))))
        self._tables = self._rows.tables(places)
        self._first = self._settled = self._at = 0  # of the rows, and of those that are settled as one part
        self._last: dict[str, Any] = {}  # that part

    def add(self, f8: Floats, i8: Ints, logs: Mapping[str, Any]) -> None:
        """Keeps a bar. f8, i8: its flat outputs. logs: by name, among others."""
        if self._at == self._rows.most:
            self.begin()
        self._rows.put(self._tables, self._at, f8, i8)
        for k, value in self._own:
            self._rows.put_value(k, self._at, value)
        for p, entries in self._logs.items():
            if logs[p].n:
                entries.append(logs[p])
        self._at += 1

    def settle(self) -> None:
        """Puts what was kept since the last time among the engine's records: with what was put there then as one part, where
        nothing has come between."""
        if self._settled == self._at:
            return
        records = self._engine.records
        if not self._last or any(not records[p] or records[p][-1] is not part for p, part in self._last.items()):
            self._first, self._last = self._settled, {}
        self._settled = self._at
        view = self._rows.views(self._first, self._at)
        for p, annotation in self._types.items():
            before = [records[p].pop()] if self._last else []
            if p in self._logs:
                entries, self._logs[p] = [*before, *self._logs[p]], []
                part = joined(entries, annotation) if entries else empty_log(annotation)
            else:
                part = rebuild(annotation, (None if k is None else view(k) for k in self._places[p]))
            records[p].append(part)
        self._last = {p: records[p][-1] for p in self._types}

    def begin(self) -> None:
        """Begins another room, as a new epoch does: the last one is written anew where nobody has kept a view of it."""
        self.settle()
        self._last = {}
        self._rows.begin()
        self._first = self._settled = self._at = 0
