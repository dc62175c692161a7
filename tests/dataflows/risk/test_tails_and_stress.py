from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.carry import start_state
from dataflows.data.types import Bars, Market, Quality, unknown_instruments
from dataflows.kinematics.types import Returns
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.types import SpreadDepth, Tradeability
from dataflows.risk.config import RiskConfig
from dataflows.risk.l74_tail_index import TailIndexCarry, l74_tail_index
from dataflows.risk.l77_value_at_risk import ValueAtRiskCarry, l77_value_at_risk
from dataflows.risk.l79_liquidity_stress import LiquidityStressCarry, l79_liquidity_stress
from dataflows.risk.l80_scenario_stress import l80_scenario_stress
from dataflows.risk.stress import DryUp, Quoted, Traded, as_loss, dried_up, scenario_losses
from dataflows.risk.tails import TailRule, hill, student_4, tail_risk, top_push
from dataflows.risk.types import LiquidityStress, Tail, TailRisk, VolForecast
from dataflows.runtime.compile import python_of
from tests.support import filled, run_columnar

RISK = RiskConfig()
SMALL = RISK._replace(tail_window=200, tail_top=20, var_window=400, var_least_bars=100, liquidity_volume_bars=5)


def same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


# ---- the window


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.integers(0, 6).map(float), st.floats(0, 1e6)), min_size=1, max_size=120),
    st.integers(1, 40),
    st.integers(1, 8),
)
def test_the_top_of_the_window_is_that_of_sorting_it_after_every_bar(values, width, need):
    state = start_state(TailIndexCarry, {"N": 1}, {"risk": RISK._replace(tail_window=width)}).tail.window
    before = None
    for i, v in enumerate(values):
        changed = top_push(v, 0, need, state)
        want = sorted(values[max(0, i + 1 - width) : i + 1], reverse=True)[:need]
        assert state.top[0, : len(want)].tolist() == want and state.held[0] == min(i + 1, width)
        if not changed:
            assert want == before
        before = want


@pytest.mark.parametrize("shape", ["falling", "rising", "saw", "equal"])
def test_the_top_is_right_where_all_that_leaves_is_large(shape):
    t = np.arange(1500)
    x = {"falling": 1e4 - t, "rising": 1.0 * t, "saw": 1e3 - t % 300, "equal": np.ones(1500)}[shape].astype(float)
    state = start_state(TailIndexCarry, {"N": 1}, {"risk": RISK._replace(tail_window=250)}).tail.window
    for i, v in enumerate(x):
        top_push(v, 0, 10, state)
        np.testing.assert_array_equal(state.top[0, : min(10, i + 1)], np.sort(x[max(0, i - 249) : i + 1])[::-1][:10])


# ---- L74


def tail_of(z, risk=RISK, cuts=()):
    x = filled(Returns, z.shape, np.nan, z=z)
    return run_columnar(l74_tail_index, {"l2_returns_volatility": x}, {"risk": risk}, cuts=cuts)


@pytest.mark.parametrize("index", [1.5, 3.0, 5.0])
def test_on_pareto_samples_the_mean_is_within_one_standard_error_of_the_index(index):
    z = np.random.default_rng(3).pareto(index, (2880, 200)) + 1.0
    got = tail_of(z).tail_index[-1]
    assert abs(got.mean() - index) < index / math.sqrt(RISK.tail_top)
    assert got.std() == pytest.approx(index / math.sqrt(RISK.tail_top), rel=0.25)


def test_student_4_reads_3_56_as_the_docstring_says():
    z = np.random.default_rng(4).standard_t(4, (2880, 300))
    assert tail_of(z).tail_index[-1].mean() == pytest.approx(3.56, abs=0.08)


def test_it_is_hills_estimator_of_every_window():
    z = np.random.default_rng(5).standard_t(3, (700, 2))
    z[50:60, 0] = np.nan
    got = tail_of(z, SMALL)
    for n in range(2):
        for t in range(0, 700, 7):
            held = np.abs(z[: t + 1, n])
            held = held[~np.isnan(held)][-200:]
            if len(held) < 200:
                assert math.isnan(got.tail_index[t, n]) and got.extreme[t, n] == 0
                continue
            x = np.sort(held)[::-1]
            assert got.tail_index[t, n] == pytest.approx(1.0 / np.log(x[:20] / x[20]).mean(), rel=1e-12)
            assert got.threshold[t, n] == x[20] and got.extreme[t, n] == (got.tail_index[t, n] < 2.0)


