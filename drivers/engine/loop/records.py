"""Records by their place in memory.

numba hands a record on by value: every length, stride and pointer of every array in it is a word that travels at each call. The
loop keeps each record in a `Slot` instead, and a layer is compiled for the `Handed` record, the address of the slot. A field is
loaded where it is read; what is not read costs nothing. No array in a slot has an owner (`dataflows/runtime/loop_form.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed, lower_cast, lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, register_model

from dataflows.runtime.lent import is_carry, without_owner
from dataflows.runtime.loop_form import array_in

WORD: Final = ir.IntType(64)
CONTENT: Final = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
"""What the cache of machine code tells versions of this file by."""


class Handed(types.Type):  # type: ignore[misc]  # numba ships no types
    """A record in the loop's memory, as a layer sees it: nothing writes the record itself while the layer runs."""

    content: Final = CONTENT

    def __init__(self, record: Any) -> None:
        self.record = record
        super().__init__(name=f"{type(self).__name__}({record.name})")

    @property
    def key(self) -> Any:
        """What tells two of these types apart."""
        return self.record


class Slot(Handed):
    """The same memory in the loop, where each instant writes it anew."""


class Lent(Handed):
    """A record in memory, as a columnar layer sees it. The layer hands it on by value, to the kernel that is compiled for calls
    from Python too."""

    @property
    def by_value(self) -> Any:
        """What a kernel takes in its place."""
        return self.record


@register_model(Handed)
@register_model(Slot)
@register_model(Lent)
class _Address(models.PrimitiveModel):  # type: ignore[misc]  # numba ships no types
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, manager.lookup(kind.record).get_data_type().as_pointer())


@infer_getattr
class _Fields(AttributeTemplate):  # type: ignore[misc]  # numba ships no types
    key = Handed

    def generic_resolve(self, handed: Any, name: str) -> Any:
        if name not in handed.record.fields:
            return None
        inner = handed.record.types[handed.record.fields.index(name)]
        return type(handed)(inner) if is_record(inner) and not _by_value(handed, inner) else inner


@lower_getattr_generic(Handed)  # type: ignore[untyped-decorator]
def _field(context: Any, builder: Any, handed: Any, value: Any, name: str) -> Any:
    place, kind = field_place(builder, handed, value, (name,))
    if is_record(kind) and not _by_value(handed, kind):
        return place
    before = len(builder.block.instructions)
    loaded = context.data_model_manager[kind].load_from_data_pointer(builder, place)
    if type(handed) is Handed:  # LLVM may keep what it has loaded, whatever arrays are written in between
        nothing = builder.module.add_metadata([])
        for instruction in builder.block.instructions[before:]:
            if isinstance(instruction, ir.LoadInstr):
                instruction.set_metadata("invariant.load", nothing)
    if not isinstance(handed, Lent):
        return array_in(context, builder, kind, loaded)
    if is_carry(handed.record.instance_class):
        return without_owner(context, builder, kind, loaded)
    return impl_ret_borrowed(context, builder, kind, loaded)


@lower_cast(Lent, types.BaseNamedTuple)  # type: ignore[untyped-decorator]
def _loaded(context: Any, builder: Any, lent: Any, kind: Any, value: Any) -> Any:
    loaded = context.data_model_manager[kind].load_from_data_pointer(builder, value)
    return without_owner(context, builder, kind, loaded) if is_carry(kind.instance_class) else loaded


def _by_value(handed: Any, inner: Any) -> bool:
    """Whether a record's record is loaded where it is read: states of kernels, which a layer passes on and never looks into."""
    return isinstance(handed, Lent) and is_carry(inner.instance_class)


def is_record(kind: Any) -> bool:
    """True for numba's type of a NamedTuple."""
    return isinstance(kind, types.BaseNamedTuple)


def handed(kind: Any) -> Any:
    """What a layer is compiled for, where the loop has a value of this type."""
    if isinstance(kind, Slot):
        return Handed(kind.record)
    return Handed(kind) if is_record(kind) else kind


def slot(kind: Any) -> Any:
    """What the loop has of a value of this type."""
    return Slot(kind) if is_record(kind) else kind


def field_place(builder: Any, kind: Any, value: Any, path: tuple[str, ...]) -> tuple[Any, Any]:
    """The address of a field of a record in memory, and the field's type."""
    inner = kind.record
    for name in path:
        i = inner.fields.index(name)
        value, inner = cgutils.gep_inbounds(builder, value, 0, i), inner.types[i]
    return value, inner


def named(name: str, parameters: list[str], signature: Any, generate: Any) -> Any:
    """An intrinsic with these parameters: numba folds what a star takes into one tuple. signature: of any arguments, or a
    function of their types."""
    of = signature if callable(signature) else lambda *kinds: signature
    namespace: dict[str, Any] = {"of": of, "generate": generate}
    exec(f"def {name}({', '.join(['context', *parameters])}): return of({', '.join(parameters)}), generate", namespace)
    return intrinsic(namespace[name])


