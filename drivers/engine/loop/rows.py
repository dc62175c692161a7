"""Rows: what a step layer sees of a panel record at one instant, narrowed to the fields that step layers read.

Market alone has some seventy arrays, of which the account side reads a handful. The generated loop builds small NamedTuples of
just those; a layer cannot tell the difference, since it only ever reads `record.field`.
"""

from __future__ import annotations

import collections
import hashlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from dataflows.panel import fields_of, is_record, walk
from drivers.graph.field_reads import Path

_HOME = "stratoquant_rows"


def row_class(name: str, fields: tuple[str, ...]) -> type[tuple[Any, ...]]:
    """The NamedTuple class of a row; one object for one name and list of fields, found again by the machine-code cache."""
    home = sys.modules.setdefault(_HOME, ModuleType(_HOME))
    unique = f"{name}_{hashlib.sha256(','.join(fields).encode()).hexdigest()[:8]}"
    if not hasattr(home, unique):
        make: Any = collections.namedtuple  # the fields come from the graph, so that no class statement can name them
        setattr(home, unique, make(unique, fields, module=_HOME))
    made: type[tuple[Any, ...]] = getattr(home, unique)
    return made


class RowSpec:
    """How to build the row of one input out of the arrays of its used leaves."""

    def __init__(self, name: str, record: Any, used: set[Path]) -> None:
        self.name = name
        self.leaves: list[tuple[Path, Any]] = [(path, kind) for path, kind in walk(record) if path in used]
        self.classes: dict[str, tuple[str, ...]] = {}
        self._collect(record, ())

    def _below(self, prefix: Path) -> bool:
        return any(path[: len(prefix)] == prefix for path, _ in self.leaves)

    def _collect(self, record: Any, prefix: Path) -> None:
        fields = tuple(f for f in fields_of(record) if self._below((*prefix, f)))
        self.classes["_".join(("Row", self.name, *prefix))] = fields
        for f in fields:
            inner = fields_of(record)[f]
            if is_record(inner):
                self._collect(inner, (*prefix, f))

    def expression(self, leaf: Callable[[Path], str], prefix: Path = ()) -> str:
        """Source that builds the row; `leaf` gives the source of one leaf."""
        name = "_".join(("Row", self.name, *prefix))
        parts = []
        for f in self.classes[name]:
            path = (*prefix, f)
            nested = "_".join(("Row", self.name, *path)) in self.classes
            parts.append(self.expression(leaf, path) if nested else leaf(path))
        return f"{name}({', '.join(parts)})"

    def declarations(self) -> Iterator[str]:
        """Source that declares the classes."""
        for name, fields in self.classes.items():
            yield f"{name} = row_class({name!r}, {fields!r})"


def uncompiled(fn: Any) -> Any:
    """Stands for `kernel` where the generated source is run as plain Python."""
    return fn
