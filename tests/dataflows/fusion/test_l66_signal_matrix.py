"""L66: bounded, monotone, sign-keeping; and the scale of what is not bounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l66_signal_matrix import l66_signal_matrix
from dataflows.kernels.fuse import squashed
from dataflows.kernels.order import SortedWindow
from dataflows.panel import Floats
from tests.dataflows.fusion.world import everything
from tests.support import run_columnar

CONFIG = FusionConfig(signal_window_5=50)
REGIME, TREND, MOMENTUM, REVERSION = range(4)


def run(world: dict[str, Any]) -> Floats:
    names = ("l0_market_feed", "l1_regime", "l25_timeframe_alignment", "l60_kinematic_state")
    got: Floats = run_columnar(l66_signal_matrix, {k: world[k] for k in names}, {"fusion": CONFIG}).values
    return got


def window(width: int, symbols: int = 1) -> SortedWindow:
    zeros = np.zeros((symbols, width))
    return SortedWindow(zeros, zeros.copy(), np.zeros(symbols, np.int64), np.zeros(symbols, np.int64))


def test_values_lie_in_minus_one_to_one_and_keep_the_raw_sign() -> None:
    world = everything(1)
    values = run(world)
    assert np.nanmax(np.abs(values)) <= 1.0
    regime = world["l1_regime"]
    for k, raw in (
        (REGIME, regime.trend_up - regime.trend_down),
        (MOMENTUM, regime.trend_t),
        (REVERSION, world["l60_kinematic_state"].reversion_score),
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
    ],
)
def test_each_source_is_monotone_in_its_raw_input(record: str, field: str, source: int, sign: float) -> None:
    world = everything(2, bars=200)
    before = run(world)
    raised = getattr(world[record], field).copy()
    raised[-1] += 0.1
    world[record] = world[record]._replace(**{field: raised})
    after = run(world)
    np.testing.assert_array_equal(after[:-1], before[:-1])
    step = sign * (after[-1, :, source] - before[-1, :, source])
    assert (step[np.isfinite(step)] > 0.0).all()


def test_momentum_is_tanh_over_the_trailing_median_of_the_bars_before() -> None:
    world = everything(3, bars=900, symbols=1)
    raw = world["l1_regime"].trend_t[:, 0]
    closed = world["l0_market_feed"].bars_5.closed[:, 0] == 1
    seen = pd.Series(np.abs(raw))[closed & np.isfinite(raw)]
    scale = 1.4826 * seen.rolling(50, min_periods=30).median()
    before = scale.reindex(range(len(raw))).ffill().shift(1)
    expected = np.tanh(raw / np.maximum(before, 0.1))
    np.testing.assert_allclose(run(world)[:, 0, MOMENTUM], expected, rtol=1e-12)


def test_a_source_that_is_zero_most_of_the_time_stays_finite() -> None:
    x = np.zeros((400, 1))
    x[::37] = 3.0
    x[200] = -3.0
    y = squashed(x, np.ones_like(x, np.int64), 0.1, window(100))
    assert np.isfinite(y[30:]).all()
    assert (y[40:][x[40:] == 0.0] == 0.0).all()
    assert y[200, 0] < -0.99


def test_a_steady_trend_stays_positive() -> None:
    """Centring would turn it to 0 and, when it eases, negative."""
    x = np.full((300, 1), 5.0)
    x[200:] = 4.0
    y = squashed(x, np.ones_like(x, np.int64), 0.1, window(100))
    assert (y[30:] > 0.4).all()


def test_one_unknown_half_of_the_trend_only_weakens_it() -> None:
    world = everything(4, bars=5)
    shape = (5, 3)
    world["l25_timeframe_alignment"] = world["l25_timeframe_alignment"]._replace(score=np.full(shape, np.nan))
    world["l60_kinematic_state"] = world["l60_kinematic_state"]._replace(trend_score=np.full(shape, 0.8))
    np.testing.assert_allclose(run(world)[..., TREND], 0.4)
