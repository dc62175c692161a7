"""L30 and L31: drawn volatilities that must fire, mirror images and near misses; the rank against SciPy's."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from scipy.stats import percentileofscore

from dataflows.kernels import arith, order
from dataflows.kinematics.types import Channel, Returns, Slope, VolTerm
from dataflows.panel import leaves
from dataflows.pattern import compression, occurrence
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l30_volatility_compression import l30_volatility_compression
from dataflows.pattern.l31_volatility_expansion import l31_volatility_expansion
from dataflows.pattern.types import PatternSignal
from dataflows.runtime.compile import python_of
from tests.dataflows.kinematics.chain import same
from tests.support import carry_of, filled, run_columnar

BRISK = PatternConfig(
    compression_window=8, compression_life_bars=6, expansion_within_bars=4, expansion_life_bars=5, expansion_sigmas=3.0
)
SIGMA = 1.0 / 1024.0


def column(values: Any) -> Any:
    return np.asarray(values, np.float64)[:, None]


def compressed(
    ratio: Any, *, squeeze: Any = 1.0, bandwidth: Any = 1.0, r_1: Any = 0.0, config: PatternConfig = BRISK
) -> PatternSignal:
    """L30 over drawn ratios; the other inputs drawn too, or the same on every bar."""
    shape = column(ratio).shape
    columns = [np.broadcast_to(column(np.atleast_1d(x)), shape) for x in (ratio, squeeze, bandwidth, r_1)]
    ratios, squeezes, widths, moves = (np.ascontiguousarray(x) for x in columns)
    inputs = {
        "l2_returns_volatility": filled(Returns, shape, 0.0, r_1=moves),
        "l23_channel_position_medium": filled(Channel, shape, 0.0, squeeze=squeezes, bandwidth=widths),
        "l58_volatility_term_structure": filled(VolTerm, shape, 0.0, ratio=ratios),
    }
    made: PatternSignal = run_columnar(l30_volatility_compression, inputs, {"pattern": config})
    return made


def released(
    r_1: Any, active: Any, *, slope: float = 1.0, sigma: Any = SIGMA, config: PatternConfig = BRISK, mirrored: bool = False
) -> PatternSignal:
    """L31 over drawn returns and a drawn compression; L12 slopes upward."""
    sign = -1.0 if mirrored else 1.0
    moves = sign * column(r_1)
    shape = moves.shape
    five = np.convolve(moves[:, 0], np.ones(5))[: len(moves), None]
    lives = np.asarray(active, np.int64)[:, None]
    starts = np.maximum.accumulate(np.where(np.diff(lives, axis=0, prepend=0) == 1, np.arange(len(lives))[:, None], 0))
    age = np.where(lives == 1, np.arange(len(lives))[:, None] - starts, np.nan)
    inputs = {
        "l2_returns_volatility": filled(
            Returns,
            shape,
            0.0,
            r_1=moves,
            r_5=five,
            sigma=np.ascontiguousarray(np.broadcast_to(column(np.atleast_1d(sigma)), shape)),
        ),
        "l12_regression_slope_short": filled(Slope, shape, 0.0, slope=np.full(shape, sign * slope)),
        "l30_volatility_compression": PatternSignal(lives, np.zeros_like(lives), 0.5 * lives, age),
    }
    made: PatternSignal = run_columnar(l31_volatility_expansion, inputs, {"pattern": config})
    return made


def test_squeezed_bands_with_little_volatility_are_compressed_without_a_side() -> None:
    got = compressed([1.2, 0.9, 0.7, 0.9, 0.95, 1.1, 0.9, 0.9])
    assert got.active[:, 0].tolist() == [0, 0, 1, 1, 1, 0, 0, 0]  # enters at 0.8, leaves above 1.0
    assert not got.side.any()
    assert got.confidence[2, 0] == pytest.approx(0.5 * 0.0 + 0.5 * 0.3)  # no rank yet
    assert got.age[2:5, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "why",
    [
        {"ratio": [0.9] * 12},  # no less than usual
        {"ratio": [0.5] * 12, "squeeze": 0.0},  # bands of one width that are not squeezed
        {"ratio": [np.nan] * 12},
        {"ratio": [0.5] * 12, "squeeze": np.nan, "bandwidth": np.nan},
        {"ratio": [0.5] * 12, "r_1": np.nan},
        {"ratio": [0.5] * 12, "squeeze": 0.0, "bandwidth": np.arange(1.0, 13.0)},  # ever wider
    ],
)
def test_near_misses_of_a_compression(why: dict[str, Any]) -> None:
    assert not compressed(**why).active.any()


def test_the_narrowest_bandwidth_is_compressed_without_a_squeeze_until_bands_widen() -> None:
    widths = np.repeat([5.0, 6.0, 7.0, 8.0, 5.5, 6.5, 7.5, 8.5, 4.0, 9.0], 3)
    got = compressed([0.5] * 30, squeeze=0.0, bandwidth=widths)
    assert got.active[:, 0].tolist() == [0] * 24 + [1] * 3 + [0] * 3
    assert got.confidence[24, 0] == pytest.approx(0.5 * 1.0 + 0.5 * 0.5)


def test_a_compression_lives_no_longer_than_its_life_and_does_not_begin_again_of_itself() -> None:
    got = compressed([0.5] * 20)
    assert got.active[:, 0].tolist() == [1] * 6 + [0] * 14


def test_the_rank_is_scipys_among_the_bandwidths_before() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 40, 200) / 8.0
    widths = column(np.repeat(values, rng.integers(1, 5, 200)))
    config = PatternConfig(compression_window=50)
    state = carry_of(l30_volatility_compression, 1, {"pattern": config}).compression
    off = np.zeros(widths.shape)
    distinct: list[float] = []
    for t in range(len(widths)):
        row = (off[:1], widths[t : t + 1], np.ones((1, 1)), np.ones((1, 1), np.int64))
        compression.compressions(*row, 0.2, 0.8, 1.0, state)
        if distinct and distinct[-1] == widths[t, 0]:
            continue
        before = distinct[-50:]
        if len(before) >= 30:
            assert state.rank[0] == pytest.approx(percentileofscore(before, widths[t, 0], kind="mean") / 100.0)
        else:
            assert np.isnan(state.rank[0])
        distinct.append(float(widths[t, 0]))
    assert len(distinct) > 150


MOVE = 8.0 * SIGMA  # 3.6 of sqrt(5) sigma
QUIET = [SIGMA, -SIGMA] * 4


@pytest.mark.parametrize(("mirrored", "side"), [(False, 1), (True, -1)])
def test_the_first_large_move_out_of_a_compression_points_its_way(mirrored: bool, side: int) -> None:
    got = released([*QUIET, MOVE, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], [1] * 8 + [0] * 7, mirrored=mirrored)
    assert got.active[:, 0].tolist() == [0] * 8 + [1] * 5 + [0] * 2
    assert (got.side == side * got.active).all()
    x = 8.0 / np.sqrt(5.0)
    assert got.confidence[8, 0] == pytest.approx(0.5 * (1.0 - 1.5 / x) + 0.5 * 0.5)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize(
    ("why", "r_1", "active", "more"),
    [
        ("too small", [*QUIET, 5.0 * SIGMA, 0.0], [1] * 8 + [0] * 2, {}),
        ("no compression", [*QUIET, MOVE, 0.0], [0] * 10, {}),
        ("too late", [*QUIET, *[0.0] * 5, MOVE], [1] * 8 + [0] * 6, {}),
        ("the slope is against it", [*QUIET, MOVE, 0.0], [1] * 8 + [0] * 2, {"slope": -1.0}),
        ("the slope is not known", [*QUIET, MOVE, 0.0], [1] * 8 + [0] * 2, {"slope": np.nan}),
        ("the compression was not so quiet", [*QUIET, MOVE, 0.0], [1] * 8 + [0] * 2, {"sigma": 2.0 * SIGMA}),
        ("the volatility is not known", [*QUIET, MOVE, 0.0], [1] * 8 + [0] * 2, {"sigma": np.nan}),
    ],
)
def test_near_misses_of_a_release(why: str, r_1: Any, active: Any, more: dict[str, Any], mirrored: bool) -> None:
    assert not released(r_1, active, mirrored=mirrored, **more).active.any()


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_release_ends_when_the_whole_move_is_given_back(mirrored: bool) -> None:
    back = released([*QUIET, MOVE, -0.5 * MOVE, -0.75 * MOVE, 0.0], [1] * 8 + [0] * 4, mirrored=mirrored)
    assert back.active[:, 0].tolist() == [0] * 8 + [1, 1, 0, 0]


def test_a_compression_is_released_once() -> None:
    calm = [0.0] * 6
    twice = released([*QUIET, MOVE, *calm, MOVE, 0.0], [1] * 17, config=BRISK._replace(expansion_life_bars=2))
    assert np.flatnonzero(twice.age[:, 0] == 0.0).tolist() == [8]
    again = released([*QUIET, MOVE, *calm, MOVE, 0.0], [1] * 9 + [0] + [1] * 7, config=BRISK._replace(expansion_life_bars=2))
    assert np.flatnonzero(again.age[:, 0] == 0.0).tolist() == [8, 15]


def test_it_is_held_against_the_least_volatility_of_the_compression() -> None:
    sigma = [*[2.0 * SIGMA] * 3, SIGMA, *[2.0 * SIGMA] * 6]
    assert released([*QUIET, MOVE, 0.0], [1] * 8 + [0] * 2, sigma=sigma).active.any()


def _random_inputs() -> dict[str, Any]:
    """Ten days of two symbols whose volatility comes and goes over half days."""
    rng = np.random.default_rng(11)
    shape = (14400, 2)
    level = np.exp(0.9 * np.sin(np.arange(shape[0]) / 120.0))[:, None] * np.ones(2)
    moves = SIGMA * level * rng.normal(size=shape)
    moves[700:703, 0] = np.nan
    slow = np.repeat(level[::60], 60, axis=0) * np.repeat(rng.lognormal(0.0, 0.2, (240, 2)), 60, axis=0)
    known = np.where(np.isfinite(moves), moves, 0.0)
    five = np.cumsum(known, axis=0)
    five[5:] -= five[:-5].copy()
    return {
        "l2_returns_volatility": filled(Returns, shape, 0.0, r_1=moves, r_5=five, sigma=SIGMA * level),
        "l12_regression_slope_short": filled(Slope, shape, 0.0, slope=five),
        "l23_channel_position_medium": filled(Channel, shape, 0.0, bandwidth=slow),
        "l58_volatility_term_structure": filled(VolTerm, shape, 0.0, ratio=level),
    }


def _both(values: dict[str, Any], config: PatternConfig) -> tuple[PatternSignal, PatternSignal]:
    first = {k: values[k] for k in ("l2_returns_volatility", "l23_channel_position_medium", "l58_volatility_term_structure")}
    narrow = run_columnar(l30_volatility_compression, first, {"pattern": config})
    then = {k: values[k] for k in ("l2_returns_volatility", "l12_regression_slope_short")} | {
        "l30_volatility_compression": narrow
    }
    return narrow, run_columnar(l31_volatility_expansion, then, {"pattern": config})


def test_compiled_and_plain_kernels_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    values = _random_inputs()
    fast = _both(values, PatternConfig())
    assert fast[0].active.any() and set(np.unique(fast[1].side)) == {-1, 0, 1}
    layers = (sys.modules[l30_volatility_compression.__module__], sys.modules[l31_volatility_expansion.__module__])
    for module in (arith, order, occurrence, compression, *layers):
        for key, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, key, python_of(value))
    slow = _both(values, PatternConfig())
    for a, b in zip(fast, slow, strict=True):
        same(a, b)
    assert all(x.dtype in (np.int64, np.float64) for signals in slow for x in leaves(signals))


@pytest.mark.parametrize("key", [k for k in PatternConfig._fields if k.startswith(("compression_", "expansion_"))])
def test_a_small_change_of_a_parameter_leaves_most_occurrences(key: str) -> None:
    """A tenth more or less; the same occurrence begins at most five bars earlier or later."""
    values, usual = _random_inputs(), PatternConfig()
    value = getattr(usual, key)
    step = round(0.1 * value) if isinstance(value, int) else 0.1 * value
    for other in (value - step, value + step):
        for was, now in zip(_both(values, usual), _both(values, usual._replace(**{key: other})), strict=True):
            begins = was.age == 0.0
            again = np.apply_along_axis(np.convolve, 0, 1.0 * now.active, np.ones(11), "same") > 0.0
            assert begins.sum() >= 5
            assert again[begins].mean() > 0.5
