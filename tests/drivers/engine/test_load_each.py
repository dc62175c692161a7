"""One layer's machine code without the layers before it: the types are those of a run, and nothing is compiled on the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dataflows.runtime import compile as compiling
from dataflows.runtime.compile import NotCompiledError, kernel, loading_only
from drivers.engine.loop.layer_types import compile_once
from drivers.health import Context


def test_a_kernel_without_machine_code_is_refused_and_not_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))

    @kernel
    def plus(x: float) -> float:
        return x + 1.0

    with loading_only(), pytest.raises(NotCompiledError, match="plus has no machine code in"):
        plus(1.0)
    assert not list(tmp_path.rglob("*.nbc"))
    assert plus(1.0) == 2.0  # afterwards it is compiled as ever, and found
    assert list(tmp_path.rglob("*.nbc"))


def test_what_is_in_the_cache_is_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))

    def twice(x: float) -> float:
        return x * 2.0

    kernel(twice)(1.5)
    with loading_only():
        assert kernel(twice)(1.5) == 3.0
        with pytest.raises(NotCompiledError):  # other types are other machine code
            kernel(twice)(np.ones(2))


def test_an_error_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError), loading_only():
        raise RuntimeError
    assert not compiling._ContentCache.loading_only


def test_each_layer_alone_asks_for_the_types_of_a_run_and_for_no_others() -> None:
    context = Context()
    context.blank_engine().warm_up()
    steps = [compile_once(node.fn) for node in context.plan.stage["step"]]
    before = [list(layer.overloads) for layer in steps]
    with loading_only():
        loaded = [(node.name, load()) for node, load in context.blank_engine().load_each()]
    assert [name for name, _ in loaded] == list(context.plan.nodes)
    assert [list(layer.overloads) for layer in steps] == before
