"""Carries are lent to compiled code: their arrays are not counted.

Who takes an array out of a record counts a reference up and down, by an instruction that all cores see: for a window's state,
that cost ten times its arithmetic. The memory of a carry belongs to the engine, whichever kernel looks at it. So where a carry
comes from Python, its arrays have no owner inside of the machine code, and the compiler drops the counting. What a layer gives
may be no view of its carry: the next chunk would change it.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from typing import Any, Final

from numba.core import boxing, cgutils, types
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


CONTENT: Final = hashlib.sha256("".join(inspect.getsource(f) for f in (is_carry, without_owner, _unbox)).encode()).hexdigest()
"""What the cache of machine code tells versions of this file by."""
