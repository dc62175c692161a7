"""Rows that live for one instant: what a step layer fills and returns.

A small array from the heap costs more to make, count and free than to fill, and the account side needs a hundred of them a bar.
In compiled code, while the account loop runs, `full` cuts them off one block of memory instead, which the loop reuses: no
allocation, no count of references, nothing to free. The block has two halves that take turns, since the orders of one instant
are read in the next. Whatever does not fit, and all that is made while no loop runs, comes from the heap as ever: the block
saves time, and is never a limit. As plain Python, `full` is `np.full`.

Code that only the loop runs (`compile.loop_layer`) never asks whether a row has an owner: none has. What does not fit into the
block lies in a chain of pieces of the heap, which the loop gives back two instants later.
"""

from __future__ import annotations

import ctypes
import hashlib
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final, TypeVar, overload

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.imputils import impl_ret_new_ref
from numba.extending import intrinsic, lower_builtin, type_callable
from numba.np import arrayobj

from dataflows.panel import Floats, Ints

Rows = TypeVar("Rows", Floats, Ints)

_AT, _END, _BASE, _HALF, _MISSED, _WORST, _YOUNG, _OLD = range(8)
# addresses of the next free byte and of the first beyond what is free (0 and 0: no loop runs); the block's address; bytes in a
# half; bytes that did not fit in this instant, and the most that did not in any; the chains of what did not fit in this instant
# and in the one before
_STATE: Final = np.zeros(8, np.int64)
_SYMBOL: Final = "stratoquant_scratch"  # by this name machine code finds _STATE, also code that another process has cached
_MORE, _GIVE_BACK = "stratoquant_scratch_more", "stratoquant_scratch_give_back"
_ALIGN: Final = 16
_LEAST, _MOST = 1 << 16, 1 << 26  # bytes in a half
_block: list[Any] = []
_LOCK: Final = threading.Lock()
_COMPILING: Final = threading.local()

_LIBRARY: Final = ctypes.CDLL(None)
llvmlite.binding.add_symbol(_SYMBOL, _STATE.ctypes.data)


@overload
def full(shape: int | tuple[int, int], value: int) -> Ints: ...
@overload
def full(shape: int | tuple[int, int], value: float) -> Floats: ...
def full(shape: Any, value: Any) -> Any:
    """A row (n,), or a table (m, n), full of `value`: int64 of an int, float64 of a float. It lives until the next instant."""
    return np.full(shape, value, np.int64 if isinstance(value, int) else np.float64)


def copied(row: Rows) -> Rows:
    """A copy of a row or table that lives as long as what `full` makes."""
    made: Rows = row.copy()
    return made


def takes_rows(fn: Callable[..., Any]) -> bool:
    """Whether a layer, or anything of ours that it calls, takes rows from here: then it may not run beside the account loop."""
    seen: set[int] = set()

    def visit(x: Any) -> bool:
        x = getattr(x, "py_func", x)
        if x is full or x is copied:
            return True
        if not isinstance(x, FunctionType) or id(x) in seen:
            return False
        seen.add(id(x))
        inner = [c for c in x.__code__.co_consts if isinstance(c, CodeType)]
        names = {name for code in (x.__code__, *inner) for name in code.co_names}
        cells = [cell.cell_contents for cell in x.__closure__ or ()]
        found = [*(x.__globals__[name] for name in names if name in x.__globals__), *cells]
        modules = [y for y in found if isinstance(y, ModuleType)]
        by_module = any(getattr(y, name, None) is kernel for y in modules for name in names for kernel in (full, copied))
        return by_module or any(map(visit, found))

    return visit(fn)


@contextmanager
def compiling(*, for_loop: bool) -> Iterator[None]:
    """While this holds, this thread compiles for the account loop alone, or for whoever calls."""
    before = for_loop_alone()
    _COMPILING.for_loop = for_loop
    try:
        yield
    finally:
        _COMPILING.for_loop = before


def for_loop_alone() -> bool:
    """Whether what this thread compiles runs in the account loop alone."""
    return bool(getattr(_COMPILING, "for_loop", False))


