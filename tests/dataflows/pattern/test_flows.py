"""L34, L45, L46 and L47: drawn flow and books that must fire, their mirror images, and near misses."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import Bars, Market, Quality, unknown_instruments
from dataflows.kernels import arith, smooth, window
from dataflows.kinematics.types import Returns, Slope
from dataflows.microstructure.types import (
    BookImbalance,
    OrderFlowImbalance,
    PriceImpact,
    SpreadDepth,
    Tradeability,
    TradePressure,
)
from dataflows.panel import Floats
from dataflows.pattern import flows, occurrence
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l34_liquidity_vacuum import l34_liquidity_vacuum
from dataflows.pattern.l45_absorption import l45_absorption
from dataflows.pattern.l46_flow_continuation import l46_flow_continuation
from dataflows.pattern.l47_impact_reversal import l47_impact_reversal
from dataflows.pattern.types import PatternSignal
from dataflows.runtime.compile import python_of
from tests.dataflows.kinematics.chain import same
from tests.support import filled, run_columnar

QUIET = 40
SIGMA = 1e-3
SOON = 6
"""Bars within which an occurrence is the same one, under slightly other parameters."""
SIDES = pytest.mark.parametrize("s", [1, -1])
BRISK = PatternConfig(
    vacuum_usual_bars=20,
    vacuum_life_bars=6,
    absorption_bars=5,
    absorption_usual_bars=20,
    absorption_volume_times=2.0,
    absorption_lean=0.3,
    absorption_life_bars=6,
    flow_bars=5,
    flow_share=0.6,
    flow_life_bars=6,
    impact_halflife_bars=4.0,
    impact_life_bars=6,
)
LAYERS: tuple[Any, ...] = (l34_liquidity_vacuum, l45_absorption, l46_flow_continuation, l47_impact_reversal)
OWN_KEYS = {"l34": "vacuum_", "l45": "absorption_", "l46": "flow_", "l47": "impact_"}


def market(close: Floats, volume: Floats, valid: Any = None) -> Market:
    shape = close.shape
    on = np.ones(shape, np.int64) if valid is None else valid
    bars = filled(Bars, shape, 1.0, close=close, volume=volume)
    made: Market = filled(Market, shape, 0.0, bars=bars, quality=filled(Quality, shape, 0.0, valid=on))
    return made


def world(moves: Floats, valid: Any = None, **panels: Any) -> dict[str, Any]:
    """What the four patterns take, everything quiet but what is given. moves: log returns (T, N)."""
    shape = moves.shape
    close = 100.0 * np.exp(np.cumsum(moves, axis=0))
    back = np.vstack([np.zeros((5, shape[1])), np.cumsum(moves, axis=0)])[:-5]
    r_5 = np.cumsum(moves, axis=0) - back

    def given(name: str, quiet: float) -> Any:
        return np.ascontiguousarray(panels.get(name, np.full(shape, quiet)))

    return {
        "l0_market_feed": market(close, given("volume", 10.0), valid),
        "instruments": unknown_instruments(shape[1]),
        "l2_returns_volatility": filled(
            Returns, shape, SIGMA, r_1=moves.copy(), r_5=r_5, sigma=given("sigma", SIGMA), atr=given("atr", 0.1)
        ),
        "l8_spread_depth": filled(
            SpreadDepth,
            shape,
            100.0,
            bid_depth=given("bid_depth", 100.0),
            ask_depth=given("ask_depth", 100.0),
            spread_bps=given("spread", 2.0),
            proxied=given("proxied", 0).astype(np.int64),
        ),
        "l63_tradeability": filled(Tradeability, shape, 0.0, score=given("score", 0.5), slippage_bps=np.zeros((*shape, 3))),
        "l9_book_imbalance": filled(BookImbalance, shape, 0.0, smoothed=given("smoothed", 0.0)),
        "l10_trade_pressure": filled(
            TradePressure, shape, 0.0, signed_volume=given("signed", 0.0), pressure=given("pressure", 0.0)
        ),
        "l12_regression_slope_short": filled(Slope, shape, 0.0, slope=given("slope", 0.0), t_stat=given("t_stat", 0.0)),
        "l59_price_impact": filled(PriceImpact, shape, 0.0, lambda_sqrt=given("law", 1e-4), r2=given("r2", 0.5)),
        "l62_order_flow_imbalance": filled(OrderFlowImbalance, shape, 0.0, ofi_z=given("ofi_z", 0.0)),
    }


def signal(fn: Any, values: Mapping[str, Any], config: PatternConfig = BRISK) -> PatternSignal:
    made: PatternSignal = run_columnar(fn, {k: v for k, v in values.items() if k in fn.__annotations__}, {"pattern": config})
    return made


def drawing(bars: int, **rows: Mapping[int, float]) -> dict[str, Floats]:
    """Panels of one symbol that are quiet but on bars of the drawing; the quiet value is that of key -1."""
    made = {}
    for name, marks in rows.items():
        x = np.full((QUIET + bars, 1), marks.get(-1, 0.0))
        for at, v in marks.items():
            if at >= 0:
                x[QUIET + at] = v
        made[name] = x
    return made


def lives(got: PatternSignal) -> tuple[list[int], list[int]]:
    assert not got.active[:QUIET].any()
    return got.active[QUIET:, 0].tolist(), got.side[QUIET:, 0].tolist()


# L34


def vacuum(
    s: int, *, move: float = 3.0, depth: float = 30.0, spread: float = 5.0, then: float = 0.0, **more: Any
) -> PatternSignal:
    near = "ask_depth" if s > 0 else "bid_depth"
    drawn = drawing(
        10,
        moves={0: s * move * SIGMA, 2: s * then * SIGMA},
        spread={-1: 2.0, 0: spread},
        score={-1: 0.5, 0: 0.2},
        **{near: {-1: 100.0, 0: depth}},
    )
    return signal(l34_liquidity_vacuum, world(**(drawn | more)))


@SIDES
def test_a_run_into_an_emptied_book_lives_for_its_life(s: int) -> None:
    got = vacuum(s)
    active, sides = lives(got)
    assert active == [1] * 6 + [0] * 4
    assert sides == [s] * 6 + [0] * 4
    assert got.confidence[QUIET, 0] == pytest.approx(0.5 * (1.0 - 30.0 / 100.0) + 0.5 * (1.0 - 0.2))


@SIDES
def test_a_vacuum_ends_where_the_price_is_back(s: int) -> None:
    assert lives(vacuum(s, then=-3.5))[0] == [1, 1] + [0] * 8


@SIDES
@pytest.mark.parametrize("why", [{"move": 2.0}, {"depth": 55.0}, {"spread": 2.9}, {"depth": math.nan}, {"spread": math.nan}])
def test_near_misses_of_a_vacuum(s: int, why: dict[str, float]) -> None:
    assert not vacuum(s, **why).active.any()


@SIDES
def test_a_vacuum_is_on_the_side_that_the_price_runs_into(s: int) -> None:
    assert not vacuum(s, moves=drawing(10, moves={0: -s * 3.0 * SIGMA})["moves"]).active.any()


def test_a_symbol_without_a_book_has_no_vacuum() -> None:
    assert not vacuum(1, proxied=np.ones((QUIET + 10, 1))).active.any()


# L45


def absorbed(
    s: int, *, volume: float = 30.0, lean: float = 0.6, progress: float = 0.3, then: float = 0.0, **more: Any
) -> PatternSignal:
    """Aggressor s trades for five bars; the price goes `progress` deviations with them."""
    run = range(5)
    drawn = drawing(
        14,
        moves={**{i: s * progress * SIGMA / math.sqrt(5.0) for i in run}, 6: s * then},
        volume={-1: 10.0, **dict.fromkeys(run, volume)},
        signed=dict.fromkeys(run, s * lean * volume),
    )
    return signal(l45_absorption, world(**(drawn | more)))


@SIDES
def test_what_is_absorbed_points_against_the_aggressor(s: int) -> None:
    got = absorbed(s)
    active, sides = lives(got)
    began = active.index(1)
    assert began <= 4 and set(sides) == {0, -s}
    assert active[began : began + 6] == [1] * 6
    assert 0.3 < got.confidence[QUIET + began, 0] < 1.0


@SIDES
@pytest.mark.parametrize("why", [{"volume": 15.0}, {"lean": 0.25}, {"progress": 3.0}, {"lean": math.nan}])
def test_near_misses_of_absorption(s: int, why: dict[str, float]) -> None:
    assert not absorbed(s, **why).active.any()


@SIDES
def test_absorption_ends_where_the_aggressor_gets_through(s: int) -> None:
    active, _ = lives(absorbed(s, then=0.002))  # over 0.1, an ATR
    assert active[5] == 1 and active[6] == 0


# L46


def pushed(
    s: int, *, bars: int = 5, pressure: float = 0.4, t: float = 3.0, book: float = 0.5, then: float = 0.0, against: int = 0
) -> PatternSignal:
    run = range(5)
    z = {i: s * (1.5 if i < bars else -1.5) for i in run}
    drawn = drawing(
        14,
        moves={**dict.fromkeys(run, s * SIGMA), 6: s * then},
        ofi_z=z,
        pressure=dict.fromkeys(run, s * pressure),
        slope=dict.fromkeys(run, s * SIGMA),
        t_stat=dict.fromkeys(run, s * t),
        smoothed=dict.fromkeys(run, s * book),
    )
    return signal(l46_flow_continuation, world(**drawn))


@SIDES
def test_flow_that_goes_on_points_its_way(s: int) -> None:
    got = pushed(s)
    active, sides = lives(got)
    assert active == [0, 0] + [1] * 6 + [0] * 6  # three of five bars suffice
    assert set(sides) == {0, s}
    assert got.confidence[QUIET + 2, 0] == pytest.approx(0.25 * (0.6 + 0.4 + 0.5 + 0.75))


@SIDES
@pytest.mark.parametrize("why", [{"bars": 2}, {"pressure": 0.1}, {"t": 1.5}, {"t": -3.0}, {"pressure": math.nan}])
def test_near_misses_of_flow_that_goes_on(s: int, why: dict[str, Any]) -> None:
    assert not pushed(s, **why).active.any()


@SIDES
@pytest.mark.parametrize("book", [-0.5, math.nan])
def test_a_book_that_leans_the_other_way_or_is_not_there_only_weakens(s: int, book: float) -> None:
    with_book, without = pushed(s), pushed(s, book=book)
    assert lives(with_book) == lives(without)
    assert 0.0 < without.confidence[QUIET + 2, 0] < with_book.confidence[QUIET + 2, 0]


@SIDES
def test_flow_that_goes_on_ends_where_the_price_is_back(s: int) -> None:
    assert lives(pushed(s, then=-8.0 * SIGMA))[0][5:8] == [1, 0, 0]


# L47


def faded(s: int, *, flow: float = 4.0, bars: int = 3, then: float = 0.0, law: float = 1e-4) -> PatternSignal:
    """Flow on side s for three bars, then none: at a law of 1e-4 each makes 1e-4 * sqrt(flow * price)."""
    run = range(bars)
    drawn = drawing(
        14, moves={**dict.fromkeys(run, s * 2.0 * SIGMA), 6: s * then}, signed=dict.fromkeys(run, s * flow), law={-1: law}
    )
    return signal(l47_impact_reversal, world(**drawn))


@SIDES
def test_an_impact_that_fades_points_against_its_flow(s: int) -> None:
    got = faded(s)
    active, sides = lives(got)
    left = 0.5 ** (1.0 / 4.0)
    wait = next(i for i in range(9) if left**i <= BRISK.impact_left)
    assert active == [0] * (2 + wait) + [1] * 6 + [0] * (6 - wait)
    assert set(sides) == {0, -s}
    each = 1e-4 * math.sqrt(4.0 * 100.0)
    peak = each * (1.0 + left + left**2) * math.sqrt(1.0 - left**2) / SIGMA
    assert got.confidence[QUIET + 2 + wait, 0] == pytest.approx(
        0.5 * 0.5 + 0.5 * peak / (1.0 + peak), abs=1e-3
    )  # the price has moved a little


@SIDES
@pytest.mark.parametrize("why", [{"flow": 1.0}, {"law": -1e-4}, {"law": math.nan}, {"flow": math.nan}])
def test_near_misses_of_a_fading_impact(s: int, why: dict[str, Any]) -> None:
    assert not faded(s, **why).active.any()


@SIDES
def test_a_reversal_ends_with_a_close_beyond_the_flows_swing(s: int) -> None:
    active, _ = lives(faded(s, then=2.0 * SIGMA))
    assert active[5] == 1 and active[6] == 0


# all four


def noisy(bars: int = 3000, symbols: int = 2, seed: int = 1) -> dict[str, Any]:
    """Flow that persists and moves the price, a book that thins at times."""
    rng = np.random.default_rng(seed)
    shape = (bars, symbols)

    def slow(keep: float) -> Any:
        x = rng.normal(0.0, 1.0, shape)
        for t in range(1, bars):
            x[t] = keep * x[t - 1] + math.sqrt(1.0 - keep * keep) * x[t]
        return x

    flow, book, drift = slow(0.9), slow(0.8), slow(0.95)
    volume = rng.gamma(2.0, 5.0, shape) * np.exp(0.5 * np.abs(flow))
    signed = volume * np.tanh(0.7 * flow)
    moves = SIGMA * (0.2 * np.sign(signed) * np.sqrt(np.abs(signed) / 10.0) + rng.normal(0.0, 0.8, shape))
    valid = (rng.random(shape) > 0.02).astype(np.int64)
    return world(
        moves,
        valid,
        volume=volume,
        signed=signed,
        pressure=np.tanh(0.6 * flow),
        ofi_z=flow + rng.normal(0.0, 0.7, shape),
        smoothed=np.tanh(book),
        slope=SIGMA * drift,
        t_stat=3.0 * drift + flow,
        bid_depth=100.0 * np.exp(0.8 * book),
        ask_depth=100.0 * np.exp(-0.8 * book),
        spread=2.0 * np.exp(0.8 * np.abs(slow(0.7))),
        score=rng.random(shape),
        sigma=SIGMA * np.exp(0.2 * slow(0.99)),
        r2=rng.random(shape),
    )


@pytest.mark.parametrize("fn", [l45_absorption, l46_flow_continuation, l47_impact_reversal], ids=lambda fn: fn.__name__[:3])
def test_flow_that_is_the_return_itself_is_no_flow(fn: Any) -> None:
    values = noisy(1500)
    assert signal(fn, values, PatternConfig()).active.any()
    flow = values["l10_trade_pressure"]
    values["l10_trade_pressure"] = flow._replace(proxied=np.ones_like(flow.proxied))
    assert not signal(fn, values, PatternConfig()).active.any()


@pytest.mark.parametrize("fn", LAYERS, ids=lambda fn: fn.__name__[:3].upper())
def test_a_small_change_of_a_parameter_keeps_most_occurrences(fn: Any) -> None:
    values = noisy()
    config = PatternConfig(vacuum_usual_bars=120)
    base = signal(fn, values, config)
    began = base.age == 0.0
    assert 20 < began.sum() < began.size / 4
    assert set(np.unique(base.side)) == {-1, 0, 1}
    assert (np.sign(base.side[began]) == 1).mean() == pytest.approx(0.5, abs=0.2)
    for key in (k for k in config._fields if k.startswith(OWN_KEYS[fn.__name__[:3]])):
        value = getattr(config, key)
        for factor in (0.9, 1.1):
            other = signal(fn, values, config._replace(**{key: type(value)(value * factor)}))
            kept = sum(1 for t, n in np.argwhere(began) if (other.side[t : t + SOON, n] == base.side[t, n]).any())
            assert kept > 0.5 * began.sum(), (key, factor)


@pytest.mark.parametrize("fn", LAYERS, ids=lambda fn: fn.__name__[:3].upper())
def test_compiled_and_plain_kernels_give_the_same_bits(fn: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    values = noisy(900)
    fast = signal(fn, values)
    assert set(np.unique(fast.side)) == {-1, 0, 1}
    for module in (arith, flows, occurrence, smooth, window, sys.modules[fn.__module__]):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, python_of(value))
    same(fast, signal(fn, values))
