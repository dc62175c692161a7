from __future__ import annotations

import math

import numpy as np
import pytest
from arch import arch_model
from arch.univariate import GARCH, ZeroMean

from dataflows.carry import start_state
from dataflows.data.config import DataConfig
from dataflows.kinematics.types import Returns, VolTerm
from dataflows.regime.types import ChangePoint
from dataflows.risk.config import RiskConfig
from dataflows.risk.garch import Garch, GarchLaw, Observed, Spans, Together, garch_volatility, with_har
from dataflows.risk.l76_volatility_forecast import l76_volatility_forecast
from dataflows.runtime.compile import python_of
from tests.support import filled, run_columnar

T, N = 700, 2
CONFIGS = {"risk": RiskConfig(), "data": DataConfig()}


def returns(scale: float = 1e-3, known_from: int = 60, seed: int = 5) -> Returns:
    rng = np.random.default_rng(seed)
    r = scale * np.exp(0.5 * np.sin(np.arange(T) / 70))[:, None] * rng.standard_normal((T, N))
    sigma = np.full((T, N), np.nan)
    sigma[known_from:] = scale * (1 + 0.3 * rng.random((T - known_from, N)))
    return filled(Returns, (T, N), np.nan, r_1=r, sigma=sigma, sigma_slow=1.1 * sigma, sigma_floor=np.full((T, N), scale / 100))


def inputs(x: Returns, har_60=np.nan, har_day=np.nan, p_change=np.nan) -> dict[str, object]:
    """By default neither a HAR nor a change point is known: the GARCH part alone."""

    def panel(v):
        return np.array(np.broadcast_to(np.asarray(v, float), (T, N)))

    return {
        "l2_returns_volatility": x,
        "l58_volatility_term_structure": filled(VolTerm, (T, N), np.nan, har_60=panel(har_60), har_day=panel(har_day)),
        "l64_change_point": filled(ChangePoint, (T, N), np.nan, p_change=panel(p_change)),
    }


def forecast(x: Returns, cuts: tuple[int, ...] = (), other: dict[str, object] | None = None, **risk: float):
    return run_columnar(l76_volatility_forecast, inputs(x, **(other or {})), CONFIGS | {"risk": RiskConfig(**risk)}, cuts=cuts)


@pytest.mark.parametrize("alpha, beta", [(0.05, 0.94), (0.1, 0.8), (0.0, 0.5)])
def test_with_omega_given_it_is_the_garch_of_arch_at_the_same_backcast(alpha, beta):
    x = returns()
    omega = 2e-8
    out = forecast(x, garch_omega=omega, garch_alpha=alpha, garch_beta=beta)
    for n in range(N):
        model = ZeroMean(x.r_1[60:, n], volatility=(vol := GARCH(1, 0, 1)), rescale=False)
        vol.backcast = lambda resids, n=n: x.sigma[60, n] ** 2
        fixed = model.fix([omega, alpha, beta])
        np.testing.assert_allclose(out.sigma_1[60:-1, n], fixed.conditional_volatility[1:], rtol=1e-12)
        variance = fixed.forecast(horizon=1440, reindex=False).variance.to_numpy()[0]
        assert out.sigma_1[-1, n] == pytest.approx(math.sqrt(variance[0]), rel=1e-10)
        assert out.sigma_bar[-1, n] == pytest.approx(math.sqrt(variance[:60].mean()), rel=1e-10)
        assert out.sigma_day[-1, n] == pytest.approx(math.sqrt(variance.sum()), rel=1e-10)


def test_arch_s_own_constructor_agrees_on_the_model_tested():
    model = arch_model(np.zeros(50) + 1e-3, mean="Zero", vol="GARCH", p=1, o=0, q=1, rescale=False)
    assert isinstance(model.volatility, GARCH)


def test_the_day_is_the_bars_that_fit_into_it():
    x = returns()
    risk = {"garch_alpha": 0.0, "garch_beta": 0.0}  # then the variance of a bar is omega, and a day has `bars_a_day` of them
    for bars in (1440, 86_400, 24, 7):
        configs = {"risk": RiskConfig(**risk), "data": DataConfig()._replace(bars_a_day=bars)}
        out = run_columnar(l76_volatility_forecast, inputs(x), configs)
        np.testing.assert_allclose(out.sigma_day[60:], math.sqrt(bars) * x.sigma_slow[60:], rtol=1e-9)
        np.testing.assert_allclose(out.sigma_bar[60:], x.sigma_slow[60:], rtol=1e-9)


def test_in_the_long_run_the_day_forecast_is_the_slow_volatility():
    x = returns()
    x = x._replace(sigma_slow=np.where(np.isnan(x.sigma), np.nan, 1e-3))
    out = forecast(x, garch_beta=0.5)
    np.testing.assert_allclose(out.sigma_day[60:], 1e-3 * math.sqrt(1440), rtol=0.05)


def test_every_forecast_is_positive_and_never_below_the_floor():
    x = returns()
    x = x._replace(
        r_1=np.zeros((T, N)),
        sigma=np.where(np.isnan(x.sigma), np.nan, 1e-9),
        sigma_slow=np.where(np.isnan(x.sigma), np.nan, 1e-9),
    )
    out = forecast(x)
    assert (out.sigma_1[60:] == x.sigma_floor[60:]).all()
    np.testing.assert_allclose(out.sigma_bar[60:], x.sigma_floor[60:])
    np.testing.assert_allclose(out.sigma_day[60:], x.sigma_floor[60:] * math.sqrt(1440))


