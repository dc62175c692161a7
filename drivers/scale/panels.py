"""Panels of some symbols: put side by side, cut apart, kept in a file."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
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
    cut = [
        np.ascontiguousarray(leaf[:, a:b]) if leaf is not None and _has_symbols(kind) else leaf
        for leaf, kind in zip(leaves(value), kinds, strict=True)
    ]
    return rebuild(annotation, iter(cut))


def _has_symbols(kind: Kind) -> bool:
    return bool(kind.axes) and kind.axes[0] == "N"


def after_each_other(parts: Sequence[Mapping[str, Any]], plan: Plan) -> dict[str, Any]:
    """Successive bars of the same values as one."""
    return {name: joined([part[name] for part in parts], plan.type_of(name)) for name in parts[0]}


def packed(values: Mapping[str, Any]) -> bytes:
    """Values as a file: their arrays by layer and place."""
    found = {f"{name}/{i}": leaf for name, value in values.items() for i, leaf in enumerate(leaves(value)) if leaf is not None}
    sink = io.BytesIO()
    np.savez(sink, **found)
    return sink.getvalue()


def unpacked(content: bytes, names: Panels, plan: Plan) -> dict[str, Any]:
    """What `packed` wrote of some layers."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        return {
            name: rebuild(
                plan.type_of(name),
                iter([stored[f"{name}/{i}"] if f"{name}/{i}" in stored.files else None for i in range(_count(name, plan))]),
            )
            for name in names
        }


def _count(name: str, plan: Plan) -> int:
    return sum(1 for _ in walk(plan.type_of(name)))
