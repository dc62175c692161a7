"""L28, L32 and L39 to L43: drawn paths that must fire, their mirror images, and near misses; and the blocks they are made of."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from dataflows.data.types import DataConfig, Market
from dataflows.kernels import arith, smooth
from dataflows.kinematics.l2_returns_volatility import l2_returns_volatility
from dataflows.kinematics.types import Channel, KinematicState, Returns, Reversion, Trend, VarianceRatio
from dataflows.panel import leaves
from dataflows.pattern import extremes, gaps, occurrence, pullback, ranges, session, vwap
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l28_pullback_in_trend import l28_pullback_in_trend
from dataflows.pattern.l32_range_reversion import l32_range_reversion
from dataflows.pattern.l39_gap_reversion import l39_gap_reversion
from dataflows.pattern.l40_opening_range_break import l40_opening_range_break
from dataflows.pattern.l41_vwap_reversion import l41_vwap_reversion
from dataflows.pattern.l42_vwap_hold import l42_vwap_hold
from dataflows.pattern.l43_narrow_range_break import l43_narrow_range_break
from dataflows.regime.types import Regime
from dataflows.runtime.compile import python_of
from tests.dataflows.data.observed import MINUTE, START, hole, instruments, market, observe, walk
from tests.dataflows.kinematics.chain import run, same
from tests.dataflows.pattern.drawn import BRISK, QUIET, drawn_part, path, signal
from tests.support import carry_of, filled

SHORT = BRISK._replace(
    pullback_within_bars=6,
    pullback_life_bars=8,
    range_life_bars=8,
    gap_within_bars=4,
    gap_life_bars=8,
    opening_bars=20,
    opening_within_bars=50,
    opening_life_bars=8,
    vwap_least_bars=20,
    vwap_life_bars=8,
    hold_within_bars=8,
    hold_life_bars=8,
    narrow_of_bars=3,
    narrow_within_bars=5,
    narrow_life_bars=8,
)
CLIMB = (100.5, 101.0, 101.5, 102.0, 102.5, 103.0)
"""A trend's way up out of the quiet bars."""


class Case(NamedTuple):
    """A drawing, and what the layers before the pattern say: of an upward market; mirrored ones get the other side."""

    fn: Any
    drawn: tuple[float, ...]
    side: int
    begins: int  # bar of the drawing
    more: dict[str, Any] = {}  # of `path`
    said: dict[str, float] = {}  # over what `upstream` says


RANGE_LOW = {"percent_b": 0.05, "z": -1.5}
CASES = {
    "L28": Case(l28_pullback_in_trend, (*CLIMB, 102.5, 102.0, 101.5, 101.0, 101.25, 102.0, *[102.25] * 9), 1, 11),
    "L32": Case(l32_range_reversion, (*[100.0] * 12,), 1, 2, {}, RANGE_LOW),
    "L39": Case(l39_gap_reversion, (98.0, 98.5, 98.75, *[98.5] * 9), 1, 1, {"opens": {0: 98.25}}),
    "L40": Case(l40_opening_range_break, (100.25, 100.5, 101.0, *[101.25] * 9), 1, 2),
    "L41": Case(l41_vwap_reversion, (101.0, 102.0, 103.0, 102.0, 101.25, *[101.5] * 10), -1, 4),
    "L42": Case(l42_vwap_hold, (*CLIMB[:4], 101.5, 101.0, 100.5, 100.25, 100.75, 101.75, *[102.0] * 9), 1, 9),
    "L43": Case(l43_narrow_range_break, (*[100.0] * 15, 100.125, 100.75, *[101.0] * 9), 1, 16),
}


