"""LinUCB equals mabwiser's on the same log, and learns a planted best arm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mabwiser.mab import MAB, LearningPolicy

from dataflows.carry import start_state
from dataflows.rl.linucb import LinUcb, first_of_highest, learn, upper_bounds

ARMS, WIDTH = 4, 3


def fresh() -> LinUcb:
    state: LinUcb = start_state(LinUcb, {"G": ARMS, "C": WIDTH}, {})
    return state


@pytest.mark.parametrize("alpha", [0.0, 0.5, 2.0])
def test_bounds_are_those_of_mabwiser_after_each_epoch_of_a_log(alpha: float) -> None:
    rng = np.random.default_rng(3)
    contexts, rewards = rng.normal(size=(60, WIDTH)), rng.normal(size=60)
    played = rng.integers(0, ARMS, 60)
    state = fresh()
    oracle: Any = MAB(list(range(ARMS)), LearningPolicy.LinUCB(alpha=alpha, l2_lambda=1.0))
    for t in range(60):
        learn(contexts[t], int(played[t]), float(rewards[t]), state)
        update = oracle.partial_fit if t else oracle.fit
        update(decisions=[played[t]], rewards=[rewards[t]], contexts=contexts[t : t + 1])
        asked = rng.normal(size=WIDTH)
        expected = oracle.predict_expectations(contexts=asked[None])
        bounds = upper_bounds(asked, alpha, state)
        assert bounds == pytest.approx([expected[arm] for arm in range(ARMS)], rel=1e-9, abs=1e-12)
        if alpha:
            assert first_of_highest(bounds) == oracle.predict(contexts=asked[None])


def test_ties_go_to_the_first_arm() -> None:
    assert first_of_highest(upper_bounds(np.ones(WIDTH), 0.5, fresh())) == 0
    assert first_of_highest(np.array([0.0, 1.0, 1.0])) == 1


def test_the_best_arm_of_each_context_is_found() -> None:
    """Planted: arm 1 is best in the first regime, arm 2 in the second, with as much noise as there is to earn."""
    rng = np.random.default_rng(7)
    state, right = fresh(), []
    for _ in range(1500):
        regime = int(rng.integers(0, 2))
        x = np.eye(WIDTH)[regime]
        arm = first_of_highest(upper_bounds(x, 0.5, state))
        learn(x, arm, (0.5 if arm == regime + 1 else 0.0) + float(rng.normal(0.0, 0.5)), state)
        right.append(arm == regime + 1)
    assert np.mean(right[-500:]) > 0.9
