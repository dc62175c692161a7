"""The reliability of L50: outcomes and uniqueness against a plain walk, bins by hand, and a planted edge that is found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.calibration import BEGIN, END, Prices, Spoken, bins, consensus, outcomes, planted, skill, spoken, uniqueness
from dataflows.pattern.config import PatternConfig
from tests.dataflows.kernels.barriers import walked

CONFIG = PatternConfig(consensus_horizon_bars=9, consensus_alpha=0.3)


def test_outcomes_and_uniqueness_are_those_of_a_plain_walk() -> None:
    prices, (sides, _) = planted((0.1,), bars=400, symbols=1, seed=3)
    told = sides[0][:, 0] != 0
    came, weight, life = outcomes(prices, 0, told, 3.0, 9)
    apart = 3.0 * prices.sigma[:, 0]
    columns = (prices.open, prices.high, prices.low, prices.close, prices.valid)
    want = walked(*(x[:, 0] for x in columns), told.astype(np.int64), apart, apart, 9, 0)
    seen = np.arange(400) < 400 - 10
    resolved = np.isfinite(want[:, 0]) & seen
    np.testing.assert_array_equal(life > 0, resolved)
    np.testing.assert_array_equal(life[resolved], (want[:, 0] - np.arange(400))[resolved])
    up = np.select([want[:, 1] == 1.0, want[:, 1] == -1.0], [1.0, 0.0], (want[:, 2] > 0.0).astype(float))
    single = resolved & (want[:, 1] != 2.0)
    np.testing.assert_array_equal(came[single], up[single])
    np.testing.assert_array_equal(weight[single], np.where(want[single, 1] == 0.0, 0.5, 1.0))
    assert {0.0, 0.5, 1.0} >= set(weight) and 0.5 in weight and 1.0 in weight
    early = np.arange(400) < 380  # the walk also counts samples that the end cuts off
    np.testing.assert_allclose(uniqueness(life)[resolved & early], want[resolved & early, 3])


def test_a_bin_weighs_labels_by_kind_and_uniqueness() -> None:
    chance = np.array([0.51, 0.53, 0.54, 0.9])
    said = Spoken(np.repeat(chance, 10), np.repeat([1.0, 0.0, 1.0, 1.0], 10), np.repeat([1.0, 1.0, 0.5, 1.0], 10),
                  np.repeat([0.5, 0.25, 0.5, 0.1], 10))  # fmt: skip
    (row,) = bins(said)  # the other has one effective sample
    assert row.samples == 30 and row.effective == pytest.approx(12.5)
    assert row.came == pytest.approx((0.5 + 0.25) / (0.5 + 0.25 + 0.25))
    assert row.told == pytest.approx(0.5 * 0.51 + 0.25 * 0.53 + 0.25 * 0.54)
    assert row.error == pytest.approx(np.sqrt(0.75 * 0.25 / 12.5))


@pytest.mark.parametrize(("edge", "found"), [(0.4, True), (0.0, False)])
def test_skill_is_found_where_there_is_some(edge: float, found: bool) -> None:
    prices, (sides, sure) = planted((edge, 0.0), bars=4000, symbols=2, seed=5)
    chance, votes, w = consensus(prices, sides, sure, CONFIG, 0)
    better, error = skill(spoken(prices, chance, (votes != 0.0).any(axis=2), CONFIG, since=2000))
    assert (better > 3.0 * error) == found
    assert (w[:, 0].min() > 0.3) == found


def test_the_page_holds_the_tables() -> None:
    page = (Path(__file__).parents[2] / "docs" / "explanation" / "learning.md").read_text(encoding="utf-8")
    tables = page.partition(BEGIN)[2].partition(END)[0]
    assert "### Planted patterns" in tables and "consensus_alpha" in tables


def test_a_sample_with_an_unobserved_bar_in_its_life_is_left_out() -> None:
    prices, _ = planted((0.1,), bars=100, symbols=1, seed=3)
    valid = prices.valid.copy()
    valid[50] = 0
    told = np.ones(100, bool)
    _, weight, _ = outcomes(Prices(*prices[:4], valid, prices.sigma), 0, told, 3.0, 9)
    assert not weight[41:50].any() and weight[30:41].any() and weight[50:60].any()
