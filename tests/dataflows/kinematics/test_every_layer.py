"""What holds for every layer of the domain, and its boundary."""

from __future__ import annotations

import typing
from typing import Any

import numpy as np
import pandas as pd
import pandera.errors
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.boundary import promise_of
from dataflows.data.types import Market
from dataflows.kinematics.schema import KinematicsBoundary
from dataflows.panel import fields_of, is_record, leaves, rebuild, walk
from tests.dataflows.data.observed import hole, market, observe
from tests.dataflows.data.observed import walk as prices
from tests.dataflows.kinematics.chain import LAYERS, chain, run, same

BARS = 500
ids = [fn.__name__ for fn in LAYERS]


def _seen(symbols: int = 3) -> Market:
    seen = hole(hole(observe(prices(BARS, symbols)), slice(130, 134), 0), slice(200, 260), 1)
    seen.listed[:60, 2] = 0
    return market(seen)


@pytest.fixture(scope="module")
def values() -> dict[str, Any]:
    return chain(_seen())


@pytest.mark.parametrize("fn", LAYERS, ids=ids)
def test_one_bar_at_a_time_gives_the_same_bits(fn: Any, values: dict[str, Any]) -> None:
    same(values[fn.__name__], run(fn, values, cuts=range(1, BARS)))


@pytest.mark.parametrize("fn", LAYERS, ids=ids)
@settings(max_examples=8)
@given(cuts=st.lists(st.integers(1, BARS - 1), max_size=6))
def test_any_cut_gives_the_same_bits(fn: Any, values: dict[str, Any], cuts: list[int]) -> None:
    same(values[fn.__name__], run(fn, values, cuts=cuts))


def _permuted(value: Any, order: list[int]) -> Any:
    record: Any = type(value)
    return rebuild(record, iter([x[:, order].copy() if x.ndim > 1 else x for x in leaves(value)]))


@pytest.mark.parametrize("fn", LAYERS, ids=ids)
def test_permuted_symbols_permute_the_output(fn: Any, values: dict[str, Any]) -> None:
    order = [2, 0, 1]
    turned = {k: v if k == "instruments" else _permuted(v, order) for k, v in values.items()}
    same(_permuted(values[fn.__name__], order), run(fn, turned))


@pytest.mark.parametrize("fn", LAYERS, ids=ids)
def test_inputs_stay_as_they_are(fn: Any, values: dict[str, Any]) -> None:
    before = {k: [x.copy() for x in leaves(v)] for k, v in values.items()}
    run(fn, values)
    for name, arrays in before.items():
        for a, b in zip(arrays, leaves(values[name]), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("fn", [fn for fn in LAYERS if fn.__name__ != "l2_returns_volatility"], ids=lambda fn: fn.__name__)
def test_powers_of_two_in_price_change_nothing(fn: Any, values: dict[str, Any]) -> None:
    seen = hole(hole(observe(prices(BARS, 3)), slice(130, 134), 0), slice(200, 260), 1)
    seen.listed[:60, 2] = 0
    scaled = seen._asdict()
    for name in ("open", "high", "low", "close"):
        scaled[name] = scaled[name] * 2.0**6
    other = chain(market(type(seen)(**scaled), tick=0.64), tick=0.64)
    value = values[fn.__name__]
    for field, a, b in zip(value._fields, leaves(value), leaves(other[fn.__name__]), strict=True):
        if (fn.__name__, field) not in IN_PRICE:
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


IN_PRICE = {
    ("l13_kalman_velocity", "level"),
    ("l53_fractional_difference", "value"),
    ("l55_efficiency_ratio", "kama"),
}
"""Fields with the dimension of a price, or of its logarithm."""


@pytest.mark.parametrize("fn", LAYERS, ids=ids)
def test_everything_becomes_known_and_stays_finite(fn: Any, values: dict[str, Any]) -> None:
    for (path, _), leaf in zip(walk(type(values[fn.__name__])), leaves(values[fn.__name__]), strict=True):
        if path == ("half_life",):  # infinite where log price does not come back
            assert not np.isnan(leaf[-1]).any()
            continue
        assert np.isfinite(leaf[-1]).all(), path
        assert not np.isinf(leaf).any(), path


KINDS = {
    ".".join((fn.__name__, *path)): kind
    for fn in LAYERS
    for path, kind in walk(typing.get_type_hints(fn, include_extras=True)["return"])
}
PROMISE = promise_of(KinematicsBoundary, KINDS)


def _frame(values: dict[str, Any]) -> pd.DataFrame:
    columns = {}
    for fn in LAYERS:
        value = values[fn.__name__]
        assert is_record(type(value)) and fields_of(type(value))
        for (path, _), leaf in zip(walk(type(value)), leaves(value), strict=True):
            columns[".".join((fn.__name__, *path))] = leaf.reshape(-1)
    return pd.DataFrame(columns)


def test_the_domain_keeps_its_boundary(values: dict[str, Any]) -> None:
    PROMISE.schema.validate(_frame(values))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("l11_ema_trend_short.score", 1.5),
        ("l12_regression_slope_short.r2", -0.1),
        ("l2_returns_volatility.sigma", -1.0),
        ("l2_returns_volatility.r_1", np.inf),
        ("l2_returns_volatility.sigma_floor", 10.0),
        ("l60_kinematic_state.direction", 2),
    ],
)
def test_a_planted_fault_is_refused(values: dict[str, Any], column: str, value: float) -> None:
    frame = _frame(values)
    frame.loc[len(frame) - 1, column] = value
    with pytest.raises(pandera.errors.SchemaError):
        PROMISE.schema.validate(frame)
