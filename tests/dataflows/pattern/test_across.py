"""L48 and L49: a planted leader is followed, none is not; the ranks are SciPy's; no symbol's name or hole reaches another."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import rankdata

from dataflows.carry import start_state
from dataflows.kernels import arith, order
from dataflows.kinematics.types import Momentum, Returns
from dataflows.panel import Floats, Ints, leaves
from dataflows.pattern import across
from dataflows.pattern.across import Response, learn_response, response_t
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l48_lead_lag import l48_lead_lag
from dataflows.pattern.l49_relative_strength import l49_relative_strength
from dataflows.pattern.types import PatternSignal
from dataflows.runtime.compile import python_of
from tests.dataflows.data.observed import instruments
from tests.dataflows.kinematics.chain import same
from tests.dataflows.pattern.test_flows import market
from tests.support import carry_of, filled, run_columnar

CONFIG = PatternConfig()
BARS = 4000
PERMUTATION = np.array([2, 0, 3, 1])


def flags(symbols: int, leader: int = 0) -> Ints:
    return np.array([int(n == leader) for n in range(symbols)], np.int64)


def led(z: Floats, leader: Ints | None = None, valid: Any = None, config: PatternConfig = CONFIG, **more: Any) -> PatternSignal:
    symbols = z.shape[1]
    facts = instruments(symbols)._replace(leader=flags(symbols) if leader is None else leader)
    inputs = {
        "l0_market_feed": market(np.ones(z.shape), np.ones(z.shape), valid),
        "l2_returns_volatility": filled(Returns, z.shape, 0.0, z=z),
        "instruments": facts,
    }
    made: PatternSignal = run_columnar(l48_lead_lag, inputs, {"pattern": config}, **more)
    return made


def followers(answer: float, *, common: float = 0.0, bounce: float = 0.0, bars: int = BARS, seed: int = 2) -> Floats:
    """A leader and three others that answer its move a bar late, share its move, and bounce back from their own."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, 1.0, (bars, 4))
    z = noise.copy()
    for t in range(1, bars):
        z[t, 1:] += answer * z[t - 1, 0] + common * z[t, 0] - bounce * z[t - 1, 1:]
    return z


