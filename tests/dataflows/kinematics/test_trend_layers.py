"""L11, L12, L19, L21: each against TA-Lib, NumPy or pandas, and what each must hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from dataflows.data.types import Market
from dataflows.kernels import ols
from dataflows.kernels.smooth import SeededEwm
from dataflows.kinematics import momentum, ribbon, volatility
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.l2_returns_volatility import l2_returns_volatility
from dataflows.kinematics.l11_ema_trend_short import l11_ema_trend_short
from dataflows.kinematics.l12_regression_slope_short import l12_regression_slope_short
from dataflows.kinematics.l19_ema_trend_medium import l19_ema_trend_medium
from dataflows.kinematics.l21_momentum_medium import l21_momentum_medium
from dataflows.kinematics.true_range import TrueRange, wilder_atr
from tests.dataflows.data.observed import hole, instruments, market, observe, walk
from tests.dataflows.kinematics.both import assert_plain_is_compiled
from tests.dataflows.kinematics.chain import BRISK, chain, run

BARS = 900


@pytest.fixture(scope="module")
def seen() -> Market:
    """Two symbols with a short and a long gap."""
    return market(hole(hole(observe(walk(BARS)), slice(300, 303), 0), slice(500, 560), 1))


@pytest.fixture(scope="module")
def values(seen: Market) -> dict[str, Any]:
    return chain(seen)


def _fresh_mean() -> SeededEwm:
    return SeededEwm(np.full(1, np.nan), np.zeros(1), np.zeros(1, np.int64))


def _valid(seen: Market, panel: Any, n: int) -> Any:
    return pd.Series(panel[:, n])[seen.quality.valid[:, n] == 1]


def _aligned(fast: Any, middle: Any, slow: Any) -> Any:
    order = np.sign(fast - middle) + np.sign(middle - slow)
    moves = np.sign(fast.diff()) + np.sign(middle.diff()) + np.sign(slow.diff())
    return pd.Series(np.where((order == 2) & (moves == 3), 1.0, np.where((order == -2) & (moves == -3), -1.0, 0.0)), fast.index)


def _expected_ribbon(close: Any, atr: Any, spans: tuple[int, ...]) -> tuple[Any, Any, Any]:
    averages = [pd.Series(talib.EMA(close.to_numpy(), s), close.index) for s in spans]
    spread = (averages[0] - averages[2]) / atr
    aligned = _aligned(*averages)
    score = np.tanh(spread / 2.0) * np.where(aligned * spread > 0, 1.0, 0.5)
    return score, spread, aligned


def test_l11_is_a_ribbon_of_talibs_averages(seen: Market, values: dict[str, Any]) -> None:
    got = values["l11_ema_trend_short"]
    for n in range(2):
        close = _valid(seen, seen.bars.close, n)
        atr = _valid(seen, values["l2_returns_volatility"].atr, n)
        score, spread, aligned = _expected_ribbon(close, atr, (8, 21, 55))
        late = close.index[60:]
        np.testing.assert_allclose(got.spread_atr[late, n], spread[late], rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(got.aligned[late, n], aligned[late])
        np.testing.assert_allclose(got.score[late, n], score[late], rtol=1e-9, atol=1e-9)
        assert np.isnan(got.score[: close.index[54], n]).all() and np.isfinite(got.spread_atr[close.index[54], n])
        assert {-1.0, 0.0, 1.0} == set(got.aligned[late, n])


def test_l11_holds_on_bars_that_are_not_valid(values: dict[str, Any]) -> None:
    got = values["l11_ema_trend_short"]
    for panel in got:
        assert (panel[300:303, 0] == panel[299, 0]).all() and (panel[500:560, 1] == panel[499, 1]).all()


@pytest.mark.parametrize("fn", [l11_ema_trend_short, l19_ema_trend_medium], ids=lambda f: f.__name__)
def test_a_ribbon_of_mirrored_prices_flips_the_sign(fn: Any) -> None:
    bars = observe(walk(BARS))
    centre = 2.0 * 7.0 * 1000.0
    mirrored = bars._replace(open=centre - bars.open, close=centre - bars.close, high=centre - bars.low, low=centre - bars.high)
    a, b = (run(fn, chain(market(x, tick=0.0), tick=0.0)) for x in (bars, mirrored))
    np.testing.assert_allclose(a.score, -b.score, rtol=1e-6, atol=1e-7)
    assert np.nanmax(np.abs(a.score)) <= 1.0


def test_a_price_that_does_not_move_has_no_trend() -> None:
    flat = np.full((BARS, 1), 20.0)
    values = chain(market(observe(flat, high=flat, low=flat), tick=0.0), tick=0.0)
    for name in ("l11_ema_trend_short", "l19_ema_trend_medium", "l12_regression_slope_short", "l21_momentum_medium"):
        for panel in values[name]:
            assert (panel[300:] == 0.0).all(), name


def test_l12_is_numpys_polyfit_on_every_window(seen: Market, values: dict[str, Any]) -> None:
    got = values["l12_regression_slope_short"]
    x = np.arange(30.0)
    for n in range(2):
        close = np.log(_valid(seen, seen.bars.close, n))
        for k in range(29, len(close), 7):
            y = close.to_numpy()[k - 29 : k + 1]
            (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
            rest = y - slope * x - intercept
            t = close.index[k]
            assert got.slope[t, n] == pytest.approx(slope, rel=1e-9)
            assert got.t_stat[t, n] == pytest.approx(slope / np.sqrt(covariance[0, 0]), rel=1e-8)
            assert got.r2[t, n] == pytest.approx(1.0 - (rest @ rest) / np.var(y) / 30, rel=1e-8, abs=1e-12)
        assert np.isnan(got.slope[: close.index[29], n]).all()


def test_l12_slope_is_talibs_too() -> None:
    seen = market(observe(walk(300, 1)))
    got = run(l12_regression_slope_short, {"l0_market_feed": seen})
    theirs = talib.LINEARREG_SLOPE(np.log(seen.bars.close[:, 0]), 30)
    np.testing.assert_allclose(got.slope[:, 0], theirs, rtol=1e-6, atol=1e-12)


def test_l12_finds_a_planted_slope() -> None:
    rng = np.random.default_rng(3)
    close = np.exp(2e-4 * np.arange(300.0)[:, None] + rng.normal(0, 1e-4, (300, 1))) * 40.0
    got = run(l12_regression_slope_short, {"l0_market_feed": market(observe(close))})
    np.testing.assert_allclose(got.slope[29:], 2e-4, atol=1.5e-5)
    assert (got.t_stat[29:] > 30.0).all() and (got.r2[29:] > 0.97).all()


def test_l19_is_a_ribbon_of_closed_15_bars(seen: Market, values: dict[str, Any]) -> None:
    got = values["l19_ema_trend_medium"]
    higher = seen.bars_15
    for n in range(2):
        at = np.flatnonzero(higher.closed[:, n])
        close = pd.Series(higher.close[at, n], at)
        state = TrueRange(np.full(1, np.nan), _fresh_mean())
        high, low, last = (np.ascontiguousarray(p[at, n : n + 1]) for p in (higher.high, higher.low, higher.close))
        atr = pd.Series(wilder_atr(high, low, last, np.ones((len(at), 1), np.int64), 5, state)[:, 0], at)
        score, spread, aligned = _expected_ribbon(close, atr, (2, 4, 8))
        late = at[9:]
        np.testing.assert_allclose(got.spread_atr[late, n], spread[late], rtol=1e-8, atol=1e-9)
        np.testing.assert_array_equal(got.aligned[late, n], aligned[late])
        np.testing.assert_allclose(got.score[late, n], score[late], rtol=1e-8, atol=1e-9)


def test_wilder_atr_meets_talibs() -> None:
    seen = market(observe(walk(600, 1)))
    b = seen.bars
    got = wilder_atr(b.high, b.low, b.close, seen.quality.valid, 14, TrueRange(np.full(1, np.nan), _fresh_mean()))
    theirs = talib.ATR(b.high[:, 0], b.low[:, 0], b.close[:, 0], 14)
    np.testing.assert_allclose(got[280:, 0], theirs[280:], rtol=1e-6)


def test_l19_changes_only_when_a_15_bar_closes(seen: Market, values: dict[str, Any]) -> None:
    changed = np.zeros((BARS, 2), bool)
    for panel in values["l19_ema_trend_medium"]:
        changed[1:] |= (panel[1:] != panel[:-1]) & ~(np.isnan(panel[1:]) & np.isnan(panel[:-1]))
    assert changed.sum() > 50
    assert (seen.bars_15.closed[changed] == 1).all()


def test_l21_is_the_scaled_return_from_horizon_to_skip(seen: Market, values: dict[str, Any]) -> None:
    got = values["l21_momentum_medium"]
    sigma = values["l2_returns_volatility"].sigma_slow
    for n in range(2):
        close = np.log(_valid(seen, seen.bars.close, n))
        scaled = []
        for h, panel in ((40, got.horizon_1), (80, got.horizon_2), (120, got.horizon_3)):
            r = (close.shift(15) - close.shift(h)).reindex(range(BARS)).ffill()
            z = r / (sigma[:, n] * np.sqrt(h - 15))
            np.testing.assert_allclose(panel[:, n], z, rtol=1e-8, atol=1e-11)
            scaled.append(np.tanh(z))
        both = pd.concat(scaled, axis=1)
        score = (both.fillna(0.0).sum(axis=1) / 3.0).where(both.notna().any(axis=1))
        np.testing.assert_allclose(got.score[:, n], score, rtol=1e-8, atol=1e-11)


def test_l21_does_not_see_the_bars_it_skips() -> None:
    a = observe(walk(400, 1))
    b = hole(a, slice(0, 0))
    for panel in (b.open, b.high, b.low, b.close):
        panel[386:] *= 1.2
    values = chain(market(a))
    one = run(l21_momentum_medium, values)
    other = run(l21_momentum_medium, {**values, "l0_market_feed": market(b)})
    for x, y in zip(one, other, strict=True):
        np.testing.assert_array_equal(x, y)


def test_l21_saturates_within_its_range() -> None:
    close = 100.0 * np.exp(0.01 * np.arange(400.0))[:, None]
    values = chain(market(observe(close)))
    score = values["l21_momentum_medium"].score
    assert (score[130:] > 0.99).all() and (score[130:] <= 1.0).all()


def test_kernels_are_the_same_compiled_and_plain(seen: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    short = market(hole(observe(walk(260)), slice(100, 103)))
    two = run(l2_returns_volatility, {"l0_market_feed": short, "instruments": instruments(2)})
    args: tuple[Any, ...] = (
        short.bars.close,
        two.sigma_slow,
        short.quality.valid,
        short.quality.listed,
        (40, 80, 120),
        15,
        1.0,
    )
    modules = (momentum, ribbon, volatility, ols)
    _plain(momentum.scaled_momentum, args, l21_momentum_medium, monkeypatch, modules, "window")
    args = (short.bars.close, two.atr, short.quality.valid, (8, 21, 55), 2.0, 0.5)
    _plain(ribbon.ribbon, args, l11_ema_trend_short, monkeypatch, modules, "ribbon")
    args = (short.bars.high, short.bars.low, short.bars.close, short.quality.valid, 14)
    _plain(wilder_atr, args, l19_ema_trend_medium, monkeypatch, modules, "range")


def _plain(fn: Any, args: tuple[Any, ...], layer: Any, patch: pytest.MonkeyPatch, modules: Any, field: str) -> None:
    with patch.context() as p:
        assert_plain_is_compiled(fn, args, layer, BRISK, p, *modules, field=field)


def test_defaults_are_the_inventorys() -> None:
    k = KinematicsConfig()
    assert k.trend_short_spans == k.trend_medium_spans == (8, 21, 55)
    assert (k.slope_short_bars, k.momentum_medium_horizons, k.momentum_medium_skip) == (30, (240, 720, 1440), 15)
    assert (k.alignment_weights, k.state_enter, k.state_leave, k.state_max_step) == ((1, 1, 2, 2), 0.3, 0.15, 0.25)
