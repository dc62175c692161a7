"""L87, L93, L95: the caps that look at the whole portfolio."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from dataflows.data.types import DataConfig, unknown_instruments
from dataflows.risk.config import RiskConfig
from dataflows.risk.l87_concentration_cap import l87_concentration_cap
from dataflows.risk.l93_open_risk_budget import l93_open_risk_budget
from dataflows.risk.l95_tail_budget import l95_tail_budget
from dataflows.risk.types import (
    WHY_CONCENTRATION,
    WHY_NO_STOP,
    WHY_OPEN_RISK,
    WHY_TAIL_BUDGET,
    WHY_UNKNOWN_INPUT,
    Correlation,
    Exit,
    Stops,
    Stress,
    TailRisk,
    TargetWeights,
)
from tests.dataflows.risk.accounts import HOSTILE, MODES, ledger, row, run, same

RISK = RiskConfig()._replace(cap_band=0.0, es_budget=0.02)
BAND = RISK._replace(cap_band=0.1)
VARIANCE = RISK.max_share * RISK.annual_target**2 / 365
LOOSE = RISK._replace(risk_budget=100.0, risk_per_symbol=100.0, es_budget=100.0, stress_budget=100.0)


def above(weight, held=0.0, fixed=0) -> TargetWeights:
    w = np.atleast_1d(np.asarray(weight, float))
    n = len(w)
    held = np.array(np.broadcast_to(np.asarray(held, float), (n,)))
    return TargetWeights(w, np.zeros(n, np.int64), np.array(np.broadcast_to(np.asarray(fixed, np.int64), (n,))), held)


def full(x, n):
    return np.array(np.broadcast_to(np.asarray(x, float), (n,)))


def moves(n, rho=0.0, sigma=0.03) -> Correlation:
    c = np.array(np.broadcast_to(np.asarray(rho, float), (n, n)))
    np.fill_diagonal(c, 1.0)
    return Correlation(c, full(sigma, n), 0.0, 1.0)


def l87(targets, rho=0.0, sigma=0.03, mode="plain", risk=RISK):
    n = len(targets.weight)
    parts = {"l78_correlation": moves(n, rho, sigma), "l86_exposure_cap": targets, "data": DataConfig(), "risk": risk}
    return run(l87_concentration_cap, mode, **parts)


def facts(n, inverse):
    return unknown_instruments(n)._replace(inverse=np.full(n, inverse))


def l93(targets, new=0.02, stop=98.0, mark=100.0, mode="plain", risk=RISK, inverse=0):
    n = len(targets.weight)
    stops = Stops(full(new, n), full(0.03, n), full(0.02, n), full(60.0, n))
    exits = row(Exit, n, active_stop=full(stop, n))
    return run(l93_open_risk_budget, mode, l84_stop_levels=stops, l87_concentration_cap=targets, l94_position_exits=exits,
               l97_ledger=ledger(n, mark=mark), instruments=facts(n, inverse), risk=risk)  # fmt: skip


def l95(targets, es=0.1, loss=(0.1, 0.1, 0.1), rho=0.0, mode="plain", risk=RISK, inverse=0):
    n = len(targets.weight)
    losses = np.array(np.broadcast_to(np.asarray(loss, float), (n, 3)))
    tail, stress = TailRisk(*[full(es, n)] * 4), Stress(losses, losses[:, 0].copy())
    return run(l95_tail_budget, mode, l77_value_at_risk=tail, l78_correlation=moves(n, rho), l80_scenario_stress=stress,
               l93_open_risk_budget=targets, instruments=facts(n, inverse), risk=risk)  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_new_risk_leaves_the_band_of_each_budget_free_and_held_risk_is_cut_to_the_budget(mode):
    # L93: 0.005 a symbol over a stop of 2 percent is 0.25; L95: 0.02 over a shortfall of 10 percent is 0.2
    for new, drifted, beyond, cap in ((0.3, 0.24, 0.3, 0.25),):
        assert l93(above(new), mode=mode, risk=BAND).weight[0] == pytest.approx(0.9 * cap)
        assert l93(above(0.3, held=drifted), mode=mode, risk=BAND).weight[0] == pytest.approx(drifted)
        assert l93(above(beyond, held=beyond), mode=mode, risk=BAND).weight[0] == pytest.approx(cap)
    assert l95(above(0.3), mode=mode, risk=BAND).weight[0] == pytest.approx(0.18)
    assert l95(above(0.3, held=0.19), mode=mode, risk=BAND).weight[0] == pytest.approx(0.19)
    assert l95(above(0.3, held=0.3), mode=mode, risk=BAND).weight[0] == pytest.approx(0.2)
    most = math.sqrt(VARIANCE) / 0.03
    assert l87(above(2.0), mode=mode, risk=BAND).weight[0] == pytest.approx(math.sqrt(0.9) * most)
    assert l87(above(2.0, held=0.99 * most), mode=mode, risk=BAND).weight[0] == pytest.approx(0.99 * most)
    assert l87(above(2.0, held=2.0), mode=mode, risk=BAND).weight[0] == pytest.approx(most)


@pytest.mark.parametrize("mode", MODES)
def test_what_is_being_sold_takes_its_room_until_it_is_sold(mode):
    selling = above([0.0, 0.2], held=[0.15, 0.0])
    assert l95(selling, rho=1.0, mode=mode).weight.tolist() == [0.0, pytest.approx(0.05)]  # 0.2 in all
    tight = RISK._replace(risk_budget=0.005)  # 0.15 at 2 percent is 0.003: 0.002 is left
    assert l93(selling, mode=mode, risk=tight).weight.tolist() == [0.0, pytest.approx(0.1)]
    most = math.sqrt(VARIANCE) / 0.03
    out = l87(above([0.0, 2.0], held=[0.5 * most, 0.0]), rho=1.0, mode=mode)
    assert out.weight[1] * (out.weight[1] + 0.5 * most) == pytest.approx(most * most)  # its part of the variance


# ---- L87


def parts(weight, rho, sigma):
    """Each symbol's part of the variance, without credit for hedges, written as the definition has it."""
    x, side = np.abs(weight) * sigma, np.sign(weight)
    c = np.where(np.isnan(rho), 1.0, np.maximum(rho * side * side[:, None], 0.0))
    np.fill_diagonal(c, 1.0)
    return x * (c @ x)


