"""L8 against hand-made books, pandas and planted spreads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import DataConfig, Market
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.microstructure.spread import SpreadProxy, spread_depth
from dataflows.microstructure.types import SpreadDepth
from dataflows.panel import Floats, leaves
from dataflows.runtime.compile import python_of
from tests.dataflows.microstructure.markets import bars_only, instruments, random_book, traded, with_book
from tests.support import carry_of, run_columnar

BOOK_DATA = Path(__file__).parents[4] / "shared/data/ready/book_2025-09-04/book.parquet"
CONFIG: dict[str, Any] = {"microstructure": MicrostructureConfig(proxy_errors=0.0), "data": DataConfig()}
SHORT: dict[str, Any] = {"microstructure": MicrostructureConfig(proxy_window_bars=20, proxy_errors=0.0), "data": DataConfig()}


def run(market: Market, feed: object, configs: dict[str, Any] = CONFIG, tick: float = 0.0, **kwargs: object) -> SpreadDepth:
    facts = instruments(market.bars.close.shape[1], feed=feed, tick=tick)
    return run_columnar(l8_spread_depth, {"l0_market_feed": market, "instruments": facts}, configs, **kwargs)


def one_book(bids: list[tuple[float, float]], asks: list[tuple[float, float]]) -> Market:
    bid, ask = np.array([[bids]], float), np.array([[asks]], float)
    return with_book(*(np.ascontiguousarray(x) for x in (bid[..., 0], bid[..., 1], ask[..., 0], ask[..., 1])))


def test_a_book_by_hand() -> None:
    out = run(one_book([(99.99, 3.0), (99.95, 5.0), (99.80, 100.0)], [(100.01, 1.0), (100.05, 2.0), (100.30, 100.0)]), 1)
    assert out.mid[0, 0] == 100.0
    assert out.spread_bps[0, 0] == pytest.approx(2.0)
    assert out.microprice[0, 0] == pytest.approx((99.99 * 1.0 + 100.01 * 3.0) / 4.0)
    assert out.bid_depth[0, 0] == pytest.approx(99.99 * 3 + 99.95 * 5)  # 99.80 lies 20 bps away
    assert out.ask_depth[0, 0] == pytest.approx(100.01 + 100.05 * 2)
    assert out.slope[0, 0] == pytest.approx((out.bid_depth[0, 0] + out.ask_depth[0, 0]) / 2 / 5.0)
    assert out.proxied[0, 0] == 0


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_microprice_lies_within_the_touch(seed: int) -> None:
    book = random_book(np.random.default_rng(seed), (20, 2))
    book[1][::3] *= 1e12  # sizes as unequal as they come
    out = run(with_book(*book), 1)
    assert (book[0][:, :, 0] <= out.microprice).all() and (out.microprice <= book[2][:, :, 0]).all()


@pytest.mark.parametrize("fault", ["empty", "no bids", "no asks", "crossed", "locked", "zero size", "negative price"])
def test_a_broken_book_is_unknown_and_never_the_proxy(fault: str) -> None:
    rng = np.random.default_rng(1)
    bp, bs, ap, az = random_book(rng, (400, 1))
    t = 300
    if fault in ("empty", "no bids"):
        bp[t], bs[t] = np.nan, np.nan
    if fault in ("empty", "no asks"):
        ap[t], az[t] = np.nan, np.nan
    if fault == "crossed":
        bp[t], ap[t] = ap[t].copy(), bp[t].copy()
    if fault == "locked":
        bp[t, 0, 0] = ap[t, 0, 0]
    if fault == "zero size":
        bs[t, 0, 0] = 0.0
    if fault == "negative price":
        bp[t, 0, 0] = -1.0
    out = run(with_book(bp, bs, ap, az), 1, SHORT)
    for name in ("mid", "spread_bps", "microprice", "bid_depth", "ask_depth", "slope"):
        panel = getattr(out, name)
        assert np.isnan(panel[t, 0]), name
        assert np.isfinite(np.delete(panel, t, axis=0)).all(), name
    assert (out.proxied == 0).all()


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_fewer_levels_than_asked_for_is_as_asking_for_those(levels: int) -> None:
    book = tuple(np.ascontiguousarray(x[:, :, :levels]) for x in random_book(np.random.default_rng(2), (50, 2)))
    asked = CONFIG | {"microstructure": MicrostructureConfig(depth_levels=levels, proxy_errors=0.0)}
    padded = tuple(np.concatenate([x, np.full((50, 2, 4), np.nan)], axis=2) for x in book)
    for other in (run(with_book(*book), 1), run(with_book(*padded), 1)):
        for a, b in zip(run(with_book(*book), 1, asked), other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_touch_wider_than_the_band_has_no_depth() -> None:
    out = run(one_book([(99.0, 5.0), (98.0, 5.0)], [(101.0, 5.0), (102.0, 5.0)]), 1)
    assert out.spread_bps[0, 0] == pytest.approx(200.0)
    assert out.bid_depth[0, 0] == out.ask_depth[0, 0] == out.slope[0, 0] == 0.0


def abdi_ranaldo(market: Market, window: int) -> Floats:
    """The estimator in pandas, for bars that are all valid."""
    c, h, low = (pd.DataFrame(np.log(x)) for x in (market.bars.close, market.bars.high, market.bars.low))
    eta = (h + low) / 2
    mean = ((c.shift() - eta.shift()) * (c.shift() - eta)).rolling(window).mean()
    return 1e4 * np.sqrt((4 * mean).clip(lower=0)).to_numpy()


def test_the_proxy_matches_pandas() -> None:
    market = traded(np.random.default_rng(3), 700, 2, spread=2e-3, sigma=5e-4)
    out = run(market, 0, SHORT)
    expected = abdi_ranaldo(market, 20)
    known = np.isfinite(expected)
    assert (np.isfinite(out.spread_bps) == known).all()
    np.testing.assert_allclose(out.spread_bps[known], np.maximum(expected[known], 0.5), rtol=1e-9)
    turnover = pd.DataFrame(market.bars.close * market.bars.volume).rolling(20).mean().to_numpy()
    np.testing.assert_allclose(out.bid_depth, 0.5 * turnover, rtol=1e-12)
    np.testing.assert_array_equal(out.bid_depth, out.ask_depth)
    np.testing.assert_array_equal(out.mid, market.bars.close)
    assert (out.proxied == 1).all()


@pytest.mark.parametrize("spread", [5e-4, 2e-3])
def test_the_proxy_finds_a_planted_spread(spread: float) -> None:
    market = traded(np.random.default_rng(4), 3000, 3, spread=spread, sigma=3e-4)
    out = run(market, 0)
    assert np.nanmedian(out.spread_bps) == pytest.approx(1e4 * spread, rel=0.1)


def test_the_proxy_is_at_least_one_tick_or_the_floor() -> None:
    market = traded(np.random.default_rng(5), 600, 1, spread=0.0, sigma=5e-4)
    known = slice(241, None)
    ticked, floored = run(market, 0, tick=0.05), run(market, 0)
    assert (ticked.spread_bps[known] >= 1e4 * 0.05 / market.bars.close[known] * (1 - 1e-12)).all()
    assert ticked.spread_bps[known].min() == pytest.approx(5.0, rel=0.1)
    assert floored.spread_bps[known].min() == 0.5


def test_unknown_and_filled_bars_hold_the_estimates() -> None:
    market = traded(np.random.default_rng(6), 200, 1, spread=2e-3, sigma=5e-4)
    gap, filled_bars = slice(100, 130), slice(150, 153)
    valid = np.ones((200, 1), np.int64)
    valid[gap] = valid[filled_bars] = 0
    close, high, low, volume = (getattr(market.bars, x).copy() for x in ("close", "high", "low", "volume"))
    for x in (close, high, low, volume):
        x[gap] = np.nan
    out = run(bars_only(close, high, low, volume, valid), 0, SHORT)
    assert np.isnan(out.mid[gap]).all() and np.isnan(out.microprice[gap]).all()
    for name in ("spread_bps", "bid_depth", "slope"):
        panel = getattr(out, name)
        assert (panel[gap] == panel[99]).all() and (panel[filled_bars] == panel[149]).all()
    # the pair across the gap is left out: at the first bar after it the average stays as it was
    assert out.spread_bps[130, 0] == out.spread_bps[99, 0] != out.spread_bps[131, 0]


def test_symbols_with_and_without_a_feed_stand_side_by_side() -> None:
    rng = np.random.default_rng(7)
    book = random_book(rng, (100, 2))
    bars = traded(rng, 100, 2, spread=1e-3, sigma=5e-4)
    market = bars._replace(book=with_book(*book).book)
    out = run(market, np.array([0, 1]), SHORT)
    alone = run(market, 0, SHORT), run(market, 1, SHORT)
    for i, panel in enumerate(out):
        np.testing.assert_array_equal(panel[:, 0], alone[0][i][:, 0])
        np.testing.assert_array_equal(panel[:, 1], alone[1][i][:, 1])


def test_prices_times_two_and_sizes_over_two_change_no_ratio_and_no_notional() -> None:
    rng = np.random.default_rng(8)
    bars = traded(rng, 100, 2, spread=1e-3, sigma=5e-4)
    bp, bs, ap, az = random_book(rng, (100, 2))
    market = bars._replace(book=with_book(bp, bs, ap, az).book)
    b = bars.bars
    scaled = bars_only(4.0 * b.close, 4.0 * b.high, 4.0 * b.low, b.volume / 4.0)
    scaled = scaled._replace(book=with_book(4.0 * bp, bs / 4.0, 4.0 * ap, az / 4.0).book)
    one, two = (run(m, np.array([0, 1]), SHORT) for m in (market, scaled))
    for name in ("spread_bps", "bid_depth", "ask_depth", "slope"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-9)
    np.testing.assert_allclose(two.mid, 4.0 * one.mid, rtol=1e-12)


def ragged(rng: np.random.Generator, bars: int) -> Market:
    """Two symbols, the first with a book that breaks now and then, the second without, both with gaps."""
    book = random_book(rng, (bars, 2))
    for x in book:
        x[rng.random((bars, 2)) < 0.05] = np.nan
    m = traded(rng, bars, 2, spread=1e-3, sigma=5e-4)
    close, high, low, volume = (x.copy() for x in (m.bars.close, m.bars.high, m.bars.low, m.bars.volume))
    hole = rng.random((bars, 2)) < 0.05
    for x in (close, high, low, volume):
        x[hole] = np.nan
    valid = (np.isfinite(close) & (rng.random((bars, 2)) > 0.05)).astype(np.int64)
    return bars_only(close, high, low, volume, valid)._replace(book=with_book(*book).book)


@given(cuts=st.sets(st.integers(1, 299), max_size=12), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_output_is_the_same_however_the_bars_are_cut(cuts: set[int], seed: int) -> None:
    market = ragged(np.random.default_rng(seed), 300)
    whole = run(market, np.array([1, 0]), SHORT)
    for pieces in (cuts, range(1, 300)):
        for a, b in zip(whole, run(market, np.array([1, 0]), SHORT, cuts=pieces), strict=True):
            assert a.tobytes() == b.tobytes()


def test_compiled_equals_plain() -> None:
    m = ragged(np.random.default_rng(9), 150)
    states: list[SpreadProxy] = [carry_of(l8_spread_depth, 2, SHORT).proxy for _ in range(2)]
    outs = [
        f(
            m.bars.high,
            m.bars.low,
            m.bars.close,
            m.bars.volume,
            m.quality.valid,
            m.book.bid_price,
            m.book.bid_size,
            m.book.ask_price,
            m.book.ask_size,
            np.array([1, 0]),
            np.array([0.0, 0.01]),
            np.array([50.0, 100.0]),
            np.array([0, 1]),
            5,
            10.0,
            0.5,
            2.0,
            0.5,
            state,
        )
        for f, state in zip((spread_depth, python_of(spread_depth)), states, strict=True)
    ]
    for a, b in zip(leaves(states[0]) + list(outs[0]), leaves(states[1]) + list(outs[1]), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_real_book_is_measured_within_its_touch() -> None:
    if not BOOK_DATA.exists():
        pytest.skip("the real data set book_2025-09-04 is not beside this repository")
    rows = pd.read_parquet(BOOK_DATA, filters=[("symbol", "==", "BTCUSD")]).head(1000)
    sides = ("bid_px", "bid_sz", "ask_px", "ask_sz")
    book = tuple(np.ascontiguousarray(rows[[f"{s}_{k}" for k in range(10)]].to_numpy(float)[:, None]) for s in sides)
    out = run(with_book(*book), 1)
    assert (book[0][:, :, 0] <= out.microprice).all() and (out.microprice <= book[2][:, :, 0]).all()
    assert np.median(out.spread_bps) == pytest.approx(1e4 / 109_755.0, rel=0.01)  # one dollar
    near = (book[0][:, 0, :5] * book[1][:, 0, :5]).sum(axis=1)  # its ten levels all lie within 10 bps
    np.testing.assert_allclose(out.bid_depth[:, 0], near, rtol=1e-12)


def test_what_the_prices_own_moves_explain_is_no_spread() -> None:
    """A random walk without a spread has none; one that bounces between two sides has what a direct computation gives."""
    rng = np.random.default_rng(5)
    bars, window, errors = 900, 300, 2.0
    config = {"microstructure": MicrostructureConfig(proxy_window_bars=window, proxy_errors=errors), "data": DataConfig()}
    for spread in (0.0, 0.01):
        path = np.cumsum(rng.normal(0.0, 1e-3, bars * 30)).reshape(bars, 30)
        seen = 100.0 * np.exp(path + 0.5 * spread * rng.choice([-1.0, 1.0], path.shape))
        close, high, low = (x[:, None].copy() for x in (seen[:, -1], seen.max(axis=1), seen.min(axis=1)))
        got = run(bars_only(close, high, low, np.ones((bars, 1)), np.ones((bars, 1), np.int64)), 0, config).spread_bps[:, 0]
        c, eta = np.log(close[:, 0]), 0.5 * np.log(high[:, 0] * low[:, 0])
        x = pd.Series((c[:-1] - eta[:-1]) * (c[:-1] - eta[1:]))
        mean = x.rolling(window).mean() - errors * np.sqrt(x.rolling(window).var(ddof=0) / window)
        want = np.fmax(2e4 * np.sqrt(mean.clip(lower=0.0)), 0.5).to_numpy()
        np.testing.assert_allclose(got[window:], want[window - 1 :], rtol=1e-6)
        assert (np.median(got[window:]) == 0.5) == (spread == 0.0)


def test_depth_is_of_a_minute_whatever_the_bars() -> None:
    ones = np.full((40, 1), 100.0)
    made = bars_only(ones, ones * 1.001, ones * 0.999, ones, np.ones((40, 1), np.int64))
    depth = [run(made, 0, {**SHORT, "data": DataConfig(minutes_a_bar=m)}).bid_depth[-1, 0] for m in (1.0, 60.0, 1 / 60)]
    np.testing.assert_allclose(depth, [5_000.0, 5_000.0 / 60, 300_000.0])
