"""Machine code from the cache, with no more work than it takes to run it.

numba keeps a function's bitcode beside its machine code, for callers that are compiled later. When it loads the function it
parses that bitcode, and before that it imports all its typing rules. A run whose code is all in the cache needs neither: so
bitcode is parsed when a caller wants to link it, the names that the code defines come from its own symbol table, and typing
rules come with the first compilation, which asks for them itself.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from typing import Any, Final

import llvmlite.binding as llvm
from numba.core.codegen import JITCodeLibrary
from numba.core.runtime import rtsys

_ELF64: Final = b"\x7fELF\x02\x01"
_SYMBOL_TABLE, _UNDEFINED, _LOCAL = 2, 0, 0


class _Unparsed:
    """A module of LLVM, parsed at its first use."""

    def __init__(self, bitcode: bytes) -> None:
        self._bitcode = bitcode

    @functools.cached_property
    def _module(self) -> Any:
        return llvm.parse_bitcode(self._bitcode)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


class _Library(JITCodeLibrary):  # type: ignore[misc]  # numba ships no types
    @classmethod
    def _unserialize(cls, codegen: Any, state: Any) -> Any:
        name, kind, data = state
        if kind != "object" or not data[0].startswith(_ELF64):
            return super()._unserialize(codegen, state)
        code, bitcode = data
        made = codegen.create_library(name)
        made.enable_object_caching()
        made._set_compiled_object(code)
        made._shared_module = _Unparsed(bitcode)
        made._finalize_final_module()
        codegen._engine._defined_symbols.update(defined_symbols(code))
        return made


def defined_symbols(code: bytes) -> Iterator[str]:
    """The names that others can find in machine code, in the form of ELF for 64 bits (System V ABI, chapter 4)."""
    (start,) = struct.unpack_from("<Q", code, 40)
    size, number = struct.unpack_from("<HH", code, 58)
    sections = [struct.unpack_from("<IIQQQQIIQQ", code, start + i * size) for i in range(number)]
    for _, kind, _, _, offset, length, names, *_ in sections:
        if kind == _SYMBOL_TABLE:
            text = sections[names][4]
            for name, about, _, section, _, _ in struct.iter_unpack("<IBBHQQ", code[offset : offset + length]):
                if section != _UNDEFINED and about >> 4 != _LOCAL:
                    yield code[text + name : code.index(b"\0", text + name)].decode()


def made_ready(context: Any) -> None:
    """Prepares a target of numba's for loading, once."""
    codegen = context.codegen()
    if codegen._library_class is not _Library:
        rtsys.initialize(context)  # what counts references
        import numba.cpython.hashing  # noqa: F401  # gives machine code the symbols of Python's own hash functions

        codegen._library_class = _Library
