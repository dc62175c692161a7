"""Purged and embargoed splits against skfolio's."""

from __future__ import annotations

import numpy as np
import pytest
from skfolio.model_selection import CombinatorialPurgedCV

from drivers.statistics.splits import choose_and_judge, purged_splits, ratios


@pytest.mark.parametrize(
    ("days", "folds", "judged", "purge", "embargo"),
    [(100, 6, 2, 1, 1), (103, 10, 8, 0, 0), (61, 5, 3, 3, 2), (97, 4, 2, 5, 0), (97, 4, 2, 0, 7)],
)
def test_they_are_skfolios(days: int, folds: int, judged: int, purge: int, embargo: int) -> None:
    theirs = list(CombinatorialPurgedCV(folds, judged, purge, embargo).split(np.zeros((days, 1))))
    ours = list(purged_splits(days, folds, judged, purge, embargo))
    assert len(ours) == len(theirs)
    for (choose, judge), (train, tests) in zip(ours, theirs):
        np.testing.assert_array_equal(choose, train)
        np.testing.assert_array_equal(judge, np.concatenate(tests))


def test_one_judged_fold_keeps_its_distance() -> None:
    for choose, judge in purged_splits(50, 5, 1, 2, 3):
        before, after = choose[choose < judge[0]], choose[choose > judge[-1]]
        assert not len(before) or judge[0] - before[-1] > 2
        assert not len(after) or after[0] - judge[-1] > 5


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(ValueError, match="6 of 6 folds"):
        next(purged_splits(100, 6, 6))
    with pytest.raises(ValueError, match="too few"):
        next(purged_splits(20, 6, 2, 1, 1))


def test_the_planted_best_is_chosen_and_noise_disappoints() -> None:
    random = np.random.default_rng(0)
    returns = random.normal(0.0, 0.01, (600, 8))
    made = choose_and_judge(returns, purged_splits(600, 6, 2, 1, 1))
    assert np.mean([judged for _, _, judged in made]) < 0.5 * np.mean([chosen for _, chosen, _ in made])
    returns[:, 5] += 0.004
    assert {setting for setting, _, _ in choose_and_judge(returns, purged_splits(600, 6, 2, 1, 1))} == {5}
    assert ratios(np.zeros((9, 2))).tolist() == [0.0, 0.0]
