"""What a series keeps when it is made short."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.report.series import Extremes, packed, spells


def unpacked(made: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    steps = np.frombuffer(base64.b64decode(made["step"]["data"]), f"<u{made['step']['size']}")
    return np.cumsum(steps.astype(np.int64)), np.frombuffer(base64.b64decode(made["value"]), "<f4")


def series(bars: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.normal(0.0, 1.0, (bars, 2)), axis=0)
    values[rng.random((bars, 2)) < 0.1] = np.nan
    values[bars // 3 : bars // 2, 0] = np.nan
    return values


@given(
    bars=st.integers(1, 700), points=st.integers(2, 200), cuts=st.lists(st.integers(1, 699), max_size=6), seed=st.integers(0, 9)
)
def test_no_extreme_is_lost_and_every_point_was_there_however_the_bars_are_cut(
    bars: int, points: int, cuts: list[int], seed: int
) -> None:
    values = series(bars, seed)
    kept = Extremes(bars, 2, points)
    edges = sorted({0, bars, *(c for c in cuts if c < bars)})
    for a, b in zip(edges, edges[1:], strict=False):
        kept.add(a, values[a:b])
    for k in range(2):
        at, value = kept.points(k)
        assert len(at) <= max(points + 2, 1) and (np.diff(at) > 0).all()
        known = np.isfinite(value)
        assert (values[at[known], k] == value[known]).all()
        for start in range(0, bars, kept.width):
            part = values[start : start + kept.width, k]
            mine = value[(at >= start) & (at < start + kept.width)]
            if np.isfinite(part).any():
                assert np.nanmin(part) == mine.min() and np.nanmax(part) == mine.max()
            else:
                assert np.isnan(mine).all() and len(mine) == 1


def test_a_short_series_stays_whole() -> None:
    values = series(50, 1)
    kept = Extremes(50, 2, 60)
    kept.add(0, values)
    at, value = kept.points(1)
    assert (at == np.arange(50)).all() and np.array_equal(value, values[:, 1], equal_nan=True)


@pytest.mark.parametrize("largest", [1, 255, 256, 70_000])
def test_a_packed_series_comes_back(largest: int) -> None:
    bars = np.array([0, largest, largest + 1])
    at, value = unpacked(packed(bars, np.array([1.5, np.nan, -61_204.1])))
    assert (at == bars).all() and np.array_equal(value, np.float32([1.5, np.nan, -61_204.1]), equal_nan=True)


def test_spells_are_true_to_the_bar_while_they_are_few() -> None:
    assert spells(np.array([-1, -1, 0, 0, 0, 3], np.int8), 10) == (1, [(-1, 2), (0, 3), (3, 1)])
    assert spells(np.array([2], np.int8), 10) == (1, [(2, 1)])


def test_too_many_spells_become_those_that_hold_longest_in_a_bucket() -> None:
    labels = np.tile(np.array([2, 2, 2, 1], np.int8), 100)
    width, found = spells(labels, 10)
    assert (width, found) == (4, [(2, 400)])
    width, found = spells(labels[:399], 1)
    assert sum(bars for _, bars in found) == 399
