"""The equations behind L67: sources that have been 0 so far may be passed over."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataflows.fusion.edge_equations import Equations, LearningRules, Solution, Sums, first_pair, solve_symbol
from dataflows.fusion.edge_samples import sources_heard

WIDTH = 5
PAIRS = WIDTH * (WIDTH + 1) // 2
RULES = LearningRules(
    horizons=(60,),
    belief_horizon=60,
    max_gap=5,
    prior_strength=400.0,
    prior_source=0.3,
    prior_slope_bps=0.0,
    symbol_strength=2000.0,
    regime_strength=400.0,
    forget_halflife=5000.0,
    usual_bars=1000,
)


def _sums(x: Any, y: Any) -> Sums:
    """Of samples x (n, K) and y (n,) of one symbol, and twice as much of all."""
    lower = np.tril_indices(WIDTH)
    one = np.zeros(1)
    xx, xy = (x.T @ x)[lower], x.T @ y
    return Sums(
        n=np.full((1, 1), float(len(y))),
        xx=xx.reshape(1, 1, PAIRS),
        xy=xy.reshape(1, 1, WIDTH),
        yy=np.full((1, 1), y @ y),
        all_n=np.array([2.0 * len(y)]),
        all_xx=2.0 * xx.reshape(1, PAIRS),
        all_xy=2.0 * xy.reshape(1, WIDTH),
        together=one,
        apart=one,
        raw_xx=np.zeros((1, 4)),
        raw_xy=np.zeros((1, 4)),
        claim_xx=np.zeros((1, 5)),
        claim_xy=np.zeros((1, 5)),
    )


def _solved(sums: Sums, heard: list[int]) -> Solution:
    count = len(heard)
    made = Solution(
        slope=np.zeros((1, 1, WIDTH)),
        factor=np.zeros((1, 1, WIDTH, WIDTH)),
        variance=np.ones((1, 1)),
        seen=np.zeros((1, 1)),
        volatility=np.ones((1, 4)),
        regime=np.ones((1, 5)),
    )
    space = Equations(*(np.empty((count, count)) for _ in range(3)), *(np.empty(count) for _ in range(3)))
    weights = np.array([1.0, 0.5, 0.8, 0.2, 0.9])
    solve_symbol(0, 0, 1.5, np.array(heard), weights, RULES, sums, made, space=space)
    return made


def test_sources_that_were_0_in_all_samples_change_no_bit() -> None:
    rng = np.random.default_rng(5)
    x = rng.uniform(-1.0, 1.0, (300, WIDTH))
    x[:, [1, 3]] = 0.0
    sums = _sums(x, 0.2 * x[:, 0] - 0.1 * x[:, 4] + rng.standard_normal(300))
    with_all, without = _solved(sums, [0, 1, 2, 3, 4]), _solved(sums, [0, 2, 4])
    for a, b in zip(with_all, without, strict=True):
        assert np.array_equal(a, b)
    assert without.slope[0, 0, 0] > 0.0 > without.slope[0, 0, 4] and np.all(without.slope[0, 0, [1, 3]] == 0.0)
    assert np.all(
        np.diagonal(without.factor[0, 0]) > 0.0
    )  # a source that speaks for the first time is as uncertain as its prior


def test_a_source_counts_as_heard_once_it_was_known_and_not_0() -> None:
    heard = np.array([0, 1, 0, 0], np.int64)
    sources = np.zeros((3, 2, 4))
    sources[2, 1, 3] = -0.1
    sources[:, :, 2] = np.nan
    assert sources_heard(sources, heard).tolist() == [1, 3]
    assert heard.tolist() == [0, 1, 0, 1]  # and stays so
    assert sources_heard(np.zeros((1, 2, 4)), heard).tolist() == [1, 3]


def test_pairs_are_kept_row_by_row() -> None:
    rows, columns = np.tril_indices(WIDTH)
    assert [first_pair(int(i)) + int(k) for i, k in zip(rows, columns, strict=True)] == list(range(PAIRS))
