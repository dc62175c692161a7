"""Calls of compiled layers by their address.

Where compiled code calls compiled code, numba links the callee's code into the caller and optimises all of it again: a loop
over fifteen layers then takes minutes to compile. Called by address, each layer is compiled once, by itself, and the loop is
compiled without any of them. Addresses are arguments of the loop, so that its machine code can be cached.
"""

from __future__ import annotations

from typing import Any, Final

from numba.core import callconv, cgutils, types
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.extending import intrinsic
from numba.np import arrayobj

from dataflows.runtime.scratch import turn
from drivers.engine.loop.records import (
    CONTENT,
    Handed,
    Lent,
    Slot,
    decref_all,
    field_place,
    handed,
    is_record,
    named,
    take_over,
)

OTHER_NUMBER: Final = "a step layer returned another number of symbols than there are"
WHERE_COLUMNS: Final = 6
"""Columns of the table of arena leaves: start, stop, up to three lengths, number of axes."""


def address_of(compiled: Any, signature: tuple[Any, ...]) -> int:
    """Where the machine code of a compiled function lies, for arguments of these types."""
    result = compiled.overloads[signature]
    return int(result.library.get_pointer_to_function(result.fndesc.llvm_func_name))


def by_address(name: str, returns: Any, given: tuple[Any, ...], held: type[Handed] = Slot) -> Any:
    """A function for compiled code that calls the layer at `address` in numba's own convention: `f(address, *arguments)`. Where
    the layer returns a record, it is `f(address, slot, *arguments)` and leaves the record in the slot.

    given: types of the arguments; records are handed over by their slots. held: what the slot of the result is. An error in the
    layer is raised in the caller.
    """
    takes = tuple(handed(kind) for kind in given)

    def call(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        convention = context.call_conv
        pointer = builder.inttoptr(values[0], convention.get_function_type(returns, takes).as_pointer())
        status, result = convention.call_function(builder, pointer, returns, takes, values[1:])
        _raise(context, builder, status)
        return impl_ret_new_ref(context, builder, returns, result)

    def call_into(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        convention = context.call_conv
        pointer = builder.inttoptr(values[0], convention.get_function_type(returns, takes).as_pointer())
        if issubclass(held, Lent):
            decref_all(context, builder, returns, values[1])
        error = cgutils.alloca_once(builder, callconv.excinfo_ptr_t, name="excinfo")
        words = context.get_arg_packer(takes).as_arguments(builder, values[2:])
        code = builder.call(pointer, [values[1], error, *words])
        _raise(context, builder, convention._get_return_status(builder, code, builder.load(error)))
        return values[1]

    own = ["address", *(f"x{i}" for i in range(len(given)))]
    if is_record(returns):
        made = named(name, ["address", "slot", *own[1:]], held(returns)(types.int64, held(returns), *given), call_into)
    else:
        made = named(name, own, returns(types.int64, *given), call)
    made.__content__ = f"{CONTENT} {name} {held.__name__} {returns} {given}"
    return made


def _raise(context: Any, builder: Any, status: Any) -> None:
    with cgutils.if_unlikely(builder, status.is_error):
        context.call_conv.return_status_propagate(builder, status)


def python_node(fn: Any, *, into: bool) -> Any:
    """The same call where the loop runs as plain Python: the address does not matter, and neither does the slot."""

    def call(address: int, *arguments: Any) -> Any:
        return fn(*arguments)

    def call_into(address: int, slot: None, *arguments: Any) -> Any:
        return fn(*arguments)

    return call_into if into else call


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
            if path:
                place, kind = field_place(builder, kind, value, path)
                value = builder.load(place)
            source = context.make_array(kind)(context, builder, value)
            wrong = builder.or_(wrong, builder.icmp_unsigned("!=", builder.extract_value(source.shape, 0), symbols))
            builder.store(builder.bitcast(source.data, pointer), builder.gep(table, [word(k)]))
        with cgutils.if_unlikely(builder, wrong):
            context.call_conv.return_user_exc(builder, ValueError, (OTHER_NUMBER,))
        first = builder.gep(builder.bitcast(target.data, pointer), [builder.mul(values[1], symbols)])
        with builder.if_else(builder.icmp_unsigned("==", symbols, word(1))) as (one, several):
            with one:
                for k in range(len(leaves)):
                    source = builder.load(builder.gep(table, [word(k)]))
                    builder.store(builder.load(source), builder.gep(first, [builder.mul(word(k), bars)]))
            with several, cgutils.for_range(builder, word(len(leaves))) as outer:
                source = builder.load(builder.gep(table, [outer.index]))
                into = builder.gep(first, [builder.mul(outer.index, builder.mul(bars, symbols))])
                with cgutils.for_range(builder, symbols) as inner:
                    builder.store(builder.load(builder.gep(source, [inner.index])), builder.gep(into, [inner.index]))
        return context.get_dummy_value()

    parameters = ["block", "t", *(f"x{i}" for i in range(len(given)))]
    made = named(name, parameters, types.none(block, types.int64, *given), generate)
    made.__content__ = f"{CONTENT} {name} {block} {given} {leaves}"
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
        more = {"turn": _python_turn, "take_over": _python_take_over}
        return {**python_view, **more, "row": _python_row, "append": append, "keep": keep}
    views = {f"view_{axes}": _view(axes) for axes in (1, 2, 3)}
    return {**views, "row": row, "turn": turn, "take_over": take_over}


def _python_view(buffer: Any, where: Any, leaf: int) -> Any:
    flat = buffer[where[leaf, 0] : where[leaf, 1]]
    axes = int(where[leaf, WHERE_COLUMNS - 1])
    return flat.reshape(tuple(where[leaf, 2 : 2 + axes]))


def _python_turn(t: Any) -> None:
    """Plain Python takes each row from the heap, and lets go of it by itself."""


def _python_take_over(mine: Any, new: Any) -> Any:
    return new


def _python_row(panel: Any, t: int) -> Any:
    return panel[t]
