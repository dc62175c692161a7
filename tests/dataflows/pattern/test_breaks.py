"""L26 and L27: drawn paths that must fire, their mirror images, and near misses; and the blocks that they are made of."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataflows.kernels import arith, window
from dataflows.panel import leaves
from dataflows.pattern import activity, breaks, occurrence
from dataflows.pattern.l26_breakout_confirmed import l26_breakout_confirmed
from dataflows.pattern.l27_failed_breakout import l27_failed_breakout
from dataflows.runtime.compile import python_of
from tests.dataflows.data.observed import hole, market, observe, walk
from tests.dataflows.kinematics.chain import same
from tests.dataflows.pattern.drawn import BRISK, QUIET, drawn_part, path, signal, upstream
from tests.support import carry_of

BREAK = (101.0, 101.25, 101.5, 101.25, 101.5, 101.5, 101.75, 101.5, 101.75, 101.75)
FAILS = (101.0, 101.25, 99.75, 99.75, 99.5, 99.75, 99.5, 99.5, 99.25, 99.5, 99.5)
SIDES = pytest.mark.parametrize(("mirrored", "side"), [(False, 1), (True, -1)])


def confirmed(drawn: Any = BREAK, *, mirrored: bool = False, volume: float = 40.0, flow: float = 3.0, **more: Any) -> Any:
    seen = path(drawn, mirrored=mirrored, volume={0: volume}, **more)
    return signal(l26_breakout_confirmed, upstream(seen, {0: -flow if mirrored else flow}))


def failed(drawn: Any = FAILS, *, mirrored: bool = False, **more: Any) -> Any:
    return signal(l27_failed_breakout, upstream(path(drawn, mirrored=mirrored, **more)))


@SIDES
def test_a_break_on_volume_and_flow_lives_for_its_life(mirrored: bool, side: int) -> None:
    got = confirmed(mirrored=mirrored)
    active, sides = drawn_part(got)
    assert active == [1] * BRISK.confirmed_life_bars + [0, 0]
    assert sides == [side] * BRISK.confirmed_life_bars + [0, 0]
    assert got.age[QUIET : QUIET + 8, 0].tolist() == list(range(8)) and np.isnan(got.age[QUIET + 8 :]).all()
    v = (40.0 - 11.0) / 1.0  # the quiet volumes are 10 and 12 in turn
    assert got.confidence[QUIET, 0] == pytest.approx(0.5 * v / (1.0 + v) + 0.5 * 3.0 / 4.0)


@pytest.mark.parametrize("why", [{"volume": 11.5}, {"flow": 0.5}, {"flow": -3.0}, {"flow": np.nan, "volume": 11.5}])
def test_a_break_without_volume_or_flow_is_not_confirmed(why: dict[str, Any]) -> None:
    assert not confirmed(**why).active.any()


def test_where_flow_is_unknown_volume_alone_confirms_with_half_the_confidence() -> None:
    got = confirmed(flow=np.nan)
    np.testing.assert_array_equal(got.active, confirmed().active)
    assert got.confidence[QUIET, 0] == pytest.approx(0.5 * 29.0 / 30.0)


def test_volume_and_flow_inside_the_channel_are_no_break() -> None:
    assert not confirmed((100.25, 100.0, 100.25)).active.any()


@SIDES
def test_a_confirmed_break_ends_with_a_close_back_inside(mirrored: bool, side: int) -> None:
    active, sides = drawn_part(confirmed((101.0, 100.5, 100.25, 100.5, 100.5), mirrored=mirrored))
    assert (active, sides) == ([1, 1, 0, 0, 0], [side, side, 0, 0, 0])


def test_only_the_first_close_beyond_the_channel_is_a_break() -> None:
    seen = path(BREAK, volume={2: 40.0})  # unusual on the third bar, which is beyond the channel too
    assert not signal(l26_breakout_confirmed, upstream(seen, {2: 3.0})).active.any()


@SIDES
def test_a_break_that_comes_back_points_the_other_way(mirrored: bool, side: int) -> None:
    got = failed(mirrored=mirrored)
    active, sides = drawn_part(got)
    assert active == [0, 0] + [1] * BRISK.failed_life_bars + [0]
    assert sides == [0, 0] + [-side] * BRISK.failed_life_bars + [0]
    assert 0.5 < got.confidence[QUIET + 2, 0] <= 0.5 * 0.75 + 0.5


@SIDES
def test_a_sooner_and_deeper_return_is_surer(mirrored: bool, side: int) -> None:
    sure = [
        failed(drawn, mirrored=mirrored).confidence[QUIET:].max()
        for drawn in ((101.0, 101.0, 100.0), (101.0, 100.0, 100.0), (101.0, 99.75, 99.75))
    ]
    assert 0.0 < sure[0] < sure[1] < sure[2]


@pytest.mark.parametrize(
    "drawn",
    [
        (101.0, 101.25, 101.5, 101.5, 101.25, 99.75),  # comes back too late
        (101.0, 100.5, 100.3125, 100.375, 100.5),  # comes back to the edge, not inside
        (100.25, 99.75, 100.0, 100.25, 99.75),  # never was outside
        (101.0, 101.25, 101.5, 101.75, 102.0),  # holds
        (101.0, 99.0, 98.75),  # falls through the whole channel: a break of the other side
    ],
)
def test_near_misses_of_a_failed_break(drawn: Any) -> None:
    assert not failed(drawn).active.any()
    assert not failed(drawn, mirrored=True).active.any()


@SIDES
def test_a_failed_break_ends_with_a_close_beyond_its_extreme(mirrored: bool, side: int) -> None:
    active, _ = drawn_part(failed((101.0, 100.0, 100.5, 101.0, 101.25, 101.25), mirrored=mirrored))
    assert active == [0, 1, 1, 1, 0, 0]


def test_a_bar_that_was_not_observed_neither_ages_nor_ends_an_occurrence() -> None:
    got = confirmed(lost=(3, 4))
    assert got.age[QUIET : QUIET + 10, 0].tolist() == [0, 1, 2, 2, 2, 3, 4, 5, 6, 7]


def test_the_score_of_a_bar_is_pandas_z_of_the_bars_before() -> None:
    x = np.random.default_rng(1).lognormal(0.0, 1.0, (300, 2))
    x[100:103, 0] = np.nan
    state = carry_of(l26_breakout_confirmed, 2, {"pattern": BRISK}).volume
    got = activity.previous_z(x, np.ones(x.shape, np.int64), state)
    for n in range(2):
        known = pd.Series(x[:, n]).dropna()
        before = known.shift().rolling(BRISK.confirmed_volume_bars)
        expected = (known - before.mean()) / before.std(ddof=0)
        np.testing.assert_allclose(got[known.index, n], expected, rtol=1e-9)
    assert np.isnan(got[100:103, 0]).all()


def test_the_other_side_takes_over_and_the_same_side_does_not_renew() -> None:
    begins = np.array([0, 1, 1, 0, 1, 0, 0])[:, None]
    side = np.array([0, 1, 1, 0, -1, 0, 0])[:, None]
    sure = np.array([0.1, 0.2, 0.3, 0.4, np.nan, 0.6, 0.7])[:, None]
    flat = np.ones((7, 1))
    state = carry_of(l27_failed_breakout, 1, {"pattern": BRISK}).clock
    made = occurrence.pattern_clock(begins, side, sure, np.full((7, 1), np.nan), flat, flat.astype(np.int64), 4, state)
    active, sides, confidence, age = (x[:, 0].tolist() for x in made)
    assert active == [0, 1, 1, 1, 1, 1, 1] and sides == [0, 1, 1, 1, -1, -1, -1]
    assert confidence == [0.0, 0.2, 0.2, 0.2, 0.0, 0.0, 0.0]
    assert age[1:] == [0.0, 1.0, 2.0, 0.0, 1.0, 2.0] and np.isnan(age[0])


@pytest.mark.parametrize("fn", [l26_breakout_confirmed, l27_failed_breakout], ids=["L26", "L27"])
def test_compiled_and_plain_kernels_give_the_same_bits(fn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = upstream(market(hole(observe(walk(2000)), slice(300, 303), 0)))
    z = np.random.default_rng(4).normal(0.0, 3.0, values["l62_order_flow_imbalance"].ofi_z.shape)
    values["l62_order_flow_imbalance"] = values["l62_order_flow_imbalance"]._replace(ofi_z=z)
    config = BRISK._replace(confirmed_volume_z=0.1, confirmed_flow_z=0.1)
    fast = signal(fn, values, config)
    assert set(np.unique(fast.side)) == {-1, 0, 1}
    for module in (activity, arith, breaks, occurrence, window, sys.modules[fn.__module__]):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, python_of(value))
    slow = signal(fn, values, config)
    same(fast, slow)
    assert all(x.dtype in (np.int64, np.float64) for x in leaves(slow))
