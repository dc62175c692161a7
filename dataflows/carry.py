"""What a layer remembers, and how its start state follows from its annotations.

A carry is a NamedTuple of float64 and int64 arrays. Each array's `Axes` names its axes and its start value; a kernel's state
is such a NamedTuple too, and `Bind` says what its free axis names (`W`, a window) stand for in this layer:

    class RegressionSlopeCarry(NamedTuple):
        window: Annotated[RollingOls, Bind(W="slope_short_bars")]

An axis is the number of symbols ("N"), of book levels ("D"), of order slots ("table"), an integer, a name that an enclosing
`Bind` explains, or the key of an integer in a configuration that the layer takes; `len(key)` and `max(key)` of a tuple work.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

import numpy as np

from dataflows.panel import Floats, Ints, fields_of, is_record, unwrap_generic

NAN = float("nan")


class CarryError(TypeError):
    """A carry's annotation does not say what its start state is."""


@dataclass(frozen=True, init=False)
class Axes:
    """The axes of one carried array and what it starts with: a number, or a key of the configuration, or a method of it that
    gives the numbers."""

    names: tuple[str | int, ...]
    start: float | int | str

    def __init__(self, *names: str | int, start: float | int | str = 0) -> None:
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "start", start)


@dataclass(frozen=True, init=False)
class Bind:
    """What the free axis names of a nested state stand for: a configuration key, `len(key)`, `max(key)` or an integer."""

    to: tuple[tuple[str, str | int], ...]

    def __init__(self, **to: str | int) -> None:
        object.__setattr__(self, "to", tuple(to.items()))


Unknown: TypeAlias = Annotated[Floats, Axes("N", start=NAN)]
"""(N,) float64 that starts as NaN: not known yet."""
Zero: TypeAlias = Annotated[Floats, Axes("N", start=0.0)]
"""(N,) float64 that starts at 0."""
Count: TypeAlias = Annotated[Ints, Axes("N", start=0)]
"""(N,) int64 that starts at 0."""
Ring: TypeAlias = Annotated[Floats, Axes("W", "N", start=NAN)]
"""(W, N) float64 ring buffer that starts as NaN."""


def _lookup(key: str, configs: Mapping[str, Any], where: str) -> Any:
    head, _, tail = key.partition(".")
    if tail and head in configs:
        found = [getattr(configs[head], tail, None)]
    else:
        found = [getattr(c, key) for c in configs.values() if key in getattr(c, "_fields", ())]
    if len(found) != 1 or found[0] is None:
        taken = ", ".join(configs) or "no configuration"
        problem = "is in several configurations" if len(found) > 1 else "is not a configuration key"
        raise CarryError(f"{where}: axis or start value {key!r} {problem} that the layer takes ({taken})")
    return found[0]() if callable(found[0]) else found[0]


def _length(
    name: str | int, dims: Mapping[str, int], bound: Mapping[str, str | int], configs: Mapping[str, Any], where: str
) -> int:
    if isinstance(name, int):
        return name
    if name in bound:
        return _length(bound[name], dims, {k: v for k, v in bound.items() if k != name}, configs, where)
    if name in dims:
        return dims[name]
    call = re.fullmatch(r"(len|max)\((\S+)\)", name)
    value = _lookup(call[2] if call else name, configs, where)
    if call:
        value = len(value) if call[1] == "len" else max(value)
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise CarryError(f"{where}: axis {name!r} is {value!r}; an axis needs a positive integer")
    return int(value)


def start_state(
    annotation: Any,
    dims: Mapping[str, int],
    configs: Mapping[str, Any],
    *,
    where: str = "carry",
    _bound: Mapping[str, str | int] | None = None,
) -> Any:
    """The start state of a carry (or of a delayed value) as its annotations and the configuration say.

    annotation: a NamedTuple class whose leaves are annotated with `Axes`. dims: lengths of "N", "D", "table". configs: the
    configuration records by name. Returns a value of that class with fresh C-contiguous arrays.
    Raises CarryError naming the field when an axis or a start value cannot be resolved.
    """
    bound = dict(_bound or {})
    for meta in getattr(annotation, "__metadata__", ()):
        if isinstance(meta, Bind):
            bound.update(meta.to)
    bare = unwrap_generic(annotation)
    if is_record(bare):
        return bare(
            *[
                start_state(inner, dims, configs, where=f"{where}.{name}", _bound=bound)
                for name, inner in fields_of(bare).items()
            ]
        )
    spec = next((m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Axes)), None)
    if spec is None:
        raise CarryError(f"{where}: a carried array needs Axes(...) beside its type, as in Annotated[Floats, Axes('N')]")
    shape = tuple(_length(n, dims, bound, configs, where) for n in spec.names)
    start = _lookup(spec.start, configs, where) if isinstance(spec.start, str) else spec.start
    return np.full(shape, start, dtype=np.int64 if bare is Ints or _is_int(bare) else np.float64)


def _is_int(bare: Any) -> bool:
    return "int64" in str(bare)
