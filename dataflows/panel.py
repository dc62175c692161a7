"""The values that travel between layers: what their arrays hold and along which axes.

A record (a NamedTuple) is declared once and travels in two forms. In the columnar and post stages its fields carry a leading
time axis (T bars); in the step stage they are the row of one instant, without it. The `Kind` beside each annotation says what
the remaining axes are, so that the plan can allocate, record, check and cut every value without knowing the layer.
"""

from __future__ import annotations

import functools
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True)
class Within:
    """The range that a layer promises of a value where it is known: `-> Annotated[Panel, Within(-1.0, 1.0)]`.

    It gives the value its column in the domain's boundary model. A model that lists the column itself says it instead.
    """

    low: float = -sys.float_info.max
    high: float = sys.float_info.max


@dataclass(frozen=True)
class Members:
    """The names of the places of a stack, which its columns bear: `Annotated[Stack, Members(SOURCES)]` gives `values.trend`."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """What one field holds: `dtype` is "f8" or "i8"; `axes` are those after time.

    Axes: "N" symbols, "D" book levels, "K" anything of fixed width, "table" order slots, "log" entries of a flat log,
    "static" marks a value without a time axis. `recorded` is False for what is shown within the bar only. `within`: the range
    that is promised beside the kind; who takes a value need not repeat it. `members`: the names of the places along "K".
    """

    dtype: str
    axes: tuple[str, ...]
    recorded: bool = True
    within: Within | None = field(default=None, compare=False)
    members: tuple[str, ...] = field(default=(), compare=False)

    @property
    def numpy(self) -> type[np.float64] | type[np.int64]:
        """The NumPy scalar type of the array."""
        return np.float64 if self.dtype == "f8" else np.int64

    def part(self, k: int) -> str:
        """What place k of a stack is called: its member's name, or its number."""
        return self.members[k] if self.members else str(k)


Panel: TypeAlias = Annotated[Floats, Kind("f8", ("N",))]
"""(T, N) in a panel stage, (N,) in a step. NaN: not known."""
IntPanel: TypeAlias = Annotated[Ints, Kind("i8", ("N",))]
"""(T, N) codes, counts and flags."""
Stack: TypeAlias = Annotated[Floats, Kind("f8", ("N", "K"))]
"""(T, N, K): K values a symbol (sources, horizons, order sizes)."""
PassedStack: TypeAlias = Annotated[Floats, Kind("f8", ("N", "K"), recorded=False)]
"""(T, N, K): K values a symbol, handed to other layers and not recorded."""
Levels: TypeAlias = Annotated[Floats, Kind("f8", ("N", "D"))]
"""(T, N, D): one value a book level, best first."""
Series: TypeAlias = Annotated[Floats, Kind("f8", ())]
"""(T,): one value a bar; a float in a step."""
IntSeries: TypeAlias = Annotated[Ints, Kind("i8", ())]
"""(T,) int64; an int in a step."""
Passed: TypeAlias = Annotated[Floats, Kind("f8", ("N",), recorded=False)]
"""(N,): one value a symbol, shown to the layers of the bar and not recorded."""
Matrix: TypeAlias = Annotated[Floats, Kind("f8", ("N", "N"), recorded=False)]
"""(N, N): one value a pair of symbols, shown to the layers of the bar and not recorded."""
Table: TypeAlias = Annotated[Floats, Kind("f8", ("table", "N"), recorded=False)]
"""(slots, N): the order table, shown to the layers of the bar and not recorded."""
IntTable: TypeAlias = Annotated[Ints, Kind("i8", ("table", "N"), recorded=False)]
"""(slots, N) int64."""
Column: TypeAlias = Annotated[Floats, Kind("f8", ("log",))]
"""(capacity,): one column of a flat log; the first `n` entries count."""
IntColumn: TypeAlias = Annotated[Ints, Kind("i8", ("log",))]
"""(capacity,) int64."""
PerSymbol: TypeAlias = Annotated[Floats, Kind("f8", ("static", "N"))]
"""(N,): a fact of each symbol that does not change in a run."""
IntPerSymbol: TypeAlias = Annotated[Ints, Kind("i8", ("static", "N"))]
"""(N,) int64."""