def test_a_tail_without_a_variance_is_extreme_and_a_gaussian_is_not():
    rng = np.random.default_rng(6)
    assert tail_of(rng.standard_cauchy((2900, 1))).extreme[-1, 0] == 1
    assert tail_of(rng.standard_normal((2900, 1))).extreme[-1, 0] == 0


def test_no_movement_has_no_index():
    out = tail_of(np.zeros((400, 1)), SMALL)
    assert np.isnan(out.tail_index).all() and not out.extreme.any()
    assert np.isnan(tail_of(np.ones((400, 1)), SMALL).tail_index).all()


# ---- L77


def risk_of(r, sigma, day=None, index=None, risk=RISK, cuts=()):
    r, sigma = np.asarray(r, float), np.asarray(sigma, float)
    day = sigma * math.sqrt(1440) if day is None else day
    inputs = {
        "l2_returns_volatility": filled(Returns, r.shape, np.nan, r_1=r),
        "l74_tail_index": filled(Tail, r.shape, np.nan, tail_index=np.full(r.shape, np.nan if index is None else index)),
        "l76_volatility_forecast": VolForecast(sigma, sigma, day),
    }
    return run_columnar(l77_value_at_risk, inputs, {"risk": risk}, cuts=cuts)


def test_student_4_is_scipy_s():
    for level in (0.9, 0.95, 0.99, 0.999):
        p, unit = 0.5 + 0.5 * level, math.sqrt(2.0)
        q = scipy.stats.t.ppf(p, 4)
        beyond = scipy.integrate.quad(lambda x: x * scipy.stats.t.pdf(x, 4), q, np.inf)[0] / (1.0 - p)
        assert student_4(level) == pytest.approx((q / unit, beyond / unit), rel=1e-9)


def test_it_is_numpy_s_quantile_of_the_window_and_the_mean_of_what_lies_beyond():
    rng = np.random.default_rng(7)
    r, sigma = rng.standard_cauchy((900, 2)) * 1e-3, 1e-3 * (1 + rng.random((900, 2)))
    r[300:310, 1] = np.nan
    got = risk_of(r, sigma, risk=SMALL)
    z = np.abs(r[1:]) / sigma[:-1]
    for n in range(2):
        for t in range(150, 900, 11):
            held = z[:t, n][~np.isnan(z[:t, n])][-400:]
            held = np.minimum(held, 1000.0)
            q = max(np.quantile(held, 0.99), 0.5 * student_4(0.99)[0])
            mass = 0.01 * len(held)
            x, k = np.sort(held)[::-1], int(mass)
            es = max((x[:k].sum() + (mass - k) * x[k]) / mass, 0.5 * student_4(0.99)[1])
            assert got.var_99_bar[t, n] == pytest.approx(q * sigma[t, n], rel=1e-12)
            assert got.es_99_bar[t, n] == pytest.approx(es * sigma[t, n], rel=1e-12)
            assert got.var_99_day[t, n] / got.var_99_bar[t, n] == pytest.approx(math.sqrt(1440))
            assert got.es_99_day[t, n] / got.es_99_bar[t, n] == pytest.approx(math.sqrt(1440))