@contextmanager
def open_block() -> Iterator[None]:
    """While this holds, compiled code cuts its rows off the block. One loop at a time: the block is the process's."""
    with _LOCK:
        ready()
        try:
            yield
        finally:
            over()


def ready() -> None:
    """Before the loop is called: room for what did not fit the last time."""
    half, lacks = max(_LEAST, int(_STATE[_HALF])), int(_STATE[_WORST])
    while half < _MOST and lacks > 0:
        half, lacks = 2 * half, lacks - half
    if half != _STATE[_HALF]:
        block = np.empty(2 * half, np.uint8)
        _STATE[:] = 0, 0, block.ctypes.data, half, 0, 0, 0, 0
        _block[:] = [block]
    _STATE[_MISSED], _STATE[_WORST] = 0, 0


def over() -> None:
    """After the loop, also where it has failed: from here on `full` takes from the heap."""
    _STATE[:2] = 0
    _STATE[_WORST] = max(_STATE[_MISSED], _STATE[_WORST])
    for chain in (_YOUNG, _OLD):
        piece, _STATE[chain] = int(_STATE[chain]), 0
        while piece:
            following = ctypes.c_int64.from_address(piece).value
            _LIBRARY.free(ctypes.c_void_p(piece))
            piece = following


# ---- compiled


def _entries(builder: Any) -> list[Any]:
    """Pointers to the entries of _STATE."""
    word = ir.IntType(64)
    kind = ir.ArrayType(word, len(_STATE))
    found = builder.module.globals.get(_SYMBOL)
    if found is None:
        found = ir.GlobalVariable(builder.module, kind, _SYMBOL)
    return [builder.gep(found, [word(0), word(i)], inbounds=True) for i in range(len(_STATE))]


def _declare(shape: Any, value: Any) -> Any:
    axes = 1 if isinstance(shape, types.Integer) else len(shape) if isinstance(shape, types.BaseTuple) else 0
    if axes not in (1, 2) or isinstance(value, types.Boolean):
        return None
    if isinstance(value, types.Integer):
        return types.Array(types.int64, axes, "C")
    return types.Array(types.float64, axes, "C") if isinstance(value, types.Float) else None


@type_callable(full)  # type: ignore[untyped-decorator]  # numba ships no types
def _fresh_type(context: Any) -> Any:
    return _declare


def _cut(context: Any, builder: Any, kind: Any, shape: list[Any]) -> Any:
    """An array of 8-byte values off the block, or off the heap."""
    at, end, _, _, missed, *_ = _entries(builder)
    word = cgutils.intp_t
    size = word(8)
    for length in shape:
        size = builder.mul(size, length)
    size = builder.and_(builder.add(size, word(_ALIGN - 1)), word(-_ALIGN))
    pointer = context.get_value_type(kind.dtype).as_pointer()
    free = builder.load(at)
    room = builder.sub(builder.load(end), free)
    if for_loop_alone():
        place = cgutils.alloca_once_value(builder, free)
        with builder.if_else(builder.icmp_unsigned("<=", size, room), likely=True) as (fits, misses):
            with fits:
                builder.store(builder.add(free, size), at)
            with misses:
                builder.store(builder.call(_more(builder.module), [size]), place)
        data = builder.inttoptr(builder.load(place), pointer)
        return array_at(context, builder, kind, data, shape, None)
    meminfo = cgutils.alloca_once_value(builder, cgutils.voidptr_t(None))
    first = cgutils.alloca_once(builder, pointer)
    with builder.if_else(builder.icmp_unsigned("<=", size, room), likely=True) as (fits, misses):
        with fits:
            builder.store(builder.add(free, size), at)
            builder.store(builder.inttoptr(free, pointer), first)
        with misses:
            builder.store(builder.add(builder.load(missed), size), missed)
            made = context.nrt.meminfo_alloc_aligned(builder, size, ir.IntType(32)(_ALIGN))
            builder.store(made, meminfo)
            builder.store(builder.bitcast(context.nrt.meminfo_data(builder, made), pointer), first)
    return array_at(context, builder, kind, builder.load(first), shape, builder.load(meminfo))


