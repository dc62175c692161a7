"""Values at fixed places of one block of memory, as compiled code knows them: written once, and read at every bar.

To hand a record over from Python, numba takes each array in it apart, at each call. Here carries, configurations and the inputs
of a bar never move: their arrays are described once, word by word, and compiled code is given the description's address.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import numba
import numpy as np
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed
from numba.core.registry import cpu_target

from dataflows.panel import fields_of, is_log, kind_of, unwrap_generic, walk
from dataflows.panel import is_record as is_annotation
from dataflows.runtime.made import NotNativeError, words_of
from drivers.engine.loop.generate import state_leaves
from drivers.engine.loop.layer_types import record_type, tuple_type
from drivers.engine.loop.records import CONTENT, Handed, Lent, field_place, is_record, named
from drivers.engine.loop.rows import row_class
from drivers.graph.field_reads import Path

nb: Any = numba  # its own annotations leave out what a compiler's user needs


OTHER_SHAPE: Final = "a layer returned another number of values than at the first bar"


def panel_type(annotation: Any, name: str = "", has: Collection[Path] | None = None, path: Path = ()) -> Any:
    """The type of what a columnar layer takes or returns, by the annotation: panels with their leading time axis.

    has: the leaves that are there, of a record called `name` that lacks some: what a step layer shows within its bar only.
    """
    if is_annotation(annotation):
        fields = fields_of(annotation)
        kept = tuple(f for f in fields if has is None or any(x[: len(path) + 1] == (*path, f) for x in has))
        if not kept:
            raise NotNativeError("records nothing")
        inner = [panel_type(fields[f], name, has, (*path, f)) for f in kept]
        bare = annotation if len(kept) == len(fields) else row_class("_".join(("Recorded", name, *path)), kept)
        return tuple_type(inner, bare)
    kind = kind_of(annotation)
    axes = sum(axis != "static" for axis in kind.axes) + ("static" not in kind.axes)
    return types.Array(nb.float64 if kind.dtype == "f8" else nb.int64, axes, "C")


def state_type(annotation: Any) -> Any:
    """The type of a carry or of a delayed value."""
    if is_log(annotation):
        raise NotNativeError("is a log")
    arrays = [types.Array(nb.float64 if dtype == "f8" else nb.int64, axes, "C") for dtype, axes in state_leaves(annotation)]
    return record_type(annotation, iter(arrays))


def log_type(annotation: Any) -> Any:
    """The type of a log: how many entries count, and its columns."""
    kinds = [kind for _, kind in walk(annotation)]
    columns = [types.Array(nb.float64 if kind.dtype == "f8" else nb.int64, 1, "C") if kind.axes else nb.int64 for kind in kinds]
    return record_type(annotation, iter(columns))


def lent(kind: Any) -> Any:
    """What a columnar layer is compiled for, where the bar has a value of this type."""
    return Lent(kind) if is_record(kind) else kind


class Frame:
    """The block that is being laid out: where each value lies."""

    def __init__(self) -> None:
        self.words: list[int] = []

    def put(self, kind: Any, value: Any) -> int:
        """Appends a value; returns its first word."""
        first, own = len(self.words), list(words_of(kind, value))
        size = cpu_target.target_context.get_abi_sizeof(cpu_target.target_context.get_data_type(kind))
        if size != 8 * len(own):
            raise NotNativeError(f"is {kind}, which is not made of words of 8 bytes")
        self.words += own
        return first

    @property
    def block(self) -> Any:
        """All of it: int64, to be kept as long as compiled code reads there."""
        return np.array([*self.words, 0], np.int64)


def at(name: str, kind: Any) -> Any:
    """`f(frame, first)` for compiled code: the value that lies there; of a record, its place."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        frame = context.make_array(signature.args[0])(context, builder, values[0])
        word = builder.gep(frame.data, [values[1]])
        place = builder.bitcast(word, context.get_data_type(kind).as_pointer())
        if is_record(kind):
            return place
        loaded = context.data_model_manager[kind].load_from_data_pointer(builder, place)
        return impl_ret_borrowed(context, builder, kind, loaded)

    made = named(name, ["frame", "first"], lent(kind)(types.Array(types.int64, 1, "C"), types.int64), generate)
    made.__content__ = f"{CONTENT} {name} {kind}"
    return made


