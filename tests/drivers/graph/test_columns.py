"""The map from what a layer returns to its columns, by values that say where they belong."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from dataflows.carry import Axes
from dataflows.execution.types import Executions
from dataflows.panel import Floats, Ints, Panel, PerSymbol, Series, Stack, Table, Within
from drivers.graph.columns import epoch_columns, leaves_of, values_of

N = 3


class Inner(NamedTuple):
    """A nested record."""

    level: Panel
    hidden: Table


class Bar(NamedTuple):
    """One leaf of every kind of a bar."""

    inner: Inner
    both: Stack
    account: Series
    fact: PerSymbol


class Epoch(NamedTuple):
    """One leaf of every shape of an epoch."""

    count: int
    one: Annotated[Floats, Axes(1)]
    each: Annotated[Ints, Axes("N")]
    rows: Annotated[Floats, Axes(2, "N"), Within(0.0, 9.0)]
    columns: Annotated[Floats, Axes("N", "width")]
    alone: Annotated[Floats, Axes("width")]
    pairs: Annotated[Floats, Axes("N", "N")]
    cube: Annotated[Floats, Axes(2, "N", 2)]


def test_a_bars_columns_are_its_recorded_values() -> None:
    assert [(leaf.name, leaf.wide) for leaf in leaves_of("l1_x", Bar)] == [
        ("l1_x.inner.level", False),
        ("l1_x.both", True),
        ("l1_x.account", False),
    ]
    assert [leaf.name for leaf in values_of("l1_x", Bar)][1] == "l1_x.inner.hidden"
    assert [leaf.name for leaf in leaves_of("l2_x", Panel)] == ["l2_x"]
    assert leaves_of("l3_x", Executions) == []


def test_axes_are_as_the_layer_returns_them() -> None:
    assert [leaf.axes("columnar") for leaf in values_of("l1_x", Bar)] == [
        ("T", "N"),
        ("T", "table", "N"),
        ("T", "N", "K"),
        ("T",),
        ("N",),
    ]
    assert next(iter(values_of("l1_x", Bar))).axes("step") == ("N",)
    assert [leaf.axes("epoch") for leaf in values_of("l6_x", Epoch, epoch=True)][:3] == [(), ("1",), ("N",)]


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("count", 4, {"": [4, 4, 4]}),
        ("one", np.array([0.5]), {"": [0.5, 0.5, 0.5]}),
        ("each", np.arange(N), {"": [0, 1, 2]}),
        ("rows", np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), {".0": [1.0, 2.0, 3.0], ".1": [4.0, 5.0, 6.0]}),
        ("columns", np.arange(6.0).reshape(N, 2), {".0": [0.0, 2.0, 4.0], ".1": [1.0, 3.0, 5.0]}),
        ("alone", np.array([7.0, 8.0]), {".0": [7.0] * 3, ".1": [8.0] * 3}),
        ("pairs", np.arange(9.0).reshape(N, N), {".0": [0.0, 1.0, 2.0], ".1": [3.0, 4.0, 5.0], ".2": [6.0, 7.0, 8.0]}),
        (
            "cube",
            np.arange(12.0).reshape(2, N, 2),
            {".0.0": [0.0, 2.0, 4.0], ".0.1": [1.0, 3.0, 5.0], ".1.0": [6.0, 8.0, 10.0], ".1.1": [7.0, 9.0, 11.0]},
        ),
    ],
)
def test_an_epochs_value_is_a_column_for_each_place_that_is_no_symbol(field: str, value: Any, wanted: dict[str, Any]) -> None:
    leaf = {leaf.name: leaf for leaf in leaves_of("l6_x", Epoch, epoch=True)}[f"l6_x.{field}"]
    found = epoch_columns(leaf, value, N)
    assert {name: column.tolist() for name, column in found.items()} == {
        f"l6_x.{field}{place}": column for place, column in wanted.items()
    }
    assert leaf.wide == (len(wanted) > 1)
    assert leaf.kind.within == (Within(0.0, 9.0) if field == "rows" else None)


def test_an_array_without_axes_is_no_value_of_an_epoch() -> None:
    with pytest.raises(TypeError, match="is not a value kind"):
        leaves_of("l6_x", Floats, epoch=True)