def array_at(context: Any, builder: Any, kind: Any, data: Any, shape: list[Any], meminfo: Any) -> Any:
    """A C-contiguous array of 8-byte values at `data`, of these lengths."""
    strides = [cgutils.intp_t(8)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = context.make_array(kind)(context, builder)
    arrayobj.populate_array(array, data=data, shape=shape, strides=strides, itemsize=cgutils.intp_t(8), meminfo=meminfo)
    return array


def _own_function(module: Any, name: str, kind: Any) -> tuple[Any, Any]:
    """A function of this file in a module, apart from the code that seldom calls it; and a builder where it has no code yet."""
    found = module.globals.get(name)
    if found is not None:
        return found, None
    made = ir.Function(module, kind, name)
    made.linkage = "linkonce_odr"
    for attribute in ("noinline", "cold", "nounwind"):
        made.attributes.add(attribute)
    return made, ir.IRBuilder(made.append_basic_block("entry"))


def _more(module: Any) -> Any:
    """`more(size)`: the address of so many bytes of the heap, which the loop gives back at the turn after the next. The
    process ends where there are none."""
    word = ir.IntType(64)
    made, builder = _own_function(module, _MORE, ir.FunctionType(word, [word]))
    if builder is None:
        return made
    _, _, _, _, missed, _, young, _ = _entries(builder)
    (size,) = made.args
    take = cgutils.get_or_insert_function(module, ir.FunctionType(cgutils.voidptr_t, [word]), "malloc")
    stop = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), []), "abort")
    piece = builder.call(take, [builder.add(size, word(_ALIGN))])
    with cgutils.if_unlikely(builder, cgutils.is_null(builder, piece)):
        builder.call(stop, [])
    builder.store(builder.add(builder.load(missed), size), missed)
    builder.store(builder.load(young), builder.bitcast(piece, word.as_pointer()))
    address = builder.ptrtoint(piece, word)
    builder.store(address, young)
    builder.ret(builder.add(address, word(_ALIGN)))
    return made


def _give_back(module: Any) -> Any:
    """`give_back(piece)`: frees a chain of what `more` gave."""
    word = ir.IntType(64)
    made, builder = _own_function(module, _GIVE_BACK, ir.FunctionType(ir.VoidType(), [word]))
    if builder is None:
        return made
    free = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t]), "free")
    loop, end = made.append_basic_block("loop"), made.append_basic_block("end")
    entry = builder.block
    builder.branch(loop)
    builder.position_at_end(loop)
    piece = builder.phi(word)
    piece.add_incoming(made.args[0], entry)
    at = builder.inttoptr(piece, word.as_pointer())
    following = builder.load(at)
    builder.call(free, [builder.bitcast(at, cgutils.voidptr_t)])
    piece.add_incoming(following, loop)
    builder.cbranch(builder.icmp_unsigned("!=", following, word(0)), loop, end)
    builder.position_at_end(end)
    builder.ret_void()
    return made


