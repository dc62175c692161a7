"""Pieces of outputs become the columns that `columns_of` makes of the whole, for every form of a value."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import pytest

from dataflows.panel import Flag, IntPanel, IntSeries, Kind, Members, Panel, Series, Stack
from drivers.graph.columns import leaves_of
from drivers.store.columns import columns_of
from drivers.store.layer_tables import LayerTable

BARS, N = 12, 3
CUTS = (0, 1, 5, 6, 12)


class Inner(NamedTuple):
    """Two panels."""

    flag: Flag
    count: IntPanel


class Told(NamedTuple):
    """A value of every form."""

    price: Panel
    inner: Inner
    total: Series
    state: IntSeries
    parts: Annotated[Stack, Members(("a", "b"))]
    unknown: Panel
    hidden: Annotated[Any, Kind("f8", ("N",), recorded=False)]


ANNOTATIONS: dict[str, Any] = {"l1_one": Told, "l2_alone": Panel}


@pytest.fixture
def outputs() -> dict[str, Any]:
    random = np.random.default_rng(5)
    flag, count = random.integers(0, 2, (BARS, N)), random.integers(-(2**40), 2**40, (BARS, N))
    parts = np.moveaxis(random.normal(size=(2, BARS, N)), 0, -1)  # does not lie in memory as it is read
    price = random.normal(size=(BARS, N))
    price[3, 1] = np.nan
    told = Told(price, Inner(flag, count), random.normal(size=BARS), random.integers(0, 9, BARS), parts, None, price)  # type: ignore[arg-type]
    return {"l1_one": told, "l2_alone": random.normal(size=(BARS, N))}


def cut(value: Any, a: int, b: int) -> Any:
    if isinstance(value, tuple):
        return type(value)(*(cut(each, a, b) for each in value))
    return None if value is None else value[a:b]


def table() -> LayerTable:
    leaves = [leaf for node, annotation in ANNOTATIONS.items() for leaf in leaves_of(node, annotation)]
    return LayerTable(leaves, [f"S{n}" for n in range(N)])


def joined(pieces: list[dict[Any, Any]]) -> dict[Any, Any]:
    return {key: np.concatenate([piece[key] for piece in pieces], axis=-1) for key in pieces[0]}


def check(columns: dict[str, Any], outputs: dict[str, Any], time: Any, rows: Any) -> None:
    wanted: dict[str, Any] = {}
    for node, annotation in ANNOTATIONS.items():
        wanted |= columns_of(node, outputs[node], annotation, N)
    assert list(columns) == ["timestamp", "symbol", *wanted]
    assert columns["timestamp"].cast("int64").to_pylist() == np.repeat(time, N)[rows].tolist()
    assert columns["symbol"].to_pylist() == [f"S{row % N}" for row in np.arange(BARS * N)[rows]]
    for name, column in wanted.items():
        assert columns[name].dtype == column.dtype, name
        np.testing.assert_array_equal(columns[name], column[rows])
    assert columns["l1_one.inner.flag"].dtype == np.int8
    np.testing.assert_array_equal(columns["l1_one.parts.b"], outputs["l1_one"].parts[:, :, 1].reshape(-1)[rows])
    np.testing.assert_array_equal(columns["l1_one.total"], np.repeat(outputs["l1_one"].total, N)[rows])


def test_every_row_of_pieces_is_that_of_the_whole(outputs: dict[str, Any]) -> None:
    time, own = np.arange(BARS) * 60_000_000_000, table()
    pieces = [own.every(cut_all(outputs, a, b), time[a:b]) for a, b in zip(CUTS, CUTS[1:], strict=False)]
    check(own.columns_of_every(joined(pieces)), outputs, time, slice(None))


def test_some_rows_of_pieces_are_those_of_the_whole(outputs: dict[str, Any]) -> None:
    time, own = np.arange(BARS) * 60_000_000_000, table()
    noted = np.random.default_rng(1).random((BARS, N)) < 0.4
    noted[0] = False  # a piece without a row
    pieces = [
        own.some(cut_all(outputs, a, b), time[a:b], np.flatnonzero(noted[a:b])) for a, b in zip(CUTS, CUTS[1:], strict=False)
    ]
    check(own.columns_of_some(joined(pieces)), outputs, time, np.flatnonzero(noted))


def cut_all(outputs: dict[str, Any], a: int, b: int) -> dict[str, Any]:
    return {name: cut(value, a, b) for name, value in outputs.items()}