def holder(name: str, kind: Any) -> Any:
    """`f(record)` for compiled code: the fields that `record` and `kind` both have, in a slot of type `kind`. Nobody reads the
    others. The slot owns nothing: the arrays belong to the caller of the loop."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place = cgutils.alloca_once(builder, context.get_data_type(kind))
        _fill(context, builder, place, kind, values[0], signature.args[0])
        return place

    def declare(context: Any, record: Any) -> Any:
        _same(name, kind, record)
        return Slot(kind)(record), generate

    declare.__name__ = name
    made: Any = intrinsic(declare)
    made.__content__ = f"{CONTENT} {name} {kind}"
    return made


def _shared(kind: Any, given: Any) -> Iterator[tuple[str, int, Any, int, Any]]:
    """Name of each field that both have; its place and type in `kind`, and in `given`."""
    for i, (field, own) in enumerate(zip(kind.fields, kind.types, strict=True)):
        if field in given.fields:
            at = given.fields.index(field)
            yield field, i, own, at, given.types[at]


def _same(name: str, kind: Any, given: Any) -> None:
    """Raises TypingError where a field of `given` is something else in memory than `kind` says."""
    for field, _, own, _, inner in _shared(kind, given):
        if is_record(own):
            _same(f"{name}.{field}", own, inner)
        elif isinstance(own, types.Array):
            if (own.dtype, own.ndim, own.layout) != (inner.dtype, inner.ndim, inner.layout):
                raise TypingError(f"{name}.{field} is {inner}, not {own}")
        elif own != inner:
            raise TypingError(f"{name}.{field} is {inner}, not {own}")


def _fill(context: Any, builder: Any, place: Any, kind: Any, value: Any, given: Any) -> None:
    for _, i, own, at, inner in _shared(kind, given):
        to, part = cgutils.gep_inbounds(builder, place, 0, i), builder.extract_value(value, at)
        if is_record(own):
            _fill(context, builder, to, own, part, inner)
        else:
            builder.store(context.data_model_manager[inner].as_data(builder, part), to)


def mover(name: str, kind: Any, leaves: list[tuple[str, ...]]) -> Any:
    """`f(row, t, *panels)` for compiled code: the row, moved to instant t. Of an array only the place of its values changes.

    kind: type of the row. leaves: which of its fields each panel, or series, is of. t is in range by construction.
    """

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        place, t = values[:2]
        for path, panel, value in zip(leaves, signature.args[2:], values[2:], strict=True):
            to, own = field_place(builder, signature.args[0], place, path)
            source = context.make_array(panel)(context, builder, value)
            first = t
            for length in cgutils.unpack_tuple(builder, source.shape, panel.ndim)[1:]:
                first = builder.mul(first, length)
            data = builder.gep(source.data, [first])
            if isinstance(own, types.Array):
                at = context.data_model_manager[own].get_field_position("data")
                builder.store(data, cgutils.gep_inbounds(builder, to, 0, at))
            else:
                builder.store(builder.load(data), to)
        return place

    parameters = ["row", "t", *(f"x{i}" for i in range(len(leaves)))]
    made = named(name, parameters, lambda row, *others: row(row, *others), generate)
    made.__content__ = f"{CONTENT} {name} {kind} {leaves}"
    return made


def opener(name: str, kind: Any, held: type[Handed] = Slot) -> Any:
    """`f()` for compiled code: an empty slot for what a layer returns. held: what the slot is to the layers that take it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return cgutils.alloca_once(builder, context.get_data_type(kind), zfill=True)

    made = named(name, [], held(kind)(), generate)
    made.__content__ = f"{CONTENT} {name} {held.__name__} {kind}"
    return made


def _owners(kind: Any, first: int = 0) -> Iterator[tuple[int, bool]]:
    """Each word of a record in memory, and whether it says who owns an array."""
    if is_record(kind):
        for inner in kind.types:
            words = list(_owners(inner, first))
            yield from words
            first += len(words)
    elif isinstance(kind, types.Array):
        for i in range(5 + 2 * kind.ndim):
            yield first + i, i == 0
    else:
        yield first, False


def decref_all(context: Any, builder: Any, kind: Any, place: Any) -> None:
    """NRT_decref of every array of a record in memory that has an owner."""
    words = list(_owners(kind))
    if context.get_abi_sizeof(context.get_data_type(kind)) != 8 * len(words):
        raise TypeError(f"{kind} is not made of words of 8 bytes")
    at = [word for word, owns in words if owns]
    if not at:
        return
    table = cgutils.global_constant(
        builder, f"owners_{len(words)}", ir.Constant(ir.ArrayType(WORD, len(at)), [WORD(word) for word in at])
    )
    base = builder.bitcast(place, cgutils.voidptr_t.as_pointer())
    decref = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t]), "NRT_decref")
    with cgutils.for_range(builder, WORD(len(at))) as loop:
        word = builder.load(builder.gep(table, [WORD(0), loop.index]))
        owner = builder.load(builder.gep(base, [word]))
        with cgutils.if_unlikely(builder, cgutils.is_not_null(builder, owner)):
            builder.call(decref, [owner])


def _let_go(context: Any, held: Any) -> Any:
    """`let_go(slot)`: the record that a layer returned is not needed any more."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        decref_all(context, builder, signature.args[0].record, values[0])
        return context.get_dummy_value()

    return types.none(held), generate


def _take_over(context: Any, mine: Any, new: Any) -> Any:
    """`take_over(mine, new)`: the slot `mine` holds what `new` holds, also when that is written anew: the rows of an instant
    outlive the next."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        size = context.get_abi_sizeof(context.get_data_type(signature.args[0].record))
        cgutils.raw_memcpy(builder, values[0], values[1], WORD(1), size)
        return values[0]

    return mine(mine, new), generate


_let_go.__name__, _take_over.__name__ = "let_go", "take_over"
let_go: Any = intrinsic(_let_go)
take_over: Any = intrinsic(_take_over)
let_go.__content__ = take_over.__content__ = CONTENT
