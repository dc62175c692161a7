"""L82 against its parts in a few lines of NumPy, over days cut anywhere; whatever a policy says, the door holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.config import ConfigError, resolve
from dataflows.fusion.types import EXTERNAL, K
from dataflows.rl.allowed import MOST_TILT, allowed
from dataflows.rl.choices import by_table, tilt_of
from dataflows.rl.config import RlConfig
from dataflows.rl.network import network, weights_of
from dataflows.rl.observed import GROWTH, LEAD, MULTIPLIER, OBSERVED, SHADOW_GROWTH
from dataflows.rl.types import TILTS_TRIED, PolicyChoice
from tests.dataflows.meta.world import MINUTE, START, closes, noise, plan_of

DAYS, BARS, SYMBOLS = 12, 96, 2
REGIME_FIELDS = ("calm", "trend_up", "trend_down", "high_vol", "chaotic")


def planned(*overrides: str) -> Any:
    return plan_of("l82_policy", overrides=overrides)


def world(seed: int = 1) -> tuple[dict[str, Any], Any]:
    """Days of a quarter of an hour a bar: an account, the shadow that moves otherwise, and regimes."""
    plan, rng, bars = planned(), np.random.default_rng(seed), DAYS * BARS + 1
    inputs = {name: noise(plan.type_of(name), bars, SYMBOLS, rng, {}) for name in plan.recorded_inputs}
    chances = rng.dirichlet(np.ones(5), (bars, SYMBOLS))
    chances[:50] = np.nan
    inputs["l1_regime"] = inputs["l1_regime"]._replace(**{n: chances[:, :, i].copy() for i, n in enumerate(REGIME_FIELDS)})
    moves = rng.normal(0.0, 5e-4, bars)
    flows = np.where(np.arange(bars) >= 3 * BARS + 40, 5e3, 0.0)
    equity = 1e5 * np.exp(np.cumsum(0.6 * moves)) + flows
    gross = np.where(np.arange(bars) // BARS == 5, 0.0, 4e4)  # nothing is held on the sixth day
    inputs["l97_ledger"] = inputs["l97_ledger"]._replace(
        equity=equity, cash_flows=flows, gross=gross, drawdown=np.full(bars, 0.02)
    )
    shadow = plan.hints["shadow_account"](1e5 * np.exp(np.cumsum(moves)), np.zeros(bars))
    return {**inputs, "shadow_account": shadow}, START + 15 * MINUTE * np.arange(1, bars + 1)


def choices(*overrides: str, inputs: Any = None, **how: Any) -> list[PolicyChoice]:
    given_inputs, time = world()
    return [c["l82_policy"] for c in closes(planned(*overrides), {**given_inputs, **(inputs or {})}, time, SYMBOLS, **how)]


def test_off_it_is_the_baseline_and_still_observes() -> None:
    for choice in choices():
        assert choice.policy.risk_multiplier.tolist() == [1.0] and (choice.policy.tilt == 1.0).all()
        assert np.isfinite(choice.observation).all() and choice.known.sum() == len(OBSERVED)


def test_the_multiplier_is_the_mean_by_wealth_that_the_shadow_would_have_made() -> None:
    inputs, _ = world()
    equity = inputs["shadow_account"].equity
    ends = equity[BARS - 1 :: BARS]
    returns = np.diff(np.concatenate([equity[:1], ends])) / np.concatenate([equity[:1], ends[:-1]])
    arms, prior = np.array([0.25, 0.5, 1.0]), np.array([0.05, 0.05, 0.9])
    wealth = np.cumprod(1.0 + returns[:, None] * arms, axis=0) * prior
    expected = (wealth * arms).sum(axis=1) / wealth.sum(axis=1)
    found = choices("rl.policy=1")
    assert [c.policy.risk_multiplier[0] for c in found] == pytest.approx(expected[: len(found)].tolist(), rel=1e-12)
    assert all((c.policy.tilt == 1.0).all() for c in found)


def test_wealth_is_of_both_accounts_and_cash_that_came_in_is_no_gain() -> None:
    inputs, _ = world()
    own = inputs["l97_ledger"]
    found = choices()
    last = len(found) * BARS - 1
    wealth = 1.0
    for day in range(len(found)):
        a, b = max(0, day * BARS - 1), (day + 1) * BARS - 1
        wealth *= (own.equity[b] - (own.cash_flows[b] - own.cash_flows[a])) / own.equity[a]
    assert found[-1].wealth[0] == pytest.approx(wealth, rel=1e-12)
    shadow = inputs["shadow_account"].equity
    assert found[-1].shadow_wealth[0] == pytest.approx(shadow[last] / shadow[0], rel=1e-12)
    seen = found[-1].observation
    assert seen[LEAD] == pytest.approx(100.0 * math.log(found[-1].wealth[0] / found[-1].shadow_wealth[0]), rel=1e-9)
    assert seen[SHADOW_GROWTH] == pytest.approx(100.0 * math.log(shadow[last] / shadow[last - BARS]), rel=1e-9)
    assert seen[GROWTH] == pytest.approx(100.0 * math.log(own.equity[last] - 0.0) - 100.0 * math.log(own.equity[last - BARS]))
    regimes = [np.nanmean(getattr(inputs["l1_regime"], n)[last - BARS + 1 : last + 1]) for n in REGIME_FIELDS]
    assert seen[:5] == pytest.approx(regimes)
    assert seen[MULTIPLIER] == 1.0


def test_an_epoch_in_which_nothing_was_held_has_no_reward_and_teaches_nothing() -> None:
    found = choices("rl.policy=2")
    assert math.isnan(found[5].reward[0])
    assert all(math.isfinite(c.reward[0]) for i, c in enumerate(found) if i != 5)
    products, rewards = np.zeros((6, 5, 5)), np.zeros((6, 5))
    seen, played = np.zeros(5), 0
    for i, choice in enumerate(found):
        if i != 5:
            products[played] += np.outer(seen, seen)
            rewards[played] += seen * choice.reward[0]
        seen = choice.observation[:5]
        inverse = np.linalg.inv(np.eye(5) + products)
        bounds = np.einsum("gij,gj,i->g", inverse, rewards, seen) + 0.5 * np.sqrt(np.einsum("i,gij,j->g", seen, inverse, seen))
        assert choice.tilt_value == pytest.approx(bounds, rel=1e-9)
        played = choice.tilt_chosen
        assert played == int(np.argmax(bounds))
        assert choice.policy.tilt.tolist() == tilt_of(played, 2.0).tolist()
    assert {c.tilt_chosen for c in found} > {0}


def test_the_reward_is_clipped_growth_less_half_the_variance() -> None:
    inputs, _ = world()
    day = inputs["l97_ledger"].equity[BARS - 1 : 2 * BARS]
    logs = np.diff(np.log(day))
    growth = float(np.clip(logs.sum(), -0.05, 0.05))
    expected = (growth - 0.5 * 10.0 * float((logs[1:] ** 2).sum())) / 0.05  # moves within the epoch
    assert choices("rl.policy=2")[1].reward[0] == pytest.approx(expected, rel=1e-9)


def test_an_account_that_is_behind_plays_the_baseline() -> None:
    inputs, _ = world()
    own = inputs["l97_ledger"]
    behind = own._replace(equity=own.equity * np.where(np.arange(len(own.equity)) >= 2 * BARS, 0.95, 1.0))
    found = choices("rl.policy=3", "rl.table=[0.5,0.5,0.5,0.5,0.5]", inputs={"l97_ledger": behind})
    assert [c.within_budget for c in found[:2]] == [1, 1] and found[2].within_budget == 0
    assert [c.policy.risk_multiplier[0] for c in found[:3]] == [0.5, 0.5, 1.0]


def test_without_a_shadow_no_policy_leaves_the_baseline_but_the_split_which_keeps_its_prior() -> None:
    inputs, _ = world()
    unknown = inputs["shadow_account"]._replace(equity=np.full(DAYS * BARS + 1, np.nan))
    table = choices("rl.policy=3", "rl.table=[0,0,0,0,0]", inputs={"shadow_account": unknown})
    assert all(c.policy.risk_multiplier[0] == 1.0 and math.isnan(c.shadow_wealth[0]) for c in table)
    kept = choices("rl.policy=1", inputs={"shadow_account": unknown})
    assert all(c.policy.risk_multiplier[0] == pytest.approx(0.9375) for c in kept)


def test_the_table_is_a_mean_by_the_probabilities_of_the_regimes() -> None:
    assert by_table(np.array([0.5, 0.25, 0.25, 0.0, 0.0]), (1.0, 0.5, 0.0, 0.3, 0.2)) == pytest.approx(0.625)
    assert math.isnan(by_table(np.full(5, math.nan), (1.0,) * 5))
    found = choices("rl.policy=3", "rl.table=[1,0.8,0.6,0.4,0.2]")[3]
    expected = float(found.observation[:5] @ np.array([1, 0.8, 0.6, 0.4, 0.2])) / float(found.observation[:5].sum())
    assert found.policy.risk_multiplier[0] == pytest.approx(expected)


def test_the_network_is_that_of_a_few_matrix_products() -> None:
    rng = np.random.default_rng(2)
    seen, known = rng.normal(size=len(OBSERVED)), (rng.random(len(OBSERVED)) < 0.8).astype(float)
    x, parts = np.concatenate([seen, known]), []
    shapes = [(7, 2 * len(OBSERVED)), (3, 7), (12, 3)]
    for i, shape in enumerate(shapes):
        matrix, offsets = rng.normal(size=shape), rng.normal(size=shape[0])
        parts += [matrix.ravel(), offsets]
        x = matrix @ x + offsets
        x = np.tanh(x) if i < 2 else x
    flat = np.concatenate(parts)
    assert weights_of((7, 3), 12) == len(flat)
    assert network(seen, known, (7, 3), 12, tuple(flat)) == pytest.approx(x, rel=1e-9, abs=1e-12)


def test_a_network_of_the_configuration_says_multiplier_and_tilt() -> None:
    weights = [0.0] * weights_of((), 12)
    weights[-12:] = [-1.0, *[0.5] * K]  # offsets only: whatever is seen
    found = choices("rl.policy=4", "rl.network_outputs=12", f"rl.network_weights={weights}")
    assert all(c.policy.risk_multiplier[0] == pytest.approx(1.0 / (1.0 + math.e)) for c in found)
    assert all(c.policy.tilt == pytest.approx(math.exp(0.5)) for c in found)


def test_a_network_with_too_few_weights_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"network_weights has 3 numbers; a network of this shape has 25"):
        resolve(RlConfig, {"policy": 4, "network_weights": [1, 2, 3]}, source="rl")
    with pytest.raises(ConfigError, match="ascend and end with 1"):
        resolve(RlConfig, {"multipliers": [0.5, 0.25, 1.0]}, source="rl")


@settings(max_examples=200, deadline=None)
@given(st.floats(), st.lists(st.floats(), min_size=K, max_size=K))
def test_whatever_is_said_the_door_hands_on_a_multiplier_in_its_range_and_a_usable_tilt(said: float, tilt: list[float]) -> None:
    held = allowed(said, np.array(tilt))
    assert 0.0 <= held.risk_multiplier[0] <= 1.0
    if not said > 0.0:
        assert held.risk_multiplier[0] == 0.0
    assert (held.tilt >= 1.0 / MOST_TILT).all() and (held.tilt <= MOST_TILT).all()


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("cuts", [(7, 100, 500), tuple(range(90, 110))])
def test_the_choice_is_the_same_however_the_days_are_cut_and_after_a_checkpoint(mode: int, cuts: tuple[int, ...]) -> None:
    whole = choices(f"rl.policy={mode}")
    assert len(whole) == DAYS  # the last bar begins an epoch that the data cut short: it teaches nothing
    for other in (choices(f"rl.policy={mode}", cuts=cuts), choices(f"rl.policy={mode}", restore_at=4 * BARS + 33)):
        for a, b in zip(whole, other, strict=True):
            for x, y in zip(np.hstack([np.ravel(v) for v in flat(a)]), np.hstack([np.ravel(v) for v in flat(b)]), strict=True):
                assert x == y or (x != x and y != y)


def flat(value: Any) -> list[Any]:
    return [x for v in value for x in flat(v)] if isinstance(value, tuple) else [value]


def test_tilts_are_of_one_domain_each() -> None:
    assert len(TILTS_TRIED) == 6 and (tilt_of(0, 2.0) == 1.0).all()
    assert np.flatnonzero(tilt_of(5, 3.0) == 3.0).tolist() == [EXTERNAL]
    assert sum((tilt_of(i, 2.0) == 2.0).sum() for i in range(6)) == K