@pytest.mark.parametrize("mode", MODES)
def test_one_symbol_alone_can_trade_up_to_its_share_of_the_variance(mode):
    most = math.sqrt(VARIANCE) / 0.03
    out = l87(above(5.0), mode=mode)
    assert out.weight[0] == pytest.approx(most) and out.reasons[0] == WHY_CONCENTRATION
    assert most > RISK.max_fraction  # at 3 percent a day the cap of a symbol binds first
    assert l87(above(-0.5 * most), mode=mode).weight[0] == -0.5 * most


def test_hedges_earn_no_credit_and_what_moves_together_adds_up():
    together, hedged = l87(above([0.2, 0.2]), 0.9), l87(above([0.2, -0.2]), 0.9)
    assert (together.weight < 0.2).all() and (hedged.weight == [0.2, -0.2]).all()
    x = 0.2 * 0.03
    want = brentq(lambda y: y * (y + 0.9 * x) - VARIANCE, 0, 1) / 0.03
    np.testing.assert_allclose(together.weight, want)
    assert (l87(above([0.2, -0.2]), math.nan).weight != [0.2, -0.2]).all()  # unknown: as if both lost together


def test_held_risk_is_not_cut_for_new_risk():
    held = math.sqrt(VARIANCE) / 0.03
    out = l87(above([held, 0.1, 0.1], held=[held, 0.0, 0.0]), rho=np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1.0]]))
    assert out.weight.tolist() == [held, 0.0, 0.1] and out.reasons.tolist() == [0, WHY_CONCENTRATION, 0]
    worse = l87(above([held, 0.1], held=[held, 0.0]), sigma=[0.06, 0.03])  # its volatility doubles
    assert worse.weight[0] == pytest.approx(held / 2)
    assert worse.weight[1] == 0.0, "until it has been sold, all together are beyond the whole budget"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("band", [0.0, 0.1])