def disagreement(got: Any, annotation: Any, path: str = "result") -> str:
    """Where what a compiled layer returns differs from what it declares; empty where it does not."""
    bare = unwrap_generic(annotation)
    if is_annotation(bare):
        if not is_record(got) or got.instance_class is not bare:
            return f"{path} is {got}, not {bare.__name__}"
        parts = zip(got.fields, got.types, fields_of(bare).values(), strict=True)
        return next((found for name, inner, t in parts if (found := disagreement(inner, t, name))), "")
    wanted = panel_type(annotation)
    right = isinstance(got, types.Array) and (got.dtype, got.ndim) == (wanted.dtype, wanted.ndim)
    return "" if right and (got.layout == "C" or got.ndim == 2) else f"{path} is {got}, not {wanted}"


def copier(name: str, element: Any, given: tuple[Any, ...], leaves: list[tuple[int, tuple[str, ...]]]) -> Any:
    """`f(flat, where, *values)` for compiled code: copies leaves of a single bar into a flat array.

    element: type of a place. given: types of the values. leaves: which value, and which of its fields. where: (leaves, 2):
    first place of each in the flat array, and how many there are. Raises where a layer returned another number.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        word = cgutils.intp_t
        flat = context.make_array(signature.args[0])(context, builder, values[0])
        where = context.make_array(signature.args[1])(context, builder, values[1])
        pointer = word.as_pointer()
        count = word(len(leaves))
        sources = cgutils.alloca_once(builder, pointer, size=count)
        steps = cgutils.alloca_once(builder, word, size=count)
        sizes = cgutils.alloca_once(builder, word, size=count)
        for k, (which, path) in enumerate(leaves):
            value, kind = values[2 + which], given[which]
            if isinstance(kind, Handed):
                place, kind = field_place(builder, kind, value, path)
                value = builder.load(place)
            source = context.make_array(kind)(context, builder, value)
            # a row of a larger array may skip; all else is contiguous
            step = word(8) if kind.layout == "C" else builder.extract_value(source.strides, kind.ndim - 1)
            builder.store(builder.bitcast(source.data, pointer), builder.gep(sources, [word(k)]))
            builder.store(step, builder.gep(steps, [word(k)]))
            builder.store(source.nitems, builder.gep(sizes, [word(k)]))
        with cgutils.for_range(builder, count) as outer:
            row = builder.mul(outer.index, word(2))
            first = builder.load(builder.gep(where.data, [row]))
            wanted = builder.load(builder.gep(where.data, [builder.add(row, word(1))]))
            size = builder.load(builder.gep(sizes, [outer.index]))
            with cgutils.if_unlikely(builder, builder.icmp_signed("!=", size, wanted)):
                context.call_conv.return_user_exc(builder, ValueError, (OTHER_SHAPE,))
            source = builder.ptrtoint(builder.load(builder.gep(sources, [outer.index])), word)
            step = builder.load(builder.gep(steps, [outer.index]))
            into = builder.gep(builder.bitcast(flat.data, pointer), [first])
            with cgutils.for_range(builder, size) as inner:
                taken = builder.inttoptr(builder.add(source, builder.mul(inner.index, step)), pointer)
                builder.store(builder.load(taken), builder.gep(into, [inner.index]))
        return context.get_dummy_value()

    parameters = ["flat", "where", *(f"x{i}" for i in range(len(given)))]
    takes = (types.Array(element, 1, "C"), types.Array(types.int64, 2, "C"), *given)
    made = named(name, parameters, types.none(*takes), generate)
    made.__content__ = f"{CONTENT} {name} {given} {leaves}"
    return made
