"""The outputs of successive single bars, each written into memory that was made beforehand.

To join what hundreds of bars put out takes a moment that a bar would wait for; to write one bar's row takes microseconds. What
is taken out of a block lies as it would after one chunk of all the bars, so tables are made of it without a copy.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from dataflows.panel import Ints, is_log, leaves, rebuild, walk
from drivers.engine.chunk import Outputs, empty_log, joined
from drivers.engine.one_bar.flat import FlatValues, Layout
from drivers.engine.one_bar.rows import Rows, Value

MOST_BARS: Final = 1440
MOST_ROWS: Final = 1 << 15
"""Bars, and bars times symbols, of one block: a row group of the results."""


def room_for(symbols: int) -> int:
    """Bars of a block."""
    return max(1, min(MOST_BARS, -(-MOST_ROWS // symbols)))


class Block:
    """Outputs of so many bars at most. annotations: by node, what it returns.

    What is handed over before the block is full leaves the rest of its memory to the next bars: where files of results keep it
    until a row group is full, they keep the memory of one block.
    """

    def __init__(self, annotations: Mapping[str, Any], most: int) -> None:
        self.annotations, self.most = annotations, most
        self._rows: Rows | None = None
        self._names: list[tuple[str, tuple[str, ...]]] = []  # node and path of each value of a row
        self._places: dict[str, list[Any]] = {}  # by node, the number of each leaf's value, or the leaf itself
        self._layout: Layout | None = None  # that `_tables` are made for
        self._tables: list[Ints] = []
        self._at = 0  # the next bar's row
        self._empty()

    def _empty(self) -> None:
        self._first = self._at
        self._time: list[int] = []
        self._logs: dict[str, list[tuple[int, Any]]] = {}
        self._epoch: dict[str, Any] = {}

    @property
    def bars(self) -> int:
        """How many bars wait."""
        return self._at - self._first

    @property
    def full(self) -> bool:
        """Whether there is no room for another bar until what waits is handed over."""
        return self.bars > 0 and self._at == self.most

    def add(self, outputs: Outputs) -> None:
        """Takes the outputs of one bar; nothing of them is kept but logs with entries."""
        values = outputs.values
        if self._rows is None:
            self._rows = self._laid_out(values)
        if self._at == self.most:
            self._rows.begin()
            self._first = self._at = 0
        if isinstance(values, FlatValues):
            self._rows.put(self._tables_of(self._rows, values.layout), self._at, values.f8, values.i8)
        else:
            for k, (name, path) in enumerate(self._names):
                self._rows.put_value(k, self._at, functools.reduce(getattr, path, values[name]))
        for name in outputs.offsets:
            entries = self._logs.setdefault(name, [])
            if values[name].n:
                entries.append((self.bars, values[name]))
        self._time.append(int(outputs.time[0]))
        self._epoch |= outputs.epoch
        self._at += 1

    def _tables_of(self, rows: Rows, layout: Layout) -> list[Ints]:
        if self._layout is not layout:
            self._layout, self._tables = layout, rows.tables([layout.leaves[name] for name in self._names])
        return self._tables

    def leave(self) -> None:
        """Leaves the rest of the memory unused: all that was handed over is about to be written, and nobody keeps it then."""
        self._first = self._at = self.most

    def handed(self) -> Callable[[], Outputs]:
        """What makes the outputs of one chunk of everything, later and in any thread; nothing waits then. The memory is not
        written again while somebody looks into it."""
        assert self._rows is not None
        bars, time, logs, epoch = self.bars, np.array(self._time, np.int64), self._logs, self._epoch
        view = self._rows.views(self._first, self._at)
        self._empty()

        def made() -> Outputs:
            values: dict[str, Any] = {}
            for name, places in self._places.items():
                found = (view(p) if isinstance(p, int) else p for p in places)
                values[name] = rebuild(self.annotations[name], found)
            offsets: dict[str, Ints] = {}
            for name, entries in logs.items():
                annotation = self.annotations[name]
                values[name] = joined([log for _, log in entries], annotation) if entries else empty_log(annotation)
                counts = np.zeros(bars, np.int64)
                for i, log in entries:
                    counts[i] = log.n
                offsets[name] = np.concatenate([[0], np.cumsum(counts)])
            return Outputs(time, {name: values[name] for name in self._order}, offsets, epoch)

        return made

    def _laid_out(self, values: Mapping[str, Any]) -> Rows:
        """Rows for outputs like those of this bar."""
        self._order, found = list(values), list[Value]()
        for name, value in values.items():
            annotation = self.annotations[name]
            if is_log(annotation):
                continue
            self._places[name] = []
            for (path, kind), leaf in zip(walk(annotation), leaves(value), strict=True):
                own = leaf is None or "static" in kind.axes
                self._places[name].append(leaf if own else len(found))
                if not own:
                    self._names.append((name, path))
                    found.append(Value(kind.dtype, leaf.shape))
        return Rows(found, self.most)
