"""Swing points against a search by slices over the whole series, which knows no state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataflows.panel import Floats
from dataflows.pattern.swings import KEPT, Swings, swing_push
from dataflows.runtime.compile import python_of


def state() -> Swings:
    nan = np.full(1, np.nan)
    return Swings(np.zeros(1, np.int64), nan.copy(), nan.copy(), nan.copy(), np.full((KEPT, 1), np.nan))


def bars(n: int, seed: int) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    close = 100.0 + np.cumsum(rng.normal(0.0, 1.0, n))
    return close + rng.random(n), close - rng.random(n), close


def online(push: Any, high: Floats, low: Floats, close: Floats, far: Any) -> list[tuple[int, int, float]]:
    """(bar that confirms, side, price) of every swing point."""
    s, found = state(), []
    for t in range(len(close)):
        side = push(high[t], low[t], close[t], far[t], 0, s)
        if side:
            found.append((t, side, float(s.price[0, 0])))
    return found


def searched(high: Floats, low: Floats, close: Floats, far: float) -> list[tuple[int, int, float]]:
    """The same by definition: of every leg, the first bar that trades `far` against the farthest price of the bars before it."""
    start = int(np.flatnonzero(np.abs(close - close[0]) >= far)[0])
    side = 1 if close[start] > close[0] else -1
    found = []
    for t in range(start + 1, len(close)):
        forward, backward = (high, low) if side > 0 else (-low, -high)
        at = start + int(np.argmax(forward[start : t + 1]))
        if at < t and forward[at] - backward[t] >= far:
            found.append((t, side, float(side * forward[at])))
            side, start = -side, t
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("far", [2.0, 5.0])
def test_swing_points_are_those_of_a_search_over_the_whole_series(far: float, seed: int) -> None:
    series = bars(1500, seed)
    found = online(swing_push, *series, np.full(1500, far))
    assert found == searched(*series, far)
    assert len(found) > 20


@pytest.mark.parametrize("seed", range(5))
def test_with_a_scale_that_moves_every_swing_point_is_the_extreme_from_the_one_before_until_it_is_known(seed: int) -> None:
    high, low, close = bars(1500, seed)
    far = np.random.default_rng(seed).uniform(1.0, 6.0, 1500)
    found = online(swing_push, high, low, close, far)
    assert len(found) > 20
    at = [int(np.flatnonzero((high if side > 0 else low) == price)[0]) for _, side, price in found]
    for (t, side, price), before in zip(found[1:], at[:-1], strict=True):
        since = (high if side > 0 else -low)[before + 1 : t + 1]  # not its own bar: the order of high and low is not known
        assert side * price == since.max()
    assert all(a[1] == -b[1] for a, b in zip(found, found[1:], strict=False))
    assert all(x < t for (t, _, _), x in zip(found, at, strict=True))  # known later than its bar, never on it


def test_the_last_four_are_kept_latest_first() -> None:
    high, low, close = bars(400, 1)
    prices = [price for _, _, price in online(swing_push, high, low, close, np.full(400, 3.0))]
    s = state()
    for t in range(400):
        swing_push(high[t], low[t], close[t], 3.0, 0, s)
    assert s.price[:, 0].tolist() == prices[: -KEPT - 1 : -1]


@pytest.mark.parametrize("far", [np.nan, 0.0])
def test_nothing_is_confirmed_while_the_scale_is_unknown(far: float) -> None:
    series = bars(400, 1)
    scale = np.full(400, 3.0)
    scale[100:200] = far
    times = [t for t, _, _ in online(swing_push, *series, scale)]
    assert times and not [t for t in times if 100 <= t < 200]
    assert [t for t in times if t >= 200]


def test_compiled_and_plain_give_the_same_bits() -> None:
    series, scale = bars(1500, 2), np.random.default_rng(1).uniform(1.0, 6.0, 1500)
    assert online(swing_push, *series, scale) == online(python_of(swing_push), *series, scale)
