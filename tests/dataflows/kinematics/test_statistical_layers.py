"""L13, L24, L51 to L57: each against statsmodels, arch, SciPy, TA-Lib or NumPy, or a truth that was planted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.signal
import scipy.stats
import talib
from arch.unitroot import VarianceRatio as ArchVarianceRatio
from statsmodels.tsa.statespace.structural import UnobservedComponents
from statsmodels.tsa.stattools import adfuller

from dataflows.data.config import DataConfig
from dataflows.data.types import Market
from dataflows.kinematics import cycle, efficiency, jumps, kalman, reversion, roughness, variance_ratio
from dataflows.kinematics import fir as firs
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.kalman import walk_deviations
from dataflows.kinematics.l13_kalman_velocity import l13_kalman_velocity
from dataflows.kinematics.l24_variance_ratio import l24_variance_ratio
from dataflows.kinematics.l51_velocity_acceleration import l51_velocity_acceleration
from dataflows.kinematics.l52_hurst_exponent import l52_hurst_exponent
from dataflows.kinematics.l54_cycle_phase import l54_cycle_phase
from dataflows.kinematics.l55_efficiency_ratio import l55_efficiency_ratio
from dataflows.kinematics.l56_mean_reversion_speed import l56_mean_reversion_speed
from dataflows.kinematics.l57_jump_component import LEAST_BARS, l57_jump_component
from dataflows.kinematics.weights import fractional_difference, savitzky_golay
from tests.dataflows.data.observed import market, observe, walk
from tests.dataflows.kinematics.both import assert_plain_is_compiled
from tests.dataflows.kinematics.chain import BRISK, chain, valid, with_gaps
from tests.support import carry_of

BARS = 2500
K = KinematicsConfig()


@pytest.fixture(scope="module")
def seen() -> Market:
    return with_gaps(BARS)


@pytest.fixture(scope="module")
def values(seen: Market) -> dict[str, Any]:
    return chain(seen, K)


def _on(x: Any) -> Any:
    return np.ones(x.shape, np.int64)


def test_the_filter_is_statsmodels_local_linear_trend(seen: Market, values: dict[str, Any]) -> None:
    close = valid(seen, seen.bars.close, 1)
    y = 1e4 * np.log(close.to_numpy())
    model = UnobservedComponents(y, "local linear trend")
    model.ssm.initialize_approximate_diffuse(1e8)
    fit = model.filter([1.0, K.kalman_q_level, K.kalman_q_velocity])
    got = values["l13_kalman_velocity"]
    level, velocity = fit.filtered_state
    np.testing.assert_allclose(1e4 * got.level[close.index, 1][10:], level[10:], rtol=1e-7)
    np.testing.assert_allclose(1e4 * got.velocity[close.index, 1][50:], velocity[50:], rtol=1e-4, atol=1e-5)
    sigma = values["l2_returns_volatility"].sigma[close.index, 1] / math.sqrt(2.0 + K.kalman_q_level)
    deviation = np.sqrt(fit.filtered_state_cov[1, 1]) * sigma
    of_t, of_z = walk_deviations(K.kalman_q_level, K.kalman_q_velocity)
    expected = 1e-4 * velocity[100:] / (of_t * deviation[100:])
    np.testing.assert_allclose(got.t_stat[close.index, 1][100:], expected, rtol=1e-4, atol=1e-6)
    surprise = 1e-4 * fit.forecasts_error[0, 1:] / (np.sqrt(fit.forecasts_error_cov[0, 0, 1:]) * sigma[:-1])
    np.testing.assert_allclose(got.innovation_z[close.index, 1][100:], surprise[99:] / of_z, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("q_level", "q_velocity"), [(0.1, 0.001), (0.0, 0.01), (1.0, 1e-4)])
def test_on_a_random_walk_both_statistics_deviate_by_one(q_level: float, q_velocity: float) -> None:
    k = K._replace(kalman_q_level=q_level, kalman_q_velocity=q_velocity)
    y = np.cumsum(np.random.default_rng(17).normal(0.0, 1e-3, (40_000, 4)), axis=0)
    state = carry_of(l13_kalman_velocity, 4, {"kinematics": k}).filter
    deviations = walk_deviations(q_level, q_velocity)
    _, _, t, z = kalman.local_trend(y, np.full(y.shape, 1e-3), _on(y), q_level, q_velocity, deviations, state)
    assert np.nanstd(t[1000:]) == pytest.approx(1.0, abs=0.04)
    assert np.nanstd(z[1000:]) == pytest.approx(1.0, abs=0.02)


def test_the_variance_ratio_is_arch_s_on_every_window(seen: Market, values: dict[str, Any]) -> None:
    got, window = values["l24_variance_ratio"], K.ratio_window_bars
    r = valid(seen, values["l2_returns_volatility"].r_1, 0).dropna()
    for end in range(window, len(r) + 1, 97):
        path = np.concatenate([[0.0], np.cumsum(r.iloc[end - window : end])])
        expected = ArchVarianceRatio(path, K.ratio_horizon_bars, trend="n", debiased=False)
        row = r.index[end - 1]
        np.testing.assert_allclose((got.ratio[row, 0], got.z[row, 0]), (expected.vr, expected.stat), rtol=1e-7, atol=1e-9)
        assert got.bias[row, 0] == pytest.approx(math.tanh(expected.stat / 2.0))


@pytest.mark.parametrize(("memory", "low", "high"), [(0.0, 0.85, 1.15), (0.3, 1.3, 3.0), (-0.3, 0.2, 0.75)])
def test_moves_that_persist_raise_the_ratio_and_moves_that_cancel_lower_it(memory: float, low: float, high: float) -> None:
    noise = np.random.default_rng(3).normal(0.0, 1e-3, (6000, 4))
    r = scipy.signal.lfilter([1.0], [1.0, -memory], noise, axis=0)
    state = carry_of(l24_variance_ratio, 4, {"kinematics": K}).window
    ratio, _ = variance_ratio.variance_ratio(np.ascontiguousarray(r), _on(r), state)
    assert low < np.nanmean(ratio) < high


def test_the_derivatives_weights_are_scipy_s_and_exact_on_a_cubic() -> None:
    weights = savitzky_golay(21, 3)
    for order in (1, 2, 3):
        expected = scipy.signal.savgol_coeffs(21, 3, deriv=order, pos=20)
        np.testing.assert_allclose(weights[order - 1], expected, rtol=1e-9, atol=1e-12)
    t = np.arange(60.0)
    y = (2.0 - 0.3 * t + 0.02 * t * t - 0.001 * t * t * t)[:, None]
    state = carry_of(l51_velocity_acceleration, 1, {"kinematics": K}).taps
    moves = firs.fir(y, _on(y), weights, state)[:, :, 0]
    truth = (-0.3 + 0.04 * t - 0.003 * t * t, 0.04 - 0.006 * t, np.full(60, -0.006))
    for made, expected in zip(moves, truth, strict=True):
        assert np.isnan(made[:20]).all()
        np.testing.assert_allclose(made[20:], expected[20:], rtol=1e-7, atol=1e-9)


def test_the_derivatives_are_in_atr(seen: Market, values: dict[str, Any]) -> None:
    got, atr = values["l51_velocity_acceleration"], values["l2_returns_volatility"].atr
    close = valid(seen, seen.bars.close, 1)
    weights = scipy.signal.savgol_coeffs(21, 3, deriv=1, pos=20, use="dot")
    expected = np.log(close).rolling(21).apply(lambda x: x @ weights, raw=True) * close / atr[close.index, 1]
    np.testing.assert_allclose(got.velocity[close.index, 1][20:], expected[20:], rtol=1e-6, atol=1e-9)


def test_over_500_random_walks_the_exponent_is_a_half() -> None:
    x = np.cumsum(np.random.default_rng(7).normal(0.0, 1e-3, (800, 500)), axis=0)
    state = carry_of(l52_hurst_exponent, 500, {"kinematics": K}).window
    h = roughness.hurst(x, _on(x), K.hurst_lags, state)[-1]
    assert abs(h.mean() - 0.5) < 0.01
    assert h.std() < 0.045


def test_the_exponent_is_the_slope_of_the_structure_function(seen: Market, values: dict[str, Any]) -> None:
    x = np.log(valid(seen, seen.bars.close, 0))
    for end in (800, 1500, len(x)):
        part = x.to_numpy()[:end]
        squares = [np.square(part[lag:] - part[:-lag])[-K.hurst_window_bars :].mean() for lag in K.hurst_lags]
        slope = 0.5 * np.polyfit(np.log(K.hurst_lags), np.log(squares), 1)[0]
        assert values["l52_hurst_exponent"].h[x.index[end - 1], 0] == pytest.approx(slope, rel=1e-9)


def test_persistent_moves_raise_the_exponent(seen: Market) -> None:
    noise = np.random.default_rng(8).normal(0.0, 1e-3, (3000, 1))
    x = np.cumsum(scipy.signal.lfilter([1.0], [1.0, -0.5], noise, axis=0), axis=0)
    state = carry_of(l52_hurst_exponent, 1, {"kinematics": K}).window
    assert roughness.hurst(x, _on(x), K.hurst_lags, state)[-1, 0] > 0.58


def test_an_order_of_0_is_the_series_and_of_1_its_first_difference() -> None:
    np.testing.assert_array_equal(fractional_difference(0.0, 5)[0], [1.0, 0.0, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(fractional_difference(1.0, 5)[0], [1.0, -1.0, 0.0, 0.0, 0.0])


def test_the_fractional_difference_is_the_sum_of_its_binomial_weights(seen: Market, values: dict[str, Any]) -> None:
    got = values["l53_fractional_difference"]
    x = np.log(valid(seen, seen.bars.close, 0))
    weights = [1.0]
    for k in range(1, K.fraction_taps):
        weights.append(-weights[-1] * (K.fraction_order - k + 1) / k)
    expected = x.rolling(K.fraction_taps).apply(lambda part: part[::-1] @ np.array(weights), raw=True)
    np.testing.assert_allclose(got.value[x.index, 0], expected, rtol=1e-9)
    window = expected.rolling(K.fraction_window_bars)
    z = (expected - window.mean()) / window.std(ddof=0)
    late = K.fraction_taps + K.fraction_window_bars
    np.testing.assert_allclose(got.z[x.index, 0][late:], z[late:], rtol=1e-6, atol=1e-8)
    assert float(np.sum(weights)) == pytest.approx(0.081, abs=5e-4)


def test_z_of_the_fractional_difference_is_free_of_scale(seen: Market, values: dict[str, Any]) -> None:
    scaled = market(observe(1024.0 * walk(BARS)), tick=10.24)
    plain = market(observe(walk(BARS)))
    a, b = (chain(m, BRISK, tick=t)["l53_fractional_difference"] for m, t in ((plain, 0.01), (scaled, 10.24)))
    np.testing.assert_allclose(a.z, b.z, atol=1e-6)
    assert not np.allclose(a.value[-1], b.value[-1])


@pytest.mark.parametrize("n", [0, 1])
def test_the_cycle_is_talib_s(seen: Market, values: dict[str, Any], n: int) -> None:
    got = values["l54_cycle_phase"]
    close = valid(seen, seen.bars.close, n)
    price = close.to_numpy()
    sine, lead = talib.HT_SINE(price)
    for panel, expected in (
        (got.period, talib.HT_DCPERIOD(price)),
        (got.phase, talib.HT_DCPHASE(price)),
        (got.sine, sine),
        (got.lead_sine, lead),
    ):
        np.testing.assert_allclose(panel[close.index, n][400:], expected[400:], atol=1e-6)
    np.testing.assert_array_equal(1 - got.in_cycle[close.index, n][400:], talib.HT_TRENDMODE(price)[400:])


@pytest.mark.parametrize("period", [12.0, 20.0, 35.0])
def test_the_period_of_a_planted_sine_is_found(period: float) -> None:
    price = 100.0 + 2.0 * np.sin(2.0 * np.pi * np.arange(600.0) / period)[:, None]
    state = carry_of(l54_cycle_phase, 1, {"kinematics": K}).cycle
    found = cycle.cycle(price, _on(price), state)[0]
    assert found[300:].mean() == pytest.approx(period, rel=0.1)


@pytest.mark.parametrize("n", [0, 1])
def test_the_adaptive_average_is_talib_s_where_its_fastest_and_slowest_are(
    seen: Market, values: dict[str, Any], n: int
) -> None:
    got = values["l55_efficiency_ratio"]
    close = valid(seen, seen.bars.close, n)
    expected = talib.KAMA(close.to_numpy(), K.efficiency_bars)
    np.testing.assert_allclose(got.kama[close.index, n], expected, rtol=1e-9)
    way = close.diff().abs().rolling(K.efficiency_bars).sum()
    np.testing.assert_allclose(
        got.ratio[close.index, n], (close - close.shift(K.efficiency_bars)).abs() / way, rtol=1e-7, atol=1e-12
    )
    distance = (close.to_numpy() - expected) / values["l2_returns_volatility"].atr[close.index, n]
    np.testing.assert_allclose(got.distance_atr[close.index, n], distance, rtol=1e-7, atol=1e-9)


def _reverting(half_life: float, trials: int, bars: int, seed: int) -> Any:
    noise = np.random.default_rng(seed).normal(0.0, 1e-3, (bars + 500, trials))
    phi = 0.5 ** (1.0 / half_life)
    return np.ascontiguousarray(scipy.signal.lfilter([1.0], [1.0, -phi], noise, axis=0)[500:])


@pytest.mark.parametrize("half_life", [8.0, 25.0, 200.0])
def test_the_reversion_score_follows_statsmodels_dickey_fuller(half_life: float) -> None:
    window = K.reversion_window_bars
    x = _reverting(half_life, 1, 1500, 10)
    state = carry_of(l56_mean_reversion_speed, 1, {"kinematics": K}).window
    z, _, scores = reversion.autoregression(x, _on(x), state)
    for end in range(window, len(x) + 1, 41):
        part = x[end - window : end, 0]
        t = adfuller(part, maxlag=0, autolag=None, regression="c", result_object=False)[0]
        assert scores[end - 1, 0] == pytest.approx(min(1.0, max(0.0, (-2.57 - t) / (3.43 - 2.57))), abs=1e-6)
        assert z[end - 1, 0] == pytest.approx((part[-1] - part.mean()) / part.std(), abs=1e-7)
    assert (scores[window:] > 0.5).any() or half_life > 100.0


@pytest.mark.parametrize("half_life", [10.0, 30.0, 60.0])
def test_planted_half_lives_are_found(half_life: float) -> None:
    x = _reverting(half_life, 300, K.reversion_window_bars + 1, 11)
    state = carry_of(l56_mean_reversion_speed, 300, {"kinematics": K}).window
    _, found, _ = reversion.autoregression(x, _on(x), state)
    assert np.median(found[-1]) == pytest.approx(half_life, rel=0.2)


def test_a_random_walk_does_not_come_back() -> None:
    x = np.cumsum(np.random.default_rng(12).normal(0.0, 1e-3, (481, 2000)), axis=0)
    state = carry_of(l56_mean_reversion_speed, 2000, {"kinematics": K}).window
    _, _, score = reversion.autoregression(x, _on(x), state)
    assert 0.85 < (score[-1] == 0.0).mean() < 0.95


def _jumps(r: Any) -> Any:
    state = carry_of(l57_jump_component, r.shape[1], {"kinematics": K, "data": DataConfig()}).jumps
    return jumps.jumps(r, np.full(r.shape, 1e-6), _on(r), jumps.jump_threshold(1440.0, K.jump_level), state)


def test_false_alarms_come_about_as_often_as_the_level_says() -> None:
    days = 400
    r = np.random.default_rng(13).normal(0.0, 1e-3, (1440 * 20 + 121, days // 20))
    _, _, is_jump, _ = _jumps(r)
    assert K.jump_level / 3.0 < is_jump.sum() / days < K.jump_level * 3.0


@pytest.mark.parametrize(("bars_a_day", "span"), [(1, 60), (7, 60), (24, 60), (390, 390)])
def test_a_jump_is_rare_at_every_clock(bars_a_day: int, span: int) -> None:
    """Normal returns: so many false alarms in a day, or in 60 bars where a day has fewer, as `jump_level` says."""
    r = np.random.default_rng(8).normal(0.0, 1e-3, (span * 300, 4))
    threshold = jumps.jump_threshold(float(max(bars_a_day, LEAST_BARS)), K.jump_level)
    exact = scipy.stats.norm.isf(0.5 * (1.0 - (1.0 - K.jump_level) ** (1.0 / span)))
    assert threshold == pytest.approx(exact, rel=0.05)
    state = carry_of(l57_jump_component, 4, {"kinematics": K, "data": DataConfig(bars_a_day=bars_a_day)}).jumps
    is_jump = jumps.jumps(r, np.full(r.shape, 1e-6), _on(r), threshold, state)[2]
    assert K.jump_level / 3.0 < is_jump.sum() / 1200 < K.jump_level * 3.0


def test_a_planted_jump_is_found_with_its_side_and_its_share() -> None:
    r = np.random.default_rng(14).normal(0.0, 1e-3, (1000, 2))
    r[700, 0], r[700, 1] = 0.02, -0.02
    share, statistic, is_jump, side = _jumps(r)
    assert is_jump[700].tolist() == [1, 1]
    assert side[700].tolist() == [1, -1]
    assert (share[700] > 0.5).all()
    assert (share[690] < 0.3).all()
    assert abs(statistic[700, 0]) > 15.0


def test_mostly_zero_returns_give_no_infinite_statistic() -> None:
    rng = np.random.default_rng(15)
    r = np.where(rng.random((2000, 2)) < 0.8, 0.0, rng.normal(0.0, 1e-3, (2000, 2)))
    share, statistic, _, _ = _jumps(r)
    assert np.isfinite(statistic[200:]).all()
    assert ((share[200:] >= 0.0) & (share[200:] <= 1.0)).all()


def test_a_price_that_does_not_move_has_no_statistics() -> None:
    price = np.full((1000, 1), 100.0)
    made = chain(market(observe(price, high=price, low=price)), BRISK)
    for layer, field, expected in (
        ("l13_kalman_velocity", "velocity", 0.0),
        ("l24_variance_ratio", "ratio", 1.0),
        ("l24_variance_ratio", "z", 0.0),
        ("l51_velocity_acceleration", "velocity", 0.0),
        ("l52_hurst_exponent", "h", 0.5),
        ("l53_fractional_difference", "z", 0.0),
        ("l55_efficiency_ratio", "ratio", 0.0),
        ("l56_mean_reversion_speed", "score", 0.0),
        ("l57_jump_component", "share", 0.0),
    ):
        assert getattr(made[layer], field)[-1, 0] == expected, (layer, field)


def test_compiled_kernels_give_the_bits_of_plain_python(seen: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    close = np.ascontiguousarray(seen.bars.close[:400])
    on, x = np.ascontiguousarray(seen.quality.valid[:400]), np.log(close)
    r = np.diff(x, axis=0, prepend=x[:1])
    sigma = np.full(r.shape, 1e-3)

    def check(fn: Any, args: tuple[Any, ...], layer: Any, module: Any, field: str) -> None:
        assert_plain_is_compiled(fn, args, layer, BRISK, monkeypatch, module, field=field)

    check(kalman.local_trend, (x, sigma, on, 0.1, 0.001, (2.0, 1.5)), l13_kalman_velocity, kalman, "filter")
    check(variance_ratio.variance_ratio, (r, on), l24_variance_ratio, variance_ratio, "window")
    check(firs.fir, (x, on, savitzky_golay(9, 3)), l51_velocity_acceleration, firs, "taps")
    check(roughness.hurst, (x, on, BRISK.hurst_lags), l52_hurst_exponent, roughness, "window")
    check(cycle.cycle, (close, on), l54_cycle_phase, cycle, "cycle")
    check(efficiency.efficiency, (close, on, 2, 30), l55_efficiency_ratio, efficiency, "window")
    check(reversion.autoregression, (x, on), l56_mean_reversion_speed, reversion, "window")
    check(jumps.jumps, (r, sigma, on, 3.0), l57_jump_component, jumps, "jumps")