@pytest.mark.parametrize("law", ["t3", "garch t4", "skewed", "normal"])
def test_kupiec_finds_as_many_exceedances_as_promised(law):
    """The next bar's loss against the value at risk: 1 in 100."""
    rng = np.random.default_rng(8)
    bars = 30_000
    if law == "t3":
        sigma, shock = np.full(bars, 1e-3), rng.standard_t(3, bars)
    elif law == "normal":
        sigma, shock = np.full(bars, 1e-3), rng.standard_normal(bars)
    elif law == "skewed":
        sigma, shock = 1e-3 * np.exp(0.5 * np.sin(np.arange(bars) / 400)), rng.lognormal(0, 1.2, bars) - 1.5
    else:
        shock, sigma = 1.6 * rng.standard_t(4, bars), np.empty(bars)
        h = 1e-6
        for t in range(bars):
            sigma[t] = math.sqrt(h)
            h = 2e-8 + 0.03 * min((sigma[t] * shock[t]) ** 2, 1e-4) + 0.88 * h
    r = sigma * shock
    known = np.append(sigma[1:], sigma[-1])  # the forecast made at a bar is of the next
    out = risk_of(r[:, None], known[:, None])
    hit = np.abs(r[3001:]) > out.var_99_bar[3000:-1, 0]
    n, x, p = len(hit), int(hit.sum()), 0.01
    rate = x / n
    ratio = 2.0 * (x * math.log(rate / p) + (n - x) * math.log((1 - rate) / (1 - p)))
    assert scipy.stats.chi2.sf(ratio, 1) > 0.05, (law, x, n)


def test_student_4_alone_counts_until_enough_is_known_and_half_of_it_is_never_undercut():
    r, first = np.full((900, 1), 1e-9), RISK.var_least_bars
    out = risk_of(r, np.full((900, 1), 1e-3))
    np.testing.assert_allclose(out.var_99_bar[:first], student_4(0.99)[0] * 1e-3)
    np.testing.assert_allclose(out.var_99_bar[first:], 0.5 * student_4(0.99)[0] * 1e-3)
    np.testing.assert_allclose(out.es_99_bar[first:], 0.5 * student_4(0.99)[1] * 1e-3)
    thin = risk_of(np.full((900, 1), 0.0025), np.full((900, 1), 1e-3))  # thinner than a Student-t(4)'s 3.26: it counts
    np.testing.assert_allclose(thin.var_99_bar[first:], 0.0025)
    wild = risk_of(np.full((900, 1), 0.02), np.full((900, 1), 1e-3))
    assert wild.var_99_bar[RISK.var_least_bars - 1, 0] == student_4(0.99)[0] * 1e-3
    assert wild.var_99_bar[RISK.var_least_bars, 0] == pytest.approx(0.02)


def test_a_fat_tail_raises_what_lies_beyond_and_nothing_else():
    rng = np.random.default_rng(9)
    r, sigma = 1e-3 * rng.standard_t(4, (1000, 1)), np.full((1000, 1), 1e-3)
    thin, fat, fatter = (risk_of(r, sigma, index=a) for a in (None, 1.6, 0.5))
    np.testing.assert_array_equal(thin.var_99_bar, fat.var_99_bar)
    np.testing.assert_allclose(fat.es_99_bar, fat.var_99_bar * 1.6 / 0.6)
    np.testing.assert_allclose(fatter.es_99_bar, fatter.var_99_bar * 3.0)


hostile = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 1e308, 5e-324, 1e-3, 0.24, 0.7, 1.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(hostile, hostile, hostile, hostile), min_size=1, max_size=30))
def test_for_any_input_the_mean_beyond_is_at_least_the_quantile_and_both_are_positive_or_unknown(rows):
    r, sigma, day, index = (np.array(x)[:, None] for x in zip(*rows, strict=True))
    with np.errstate(all="ignore"):
        out = risk_of(r, sigma, day, index, SMALL._replace(var_window=100))
    for q, es in ((out.var_99_bar, out.es_99_bar), (out.var_99_day, out.es_99_day)):
        known = np.isfinite(q) & np.isfinite(es)
        assert (known | np.isnan(q) | np.isnan(es)).all() and (es[known] >= q[known]).all() and (q[known] > 0).all()


# ---- L79, L80


def stress_inputs(bars=60, n=2, seed=1):
    rng = np.random.default_rng(seed)
    shape = (bars, n)
    volume = rng.gamma(2.0, 50.0, shape)
    close = filled(Bars, shape, 100.0, volume=volume, vwap=100.0 + rng.random(shape))
    market = filled(Market, shape)._replace(bars=close, quality=filled(Quality, shape, 0.0, valid=np.ones(shape, np.int64)))
    slip = np.sort(rng.gamma(2.0, 3.0, (*shape, 3)), axis=2) + 4.0
    return {
        "l0_market_feed": market,
        "instruments": unknown_instruments(n),
        "l8_spread_depth": filled(SpreadDepth, shape, 1.0, spread_bps=1.0 + 4.0 * rng.random(shape)),
        "l63_tradeability": filled(Tradeability, shape, 1.0, slippage_bps=slip),
    }


