"""L3: what it proposes, what it refuses and why."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.fusion import types
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l3_action_proposal import l3_action_proposal
from dataflows.fusion.l70_horizon import l70_horizon
from dataflows.fusion.l75_size_suggestion import l75_size_suggestion
from dataflows.fusion.proposals import ranked
from dataflows.fusion.types import (
    FLAT,
    LONG,
    PARTS,
    REFUSALS,
    SHORT,
    TREND,
    UNKNOWN_SIDE,
    Agreement,
    Cost,
    Decay,
    Ensemble,
    Expectancy,
    K,
    Policy,
    Proposal,
    Success,
)
from dataflows.kinematics.types import KinematicState
from dataflows.microstructure.types import Tradeability
from tests.dataflows.fusion.world import CONFIGS, forecast, parts_of
from tests.support import filled, run_columnar

CONFIG = FusionConfig(horizons=(5, 15, 60, 240), entry_min_t=2.0)


def propose(
    scores: Any,  # L67's edge is slope times these
    *,
    slope: float = 100.0,
    std: float = 5.0,
    round_trip: Any = 10.0,
    observations: float = 200.0,
    sigma: float = 1e-3,
    avoid: int = 0,
    agreement: float = 0.5,
    multiplier: float = 1.0,
    strength: float = 0.5,
    chance: Any = 0.7,
    fresh: float = 1.0,
    fusion: FusionConfig = CONFIG,
) -> Proposal:
    """L70, L75 and L3 on scores (T,) or (T, N) with an edge of slope * score at the third horizon."""
    score = np.atleast_2d(np.asarray(scores, float).T).T.copy()
    shape = score.shape
    edge = np.zeros((*shape, 4))
    edge[..., 2] = slope * score
    edge[np.isnan(score)] = np.nan
    configs = {**CONFIGS, "fusion": fusion}
    made: dict[str, Any] = {
        "l76_volatility_forecast": forecast(np.full(shape, sigma)),
        "l7_ensemble": Ensemble(score, np.zeros((*shape, K))),
        "l60_kinematic_state": filled(
            KinematicState, shape, 0.0, direction=np.sign(score).astype(np.int64) * 1, strength=np.full(shape, strength)
        )
        if not np.isnan(score).any()
        else filled(KinematicState, shape, 0.0, strength=np.full(shape, strength)),
        "l63_tradeability": filled(Tradeability, shape, 1.0, avoid=np.full(shape, avoid), slippage_bps=np.zeros((*shape, 3))),
        "l67_expectancy": Expectancy(
            edge, np.full((*shape, 4), std), np.full((*shape, 4), observations), np.zeros((*shape, K)), parts_of(edge)
        ),
        "l68_success_probability": Success(np.broadcast_to(chance, shape).astype(float).copy(), np.full(shape, 0.2)),
        "l73_signal_decay": Decay(np.full(shape, fresh)),
        "l71_trading_cost": filled(Cost, shape, 0.0, round_trip_bps=np.broadcast_to(round_trip, shape).astype(float).copy()),
        "l72_agreement": Agreement(np.full(shape, agreement), np.full(shape, 0.5), np.zeros(shape, np.int64)),
        "policy": Policy(np.array([multiplier]), np.ones(K)),
    }
    made["l70_horizon"] = run_columnar(l70_horizon, {k: made[k] for k in ("l67_expectancy", "l71_trading_cost")}, configs)
    sized = ("l76_volatility_forecast", "l67_expectancy", "l68_success_probability", "l70_horizon", "l71_trading_cost")
    made["l75_size_suggestion"] = run_columnar(l75_size_suggestion, {k: made[k] for k in sized}, configs)
    got: Proposal = run_columnar(l3_action_proposal, made, configs)
    return got


def reasons(proposal: Proposal, t: int = -1, n: int = 0) -> set[str]:
    return {name for i, name in enumerate(REFUSALS) if int(proposal.refusal[t, n]) >> i & 1}


def test_codes_are_those_of_the_domain() -> None:
    for i, name in enumerate(REFUSALS):
        assert getattr(types, name) == 1 << i


def test_a_side_is_taken_when_its_net_edge_is_beyond_doubt() -> None:
    got = propose([0.0, 0.1, 0.19, 0.21, -0.21, -0.19], std=5.0, round_trip=10.0)  # 20 bps: two errors above the cost
    assert got.side[:4, 0].tolist() == [FLAT, FLAT, FLAT, LONG]
    assert propose([-0.19, -0.21]).side[:, 0].tolist() == [FLAT, SHORT]
    assert propose([0.9], observations=99.0).side[0, 0] == FLAT


def test_a_side_is_left_when_its_mean_edge_is_half_a_round_trip_against_it() -> None:
    scores = np.concatenate([np.full(5, 0.5), np.full(60, -0.08)])  # against it by 8 bps, not beyond doubt for the other side
    got = propose(scores, std=40.0, round_trip=10.0, observations=200.0, fusion=CONFIG._replace(entry_min_t=0.5))
    mean = pd.Series(100.0 * scores).ewm(halflife=0.15 * 60.0, adjust=False).mean().to_numpy()
    expected = np.where(np.cumsum(mean < -5.0) > 0, FLAT, LONG)
    assert got.side[:, 0].tolist() == expected.tolist()
    assert 5 < (expected == LONG).sum() < 60  # the sign turned at 5
    assert (got.may_enter[5:] == 0).all()
    assert (got.size_fraction[5:] == 0.0).all()  # against the edge nothing is asked for
    at_once = propose(scores, std=40.0, fusion=CONFIG._replace(entry_min_t=0.5, leave_halflife=1e-3))
    assert at_once.side[5, 0] == FLAT
    never = propose(scores, std=40.0, fusion=CONFIG._replace(entry_min_t=0.5, leave_cost=0.9))
    assert (never.side == LONG).all()


def test_a_strong_edge_the_other_way_turns_the_side() -> None:
    got = propose([0.5] * 3 + [-0.9] * 40)
    assert set(got.side[3:, 0].tolist()) == {LONG, SHORT}
    assert got.side[-1, 0] == SHORT
    assert FLAT not in got.side[:, 0]


def test_a_good_case_may_enter() -> None:
    got = propose([0.5])
    assert (got.side[0, 0], got.may_enter[0, 0], got.refusal[0, 0]) == (LONG, 1, 0)
    assert got.edge_bps[0, 0] == 50.0
    assert got.edge_std_bps[0, 0] == 5.0
    assert got.horizon[0, 0] == 60.0
    assert got.risk_bps[0, 0] == pytest.approx(10.0 * math.sqrt(60.0))
    assert 0.0 < got.size_fraction[0, 0] <= CONFIG.kelly_cap
    assert propose([0.5], fresh=0.3).freshness[0, 0] == 0.3
    assert got.p_success[0, 0] == 0.7


def test_long_and_short_are_treated_alike() -> None:
    rng = np.random.default_rng(1)
    scores = rng.uniform(-1.0, 1.0, 300)
    up, down = propose(scores), propose(-scores)
    np.testing.assert_array_equal(up.side, -down.side)
    for field in (
        "may_enter",
        "edge_bps",
        "edge_std_bps",
        "risk_bps",
        "size_fraction",
        "confidence",
        "rank",
        "refusal",
        "horizon",
    ):
        np.testing.assert_array_equal(getattr(up, field), getattr(down, field), err_msg=field)


@pytest.mark.parametrize(
    ("given_", "reason"),
    [
        ({"avoid": 1}, "AVOID"),
        ({"observations": 99.0}, "NOT_LEARNED"),
        ({"round_trip": 60.0}, "EDGE_BELOW_COST"),
        ({"std": 50.0}, "EDGE_UNCERTAIN"),
        ({"multiplier": 0.0}, "NO_SIZE"),
        ({"multiplier": math.nan}, "NO_SIZE"),
        ({"round_trip": math.nan}, "UNKNOWN_INPUT"),
        ({"sigma": math.nan}, "UNKNOWN_INPUT"),
        ({"std": math.nan}, "UNKNOWN_INPUT"),
        ({"observations": math.nan}, "UNKNOWN_INPUT"),
        ({"chance": math.nan}, "UNKNOWN_INPUT"),
        ({"fresh": math.nan}, "UNKNOWN_INPUT"),
        ({"chance": 0.3}, "NO_SIZE"),
    ],
)
def test_a_refusal_names_its_reason(given_: dict[str, float], reason: str) -> None:
    got = propose([0.5], **given_)  # type: ignore[arg-type]
    assert got.may_enter[0, 0] == 0
    assert reason in reasons(got)


def test_while_flat_the_refusal_is_that_of_the_better_side() -> None:
    assert reasons(propose([0.5], slope=0.0, observations=0.0)) >= {"NO_SIGNAL"}
    got = propose([-0.05, 0.0, -0.15], observations=0.0)
    assert reasons(got, 0) >= {"NOT_LEARNED", "EDGE_BELOW_COST"}
    assert "NO_SIGNAL" in reasons(got, 1)
    assert reasons(got, 2) == {"NOT_LEARNED", "EDGE_UNCERTAIN"}
    assert got.edge_bps[:, 0].tolist() == [5.0, 0.0, 15.0]
    assert types.with_an_edge(got)[:, 0].tolist() == [True, False, True]
    assert not types.with_an_edge(propose([math.nan])).any()


def test_avoid_and_unknown_inputs_never_force_an_exit() -> None:
    held = propose([0.5, 0.4, 0.3], avoid=1)
    assert (held.side == LONG).all()
    assert (held.may_enter == 0).all()
    lost = propose([0.5, math.nan, 0.15, math.nan, 0.15])
    assert lost.side[:, 0].tolist() == [LONG, UNKNOWN_SIDE, LONG, UNKNOWN_SIDE, LONG]  # the side is kept meanwhile
    assert lost.may_enter[1, 0] == 0
    blind = propose([0.5, 0.0], round_trip=np.array([[10.0], [math.nan]]))
    assert blind.side[1, 0] == UNKNOWN_SIDE


def test_size_is_zero_when_flat_or_unknown_and_the_policy_only_lowers_it() -> None:
    got = propose([0.5, math.nan])
    assert got.size_fraction[1, 0] == 0.0
    assert propose([0.0]).size_fraction[0, 0] == 0.0
    full = got.size_fraction[0, 0]
    assert propose([0.5], multiplier=0.5).size_fraction[0, 0] == pytest.approx(0.5 * full)
    assert propose([0.5], multiplier=7.0).size_fraction[0, 0] == full
    assert propose([0.5], multiplier=-1.0).size_fraction[0, 0] == 0.0


@given(
    score=st.floats(-1.0, 1.0),
    slope=st.floats(0.0, 1e4),
    std=st.one_of(st.floats(0.0, 1e4), st.just(math.nan)),
    cost=st.one_of(st.floats(0.0, 1e4), st.just(math.nan)),
    observations=st.floats(0.0, 1e4),
    avoid=st.integers(0, 1),
    agreement=st.one_of(st.floats(0.0, 1.0), st.just(math.nan)),
)
def test_may_enter_means_every_condition_holds(
    score: float, slope: float, std: float, cost: float, observations: float, avoid: int, agreement: float
) -> None:
    got = propose([score], slope=slope, std=std, round_trip=cost, observations=observations, avoid=avoid, agreement=agreement)
    assert 0.0 <= got.confidence[0, 0] <= 1.0
    assert 0.0 <= got.size_fraction[0, 0] <= CONFIG.kelly_cap
    assert (got.may_enter[0, 0] == 1) == (got.refusal[0, 0] == 0)
    if got.may_enter[0, 0]:
        net = slope * abs(score) - cost
        assert not avoid
        assert net > 0.0
        assert net > CONFIG.entry_min_t * std - 1e-9
        assert observations >= CONFIG.entry_min_observations
        assert got.size_fraction[0, 0] > 0.0


@given(score=st.floats(0.0, 0.9), more=st.floats(0.0, 0.1), slope=st.floats(0.0, 500.0))
def test_a_stronger_score_never_lowers_edge_size_or_permission(score: float, more: float, slope: float) -> None:
    weak, strong = propose([score], slope=slope), propose([score + more], slope=slope)
    for field in ("edge_bps", "size_fraction", "may_enter", "confidence"):
        assert getattr(strong, field)[0, 0] >= getattr(weak, field)[0, 0] - 1e-12, field


def test_rank_goes_by_net_edge_over_risk_and_ties_by_name() -> None:
    got = propose([[0.4, 0.9, 0.0, 0.9, math.nan, -0.7]])
    assert got.rank[0].tolist() == [3.0, 0.0, 4.0, 1.0, 5.0, 2.0]


def test_confidence_grows_with_agreement_backing_and_certainty() -> None:
    base = propose([0.5]).confidence[0, 0]
    assert propose([0.5], agreement=0.9).confidence[0, 0] > base
    assert propose([0.5], strength=0.9).confidence[0, 0] > base
    assert propose([0.5], chance=0.8).confidence[0, 0] > base
    assert propose([0.5], std=40.0).confidence[0, 0] < base
    assert propose([0.5], agreement=math.nan).confidence[0, 0] < base


def test_permuting_the_symbols_permutes_the_proposals() -> None:
    rng = np.random.default_rng(3)
    scores, costs = rng.uniform(-1.0, 1.0, (80, 6)), rng.exponential(10.0, (80, 6))
    order = rng.permutation(6)
    whole, moved = propose(scores, round_trip=costs), propose(scores[:, order], round_trip=costs[:, order])
    cased = np.isin(whole.side, (SHORT, LONG))[:, order]
    for field in Proposal._fields:
        a, b = getattr(whole, field)[:, order], getattr(moved, field)
        if field == "rank":  # symbols without a case are last, by column
            a, b = a[cased], b[cased]
        np.testing.assert_array_equal(a, b, err_msg=field)


def test_the_parts_of_the_edge_are_those_of_the_chosen_horizon_on_the_side_it_is_stated_for() -> None:
    """Held long while the edge turns, flat with an edge to sell, and unknown: L67's parts times the side, or NaN."""
    scores = [0.5, -0.1, -0.9, -0.9, np.nan, 0.05]
    got = propose(scores)
    assert got.side[0, 0] == LONG and got.side[1, 0] == LONG and got.side[4, 0] == UNKNOWN_SIDE
    way = np.where(np.isin(got.side[:, 0], (LONG, SHORT)), got.side[:, 0], np.sign(np.nan_to_num(scores)))
    expected = way * 100.0 * np.array(scores)  # the third horizon's edge
    np.testing.assert_allclose(got.edge_bps[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(got.parts_bps[:, 0, TREND], 0.75 * expected, rtol=1e-12)
    np.testing.assert_allclose(got.parts_bps[:, 0, -1], 0.25 * expected, rtol=1e-12)
    np.testing.assert_array_equal(got.parts_bps[:, 0, TREND] + got.parts_bps[:, 0, -1], got.edge_bps[:, 0])
    assert (np.delete(got.parts_bps[[0, 1, 2, 3, 5], 0], [TREND, PARTS - 1], axis=-1) == 0.0).all()


def test_ranks_are_those_of_a_stable_sort() -> None:
    rng = np.random.default_rng(3)
    for size in (1, 2, 7, 40):
        merit = rng.choice([-1.5, -0.5, 0.0, 2.0, np.inf], size)
        order = np.empty(size, np.int64)
        ranked(merit, order)
        assert order.tolist() == np.argsort(merit, kind="stable").tolist()