def test_all_together_have_at_most_the_variance_that_is_aimed_at(mode, band):
    """Ten that move together, each well within its share: their volatility is cut to 20 % a year, by one factor."""
    risk, target = RISK._replace(cap_band=band), RISK.annual_target / math.sqrt(365)
    asked = np.array([0.06, -0.04] + [0.05] * 8)
    rho = np.outer(np.sign(asked), np.sign(asked)) * 0.9
    out = l87(above(asked), rho=rho, sigma=0.04, mode=mode, risk=risk)
    total = parts(out.weight, rho, 0.04).sum()
    assert parts(asked, rho, 0.04).sum() > 1.5 * target**2 and (parts(asked, rho, 0.04) < VARIANCE * (1 - band)).all()
    assert total == pytest.approx((1 - band) * target**2)
    np.testing.assert_allclose(out.weight / asked, out.weight[0] / asked[0])
    assert (out.reasons == WHY_CONCENTRATION).all()


@pytest.mark.parametrize("mode", MODES)
def test_of_all_together_held_is_not_cut_for_new_and_only_down_to_the_budget_itself(mode):
    target = RISK.annual_target / math.sqrt(365)
    held = target / 0.03 / math.sqrt(5)  # five that have nothing in common: exactly the whole budget
    asked, has = [held * 0.99] * 5 + [0.1], [held * 0.99] * 5 + [0.0]
    out = l87(above(asked, held=has), mode=mode, risk=BAND)
    np.testing.assert_allclose(out.weight, has)
    worse = l87(above([held] * 5, held=[held] * 5), sigma=0.036, mode=mode, risk=BAND)
    np.testing.assert_allclose(worse.weight, held / 1.2)
    stuck = l87(above([held] * 5, held=[held] * 5, fixed=[1, 0, 0, 0, 0]), sigma=0.036, mode=mode, risk=BAND)
    free = math.sqrt((target**2 - (held * 0.036) ** 2) / 4) / 0.036
    np.testing.assert_allclose(stuck.weight[1:], free)


def test_an_unknown_volatility_keeps_that_symbol_from_growing_and_no_other():
    for bad in (math.nan, 0.0, math.inf, -1.0):
        out = l87(above([0.1, 0.1, 0.15], held=[0.0, 0.0, 0.05]), rho=0.5, sigma=[0.03, bad, bad])
        assert out.weight.tolist() == [0.1, 0.0, 0.05]
        assert out.reasons.tolist() == [0, WHY_CONCENTRATION | WHY_UNKNOWN_INPUT, WHY_CONCENTRATION | WHY_UNKNOWN_INPUT]


# ---- L93


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_costs_at_most_its_budget(mode):
    out = l93(above([0.5, -0.5, 0.2]), mode=mode)
    np.testing.assert_allclose(out.weight, [0.25, -0.25, 0.2])
    assert out.reasons.tolist() == [WHY_OPEN_RISK, WHY_OPEN_RISK, 0]


def test_held_counts_to_its_active_stop_new_to_the_stop_it_would_get():
    risk = RISK._replace(risk_per_symbol=0.004)
    out = l93(above(0.3, held=0.1), new=0.02, stop=98.0, risk=risk)  # 0.1 at 2 percent leaves 0.002: 0.1 more
    assert out.weight[0] == pytest.approx(0.2)
    secured = l93(above(0.3, held=0.1), new=0.02, stop=101.0, risk=risk)  # a stop above the price of a long: no risk
    assert secured.weight[0] == pytest.approx(0.3)
    short = l93(above(-0.3, held=-0.1), new=0.02, stop=99.0, risk=risk)
    assert short.weight[0] == pytest.approx(-0.3)
    wider = l93(
        above(0.3, held=0.05), new=0.02, stop=96.0, risk=risk
    )  # 0.05 at 4 percent leaves 0.002, and an add shares that stop
    assert wider.weight[0] == pytest.approx(0.05 + 0.002 / 0.04)
    wide = l93(above(0.3, held=0.3), stop=95.0, risk=risk)
    assert wide.weight[0] == pytest.approx(0.004 / 0.05)


