"""Superior predictive ability against arch's."""

from __future__ import annotations

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap

from drivers.statistics.ability import Ability, long_run_variance, stationary_bootstrap, superior_ability


def arch_values(better: np.ndarray, block: int) -> Ability:
    test = SPA(np.zeros(len(better)), -better, block_size=block, reps=400, seed=9)
    test.compute()
    return Ability(*test.pvalues[["lower", "consistent", "upper"]])


def arch_samples(days: int, block: int) -> list[np.ndarray]:
    drawn = StationaryBootstrap(block, np.zeros((days, 1)), seed=9)
    return [np.asarray(drawn.index).copy() for _ in drawn.bootstrap(400)]


@pytest.mark.parametrize("seed", range(4))
def test_it_is_archs_on_the_same_samples(seed: int) -> None:
    random = np.random.default_rng(seed)
    better = random.normal(0.0, [0.01, 0.02, 0.005, 0.01], (400, 4)) + np.array([0.0005, 0.001, -0.003, -0.0002])
    assert superior_ability(better, arch_samples(400, 20), studentized=False) == arch_values(better, 20)


def test_studentized_it_is_archs_on_differences_over_their_standard_error() -> None:
    random = np.random.default_rng(8)
    better = random.normal(0.0, [0.001, 0.03, 0.01], (400, 3)) + np.array([0.0002, -0.001, 0.0003])
    scaled = better / np.sqrt(long_run_variance(better, 20))
    assert superior_ability(better, arch_samples(400, 20)) == arch_values(scaled, 20)


def test_the_variance_is_archs() -> None:
    better = np.random.default_rng(1).normal(size=(150, 3)).cumsum(axis=0) * 0.01
    test = SPA(np.zeros(150), -better, block_size=12, reps=5, seed=1)
    test.compute()
    np.testing.assert_allclose(long_run_variance(better, 12), test._loss_diff_var, rtol=1e-9)


def test_noise_is_seldom_better_and_a_planted_best_is() -> None:
    random = np.random.default_rng(0)
    p = []
    for _ in range(60):
        found = superior_ability(random.normal(0.0, 0.01, (250, 5)), stationary_bootstrap(250, 15, 200))
        assert found is not None and found.lower <= found.consistent <= found.upper
        p.append(found.consistent)
    assert np.mean(np.array(p) < 0.05) < 0.15
    planted = random.normal(0.0, 0.01, (500, 5))
    planted[:, 3] += 0.002
    best = superior_ability(planted)
    assert best is not None and best.consistent < 0.01


def test_what_cannot_be_compared_is_not() -> None:
    assert superior_ability(np.zeros((100, 3))) is None
    assert superior_ability(np.random.default_rng(0).normal(size=(9, 2))) is None


def test_the_bootstrap_draws_runs_of_the_mean_length_evenly() -> None:
    samples = list(stationary_bootstrap(200, 10, 400, seed=3))
    going_on = np.mean([np.mean((np.diff(sample) % 200) == 1) for sample in samples])
    assert going_on == pytest.approx(1 - 0.1 + 0.1 / 200, abs=0.01)
    counts = np.bincount(np.concatenate(samples), minlength=200)
    assert counts.min() > 0.6 * counts.mean() and counts.max() < 1.5 * counts.mean()
