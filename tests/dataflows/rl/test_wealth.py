"""The wealth split and the budget keep what they promise on adversarial paths; growth by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dataflows.rl.wealth import account_growth, grow_arms, log_growth, loss_over, split, within_budget

MULTIPLIERS = np.array([0.0, 0.25, 0.5, 1.0])

returns = st.lists(st.one_of(st.floats(-0.999, 3.0), st.sampled_from([0.0, -0.9, -0.5, 2.0, 1e-12])), min_size=1, max_size=60)


@settings(max_examples=300, deadline=None)
@given(returns, st.floats(1e-6, 0.999))
@example([-0.9] * 30 + [3.0] * 30, 0.1)
@example([3.0, -0.9] * 30, 0.5)
def test_the_split_is_never_further_behind_the_baseline_than_its_share(path: list[float], share: float) -> None:
    arms, wealth, baseline = np.zeros(len(MULTIPLIERS)), 1.0, 1.0
    paper = np.ones(len(MULTIPLIERS))
    for earned in path:
        weights = split(share, arms)
        assert weights.min() >= 0.0 and weights.sum() == pytest.approx(1.0, abs=1e-12)
        wealth *= 1.0 + float(weights @ MULTIPLIERS) * earned
        baseline *= 1.0 + earned
        paper *= 1.0 + MULTIPLIERS * earned
        grow_arms(math.log1p(earned), MULTIPLIERS, arms)
        scale = max(1.0, baseline)
        assert wealth / scale >= (1.0 - share) * baseline / scale - 1e-12
    prior = np.array([share / 3.0] * 3 + [1.0 - share])
    assert wealth == pytest.approx(float(prior @ paper), rel=1e-9, abs=1e-12)


def test_a_baseline_that_loses_loses_its_weight_and_one_that_is_ruined_has_none() -> None:
    arms = np.zeros(4)
    for _ in range(100):
        grow_arms(math.log(0.9), MULTIPLIERS, arms)
    assert float(split(0.1, arms) @ MULTIPLIERS) < 0.1
    grow_arms(-math.inf, MULTIPLIERS, arms)
    assert split(0.1, arms)[-1] == 0.0 and np.isfinite(arms[:-1]).all()


def test_an_unknown_epoch_changes_nothing() -> None:
    arms = np.array([0.1, 0.2, 0.3, 0.4])
    grow_arms(math.nan, MULTIPLIERS, arms)
    assert arms.tolist() == [0.1, 0.2, 0.3, 0.4]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0)), min_size=1, max_size=60),
    st.floats(0.01, 0.5),
    st.floats(0.0, 0.2),
    st.floats(0.0, 0.2),
)
def test_whatever_is_played_within_the_budget_keeps_the_floor(
    path: list[tuple[float, float]], behind: float, loss: float, gain: float
) -> None:
    """The adversary chooses both returns: the player's, at worst -loss, and the baseline's, at best gain."""
    wealth, baseline = 1.0, 1.0
    for ours, theirs in path:
        earned = gain * theirs if theirs > 0.0 else 0.9 * theirs
        if within_budget(wealth, baseline, behind, loss, gain):
            wealth *= 1.0 + (loss * ours if ours < 0.0 else ours)
        else:
            wealth *= 1.0 + earned
        baseline *= 1.0 + earned
        assert wealth >= (1.0 - behind) * baseline * (1.0 - 1e-12)


def test_what_is_not_known_is_not_within_the_budget() -> None:
    assert not within_budget(math.nan, 1.0, 0.1, 0.0, 0.0)
    assert not within_budget(1.0, math.nan, 0.1, 0.0, 0.0)
    assert within_budget(1.0, 1.0, 0.1, 0.045, 0.045)
    assert not within_budget(0.95, 1.0, 0.1, 0.045, 0.05)


def test_the_loss_of_several_days_compounds() -> None:
    assert loss_over(0.045, 1.0) == pytest.approx(0.045)
    assert loss_over(0.045, 3.0) == pytest.approx(1.0 - 0.955**3)
    assert loss_over(1.5, 1.0) == 1.0


def test_growth_takes_out_cash_that_came_in() -> None:
    assert log_growth(100.0, 150.0, 40.0) == pytest.approx(math.log(1.1))
    assert log_growth(100.0, -1.0, 0.0) == -math.inf
    assert math.isnan(log_growth(0.0, 5.0, 0.0)) and math.isnan(log_growth(100.0, math.nan, 0.0))
    before = np.full(2, math.nan)
    assert account_growth(np.array([100.0, 90.0, 110.0]), np.array([0.0, 0.0, 5.0]), before) == pytest.approx(math.log(1.05))
    assert before.tolist() == [110.0, 5.0]
    assert account_growth(np.array([110.0, 121.0]), np.array([5.0, 5.0]), before) == pytest.approx(math.log(1.1))