def test_beyond_the_sum_new_risk_goes_by_one_factor_and_then_held():
    risk = RISK._replace(risk_budget=0.01, risk_per_symbol=0.01)
    out = l93(above([0.3, 0.2, -0.4], held=[0.3, 0.0, 0.0]), risk=risk)
    np.testing.assert_allclose(out.weight, [0.3, 0.2 * 0.004 / 0.012, -0.4 * 0.004 / 0.012])
    out = l93(above([0.4, 0.2, -0.4], held=[0.4, 0.0, -0.4]), stop=[98.0, 98.0, 102.0], risk=risk)
    np.testing.assert_allclose(out.weight, [0.25, 0.0, -0.25])


def test_an_unknown_stop_admits_no_increase_and_closes_nothing():
    out = l93(above([0.1, 0.1, 0.05], held=[0.0, 0.05, 0.0]), new=[math.nan, math.nan, 0.02])
    assert out.weight.tolist() == [0.0, 0.05, 0.05]
    assert (out.reasons[:2] == WHY_OPEN_RISK | WHY_NO_STOP).all()
    naked = l93(above([0.1, 0.1, 0.1], held=[0.1, 0.1, 0.0]), stop=[math.nan, 98.0, 98.0])
    assert naked.weight.tolist() == [0.1, 0.1, 0.0]  # a position without a stop leaves no room for new risk


# ---- L95


@pytest.mark.parametrize("mode", MODES)
def test_the_shortfall_of_the_portfolio_stays_within_its_budget(mode):
    assert l95(above(0.5), mode=mode).weight[0] == pytest.approx(0.2)
    apart, joint = l95(above([0.5, 0.5]), mode=mode), l95(above([0.5, 0.5]), rho=1.0, mode=mode)
    np.testing.assert_allclose(apart.weight, 0.2 / math.sqrt(2))
    np.testing.assert_allclose(joint.weight, 0.1)
    assert (joint.reasons == WHY_TAIL_BUDGET).all()
    np.testing.assert_allclose(l95(above([0.5, -0.5]), rho=math.nan, mode=mode).weight, [0.1, -0.1])


def test_new_risk_goes_by_one_factor_then_all_that_is_held():
    out = l95(above([0.15, 0.1, 0.2], held=[0.15, 0.0, 0.0]), rho=1.0)
    np.testing.assert_allclose(out.weight, [0.15, 0.1 / 6, 0.2 / 6])
    out = l95(above([0.3, 0.1, 0.1], held=[0.3, 0.1, 0.0]), rho=1.0)
    np.testing.assert_allclose(out.weight, [0.15, 0.05, 0.0])


def test_a_scenario_in_which_all_fall_together_stays_within_its_budget():
    wide = RISK._replace(es_budget=10.0)
    out = l95(above([0.3, -0.3]), loss=[0.1, 0.5, 0.2], risk=wide)
    np.testing.assert_allclose(np.abs(out.weight).sum(), 0.1 / 0.5)
    calm = l95(above([0.3, -0.3]), loss=[0.1, 0.15, 0.1], risk=wide)
    assert calm.weight.tolist() == [0.3, -0.3]


