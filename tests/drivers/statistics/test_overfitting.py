"""The probability of backtest overfitting on noise, on a planted best, and against a plain form of its definition."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy.stats import rankdata

from drivers.statistics.overfitting import blocks_of, overfitting


def test_noise_is_a_coin_toss_and_a_planted_best_is_none() -> None:
    random = np.random.default_rng(0)
    noise = [overfitting(random.normal(0.0, 0.01, (960, 20))) for _ in range(12)]
    assert np.mean([found.probability for found in noise if found]) == pytest.approx(0.5, abs=0.1)
    planted = random.normal(0.0, 0.01, (960, 20))
    planted[:, 7] += 0.002
    found = overfitting(planted)
    assert found is not None and found.probability < 0.05 and found.loss < 0.05
    assert found.blocks == 16 and len(found.logits) == math.comb(16, 8)


def test_it_is_its_definition() -> None:
    returns = np.random.default_rng(4).normal(0.0002, 0.01, (83, 6))
    found = overfitting(returns, 6)
    assert found is not None
    parts = np.array_split(np.arange(83), 6)
    logits = []
    for way in itertools.combinations(range(6), 3):
        inside = np.concatenate([parts[i] for i in way])
        outside = np.concatenate([parts[i] for i in range(6) if i not in way])
        best = int(np.argmax(returns[inside].mean(axis=0) / returns[inside].std(axis=0, ddof=1)))
        rank = rankdata(returns[outside].mean(axis=0) / returns[outside].std(axis=0, ddof=1))[best] / 7
        logits.append(math.log(rank / (1 - rank)))
    np.testing.assert_allclose(np.sort(found.logits), np.sort(logits), atol=1e-9)
    assert found.probability == np.mean(np.array(logits) <= 0.0)


def test_what_is_the_same_counts_once_and_what_never_moved_not_at_all() -> None:
    returns = np.random.default_rng(2).normal(0.0, 0.01, (200, 3))
    more = np.column_stack([returns, returns[:, 1], np.zeros(200)])
    one, two = overfitting(returns), overfitting(more)
    assert one is not None and two is not None and two.settings == 3 and one.probability == two.probability
    assert overfitting(np.column_stack([returns[:, 0], returns[:, 0]])) is None


def test_short_records_have_fewer_blocks() -> None:
    assert [blocks_of(n) for n in (9, 13, 25, 40, 80, 5000)] == [0, 2, 4, 8, 16, 16]
    assert overfitting(np.random.default_rng(0).normal(size=(19, 4))) is None
    with pytest.raises(ValueError, match="halved"):
        overfitting(np.random.default_rng(0).normal(size=(99, 4)), 5)
