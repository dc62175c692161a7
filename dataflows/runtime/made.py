"""What a layer needs of its configuration beyond the numbers in it: tables and weights, made once, in Python.

As Python, `made_once` is a memo. Compiled code cannot make the value, but finds it: it compares the arguments with those that a
value was made for, and reads what was made where it lies. So a layer that calls such a function can be compiled as a whole
(drivers/engine/one_bar). It must have run in Python first.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Generic, ParamSpec, TypeVar

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

P = ParamSpec("P")
R = TypeVar("R")
nb: Any = numba  # its own annotations leave out what a compiler's user needs

WORD: Final = ir.IntType(64)
CONTENT: Final = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""What the cache of machine code tells versions of this file by."""


class NotNativeError(TypeError):
    """A value or a layer has no form in compiled code. The message says why."""


def words_of(kind: Any, value: Any) -> Iterator[int]:
    """A value as it lies in memory, in words of 8 bytes. The arrays in it have no owner: whoever made them keeps them.

    kind: numba's type of it, or that of a record with some of its fields. Raises NotNativeError for what is not made of numbers
    of 8 bytes and of arrays of the declared type.
    """
    if isinstance(kind, types.BaseNamedTuple):
        for name, inner in zip(kind.fields, kind.types, strict=True):
            yield from words_of(inner, getattr(value, name))
    elif isinstance(kind, types.BaseTuple):
        for inner, part in zip(kind.types, value, strict=True):
            yield from words_of(inner, part)
    elif isinstance(kind, types.Array):
        if nb.typeof(value) != kind:
            raise NotNativeError(f"is {nb.typeof(value)}, not {kind}")
        yield from (0, 0, value.size, value.itemsize, value.ctypes.data, *value.shape, *value.strides)
    elif kind == nb.float64:
        yield struct.unpack("q", struct.pack("d", value))[0]
    elif isinstance(kind, types.Integer) and kind.bitwidth == 64:
        yield int(value)
    else:
        raise NotNativeError(f"is {kind}, which is no number of 8 bytes")


class MadeOnce(Generic[P, R]):
    """A function of numbers, and tuples of numbers, whose results are kept."""

    def __init__(self, fn: Callable[P, R]) -> None:
        self.fn = self.__memo_of__ = fn
        self.name = fn.__name__
        functools.update_wrapper(self, fn)
        self._memo: dict[Any, R] = {}
        self._rows: list[list[int]] = []
        self._kinds: tuple[Any, Any] | None = None  # of the arguments and of the result
        self._tables: list[Any] = []  # the last is in use; compiled code may still be reading one before it
        self._state = np.zeros(2, np.int64)  # number of rows, address of the first
        self._symbol = f"stratoquant_made_{fn.__module__}.{fn.__qualname__}"
        llvmlite.binding.add_symbol(self._symbol, self._state.ctypes.data)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return self._memo[args]
        except KeyError:
            made = self._memo[args] = self.fn(*args, **kwargs)
            self._keep(args, made)
            return made

    def _keep(self, args: Any, made: R) -> None:
        kinds = nb.typeof(args), nb.typeof(made)
        if self._kinds not in (None, kinds):
            return  # compiled code is made for arguments of the first types, and does not find others
        self._kinds = kinds
        self._rows.append([*words_of(kinds[0], args), *words_of(kinds[1], made)])
        self._tables.append(np.array(self._rows, np.int64))
        self._state[:] = len(self._rows), self._tables[-1].ctypes.data

    @property
    def native(self) -> Any:
        """What compiled code calls in its place. Raises TypingError, while a caller is compiled, where nothing was made yet."""
        names = self.fn.__code__.co_varnames[: self.fn.__code__.co_argcount]

        def declare(*given: Any) -> Any:
            if self._kinds is None:
                raise TypingError(f"{self.name} was not called yet")
            takes, returns = self._kinds
            if tuple(map(types.unliteral, given)) != tuple(takes):
                raise TypingError(f"{self.name} was called with {takes}, not with {given}")
            return returns(*takes), self._generate

        namespace: dict[str, Any] = {"declare": declare}
        exec(f"def {self.name}(context, {', '.join(names)}): return declare({', '.join(names)})", namespace)
        found = intrinsic(namespace[self.name])
        found.__content__ = f"{CONTENT} {self._symbol} {self._kinds}"
        return found

    def _generate(self, context: Any, builder: Any, signature: Any, values: Any) -> Any:
        asked = [word for kind, value in zip(signature.args, values, strict=True) for word in _words(builder, kind, value)]
        size = context.get_abi_sizeof(context.get_data_type(signature.return_type)) // 8
        state = builder.module.globals.get(self._symbol)
        if state is None:
            state = ir.GlobalVariable(builder.module, ir.ArrayType(WORD, 2), self._symbol)
        count, first = (builder.load(builder.gep(state, [WORD(0), WORD(i)])) for i in range(2))
        rows = builder.inttoptr(first, WORD.as_pointer())
        found = cgutils.alloca_once_value(builder, WORD(-1))
        with cgutils.for_range(builder, count) as loop:
            start = builder.mul(loop.index, WORD(len(asked) + size))
            same = cgutils.true_bit
            for i, word in enumerate(asked):
                kept = builder.load(builder.gep(rows, [builder.add(start, WORD(i))]))
                same = builder.and_(same, builder.icmp_signed("==", kept, word))
            with builder.if_then(same):
                builder.store(builder.add(start, WORD(len(asked))), found)
        place = builder.load(found)
        with cgutils.if_unlikely(builder, builder.icmp_signed("<", place, WORD(0))):
            context.call_conv.return_user_exc(builder, KeyError, (f"{self.name} was not made for these numbers yet",))
        kind = signature.return_type
        value = builder.bitcast(builder.gep(rows, [place]), context.get_data_type(kind).as_pointer())
        loaded = context.data_model_manager[kind].load_from_data_pointer(builder, value)
        return impl_ret_borrowed(context, builder, kind, loaded)


def _words(builder: Any, kind: Any, value: Any) -> Iterator[Any]:
    if isinstance(kind, types.BaseTuple):
        for i, inner in enumerate(kind.types):
            yield from _words(builder, inner, builder.extract_value(value, i))
    else:
        yield builder.bitcast(value, WORD) if kind == types.float64 else value


def made_once(fn: Callable[P, R]) -> MadeOnce[P, R]:
    """For a function of numbers, or tuples of numbers, that a layer calls with its configuration: its result is made once and
    kept. The result is an array, a number, or a tuple or record of them. Call it with positional arguments."""
    return MadeOnce(fn)
