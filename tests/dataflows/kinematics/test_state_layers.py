"""L25 and L60: agreement, direction and scores that cannot jump."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.kinematics import state, votes
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.l25_timeframe_alignment import l25_timeframe_alignment
from dataflows.kinematics.l60_kinematic_state import l60_kinematic_state
from dataflows.kinematics.types import (
    DOWN,
    SIDEWAYS,
    UP,
    Alignment,
    Breakout,
    Channel,
    Cycle,
    Derivatives,
    Directional,
    Efficiency,
    FractionalDifference,
    Hurst,
    Jump,
    KinematicState,
    Macd,
    Momentum,
    Oscillator,
    Reversion,
    Slope,
    Trend,
    VarianceRatio,
    Velocity,
    VolTerm,
)
from tests.dataflows.kinematics.both import assert_plain_is_compiled
from tests.dataflows.kinematics.chain import regime, run, tradeability
from tests.support import filled

K = KinematicsConfig()
TWO = K._replace(state_weights=(0.6, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
"""Only L25 and the regime vote."""

VOTERS: dict[str, tuple[Any, str, float]] = {  # record, field, share of all weight
    "l11_ema_trend_short": (Trend, "score", 1 / 18),
    "l12_regression_slope_short": (Slope, "t_stat", 1 / 18),
    "l14_momentum_short": (Momentum, "score", 1 / 18),
    "l17_directional_movement_short": (Directional, "score", 3 / 18),
    "l19_ema_trend_medium": (Trend, "score", 3 / 18),
    "l20_regression_slope_medium": (Slope, "t_stat", 3 / 18),
    "l21_momentum_medium": (Momentum, "score", 3 / 18),
    "l22_directional_movement_medium": (Directional, "score", 3 / 18),
}
"""Timeframes of 1, 5, 15 and 60 bars weigh 1, 1, 2 and 2; those of one share its weight."""


def _aligned(votes: Any) -> Alignment:
    """The alignment of one symbol over bars. votes: (8, T) strengths, 1 is a full vote."""
    panels = np.asarray(votes, np.float64).reshape(8, -1, 1)
    inputs = {}
    for (name, (record, field, _)), panel in zip(VOTERS.items(), panels, strict=True):
        full = K.alignment_full_t if field == "t_stat" else 1.0
        inputs[name] = filled(record, panel.shape, **{field: np.ascontiguousarray(panel * full)})
    made: Alignment = run(l25_timeframe_alignment, inputs, K)
    return made


def test_all_votes_up_give_one_and_all_down_minus_one() -> None:
    got = _aligned(np.ones((8, 1)) * np.array([1.0, -1.0]))
    np.testing.assert_allclose(got.score[:, 0], [1.0, -1.0], rtol=1e-15)
    np.testing.assert_allclose(got.agreement[:, 0], [1.0, 1.0], rtol=1e-15)
    assert got.conflict[:, 0].tolist() == [0.0, 0.0]


def test_votes_share_the_weight_of_their_timeframe() -> None:
    weights = np.array([1 / 18, 1 / 18, 1 / 18, 1 / 6, 1 / 6, 1 / 6, 1 / 6, 1 / 6])
    got = _aligned(0.5 * np.eye(8))
    np.testing.assert_allclose(got.score[:, 0], 0.5 * weights, rtol=1e-12)
    np.testing.assert_allclose(got.agreement[:, 0], weights, rtol=1e-12)
    assert weights.tolist() == pytest.approx([share for _, _, share in VOTERS.values()])


def test_even_sides_are_all_conflict_and_no_agreement() -> None:
    got = _aligned([0.0, 0.0, 0.0, 0.0, 1.0, -1.0, 1.0, -1.0])
    assert (got.score[0, 0], got.agreement[0, 0]) == (0.0, 0.0)
    assert got.conflict[0, 0] == pytest.approx(4 / 6)


def test_an_unknown_vote_weakens_and_all_unknown_is_unknown() -> None:
    votes = np.ones((8, 2))
    votes[3, 0] = np.nan
    votes[:, 1] = np.nan
    got = _aligned(votes)
    assert got.score[0, 0] == pytest.approx(5 / 6)
    for panel in got:
        assert np.isnan(panel[1, 0])


@given(st.lists(st.lists(st.floats(-1, 1), min_size=5, max_size=5), min_size=8, max_size=8), st.floats(0, 1))
def test_alignment_is_bounded_and_monotone(votes: Any, more: float) -> None:
    low = _aligned(votes)
    for k in range(8):
        lifted = np.array(votes)
        lifted[k] += more
        assert (_aligned(lifted).score >= low.score - 1e-15).all()
    assert (np.abs(low.score) <= 1).all()
    for panel in (low.agreement, low.conflict):
        assert ((panel >= 0) & (panel <= 1)).all()


OTHERS: dict[str, tuple[Any, dict[str, float]]] = {  # nothing to say: no vote, no stretch, no jump, ordinary volatility
    "l13_kalman_velocity": (Velocity, {}),
    "l15_rsi_short": (Oscillator, {}),
    "l16_macd_short": (Macd, {}),
    "l18_breakout_short": (Breakout, {"position": 0.5}),
    "l23_channel_position_medium": (Channel, {"percent_b": 0.5}),
    "l24_variance_ratio": (VarianceRatio, {}),
    "l51_velocity_acceleration": (Derivatives, {}),
    "l52_hurst_exponent": (Hurst, {}),
    "l53_fractional_difference": (FractionalDifference, {}),
    "l54_cycle_phase": (Cycle, {}),
    "l55_efficiency_ratio": (Efficiency, {}),
    "l56_mean_reversion_speed": (Reversion, {}),
    "l57_jump_component": (Jump, {}),
    "l58_volatility_term_structure": (VolTerm, {"ratio": 1.0}),
}


def _others(shape: tuple[int, int], more: dict[tuple[str, str], Any] | None = None) -> dict[str, Any]:
    """The records of OTHERS; more: {(layer, field): value or panel}."""
    made = {}
    for name, (record, fields) in OTHERS.items():
        values = dict(fields) | {f: v for (layer, f), v in (more or {}).items() if layer == name}
        panels = {f: np.broadcast_to(np.asarray(v).reshape(-1, 1), shape) for f, v in values.items()}
        kinds = {f: np.int64 if f in ("side", "in_cycle") else np.float64 for f in panels}
        made[name] = filled(record, shape, **{f: np.ascontiguousarray(v, kinds[f]) for f, v in panels.items()})
    return made


def _state(
    score: Any,
    *,
    forced: Any = None,
    p: Any = None,
    trade: Any = 1.0,
    k: KinematicsConfig = TWO,
    more: dict[tuple[str, str], Any] | None = None,
    **over: Any,
) -> KinematicState:
    score = np.ascontiguousarray(np.asarray(score, np.float64).reshape(-1, 1))
    shape = score.shape
    zeros = np.zeros(shape)
    names: dict[str, Any] = {
        "calm": zeros,
        "trend_up": zeros,
        "trend_down": zeros,
        "high_vol": zeros,
        "chaotic": zeros,
        "trend_t": zeros,
    }
    names |= {n: np.broadcast_to(np.asarray(v, np.float64).reshape(-1, 1), shape).copy() for n, v in (p or {}).items()}
    flags = np.zeros(shape, np.int64) if forced is None else np.asarray(forced, np.int64).reshape(-1, 1)
    inputs = {
        "l1_regime": regime(shape, **names, forced=flags),
        "l25_timeframe_alignment": Alignment(score, over.get("agreement", np.ones(shape)), over.get("conflict", zeros)),
        "l63_tradeability": tradeability(shape, np.broadcast_to(np.asarray(trade, np.float64).reshape(-1, 1), shape).copy()),
        **_others(shape, more),
    }
    made: KinematicState = run(l60_kinematic_state, inputs, k)
    return made


def test_direction_has_hysteresis_and_holds_while_unknown() -> None:
    wanted = [0.0, 0.3, 0.31, 0.2, 0.15, 0.14, -0.31, -0.16, np.nan, -0.14, 0.9, -0.9]
    k = K._replace(state_weights=(1.0, *[0.0] * 8))
    got = _state(wanted, p={"trend_up": [0.0 if w == w else np.nan for w in wanted]}, k=k).direction[:, 0].tolist()
    expected = [SIDEWAYS, SIDEWAYS, UP, UP, UP, SIDEWAYS, DOWN, DOWN, DOWN, SIDEWAYS, UP, DOWN]
    assert got == expected


def test_a_score_moves_at_most_max_step_from_zero() -> None:
    got = _state(np.ones(6), p={"trend_up": 1.0}).trend_score[:, 0]
    assert got.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_a_forced_regime_and_a_lost_input_let_the_score_fall_at_once() -> None:
    up = {"trend_up": [1, 1, 1, 1, 1, 0, 0], "chaotic": [0, 0, 0, 0, 0, 1, 1]}
    got = _state(np.ones(7), p=up, forced=[0, 0, 0, 0, 0, 1, 0]).trend_score[:, 0]
    assert got.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 0.0, 0.0]
    lost = _state(np.ones(7), p={"trend_up": 1.0}, trade=[1, 1, 1, 1, 1, np.nan, 1]).trend_score[:, 0]
    assert lost.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 0.0, 0.25]
    slow = _state(np.ones(7), p={"trend_up": 1.0, "chaotic": [0, 0, 0, 0, 0, 1, 1]}).trend_score[:, 0]
    assert slow.tolist() == [0.25, 0.5, 0.75, 1.0, 1.0, 0.75, 0.5]  # likely chaotic, not forced


def test_scores_step_at_most_max_step_on_random_inputs() -> None:
    shape = (400, 3)
    rng = np.random.default_rng(5)
    score = rng.uniform(-1, 1, shape)
    trade = rng.random(shape)
    for panel in (score, trade):
        panel[rng.random(shape) < 0.05] = np.nan
    forced = (rng.random(shape) < 0.02).astype(np.int64)
    inputs = {
        "l1_regime": regime(shape, forced=forced),
        "l25_timeframe_alignment": Alignment(score, rng.random(shape), rng.random(shape)),
        "l63_tradeability": tradeability(shape, trade),
        **_others(shape),
    }
    got = run(l60_kinematic_state, inputs, TWO)
    known = np.isfinite(score) * 1 + np.isfinite(trade) * 2
    lost = (known[:-1] & ~known[1:]) != 0
    bound = ~lost & (forced[1:] == 0)
    for panel in (got.trend_score, got.reversion_score):
        step = np.abs(np.diff(panel, axis=0))
        assert (step[bound] <= K.state_max_step + 1e-12).all()
        assert (step[~bound] > K.state_max_step).any() or panel is got.reversion_score


@settings(max_examples=40)
@given(
    st.lists(st.floats(-1, 1), min_size=4, max_size=4),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(-20, 20),
)
def test_the_trend_score_is_monotone_and_everything_is_bounded(
    score: list[float], up: float, down: float, trade: float, more: float, short: float
) -> None:
    p = {"trend_up": up, "trend_down": down, "calm": 1 - up - down, "trend_t": short}
    base = _state(score, p=p, trade=trade)
    lifted = _state([min(1.0, s + more) for s in score], p=p, trade=trade)
    tilted = _state(score, p={**p, "trend_up": up + more * (0.5 - up), "trend_down": down}, trade=trade)
    for other in (lifted, tilted):
        assert (other.trend_score >= base.trend_score - 1e-15).all()
    for name in ("strength", "persistence", "pullback", "breakout"):
        panel = getattr(base, name)
        assert ((panel >= 0.0) & (panel <= 1.0)).all(), name
    for name in ("continuation_bias", "trend_score", "reversion_score"):
        assert (np.abs(getattr(base, name)) <= 1.0).all(), name


def test_mirrored_inputs_mirror_the_state() -> None:
    rng = np.random.default_rng(6)
    score, short = rng.uniform(-1, 1, 50), rng.normal(0, 4, 50)
    up, down = rng.random(50) / 2, rng.random(50) / 2
    a = _state(
        score, p={"trend_up": up, "trend_down": down, "trend_t": short, "calm": 1 - up - down}, agreement=np.full((50, 1), 0.3)
    )
    b = _state(
        -score,
        p={"trend_up": down, "trend_down": up, "trend_t": -short, "calm": 1 - up - down},
        agreement=np.full((50, 1), 0.3),
    )
    for name in ("trend_score", "reversion_score", "continuation_bias", "direction"):
        np.testing.assert_array_equal(getattr(a, name), -getattr(b, name))
    for name in ("strength", "persistence", "pullback", "breakout"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert np.abs(a.reversion_score).max() > 0.02


def test_a_short_move_against_the_trend_is_a_pullback_and_with_it_a_breakout() -> None:
    p = {"trend_up": 0.5, "trend_t": [-6.0, 6.0, -60.0, 0.0], "vol_percentile": 0.5}
    got = _state(np.full(4, 0.5), p=p)
    trend = 0.6 * 0.5 + 0.4 * 0.5
    assert got.pullback[:, 0].tolist() == pytest.approx([trend, 0.0, trend, 0.0])
    assert got.breakout[:, 0].tolist() == pytest.approx([0.0, trend / 4, 0.0, 0.0])  # half of it, in a market of half energy
    beyond = _state(np.full(4, 0.5), p=p, more={("l18_breakout_short", "side"): [1, 1, -1, 0]}).breakout[:, 0]
    assert beyond.tolist() == pytest.approx([trend / 4, trend / 2, 0.0, 0.0])
    busy = _state(np.full(4, 0.5), p={**p, "vol_percentile": 1.0}, more={("l58_volatility_term_structure", "ratio"): 3.0})
    assert busy.breakout[1, 0] == pytest.approx(trend / 2)


TREND_INPUTS = (
    ("l13_kalman_velocity", "t_stat", 1.3),
    ("l15_rsi_short", "centred", 1.0),
    ("l16_macd_short", "line", 2.0),
    ("l18_breakout_short", "position", 0.5),
    ("l23_channel_position_medium", "percent_b", 0.5),
    ("l51_velocity_acceleration", "velocity", 0.3),
    ("l53_fractional_difference", "z", 3.0),
)
"""Layer, field, and how much of it is a full vote."""


@pytest.mark.parametrize(("layer", "field", "full"), TREND_INPUTS)
@settings(max_examples=20)
@given(
    at=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    more=st.lists(st.floats(0, 3), min_size=3, max_size=3),
    score=st.floats(-1, 1),
    short=st.floats(-9, 9),
)
def test_each_trend_input_lifts_the_trend_and_never_lowers_it(
    layer: str, field: str, full: float, at: list[float], more: list[float], score: float, short: float
) -> None:
    middle = OTHERS[layer][1].get(field, 0.0)
    p = {"trend_up": 0.3, "trend_down": 0.1, "calm": 0.5, "trend_t": short}

    def of(values: Any) -> KinematicState:
        return _state(np.full(3, score), p=p, trade=0.8, k=K, more={(layer, field): middle + full * np.asarray(values)})

    low, high, least = of(at), of(np.add(at, more)), of([-1.0] * 3)
    assert (high.trend_score >= low.trend_score - 1e-15).all()
    assert (high.direction >= low.direction).all()
    full_vote = of([1.0] * 3)
    for a, b in ((full_vote, of([9.0] * 3)), (least, of([-9.0] * 3))):
        np.testing.assert_array_equal(a.trend_score, b.trend_score)
    k = K._replace(state_max_step=2.0)
    up, down = (
        _state([0.0], p={"calm": 1.0}, k=k, more={(layer, field): [middle + full * s]}).trend_score[0, 0] for s in (1.0, -1.0)
    )
    assert (up, down) == pytest.approx((0.05, -0.05))


def test_memory_makes_persistence_and_jumps_and_conflict_take_from_what_goes_on() -> None:
    p = {"trend_up": 1.0}
    lasting = {
        ("l24_variance_ratio", "bias"): 0.6,
        ("l52_hurst_exponent", "persistent"): 1.0,
        ("l55_efficiency_ratio", "ratio"): 0.4,
    }
    got = _state([1.0], p=p, more=lasting)
    assert got.persistence[0, 0] == pytest.approx(0.5 + 0.25 * 0.4 + 0.25 * 0.8)
    assert got.continuation_bias[0, 0] == got.persistence[0, 0]
    torn = _state([1.0], p=p, more={**lasting, ("l57_jump_component", "share"): 0.25}, conflict=np.full((1, 1), 0.2))
    assert torn.continuation_bias[0, 0] == pytest.approx(got.persistence[0, 0] * 0.75 * 0.8)
    unknown = _state([1.0], p=p, more={**lasting, ("l57_jump_component", "share"): np.nan})
    assert unknown.continuation_bias[0, 0] == 0.0


def test_what_is_stretched_is_faded_in_a_calm_market_and_more_where_it_reverts() -> None:
    k = TWO._replace(state_max_step=2.0)
    p = {"calm": 0.8, "trend_t": 6.0}
    stretch = {("l56_mean_reversion_speed", "z"): 3.0, ("l23_channel_position_medium", "keltner_position"): 1.0}
    none = np.zeros((1, 1))

    def score(**more: Any) -> float:
        return float(_state([0.0], p=p, k=k, agreement=none, more={**stretch, **more.get("more", {})}).reversion_score[0, 0])

    assert score() == pytest.approx(-0.8 * 0.75 * 0.5)
    reverting = {
        ("l56_mean_reversion_speed", "score"): 1.0,
        ("l24_variance_ratio", "bias"): -1.0,
        ("l52_hurst_exponent", "persistent"): -1.0,
    }
    assert score(more=reverting) == pytest.approx(-0.8 * 0.75)
    turning = {("l54_cycle_phase", "lead_sine"): 0.9, ("l54_cycle_phase", "sine"): 0.4}
    assert score(more=turning) == score()
    assert score(more={**turning, ("l54_cycle_phase", "in_cycle"): 1}) == pytest.approx(-0.8 * 0.75 * 0.5 + 0.8 * 0.25 * 0.5)


def test_missing_data_only_weakens() -> None:
    whole = _state(np.ones(8), p={"trend_up": 1.0})
    no_regime = _state(np.ones(8), p=dict.fromkeys(("trend_up", "trend_down", "calm", "chaotic", "high_vol"), np.nan))
    no_trade = _state(np.ones(8), p={"trend_up": 1.0}, trade=np.nan)
    nothing = _state(np.full(8, np.nan), p={"trend_up": np.nan})
    assert whole.trend_score[-1, 0] == 1.0
    assert (no_regime.trend_score == 0.0).all() and (no_regime.strength == pytest.approx(0.6))
    assert (no_trade.trend_score == 0.0).all() and (no_trade.strength == 1.0).all()
    for name in KinematicState._fields:
        if name != "direction":
            assert np.isnan(getattr(nothing, name)).all()
    assert (nothing.direction == SIDEWAYS).all()


def test_kernels_are_the_same_compiled_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    panels = [rng.uniform(-1, 1, (200, 2)) for _ in range(4)]
    panels[1][rng.random((200, 2)) < 0.1] = np.nan
    probabilities = [rng.random((200, 2)) for _ in range(6)]
    probabilities[2][rng.random((200, 2)) < 0.1] = np.nan
    panels[0][rng.random((200, 2)) < 0.1] = np.nan
    forced = (rng.random((200, 2)) < 0.05).astype(np.int64)
    more = [rng.normal(0.0, 1.0, (200, 2)) for _ in range(17)]
    for x in more:
        x[rng.random((200, 2)) < 0.1] = np.nan
    side, cycles = rng.integers(-1, 2, (200, 2)), rng.integers(0, 2, (200, 2))
    args = (
        *panels[:1], *probabilities, panels[2] * 9, panels[3], forced, np.abs(panels[1]), *more[:4], side, *more[4:12], cycles,
        *more[12:], K.state_weights, 6.0, K.state_full, 0.3, 0.15, 0.25,
    )  # fmt: skip
    with monkeypatch.context() as p:
        assert_plain_is_compiled(state.kinematic_state, args, l60_kinematic_state, K, p, state)
    args = (tuple(panels), (1.0, 0.5, 1.0, 1.0), (1.0, 1.0, 2.0, 2.0))
    with monkeypatch.context() as p:
        assert_plain_is_compiled(votes.count_votes, args, l25_timeframe_alignment, K, p, votes)
