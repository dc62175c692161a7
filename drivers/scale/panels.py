"""Panels of some symbols: put side by side, cut apart, kept in a file."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dataflows.panel import Kind, leaves, rebuild, walk
from drivers.engine.chunk import joined
from drivers.engine.plan import Plan
from drivers.scale.passes import Panels


def side_by_side(parts: Sequence[Any], annotation: Any) -> Any:
    """The same bars of several lists of symbols as one value. What is one number a bar is that of the first."""
    columns = zip(*(leaves(part) for part in parts), strict=True)
    kinds = (kind for _, kind in walk(annotation))
    return rebuild(annotation, iter([_beside(each, kind) for each, kind in zip(columns, kinds, strict=True)]))


def _beside(parts: Sequence[Any], kind: Kind) -> Any:
    return np.concatenate(parts, axis=1) if parts[0] is not None and _has_symbols(kind) else parts[0]


def of_symbols(value: Any, annotation: Any, a: int, b: int) -> Any:
    """Columns a to b of a value."""
    kinds = (kind for _, kind in walk(annotation))
    return rebuild(annotation, (_columns(leaf, kind, a, b) for leaf, kind in zip(leaves(value), kinds, strict=True)))


def _columns(leaf: Any, kind: Kind, a: int, b: int) -> Any:
    return np.ascontiguousarray(leaf[:, a:b]) if leaf is not None and _has_symbols(kind) else leaf


def _has_symbols(kind: Kind) -> bool:
    return bool(kind.axes) and kind.axes[0] == "N"


def after_each_other(parts: Sequence[Mapping[str, Any]], plan: Plan) -> dict[str, Any]:
    """Successive bars of the same values as one."""
    return {name: joined([part[name] for part in parts], plan.type_of(name)) for name in parts[0]}


def packed(parts: Sequence[Mapping[str, Any]], names: Panels, plan: Plan, a: int, b: int) -> bytes:
    """Leaves of successive bars as a file, columns a to b of them: one array in the form of `.npy` after another, in the order
    of `unpacked`."""
    sink = io.BytesIO()
    for name, place, kind in _order(names, plan):
        pieces = [_columns(np.asarray(leaves(part[name])[place]), kind, a, b) for part in parts]
        header = {
            "descr": np.lib.format.dtype_to_descr(pieces[0].dtype),
            "fortran_order": False,
            "shape": (sum(map(len, pieces)), *pieces[0].shape[1:]),
        }
        np.lib.format.write_array_header_1_0(sink, header)
        for piece in pieces:
            sink.write(np.ascontiguousarray(piece).data)
    return sink.getvalue()


def unpacked(files: Sequence[bytes], names: Panels, plan: Plan) -> dict[str, Any]:
    """What `packed` wrote of some leaves, of several lists of symbols side by side; None in place of the other leaves."""
    readers = [_arrays(content) for content in files]
    found: dict[str, dict[int, Any]] = {}
    for name, place, kind in _order(names, plan):
        parts = [next(reader) for reader in readers]
        joint = len(parts) > 1 and _has_symbols(kind)
        found.setdefault(name, {})[place] = np.concatenate(parts, axis=1) if joint else parts[0].copy()
    return {
        name: rebuild(plan.type_of(name), iter([own.get(i) for i in range(_count(name, plan))])) for name, own in found.items()
    }


def _order(names: Panels, plan: Plan) -> Iterator[tuple[str, int, Kind]]:
    """The leaves that are meant: layer, place among the leaves of what it returns, kind."""
    for name in sorted(names):
        for i, (path, kind) in enumerate(walk(plan.type_of(name))):
            if path in names[name]:
                yield name, i, kind


def _arrays(content: bytes) -> Iterator[Any]:
    """The arrays of a file, as views of it."""
    source = io.BytesIO(content)
    while source.tell() < len(content):
        np.lib.format.read_magic(source)
        shape, _, dtype = np.lib.format.read_array_header_1_0(source)
        size = int(np.prod(shape))
        yield np.frombuffer(content, dtype, size, source.tell()).reshape(shape)
        source.seek(size * dtype.itemsize, io.SEEK_CUR)


def _count(name: str, plan: Plan) -> int:
    return sum(1 for _ in walk(plan.type_of(name)))
