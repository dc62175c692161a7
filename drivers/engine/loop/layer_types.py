"""What the step stage's parts are to numba: the types of its inputs, its layers compiled one by one, and where one breaks its
word."""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterator
from typing import Any

import numba

from dataflows.panel import Kind, fields_of, is_record, kind_of, unwrap_generic, walk
from dataflows.runtime.compile import inner_kernel, loop_layer
from drivers.engine.loop.address import helpers
from drivers.engine.loop.rows import row_class
from drivers.graph.field_reads import Path, chains
from drivers.graph.layers import LayerNode

nb: Any = numba  # its own annotations leave out what a compiler's user needs


class LayerCompileError(TypeError):
    """A step layer does not compile, or returns something else than it declares. Names layer, file and line."""


def compiled_helper(name: str) -> tuple[Any, tuple[Any, ...]]:
    """A helper of the loop, compiled for float64 or int64; and the types that it takes."""
    kind, _, dtype = name.rpartition("_")
    element = nb.float64 if dtype == "f8" else nb.int64

    def array(axes: int, element: Any = element) -> Any:
        return nb.types.Array(element, axes, "C")

    takes = {
        "append": (array(2), nb.int64, nb.int64, nb.int64, array(1)),
        "keep": (array(1), array(2, nb.int64), nb.int64, nb.int64, array(1)),
    }[kind]
    helper = compile_once(helpers(compiled=False)[kind], inner_kernel)
    helper.compile(takes)
    return helper, takes


@functools.cache
def compile_once(fn: Callable[..., Any], form: Callable[..., Any] = loop_layer) -> Any:
    return form(fn)


def compiled_layer(node: LayerNode, takes: tuple[Any, ...]) -> Any:
    """The layer's function, compiled for arguments of these types; the same one for every plan."""
    layer = compile_once(node.fn)
    code = node.fn.__code__
    place = f"{node.layer_id} {node.name} ({code.co_filename}:{code.co_firstlineno})"
    try:
        layer.compile(takes)
    except nb.core.errors.NumbaError as error:
        raise LayerCompileError(f"{place} does not compile: {_short(error)}") from error
    wrong = _disagreement(layer.overloads[takes].signature.return_type, node.returns)
    if wrong:
        raise LayerCompileError(f"{place} does not return what it declares on every branch: {wrong}")
    return layer


def read_of(node: LayerNode, p: str, kind: Any) -> Any:
    """The type of the configuration `p` without what the layer does not read: a new key compiles nobody else anew."""
    own = node.fn.__code__.co_varnames[node.params.index(p)]
    return _narrowed(kind, chains(node.fn, own), f"Row_{p}")


def _narrowed(kind: Any, read: frozenset[Path], name: str) -> Any:
    if not isinstance(kind, nb.types.BaseNamedTuple) or () in read:
        return kind
    inner = {
        f: _narrowed(t, frozenset(c[1:] for c in read if c[0] == f), f"{name}_{f}")
        for f, t in zip(kind.fields, kind.types, strict=True)
        if any(c[0] == f for c in read)
    }
    if not inner or tuple(inner.values()) == tuple(kind.types):
        return kind
    return tuple_type(list(inner.values()), row_class(name, tuple(inner)))


def tuple_type(inner: list[Any], kind: Any) -> Any:
    """numba's type of a NamedTuple of that class with fields of these types."""
    if len(set(inner)) == 1:
        return nb.types.NamedUniTuple(inner[0], len(inner), kind)
    return nb.types.NamedTuple(inner, kind)


def argument(p: str, path: Path) -> str:
    return "__".join((p, *path))


def record_type(annotation: Any, leaves: Iterator[Any]) -> Any:
    bare = unwrap_generic(annotation)
    if not is_record(bare):
        return next(leaves)
    return tuple_type([record_type(t, leaves) for t in fields_of(bare).values()], bare)


def declared_type(annotation: Any) -> Any:
    """The type of what a step layer returns or of a row that it takes, by the annotation."""

    def leaf(kind: Kind) -> Any:
        dtype = nb.float64 if kind.dtype == "f8" else nb.int64
        axes = sum(axis != "static" for axis in kind.axes)
        return nb.types.Array(dtype, axes, "C") if axes else dtype

    return record_type(annotation, (leaf(kind) for _, kind in walk(annotation)))


def _disagreement(got: Any, wanted: Any, path: str = "result") -> str:
    if is_record(wanted):
        if not isinstance(got, nb.types.BaseNamedTuple) or got.instance_class is not wanted:
            return f"{path} is {got}, not {wanted.__name__}"
        for name, inner, t in zip(got.fields, got.types, typing.cast(Any, fields_of(wanted).values()), strict=True):
            found = _disagreement(inner, t, name)
            if found:
                return found
        return ""
    kind = kind_of(wanted)
    if not kind.axes:
        right = got == nb.float64 if kind.dtype == "f8" else isinstance(got, nb.types.Integer) and got.bitwidth == 64
    else:
        dtype = nb.float64 if kind.dtype == "f8" else nb.int64
        right = isinstance(got, nb.types.Array) and got.layout == "C" and got.dtype == dtype and got.ndim == len(kind.axes)
    axes = f" of {len(kind.axes)} axes" if kind.axes else ""
    return "" if right else f"{path} is {got}, not {'float64' if kind.dtype == 'f8' else 'int64'}{axes}"


def _short(error: Exception) -> str:
    noise = ("During: lowering", "During: resolving", "This error may", "Overload", "Enable logging", "For more information")
    kept = [line.strip() for line in str(error).splitlines() if line.strip() and not line.strip().startswith(noise)]
    return "\n  ".join(kept[:14])
