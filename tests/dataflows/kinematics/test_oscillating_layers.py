"""L14 to L18, L20, L22, L23: each against TA-Lib, statsmodels or pandas, and what each must hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import talib

from dataflows.data.types import Market
from dataflows.kinematics import bands, directional, donchian, hac, oscillators
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.l15_rsi_short import l15_rsi_short
from dataflows.kinematics.l16_macd_short import l16_macd_short
from dataflows.kinematics.l17_directional_movement_short import l17_directional_movement_short
from dataflows.kinematics.l18_breakout_short import l18_breakout_short
from dataflows.kinematics.l20_regression_slope_medium import l20_regression_slope_medium
from dataflows.kinematics.l22_directional_movement_medium import l22_directional_movement_medium
from dataflows.kinematics.l23_channel_position_medium import l23_channel_position_medium
from tests.dataflows.data.observed import market, observe, walk
from tests.dataflows.kinematics.both import assert_plain_is_compiled
from tests.dataflows.kinematics.chain import BRISK, chain, valid, with_gaps
from tests.support import carry_of

BARS = 4000
K = KinematicsConfig()


@pytest.fixture(scope="module")
def seen() -> Market:
    return with_gaps(BARS)


@pytest.fixture(scope="module")
def values(seen: Market) -> dict[str, Any]:
    return chain(seen, K)


def _closed(bars: Any, n: int) -> pd.DataFrame:
    """The bars of a higher timeframe, a row each, at the base bar on which it closed."""
    names = ("open", "high", "low", "close")
    return pd.DataFrame({x: getattr(bars, x)[:, n] for x in names})[bars.closed[:, n] == 1]


def _flat(seen: Market) -> Market:
    return _bare(np.full(seen.bars.close.shape, 100.0))


def _bare(price: Any) -> Market:
    """Bars without wicks: a mirrored price has mirrored bars."""
    before = np.vstack([price[:1], price[:-1]])
    return market(observe(price, high=np.fmax(before, price), low=np.fmin(before, price)))


@pytest.mark.parametrize("n", [0, 1])
def test_short_momentum_is_the_scaled_return_over_each_horizon(seen: Market, values: dict[str, Any], n: int) -> None:
    got = values["l14_momentum_short"]
    close = valid(seen, seen.bars.close, n)
    sigma = values["l2_returns_volatility"].sigma[close.index, n]
    scores = []
    for horizon, panel in zip(K.momentum_short_horizons, (got.horizon_1, got.horizon_2, got.horizon_3), strict=True):
        expected = np.log(close / close.shift(horizon)) / (sigma * math.sqrt(horizon))
        np.testing.assert_allclose(panel[close.index, n], expected, rtol=1e-9)
        scores.append(np.tanh(expected).fillna(0.0))
    known = got.score[close.index, n][60:]
    np.testing.assert_allclose(known, (sum(scores) / 3.0)[60:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [0, 1])
def test_rsi_is_talib_s_where_the_price_has_moved(seen: Market, values: dict[str, Any], n: int) -> None:
    got = values["l15_rsi_short"]
    close = valid(seen, seen.bars.close, n)
    expected = pd.Series(talib.RSI(close.to_numpy(), K.rsi_short_period), close.index)
    np.testing.assert_allclose(got.value[close.index, n], expected, rtol=1e-9)
    np.testing.assert_allclose(got.slope[close.index, n], expected.diff(), rtol=1e-9, atol=1e-9)
    five = _closed(seen.bars_5, n)["close"]
    slower = pd.Series(talib.RSI(five.to_numpy(), K.rsi_short_period), five.index)
    centred = ((expected + slower.reindex(range(BARS)).ffill()) / 100.0 - 1.0)[close.index]
    np.testing.assert_allclose(got.centred[close.index, n], centred, rtol=1e-9, atol=1e-9)


def test_a_price_that_does_not_move_is_neither_strong_nor_weak(seen: Market) -> None:
    made = chain(_flat(seen), K)
    assert (made["l15_rsi_short"].value[-100:] == 50.0).all()
    assert (made["l15_rsi_short"].centred[-100:] == 0.0).all()
    assert (made["l16_macd_short"].line[-100:] == 0.0).all()
    assert (made["l17_directional_movement_short"].score[-100:] == 0.0).all()
    assert (made["l18_breakout_short"].position[-100:] == 0.5).all()
    assert (made["l18_breakout_short"].side == 0).all()
    assert (made["l20_regression_slope_medium"].t_stat[-100:] == 0.0).all()
    assert (made["l23_channel_position_medium"].percent_b[-100:] == 0.5).all()


@pytest.mark.parametrize("n", [0, 1])
def test_macd_is_talib_s_before_normalising_once_the_seeds_have_faded(seen: Market, values: dict[str, Any], n: int) -> None:
    got, atr = values["l16_macd_short"], values["l2_returns_volatility"].atr
    close = valid(seen, seen.bars.close, n)
    line, signal, histogram = talib.MACD(close.to_numpy(), *K.macd_spans)
    for panel, expected in ((got.line, line), (got.signal, signal), (got.histogram, histogram)):
        raw = (panel * atr)[close.index, n]
        np.testing.assert_allclose(raw[20 * 26 :], expected[20 * 26 :], rtol=1e-6, atol=1e-9)


def test_bars_since_a_cross_count_from_the_bar_on_which_the_sides_changed(seen: Market, values: dict[str, Any]) -> None:
    got = values["l16_macd_short"]
    side = np.sign(valid(seen, got.histogram, 0).dropna())
    crossed = side * side.shift() < 0.0
    since = (~crossed).groupby(crossed.cumsum()).cumsum().where(crossed.cumsum() > 0)
    np.testing.assert_array_equal(got.bars_since_cross[side.index, 0], since)


@pytest.mark.parametrize(
    ("layer", "clock", "period"),
    [
        ("l17_directional_movement_short", "bars_5", K.directional_short_period),
        ("l22_directional_movement_medium", "bars_60", K.directional_medium_period),
    ],
)
def test_directional_movement_is_talib_s_on_the_closed_bars(
    seen: Market, values: dict[str, Any], layer: str, clock: str, period: int
) -> None:
    got, bars = values[layer], _closed(getattr(seen, clock), 0)
    prices = [bars[x].to_numpy() for x in ("high", "low", "close")]
    whole = len(bars) > 20 * period
    late = 20 * period if whole else 4 * period  # the seeds fade: 4 periods leave 2 per cent of them
    for panel, function in ((got.adx, talib.ADX), (got.plus_di, talib.PLUS_DI), (got.minus_di, talib.MINUS_DI)):
        expected = function(*prices, timeperiod=period)
        tolerance = {"rtol": 1e-6} if whole else {"atol": 2.0}
        np.testing.assert_allclose(panel[bars.index, 0][late:], expected[late:], **tolerance)


def test_a_long_series_of_hours_gives_talib_s_directional_movement(seen: Market) -> None:
    price = walk(2000, 1)[:, 0]
    high, low = price * 1.001, price * 0.999
    on = np.ones((2000, 1), np.int64)
    state = carry_of(l22_directional_movement_medium, 1, {"kinematics": K}).movement
    adx, plus, minus, _ = directional.directional_movement(high[:, None], low[:, None], price[:, None], on, 14, 40.0, state)
    for panel, function in ((adx, talib.ADX), (plus, talib.PLUS_DI), (minus, talib.MINUS_DI)):
        expected = function(high, low, price, timeperiod=14)
        np.testing.assert_allclose(panel[400:, 0], expected[400:], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n", [0, 1])
def test_the_channel_is_that_of_the_bars_before(seen: Market, values: dict[str, Any], n: int) -> None:
    got, atr = values["l18_breakout_short"], values["l2_returns_volatility"].atr
    high, low, close = (valid(seen, x, n) for x in (seen.bars.high, seen.bars.low, seen.bars.close))
    top, bottom = (x.rolling(K.breakout_short_bars).agg(how).shift() for x, how in ((high, "max"), (low, "min")))
    np.testing.assert_allclose(got.position[close.index, n], (close - bottom) / (top - bottom), rtol=1e-9)
    side = np.where(close > top, 1, np.where(close < bottom, -1, 0))
    np.testing.assert_array_equal(got.side[close.index, n], side)
    assert 0 < (side != 0).sum() < len(side) / 2
    beyond = np.where(side > 0, close - top, np.where(side < 0, close - bottom, 0.0))
    expected = np.where(np.isnan(top), np.nan, beyond / atr[close.index, n])
    np.testing.assert_allclose(got.distance_atr[close.index, n], expected, rtol=1e-9)
    out = pd.Series(side != 0, close.index)
    since = (~out).groupby(out.cumsum()).cumsum().where(out.cumsum() > 0)
    np.testing.assert_array_equal(got.bars_since[close.index, n], since)
    inside = (got.side == 0) & ~np.isnan(got.distance_atr)
    assert ((got.position[inside] >= 0.0) & (got.position[inside] <= 1.0)).all()


def test_the_medium_slope_is_statsmodels_hac_on_every_window(seen: Market, values: dict[str, Any]) -> None:
    got, close = values["l20_regression_slope_medium"], _closed(seen.bars_15, 0)["close"]
    width, lags = K.slope_medium_bars, K.slope_medium_lags
    x = sm.add_constant(np.arange(width, dtype=float))
    for end in range(width, len(close) + 1, 7):
        part = close.iloc[end - width : end]
        fit = sm.OLS(np.log(part.to_numpy()), x).fit(cov_type="HAC", cov_kwds={"maxlags": lags})
        row = part.index[-1]
        made = (got.slope[row, 0], got.t_stat[row, 0], got.r2[row, 0])
        np.testing.assert_allclose(made, (fit.params[1], fit.tvalues[1], fit.rsquared), rtol=1e-7, atol=1e-10)


def test_an_exact_line_has_the_largest_t_and_not_infinity() -> None:
    price = np.exp(0.001 * np.arange(1500.0))[:, None]
    got = chain(_bare(price), K)["l20_regression_slope_medium"]
    assert got.t_stat[-1, 0] == 1e7
    assert got.slope[-1, 0] == pytest.approx(0.015, rel=1e-9)
    assert got.r2[-1, 0] == 1.0


def test_the_bands_are_talib_s(seen: Market, values: dict[str, Any]) -> None:
    got, hours = values["l23_channel_position_medium"], _closed(seen.bars_60, 0)
    close, width = hours["close"].to_numpy(), K.channel_bars
    upper, middle, lower = talib.BBANDS(close, width, K.channel_bollinger, K.channel_bollinger)
    np.testing.assert_allclose(got.percent_b[hours.index, 0], (close - lower) / (upper - lower), rtol=1e-9)
    np.testing.assert_allclose(got.bandwidth[hours.index, 0], (upper - lower) / middle, rtol=1e-9)
    mean = talib.EMA(close, width)
    before = hours["close"].shift()
    reach = np.maximum(hours["high"], before.fillna(-np.inf)) - np.minimum(hours["low"], before.fillna(np.inf))
    atr = np.full(len(hours), np.nan)
    atr[width - 1] = reach.iloc[:width].mean()
    for i in range(width, len(hours)):  # Wilder's average, as Pine seeds it
        atr[i] = atr[i - 1] + (reach.iloc[i] - atr[i - 1]) / width
    room = K.channel_keltner * atr
    np.testing.assert_allclose(got.keltner_position[hours.index, 0], (close - mean) / room, rtol=1e-9)
    squeeze = np.where(np.isnan(room), np.nan, (upper < mean + room) & (lower > mean - room))
    np.testing.assert_array_equal(got.squeeze[hours.index, 0], squeeze)


@pytest.mark.parametrize(
    ("layer", "clock"),
    [
        ("l17_directional_movement_short", "bars_5"),
        ("l20_regression_slope_medium", "bars_15"),
        ("l22_directional_movement_medium", "bars_60"),
        ("l23_channel_position_medium", "bars_60"),
    ],
)
def test_a_higher_timeframe_s_values_change_only_when_its_bar_closes(
    seen: Market, values: dict[str, Any], layer: str, clock: str
) -> None:
    for panel in values[layer]:
        moved = (panel[1:] != panel[:-1]) & ~(np.isnan(panel[1:]) & np.isnan(panel[:-1]))
        assert not (moved & (getattr(seen, clock).closed[1:] == 0)).any()
        assert moved.any()


def test_mirrored_prices_flip_the_signs() -> None:
    log_price = np.cumsum(np.random.default_rng(4).normal(0.0, 1e-3, (1500, 2)), axis=0)
    up, down = (chain(_bare(100.0 * np.exp(s * log_price)), BRISK) for s in (1.0, -1.0))
    np.testing.assert_allclose(up["l14_momentum_short"].score, -down["l14_momentum_short"].score, atol=1e-9)
    np.testing.assert_allclose(up["l20_regression_slope_medium"].t_stat, -down["l20_regression_slope_medium"].t_stat, rtol=1e-6)
    np.testing.assert_array_equal(up["l18_breakout_short"].side, -down["l18_breakout_short"].side)


def test_compiled_kernels_give_the_bits_of_plain_python(seen: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    short = [np.ascontiguousarray(x[:600]) for x in (seen.bars.high, seen.bars.low, seen.bars.close, seen.quality.valid)]
    high, low, close, on = short
    atr = np.abs(np.diff(close, axis=0, prepend=close[:1])) + 0.01

    def check(fn: Any, args: tuple[Any, ...], layer: Any, module: Any, field: str) -> None:
        assert_plain_is_compiled(fn, args, layer, BRISK, monkeypatch, module, field=field)

    check(oscillators.wilder_rsi, (close, on, 5), l15_rsi_short, oscillators, "base")
    check(oscillators.macd, (close, on, 4, 9, 5), l16_macd_short, oscillators, "macd")
    both = (directional.directional_movement, (high, low, close, on, 4, 40.0))
    check(*both, l17_directional_movement_short, directional, "movement")
    check(donchian.donchian, (high, low, close, atr, on), l18_breakout_short, donchian, "donchian")
    check(hac.rolling_hac, (np.log(close), on, 1), l20_regression_slope_medium, hac, "window")
    check(bands.bands, (close, atr, on, 2.0, 1.5), l23_channel_position_medium, bands, "bands")
