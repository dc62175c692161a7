"""L58: against pandas windows and a weighted ridge regression by NumPy, and on a volatility that returns to its mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.signal import lfilter

from dataflows.data.config import DataConfig
from dataflows.kinematics import term
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.l58_volatility_term_structure import l58_volatility_term_structure
from dataflows.kinematics.types import Returns, VolTerm
from dataflows.panel import Floats
from tests.dataflows.kinematics.both import assert_plain_is_compiled
from tests.support import carry_of, filled, run_columnar

SHORT, MEDIUM, LONG = 12, 60, 200
C = KinematicsConfig(term_short_bars=SHORT, term_medium_bars=MEDIUM, term_long_bars=LONG, term_forget=0.98, term_prior=3.0)
FLOOR = 1e-6


def returns(bars: int = 1500, symbols: int = 2, seed: int = 0) -> Floats:
    """Returns whose log volatility comes back to its mean."""
    rng = np.random.default_rng(seed)
    log_volatility = lfilter([1.0], [1.0, -0.98], rng.normal(0.0, 0.15, (bars, symbols)), axis=0)
    return np.ascontiguousarray(5e-4 * np.exp(log_volatility) * rng.standard_normal((bars, symbols)))


def run(r: Floats, c: KinematicsConfig = C, floor: float = FLOOR, **more: Any) -> VolTerm:
    inputs = {"l2_returns_volatility": filled(Returns, r.shape, 1.0, r_1=r, sigma_floor=np.full(r.shape, floor))}
    made: VolTerm = run_columnar(l58_volatility_term_structure, inputs, {"kinematics": c, "data": DataConfig()}, **more)
    return made


def expected(r: Floats, horizon: int, at: int, c: KinematicsConfig = C) -> float:
    """The forecast at bar `at` by one weighted ridge regression over all samples whose target is complete by then."""
    square = pd.Series(r * r)
    logs = pd.DataFrame({w: np.log(np.maximum(square.rolling(w).mean(), FLOOR * FLOOR)) for w in (SHORT, MEDIUM)})
    logs[LONG] = np.log(square.rolling(LONG, min_periods=MEDIUM).mean())
    level = logs.mean(axis=1)  # of those that are known
    x = np.column_stack([np.ones(len(r)), (logs[SHORT] - level).fillna(0.0), (logs[MEDIUM] - level).fillna(0.0)])
    x[: MEDIUM - 1, 1:] = 0.0
    future = np.log(square.rolling(horizon).mean()).shift(-horizon)
    use = list(range(SHORT - 1, at - horizon + 1))
    age = np.array([at - horizon - s for s in use])
    weight = c.term_forget ** (age / horizon) / horizon
    y = (future - level).to_numpy()[use]
    a = (x[use] * weight[:, None]).T @ x[use] + c.term_prior * np.eye(3)
    b = np.linalg.solve(a, (x[use] * weight[:, None]).T @ y)
    left = (weight @ (y * y) - b @ ((x[use] * weight[:, None]).T @ y)) / (weight.sum() + c.term_prior)
    return float(np.exp(0.5 * (level[at] + x[at] @ b + 0.5 * left)))


@pytest.mark.parametrize("at", [SHORT - 1, 40, 75, 130, 500, 1499])
def test_the_forecasts_are_a_weighted_ridge_regression_on_complete_targets(at: int) -> None:
    r = returns()
    got = run(r)
    for n in range(2):
        assert got.har_60[at, n] == pytest.approx(expected(r[:, n], SHORT, at), rel=1e-9)
        assert got.har_day[at, n] == pytest.approx(expected(r[:, n], MEDIUM, at), rel=1e-9)


def test_the_ratio_is_that_of_pandas_windows() -> None:
    r = returns()
    square = pd.DataFrame(r * r)
    ratio = np.sqrt(square.rolling(SHORT).mean() / square.rolling(LONG, min_periods=MEDIUM).mean())
    np.testing.assert_allclose(run(r).ratio, ratio, rtol=1e-9)


def test_the_volatility_of_volatility_is_that_of_pandas() -> None:
    r = returns()
    logs = 0.5 * np.log(pd.DataFrame(r * r).rolling(SHORT).mean()).dropna()
    got = run(r).vol_of_vol
    assert np.isnan(got[: 2 * SHORT - 2]).all()
    half = MEDIUM // 2
    for end in (SHORT, half):  # weights are equal until the average is as long as its span
        assert got[SHORT + end - 2, 0] == pytest.approx(logs[0].iloc[:end].std(ddof=0), rel=1e-9)
    usual = logs.ewm(span=MEDIUM, adjust=False).std(bias=True)
    np.testing.assert_allclose(got[-200:], usual[-200:], rtol=1e-6)


def test_before_anything_is_learned_the_spans_weigh_the_same_and_those_not_whole_are_left_out() -> None:
    r = returns()
    c = C._replace(term_prior=1e12)
    got = run(r, c)
    square = pd.DataFrame(r * r)
    short, medium = np.sqrt(square.rolling(SHORT).mean()), np.sqrt(square.rolling(MEDIUM).mean())
    far = np.sqrt(square.rolling(LONG, min_periods=MEDIUM).mean())
    for forecast in (got.har_60, got.har_day):
        np.testing.assert_allclose(forecast[: MEDIUM - 1], short[: MEDIUM - 1], rtol=1e-9)
        np.testing.assert_allclose(forecast[MEDIUM - 1 :], np.cbrt(short * medium * far)[MEDIUM - 1 :], rtol=1e-8)


def test_the_forecasts_are_known_after_the_short_span_and_positive_even_where_nothing_moves() -> None:
    r = returns()
    r[300:800] = 0.0
    for floor in (FLOOR, 0.0, np.nan):
        got = run(r, floor=floor)
        for forecast in (got.har_60, got.har_day):
            assert np.isnan(forecast[: SHORT - 1]).all()
            assert (forecast[SHORT - 1 :] > 0.0).all() and np.isfinite(forecast[SHORT - 1 :]).all()


def test_no_target_is_used_before_it_is_complete() -> None:
    r = returns()
    for at in (SHORT, 2 * SHORT - 2, 2 * SHORT - 1, SHORT + MEDIUM - 2, SHORT + MEDIUM - 1):
        carry = carry_of(l58_volatility_term_structure, 2, {"kinematics": C, "data": DataConfig()})
        run(r[: at + 1], carry=carry)
        assert (carry.term.short.products[0] > 0.0).all() == (at >= 2 * SHORT - 1)
        assert (carry.term.medium.products[0] > 0.0).all() == (at >= SHORT + MEDIUM - 1)


def test_samples_whose_life_a_gap_cut_are_void_and_a_short_gap_costs_none() -> None:
    r = returns()
    learned = []
    for gap in (0, 5, 6):
        carry = carry_of(l58_volatility_term_structure, 2, {"kinematics": C, "data": DataConfig()})
        run(np.insert(r, [700] * gap, np.nan, axis=0), carry=carry)
        learned.append(carry.term.short.targets.copy())
    np.testing.assert_array_equal(learned[0], learned[1])
    assert (learned[0] != learned[2]).any()


def test_it_foretells_better_than_any_span_by_itself_where_volatility_comes_back() -> None:
    r = returns(40_000, 4, seed=3)
    got = run(r, C._replace(term_forget=0.9995))
    square = pd.DataFrame(r * r)
    truth = square.rolling(SHORT).mean().shift(-SHORT)
    rows = slice(5000, -SHORT)

    def loss(forecast: Any) -> float:  # Patton's (2011), which noise in the proxy does not turn
        ratio = truth[rows] / np.asarray(forecast)[rows] ** 2
        return float((ratio - np.log(ratio) - 1.0).to_numpy().mean())

    best = min(loss(np.sqrt(square.rolling(w).mean())) for w in (SHORT, MEDIUM, LONG))
    assert loss(got.har_60) < 0.97 * best
    assert float((truth[rows] / got.har_60[rows] ** 2).to_numpy().mean()) == pytest.approx(1.0, abs=0.1)


def test_the_compiled_kernel_is_the_plain_one_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    r = returns(500)
    r[100:103, 0] = np.nan
    r[200:260, 1] = np.nan
    args = (r, np.full(r.shape, FLOOR), SHORT, C.term_forget, C.term_prior, 5)
    assert_plain_is_compiled(term.term_structure, args, l58_volatility_term_structure, C, monkeypatch, term, field="term")