def upstream(seen: Market, side: int, said: Mapping[str, float]) -> dict[str, Any]:
    """The layers before the patterns: volatility as it is, the others as they are told. The channel speaks from bar 2 on."""
    shape = seen.bars.close.shape
    say = {"trend": 1.0, "aligned": 1.0, "short": 0.5, "calm": 0.8, "ratio": 0.8, "percent_b": 0.5, "z": 0.0, **said}
    late = np.arange(shape[0])[:, None] >= QUIET + 2

    def panel(value: float) -> Any:
        return np.full(shape, value)

    direction = np.full(shape, side * int(say["trend"]), np.int64)
    percent_b = np.where(late, 0.5 + side * (say["percent_b"] - 0.5), 0.5)
    return {
        "l0_market_feed": seen,
        "l1_regime": filled(Regime, shape, 0.0, calm=panel(say["calm"])),
        "l2_returns_volatility": run(l2_returns_volatility, {"l0_market_feed": seen, "instruments": instruments(shape[1])}),
        "l11_ema_trend_short": filled(Trend, shape, 0.0, score=panel(side * say["short"])),
        "l19_ema_trend_medium": filled(Trend, shape, 0.0, score=panel(side * 0.5), aligned=panel(side * say["aligned"])),
        "l23_channel_position_medium": filled(Channel, shape, 0.0, percent_b=percent_b),
        "l24_variance_ratio": filled(VarianceRatio, shape, 0.0, ratio=panel(say["ratio"])),
        "l56_mean_reversion_speed": filled(Reversion, shape, 0.0, z=np.where(late, side * say["z"], 0.0)),
        "l60_kinematic_state": filled(KinematicState, shape, 0.0, direction=direction, strength=panel(0.5)),
    }


def fired(case: Case, *, mirrored: bool = False, config: PatternConfig = SHORT, **over: Any) -> Any:
    """The pattern over a case; over: fields of the case that are other."""
    now = case._replace(**over)
    seen = path(now.drawn, mirrored=mirrored, **now.more)
    return signal(now.fn, upstream(seen, -1 if mirrored else 1, now.said), config)


@pytest.mark.parametrize("name", CASES)
def test_a_drawn_pattern_begins_on_its_bar_with_its_side(name: str) -> None:
    case = CASES[name]
    got = fired(case)
    active, side = drawn_part(got)
    assert active[: case.begins + 1] == [0] * case.begins + [1]
    assert side[case.begins] == case.side
    assert 0.0 < got.confidence[QUIET + case.begins, 0] < 1.0
    assert got.age[QUIET + case.begins, 0] == 0.0


