"""L63 against a book walked by hand and by numerical integration, and its monotony."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate

from dataflows.config import ConfigError, resolve
from dataflows.data.types import DataConfig, Market
from dataflows.kinematics.types import Returns
from dataflows.microstructure.book_walk import Guard, safe_side, tradeability, walk_side
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.microstructure.l63_tradeability import l63_tradeability
from dataflows.microstructure.types import (
    DEEP,
    NORMAL,
    THIN,
    BookImbalance,
    FlowToxicity,
    OrderFlowImbalance,
    PriceImpact,
    SpreadDepth,
    Tradeability,
    TradePressure,
)
from dataflows.panel import Floats, leaves
from dataflows.regime.types import Regime
from dataflows.runtime.compile import python_of
from tests.dataflows.microstructure.markets import bars_only, instruments, random_book, traded, with_book
from tests.support import carry_of, filled, run_columnar

CONFIG = MicrostructureConfig(proxy_window_bars=20, proxy_errors=0.0)
SMALL = CONFIG._replace(order_notionals=(50.0, 500.0, 5_000.0), depth_scale=100.0)


def spread_depth(market: Market, feed: Any = 1, config: MicrostructureConfig = CONFIG, **contract: Any) -> SpreadDepth:
    facts = instruments(market.bars.close.shape[1], feed=feed, **contract)
    return run_columnar(
        l8_spread_depth, {"l0_market_feed": market, "instruments": facts}, {"microstructure": config, "data": DataConfig()}
    )


def run(
    market: Market,
    feed: Any = 1,
    config: MicrostructureConfig = CONFIG,
    chaotic: Any = 0.0,
    *,
    impact: Any = 0.0,
    toxic: Any = 0.0,
    imbalance: Any = 0.0,
    pressure: Any = 0.0,
    flow_z: Any = 0.0,
    usual: Any = 5e-4,
    contract: dict[str, Any] | None = None,
    **kwargs: Any,
) -> Tradeability:
    shape = market.bars.close.shape

    def panel(x: Any) -> Floats:
        return np.broadcast_to(np.asarray(x, float), shape).copy()

    given_ = {
        "l0_market_feed": market,
        "l1_regime": filled(Regime, shape, chaotic=panel(chaotic)),
        "l2_returns_volatility": filled(Returns, shape, sigma_slow=panel(usual)),
        "l8_spread_depth": spread_depth(market, feed, config, **contract or {}),
        "instruments": instruments(shape[1], feed=feed, **contract or {}),
        "l9_book_imbalance": filled(BookImbalance, shape, smoothed=panel(imbalance)),
        "l10_trade_pressure": filled(TradePressure, shape, pressure=panel(pressure)),
        "l59_price_impact": filled(PriceImpact, shape, lambda_sqrt=panel(impact)),
        "l61_flow_toxicity": filled(FlowToxicity, shape, vpin_percentile=panel(toxic)),
        "l62_order_flow_imbalance": filled(OrderFlowImbalance, shape, ofi_z=panel(flow_z)),
    }
    out: Tradeability = run_columnar(l63_tradeability, given_, {"microstructure": config}, **kwargs)
    return out


def one(price: list[float], size: list[float]) -> tuple[Floats, Floats]:
    return np.array([[price]]), np.array([[size]])


def marginal(q: float, away: Floats, notional: Floats, band: float) -> float:
    """Distance from mid at which the q-th unit of notional fills, written from its description."""
    keep = (away <= band) | (np.arange(len(away)) == 0)
    depth = np.cumsum(notional[keep])
    if q <= depth[-1]:
        return float(away[keep][np.searchsorted(depth, q)])
    return float(max(band, away[0]) * np.sqrt(q / depth[-1]))


@given(seed=st.integers(0, 2**32 - 1), notional=st.floats(1.0, 1e6))
@settings(max_examples=40, deadline=None)
def test_slippage_is_the_integral_of_marginal_cost(seed: int, notional: float) -> None:
    rng = np.random.default_rng(seed)
    away, size = np.cumsum(rng.uniform(0.1, 5.0, 6)), 10.0 ** rng.uniform(-1, 2, 6)
    price = 100.0 * (1.0 + 1e-4 * away)
    got = walk_side(price[None, None], size[None, None], 0, 0, 100.0, 1.0, 10.0, 0.0, notional, 1.0, 0)
    keep = (away <= 10.0) | (np.arange(6) == 0)
    stops = [x for x in np.cumsum((price * size)[keep]) if x < notional]
    pieces = [0.0, *stops, notional]
    area = sum(
        integrate.quad(marginal, a, b, args=(away, price * size, 10.0), epsrel=1e-10)[0] for a, b in itertools.pairwise(pieces)
    )
    assert got == pytest.approx(area / notional, rel=1e-7)


@given(seed=st.integers(0, 2**32 - 1), notional=st.floats(1e3, 1e7), impact=st.floats(0.0, 0.5))
@settings(max_examples=40, deadline=None)
def test_what_the_book_does_not_show_costs_the_dearer_of_both_laws(seed: int, notional: float, impact: float) -> None:
    rng = np.random.default_rng(seed)
    away, size = np.cumsum(rng.uniform(0.1, 5.0, 6)), 10.0 ** rng.uniform(-1, 2, 6)
    price = 100.0 * (1.0 + 1e-4 * away)
    keep = (away <= 10.0) | (np.arange(6) == 0)
    shown, edge = (price * size)[keep].sum(), max(10.0, away[0])

    def cost(impact_bps: float) -> float:
        return walk_side(price[None, None], size[None, None], 0, 0, 100.0, 1.0, 10.0, impact_bps, notional, 1.0, 0) * notional

    if notional <= shown:
        assert cost(impact) == cost(0.0)
        return
    visible = float((away * price * size)[keep].sum())
    moved = integrate.quad(lambda q: edge + impact * np.sqrt(q - shown), shown, notional, epsrel=1e-10)[0]
    assert cost(impact) == pytest.approx(max(cost(0.0), visible + moved), rel=1e-7)


def test_the_safe_notional_costs_the_limit_or_is_all_that_is_shown() -> None:
    price, size = one([100.01, 100.05, 100.09, 101.0], [1.0, 5.0, 10.0, 1e9])
    shown = 100.01 + 5 * 100.05 + 10 * 100.09
    assert safe_side(price, size, 0, 0, 100.0, 1.0, 10.0, 20.0, 1.0, 0) == pytest.approx(shown)
    for limit in (2.0, 4.0, 6.0):
        safe = safe_side(price, size, 0, 0, 100.0, 1.0, 10.0, limit, 1.0, 0)
        assert 100.0 < safe < shown
        assert walk_side(price, size, 0, 0, 100.0, 1.0, 10.0, 0.0, safe, 1.0, 0) == pytest.approx(limit)
    assert safe_side(price, size, 0, 0, 100.0, 1.0, 10.0, 0.5, 1.0, 0) == 0.0


def test_a_book_walked_by_hand() -> None:
    bp, bs = one([99.99, 99.98], [100.0, 1000.0])
    ap, az = one([100.01, 100.03], [50.0, 1000.0])
    out = run(with_book(bp, bs, ap, az))
    buy = [1.0, (5000.5 * 1.0 + 4999.5 * 3.0) / 1e4, (5000.5 * 1.0 + 94999.5 * 3.0) / 1e5]
    np.testing.assert_allclose(out.slippage_bps[0, 0], buy, rtol=1e-9)  # the asks are the worse side
    assert out.max_safe_notional[0, 0] == pytest.approx(100.01 * 50 + 100.03 * 1000)  # and show less


def score(book: tuple[Floats, ...], age: Floats | None = None, **more: Any) -> Tradeability:
    return run(with_book(*book, age=age), config=SMALL, **more)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_score_never_rises_with_a_wider_spread_a_thinner_book_staler_data_or_more_toxic_flow(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mid, shape = 100.0, (3, 2)
    away = np.cumsum(rng.uniform(0.2, 3.0, (2, *shape, 6)), axis=3) * 1e-4
    away[1, :, :, 0] = away[0, :, :, 0]  # the touch lies evenly about mid, so that widening it leaves mid where it is
    size = 10.0 ** rng.uniform(-0.5, 1.5, (2, *shape, 6))

    def book(factor: float, keep: Floats) -> tuple[Floats, ...]:
        return mid * (1 - factor * away[0]), size[0] * keep[0], mid * (1 + factor * away[1]), size[1] * keep[1]

    whole = np.ones((2, *shape, 6))
    thin = whole * rng.uniform(0.1, 1.0, (2, *shape, 6))
    holes = np.where((rng.random((2, *shape, 6)) < 0.4) & (np.arange(6) > 0), 0.0, 1.0)
    usual = {
        "impact": rng.exponential(1e-4),
        "toxic": rng.random(),
        "imbalance": rng.uniform(-1.0, 1.0),
        "pressure": rng.uniform(-1.0, 1.0),
        "flow_z": rng.normal(0.0, 3.0),
    }
    best = score(book(1.0, whole), **usual)
    louder = {k: v * (1.0 + rng.random()) for k, v in usual.items()}
    worse = [
        *(score(book(1.0, whole), **{**usual, k: louder[k]}) for k in usual),
        *(score(book(1.0, whole), **{**usual, k: np.nan}) for k in usual if k != "impact"),
        score(book(1.0 + rng.exponential(2.0), whole), **usual),
        score(book(1.0, thin), **usual),
        score(book(1.0, holes), **usual),
        score(book(1.0, whole), age=np.full(shape, rng.uniform(0.0, 6.0)), **usual),
        score(book(1.0, whole), chaotic=rng.random(), **usual),
    ]
    assert ((best.score >= 0.0) & (best.score <= 1.0)).all()
    for other in worse:
        assert (other.score <= best.score + 1e-12).all()
        assert (other.slippage_bps >= best.slippage_bps - 1e-9).all()


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_slippage_never_falls_with_size(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = tuple(np.sort(10.0 ** rng.uniform(0.0, 7.0, 3)).tolist())
    config = CONFIG._replace(order_notionals=sizes)
    for out in (
        run(with_book(*random_book(rng, (20, 2))), config=config),
        run(traded(rng, 60, 2, spread=1e-3, sigma=5e-4), feed=0, config=config),
    ):
        known = np.isfinite(out.slippage_bps).all(axis=2)
        assert known.any()
        assert (np.diff(out.slippage_bps[known], axis=1) >= 0.0).all()
        assert (out.slippage_bps[known] > 0.0).all()


@pytest.mark.parametrize(
    "fault",
    [
        "empty book",
        "one side",
        "crossed",
        "unlisted",
        "closed",
        "stale bar",
        "stale book",
        "unknown age",
        "unknown regime",
        "wide",
    ],
)
def test_what_is_unknown_stale_or_shut_is_avoided(fault: str) -> None:
    t = slice(10, 20)
    bp, bs, ap, az = random_book(np.random.default_rng(1), (30, 1))
    bs, az = bs * 1e3, az * 1e3
    age, chaotic = np.zeros((30, 1)), np.zeros((30, 1))
    if fault == "empty book":
        for x in (bp, bs, ap, az):
            x[t] = np.nan
    if fault == "one side":
        bp[t], bs[t] = np.nan, np.nan
    if fault == "crossed":
        bp[t], ap[t] = ap[t].copy(), bp[t].copy()
    if fault == "stale book":
        age[t] = 5.5
    if fault == "unknown age":
        age[t] = np.nan
    if fault == "unknown regime":
        chaotic[t] = np.nan
    if fault == "wide":
        bp[t] *= 0.99
    market = with_book(bp, bs, ap, az, age)
    if fault == "unlisted":
        market.quality.listed[t] = 0
    if fault == "closed":
        market.session.is_open[t] = 0
    if fault == "stale bar":
        market.quality.stale[t] = 6.0
    out = run(market, chaotic=chaotic)
    assert (out.avoid[t] == 1).all()
    assert (out.avoid[:10] == 0).all() and (out.avoid[20:] == 0).all()
    if fault in ("empty book", "one side", "crossed"):
        assert np.isnan(out.score[t]).all() and np.isnan(out.slippage_bps[t]).all() and np.isnan(out.max_safe_notional[t]).all()
        assert (out.liquidity_class[t] == -1).all()


def test_avoid_and_class_go_by_hysteresis() -> None:
    """A thinner and thinner, then ever deeper book: each change of mind comes later than the one before it was undone."""
    n = 400
    factor = 10.0 ** np.concatenate([np.linspace(2.0, -3.0, n // 2), np.linspace(-3.0, 2.0, n // 2)])[:, None, None]
    bp, bs, ap, az = (np.repeat(x[:1], n, axis=0) for x in random_book(np.random.default_rng(2), (1, 1)))
    out = run(with_book(bp, bs * factor, ap, az * factor), config=SMALL)
    down, up = slice(0, n // 2), slice(n // 2, n)
    s, avoid, grade = out.score[:, 0], out.avoid[:, 0], out.liquidity_class[:, 0]
    np.testing.assert_array_equal(avoid[down], (s[down] < SMALL.avoid_below).astype(int))
    np.testing.assert_array_equal(avoid[up], (s[up] < SMALL.resume_above).astype(int))
    assert set(grade) == {THIN, NORMAL, DEEP}
    np.testing.assert_array_equal(grade[down] == THIN, s[down] < SMALL.thin_below)
    np.testing.assert_array_equal(grade[up] == THIN, s[up] < SMALL.thin_until)
    np.testing.assert_array_equal(grade[down] == DEEP, s[down] >= SMALL.deep_until)
    np.testing.assert_array_equal(grade[up] == DEEP, s[up] > SMALL.deep_above)


def test_a_score_between_the_marks_does_not_end_avoid_at_the_start() -> None:
    bp, bs, ap, az = random_book(np.random.default_rng(3), (50, 1))
    level = run(with_book(bp, bs, ap, az), config=SMALL).score.min()
    config = SMALL._replace(
        avoid_below=level / 2, resume_above=0.9999, thin_below=0.99991, thin_until=0.99992, deep_until=0.99993
    )
    assert (run(with_book(bp, bs, ap, az), config=config).avoid == 1).all()


@pytest.mark.parametrize(("per_bar", "usable"), [(5e6, True), (1e5, True), (500.0, False)])
def test_a_liquid_symbol_without_a_book_can_be_traded_and_an_illiquid_one_cannot(per_bar: float, usable: bool) -> None:
    market = traded(np.random.default_rng(4), 300, 1, spread=2e-4, sigma=5e-4)
    market = market._replace(bars=market.bars._replace(volume=market.bars.volume * per_bar / 100.0))
    out = run(market, feed=0)
    assert (out.avoid[:20] == 1).all()
    assert (out.avoid[30:] == 0).all() if usable else (out.avoid == 1).all()


def test_proxied_slippage_and_safe_notional_agree() -> None:
    market = traded(np.random.default_rng(5), 100, 1, spread=1e-3, sigma=3e-4)
    seen = spread_depth(market, 0)
    out = run(market, feed=0)
    safe = float(out.max_safe_notional[99, 0])
    assert 0.0 < safe <= seen.bid_depth[99, 0]
    again = run(market, feed=0, config=CONFIG._replace(order_notionals=(safe / 4, safe / 2, safe)))
    assert again.slippage_bps[99, 0, 2] == pytest.approx(CONFIG.safe_slippage_bps)


def test_impact_raises_the_cost_and_lowers_what_is_safe_without_a_book_too() -> None:
    market = traded(np.random.default_rng(5), 100, 1, spread=1e-3, sigma=3e-4)
    free, dear = (run(market, feed=0, impact=x) for x in (0.0, 3e-3))
    half = 0.5 * spread_depth(market, 0).spread_bps[99, 0]
    sizes = np.array(CONFIG.order_notionals)
    np.testing.assert_allclose(dear.slippage_bps[99, 0], half + 2.0 / 3.0 * 30.0 * np.sqrt(sizes))
    safe = float(dear.max_safe_notional[99, 0])
    assert 0.0 < safe < free.max_safe_notional[99, 0]
    assert half + 2.0 / 3.0 * 30.0 * np.sqrt(safe) == pytest.approx(CONFIG.safe_slippage_bps)
    for unknown in (np.nan, -1.0):
        np.testing.assert_array_equal(run(market, feed=0, impact=unknown).slippage_bps, free.slippage_bps)


def test_flow_to_one_side_costs_as_much_as_is_configured() -> None:
    market = with_book(*random_book(np.random.default_rng(9), (5, 1)))
    base = score_logit(run(market))
    assert base - score_logit(run(market, toxic=0.5)) == pytest.approx(0.5 * CONFIG.toxic_weight)
    third = CONFIG.lean_weight / 3.0
    assert base - score_logit(run(market, pressure=-0.5, imbalance=0.25)) == pytest.approx(0.75 * third)
    assert base - score_logit(run(market, flow_z=-9.0)) == pytest.approx(third)
    assert base - score_logit(run(market, flow_z=np.nan)) == pytest.approx(third)
    bars = traded(np.random.default_rng(5), 100, 1, spread=1e-3, sigma=3e-4)
    np.testing.assert_array_equal(run(bars, feed=0, imbalance=np.nan).score, run(bars, feed=0).score)


def score_logit(out: Tradeability) -> float:
    p = float(out.score[-1, 0])
    return float(np.log(p / (1.0 - p)))


def test_an_unknown_bar_without_a_book_is_avoided() -> None:
    market = traded(np.random.default_rng(6), 100, 1, spread=2e-4, sigma=5e-4)
    bars = {k: getattr(market.bars, k).copy() for k in ("close", "high", "low", "volume")}
    bars["volume"] *= 1e4
    for x in bars.values():
        x[60:70] = np.nan
    out = run(bars_only(**bars), feed=0)
    assert (out.avoid[60:70] == 1).all() and (out.avoid[70:] == 0).all() and (out.avoid[30:60] == 0).all()


def test_prices_times_four_and_sizes_over_four_change_nothing() -> None:
    bp, bs, ap, az = random_book(np.random.default_rng(7), (50, 2))
    a, b = run(with_book(bp, bs, ap, az)), run(with_book(4 * bp, bs / 4, 4 * ap, az / 4))
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-9)


def ragged(seed: int, bars: int = 200) -> tuple[Market, Floats]:
    rng = np.random.default_rng(seed)
    book = random_book(rng, (bars, 3))
    for x in book:
        x[rng.random((bars, 3)) < 0.1] = np.nan
    m = traded(rng, bars, 3, spread=1e-3, sigma=5e-4)
    quality = m.quality._replace(stale=rng.choice([0.0, 1.0, 4.0, 7.0, np.nan], (bars, 3), p=[0.8, 0.05, 0.05, 0.05, 0.05]))
    return m._replace(book=with_book(*book, age=rng.exponential(1.0, (bars, 3))).book, quality=quality), rng.random((bars, 3))


@given(cuts=st.sets(st.integers(1, 199), max_size=8), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_output_is_the_same_however_the_bars_are_cut(cuts: set[int], seed: int) -> None:
    market, chaotic = ragged(seed)
    feed = np.array([1, 0, 1])
    whole = run(market, feed, SMALL, chaotic)
    for pieces in (cuts, range(1, 200)):
        for a, b in zip(leaves(whole), leaves(run(market, feed, SMALL, chaotic, cuts=pieces)), strict=True):
            assert a.tobytes() == b.tobytes()


def test_compiled_equals_plain() -> None:
    m, chaotic = ragged(8)
    s = spread_depth(m, np.array([1, 0, 1]), SMALL)
    marks = (0.2, 0.35, 0.6, 0.7, 0.9, 0.95)
    results = []
    for f in (tradeability, python_of(tradeability)):
        guard: Guard = carry_of(l63_tradeability, 3, {"microstructure": SMALL}).guard
        out = f(
            m.quality.listed,
            m.session.is_open,
            m.quality.stale,
            m.book.age,
            chaotic,
            s.mid,
            s.spread_bps,
            s.bid_depth,
            s.ask_depth,
            s.proxied,
            m.book.bid_price,
            m.book.bid_size,
            m.book.ask_price,
            m.book.ask_size,
            *np.random.default_rng(9).normal(0.0, [[[[1e-4]], [[1.0]], [[1.0]], [[1.0]], [[3.0]]]], (1, 5, *chaotic.shape))[0],
            np.array([1.0, 50.0, 100.0]),
            np.array([0, 0, 1]),
            np.full(chaotic.shape, 1.5),
            10.0,
            SMALL.order_notionals,
            10.0,
            5.0,
            4.0,
            10.0,
            100.0,
            10.0,
            3.0,
            3.0,
            1.0,
            0.5,
            4.0,
            marks,
            guard,
        )
        results.append([*out, *guard])
    for a, b in zip(*results, strict=True):
        assert a.tobytes() == b.tobytes()


def test_contradictory_marks_and_sizes_are_refused() -> None:
    for values, key in (
        ({"avoid_below": 0.4}, "avoid_below"),
        ({"order_notionals": (1e3, 1e3, 1e4)}, "order_notionals"),
        ({"deep_above": 0.85}, "deep_until"),
    ):
        with pytest.raises(ConfigError, match=key):
            resolve(MicrostructureConfig, values, source="config/microstructure.yml")
    assert resolve(MicrostructureConfig, {}, source="-") == MicrostructureConfig()


def test_a_cost_is_held_against_what_a_bar_usually_moves() -> None:
    """Days move by 150 bps: their scales in bps are 15 times those of minutes, and below the usual move nothing changes."""
    market = traded(np.random.default_rng(2), 200, 1, spread=3e-3, sigma=5e-4)
    scales = ("safe_slippage_bps", "spread_scale_bps", "slippage_scale_bps")
    wider = CONFIG._replace(**{name: 15.0 * getattr(CONFIG, name) for name in scales})
    np.testing.assert_allclose(run(market, 0, usual=0.015).score, run(market, 0, wider).score, rtol=1e-12)
    np.testing.assert_allclose(
        run(market, 0, usual=0.015).max_safe_notional, run(market, 0, wider).max_safe_notional, rtol=1e-12
    )
    for usual in (0.0, 1e-3, np.nan):
        np.testing.assert_array_equal(run(market, 0, usual=usual).score, run(market, 0).score)
    assert (run(market, 0).max_safe_notional[-1] == 0.0).all() and (
        run(market, 0, usual=0.015).max_safe_notional[-1] > 0.0
    ).all()
