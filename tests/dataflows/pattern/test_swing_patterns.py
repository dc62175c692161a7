"""L29, L33, L35 to L38 and L44: drawn paths that must fire, their mirror images, and near misses."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from dataflows.kinematics.types import Derivatives, KinematicState, Oscillator
from dataflows.microstructure.types import SpreadDepth
from dataflows.panel import leaves
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l29_flag_continuation import l29_flag_continuation
from dataflows.pattern.l33_liquidity_sweep import l33_liquidity_sweep
from dataflows.pattern.l35_exhaustion_climax import l35_exhaustion_climax
from dataflows.pattern.l36_momentum_divergence import l36_momentum_divergence
from dataflows.pattern.l37_double_extreme import l37_double_extreme
from dataflows.pattern.l38_structure_break import l38_structure_break
from dataflows.pattern.l44_reversal_bar import l44_reversal_bar
from dataflows.runtime.compile import python_of
from tests.dataflows.data.observed import hole, market, observe, walk
from tests.dataflows.kinematics.chain import same
from tests.dataflows.pattern.drawn import QUIET, drawn_part, path, signal, upstream
from tests.support import filled

LIFE = 5
SHORT = PatternConfig(
    flag_pole_bars=4,
    flag_pole_atr=3.0,
    flag_least_bars=3,
    flag_most_bars=6,
    flag_life_bars=LIFE,
    swing_reversal_atr=2.0,
    sweep_volume_bars=20,
    sweep_life_bars=LIFE,
    climax_bars=20,
    climax_range_atr=1.5,
    climax_within_bars=2,
    climax_life_bars=LIFE,
    divergence_window_bars=5,
    divergence_most_bars=20,
    divergence_flow_halflife=1,
    divergence_life_bars=LIFE,
    double_within_bars=10,
    double_life_bars=LIFE,
    structure_life_bars=LIFE,
    reversal_range_atr=1.25,
    reversal_life_bars=LIFE,
)
SIDES = pytest.mark.parametrize("mirrored", [False, True])
ALL: tuple[Any, ...] = (
    l29_flag_continuation,
    l33_liquidity_sweep,
    l35_exhaustion_climax,
    l36_momentum_divergence,
    l37_double_extreme,
    l38_structure_break,
    l44_reversal_bar,
)


def legs(*turns: float, step: float = 0.5) -> list[float]:
    """Closes from 100 to each turn after the other, `step` a bar."""
    closes = [100.0]
    for turn in turns:
        while closes[-1] != turn:
            closes.append(closes[-1] + (step if turn > closes[-1] else -step))
    return closes[1:]


def fired(fn: Any, values: dict[str, Any], mirrored: bool, *, at: int, side: int, lives: int = LIFE) -> Any:
    """Holds the pattern to begin on bar `at` of the drawing with that side (mirrored: the other) and to live so long."""
    got = signal(fn, values, SHORT)
    active, sides = drawn_part(got)
    lit = [1 if at <= i < at + lives else 0 for i in range(len(active))]
    assert active == lit
    assert sides == [(-side if mirrored else side) * x for x in lit]
    assert 0.0 < got.confidence[QUIET + at, 0] <= 1.0
    return got


# ---- L29

POLE = [101.0, 102.0, 103.0, 104.0]
REST = [103.5, 103.75, 103.5, 103.75]
GOES_ON = [104.5, 104.75, 104.5, 104.75, 105.0, 105.0, 105.25]


def flag(drawn: Any, mirrored: bool = False, *, direction: int = 1, strength: float = 0.5) -> dict[str, Any]:
    seen = path(drawn, mirrored=mirrored)
    shape = seen.bars.close.shape
    way = np.full(shape, -direction if mirrored else direction, np.int64)
    state = filled(KinematicState, shape, 0.0, direction=way, strength=np.full(shape, strength))
    return upstream(seen) | {"l60_kinematic_state": state}


@SIDES
def test_an_impulse_that_rests_and_goes_on_is_a_flag(mirrored: bool) -> None:
    got = fired(l29_flag_continuation, flag(POLE + REST + GOES_ON, mirrored), mirrored, at=8, side=1)
    end, base, floor = 104.0 + 1 / 16, 100.25, 103.5 - 1 / 16  # base: four bars before 102, the first far enough
    kept = 1.0 - (end - floor) / (0.5 * (end - base))
    assert got.confidence[QUIET + 8, 0] == pytest.approx(0.5 * kept + 0.5 * 0.5)


@SIDES
def test_a_flag_that_the_trend_does_not_share_is_less_sure(mirrored: bool) -> None:
    sure = [
        signal(l29_flag_continuation, flag(POLE + REST + GOES_ON, mirrored, **kw), SHORT).confidence[QUIET + 8, 0]
        for kw in ({"direction": 0}, {"strength": np.nan}, {"strength": 0.25}, {"strength": 0.75})
    ]
    assert 0.0 < sure[0] == sure[1] < sure[2] < sure[3]


@SIDES
@pytest.mark.parametrize(
    "drawn",
    [
        [*POLE, 103.0, 102.0, 101.5, 102.0, 103.0, *GOES_ON],  # gives back more than half
        [*POLE, 103.5, 103.75, *GOES_ON[:3]],  # the rest is too short
        POLE + REST + REST + GOES_ON,  # and too long
        [*POLE, *REST, 103.75, 104.0, 104.0, 104.0],  # never beyond the impulse's end
        [100.5, 100.5, 100.25, 100.25, 100.25, 100.25, 100.75, 100.75],  # breaks the channel without an impulse
    ],
)
def test_near_misses_of_a_flag(drawn: Any, mirrored: bool) -> None:
    assert not signal(l29_flag_continuation, flag(drawn, mirrored), SHORT).active.any()


@SIDES
def test_a_flag_against_the_trend_is_none(mirrored: bool) -> None:
    assert not signal(l29_flag_continuation, flag(POLE + REST + GOES_ON, mirrored, direction=-1), SHORT).active.any()


@SIDES
def test_a_flag_ends_with_a_close_beyond_the_far_end_of_its_rest(mirrored: bool) -> None:
    drawn = [*POLE, *REST, 104.5, 103.5, 103.25, 103.25]
    fired(l29_flag_continuation, flag(drawn, mirrored), mirrored, at=8, side=1, lives=2)


# ---- L33

TO_THE_POINT = legs(104.0, 101.0, 103.5)  # 8 up, 6 down, 5 up: the point is 104 1/16
AT = len(TO_THE_POINT)


def sweep(
    mirrored: bool = False, *, wick: float = 104.5, close: float = 103.75, volume: float = 40.0, spread: float = 1.0
) -> dict[str, Any]:
    drawn = [*TO_THE_POINT, close, 103.5, 103.25, 103.5, 103.25, 103.5, 103.5]
    seen = path(drawn, mirrored=mirrored, volume={AT: volume}, highs={AT: wick})
    return upstream(seen) | {"l8_spread_depth": filled(SpreadDepth, seen.bars.close.shape, 1.0, spread_bps=np.full(
        seen.bars.close.shape, spread))}  # fmt: skip


@SIDES
def test_a_wick_through_a_swing_point_that_closes_back_is_a_sweep(mirrored: bool) -> None:
    fired(l33_liquidity_sweep, sweep(mirrored), mirrored, at=AT, side=-1)


@SIDES
@pytest.mark.parametrize(
    "why",
    [
        {"wick": 104.0},  # stays below the point
        {"wick": 104.0 + 1 / 16},  # touches it
        {"wick": 104.0 + 1.5 / 16},  # reaches beyond it by less than a tenth of an ATR
        {"close": 104.25},  # closes beyond it
        {"volume": 11.5},
        {"spread": 50.0},  # the wick is within one spread
        {"spread": np.nan},
    ],
)
def test_near_misses_of_a_sweep(why: dict[str, float], mirrored: bool) -> None:
    assert not signal(l33_liquidity_sweep, sweep(mirrored, **why), SHORT).active.any()


@SIDES
def test_a_swing_point_is_swept_once(mirrored: bool) -> None:
    drawn = [*TO_THE_POINT, 103.75, *[103.5] * 6]
    seen = path(
        drawn, mirrored=mirrored, volume={AT: 11.0, AT + 1: 40.0}, highs={AT: 104.5, AT + 1: 104.75}
    )  # first on no volume
    values = upstream(seen) | {"l8_spread_depth": filled(SpreadDepth, seen.bars.close.shape, 1.0)}
    assert not signal(l33_liquidity_sweep, values, SHORT).active.any()


@SIDES
def test_an_extreme_is_no_swing_point_before_it_is_confirmed(mirrored: bool) -> None:
    drawn = [*legs(104.0, 103.5), 103.75, *[103.5] * 6]  # a pullback of less than two ATR
    seen = path(drawn, mirrored=mirrored, volume={9: 40.0}, highs={9: 104.5})
    values = upstream(seen) | {"l8_spread_depth": filled(SpreadDepth, seen.bars.close.shape, 1.0)}
    assert not signal(l33_liquidity_sweep, values, SHORT).active.any()


# ---- L35

RUN = [100.5, 101.0, 101.5, 103.5, 103.25, 103.5, 103.25, 103.5, 103.25, 103.5, 103.25, 103.5]
LOUD = 3


def climax(
    mirrored: bool = False, *, turns: int = 5, velocity: float = 0.75, volume: float = 40.0, drawn: Any = RUN
) -> dict[str, Any]:
    """A move that accelerates up to bar `turns` of the drawing, its loudest bar being number 3."""
    seen = path(drawn, mirrored=mirrored, volume={LOUD: volume})
    sign = -1.0 if mirrored else 1.0
    v, a = np.zeros(seen.bars.close.shape), np.zeros(seen.bars.close.shape)
    v[QUIET:], a[QUIET:] = sign * velocity, sign * 0.125
    a[QUIET + turns :] *= -1.0
    return upstream(seen) | {"l51_velocity_acceleration": filled(Derivatives, v.shape, 0.0, velocity=v, acceleration=a)}


@SIDES
@pytest.mark.parametrize("turns", [3, 4, 5])
def test_a_loud_bar_and_then_deceleration_is_a_climax(turns: int, mirrored: bool) -> None:
    fired(l35_exhaustion_climax, climax(mirrored, turns=turns), mirrored, at=turns, side=-1)


@SIDES
@pytest.mark.parametrize(
    "why",
    [
        {"turns": 6},  # too late
        {"volume": 11.5},
        {"velocity": 0.25},
        {"velocity": -0.75},  # the loud bar is against the move
        {"velocity": np.nan},
        {"drawn": [100.5, 101.0, 101.5, 102.0, *RUN[4:]]},  # no wider than the others
    ],
)
def test_near_misses_of_a_climax(why: dict[str, Any], mirrored: bool) -> None:
    assert not signal(l35_exhaustion_climax, climax(mirrored, **why), SHORT).active.any()


@SIDES
def test_a_climax_ends_with_a_close_beyond_the_extreme_of_its_move(mirrored: bool) -> None:
    drawn = [*RUN[:6], 103.5, 103.75, 104.0]
    fired(l35_exhaustion_climax, climax(mirrored, drawn=drawn), mirrored, at=5, side=-1, lives=2)


# ---- L36

TWO_HIGHS = [
    100.5,
    101.0,
    101.5,
    102.0,
    101.5,
    101.0,
    101.5,
    102.0,
    102.5,
    102.0,
    101.5,
    101.5,
    101.75,
    101.5,
    101.75,
    101.5,
    101.75,
]
FIRST, SECOND = 4, 9  # the bar after each turn opens at its close and has the same high: the later counts
KNOWN = SECOND + 2


def divergence(
    mirrored: bool = False, *, rsi: float = 60.0, flow: float = 2.0, drawn: Any = TWO_HIGHS, before: float = 70.0
) -> dict[str, Any]:
    """Oscillator `before` and mean flow 2 at the first extreme, `rsi` and `flow` at the second."""
    seen = path(drawn, mirrored=mirrored)
    points, z = np.full(seen.bars.close.shape, 50.0), np.zeros(seen.bars.close.shape)
    points[QUIET : QUIET + FIRST + 2], points[QUIET + FIRST + 2 :] = before, rsi
    z[QUIET : QUIET + FIRST + 2], z[QUIET + FIRST + 2 :] = 2.0, flow
    values = upstream(seen)
    signed = values["l62_order_flow_imbalance"]._replace(ofi_z=-z if mirrored else z)
    return values | {
        "l15_rsi_short": filled(Oscillator, z.shape)._replace(value=100.0 - points if mirrored else points),
        "l62_order_flow_imbalance": signed,
    }


@SIDES
@pytest.mark.parametrize("why", [{}, {"rsi": 70.0, "flow": 0.0}, {"rsi": np.nan, "flow": 0.0}, {"flow": 0.0}])
def test_a_higher_high_on_weaker_momentum_diverges_once_it_is_known(why: dict[str, float], mirrored: bool) -> None:
    fired(l36_momentum_divergence, divergence(mirrored, **why), mirrored, at=KNOWN, side=-1)


@SIDES
def test_weaker_on_both_is_surer(mirrored: bool) -> None:
    sure = [
        signal(l36_momentum_divergence, divergence(mirrored, **kw), SHORT).confidence[QUIET + KNOWN, 0]
        for kw in ({}, {"rsi": 55.0}, {"rsi": 55.0, "flow": 0.0})
    ]
    assert sure[0] == pytest.approx(0.5 * 10.0 / 15.0)
    assert sure[0] < sure[1] < sure[2] < 1.0


LOWER = [*TWO_HIGHS[:8], 101.75, *TWO_HIGHS[9:]]


@SIDES
@pytest.mark.parametrize(
    "why",
    [
        {"rsi": 66.0},
        {"rsi": 75.0},
        {"rsi": np.nan},
        {"flow": np.nan, "rsi": 70.0},
        {"drawn": LOWER},  # the second high is lower
        {"drawn": TWO_HIGHS[:KNOWN]},  # not known yet
    ],
)
def test_near_misses_of_a_divergence(why: dict[str, Any], mirrored: bool) -> None:
    assert not signal(l36_momentum_divergence, divergence(mirrored, **why), SHORT).active.any()


@SIDES
def test_an_extreme_that_is_long_past_is_no_measure(mirrored: bool) -> None:
    values = divergence(mirrored)
    near = SHORT._replace(divergence_most_bars=SECOND - FIRST - 1)
    assert not signal(l36_momentum_divergence, values, near).active.any()


# ---- L37

TOPS = legs(104.0, 102.0, 104.0, 101.0)


@SIDES
def test_two_highs_alike_and_a_close_below_the_low_between_are_a_double_top(mirrored: bool) -> None:
    values = upstream(path([*TOPS, *[101.0] * 6], mirrored=mirrored))
    got = fired(l37_double_extreme, values, mirrored, at=20, side=-1)  # 101.5, below the low of 101 15/16
    assert got.confidence[QUIET + 20, 0] > 0.5  # exactly alike is half of it


@SIDES
@pytest.mark.parametrize(
    "drawn",
    [
        legs(104.0, 102.0, 105.0, 101.0),  # the second is much higher
        legs(104.0, 102.0, 103.0, 100.0),  # and much lower
        legs(104.0, 102.0, 104.0, 102.0, 103.0),  # the neckline holds
        [*legs(104.0, 102.0, 104.0, 102.0), *[102.25, 102.0] * 6, 101.5],  # and breaks too late
        legs(104.0, 103.5, 104.0, 101.0),  # no swing point between them
    ],
)
def test_near_misses_of_a_double_top(drawn: Any, mirrored: bool) -> None:
    assert not signal(l37_double_extreme, upstream(path(drawn, mirrored=mirrored)), SHORT).active.any()


@SIDES
def test_a_double_top_is_given_up_with_a_close_above_it(mirrored: bool) -> None:
    for between, fires in ((103.5, True), (105.5, False)):
        drawn = [*legs(104.0, 101.0, 104.0, 102.5, between), between - 1.5, 102.5, 100.5, 100.5]
        assert signal(l37_double_extreme, upstream(path(drawn, mirrored=mirrored)), SHORT).active.any() == fires


@SIDES
def test_the_more_alike_the_surer(mirrored: bool) -> None:
    sure = [
        signal(l37_double_extreme, upstream(path(legs(104.0, 102.0, top, 101.5, step=0.25), mirrored=mirrored)), SHORT)
        .confidence[QUIET:]
        .max()
        for top in (104.25, 104.0)
    ]
    assert 0.0 < sure[0] < sure[1]


# ---- L38

RISING = legs(104.0, 102.0, 106.0, 104.0, 107.0)  # highs 104, 106 and lows 102, 104


@SIDES
def test_the_first_close_below_the_last_low_breaks_a_rising_structure(mirrored: bool) -> None:
    drawn = [*legs(104.0, 102.0, 106.0, 104.0, 107.0, 103.0), *[103.0] * 5]
    at = len(RISING) + 6  # closes 106.5 … 104.0, and 103.5 is below the low of 103 15/16
    fired(l38_structure_break, upstream(path(drawn, mirrored=mirrored)), mirrored, at=at, side=-1)


@SIDES
@pytest.mark.parametrize(
    "drawn",
    [
        legs(104.0, 102.0, 106.0, 104.0, 107.0, 104.5, 107.0),  # the low holds
        legs(104.0, 102.0, 106.0, 101.5, 107.0, 101.0),  # the lows do not rise
        legs(104.0, 102.0, 104.0, 102.5, 104.0, 101.0),  # the highs do not
        legs(104.0, 102.0, 106.0, 101.5),  # no second low yet
    ],
)
def test_near_misses_of_a_structure_break(drawn: Any, mirrored: bool) -> None:
    assert not signal(l38_structure_break, upstream(path(drawn, mirrored=mirrored)), SHORT).active.any()


@SIDES
def test_a_structure_breaks_once(mirrored: bool) -> None:
    drawn = [*legs(104.0, 102.0, 106.0, 104.0, 107.0, 103.0), *[103.0] * 5, 104.5, 103.0, 102.5, 102.0]
    got = signal(l38_structure_break, upstream(path(drawn, mirrored=mirrored)), SHORT)
    assert (got.age == 0.0).sum() == 1


# ---- L44

FALL = [99.5, 99.0, 98.5]
QUIETLY = [99.25] * 8


def reversal(drawn: Any, mirrored: bool, **more: Any) -> dict[str, Any]:
    return upstream(path(drawn, mirrored=mirrored, **more))


@SIDES
def test_a_bar_that_engulfs_the_last_one_of_a_fall_is_a_reversal(mirrored: bool) -> None:
    got = fired(l44_reversal_bar, reversal([*FALL, *QUIETLY], mirrored), mirrored, at=3, side=1)
    share = (99.25 - (98.5 - 1 / 16)) / (0.75 + 2 / 16)
    assert 0.5 * share < got.confidence[QUIET + 3, 0] < 1.0


@SIDES
def test_an_outside_bar_need_not_engulf(mirrored: bool) -> None:
    drawn = [99.5, 99.0, 98.5, 98.5 + 1 / 16, *QUIETLY]  # the bar before rises a little: there is no falling body to engulf
    fired(l44_reversal_bar, reversal(drawn, mirrored, lows={4: 98.25}), mirrored, at=4, side=1)
    assert not signal(l44_reversal_bar, reversal(drawn, mirrored), SHORT).active.any()  # with the same low: inside


@SIDES
@pytest.mark.parametrize(
    ("drawn", "more"),
    [
        ([*FALL, 98.875, 98.875, 98.875], {}),  # does not cover the body before
        ([*FALL, 99.25, 99.25], {"highs": {3: 100.0}}),  # closes in the middle of its range
        ([98.5, 98.4375, 98.75, 98.75], {}),  # engulfs a small body, and is small itself
        ([99.5, 99.0, 98.5, 99.5, 99.0, 100.0, 100.0], {"highs": {3: 100.5}}),  # far from the edge
        ([*FALL, 98.0, 97.5], {}),  # goes on
    ],
)
def test_near_misses_of_a_reversal_bar(drawn: Any, more: Any, mirrored: bool) -> None:
    assert not signal(l44_reversal_bar, reversal(drawn, mirrored, **more), SHORT).active.any()


@SIDES
def test_a_reversal_ends_with_a_close_beyond_its_bar(mirrored: bool) -> None:
    fired(l44_reversal_bar, reversal([*FALL, 99.25, 98.5, 98.25, 98.25], mirrored), mirrored, at=3, side=1, lives=2)


# ---- all of them


def random_values(bars: int) -> dict[str, Any]:
    seen = market(hole(observe(walk(bars)), slice(300, 303), 0))
    shape = seen.bars.close.shape
    rng = np.random.default_rng(4)
    values = upstream(seen)
    return values | {
        "l8_spread_depth": filled(SpreadDepth, shape, 1.0),
        "l15_rsi_short": filled(Oscillator, shape)._replace(value=rng.uniform(20.0, 80.0, shape)),
        "l51_velocity_acceleration": filled(
            Derivatives, shape, 0.0, velocity=rng.normal(0.0, 1.0, shape), acceleration=rng.normal(0.0, 1.0, shape)
        ),
        "l60_kinematic_state": filled(KinematicState, shape, 0.5, direction=rng.integers(-1, 2, shape)),
        "l62_order_flow_imbalance": values["l62_order_flow_imbalance"]._replace(ofi_z=rng.normal(0.0, 2.0, shape)),
    }


EASY = SHORT._replace(
    flag_pole_atr=1.0, flag_least_bars=1, sweep_volume_z=0.01, climax_volume_z=0.01, climax_range_atr=0.5, climax_velocity_atr=0.01,
    reversal_range_atr=0.25, reversal_close_share=0.25, reversal_zone=0.3,
)  # fmt: skip


@pytest.mark.parametrize("fn", ALL, ids=lambda fn: fn.__name__)
def test_compiled_and_plain_kernels_give_the_same_bits(fn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = random_values(1500)
    fast = signal(fn, values, EASY)
    assert set(np.unique(fast.side)) == {-1, 0, 1}
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith(("dataflows.kernels.", "dataflows.pattern.")):
            for name, value in list(vars(module).items()):
                if hasattr(value, "py_func"):
                    monkeypatch.setattr(module, name, python_of(value))
    slow = signal(fn, values, EASY)
    same(fast, slow)
    assert all(x.dtype in (np.int64, np.float64) for x in leaves(slow))