@pytest.mark.parametrize("answer", [0.2, -0.2])
def test_a_planted_answer_is_found_with_its_sign(answer: float) -> None:
    z = followers(answer)
    got = led(z)
    assert not got.active[:240].any()  # lead_least_bars
    late = slice(BARS // 2, BARS)
    large = np.abs(z[late, :1]) >= CONFIG.lead_move_sigma
    assert (got.active[late, 1:] == large).mean() > 0.999
    assert (got.side[late, 1:] == np.sign(answer * z[late, :1]) * large).mean() > 0.999
    made = got.side[:-1, 1:] * z[1:, 1:]
    assert made[got.active[:-1, 1:] == 1].mean() == pytest.approx(0.2 * 1.525, abs=0.08)  # E|z| beyond 1


@pytest.mark.parametrize("how", [{}, {"common": 0.7}, {"common": 0.7, "bounce": 0.3}])
def test_no_answer_is_found_where_none_is(how: dict[str, float]) -> None:
    """Also not where a symbol shares the leader's move and takes its own back a bar later."""
    share = np.mean([led(followers(0.0, seed=s, **how)).active[BARS // 2 :, 1:].mean() for s in range(16)])
    assert share < 0.03  # by chance |t| > 2 in 5 percent, and a large move in 32 percent of those


def test_the_leader_has_no_pattern_and_nobody_has_one_without_a_leader() -> None:
    z = followers(0.3)
    assert not led(z).active[:, 0].any()
    assert led(z).active[:, 1:].any()
    assert not led(z, np.zeros(4, np.int64)).active.any()
    alone = led(z[:, :1].copy())
    assert not alone.active.any() and not alone.side.any() and not alone.confidence.any() and np.isnan(alone.age).all()


@pytest.mark.parametrize("how", ["not valid", "no value"])
def test_nobody_has_a_pattern_while_the_leader_is_unknown(how: str) -> None:
    z = followers(0.3)
    gone = slice(2500, 2600)
    valid = np.ones(z.shape, np.int64)
    if how == "not valid":
        valid[gone, 0] = 0
    else:
        z[gone, 0] = np.nan
    got = led(z, None, valid)
    assert not got.active[gone].any()
    assert got.active[2600:2610, 1:].any()
    never = z.copy()
    never[:, 0] = np.nan
    assert not led(never).active.any()


def test_what_is_unknown_of_a_follower_reaches_no_other() -> None:
    z = followers(0.2)
    holed = z.copy()
    holed[1000:1500, 1] = np.nan
    a, b = led(z), led(holed)
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x[:, [0, 2, 3]], y[:, [0, 2, 3]])
    assert not b.active[1000:1500, 1].any()


def test_the_order_of_the_symbols_changes_nothing_for_any() -> None:
    z = followers(0.1)
    a = led(z)
    b = led(np.ascontiguousarray(z[:, PERMUTATION]), flags(4)[PERMUTATION])
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x[:, PERMUTATION], y)


def test_the_t_is_that_of_weighted_least_squares() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(0.0, 1.0, (800, 2))
    y = x @ np.array([0.1, -0.3]) + rng.normal(0.0, 1.0, 800)
    state = start_state(Response, {"N": 2}, {})
    forget = 0.99
    for i in range(800):
        learn_response(x[i, 0], x[i, 1], y[i], 1, forget, state)
    weights = forget ** np.arange(799, -1, -1)
    fit = sm.WLS(y, x, weights=weights).fit()
    residual = (weights * (y - x @ fit.params) ** 2).sum() / weights.sum()
    inverse = np.linalg.inv(x.T @ (weights[:, None] * x))
    variance = residual * (weights**2).sum() / weights.sum() * inverse[0, 0]
    assert response_t(1, state) == pytest.approx(fit.params[0] / np.sqrt(variance), rel=1e-9)
    assert np.isnan(response_t(0, state))


def test_the_t_of_no_forgetting_is_that_of_ordinary_least_squares() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(0.0, 1.0, (500, 2))
    y = 0.2 * x[:, 0] + rng.normal(0.0, 1.0, 500)
    state = start_state(Response, {"N": 1}, {})
    for i in range(500):
        learn_response(x[i, 0], x[i, 1], y[i], 0, 1.0, state)
    assert response_t(0, state) == pytest.approx(sm.OLS(y, x).fit().tvalues[0] * np.sqrt(500 / 498), rel=1e-9)
    same_twice = start_state(Response, {"N": 1}, {})
    for i in range(500):
        learn_response(x[i, 0], x[i, 0], y[i], 0, 1.0, same_twice)
    assert np.isnan(response_t(0, same_twice))  # two names of one thing


# L49


def ranked(
    momentum: Floats, r_15: Floats, valid: Any = None, config: PatternConfig = CONFIG, sigma: float = 1e-3
) -> PatternSignal:
    inputs = {
        "l0_market_feed": market(np.ones(momentum.shape), np.ones(momentum.shape), valid),
        "l2_returns_volatility": filled(Returns, momentum.shape, sigma, r_15=r_15),
        "l21_momentum_medium": filled(Momentum, momentum.shape, 0.0, score=momentum),
    }
    made: PatternSignal = run_columnar(l49_relative_strength, inputs, {"pattern": config})
    return made


def field(symbols: int = 6, bars: int = 400, seed: int = 7) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    momentum = np.tanh(rng.normal(0.0, 1.0, (bars, symbols)))
    r = rng.normal(0.0, 3e-3, (bars, symbols))
    momentum[::7, 2] = momentum[::7, 1]  # ties
    r[::5] = 0.0
    return momentum, r


def by_scipy(momentum: Floats, r: Floats, share: float) -> Floats:
    size = momentum.shape[1]

    def rank(x: Floats) -> Floats:
        got: Floats = (2.0 * rankdata(x, axis=1) - size - 1.0) / (size - 1.0)
        return got

    return share * rank(momentum) - (1.0 - share) * rank(r)


@pytest.mark.parametrize(("share", "symbols"), [(0.0, 6), (0.3, 6), (0.5, 6), (1.0, 6), (0.3, order.FEW + 2)])
def test_the_joint_rank_is_scipys(share: float, symbols: int) -> None:
    momentum, r = field(symbols, 400 if symbols == 6 else 40)
    all_told = CONFIG._replace(strength_momentum_share=share, strength_enter=1e-9, strength_leave=1e-9)
    got = ranked(momentum, r, config=all_told)
    wanted = by_scipy(momentum, r, share)
    np.testing.assert_allclose(got.side * got.confidence, np.where(np.abs(wanted) < 1e-9, 0.0, wanted), atol=1e-12)


def test_a_symbol_stands_out_from_enter_until_below_leave() -> None:
    rank = np.array([0.0, 1.0, 0.6, 0.6, 0.2, 0.6, -1.0, -0.6, -0.2])
    momentum = np.zeros((9, 11))
    momentum[:, 0] = rank
    for t, x in enumerate(rank):
        below = round((x + 1.0) * 5.0)
        momentum[t, 1:] = [x - 0.1] * below + [x + 0.1] * (10 - below)
    got = ranked(momentum, np.zeros((9, 11)), config=CONFIG._replace(strength_momentum_share=1.0))
    assert got.side[:, 0].tolist() == [0, 1, 1, 1, 0, 0, -1, -1, 0]
    np.testing.assert_array_equal(got.age[:, 0], [np.nan, 0, 1, 2, np.nan, np.nan, 0, 1, np.nan])
    np.testing.assert_allclose(got.confidence[:, 0], [0, 1, 0.6, 0.6, 0, 0, 1, 0.6, 0])


def test_the_strong_that_fell_back_is_long_and_the_mirror_short() -> None:
    momentum, r = np.array([[0.9, 0.1, 0.0, -0.1, -0.9]]), np.array([[-0.01, 0.0, 0.0, 0.0, 0.01]])
    assert ranked(momentum, r).side.tolist() == [[1, 0, 0, 0, -1]]
    assert ranked(-momentum, -r).side.tolist() == [[-1, 0, 0, 0, 1]]
    assert not ranked(momentum, -r).active.any()  # strong, and stretched


def test_where_all_tie_none_stands_out() -> None:
    assert not ranked(np.full((5, 6), 0.3), np.zeros((5, 6))).active.any()


@pytest.mark.parametrize("symbols", [1, 2])
def test_too_few_symbols_have_no_ranks(symbols: int) -> None:
    momentum, r = field(symbols=4)
    got = ranked(momentum[:, :symbols].copy(), r[:, :symbols].copy())
    assert not got.active.any() and not got.confidence.any() and np.isnan(got.age).all()


@pytest.mark.parametrize("what", ["valid", "momentum", "return"])
def test_an_unknown_symbol_has_no_rank_and_moves_the_others_by_one_place_at_most(what: str) -> None:
    momentum, r = field(symbols=5)
    told = CONFIG._replace(strength_momentum_share=1.0, strength_enter=1e-9, strength_leave=1e-9)
    whole = ranked(momentum, r, config=told)
    valid = np.ones(momentum.shape, np.int64)
    gone = slice(100, 200)
    if what == "valid":
        valid[gone, 3] = 0
    else:
        (momentum if what == "momentum" else r)[gone, 3] = np.nan
    holed = ranked(momentum, r, valid, told)
    assert not holed.active[gone, 3].any()
    others = [0, 1, 2, 4]
    moved = np.abs((holed.side * holed.confidence - whole.side * whole.confidence)[:, others])
    assert moved[gone].max() <= 0.25 + 1e-12 and moved[gone].max() > 0.0
    assert not moved[:100].any() and not moved[200:].any()
    valid[300:, 2:] = 0
    assert not ranked(momentum, r, valid, told).active[300:].any()  # two are left


def test_the_order_of_the_symbols_changes_no_rank() -> None:
    momentum, r = field(symbols=4)
    a = ranked(momentum, r)
    b = ranked(np.ascontiguousarray(momentum[:, PERMUTATION]), np.ascontiguousarray(r[:, PERMUTATION]))
    assert a.active.any()
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x[:, PERMUTATION], y)


@pytest.mark.parametrize("layer", ["L48", "L49"])
def test_compiled_and_plain_kernels_give_the_same_bits(layer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    z = followers(0.2, bars=600)
    z[300:310, 2] = np.nan
    momentum, r = field(bars=300)
    momentum[100:110, 1] = np.nan
    fast = led(z) if layer == "L48" else ranked(momentum, r)
    assert set(np.unique(fast.side)) == {-1, 0, 1}
    for module in (arith, order, across, sys.modules[l48_lead_lag.__module__], sys.modules[l49_relative_strength.__module__]):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, python_of(value))
    same(fast, led(z) if layer == "L48" else ranked(momentum, r))


def test_memory_does_not_grow_with_the_window() -> None:
    assert max(x.size for x in leaves(carry_of(l48_lead_lag, 5, {"pattern": CONFIG}))) == 5


@pytest.mark.parametrize("key", ["lead_least_t", "lead_move_sigma", "lead_most_sigma", "lead_halflife_bars", "lead_least_bars"])
def test_a_small_change_of_a_parameter_keeps_most_occurrences_of_lead_lag(key: str) -> None:
    z = followers(0.1)
    base = led(z).side
    for factor in (0.9, 1.1):
        other = led(z, config=CONFIG._replace(**{key: getattr(CONFIG, key) * factor})).side
        assert (other[base != 0] == base[base != 0]).mean() > 0.5


@pytest.mark.parametrize("key", ["strength_momentum_share", "strength_enter", "strength_leave"])
def test_a_small_change_of_a_parameter_keeps_most_occurrences_of_relative_strength(key: str) -> None:
    momentum, r = field(symbols=25)
    base = ranked(momentum, r).side
    for factor in (0.9, 1.1):
        other = ranked(momentum, r, config=CONFIG._replace(**{key: getattr(CONFIG, key) * factor})).side
        assert (other[base != 0] == base[base != 0]).mean() > 0.5