def without_owners(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """What a layer returns, off the block: arrays that it took from the heap are copied, and let go."""
    if isinstance(kind, types.BaseTuple):
        parts = [without_owners(context, builder, t, builder.extract_value(value, i)) for i, t in enumerate(kind.types)]
        return context.make_tuple(builder, kind, parts)
    if not is_rows(kind):
        return value
    source = context.make_array(kind)(context, builder, value)
    place = cgutils.alloca_once_value(builder, source.data)
    with cgutils.if_unlikely(builder, cgutils.is_not_null(builder, source.meminfo)):
        array = _cut(context, builder, kind, cgutils.unpack_tuple(builder, source.shape, kind.ndim))
        cgutils.raw_memcpy(builder, array.data, source.data, source.nitems, cgutils.intp_t(8))
        builder.store(array.data, place)
        context.nrt.decref(builder, kind, value)
    source.data, source.meminfo = builder.load(place), cgutils.get_null_value(source.meminfo.type)
    return source._getvalue()


def is_rows(kind: Any) -> bool:
    """Whether numba's type `kind` is of what `full` makes."""
    return isinstance(kind, types.Array) and kind.dtype in (types.float64, types.int64) and kind.layout == "C"


def _make(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    kind = signature.return_type
    asked, value = signature.args
    if isinstance(asked, types.BaseTuple):
        given = zip(cgutils.unpack_tuple(builder, values[0]), asked, strict=True)
    else:
        given = zip([values[0]], [asked], strict=True)
    shape = [context.cast(builder, v, t, types.intp) for v, t in given]
    negative = cgutils.false_bit
    for length in shape:
        negative = builder.or_(negative, builder.icmp_signed("<", length, cgutils.intp_t(0)))
    with cgutils.if_unlikely(builder, negative):
        context.call_conv.return_user_exc(builder, ValueError, ("negative dimensions are not allowed",))
    array = _cut(context, builder, kind, shape)
    full = context.cast(builder, values[1], value, kind.dtype)
    if for_loop_alone():  # of one symbol, a call of `memset` costs more than the value
        with builder.if_else(builder.icmp_unsigned("==", array.nitems, cgutils.intp_t(1))) as (one, several):
            with one:
                builder.store(full, array.data)
            with several, cgutils.for_range(builder, array.nitems) as loop:
                builder.store(full, builder.gep(array.data, [loop.index], inbounds=True))
        return impl_ret_new_ref(context, builder, kind, array._getvalue())
    with cgutils.for_range(builder, array.nitems) as loop:
        builder.store(full, builder.gep(array.data, [loop.index], inbounds=True))
    return impl_ret_new_ref(context, builder, kind, array._getvalue())


@type_callable(copied)  # type: ignore[untyped-decorator]
def _copied_type(context: Any) -> Any:
    def declare(row: Any) -> Any:
        return types.Array(row.dtype, row.ndim, "C") if is_rows(row) else None

    return declare


@lower_builtin(copied, types.Array)  # type: ignore[untyped-decorator]
def _copy(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    kind = signature.return_type
    source = context.make_array(signature.args[0])(context, builder, values[0])
    array = _cut(context, builder, kind, cgutils.unpack_tuple(builder, source.shape, kind.ndim))
    with cgutils.for_range(builder, array.nitems) as loop:
        value = builder.load(builder.gep(source.data, [loop.index], inbounds=True))
        builder.store(value, builder.gep(array.data, [loop.index], inbounds=True))
    return impl_ret_new_ref(context, builder, kind, array._getvalue())


for _shape in (types.Integer, types.BaseTuple):
    for _value in (types.Integer, types.Float):
        lower_builtin(full, _shape, _value)(_make)


@intrinsic  # type: ignore[untyped-decorator]
def turn(context: Any, t: Any) -> Any:
    """`turn(t)`: instant t begins; the half of instant t - 2 is free again."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        at, end, base, half, missed, worst, young, old = _entries(builder)
        size = builder.load(half)
        which = builder.and_(values[0], cgutils.intp_t(1))
        first = builder.add(builder.load(base), builder.mul(which, size))
        builder.store(first, at)
        builder.store(builder.add(first, size), end)
        lacked, most = builder.load(missed), builder.load(worst)
        builder.store(builder.select(builder.icmp_signed(">", lacked, most), lacked, most), worst)
        builder.store(cgutils.intp_t(0), missed)
        pieces = builder.load(old)
        with cgutils.if_unlikely(builder, builder.icmp_unsigned("!=", pieces, cgutils.intp_t(0))):
            builder.call(_give_back(builder.module), [pieces])
        builder.store(builder.load(young), old)
        builder.store(cgutils.intp_t(0), young)
        return context.get_dummy_value()

    return types.none(types.int64), generate


# what the cache of machine code tells versions of these by
_PARTS = (_entries, _cut, array_at, is_rows, _own_function, _more, _give_back, without_owners, _make, _copy)
_CONTENT = hashlib.sha256("".join(map(inspect.getsource, _PARTS)).encode()).hexdigest()
full.__content__ = copied.__content__ = _CONTENT  # type: ignore[attr-defined]
turn.__content__ = hashlib.sha256(f"{inspect.getsource(turn._defn)}{_CONTENT}".encode()).hexdigest()
