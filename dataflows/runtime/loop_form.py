"""The form of a step layer that the account loop calls: nothing in it has an owner, so nothing counts references.

What the loop hands over lives longer than the call, rows come off the loop's block (`scratch.py`), and what a layer took from
the heap all the same is copied off it when the layer returns.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

from numba.core import callconv, cgutils, ir, types
from numba.core.lowering import Lower

from dataflows.runtime.lent import compiler_with, without_owner
from dataflows.runtime.scratch import array_at, is_rows, without_owners

CONTENT: Final = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""What the cache of machine code tells versions of this file by."""


class _Ownerless(Lower):  # type: ignore[misc]  # numba ships no types
    def extract_function_arguments(self) -> Any:
        given = super().extract_function_arguments()
        kinds = self.fndesc.argtypes
        self.fnargs = [without_owner(self.context, self.builder, k, v) for k, v in zip(kinds, given, strict=True)]
        return self.fnargs

    def lower_inst(self, inst: Any) -> None:
        """Machine code of one instruction of numba's."""
        kind = self.fndesc.restype
        if not isinstance(inst, ir.Return) or isinstance(kind, types.Optional):  # of which the engine says what is wrong
            super().lower_inst(inst)
            return
        value = without_owners(self.context, self.builder, kind, self.loadvar(inst.value.name))
        if isinstance(kind, types.BaseTuple):
            _leave(self.context, self.builder, self.builder.function.args[0], kind, value)
            self.call_conv._return_errcode_raw(self.builder, callconv.RETCODE_OK)
        else:
            self.call_conv.return_value(self.builder, self.context.get_return_value(self.builder, kind, value))


def _leave(context: Any, builder: Any, place: Any, kind: Any, value: Any) -> None:
    """Stores what anybody reads of a value: of an array, where its values lie and its lengths. The rest follows (`array_in`):
    five words of each of a hundred and fifty arrays a bar."""
    if isinstance(kind, types.BaseTuple):
        for i, inner in enumerate(kind.types):
            _leave(context, builder, cgutils.gep_inbounds(builder, place, 0, i), inner, builder.extract_value(value, i))
    elif is_rows(kind):
        array = context.make_array(kind)(context, builder, value)
        for name in ("data", "shape"):
            at = context.data_model_manager[kind].get_field_position(name)
            builder.store(getattr(array, name), cgutils.gep_inbounds(builder, place, 0, at))
    else:
        builder.store(context.data_model_manager[kind].as_data(builder, value), place)


def array_in(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The array of which a slot of the loop says where its values lie and its lengths."""
    if not is_rows(kind):
        return without_owner(context, builder, kind, value)
    source = context.make_array(kind)(context, builder, value)
    shape = cgutils.unpack_tuple(builder, source.shape, kind.ndim)
    return array_at(context, builder, kind, source.data, shape, None)._getvalue()


LoopLayerCompiler: Final = compiler_with(_Ownerless, "ownerless_lowering")
"""Of step layers that only the account loop calls."""
