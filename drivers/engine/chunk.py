"""What goes into the engine and what comes out of it: chunks of bars and instants between them; how such values are cut and
joined."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from dataflows.data.types import OPERATOR_NONE
from dataflows.panel import Floats, Ints, Kind, fields_of, is_log, is_record, kind_of, unwrap_generic
from drivers.graph.external import EXTERNAL


class Chunk(NamedTuple):
    """Successive bars.

    time: (T,) closes, UTC ns. inputs: external and recorded values by name (at least `observations` for the whole graph;
    `external_alpha` and `venue_snapshot` are unknown where they are not given); a recorded log has its offsets, (T + 1,),
    beside it as `<name>__at`. operator, amount, symbol, subject: (T,) the operator's word and what it is about, as in `Clock`.
    events: the venue's reports (a log) with `events_at` (T + 1,), where each bar's begin; without it they are all of the first
    bar.
    """

    time: Ints
    inputs: Mapping[str, Any]
    operator: Ints | None = None
    amount: Floats | None = None
    events: Any = None
    events_at: Ints | None = None
    symbol: Ints | None = None
    subject: Ints | None = None


class Instant(NamedTuple):
    """One instant between two bars.

    ts: UTC ns. operator, amount, symbol, subject: the operator's word and what it is about, as in `Clock`. events: the venue's
    reports (a log). inputs: external inputs that are known anew, one row each (`venue_snapshot`); the others are those of the
    last bar.
    """

    ts: int
    operator: int = OPERATOR_NONE
    amount: float = 0.0
    events: Any = None
    inputs: Mapping[str, Any] = MappingProxyType({})
    symbol: int = -1
    subject: int = 0

    def chunk(self) -> Chunk:
        """The same in the form of a chunk of one."""
        at, operator, symbol, subject = (np.array([x]) for x in (self.ts, self.operator, self.symbol, self.subject))
        return Chunk(at, self.inputs, operator, np.array([self.amount]), self.events, None, symbol, subject)


class Begun(NamedTuple):
    """A chunk on its way: its bars, and what has been computed of it."""

    time: Ints
    values: dict[str, Any]


class Outputs(NamedTuple):
    """What a chunk, or an instant between two bars, produced.

    values: by node, records of panels (T, N) and series (T,), logs with their `n`; of an instant, those of the step and post
    layers. offsets: by log, (T + 1,) where each instant's entries begin. epoch: what the epoch layers returned when the
    previous epoch closed, before the first bar of this chunk; empty elsewhere.
    """

    time: Ints
    values: Mapping[str, Any]
    offsets: dict[str, Ints]
    epoch: dict[str, Any]


def last_row(value: Any, annotation: Any, bars: int) -> Any:
    """The last of so many rows, apart from those before it, which need not stay in memory."""
    if bars == 1:
        return value
    if is_record(annotation):
        return annotation(*[last_row(v, t, bars) for v, t in zip(value, fields_of(annotation).values(), strict=True)])
    return value if value is None or "static" in kind_of(annotation).axes else value[bars - 1 : bars].copy()


def cut(value: Any, annotation: Any, a: int, b: int) -> Any:
    """Rows a to b of a panel, series or record of them; what is static stays, and so does None in the place of a leaf."""
    return _cutter(annotation)(value, a, b)


@functools.cache
def _cutter(annotation: Any) -> Callable[[Any, int, int], Any]:
    def part(_: tuple[str, ...], kind: Kind, leaf: str) -> str:
        return leaf if "static" in kind.axes else f"(None if (x := {leaf}) is None else x[a:b])"

    made: Callable[[Any, int, int], Any] = _straight("a, b", annotation, part)
    return made


def _straight(more: str, annotation: Any, part: Callable[[tuple[str, ...], Kind, str], str]) -> Any:
    """A function `f(v, <more>)` that makes a value of `annotation` out of another, in code without loops: each chunk has
    hundreds of leaves. part: source of a leaf by its path, kind and the source of that in v."""
    names: dict[str, Any] = {}

    def build(inner: Any, path: tuple[str, ...], value: str) -> str:
        if not is_record(inner):
            return part(path, kind_of(inner), value)
        name = f"R{len(names)}"
        names[name] = inner
        parts = [build(t, (*path, f), f"{value}.{f}") for f, t in fields_of(inner).items()]
        return f"{name}({', '.join(parts)})"

    return eval(f"lambda v, {more}: {build(annotation, (), 'v')}", names)


def epochs_in(time: Ints, epoch_ns: int) -> Iterator[tuple[int, int]]:
    """The (first, end) rows of each epoch in successive bars."""
    epoch = (time - 1) // epoch_ns
    edges = [0, *(np.flatnonzero(np.diff(epoch)) + 1).tolist(), len(time)]
    yield from pairwise(edges)


def narrowed(value: Any, annotation: Any, paths: Collection[tuple[str, ...]]) -> Any:
    """A value with None in place of the leaves that are not in `paths`."""
    return _narrower(annotation, frozenset(paths))(value)


@functools.cache
def _narrower(annotation: Any, paths: frozenset[tuple[str, ...]]) -> Callable[[Any], Any]:
    made: Callable[[Any], Any] = _straight("", annotation, lambda path, _, leaf: leaf if path in paths else "None")
    return made


def joined(parts: Sequence[Any], annotation: Any) -> Any:
    """Outputs of successive chunks as one: panels and series are concatenated, logs too (their `n` added up)."""
    if len(parts) == 1:
        return parts[0]
    if is_log(annotation):
        columns = [np.concatenate([np.asarray(p[i]) for p in parts]) for i in range(1, len(parts[0]))]
        return annotation(sum(p.n for p in parts), *columns)
    if is_record(annotation):
        return annotation(*[joined([p[i] for p in parts], t) for i, t in enumerate(fields_of(annotation).values())])
    return None if parts[0] is None else np.concatenate(parts)


def piece_of(chunk: Chunk, a: int, b: int) -> Chunk:
    """Bars a to b of a chunk of external inputs, with their reports and words."""
    if (a, b) == (0, len(chunk.time)):
        return chunk
    words = {name: getattr(chunk, name) for name in ("operator", "amount", "symbol", "subject")}
    part = Chunk(
        chunk.time[a:b],
        {name: cut(value, EXTERNAL[name].type, a, b) for name, value in chunk.inputs.items()},
        **{name: word if word is None else word[a:b] for name, word in words.items()},
    )
    if chunk.events is None:
        return part
    at = chunk.events_at
    if at is None:  # all of the first bar
        at = np.full(len(chunk.time) + 1, chunk.events.n)
        at[0] = 0
    first, last = int(at[a]), int(at[b])
    events = type(chunk.events)(last - first, *[column[first:last] for column in chunk.events[1:]])
    return part._replace(events=events, events_at=at[a : b + 1] - first)


def blank_value(annotation: Any, bars: int, dims: Mapping[str, int], time: Ints, *, recorded_only: bool = False) -> Any:
    """A value of which nothing is known: NaN, and 0 for whole numbers; `time` where a record states it. dims: lengths of the
    axes."""
    if is_record(annotation):
        made = [blank_value(t, bars, dims, time, recorded_only=recorded_only) for t in fields_of(annotation).values()]
        return annotation(*[time if f == "time" else v for f, v in zip(annotation._fields, made, strict=True)])  # type: ignore[attr-defined]
    kind = kind_of(unwrap_generic(annotation) if not hasattr(annotation, "__metadata__") else annotation)
    if recorded_only and not kind.recorded:
        return None
    shape = (bars, *(dims[a] for a in kind.axes))
    return np.full(shape, np.nan if kind.dtype == "f8" else 0, kind.numpy)


def empty_log(log: Any) -> Any:
    """A log without an entry."""
    return log(*[0 if f == "n" else np.zeros(0, kind_of(t).numpy) for f, t in fields_of(log).items()])
