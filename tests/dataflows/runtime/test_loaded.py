"""Loaded machine code runs, is linked into new code, and says which names it defines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba as nb
import pytest

from dataflows.runtime.compile import kernel, python_of
from dataflows.runtime.loaded import _Unparsed, defined_symbols


def _twice(x: float) -> float:
    return 2.0 * x


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A kernel whose machine code another instance of it has compiled."""
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    assert kernel(_twice)(3.0) == 6.0
    again: Any = kernel(python_of(_twice))
    assert again(4.0) == 8.0 and again.stats.cache_hits
    return again


def _library(compiled: Any) -> Any:
    (result,) = compiled.overloads.values()
    return result.library


def test_bitcode_is_parsed_when_a_caller_is_compiled_and_not_before(loaded: Any) -> None:
    def inner(kernel: Any) -> Any:  # the form that becomes part of a caller
        kernel._inner.compile((nb.float64,))
        return kernel._inner

    inner(kernel(python_of(_twice)))
    linked = inner(loaded)
    assert linked.stats.cache_hits
    unparsed = _library(linked)._shared_module
    assert isinstance(unparsed, _Unparsed) and "_module" not in vars(unparsed)

    @kernel
    def four_times(x: float) -> float:
        return float(loaded(loaded(x)))

    assert four_times(1.5) == 6.0
    assert "_module" in vars(unparsed)


def test_the_symbol_table_of_the_code_names_what_its_module_defines(loaded: Any) -> None:
    ((types, result),) = loaded.overloads.items()
    cache = loaded._cache._cache(types)
    ((_, _, (code, bitcode)), *_) = cache._cache_file.load(cache._index_key(types, result.codegen))
    module = llvm.parse_bitcode(bitcode)
    defined = {x.name for kind in (module.functions, module.global_variables) for x in kind if not x.is_declaration}
    named = set(defined_symbols(code))
    assert named <= defined
    assert all(name.startswith(".const") for name in defined - named)  # what nobody but the module itself can find
    assert any("_twice" in name for name in named)