@pytest.mark.parametrize("name", CASES)
def test_its_mirror_image_points_the_other_way(name: str) -> None:
    up, down = fired(CASES[name]), fired(CASES[name], mirrored=True)
    assert up.active.any()
    np.testing.assert_array_equal(down.active, up.active)
    np.testing.assert_array_equal(down.side, -up.side)
    np.testing.assert_allclose(down.confidence, up.confidence, rtol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_an_occurrence_lives_no_longer_than_its_life(name: str) -> None:
    active, _ = drawn_part(fired(CASES[name]))
    assert sum(active) == 8


SLOW = (*CLIMB, 102.5, 102.0, 101.5)
MISSES: list[tuple[str, str, dict[str, Any]]] = [
    ("L28", "the trend is not aligned", {"said": {"aligned": 0.0}}),
    ("L28", "direction and alignment disagree", {"said": {"trend": -1.0}}),
    ("L28", "the short average is against it", {"said": {"short": -0.5}}),
    ("L28", "it does not come to the average", {"drawn": (*CLIMB, 102.75, 103.0, 103.25, 103.5)}),
    ("L28", "it falls too deep", {"drawn": (*CLIMB, 101.0, 99.0, 97.0, 98.0, 101.5, 103.0)}),
    ("L28", "it resumes too late", {"drawn": (*SLOW, *[101.25] * 9, 102.5)}),
    ("L28", "it never resumes", {"drawn": (*SLOW, 101.25, 101.0, 101.0, 100.75)}),
    ("L32", "the market is not calm", {"said": {**RANGE_LOW, "calm": 0.3}}),
    ("L32", "calm is not known", {"said": {**RANGE_LOW, "calm": np.nan}}),
    ("L32", "moves add up", {"said": {**RANGE_LOW, "ratio": 1.2}}),
    ("L32", "it is inside the channel", {"said": {**RANGE_LOW, "percent_b": 0.3}}),
    ("L32", "price is back at its mean", {"said": {**RANGE_LOW, "z": -0.2}}),
    ("L32", "mean and channel disagree", {"said": {**RANGE_LOW, "z": 1.5}}),
    ("L39", "the gap is small", {"more": {"opens": {0: 99.75}}, "drawn": (99.75, 99.875, 99.9375, 99.875)}),
    ("L39", "it goes on", {"drawn": (98.0, 97.5, 97.25, 97.0, 96.5, 96.0)}),
    ("L39", "it turns too late", {"drawn": (98.0, 98.0, 98.0, 98.0, 98.0, 98.0, 99.0)}),
    ("L39", "it is filled at once", {"drawn": (100.25, 100.25, 100.25)}),
    ("L39", "the same move without a gap", {"more": {}}),
    ("L40", "a wick is no close", {"drawn": (100.25, 100.25, 100.25), "more": {"opens": {1: 102.0}}}),
    ("L40", "it is within the margin", {"drawn": (100.25, 100.4375, 100.4375)}),
    ("L40", "it comes too late", {"drawn": (*[100.25] * 12, 101.0, 101.5)}),
    ("L40", "the session was under way", {"more": {"start": START + MINUTE}}),
    ("L41", "it does not turn", {"drawn": (101.0, 102.0, 103.0, 103.5, 104.0)}),
    ("L41", "it did not stray", {"drawn": (100.25, 100.375, 100.25, 99.75)}),
    ("L41", "moves add up", {"said": {"ratio": 1.2}}),
    ("L41", "the ratio is not known", {"said": {"ratio": np.nan}}),
    ("L41", "it is back before it is seen to turn", {"drawn": (101.0, 102.0, 103.0, 100.0, 100.0)}),
    ("L42", "there is no trend", {"said": {"trend": 0.0}}),
    ("L42", "it never was away", {"drawn": (100.25, 100.5, 100.25, 100.5, 100.25)}),
    ("L42", "it does not come to VWAP", {"drawn": (*CLIMB[:4], 101.75, 101.5, 101.75, 102.0)}),
    ("L42", "VWAP is lost", {"drawn": (*CLIMB[:4], 101.0, 100.25, 99.0, 98.0, 97.5, 100.0, 102.0)}),
    ("L42", "the test goes on too long", {"drawn": (*CLIMB[:4], 101.0, *[100.25] * 10, 102.0)}),
    ("L43", "the bar is as wide as those before", {"drawn": (*[100.25, 99.75] * 7, 100.0, 100.125, 100.75, 101.0)}),
    ("L43", "it is within the margin", {"drawn": (*[100.0] * 15, 100.125, 100.125)}),
    ("L43", "it comes too late", {"drawn": (*[100.0] * 21, 101.0, 101.5)}),
]


@pytest.mark.parametrize(("name", "over"), [m[::2] for m in MISSES], ids=[f"{n}: {why}" for n, why, _ in MISSES])
@pytest.mark.parametrize("mirrored", [False, True])
def test_near_misses(name: str, over: dict[str, Any], mirrored: bool) -> None:
    assert not fired(CASES[name], mirrored=mirrored, **over).active.any()


ENDS: list[tuple[str, str, Sequence[float], int]] = [  # drawing, and how many bars the occurrence lives
    ("L28", "beyond the retrace", (*CASES["L28"].drawn[:12], 102.25, 100.75, 101.25), 2),
    ("L39", "the gap is filled", (98.0, 98.5, 99.0, 100.0, 100.0), 2),
    ("L39", "beyond the way out", (98.0, 98.5, 97.75, 98.0), 1),
    ("L40", "back in the range", (100.25, 100.5, 101.0, 100.5, 99.9375, 100.0), 2),
    ("L41", "VWAP is reached", (101.0, 102.0, 103.0, 102.0, 101.25, 101.0, 100.0, 100.0), 2),
    ("L41", "beyond the farthest price", (101.0, 102.0, 103.0, 102.0, 101.25, 103.25, 103.5), 1),
    ("L42", "beyond the test", (*CASES["L42"].drawn[:10], 101.0, 100.0, 100.5), 2),
    ("L43", "the other edge", (*[100.0] * 15, 100.125, 100.75, 100.25, 99.5, 99.5), 2),
]


@pytest.mark.parametrize(("name", "drawn", "bars"), [(n, d, b) for n, _, d, b in ENDS], ids=[f"{n}: {w}" for n, w, *_ in ENDS])
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_ends_an_occurrence(name: str, drawn: Sequence[float], bars: int, mirrored: bool) -> None:
    active, _ = drawn_part(fired(CASES[name], mirrored=mirrored, drawn=drawn))
    at = CASES[name].begins
    assert active[at : at + bars + 1] == [1] * bars + [0]


@pytest.mark.parametrize(("peak", "begins"), [(102.25, [11]), (103.5, [11, 18])])
def test_a_second_retrace_wants_a_new_farthest_price(peak: float, begins: list[int]) -> None:
    again = (peak, 102.25, 101.5, 101.0, 101.0, 101.25, 102.0, 102.25)
    got = fired(CASES["L28"], drawn=(*CASES["L28"].drawn[:12], *again), config=SHORT._replace(pullback_life_bars=2))
    assert (np.flatnonzero(got.age[:, 0] == 0.0) - QUIET).tolist() == begins


def test_a_range_that_is_reverted_ends_at_the_mean_and_beyond_its_room() -> None:
    for drawn, z in (([100.0] * 12, 0.5), ([100.0] * 5 + [98.0] * 7, -1.5)):
        seen = path(drawn)
        values = upstream(seen, 1, RANGE_LOW)
        values["l56_mean_reversion_speed"].z[QUIET + 5 :] = z
        active, _ = drawn_part(signal(l32_range_reversion, values, SHORT))
        assert active == [0, 0, 1, 1, 1] + [0] * 7


def test_a_gap_between_two_sessions_is_one_however_long_the_night() -> None:
    night = list(range(30))
    for start in (START, START - 75 * MINUTE):  # within a session, and across midnight
        drawn = (*[97.0] * 30, 98.0, 98.5, *[98.5] * 10)
        got = fired(CASES["L39"], drawn=drawn, more={"opens": {30: 98.25}, "lost": night, "start": start})
        active, side = drawn_part(got)
        assert active[30:34] == [0, 1, 1, 1] and side[31] == 1
        assert not any(active[:30])


def test_no_gap_reaches_across_a_new_listing() -> None:
    seen = path((98.0, 98.5, 98.75), opens={0: 98.25})
    seen.quality.listed[QUIET - 1] = 0
    seen.quality.valid[QUIET - 1] = 0
    assert not signal(l39_gap_reversion, upstream(seen, 1, {}), SHORT).active.any()


def test_every_session_has_a_range_of_its_own_and_breaks_it_once() -> None:
    again = (*[101.25] * 5, *[99.0] * 5)  # the other side breaks too, in the same session
    day = (*[100.0, 100.25] * 12, 101.5, *[101.5] * 3)
    got = fired(CASES["L40"], drawn=(100.25, 101.0, *again), config=SHORT._replace(opening_life_bars=3))
    assert np.flatnonzero(got.age[:, 0] == 0.0).tolist() == [QUIET + 1]
    quiet_day = fired(CASES["L40"], drawn=(*[100.0] * 12, *day), more={"start": START - 72 * MINUTE}, config=SHORT)
    begins = np.flatnonzero(quiet_day.age[:, 0] == 0.0)
    assert begins.tolist() == [QUIET + 12 + 24]


def test_the_opening_range_is_pandas_extreme_of_the_first_valid_bars() -> None:
    seen = market(hole(observe(walk(4000), start=START - 500 * MINUTE), slice(520, 524), 0))
    s, bars, valid = seen.session, seen.bars, seen.quality.valid
    state = carry_of(l40_opening_range_break, 2, {"pattern": SHORT}).opening
    whole, top, bottom = session.opening_range(s.id, s.bar_of_session, bars.high, bars.low, valid, 20, state)
    for n in range(2):
        frame = pd.DataFrame({"day": s.id[:, n], "high": bars.high[:, n], "low": bars.low[:, n], "valid": valid[:, n]})
        first = frame[frame.valid == 1].groupby("day").head(20).groupby("day").agg({"high": "max", "low": "min"})
        last = frame[frame.valid == 1].groupby("day").nth(19).index
        assert np.flatnonzero(whole[:, n]).tolist() == last.tolist()[1:]  # the first day was under way
        assert np.isnan(top[:500, n]).all()
        for t in last[1:]:
            assert (top[t, n], bottom[t, n]) == tuple(first.loc[frame.day[t]])


def test_the_bands_are_numpys_weighted_deviation_of_the_sessions_prices() -> None:
    seen = market(hole(observe(walk(3000), start=START - 700 * MINUTE), slice(800, 803), 1))
    s, bars, valid = seen.session, seen.bars, seen.quality.valid
    state = carry_of(l41_vwap_reversion, 2, {"pattern": SHORT}).spread
    got = session.session_spread(s.id, bars.vwap, bars.volume, valid, 20, state)
    for t in (718, 719, 720, 802, 900, 2000, 2999):
        for n in range(2):
            rows = (s.id[: t + 1, n] == s.id[t, n]) & (valid[: t + 1, n] == 1)
            p, v = bars.vwap[: t + 1, n][rows], bars.volume[: t + 1, n][rows]
            if rows.sum() < 20:
                assert np.isnan(got[t, n])
            else:
                mean = np.average(p, weights=v)
                assert got[t, n] == pytest.approx(np.sqrt(np.average((p - mean) ** 2, weights=v)), rel=1e-9)
                assert mean == pytest.approx(s.vwap[t, n])


def test_narrow_bars_are_pandas_narrowest_of_seven_and_inside_bars() -> None:
    rng = np.random.default_rng(3)
    low = rng.integers(0, 40, (3000, 2)) / 16.0
    high = low + rng.integers(0, 60, (3000, 2)) / 16.0
    closed = (rng.random((3000, 2)) < 0.4).astype(np.int64)
    state = carry_of(l43_narrow_range_break, 2, {"pattern": PatternConfig()}).narrow
    got = ranges.narrow_bars(high, low, closed, state)
    for n in range(2):
        frame = pd.DataFrame({"high": high[:, n], "low": low[:, n]})[closed[:, n] == 1]
        height = frame.high - frame.low
        narrowest = height < height.shift().rolling(6).min()
        inside = (frame.high <= frame.high.shift()) & (frame.low >= frame.low.shift()) & (height < height.shift())
        told = np.arange(len(frame)) >= 6
        expected = frame.index[(narrowest | inside) & (height > 0) & told]
        assert np.flatnonzero(got[:, n]).tolist() == expected.tolist() and len(expected) > 100


def _wide_market() -> dict[str, Any]:
    """Four days of two symbols whose gaps, trends and ranges feed every pattern, and layers that say things at random."""
    rng = np.random.default_rng(7)
    bars = 5760
    calm = np.exp(0.7 * np.sin(np.arange(bars) / 200.0))[:, None]
    drift = 1e-4 * np.sign(np.sin(np.arange(bars) / 150.0))[:, None]
    log = np.cumsum(drift + 1e-3 * calm * rng.normal(size=(bars, 2)), axis=0)
    close = 100.0 * np.exp(log - log.mean(axis=0))
    before = np.vstack([close[:1], close[:-1]])
    jumps = np.where(rng.random((bars, 2)) < 0.02, 6e-3 * rng.normal(size=(bars, 2)), 0.0)
    open_ = before * np.exp(jumps)
    seen = observe(close, open=open_, high=np.maximum(open_, close) * 1.0004, low=np.minimum(open_, close) / 1.0004)
    values = upstream(market(hole(seen, slice(300, 303), 0)), 1, {})
    trend = np.sign(np.sin(np.arange(bars) / 150.0))[:, None] * np.ones(2)
    slow = np.repeat(rng.random((bars // 60, 2)), 60, axis=0)
    values["l60_kinematic_state"] = values["l60_kinematic_state"]._replace(direction=trend.astype(np.int64))
    values["l19_ema_trend_medium"] = values["l19_ema_trend_medium"]._replace(aligned=trend, score=0.5 * trend)
    values["l11_ema_trend_short"] = values["l11_ema_trend_short"]._replace(score=0.2 * trend)
    values["l23_channel_position_medium"] = values["l23_channel_position_medium"]._replace(percent_b=slow)
    values["l56_mean_reversion_speed"] = values["l56_mean_reversion_speed"]._replace(z=4.0 * (slow - 0.5))
    values["l1_regime"] = values["l1_regime"]._replace(calm=rng.random((bars, 2)))
    return values


@pytest.mark.parametrize("name", CASES)
def test_compiled_and_plain_kernels_give_the_same_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fn, values = CASES[name].fn, _wide_market()
    fast = signal(fn, values, PatternConfig())
    assert set(np.unique(fast.side)) == {-1, 0, 1}
    modules = (arith, occurrence, session, smooth, extremes, gaps, pullback, ranges, vwap)
    for module in (*modules, sys.modules[fn.__module__]):
        for key, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, key, python_of(value))
    slow = signal(fn, values, PatternConfig())
    same(fast, slow)
    assert all(x.dtype in (np.int64, np.float64) for x in leaves(slow))


KEYS = {
    "L28": "pullback_", "L32": "range_", "L39": "gap_", "L40": "opening_", "L41": "vwap_", "L42": "hold_", "L43": "narrow_",
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, prefix in KEYS.items() for key in PatternConfig._fields if key.startswith(prefix)]
)
def test_a_small_change_of_a_parameter_leaves_most_occurrences(name: str, key: str) -> None:
    """A tenth more or less, for counts one at least; the same occurrence begins at most five bars earlier or later."""
    values, usual = _wide_market(), PatternConfig()
    was = signal(CASES[name].fn, values, usual)
    value = getattr(usual, key)
    step = max(1, round(0.1 * value)) if isinstance(value, int) else 0.1 * value
    for other in (value - step, value + step):
        now = signal(CASES[name].fn, values, usual._replace(**{key: other}))
        kept = total = 0
        for n in range(2):
            for side in (-1, 1):
                begins = np.flatnonzero((was.age[:, n] == 0.0) & (was.side[:, n] == side))
                again = np.convolve(now.side[:, n] == side, np.ones(11), "same") > 0.0
                kept += int(again[begins].sum())
                total += len(begins)
        assert total >= 5
        assert kept > 0.5 * total


def test_contradicting_keys_are_told() -> None:
    assert not list(PatternConfig().problems())
    for key, value in (("pullback_shallow_atr", 9.0), ("vwap_near", 2.0)):
        told = list(PatternConfig()._replace(**{key: value}).problems())
        assert len(told) == 1 and key in told[0]


def test_an_end_that_names_a_side_ends_occurrences_of_that_side_and_those_without() -> None:
    flat = np.ones((6, 1))
    on = flat.astype(np.int64)
    never = np.full((6, 1), np.nan)
    ends = np.array([0, 0, -1, 1, 0, 0])[:, None]
    begins = np.array([1, 0, 0, 0, 0, 0])[:, None]
    for side, lives in ((1, 3), (-1, 2), (0, 2)):
        state = carry_of(l39_gap_reversion, 1, {"pattern": SHORT}).clock
        made = occurrence.pattern_clock_until(begins, side * on, flat, never, ends, flat, on, 9, state)
        assert made[0][:, 0].tolist() == [1] * lives + [0] * (6 - lives)


def test_the_shared_volatility_is_what_the_patterns_read() -> None:
    """The drawings' distances are in this ATR: if it were unknown in the drawing, no test here would prove anything."""
    values = upstream(path(CLIMB), 1, {})
    atr = values["l2_returns_volatility"].atr
    assert isinstance(values["l2_returns_volatility"], Returns)
    assert 0.3 < atr[QUIET, 0] < 0.5


def test_a_session_of_one_bar_has_no_opening_range() -> None:
    case = CASES["L40"]
    values = upstream(path(case.drawn, **case.more), 1, case.said)
    assert signal(case.fn, values, SHORT).active.any()
    for bars_a_day in (1, SHORT.opening_bars):
        assert not signal(case.fn, values, SHORT, DataConfig(bars_a_day=bars_a_day)).active.any()
