"""The smoke run, with a layer that breaks its promise, one that raises and one that never knows anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from drivers.health.context import Context
from drivers.health.registry import Found
from tests.drivers.health.planted import found


def with_layer(name: str, spoil: Callable[[Any], Any]) -> Context:
    """A context in whose plan one layer's output is spoilt."""
    context = Context()
    plan = context.plan
    node = plan.nodes[name]
    spoilt = node._replace(fn=lambda *given: spoil(node.fn(*given)))
    plan.nodes[name] = spoilt
    stage = plan.stage[node.schedule]
    stage[stage.index(node)] = spoilt
    return context


@pytest.fixture(scope="module")
def sound() -> list[Found]:
    return found("smoke")


def test_every_domain_with_layers_is_held_against_its_boundary(sound: list[Found]) -> None:
    domains = {node.domain for node in Context().plan.nodes.values()}
    assert {f.detail.partition(":")[0] for f in sound} == domains
    assert [f.status for f in sound] == ["ok"] * len(domains)


def test_an_output_outside_its_boundary_is_named_with_layer_symbol_and_bar() -> None:
    context = with_layer("l1_regime", lambda said: said._replace(confidence=said.confidence * 0.0 + 7.0))
    (finding,) = [f for f in found("smoke", context) if f.detail.startswith("l1_regime")]
    assert finding.status == "fail"
    assert finding.detail.startswith("l1_regime.confidence of AAA at 2026-01-0")
    assert "is 7.0; the regime boundary says less_than_or_equal_to(1.0)" in finding.detail
    assert finding.advice == "Correct the layer, or the range in the boundary model of regime."


def test_a_layer_that_raises_is_named() -> None:
    def spoil(said: Any) -> Any:
        raise ArithmeticError("planted")

    (finding,) = found("smoke", with_layer("l63_tradeability", spoil))
    assert finding.status == "fail"
    assert finding.detail == "The run stopped in or after L63 l63_tradeability: ArithmeticError: planted"
    assert finding.advice == "`stratoquant layers L63` shows where its code is."


def test_a_market_layer_that_never_knows_anything_is_told() -> None:
    def spoil(said: Any) -> Any:
        return type(said)(*[x * np.nan if x.dtype == np.float64 else x for x in said])

    context = with_layer("l12_regression_slope_short", spoil)
    (finding,) = [f for f in found("smoke", context) if f.detail.startswith("kinematics:")]
    assert finding.status == "warn"
    assert "l12_regression_slope_short" in finding.detail
    assert "never knew anything" in finding.detail
