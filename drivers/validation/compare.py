"""Outputs of two runs against each other, to the bit: where they first differ, and which layer that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from dataflows.panel import Ints, is_log, leaves, walk
from drivers.engine.chunk import Outputs, joined
from drivers.engine.plan import Plan

PER_INSTANT = "per instant"
"""The field of a log that says how many entries each bar has."""


def flat(plan: Plan, outputs: Sequence[Outputs]) -> dict[str, dict[str, Any]]:
    """By node, its recorded fields as arrays over all bars; a log's columns (entries,) and entries per instant (T,) too."""
    found: dict[str, dict[str, Any]] = {}
    for name, annotation in plan.annotations.items():
        if name not in outputs[0].values:
            continue
        value = joined([o.values[name] for o in outputs], annotation)
        if is_log(annotation):
            found[name] = {f: np.asarray(getattr(value, f)) for f in value._fields if f != "n"}
            found[name][PER_INSTANT] = np.concatenate([np.diff(o.offsets[name]) for o in outputs])
            continue
        fields: dict[str, Any] = {}
        for path, kind in walk(annotation):
            if kind.recorded:
                leaf = value
                for part in path:
                    leaf = getattr(leaf, part)
                fields[".".join(path)] = np.asarray(leaf)
        found[name] = fields
    return found


def first_unequal(a: Any, b: Any) -> tuple[int, ...] | None:
    """Where two arrays of one shape first differ, NaN being equal to NaN; None where they do not."""
    wrong = ~((a == b) | ((a != a) & (b != b)))
    return tuple(int(i) for i in np.argwhere(wrong)[0]) if wrong.any() else None


class Difference(NamedTuple):
    """The first value in which two runs differ: at the earliest bar, of the layer that comes first in the graph."""

    bar: int
    node: str
    field: str
    column: int | None  # of the symbol; None for a series
    values: tuple[Any, Any]


@dataclass(frozen=True)
class Record:
    """The outputs of successive bars, ready to compare.

    time: (T,) closes, UTC ns. fields: by node and field, panels (T, N, ...), series (T,); the columns (E,) of logs and the
    results (E, ...) of epoch layers. rows: the bar (E,) of each entry, by log and by epoch layer.
    """

    plan: Plan
    time: Ints
    fields: dict[str, dict[str, Any]]
    rows: dict[str, Ints]

    @classmethod
    def of(cls, plan: Plan, outputs: Sequence[Outputs]) -> Record:
        """Of the outputs of successive chunks."""
        fields = flat(plan, outputs)
        rows = {
            name: np.repeat(np.arange(len(columns[PER_INSTANT])), columns.pop(PER_INSTANT))
            for name, columns in fields.items()
            if is_log(plan.annotations[name])
        }
        starts = np.cumsum([0, *(len(o.time) for o in outputs)])
        for name in (n.name for n in plan.stage["epoch"]):
            closed = [(int(t), o.epoch[name]) for t, o in zip(starts, outputs) if name in o.epoch]
            if closed:
                paths = [".".join(path) for path, _ in _paths(closed[0][1])]
                fields[name] = {p: np.stack([np.asarray(leaves(v)[i]) for _, v in closed]) for i, p in enumerate(paths)}
                rows[name] = np.array([t for t, _ in closed], np.int64)
        return cls(plan, np.concatenate([o.time for o in outputs]), fields, rows)

    def until(self, bars: int) -> Record:
        """Its first bars."""
        rows = {name: at[at < bars] for name, at in self.rows.items()}
        unclosed = {n.name for n in self.plan.stage["epoch"]} & {name for name, at in rows.items() if not len(at)}
        fields = {
            name: {f: x[: len(rows[name]) if name in rows else bars] for f, x in own.items()}
            for name, own in self.fields.items()
            if name not in unclosed
        }
        return Record(self.plan, self.time[:bars], fields, {name: at for name, at in rows.items() if name not in unclosed})

    def of_column(self, n: int) -> Record:
        """Of symbol n alone; only of records without entries."""
        fields = {name: {f: x[:, n : n + 1] if x.ndim > 1 else x for f, x in own.items()} for name, own in self.fields.items()}
        return Record(self.plan, self.time, fields, {})

    @cached_property
    def columns(self) -> int:
        """Fields of all layers."""
        return sum(len(own) for own in self.fields.values())

    @cached_property
    def values(self) -> int:
        """Numbers in them."""
        return sum(x.size for own in self.fields.values() for x in own.values())

    def difference(self, other: Record, only: Sequence[str] | None = None) -> Difference | None:
        """The first difference between two records of the same bars; None where they are equal to the bit.

        only: compare these nodes. The layer named is the first, bar by bar and then in graph order, that differs: what it took
        was still the same.
        """
        found = [d for name in self.plan.nodes if only is None or name in only for d in self._of_node(other, name)]
        return min(found, key=lambda d: d.bar, default=None)  # of equals the first: graph order

    def _of_node(self, other: Record, name: str) -> Iterator[Difference]:
        mine, theirs = self.fields.get(name), other.fields.get(name)
        if mine is None or theirs is None:
            if mine is not theirs:
                yield Difference(0, name, "number of results", None, (int(mine is not None), int(theirs is not None)))
            return
        length = None
        if name in self.rows:
            bars = len(self.time)
            a, b = (np.bincount(r.rows[name], minlength=bars) for r in (self, other))
            at = first_unequal(a, b)
            if at is not None:
                yield Difference(at[0], name, "number of entries", None, (int(a[at]), int(b[at])))
            length = min(len(self.rows[name]), len(other.rows[name]))
        for field, x in mine.items():
            y = theirs[field]
            at = first_unequal(x[:length], y[:length])
            if at is not None:
                bar = int(self.rows[name][at[0]]) if name in self.rows else at[0]
                yield Difference(bar, name, field, self._column(mine, name, at), (x[at].item(), y[at].item()))

    def _column(self, fields: Mapping[str, Any], name: str, at: tuple[int, ...]) -> int | None:
        if name in self.rows and "symbol" in fields:
            return int(fields["symbol"][at[0]])
        return at[1] if len(at) > 1 else None


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(value, "_fields"):
        for name, inner in zip(value._fields, value):
            yield from _paths(inner, (*path, name))
    else:
        yield path, value
