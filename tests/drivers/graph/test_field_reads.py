"""The fields that a layer reads, held against its source."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from dataflows.panel import Panel
from dataflows.runtime.compile import python_of
from drivers.engine.building import make_plan
from drivers.graph.field_reads import chains, used_paths
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults


def from_source(fn: Callable[..., Any], parameter: str) -> frozenset[tuple[str, ...]]:
    """The same by parsing the source, as a reader would."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(fn)))
    inner: set[int] = set()
    found: set[tuple[str, ...]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            chain, at = [], node
            while isinstance(at, ast.Attribute):
                inner.add(id(at))
                chain.append(at.attr)
                at = at.value  # type: ignore[assignment]
            if isinstance(at, ast.Name) and at.id == parameter:
                inner.add(id(at))
                found.add(tuple(reversed(chain)))
        elif isinstance(node, ast.Name) and node.id == parameter and isinstance(node.ctx, ast.Load) and id(node) not in inner:
            found.add(())
    return frozenset({()}) if () in found else frozenset(found)


def test_every_parameter_of_every_layer() -> None:
    project = defaults()
    plan = make_plan(load(project.wiring), load_configs(project))
    read = 0
    for node in plan.nodes.values():
        fn = inspect.unwrap(python_of(node.fn))
        for parameter in inspect.signature(fn).parameters:
            found = chains(node.fn, parameter)
            assert found == from_source(fn, parameter), f"{node.name}({parameter})"
            read += len(found - {()})
    assert read > 500


class Deep(NamedTuple):
    """A record within a record."""

    low: Panel
    high: Panel


class Wide(NamedTuple):
    """What the functions below take."""

    first: Panel
    deep: Deep


def one(x: Wide, y: Wide) -> Any:
    return x.first + x.deep.low * y.first


def handed_on(x: Wide, y: Wide) -> Any:
    return one(x, y), x.first


def within(x: Wide, y: Wide) -> Any:
    return [x.deep.high[i] for i in range(3)], lambda: y.first


def stored(x: Wide, y: Wide) -> Any:
    z = x.deep
    return z, y.deep.low


@pytest.mark.parametrize(
    ("fn", "of_x", "of_y"),
    [
        (one, {("first",), ("deep", "low")}, {("first",)}),
        (handed_on, {()}, {()}),
        (within, {("deep", "high")}, {("first",)}),
        (stored, {("deep",)}, {("deep", "low")}),
    ],
)
def test_chains_of_attributes(fn: Callable[..., Any], of_x: set[Any], of_y: set[Any]) -> None:
    assert chains(fn, "x") == of_x == from_source(fn, "x")
    assert chains(fn, "y") == of_y == from_source(fn, "y")


def test_a_record_that_is_read_as_a_whole_gives_all_its_values() -> None:
    assert used_paths(stored, "x", Wide) == {("deep", "low"), ("deep", "high")}
    assert used_paths(handed_on, "x", Wide) == {("first",), ("deep", "low"), ("deep", "high")}
    assert used_paths(one, "y", Wide) == {("first",)}