Finite: TypeAlias = Annotated[Panel, Within()]
"""(T, N) and never infinite."""
Size: TypeAlias = Annotated[Panel, Within(0.0)]
"""(T, N), not negative and never infinite."""
Unit: TypeAlias = Annotated[Panel, Within(0.0, 1.0)]
"""(T, N) in [0, 1]."""
Score: TypeAlias = Annotated[Panel, Within(-1.0, 1.0)]
"""(T, N) in [-1, 1]; the sign says which side."""
Flag: TypeAlias = Annotated[IntPanel, Within(0, 1)]
"""(T, N) of 0 and 1."""

_NUMBERS: Final = {float: Kind("f8", ()), int: Kind("i8", ())}


def is_record(kind: Any) -> TypeGuard[type[tuple[Any, ...]]]:
    """True for a NamedTuple class."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def is_log(kind: Any) -> bool:
    """True for a record whose entries vary in number: it has a field `n` and columns with a "log" axis."""
    return (
        is_record(kind) and "n" in kind.__annotations__ and any("log" in k.axes for _, k in walk(kind) if isinstance(k, Kind))
    )


@functools.cache
def fields_of(record: type[tuple[Any, ...]]) -> dict[str, Any]:
    """The resolved annotation of each field of a NamedTuple, `Annotated` metadata kept."""
    return typing.get_type_hints(record, include_extras=True)


@functools.cache
def kind_of(annotation: Any) -> Kind:
    """The `Kind` of a leaf annotation; `float` and `int` are one value an instant.

    Raises TypeError for anything else: a layer hands on arrays with a stated kind, floats, ints, and records of them.
    """
    beside = getattr(annotation, "__metadata__", ())
    kind = next((meta for meta in beside if isinstance(meta, Kind)), _NUMBERS.get(unwrap_generic(annotation)))
    if kind is not None:
        within = next((meta for meta in beside if isinstance(meta, Within)), None)
        members = next((meta.names for meta in beside if isinstance(meta, Members)), ())
        return replace(kind, within=within, members=members) if within is not None or members else kind
    name = getattr(annotation, "__name__", str(annotation))
    raise TypeError(f"{name} is not a value kind: use Panel, IntPanel, Stack, Series, float, int or a NamedTuple of them")


def walk(annotation: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Kind]]:
    """Every leaf of a record's annotation, depth first in field order, as (path of field names, kind)."""
    if is_record(annotation):
        for below, kind in _leaves_below(annotation):
            yield (*path, *below), kind
    else:
        yield path, kind_of(annotation)


@functools.cache
def _leaves_below(record: type[tuple[Any, ...]]) -> tuple[tuple[tuple[str, ...], Kind], ...]:
    return tuple(leaf for name, inner in fields_of(record).items() for leaf in walk(inner, (name,)))


def leaves(value: Any) -> list[Any]:
    """The leaves of a value, in the order of `walk`."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [leaf for field in value for leaf in leaves(field)]
    return [value]


def rebuild(annotation: Any, parts: Iterator[Any]) -> Any:
    """The inverse of `leaves`: a value of `annotation` out of its leaves, in the order of `walk`."""
    if is_record(annotation):
        return annotation(*[rebuild(inner, parts) for inner in fields_of(annotation).values()])
    return next(parts)


def unwrap_generic(annotation: Any) -> Any:
    """The bare type below `Annotated[...]`."""
    origin = typing.get_origin(annotation)
    return (
        typing.get_args(annotation)[0]
        if origin is Annotated
        else annotation
        if not isinstance(annotation, types.GenericAlias)
        else origin
    )
