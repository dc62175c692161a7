from __future__ import annotations

import math

import numpy as np
import pytest

from dataflows.data.types import Bars, DataConfig, Instruments, Market
from dataflows.fusion.types import Horizon
from dataflows.kinematics.types import Returns
from dataflows.regime.types import Regime
from dataflows.risk.config import RiskConfig
from dataflows.risk.l83_volatility_target import l83_volatility_target
from dataflows.risk.l84_stop_levels import l84_stop_levels
from dataflows.risk.types import TailRisk, VolForecast
from dataflows.risk.volatility_caps import (
    Noise,
    RegimeFactors,
    Regimes,
    StopRule,
    VolatilityTarget,
    stop_distance,
    volatility_cap,
)
from dataflows.runtime.compile import python_of
from tests.support import filled, run_columnar

RISK = RiskConfig()
STATES = ("calm", "trend_up", "trend_down", "high_vol", "chaotic")


def cap(sigma_day, probabilities, risk=RISK, cuts=(), days=365.0, slow=None):
    sigma_day = np.asarray(sigma_day, float).reshape(-1, 1)
    shape = sigma_day.shape
    regime = filled(Regime, shape, np.nan, **{s: np.full(shape, p) for s, p in zip(STATES, probabilities)})
    if slow is not None:
        regime = regime._replace(**{f"{s}_15": np.full(shape, p) for s, p in zip(STATES, slow)})
    inputs = {"l1_regime": regime, "l76_volatility_forecast": VolForecast(sigma_day, sigma_day, sigma_day)}
    configs = {"risk": risk, "data": DataConfig(days_a_year=days)}
    return run_columnar(l83_volatility_target, inputs, configs, cuts=cuts).fraction[:, 0]


def test_a_calm_market_gets_target_over_annualised_volatility():
    np.testing.assert_allclose(cap([0.01, 0.04], (1, 0, 0, 0, 0)), 0.2 / (np.array([0.01, 0.04]) * math.sqrt(365)))
    np.testing.assert_allclose(
        cap([0.01, 0.04], (1, 0, 0, 0, 0), RISK._replace(volatility_power=2)),
        (0.2 / (np.array([0.01, 0.04]) * math.sqrt(365))) ** 2,
    )


def test_a_year_has_the_calendars_days_of_trading():
    made = cap([0.01], (1, 0, 0, 0, 0), days=252.0)
    np.testing.assert_allclose(made, 0.2 / (0.01 * math.sqrt(252)))


def test_size_falls_as_forecast_volatility_rises():
    for power in (1, 2):
        assert (
            np.diff(cap(np.geomspace(1e-6, 2, 40), (0.3, 0.2, 0.1, 0.3, 0.1), RISK._replace(volatility_power=power))) < 0
        ).all()


def test_size_falls_as_the_chaotic_probability_rises_whatever_it_displaces():
    for other in range(4):
        sizes = []
        for p in np.linspace(0, 1, 11):
            mix = [0.0] * 5
            mix[other], mix[4] = 1 - p, p
            sizes.append(cap([0.02], mix)[0])
        assert (np.diff(sizes) < 0).all()


def test_an_unknown_forecast_or_probability_is_an_unknown_size():
    assert np.isnan(cap([np.nan, 0.0, -1.0], (1, 0, 0, 0, 0))).all()
    assert np.isnan(cap([0.02], (0.5, np.nan, 0, 0.5, 0))).all()


def test_the_more_dangerous_of_both_clocks_decides():
    mixes = [(1, 0, 0, 0, 0), (0, 0.5, 0, 0.5, 0), (0.2, 0, 0.2, 0.2, 0.4), (0, 0, 0, 0, 1)]
    for p in mixes:
        for slow in mixes:
            assert cap([0.02], p, slow=slow)[0] == min(cap([0.02], p)[0], cap([0.02], slow)[0])
    assert cap([0.02], mixes[1], slow=[np.nan] * 5)[0] == cap([0.02], mixes[1])[0]


def test_the_chaotic_factor_must_be_the_smallest():
    assert any("regime_factor_chaotic" in p for p in RISK._replace(regime_factor_chaotic=0.6).problems())
    assert not list(RISK.problems())


T, N = 300, 2


def stop_inputs(seed=2):
    rng = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.001 * rng.standard_normal((T, N)), axis=0))
    nan = np.full((T, N), np.nan)
    return {
        "l0_market_feed": _market(close),
        "l2_returns_volatility": filled(Returns, (T, N), np.nan, atr=0.2 + 0.3 * rng.random((T, N))),
        "l70_horizon": Horizon(rng.choice([5.0, 60.0, 240.0, np.nan], (T, N)), nan, np.zeros((T, N), np.int64)),
        "l76_volatility_forecast": VolForecast(nan, (0.008 + 0.008 * rng.random((T, N))) / np.sqrt(60.0), nan),
        "l77_value_at_risk": filled(TailRisk, (T, N), np.nan),
        "instruments": filled(Instruments, (T, N), 0.0, tick_size=np.array([0.01, 0.0])),
    }


def _market(close):
    return filled(Market, close.shape)._replace(bars=filled(Bars, close.shape, np.nan, close=close))


def stops(x, risk=RISK, cuts=()):
    return run_columnar(l84_stop_levels, x, {"risk": risk}, cuts=cuts)


def test_the_stop_is_the_largest_of_its_terms():
    x = stop_inputs()
    out = stops(x)
    close, atr = x["l0_market_feed"].bars.close, x["l2_returns_volatility"].atr
    hold = np.where(np.isnan(x["l70_horizon"].bars), 60, x["l70_horizon"].bars)
    terms = [
        1.5 * x["l76_volatility_forecast"].sigma_bar * np.sqrt(hold),
        2.5 * atr / close,
        4 * x["instruments"].tick_size / close,
    ]
    want = np.minimum(np.max(terms, axis=0), 0.1)
    np.testing.assert_allclose(out.stop_distance, want, rtol=1e-14)
    np.testing.assert_allclose(out.take_profit_distance, 1.5 * want)
    np.testing.assert_allclose(out.trail_distance, want)
    np.testing.assert_array_equal(out.time_stop, hold)


