"""Calls of compiled layers by their address.

Where compiled code calls compiled code, numba links the callee's code into the caller and optimises all of it again: a loop
over fifteen layers then takes minutes to compile. Called by address, each layer is compiled once, by itself, and the loop is
compiled without any of them. Addresses are arguments of the loop, so that its machine code can be cached.
"""

from __future__ import annotations

from typing import Any, Final

from numba.core import cgutils, types
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.extending import intrinsic
from numba.np import arrayobj

from dataflows.runtime.scratch import turn

OTHER_NUMBER: Final = "a step layer returned another number of symbols than there are"
WHERE_COLUMNS: Final = 6
"""Columns of the table of arena leaves: start, stop, up to three lengths, number of axes."""


def address_of(compiled: Any, signature: tuple[Any, ...]) -> int:
    """Where the machine code of a compiled function lies, for arguments of these types."""
    result = compiled.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def by_address(name: str, returns: Any, given: tuple[Any, ...], takes: tuple[Any, ...]) -> Any:
    """A function for compiled code: `f(address, *arguments)` calls the layer at `address` in numba's own convention.

    given: types of the arguments. takes: what the layer was compiled for, the same but for fields that it does not read: what
    is handed over goes by the stack, a word at a time. An error in the layer is raised in the caller.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        call = context.call_conv
        kind = call.get_function_type(signature.return_type, takes)
        pointer = builder.inttoptr(values[0], kind.as_pointer())
        less = [_less(context, builder, *x) for x in zip(values[1:], given, takes, strict=True)]
        status, result = call.call_function(builder, pointer, signature.return_type, takes, less)
        with cgutils.if_unlikely(builder, status.is_error):
            call.return_status_propagate(builder, status)
        return impl_ret_new_ref(context, builder, signature.return_type, result)

    made = _named(name, ["address", *(f"x{i}" for i in range(len(given)))], returns(types.int64, *given), generate)
    made.__content__ = f"{name} {returns} {given} {takes}"
    return made


def _named(name: str, parameters: list[str], signature: Any, generate: Any) -> Any:
    """An intrinsic with these parameters: numba folds what a star takes into one tuple."""
    namespace: dict[str, Any] = {"made": (signature, generate)}
    exec(f"def {name}(context, {', '.join(parameters)}): return made", namespace)
    return intrinsic(namespace[name])


def _less(context: Any, builder: Any, value: Any, given: Any, taken: Any) -> Any:
    """The record `value` without the fields that `taken` has not."""
    if given == taken:
        return value
    at = [given.fields.index(f) for f in taken.fields]
    parts = [
        _less(context, builder, builder.extract_value(value, i), given.types[i], t) for i, t in zip(at, taken, strict=True)
    ]
    return context.make_tuple(builder, taken, parts)


def python_node(fn: Any) -> Any:
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
            return _array(context, builder, made, data, shape)

        return made(buffer, where, types.int64), generate

    return intrinsic(declare)


def _array(context: Any, builder: Any, kind: Any, data: Any, shape: list[Any]) -> Any:
    """A C-contiguous array of 8-byte values at `data`, which the loop's caller owns: nothing counts references to it."""
    size = cgutils.intp_t(8)
    strides = [size]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    made = context.make_array(kind)(context, builder)
    arrayobj.populate_array(made, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
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
        return _array(context, builder, signature.return_type, data, lengths[1:])

    return returns(panel, types.int64), generate


_row.__name__ = "row"
row: Any = intrinsic(_row)


def recorder(name: str, block: Any, given: tuple[Any, ...], leaves: list[tuple[int, tuple[str, ...]]]) -> Any:
    """`f(block, t, *records)`: rows t of the recorded panels that a block holds, for compiled code.

    block: type of the block, (leaves, bars, symbols). given: types of the records. leaves: which record, and which of its
    fields, each row of the block takes. Raises where a layer returned another number of symbols.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        word = cgutils.intp_t
        target = context.make_array(block)(context, builder, values[0])
        _, bars, symbols = cgutils.unpack_tuple(builder, target.shape, 3)
        pointer = word.as_pointer()
        table = cgutils.alloca_once(builder, pointer, size=word(len(leaves)))
        wrong = cgutils.false_bit
        for k, (which, path) in enumerate(leaves):
            value, kind = values[2 + which], given[which]
            for field in path:
                i = kind.fields.index(field)
                value, kind = builder.extract_value(value, i), kind.types[i]
            source = context.make_array(kind)(context, builder, value)
            wrong = builder.or_(wrong, builder.icmp_unsigned("!=", builder.extract_value(source.shape, 0), symbols))
            builder.store(builder.bitcast(source.data, pointer), builder.gep(table, [word(k)]))
        with cgutils.if_unlikely(builder, wrong):
            context.call_conv.return_user_exc(builder, ValueError, (OTHER_NUMBER,))
        first = builder.gep(builder.bitcast(target.data, pointer), [builder.mul(values[1], symbols)])
        with cgutils.for_range(builder, word(len(leaves))) as outer:
            source = builder.load(builder.gep(table, [outer.index]))
            into = builder.gep(first, [builder.mul(outer.index, builder.mul(bars, symbols))])
            with cgutils.for_range(builder, symbols) as inner:
                builder.store(builder.load(builder.gep(source, [inner.index])), builder.gep(into, [inner.index]))
        return context.get_dummy_value()

    parameters = ["block", "t", *(f"x{i}" for i in range(len(given)))]
    made = _named(name, parameters, types.none(block, types.int64, *given), generate)
    made.__content__ = f"{name} {block} {given} {leaves}"
    return made


def python_recorder(leaves: list[tuple[int, tuple[str, ...]]]) -> Any:
    """The same as plain Python."""

    def record(block: Any, t: int, *records: Any) -> None:
        for k, (which, path) in enumerate(leaves):
            row = records[which]
            for field in path:
                row = getattr(row, field)
            if len(row) != block.shape[2]:
                raise ValueError(OTHER_NUMBER)
            block[k, t] = row

    return record


# What the loop does beside calling layers, compiled by itself and called by address too.


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
        python_view = {f"view_{axes}": _python_view for axes in (1, 2, 3)}
        return {**python_view, "row": _python_row, "turn": _python_turn, "append": append, "keep": keep}
    return {"view_1": _view(1), "view_2": _view(2), "view_3": _view(3), "row": row, "turn": turn}


def _python_view(buffer: Any, where: Any, leaf: int) -> Any:
    flat = buffer[where[leaf, 0] : where[leaf, 1]]
    axes = int(where[leaf, WHERE_COLUMNS - 1])
    return flat.reshape(tuple(where[leaf, 2 : 2 + axes]))


def _python_turn(t: int) -> None:
    """Plain Python takes each row from the heap."""


def _python_row(panel: Any, t: int) -> Any:
    return panel[t]
