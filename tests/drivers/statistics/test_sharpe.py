"""Probabilistic and deflated Sharpe ratio and the minimum track record against the examples of their papers and a simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from drivers.statistics.sharpe import (
    Moments,
    deflated_sharpe,
    expected_maximum,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    standard_error,
)

YEAR = 250


@pytest.mark.parametrize(
    ("trials", "skew", "kurtosis", "expected"),
    [(100, -3.0, 10.0, 0.9004), (46, -3.0, 10.0, 0.9505), (88, 0.0, 3.0, 0.9505)],
)
def test_the_deflated_ratio_of_the_paper(trials: int, skew: float, kurtosis: float, expected: float) -> None:
    found = Moments(2.5 / math.sqrt(YEAR), 1250, skew, kurtosis)
    assert deflated_sharpe(found, trials, 0.5 / YEAR) == pytest.approx(expected, abs=5e-5)


def test_the_probabilistic_ratio_of_the_paper() -> None:
    assert probabilistic_sharpe(Moments(0.458, 24, -2.448, 10.164)) == pytest.approx(0.91336, abs=5e-6)
    assert probabilistic_sharpe(Moments(0.458, 24, 0.0, 3.0)) == pytest.approx(0.982, abs=5e-4)


def test_one_trial_is_not_deflated() -> None:
    found = Moments(0.1, 500, -0.5, 5.0)
    assert deflated_sharpe(found, 1, 7.0) == probabilistic_sharpe(found)
    with pytest.raises(ValueError, match="0 trials"):
        expected_maximum(0, 1.0)


@pytest.mark.parametrize("trials", [10, 100, 1000])
def test_the_highest_of_worthless_trials(trials: int) -> None:
    drawn = np.random.default_rng(3).normal(0.0, 0.3, (20_000, trials)).max(axis=1)
    assert expected_maximum(trials, 0.09) == pytest.approx(drawn.mean(), rel=0.03)


def test_with_the_minimum_track_record_the_probability_is_what_was_asked() -> None:
    found = Moments(0.08, 300, -0.7, 6.0)
    n = minimum_track_record(found, 0.02, 0.95)
    assert probabilistic_sharpe(found._replace(n=round(n)), 0.02) == pytest.approx(0.95, abs=1e-4)
    assert minimum_track_record(found, 0.08) == math.inf


def test_moments_are_scipys() -> None:
    returns = np.random.default_rng(1).standard_t(5, 400) * 0.01 + 0.001
    found = moments(returns)
    assert found is not None
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skew == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert moments(np.zeros(9)) is None and moments(np.array([0.1, 0.2])) is None


def test_the_standard_error_is_that_of_many_samples() -> None:
    random = np.random.default_rng(5)
    samples = random.exponential(1.0, (20_000, 250)) - 0.8  # skewed: the Gaussian error would be wrong
    spread = (samples.mean(axis=1) / samples.std(axis=1, ddof=1)).std()
    true = Moments(0.2, 250, 2.0, 9.0)
    assert standard_error(true) == pytest.approx(spread, rel=0.03)
    assert abs(standard_error(true._replace(skew=0.0, kurtosis=3.0)) / spread - 1.0) > 0.1