def liquidity(x, cuts=(), **over):
    risk = SMALL._replace(**over)
    configs = {"risk": risk, "microstructure": MicrostructureConfig()}
    return run_columnar(l79_liquidity_stress, x, configs, cuts=cuts)


def test_time_to_leave_is_the_notional_over_the_thinner_market_s_share():
    x = stress_inputs()
    out = liquidity(x)
    traded = x["l0_market_feed"].bars.volume * x["l0_market_feed"].bars.vwap
    for t in range(60):
        for n in range(2):
            want = math.inf if t < 4 else 10_000.0 / (0.1 * traded[t - 4 : t + 1, n].mean() / 5.0)
            assert out.bars_to_liquidate[t, n] == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("notional, factor", [(100, 1), (500, 2), (4000, 5), (10_000, 5), (80_000, 2), (400_000, 5)])
def test_what_it_costs_is_the_slippage_of_so_much_larger_an_order_and_a_wider_spread(notional, factor):
    x = stress_inputs()
    out = liquidity(x, liquidity_notional=float(notional), dry_up=float(factor))
    sizes, slip = np.array([1e3, 1e4, 1e5]), x["l63_tradeability"].slippage_bps
    half = x["l8_spread_depth"].spread_bps / 2
    order = notional * factor
    for t in range(60):
        for n in range(2):
            beyond = float(np.interp(order, sizes, slip[t, n] - half[t, n]))
            if order < 1e3 or order > 1e5:
                beyond *= math.sqrt(order / (1e3 if order < 1e3 else 1e5))
            assert out.stressed_cost_bps[t, n] == pytest.approx(factor * half[t, n] + max(beyond, 0.0), rel=1e-12)


def test_without_or_with_unknown_liquidity_it_is_infinite_and_never_unknown():
    x = stress_inputs()
    grade = x["l63_tradeability"].liquidity_class.copy()
    grade[20:25, 0] = -1
    spread = x["l8_spread_depth"].spread_bps.copy()
    spread[30, 1] = np.nan
    volume = x["l0_market_feed"].bars.volume.copy()
    volume[40:50] = 0.0
    y = x | {
        "l63_tradeability": x["l63_tradeability"]._replace(liquidity_class=grade),
        "l8_spread_depth": x["l8_spread_depth"]._replace(spread_bps=spread),
        "l0_market_feed": x["l0_market_feed"]._replace(bars=x["l0_market_feed"].bars._replace(volume=volume)),
    }
    out = liquidity(y)
    assert np.isinf(out.bars_to_liquidate[20:25, 0]).all() and np.isinf(out.stressed_cost_bps[20:25, 0]).all()
    assert np.isinf(out.stressed_cost_bps[30, 1]) and np.isfinite(out.bars_to_liquidate[30, 1])
    assert np.isinf(out.bars_to_liquidate[44:50]).all() and np.isfinite(out.bars_to_liquidate[50:]).all()
    assert not np.isnan(out.bars_to_liquidate).any() and not np.isnan(out.stressed_cost_bps).any()


def losses(sigma, es, time, cost):
    a = [np.atleast_2d(np.asarray(v, float)) for v in (sigma, es, time, cost)]
    forecast = VolForecast(a[0] / 40, a[0], a[0])
    tail = TailRisk(a[1] / 40, a[1] / 40, a[1], a[1])
    inputs = {
        "l76_volatility_forecast": forecast,
        "l77_value_at_risk": tail,
        "l79_liquidity_stress": LiquidityStress(a[2], a[3]),
    }
    return run_columnar(l80_scenario_stress, inputs, {"risk": RISK})


def test_scenarios_by_hand():
    out = losses(0.03, 0.12, 16.0, 50.0)
    want = [math.expm1(0.09), math.expm1(0.12), 0.005 + math.expm1(0.03 / 40 * 4)]
    np.testing.assert_allclose(out.loss_fraction[0, 0], want, rtol=1e-12)
    assert out.worst[0, 0] == out.loss_fraction[0, 0].max()
    assert losses(0.233, 0.69, 16.0, 50.0).loss_fraction[0, 0, :2] == pytest.approx([1.0, math.expm1(0.69)])
    assert losses(0.03, 0.05, 16.0, 50.0).loss_fraction[0, 0, 1] == RISK.stress_gap


