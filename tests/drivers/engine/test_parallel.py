"""Layers side by side give what they give one after the other; the first failure in graph order is the one that is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from drivers.engine import parallel
from drivers.engine.parallel import LEAST, run_layers
from drivers.graph.layers import LayerNode
from tests.properties.graph import engine_of, flat, node_differs, plan_of, run
from tests.properties.market import instruments, market


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads, however many cores there are."""
    monkeypatch.setenv("STRATOQUANT_THREADS", "2")
    for cached in (parallel.cores, parallel._pool):
        cached.cache_clear()
    yield
    for cached in (parallel.cores, parallel._pool):
        cached.cache_clear()


def node(name: str, fn: Any, *params: str) -> LayerNode:
    return LayerNode(name, "L1", "data", "columnar", False, fn, params, {}, None)


def test_the_whole_graph_gives_the_same_bits_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    plan, data = plan_of(), market(1600, 3)
    assert 1600 * 3 >= LEAST
    beside = flat(plan, run(engine_of(plan, instruments(3), 5), data))
    monkeypatch.setenv("STRATOQUANT_THREADS", "1")
    parallel.cores.cache_clear()
    alone = flat(plan, run(engine_of(plan, instruments(3), 5), data))
    for layer, found in alone.items():
        assert not node_differs(found, beside[layer]), layer


def test_layers_that_do_not_wait_for_each_other_run_at_the_same_time() -> None:
    meeting = threading.Barrier(2)

    def meets(x: int) -> int:
        meeting.wait(timeout=30)  # broken, and so an error, unless the other comes too
        return x + 1

    values: dict[str, Any] = {"x": 1}
    run_layers(
        [node("a", meets, "x"), node("b", meets, "x"), node("c", lambda a, b: a + b, "a", "b")], values, LEAST, lambda n: None
    )
    assert values == {"x": 1, "a": 2, "b": 2, "c": 4}


def test_a_short_chunk_runs_in_graph_order_on_the_callers_thread() -> None:
    seen: list[Any] = []

    def tells(x: int) -> int:
        seen.append(threading.current_thread())
        return x

    order: list[str] = []
    run_layers([node(name, tells, "x") for name in "bac"], {"x": 1}, LEAST - 1, order.append)
    assert order == list("bac") and set(seen) == {threading.main_thread()}


def test_of_several_failures_the_first_in_graph_order_is_raised_and_nothing_is_left_running() -> None:
    meeting = threading.Barrier(2)
    ended: list[str] = []

    def fails(name: str) -> Any:
        def call(x: int) -> int:
            meeting.wait(timeout=30)
            ended.append(name)
            raise ArithmeticError(name)

        return call

    with pytest.raises(ArithmeticError, match="first"):
        run_layers([node("first", fails("first"), "x"), node("second", fails("second"), "x")], {"x": 1}, LEAST, lambda n: None)
    assert sorted(ended) == ["first", "second"]


@pytest.mark.parametrize("said", ["0", "two", "-1", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused_by_name(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_THREADS", said)
    parallel.cores.cache_clear()
    with pytest.raises(ValueError, match=f"STRATOQUANT_THREADS is '{said}'"):
        parallel.cores()


def test_a_numerical_warning_inside_a_thread_is_still_an_error() -> None:
    def divides(x: Any) -> Any:
        return x / np.zeros(2)

    with pytest.raises(RuntimeWarning):
        run_layers([node("a", divides, "x")], {"x": np.ones(2)}, LEAST, lambda n: None)


def test_an_error_outside_a_layer_ends_the_round_instead_of_leaving_the_others_waiting() -> None:
    def told(name: str) -> None:
        if name == "b":
            raise KeyboardInterrupt

    values: dict[str, Any] = {"x": 1}
    chain = [node("a", lambda x: x, "x"), node("b", lambda a: a, "a"), node("c", lambda b: b, "b")]
    with pytest.raises(KeyboardInterrupt):
        run_layers(chain, values, LEAST, told)
    assert values == {"x": 1, "a": 1}
