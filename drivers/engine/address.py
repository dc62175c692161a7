"""Calls of compiled layers by their address.

Where compiled code calls compiled code, numba links the callee's code into the caller and optimises all of it again: a loop
over fifteen layers then takes minutes to compile. Called by address, each layer is compiled once, by itself, and the loop is
compiled without any of them. Addresses are arguments of the loop, so that its machine code can be cached.
"""

from __future__ import annotations

from typing import Any, Final

import numba
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.extending import intrinsic
from numba.np import arrayobj

WHERE_COLUMNS: Final = 6
"""Columns of the table of arena leaves: start, stop, up to three lengths, number of axes."""


def address_of(compiled: Any, signature: tuple[Any, ...]) -> int:
    """Where the machine code of a compiled function lies, for arguments of these types."""
    result = compiled.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def by_address(name: str, returns: Any, takes: tuple[Any, ...], content: str) -> Any:
    """A function for compiled code: `f(address, *arguments)` calls the layer at `address` in numba's own convention.

    An error in the layer is raised in the caller. content: what the machine-code cache tells versions of it apart by.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        call = context.call_conv
        kind = call.get_function_type(signature.return_type, signature.args[1:])
        pointer = builder.inttoptr(values[0], kind.as_pointer())
        status, result = call.call_function(builder, pointer, signature.return_type, signature.args[1:], values[1:])
        with cgutils.if_unlikely(builder, status.is_error):
            call.return_status_propagate(builder, status)
        return impl_ret_new_ref(context, builder, signature.return_type, result)

    # numba folds what a star takes into one tuple, so that every argument needs a name of its own
    named = ", ".join(f"x{i}" for i in range(len(takes)))
    namespace: dict[str, Any] = {"made": (returns(numba.int64, *takes), generate)}
    exec(f"def {name}(context, address, {named}): return made", namespace)
    made: Any = intrinsic(namespace[name])
    made.__content__ = content
    return made


def plainly(fn: Any) -> Any:
    """The same call where the loop runs as plain Python: the address does not matter."""

    def call(address: int, *arguments: Any) -> Any:
        return fn(*arguments)

    return call


def _view(axes: int) -> Any:
    """`view(buffer, where, k)`: leaf k of the arena as an array of `axes` axes."""

    def declare(context: Any, buffer: Any, where: Any, k: Any) -> Any:
        made = types.Array(buffer.dtype, axes, "C")

        def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            source = context.make_array(signature.args[0])(context, builder, values[0])
            table = context.make_array(signature.args[1])(context, builder, values[1])
            first = builder.mul(values[2], cgutils.intp_t(WHERE_COLUMNS))

            def entry(column: int) -> Any:
                return builder.load(builder.gep(table.data, [builder.add(first, cgutils.intp_t(column))]))

            data = builder.gep(source.data, [entry(0)])
            shape = [entry(2 + i) for i in range(axes)]
            return _array(context, builder, made, source, data, shape)

        return made(buffer, where, types.int64), generate

    return intrinsic(declare)


def _array(context: Any, builder: Any, kind: Any, source: Any, data: Any, shape: list[Any]) -> Any:
    """A C-contiguous array of 8-byte values at `data`, which lies within `source`."""
    size = cgutils.intp_t(8)
    strides = [size]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    made = context.make_array(kind)(context, builder)
    arrayobj.populate_array(
        made, data=data, shape=shape, strides=strides, itemsize=size, meminfo=source.meminfo, parent=source.parent
    )
    return impl_ret_borrowed(context, builder, kind, made._getvalue())


def _row(context: Any, panel: Any, t: Any) -> Any:
    """`row(panel, t)`: row t of a panel, the value itself where the panel is a series. t is in range by construction."""
    returns = panel.dtype if panel.ndim == 1 else types.Array(panel.dtype, panel.ndim - 1, "C")

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, values[0])
        lengths = cgutils.unpack_tuple(builder, source.shape, signature.args[0].ndim)
        first = values[1]
        for length in lengths[1:]:
            first = builder.mul(first, length)
        data = builder.gep(source.data, [first])
        if signature.args[0].ndim == 1:
            return builder.load(data)
        return _array(context, builder, signature.return_type, source, data, lengths[1:])

    return returns(panel, types.int64), generate


_row.__name__ = "row"
row: Any = intrinsic(_row)

# What the loop does beside calling layers, compiled by itself and called by address too.


def record(block: Any, number: int, t: int, values: Any) -> None:
    """Row t of one recorded panel. Raises where a layer returned another number of symbols."""
    if values.shape[0] != block.shape[2]:
        raise ValueError("a step layer returned another number of symbols than there are")
    for i in range(values.shape[0]):
        block[number, t, i] = values[i]


def append(block: Any, number: int, first: int, count: int, values: Any) -> None:
    """`count` entries of one column of a log, from `first` on."""
    for i in range(count):
        block[number, first + i] = values[i]


def keep(buffer: Any, where: Any, leaf: int, count: int, values: Any) -> None:
    """The first `count` entries of a leaf of the arena. Raises where they are more than it holds."""
    if count > where[leaf, 1] - where[leaf, 0]:
        raise ValueError("a delayed log has more entries than the arena holds")
    for i in range(count):
        buffer[where[leaf, 0] + i] = values[i]


def helpers(*, compiled: bool) -> dict[str, Any]:
    """The names of the generated source that are not layers."""
    if not compiled:
        plain_view = {f"view_{axes}": _plain_view for axes in (1, 2, 3)}
        return {**plain_view, "row": _plain_row, "record": record, "append": append, "keep": keep}
    return {"view_1": _view(1), "view_2": _view(2), "view_3": _view(3), "row": row}


def _plain_view(buffer: Any, where: Any, leaf: int) -> Any:
    flat = buffer[where[leaf, 0] : where[leaf, 1]]
    axes = int(where[leaf, WHERE_COLUMNS - 1])
    return flat.reshape(tuple(where[leaf, 2 : 2 + axes]))


def _plain_row(panel: Any, t: int) -> Any:
    return panel[t]