def test_no_movement_and_no_tick_is_unknown_and_never_zero():
    x = returns()
    flat = np.zeros((T, N))
    out = forecast(x._replace(r_1=flat, sigma=flat, sigma_slow=flat, sigma_floor=flat))
    assert np.isnan(out.sigma_1).all() and np.isnan(out.sigma_day).all()


@pytest.mark.parametrize("k", [2.0**-12, 2.0**9])
def test_free_of_the_volatility_level(k):
    x = returns()
    scaled = x._replace(**{f: getattr(x, f) * k for f in ("r_1", "sigma", "sigma_slow", "sigma_floor")})
    for a, b in zip(forecast(x), forecast(scaled)):
        np.testing.assert_array_equal(a * k, b)


def test_unknown_until_volatility_is_known_and_held_where_a_return_is_not():
    x = returns()
    hole = x.r_1.copy()
    hole[300:305, 0] = np.nan
    hole[400, 0] = np.inf  # cannot be learned from
    out = forecast(x._replace(r_1=hole))
    assert np.isnan(out.sigma_1[:60]).all() and np.isfinite(out.sigma_1[60:]).all()
    assert (out.sigma_1[299:305, 0] == out.sigma_1[299, 0]).all()
    assert out.sigma_1[400, 0] == out.sigma_1[399, 0]
    np.testing.assert_array_equal(out.sigma_1[:, 1], forecast(x).sigma_1[:, 1])


def test_the_mean_of_both_where_both_are_known_and_the_one_that_is_where_not():
    x = returns()
    alone, both = forecast(x), forecast(x, other={"har_60": 2e-3, "har_day": 3e-3})
    np.testing.assert_array_equal(both.sigma_1[60:], alone.sigma_1[60:])
    np.testing.assert_allclose(both.sigma_bar[60:], 0.5 * (alone.sigma_bar[60:] + 2e-3))
    np.testing.assert_allclose(both.sigma_day[60:], 0.5 * (alone.sigma_day[60:] + 3e-3 * math.sqrt(1440)))
    np.testing.assert_allclose(both.sigma_1[:60], 2e-3)
    np.testing.assert_allclose(both.sigma_bar[:60], 2e-3)
    np.testing.assert_allclose(both.sigma_day[:60], 3e-3 * math.sqrt(1440))
    np.testing.assert_allclose(forecast(x, other={"har_60": 2e-3}).sigma_day[:60], 2e-3 * math.sqrt(1440))


def test_a_change_of_the_law_widens_every_forecast():
    x = returns()
    calm, sure, half = (forecast(x, other={"har_60": 1e-3, "har_day": 1e-3, "p_change": p}) for p in (0.0, 1.0, 0.5))
    for a, b, c in zip(calm, sure, half, strict=True):
        np.testing.assert_allclose(b, 1.5 * a)
        np.testing.assert_allclose(c, 1.25 * a)


def test_a_longer_span_is_never_below_a_shorter_one_and_all_are_positive_or_unknown_together():
    rng = np.random.default_rng(1)
    pool = np.array([np.nan, np.inf, 0.0, -1.0, 1e-9, 1e-3, 5.0, 1e308])
    other = {k: rng.choice(pool, (T, N)) for k in ("har_60", "har_day")} | {"p_change": rng.choice([np.nan, 0.0, 1.0], (T, N))}
    out = forecast(returns(), other=other)
    known = ~np.isnan(out.sigma_1)
    assert (np.isnan(out.sigma_day) == ~known).all() and known.any() and (~known).any()
    assert (out.sigma_1[known] > 0).all() and np.isfinite(out.sigma_day[known]).all()
    hour = math.sqrt(60) * out.sigma_bar[known] * (1.0 + 1e-12)
    assert (out.sigma_1[known] <= hour).all()
    assert (hour <= out.sigma_day[known] * (1.0 + 1e-11)).all()


def test_any_cutting_into_chunks_gives_the_same_bits():
    x = returns()
    whole = forecast(x)
    for cuts in (tuple(range(T)), (1, 59, 60, 61, 500), (350,)):
        for a, b in zip(whole, forecast(x, cuts)):
            np.testing.assert_array_equal(a, b)


def test_compiled_equals_plain():
    x = returns(known_from=3)

    def run(fn):
        state = start_state(Garch, {"N": N}, {})
        observed = Observed(r=x.r_1, seed=x.sigma, level=x.sigma_slow, floor=x.sigma_floor)
        return *fn(observed, GarchLaw(omega=0.0, alpha=0.05, beta=0.94), Spans(60, 1440), state), *state

    def join(fn):
        made = Together(x.sigma.copy(), 7 * x.sigma, 30 * x.sigma)
        fn(made, x.sigma_slow, 2 * x.sigma_slow, np.clip(200 * np.abs(x.r_1), 0, 1), Spans(60, 1440), 1.5)
        return made

    for a, b in zip(join(with_har), join(python_of(with_har))):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(run(garch_volatility), run(python_of(garch_volatility))):
        np.testing.assert_array_equal(a, b)
