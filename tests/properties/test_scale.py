"""Prices in another unit: prices times 2**k and sizes times 2**-k, so that money stays what it is, change nothing dimensionless."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import Observations
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.weights import fractional_difference
from tests.properties.graph import engine_of, flat, plan_of, run
from tests.properties.market import instruments, market

PLAN = plan_of()
FRACTION = KinematicsConfig()
K = 3
PRICES = {"open", "high", "low", "close", "vwap", "bid_price", "ask_price"}
SIZES = {"volume", "buy_volume", "bid_size", "ask_size", "ofi"}

PRICE_FIELDS = {
    "l0_market_feed": {"session.vwap", *(f"{b}.{p}" for b in ("bars", "bars_5", "bars_15", "bars_60")
                                         for p in ("open", "high", "low", "close", "vwap"))},
    "l2_returns_volatility": {"atr", "atr_60"},
    "l8_spread_depth": {"mid", "microprice"},
    "l55_efficiency_ratio": {"kama"},
}  # fmt: skip
"""Outputs in units of price: they double with the price. All other outputs of columnar layers are free of it, but these:"""
LOG_PRICE_FIELDS = {  # and what weighted sum of log prices they are: so much of the unit's logarithm they gain
    "l13_kalman_velocity": {"level": 1.0},
    "l53_fractional_difference": {"value": float(fractional_difference(FRACTION.fraction_order, FRACTION.fraction_taps).sum())},
}
SIZE_FIELDS = {
    "l0_market_feed": {
        *(f"{b}.volume" for b in ("bars", "bars_5", "bars_15", "bars_60")), "flow.buy_volume", "flow.sell_volume",
    },
    "l10_trade_pressure": {"signed_volume"},
    "l62_order_flow_imbalance": {"ofi", "ofi_integrated"},
}  # fmt: skip
"""Outputs in base units: they halve."""


def scaled(data: Observations, k: int) -> Observations:
    change = {f: getattr(data, f) * 2.0**k for f in PRICES} | {f: getattr(data, f) * 2.0**-k for f in SIZES}
    return data._replace(**change)


@functools.cache
def both() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    facts = instruments(3, tick=0.0, lot=0.0)  # tick and lot rules are in units of price and size: exempt
    data = market(1500, 3)
    return tuple(flat(PLAN, run(engine_of(PLAN, facts, 5), d)) for d in (data, scaled(data, K)))  # type: ignore[return-value]


@pytest.mark.parametrize("layer", [n.name for n in PLAN.stage["columnar"]])
def test_a_change_of_the_unit_of_price_changes_no_dimensionless_output(layer: str) -> None:
    before, after = both()
    for field, x in before[layer].items():
        power = K if field in PRICE_FIELDS.get(layer, ()) else -K if field in SIZE_FIELDS.get(layer, ()) else 0
        gain = LOG_PRICE_FIELDS.get(layer, {}).get(field, 0.0) * K * math.log(2.0)
        np.testing.assert_allclose(after[layer][field], x * 2.0**power + gain, rtol=1e-9, atol=1e-9, err_msg=field)


def test_a_change_of_the_unit_of_price_leaves_the_account_as_it_is() -> None:
    before, after = both()
    for field in ("equity", "cash", "fees", "realised", "gross", "net", "drawdown"):
        np.testing.assert_allclose(after["l97_ledger"][field], before["l97_ledger"][field], rtol=1e-9, atol=1e-6, err_msg=field)
    assert np.ptp(before["l97_ledger"]["equity"]) > 0.0
