"""L66: bounded, monotone, sign-keeping, and every source on the scale of its own spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataflows.data.types import ExternalAlpha
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l66_signal_matrix import l66_signal_matrix
from dataflows.fusion.types import K
from dataflows.panel import Floats
from dataflows.regime.types import ChangePoint
from tests.dataflows.fusion.world import everything
from tests.support import filled, run_columnar

CONFIG = FusionConfig(signal_halflife_bars=50.0)
REGIME, TREND, MOMENTUM, REVERSION, BOOK, FLOW, ORDER_FLOW, PATTERN, LEAD_LAG, STRENGTH, EXTERNAL = range(K)
NAMES = tuple(name for name in l66_signal_matrix.__annotations__ if name not in ("fusion", "carry", "return"))


def run(world: dict[str, Any], config: FusionConfig = CONFIG) -> Floats:
    got: Floats = run_columnar(l66_signal_matrix, {k: world[k] for k in NAMES}, {"fusion": config}).values
    return got


def settled(seed: int, bars: int = 300, symbols: int = 3) -> dict[str, Any]:
    """Everything, with no change point in sight."""
    world = everything(seed, bars, symbols)
    world["l64_change_point"] = filled(ChangePoint, (bars, symbols), 0.0)
    return world


def spread_before(x: Floats, counts: Floats, halflife: float) -> Floats:
    """Root mean square of the values before each: plain until 1 / alpha of them are known, then exponentially weighted; one
    counts as 8 spreads at most from the 30th on. NaN until there are 30."""
    alpha = 1.0 - 0.5 ** (1.0 / halflife)
    square, seen = 0.0, 0
    out = np.full(len(x), np.nan)
    for t, v in enumerate(x):
        if seen >= 30:
            out[t] = np.sqrt(square)
        if counts[t] and np.isfinite(v):
            entering = min(v * v, 64.0 * square) if seen >= 30 and square > 0.0 else v * v
            seen += 1
            square += max(1.0 / seen, alpha) * (entering - square)
    return out


def test_values_lie_in_minus_one_to_one_and_keep_the_raw_sign() -> None:
    world = everything(1)
    values = run(world)
    assert np.nanmax(np.abs(values)) <= 1.0
    assert np.isfinite(values).any(axis=(0, 1)).all()
    regime = world["l1_regime"]
    for k, raw in (
        (REGIME, regime.trend_up - regime.trend_down),
        (MOMENTUM, regime.trend_t),
        (REVERSION, world["l60_kinematic_state"].reversion_score),
        (BOOK, world["l9_book_imbalance"].weighted),
        (FLOW, world["l10_trade_pressure"].pressure),
        (ORDER_FLOW, world["l62_order_flow_imbalance"].predicted_bps),
        (PATTERN, world["l50_pattern_consensus"].score),
        (LEAD_LAG, world["l48_lead_lag"].side * world["l48_lead_lag"].confidence),
        (STRENGTH, world["l49_relative_strength"].side * world["l49_relative_strength"].confidence),
        (EXTERNAL, pd.DataFrame(world["external_alpha"].value).ffill().to_numpy()),
    ):
        known = np.isfinite(values[..., k])
        np.testing.assert_array_equal(np.sign(values[..., k][known]), np.sign(raw[known]))


@pytest.mark.parametrize(
    ("record", "field", "source", "sign"),
    [
        ("l1_regime", "trend_up", REGIME, 1.0),
        ("l1_regime", "trend_down", REGIME, -1.0),
        ("l25_timeframe_alignment", "score", TREND, 1.0),
        ("l60_kinematic_state", "trend_score", TREND, 1.0),
        ("l1_regime", "trend_t", MOMENTUM, 1.0),
        ("l60_kinematic_state", "reversion_score", REVERSION, 1.0),
        ("l9_book_imbalance", "weighted", BOOK, 1.0),
        ("l10_trade_pressure", "pressure", FLOW, 1.0),
        ("l62_order_flow_imbalance", "predicted_bps", ORDER_FLOW, 1.0),
        ("l50_pattern_consensus", "score", PATTERN, 1.0),
        ("l48_lead_lag", "side", LEAD_LAG, 1.0),
        ("l49_relative_strength", "side", STRENGTH, 1.0),
    ],
)
def test_each_source_is_monotone_in_its_raw_input(record: str, field: str, source: int, sign: float) -> None:
    world = settled(2, bars=200)
    for name in ("l48_lead_lag", "l49_relative_strength"):
        world[name] = world[name]._replace(confidence=np.full((200, 3), 0.5))
    before = run(world)
    raised = getattr(world[record], field).copy()
    raised[-1] += 1 if raised.dtype == np.int64 else 0.1
    world[record] = world[record]._replace(**{field: raised})
    after = run(world)
    np.testing.assert_array_equal(after[:-1], before[:-1])
    step = sign * (after[-1, :, source] - before[-1, :, source])
    assert (step[np.isfinite(step)] > 0.0).all()


def test_a_source_is_tanh_over_its_root_mean_square_of_the_bars_before() -> None:
    world = settled(3, bars=900, symbols=1)
    valid = world["l0_market_feed"].quality.valid[:, 0]
    got = run(world)[:, 0]
    for k, raw in (
        (MOMENTUM, world["l1_regime"].trend_t),
        (BOOK, world["l9_book_imbalance"].weighted),
        (PATTERN, world["l50_pattern_consensus"].score),
        (LEAD_LAG, world["l48_lead_lag"].side * world["l48_lead_lag"].confidence),
    ):
        expected = np.tanh(raw[:, 0] / spread_before(raw[:, 0], valid, 50.0))
        np.testing.assert_allclose(got[:, k], expected, rtol=1e-9)


def test_every_source_has_the_same_spread_whatever_its_unit() -> None:
    """Planted: four Gaussian sources whose deviations differ by a factor of ten thousand."""
    rng = np.random.default_rng(12)
    bars = 6000
    world = settled(12, bars, 1)
    shape = (bars, 1)
    world["l1_regime"] = world["l1_regime"]._replace(trend_t=rng.normal(0.0, 50.0, shape))
    world["l9_book_imbalance"] = world["l9_book_imbalance"]._replace(weighted=rng.normal(0.0, 0.005, shape))
    world["l62_order_flow_imbalance"] = world["l62_order_flow_imbalance"]._replace(predicted_bps=rng.normal(0.0, 0.1, shape))
    world["l50_pattern_consensus"] = world["l50_pattern_consensus"]._replace(score=rng.normal(0.0, 0.05, shape))
    got = run(world, FusionConfig())[3000:, 0][:, [MOMENTUM, BOOK, ORDER_FLOW, PATTERN]]
    gaussian = np.tanh(np.random.default_rng(13).standard_normal(100_000)).std()
    np.testing.assert_allclose(got.std(axis=0), gaussian, rtol=0.04)


def momentum_of(x: Floats) -> Floats:
    """The momentum source of one symbol whose t-statistics are x, all bars valid."""
    world = settled(8, len(x), 1)
    world["l1_regime"] = world["l1_regime"]._replace(trend_t=x[:, None])
    quality = world["l0_market_feed"].quality._replace(valid=np.ones((len(x), 1), np.int64))
    world["l0_market_feed"] = world["l0_market_feed"]._replace(quality=quality)
    return run(world)[:, 0, MOMENTUM]


def test_a_source_that_is_zero_most_of_the_time_stays_finite_and_is_loud_when_it_speaks() -> None:
    x = np.zeros(400)
    x[40::37] = 3.0
    x[200] = -3.0
    y = momentum_of(x)
    assert np.isfinite(y[30:]).all()
    assert (y[40:][x[40:] == 0.0] == 0.0).all()
    assert y[40] == 1.0  # nothing but zeros before
    assert y[200] < -0.99


def test_a_steady_trend_stays_positive() -> None:
    """Centring would turn it to 0 and, when it eases, negative."""
    x = np.full(300, 5.0)
    x[200:] = 4.0
    y = momentum_of(x)
    assert (y[30:] > 0.6).all()


def test_one_absurd_value_does_not_silence_a_source() -> None:
    x = np.random.default_rng(9).standard_normal(400)
    x[200] = 1e9
    y = momentum_of(x)
    assert np.abs(y[201:]).mean() > 0.25 * np.abs(y[100:200]).mean()
    assert np.abs(y[300:]).mean() > 0.6 * np.abs(y[100:200]).mean()


def test_a_proxied_pressure_is_no_flow() -> None:
    world = settled(14, bars=200, symbols=1)
    flow = world["l10_trade_pressure"]
    proxied = np.zeros((200, 1), np.int64)
    proxied[150:] = 1
    world["l10_trade_pressure"] = flow._replace(proxied=proxied)
    y = run(world)[:, 0, FLOW]
    assert np.isfinite(y[60:150]).mean() > 0.9
    assert np.isnan(y[150:]).all()


def test_one_unknown_half_of_the_trend_only_weakens_it() -> None:
    world = settled(4, bars=100)
    shape = (100, 3)
    score = np.full(shape, 0.8)
    score[-1] = np.nan
    world["l25_timeframe_alignment"] = world["l25_timeframe_alignment"]._replace(score=score)
    world["l60_kinematic_state"] = world["l60_kinematic_state"]._replace(trend_score=np.full(shape, 0.8))
    y = run(world)[..., TREND]
    np.testing.assert_allclose(y[-2], np.tanh(1.0))
    np.testing.assert_allclose(y[-1], np.tanh(0.5))


def test_what_is_unstable_says_less_and_an_unknown_change_point_nothing_of_it() -> None:
    world = settled(5, bars=60)
    whole = run(world)
    for instability, left in ((0.25, 0.75), (1.0, 0.0), (np.nan, 1.0)):
        world["l64_change_point"] = filled(ChangePoint, (60, 3), 0.0, instability=np.full((60, 3), instability))
        np.testing.assert_allclose(run(world), left * whole, atol=1e-15)


def outside(said: dict[int, float], bars: int = 400, age: float = 0.0, **config: Any) -> Floats:
    """The external source of one symbol, given what was stated at which bar."""
    world = settled(6, bars, 1)
    value = np.full((bars, 1), np.nan)
    for t, x in said.items():
        value[t] = x
    world["external_alpha"] = ExternalAlpha(value, np.where(np.isnan(value), np.nan, age))
    quality = world["l0_market_feed"].quality._replace(valid=np.ones((bars, 1), np.int64))
    world["l0_market_feed"] = world["l0_market_feed"]._replace(quality=quality)
    return run(world, CONFIG._replace(**config))[:, 0, EXTERNAL]


def test_an_external_value_holds_until_it_is_replaced_or_too_old() -> None:
    y = outside({0: 2.0, 200: -4.0}, external_max_age_bars=100)
    assert np.isnan(y[:30]).all()  # its scale is not known
    np.testing.assert_allclose(y[30:101], np.tanh(1.0))
    assert np.isnan(y[101:200]).all()  # 100 bars old at bar 100
    assert y[200] == pytest.approx(np.tanh(-2.0))  # by what was usual before
    assert np.isnan(y[301:]).all()
    aged = outside({0: 2.0}, age=40.0, external_max_age_bars=100)
    assert np.isfinite(aged[30:61]).all()
    assert np.isnan(aged[61:]).all()


def test_nothing_stated_is_nan_and_the_unit_of_what_is_does_not_matter() -> None:
    assert np.isnan(outside({})).all()
    rng = np.random.default_rng(7)
    said = {int(t): float(x) for t, x in zip(range(0, 400, 7), rng.normal(0.0, 1.0, 58), strict=True)}
    np.testing.assert_allclose(outside(said), outside({t: 1e4 * x for t, x in said.items()}), rtol=1e-9)