@pytest.mark.parametrize("kind", ["volatility", "gap", "dry-up"])
def test_a_spike_a_gap_or_a_dry_up_shrinks_what_is_held(kind):
    held = above([0.2, -0.2], held=[0.2, -0.2])
    calm = [0.1, 0.12, 0.02]
    shaken = list(calm)
    shaken[["volatility", "gap", "dry-up"].index(kind)] = 1.0
    wide = RISK._replace(es_budget=10.0)
    assert l95(held, loss=calm, risk=wide).weight.tolist() == [0.2, -0.2]
    np.testing.assert_allclose(l95(held, loss=shaken, risk=wide).weight, [0.05, -0.05])


def test_one_symbol_with_unknown_risk_zeroes_that_symbol_only():
    for es, loss in (([0.1, math.nan, 0.1], 0.1), (0.1, [[0.1] * 3, [0.1, math.nan, 0.1], [0.1] * 3])):
        out = l95(above([0.1, 0.1, 0.1]), es=es, loss=loss)
        assert out.weight.tolist() == [0.1, 0.0, 0.1] and out.reasons[1] == WHY_TAIL_BUDGET | WHY_UNKNOWN_INPUT
        kept = l95(above([0.1, 0.1, 0.1], held=[0.0, 0.04, 0.0]), es=es, loss=loss)
        assert kept.weight.tolist() == [0.1, 0.04, 0.1]  # unknown is no reason to close


# ---- all three

N = 4
weights = st.one_of(st.floats(-1, 1), st.sampled_from([0.0, 0.1, -0.1]))
numbers = st.one_of(st.sampled_from(HOSTILE), st.floats(0, 0.5), st.floats(0.01, 0.1))
cases = st.fixed_dictionaries({
    "weight": st.lists(weights, min_size=N, max_size=N), "held": st.lists(weights, min_size=N, max_size=N),
    "fixed": st.lists(st.sampled_from([0, 0, 0, 1]), min_size=N, max_size=N), "sane": st.booleans(),
    "unit": st.lists(numbers, min_size=N, max_size=N), "rho": st.lists(st.one_of(st.floats(-1, 1), st.just(math.nan)), min_size=N * N, max_size=N * N),
    "other": st.lists(numbers, min_size=3 * N, max_size=3 * N), "stop": st.lists(st.one_of(numbers, st.floats(90, 110)), min_size=N, max_size=N),
    "mark": st.lists(st.one_of(st.just(100.0), numbers), min_size=N, max_size=N),
})  # fmt: skip


def made(case, mode="compiled"):
    targets = above(case["weight"], case["held"], case["fixed"])
    unit = (
        np.array(case["unit"])
        if not case["sane"]
        else 0.01 + np.clip(np.nan_to_num(np.array(case["unit"]), posinf=0.1), 0, 0.1)
    )
    rho = np.array(case["rho"]).reshape(N, N)
    rho = np.triu(rho, 1) + np.triu(rho, 1).T
    loss = np.array(case["other"]).reshape(N, 3)
    return targets, {
        "l87": lambda t: l87(t, rho, unit, mode),
        "l93": lambda t: l93(t, unit, case["stop"], case["mark"], mode),
        "l95": lambda t: l95(t, unit, loss if not case["sane"] else np.clip(np.nan_to_num(loss, posinf=1), 0, 1), rho, mode),
    }, unit, rho  # fmt: skip


@pytest.mark.parametrize("layer", ["l87", "l93", "l95"])
@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_no_cap_raises_a_weight_or_turns_a_side_and_compiled_is_plain(layer, case):
    targets, layers, _, _ = made(case)
    out = layers[layer](targets)
    same(out, made(case, "plain")[1][layer](targets))
    w, before = out.weight, targets.weight
    assert np.isfinite(w).all() and (np.abs(w) <= np.abs(before)).all() and (w * before >= 0).all()
    assert (w[targets.untradeable == 1] == before[targets.untradeable == 1]).all()
    assert ((out.reasons != 0) >= (w != before)).all()
    same(targets.held, out.held)