def test_a_volatility_spike_a_gap_and_a_dry_up_each_raise_their_own_scenario_and_only_theirs():
    base = losses(0.02, 0.08, 20.0, 30.0).loss_fraction[0, 0]
    spike = losses(0.06, 0.08, 20.0, 30.0).loss_fraction[0, 0]
    gap = losses(0.02, 0.3, 20.0, 30.0).loss_fraction[0, 0]
    dry = losses(0.02, 0.08, math.inf, math.inf).loss_fraction[0, 0]
    assert spike[0] > base[0] and spike[1] == base[1] and gap[1] > base[1] and gap[0] == base[0]
    assert dry[2] == 1.0 and (dry[:2] == base[:2]).all()


@settings(max_examples=150, deadline=None)
@given(hostile, hostile, hostile.map(abs).filter(lambda x: x == x), hostile.map(abs).filter(lambda x: x == x))
def test_every_loss_is_a_share_or_all_are_unknown_and_none_exceeds_the_worst(sigma, es, time, cost):
    with np.errstate(all="ignore"):
        out = losses(sigma, es, time, cost)
    if math.isnan(out.worst[0, 0]):
        assert np.isnan(out.loss_fraction).all() and not (0 < sigma / 40 < math.inf and es > 0)
    else:
        assert ((out.loss_fraction >= 0) & (out.loss_fraction <= 1)).all() and out.worst[0, 0] == out.loss_fraction.max()


# ---- bits


def test_any_cutting_into_chunks_gives_the_same_bits():
    rng = np.random.default_rng(11)
    z, sigma = rng.standard_t(3, (700, 2)), 1e-3 * (1 + rng.random((700, 2)))
    z[100:130, 0] = np.nan
    x = stress_inputs(700)
    for cuts in (tuple(range(700)), (1, 199, 200, 201, 450)):
        same(tail_of(z, SMALL), tail_of(z, SMALL, cuts))
        same(risk_of(z * 1e-3, sigma, risk=SMALL), risk_of(z * 1e-3, sigma, risk=SMALL, cuts=cuts))
        same(liquidity(x), liquidity(x, cuts))


def test_compiled_equals_plain():
    rng = np.random.default_rng(12)
    z, sigma, index = rng.standard_t(3, (600, 2)), 1e-3 * (1 + rng.random((600, 2))), 1.2 + 3 * rng.random((600, 2))

    def hills(fn):
        return fn(z, 2.0, 20, start_state(TailIndexCarry, {"N": 2}, {"risk": SMALL}).tail)

    def risks(fn):
        state = start_state(ValueAtRiskCarry, {"N": 2}, {"risk": SMALL}).quantiles
        return fn(1e-3 * z, sigma, 38 * sigma, index, TailRule(level=0.99, least_bars=100, least_index=1.5, floor=0.5), state)

    x = stress_inputs(80)
    bars, book, trade = x["l0_market_feed"].bars, x["l8_spread_depth"], x["l63_tradeability"]

    def dry(fn):
        state = start_state(LiquidityStressCarry, {"N": 2}, {"risk": SMALL}).traded
        traded = Traded(bars.volume, bars.vwap, np.ones((80, 2), np.int64))
        quoted = Quoted(trade.liquidity_class, book.spread_bps, trade.slippage_bps, (1e3, 1e4, 1e5))
        return fn(traded, quoted, DryUp(notional=3e4, participation=0.1, factor=5.0), state)

    same(hills(hill), hills(python_of(hill)))
    same(risks(tail_risk), risks(python_of(tail_risk)))
    same(dry(dried_up), dry(python_of(dried_up)))
    args = (sigma, 38 * sigma, 150 * sigma, 1e3 * index, 30 * index, 3.0, 0.1)
    same(scenario_losses(*args), python_of(scenario_losses)(*args))
    assert as_loss(0.1) == python_of(as_loss)(0.1)
