"""Carries are lent to compiled code: their arrays are not counted.

Who takes an array out of a record counts a reference up and down, by an instruction that all cores see: for a window's state,
that cost ten times its arithmetic. The memory of a carry belongs to the engine, whichever kernel looks at it. So where a carry
comes from Python, its arrays have no owner inside of the machine code, and the compiler drops the counting. What a layer gives
may be no view of its carry: the next chunk would change it.

A helper borrows what its caller has, in the same way, for as long as it runs. One that gives arrays counts: they may be its
caller's.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from typing import Any, Final

from numba.core import boxing, cgutils, types
from numba.core.compiler import Compiler
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering
from numba.extending import NativeValue, unbox

from dataflows.carry import Axes
from dataflows.panel import fields_of, is_record, unwrap_generic


@functools.cache
def is_carry(record: Any) -> bool:
    """Whether a NamedTuple class is a carry: its annotations say along which axes its arrays start."""
    try:
        fields = fields_of(record).values()
    except NameError:  # a class whose annotations are not at hand is no carry of a layer
        return False
    return any(
        any(isinstance(meta, Axes) for meta in getattr(t, "__metadata__", ()))
        or (is_record(unwrap_generic(t)) and is_carry(unwrap_generic(t)))
        for t in fields
    )


def without_owner(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """An array, or a record of arrays, with nobody to count references to it."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        parts = [without_owner(context, builder, t, builder.extract_value(value, i)) for i, t in enumerate(kind.types)]
        return context.make_tuple(builder, kind, parts)
    return value


@unbox(types.NamedTuple)  # type: ignore[untyped-decorator]  # numba ships no types
@unbox(types.NamedUniTuple)  # type: ignore[untyped-decorator]
def _unbox(kind: Any, record: Any, c: Any) -> Any:
    native = boxing.unbox_tuple(kind, record, c)
    if not is_carry(kind.instance_class):
        return native

    def give_back() -> None:
        if native.cleanup is not None:
            native.cleanup()
        c.context.nrt.decref(c.builder, kind, native.value)  # numba does this of what the kernel was given, which has no owner

    return NativeValue(without_owner(c.context, c.builder, kind, native.value), native.is_error, give_back)


def has_array(kind: Any) -> bool:
    """Whether there is an array in a value of numba's type `kind`, as far as one cannot rule it out."""
    if isinstance(kind, types.BaseTuple):
        return any(map(has_array, kind.types))
    return not isinstance(kind, (types.Number, types.Boolean, types.NoneType))


class _Borrowing(Lower):  # type: ignore[misc]
    """Machine code of a function that counts no references to what it is given, where it gives no array itself."""

    def extract_function_arguments(self) -> Any:
        given = super().extract_function_arguments()
        if not has_array(self.fndesc.restype):
            kinds = self.fndesc.argtypes
            given = [without_owner(self.context, self.builder, k, v) for k, v in zip(kinds, given, strict=True)]
        self.fnargs = given
        return given


def compiler_with(lowering: type[Lower], name: str) -> type[Compiler]:
    """numba's compiler with another way to make the machine code. name: of the pass that does."""

    @register_pass(mutates_CFG=True, analysis_only=False)
    class OwnLowering(NativeLowering):  # type: ignore[misc]
        _name = name

        @property
        def lowering_class(self) -> Any:
            """What numba calls to make the machine code."""
            return lowering

    class OwnCompiler(Compiler):  # type: ignore[misc]
        def define_pipelines(self) -> list[Any]:
            """numba's own passes, but for the lowering."""
            made: list[Any] = super().define_pipelines()
            for manager in made:
                manager.passes = [(OwnLowering if p is NativeLowering else p, text) for p, text in manager.passes]
            return made

    return OwnCompiler


HelperCompiler: Final = compiler_with(_Borrowing, "borrowing_lowering")
"""Of functions that only compiled code calls."""

_PARTS: Final = (is_carry, without_owner, _unbox, has_array, _Borrowing)
CONTENT: Final = hashlib.sha256("".join(map(inspect.getsource, _PARTS)).encode()).hexdigest()
"""What the cache of machine code tells versions of this file by."""