@settings(max_examples=150, deadline=None)
@given(case=cases)
def test_after_l87_every_part_is_within_its_budget_and_again_changes_nothing(case):
    targets, layers, sigma, rho = made(case | {"fixed": [0] * N, "sane": True})
    out = layers["l87"](targets)
    assert (parts(out.weight, rho, sigma) <= VARIANCE * (1 + 1e-6)).all()
    assert parts(out.weight, rho, sigma).sum() <= RISK.annual_target**2 / 365 * (1 + 1e-6)
    np.testing.assert_array_equal(layers["l87"](out).weight, out.weight)


@settings(max_examples=100, deadline=None)
@given(case=cases)
def test_after_l93_the_stops_cost_no_more_than_the_budgets(case):
    case = case | {"fixed": [0] * N, "sane": True, "mark": [100.0] * N, "stop": np.clip(np.nan_to_num(case["stop"]), 90, 110)}
    targets, layers, unit, _ = made(case)
    w = layers["l93"](targets).weight
    held = np.where(w * targets.held > 0, np.minimum(np.abs(w), np.abs(targets.held)), 0.0)
    distance = np.maximum(np.sign(w) * (100.0 - np.array(case["stop"])) / 100.0, 0.0)
    cost = held * distance + (np.abs(w) - held) * unit
    assert (cost <= RISK.risk_per_symbol * (1 + 1e-6)).all() and cost.sum() <= RISK.risk_budget * (1 + 1e-6)


@settings(max_examples=100, deadline=None)
@given(case=cases)
def test_after_l95_shortfall_and_scenarios_are_within_their_budgets(case):
    case = case | {"fixed": [0] * N, "sane": True}
    targets, layers, es, rho = made(case)
    w = layers["l95"](targets).weight
    loss = np.clip(np.nan_to_num(np.array(case["other"]).reshape(N, 3), posinf=1), 0, 1)
    assert parts(w, rho, es).sum() <= RISK.es_budget**2 * (1 + 1e-6)
    assert (np.abs(w) @ loss <= RISK.stress_budget * (1 + 1e-6)).all()


@pytest.mark.parametrize("layer", ["l87", "l93", "l95"])
@settings(max_examples=60, deadline=None)
@given(case=cases, order=st.permutations(range(N)))
def test_permuting_the_symbols_permutes_the_weights(layer, case, order):
    order = list(order)
    targets, layers, _, _ = made(case | {"sane": True})
    moved = {k: [case[k][i] for i in order] for k in ("weight", "held", "fixed", "unit", "stop", "mark")}
    upper = np.triu(np.array(case["rho"]).reshape(N, N), 1)
    rho = (upper + upper.T)[np.ix_(order, order)]
    other = np.array(case["other"]).reshape(N, 3)[order]
    twin, twins, _, _ = made(case | moved | {"sane": True, "rho": rho.ravel().tolist(), "other": other.ravel().tolist()})
    np.testing.assert_allclose(twins[layer](twin).weight, layers[layer](targets).weight[order], rtol=1e-9, atol=1e-12)


def test_budgets_that_would_never_bind_are_named():
    assert any("risk_per_symbol" in p for p in RISK._replace(risk_per_symbol=0.03).problems())


BODIES = (
    test_after_l87_every_part_is_within_its_budget_and_again_changes_nothing,
    test_after_l93_the_stops_cost_no_more_than_the_budgets,
    test_after_l95_shortfall_and_scenarios_are_within_their_budgets,
)


@pytest.mark.long
@pytest.mark.parametrize("body", BODIES)
@settings(max_examples=3000, deadline=None)
@given(case=cases)
def test_the_budgets_hold_in_thousands_of_cases(body, case):
    body.hypothesis.inner_test(case=case)


@pytest.mark.long
@pytest.mark.parametrize("layer", ["l87", "l93", "l95"])
@settings(max_examples=3000, deadline=None)
@given(case=cases)
def test_no_cap_raises_a_weight_in_thousands_of_cases(layer, case):
    test_no_cap_raises_a_weight_or_turns_a_side_and_compiled_is_plain.hypothesis.inner_test(layer, case)
