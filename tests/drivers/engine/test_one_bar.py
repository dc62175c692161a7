"""Single bars of the toy graph: a bare panel, an epoch layer, a post layer; and a layer that numba cannot compile."""

from __future__ import annotations

import numba as nb
import numpy as np
import pytest

from dataflows.panel import Floats
from dataflows.runtime.made import NotNativeError, made_once, words_of
from drivers.engine.engine import Engine
from drivers.engine.one_bar import generate
from drivers.engine.one_bar.generate import Segment
from drivers.engine.one_bar.layers import native_layer
from drivers.graph.layers import LayerNode
from tests.drivers.engine.conftest import run, same_bits, toy_data, toy_engine, toy_plan, whole

DATA = toy_data()
PLAN = toy_plan()
REFERENCE = whole(PLAN, run(toy_engine(PLAN), DATA))


def single() -> Engine:
    engine = toy_engine(PLAN)
    engine.warm_up_single_bars()
    return engine


def test_single_bars_are_the_batch() -> None:
    engine = single()
    assert engine.one_bar is not None
    assert not engine.one_bar.market.apart
    same_bits(REFERENCE, whole(PLAN, run(engine, DATA, range(300))))


@pytest.mark.parametrize("apart", ["l1_feed", "l2_score"])
def test_a_layer_that_has_no_native_form_runs_in_python_in_its_place(apart: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(node: LayerNode, takes: tuple[object, ...]) -> object:
        if node.name == apart:
            raise NotNativeError("a test says so")
        return native_layer(node, takes)

    monkeypatch.setattr(generate, "native_layer", refused)
    engine = single()
    assert engine.one_bar is not None
    assert engine.one_bar.market.apart == {apart: "a test says so"}
    assert sum(isinstance(part, Segment) for part in engine.one_bar.market.parts) == 1
    same_bits(REFERENCE, whole(PLAN, run(engine, DATA, range(300))))


def test_plain_engines_have_no_native_form() -> None:
    engine = toy_engine(PLAN, compiled=False)
    engine.warm_up_single_bars()
    assert engine.one_bar is None


def test_what_is_made_once_is_found_by_compiled_code() -> None:
    calls = []

    @made_once
    def table(width: int, scale: float) -> tuple[Floats, float]:
        calls.append(width)
        return np.arange(width) * scale, scale

    assert table(3, 2.0)[0].tolist() == [0.0, 2.0, 4.0]
    assert table(4, 0.5)[0].tolist() == [0.0, 0.5, 1.0, 1.5]
    native = table.native

    @nb.njit
    def total(width, scale):  # type: ignore[no-untyped-def]
        values, one = native(width, scale)
        return values.sum() + one

    assert total(3, 2.0) == 8.0
    assert total(4, 0.5) == 3.5
    with pytest.raises(KeyError, match="table was not made for these numbers yet"):
        total(5, 0.5)
    table(5, 0.5)
    assert total(5, 0.5) == 5.5
    assert calls == [3, 4, 5]


def test_words_refuse_what_does_not_lie_in_words() -> None:
    with pytest.raises(NotNativeError, match="unicode"):
        list(words_of(nb.typeof("a"), "a"))
    strided = np.zeros((4, 4))[:, ::2]
    with pytest.raises(NotNativeError, match="not array"):
        list(words_of(nb.types.Array(nb.float64, 2, "C"), strided))