def test_the_loss_that_a_bar_exceeds_once_in_a_hundred_is_within_the_stop():
    x = stop_inputs()
    far = 0.9 * RISK.stop_max
    bars = filled(TailRisk, (T, N), np.nan, var_99_bar=np.full((T, N), far))
    np.testing.assert_array_equal(stops(x | {"l77_value_at_risk": bars}).stop_distance, np.full((T, N), far))


def test_ticks_bind_in_a_quiet_market_and_the_greatest_distance_in_a_wild_one():
    x = stop_inputs()
    quiet = x["l76_volatility_forecast"]._replace(sigma_bar=np.full((T, N), 1e-9 / np.sqrt(60.0)))
    y = x | {
        "l76_volatility_forecast": quiet,
        "l2_returns_volatility": filled(Returns, (T, N), np.nan, atr=np.full((T, N), 1e-9)),
    }
    np.testing.assert_allclose(stops(y).stop_distance[:, 0], 0.04 / x["l0_market_feed"].bars.close[:, 0])
    wild = x["l76_volatility_forecast"]._replace(sigma_bar=np.full((T, N), 0.5 / np.sqrt(60.0)))
    assert (stops(x | {"l76_volatility_forecast": wild}).stop_distance == RISK.stop_max).all()


def test_positive_and_finite_or_all_unknown_for_any_input():
    rng = np.random.default_rng(0)
    hostile = np.array([np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308, 1e-308, 1e-3, 50.0])

    def draw():
        return rng.choice(hostile, (T, N))

    nan = np.full((T, N), np.nan)
    x = {
        "l0_market_feed": _market(draw()),
        "l2_returns_volatility": filled(Returns, (T, N), np.nan, atr=draw()),
        "l70_horizon": Horizon(draw(), nan, np.zeros((T, N), np.int64)),
        "l76_volatility_forecast": VolForecast(nan, draw(), nan),
        "l77_value_at_risk": filled(TailRisk, (T, N), np.nan, var_99_bar=draw()),
        "instruments": filled(Instruments, (T, N), 0.0, tick_size=np.array([1e308, 0.01])),
    }
    out = stops(x)
    known = [np.isfinite(f) & (f > 0) for f in out]
    unknown = [np.isnan(f) for f in out]
    assert (np.all(known, axis=0) | np.all(unknown, axis=0)).all()
    assert np.all(known, axis=0).any() and np.all(unknown, axis=0).any()
    assert not (out.take_profit_distance >= 1).any()


def test_one_known_volatility_is_enough_but_ticks_alone_are_not():
    x = stop_inputs()
    nan = np.full((T, N), np.nan)
    no_atr = x | {"l2_returns_volatility": filled(Returns, (T, N), np.nan)}
    no_sigma = x | {"l76_volatility_forecast": VolForecast(nan, nan, nan)}
    assert np.isfinite(stops(no_atr).stop_distance).all() and np.isfinite(stops(no_sigma).stop_distance).all()
    assert np.isnan(stops(no_atr | {"l76_volatility_forecast": VolForecast(nan, nan, nan)}).time_stop).all()


def test_prices_times_a_power_of_two_change_nothing():
    x = stop_inputs()
    y = x | {
        "l0_market_feed": _market(x["l0_market_feed"].bars.close * 8),
        "l2_returns_volatility": filled(Returns, (T, N), np.nan, atr=x["l2_returns_volatility"].atr * 8),
        "instruments": x["instruments"]._replace(tick_size=x["instruments"].tick_size * 8),
    }
    for a, b in zip(stops(x), stops(y)):
        np.testing.assert_array_equal(a, b)


def test_any_cutting_into_chunks_gives_the_same_bits():
    x = stop_inputs()
    for a, b in zip(stops(x), stops(x, cuts=tuple(range(T)))):
        np.testing.assert_array_equal(a, b)


def test_compiled_equals_plain():
    x = stop_inputs()
    noise = Noise(x["l76_volatility_forecast"].sigma_bar, x["l2_returns_volatility"].atr, x["l77_value_at_risk"].var_99_bar)
    rule = StopRule(by_sigma=1.5, by_atr=2.5, min_ticks=4.0, most=0.1, default_horizon=60.0)
    args = (x["l0_market_feed"].bars.close, noise, x["l70_horizon"].bars, x["instruments"].tick_size, rule)
    for a, b in zip(stop_distance(*args), python_of(stop_distance)(*args)):
        np.testing.assert_array_equal(a, b)
    rng = np.random.default_rng(1)
    sigma, *p = [rng.random((50, 2)) for _ in range(11)]
    factors = RegimeFactors(calm=1.0, trend=1.0, high_vol=0.5, chaotic=0.25)
    for power in (1, 2):
        args = (sigma, Regimes(*p[:5]), Regimes(*p[5:]), factors, VolatilityTarget(annual=0.2, days=365.0, power=power))
        np.testing.assert_array_equal(volatility_cap(*args), python_of(volatility_cap)(*args))


@pytest.mark.parametrize(
    "key, value", [("stop_max", 0.9), ("garch_beta", 0.96), ("drawdown_start", 0.15), ("hard_drawdown", 0.1), ("net", 2.0)]
)
def test_keys_that_contradict_each_other_are_named(key, value):
    assert any(key in p for p in RISK._replace(**{key: value}).problems())
