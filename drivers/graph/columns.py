"""The one map of what a layer's output is in tables: its recorded values, and the columns that they are."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.panel import Kind, Within, fields_of, is_log, is_record, unwrap_generic, walk

Path = tuple[str, ...]


class Leaf(NamedTuple):
    """One recorded value of a layer.

    path: of field names in its record. kind: axes () one value, ("N",) one a symbol, ("N", …) several a symbol, which are a
    column each. carried: of an epoch layer's value, its axes as it returns it; None of any other layer's.
    """

    node: str
    path: Path
    kind: Kind
    carried: tuple[str | int, ...] | None = None

    @property
    def name(self) -> str:
        """Its column, `<layer>.<field>`; a wide one's columns have a number or a member's name behind it."""
        return ".".join((self.node, *self.path))

    def axes(self, schedule: str) -> tuple[str, ...]:
        """The axes as the layer returns it: panels have time first, a step one instant's row, an epoch layer its own."""
        if self.carried is not None:
            return tuple(map(str, self.carried))
        if "static" in self.kind.axes:
            return tuple(axis for axis in self.kind.axes if axis != "static")
        return self.kind.axes if schedule == "step" else ("T", *self.kind.axes)

    @property
    def wide(self) -> bool:
        """Whether it is several columns."""
        return len(self.kind.axes) > 1

    def of(self, value: Any) -> Any:
        """This leaf of a layer's output."""
        for name in self.path:
            value = getattr(value, name)
        return value


def leaves_of(node: str, annotation: Any, *, epoch: bool = False) -> list[Leaf]:
    """The recorded values of what a layer returns; a log has none. epoch: of an epoch layer, whose arrays may be carried ones.

    Raises TypeError for an annotation that is no value.
    """
    if is_record(annotation) and not epoch and is_log(annotation):
        return []
    found = values_of(node, annotation, epoch=epoch)
    return [leaf for leaf in found if leaf.kind.recorded and "static" not in leaf.kind.axes and "log" not in leaf.kind.axes]


def values_of(node: str, annotation: Any, *, epoch: bool = False) -> Iterator[Leaf]:
    """Every value of what a layer returns, recorded or not, those of a log too; as `leaves_of`."""
    yield from _carried(node, annotation, ()) if epoch else (Leaf(node, path, kind) for path, kind in walk(annotation))


def _carried(node: str, annotation: Any, path: Path) -> Iterator[Leaf]:
    bare = unwrap_generic(annotation)
    if is_record(bare):
        for name, inner in fields_of(bare).items():
            yield from _carried(node, inner, (*path, name))
        return
    kind, names = carried_kind(annotation)
    yield Leaf(node, path, kind, names)


def carried_kind(annotation: Any) -> tuple[Kind, tuple[str | int, ...]]:
    """The kind of a leaf of what an epoch layer returns, as its columns have it, and its own axes. A panel's kind is its own.

    Raises TypeError for an annotation that is no value.
    """
    beside = getattr(annotation, "__metadata__", ())
    axes = next((meta.names for meta in beside if isinstance(meta, Axes)), None)
    if axes is None:
        ((_, kind),) = walk(annotation)
        names: tuple[str | int, ...] = kind.axes
    else:
        within = next((meta for meta in beside if isinstance(meta, Within)), None)
        kind, names = Kind("i8" if "int64" in str(unwrap_generic(annotation)) else "f8", (), within=within), axes
    flat = ("N", "K") if any(name != 1 for name in _others(names)) else ("N",) if "N" in names else ()
    return Kind(kind.dtype, flat, kind.recorded, kind.within), names


def epoch_columns(leaf: Leaf, value: Any, symbols: int) -> dict[str, Any]:
    """The columns of an epoch layer's value, (N,) each: what has no axis of symbols is the same for all.

    Of the other axes each place is a column, numbered in C order: `weights.3`, and `matrix.0.2` where there are two.
    """
    return dict(zip(epoch_names(leaf, value), epoch_rows(leaf, value, symbols), strict=True))


def epoch_rows(leaf: Leaf, value: Any, symbols: int) -> Any:
    """The same as one array, (columns, N)."""
    array = np.asarray(value, leaf.kind.numpy)
    axes: Sequence[str | int] = leaf.carried or ()
    if "N" not in axes:
        return np.repeat(array.reshape(-1, 1), symbols, axis=1)
    if symbols == 1:
        return array.reshape(-1, 1)
    return np.moveaxis(array, _symbol_axis(axes), -1).reshape(-1, symbols)


def epoch_names(leaf: Leaf, value: Any) -> Sequence[str]:
    """The names of these columns."""
    if not leaf.wide:
        return [leaf.name]
    axes: Sequence[str | int] = leaf.carried or ()
    own = _symbol_axis(axes) if "N" in axes else None
    sizes = zip(np.shape(value), axes, strict=False)
    return _places(leaf.name, tuple(size for i, (size, axis) in enumerate(sizes) if i != own and axis != 1))


@functools.cache
def _places(name: str, sizes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(".".join((name, *map(str, place))) for place in np.ndindex(*sizes))


def wide_columns(name: str, kind: Kind, there: Collection[str]) -> list[str]:
    """The columns of a stack among those of a table, in order: with the names of its members, or numbered, as older versions
    have written them. None: the table does not hold it."""
    named = [f"{name}.{member}" for member in kind.members]
    if named and all(column in there for column in named):
        return named
    found = [column for column in there if column.rpartition(".")[0] == name and column.rpartition(".")[2].isdigit()]
    return sorted(found, key=lambda column: int(column.rpartition(".")[2]))


def _symbol_axis(axes: Sequence[str | int]) -> int:
    """The last axis that is the symbols', of axes that have one."""
    return max(i for i, axis in enumerate(axes) if axis == "N")


def _others(axes: Sequence[str | int]) -> list[str | int]:
    """The axes without that of the symbols, in the order in which `epoch_columns` has them."""
    symbols = _symbol_axis(axes) if "N" in axes else None
    return [axis for i, axis in enumerate(axes) if i != symbols]
