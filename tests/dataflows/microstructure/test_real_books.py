"""L8, L9, L62 and L63's walk over recorded books, each beside a slow and obvious reference in plain Python."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest

from dataflows.data.config import DataConfig
from dataflows.data.l0_market_feed import l0_market_feed
from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.microstructure.l9_book_imbalance import l9_book_imbalance
from dataflows.microstructure.l62_order_flow_imbalance import l62_order_flow_imbalance
from dataflows.microstructure.l63_tradeability import l63_tradeability
from dataflows.microstructure.types import FlowToxicity, OrderFlowImbalance, PriceImpact, TradePressure
from dataflows.panel import Floats
from dataflows.regime.types import Regime
from drivers.feeds.dataset import open_dataset
from tests.dataflows.microstructure.markets import instruments, with_book
from tests.support import filled, run_columnar

K = MicrostructureConfig()
FORGET = 0.5 ** (1.0 / K.flow_halflife_bars)
CONFIGS: dict[str, Any] = {"microstructure": K, "data": DataConfig()}
SNAPSHOTS = {
    "hyperliquid BTC": ("hyperliquid_2025-09-04/BTC_l2book20.parquet", 20),
    "hyperliquid ETH": ("hyperliquid_2025-09-04/ETH_l2book20.parquet", 20),
    "bitstamp BTC, 2015": ("bitstamp_btcusd_2015-05-01/l2_snapshots20.parquet", 20),
    "standx BTC": ("standx_btcusd_2026-01-06_14h-16h/l2book10.parquet", 10),
}
Side = list[tuple[float, float]]
"""Price and size of each level that is there, best first."""


class Shot(NamedTuple):
    """One snapshot as Python sees it."""

    bids: Side
    asks: Side


@pytest.fixture(scope="module", params=SNAPSHOTS)
def book(request: pytest.FixtureRequest, shared_data: Path) -> tuple[Floats, ...]:
    """Bid prices and sizes, ask prices and sizes of every fifth snapshot, each (T, 1, D)."""
    file, depth = SNAPSHOTS[request.param]
    rows = pd.read_parquet(shared_data.parent / "lob" / file).iloc[::5].head(800)
    sides = [[f"{s}_{k}" for k in range(depth)] for s in ("bid_price", "bid_size", "ask_price", "ask_size")]
    return tuple(np.ascontiguousarray(rows[names].to_numpy(float)[:, None]) for names in sides)


def shots(book: tuple[Floats, ...]) -> list[Shot]:
    """The snapshots as lists of levels."""

    def side(prices: Floats, sizes: Floats) -> Side:
        return [(p, q) for p, q in zip(prices.tolist(), sizes.tolist(), strict=True) if p > 0.0 and q > 0.0]

    bp, bs, ap, az = (x[:, 0] for x in book)
    return [Shot(side(bp[t], bs[t]), side(ap[t], az[t])) for t in range(len(bp))]


def whole(shot: Shot) -> bool:
    """Both sides are there, and apart."""
    return bool(shot.bids and shot.asks and shot.bids[0][0] < shot.asks[0][0])


def middle(shot: Shot) -> float:
    return 0.5 * (shot.bids[0][0] + shot.asks[0][0])


def away(shot: Shot, price: float) -> float:
    """Distance from mid, bps."""
    return 1e4 * abs(price - middle(shot)) / middle(shot)


def measured(book: tuple[Floats, ...]) -> tuple[Market, Any]:
    market = with_book(*book)
    seen = run_columnar(l8_spread_depth, {"l0_market_feed": market, "instruments": instruments(1, feed=1)}, CONFIGS)
    return market, seen


def test_spread_microprice_and_depth_are_those_of_a_plain_reading(book: tuple[Floats, ...]) -> None:
    _, seen = measured(book)
    for t, shot in enumerate(shots(book)):
        got = {name: float(panel[t, 0]) for name, panel in seen._asdict().items()}
        if not whole(shot):
            assert math.isnan(got["mid"]) and math.isnan(got["spread_bps"]) and math.isnan(got["bid_depth"])
            continue
        (bid, bid_size), (ask, ask_size) = shot.bids[0], shot.asks[0]
        assert got["mid"] == pytest.approx(middle(shot), rel=1e-14)
        assert got["spread_bps"] == pytest.approx(1e4 * (ask - bid) / middle(shot), rel=1e-12)
        assert got["microprice"] == pytest.approx((bid * ask_size + ask * bid_size) / (bid_size + ask_size), rel=1e-12)
        for name, side in (("bid_depth", shot.bids), ("ask_depth", shot.asks)):
            near = [p * q for p, q in side[: K.depth_levels] if away(shot, p) <= K.depth_band_bps]
            assert got[name] == pytest.approx(sum(near), rel=1e-12)


def test_imbalances_are_those_of_a_plain_reading(book: tuple[Floats, ...]) -> None:
    market, seen = measured(book)
    got = run_columnar(l9_book_imbalance, {"l0_market_feed": market, "l8_spread_depth": seen}, CONFIGS)
    smoothed = math.nan
    fade = 0.5 ** (1.0 / K.imbalance_halflife_bars)
    for t, shot in enumerate(shots(book)):
        if whole(shot):
            both = list(zip(shot.bids, shot.asks, strict=False))
            bids = sum(K.imbalance_decay**k * b[1] for k, (b, _) in enumerate(both))
            asks = sum(K.imbalance_decay**k * a[1] for k, (_, a) in enumerate(both))
            lean = (bids - asks) / (bids + asks)
            smoothed = lean if math.isnan(smoothed) else fade * smoothed + (1.0 - fade) * lean
            b, a = shot.bids[0][1], shot.asks[0][1]
            assert got.top[t, 0] == pytest.approx((b - a) / (b + a), abs=1e-12)
            assert got.weighted[t, 0] == pytest.approx(lean, abs=1e-12)
        assert got.smoothed[t, 0] == pytest.approx(smoothed, abs=1e-9, nan_ok=True)


def walked(shot: Shot, side: Side, notional: float, steps: int = 20_000) -> float:
    """Average distance from mid of an order that eats the side, then goes on beyond what is shown in many small steps."""
    left, paid = notional, 0.0
    shown = [(away(shot, p), p * q) for k, (p, q) in enumerate(side) if k == 0 or away(shot, p) <= K.depth_band_bps]
    for distance, there in shown:
        part = min(left, there)
        paid += part * distance
        left -= part
    if left > 0.0:
        edge, seen = max(K.depth_band_bps, shown[0][0]), sum(there for _, there in shown)
        for i in range(steps):
            paid += left / steps * edge * math.sqrt((seen + (i + 0.5) * left / steps) / seen)
    return paid / notional


def test_slippage_is_that_of_an_order_that_eats_the_book(book: tuple[Floats, ...]) -> None:
    market, seen = measured(book)
    shape = market.bars.close.shape
    given = {
        "l0_market_feed": market,
        "l1_regime": filled(Regime, shape),
        "l2_returns_volatility": filled(Returns, shape),
        "l8_spread_depth": seen,
        "l9_book_imbalance": run_columnar(l9_book_imbalance, {"l0_market_feed": market, "l8_spread_depth": seen}, CONFIGS),
        "l10_trade_pressure": filled(TradePressure, shape),
        "l59_price_impact": filled(PriceImpact, shape),
        "instruments": instruments(1, feed=1),
        "l61_flow_toxicity": filled(FlowToxicity, shape),
        "l62_order_flow_imbalance": filled(OrderFlowImbalance, shape),
    }
    got = run_columnar(l63_tradeability, given, CONFIGS)
    for t, shot in list(enumerate(shots(book)))[::20]:
        if not whole(shot):
            assert got.avoid[t, 0] == 1 and np.isnan(got.slippage_bps[t, 0]).all()
            continue
        worst = 0.0
        for i, notional in enumerate(K.order_notionals):
            worst = max(worst, walked(shot, shot.asks, notional), walked(shot, shot.bids, notional))
            assert got.slippage_bps[t, 0, i] == pytest.approx(worst, rel=1e-6)


# -- order flow -----------------------------------------------------------------------------------------------------------------


def event(before: Shot, now: Shot, level: int) -> float:
    """Cont, Kukanov and Stoikov (2014), equation 2, at one level."""
    (pb, qb), (pa, qa) = now.bids[level], now.asks[level]
    (pb0, qb0), (pa0, qa0) = before.bids[level], before.asks[level]
    e = 0.0
    if pb >= pb0:
        e += qb
    if pb <= pb0:
        e -= qb0
    if pa <= pa0:
        e -= qa
    if pa >= pa0:
        e += qa0
    return e


@pytest.fixture(scope="module")
def recorded(shared_data: Path) -> tuple[Market, Any]:
    """L0 over 35 minutes of a real book in bars of one second, and its dataset."""
    data = open_dataset(shared_data / "book_2025-09-04")
    inputs = {"observations": data.rows(0, len(data.time)), "instruments": data.instruments}
    config = DataConfig(bars_a_day=86_400)
    return run_columnar(l0_market_feed, inputs, {"data": config}, depth=data.depth), data


def test_order_flow_at_every_level_is_the_sum_of_the_2014_events_of_a_bar(
    recorded: tuple[Market, Any], shared_data: Path
) -> None:
    market, data = recorded
    rows = pd.read_parquet(shared_data / "book_2025-09-04" / "book.parquet")
    for n, symbol in enumerate(data.symbols):
        mine = rows[rows["symbol"] == symbol]
        columns = [[f"{s}_{k}" for k in range(10)] for s in ("bid_px", "bid_sz", "ask_px", "ask_sz")]
        seen = shots(tuple(mine[names].to_numpy(float)[:, None] for names in columns))
        second = [-(-ns // 1_000_000_000) for ns in mine["timestamp"].dt.as_unit("ns").astype(np.int64).tolist()]
        flow: dict[int, list[float]] = {}
        for i in range(1, len(seen)):
            events = [event(seen[i - 1], seen[i], level) for level in range(10)]
            flow[second[i]] = [a + b for a, b in zip(flow.get(second[i], [0.0] * 10), events, strict=True)]
        bar_seconds = market.time // 1_000_000_000
        checked = 0
        for t, s in enumerate(bar_seconds.tolist()):
            if s in flow and s - 1 >= bar_seconds[0]:
                np.testing.assert_allclose(market.book.ofi[t, n], flow[s], rtol=1e-9, atol=1e-6)
                checked += 1
        assert checked > 1000


def test_the_levels_joined_are_those_of_a_plain_power_iteration(recorded: tuple[Market, Any]) -> None:
    market, data = recorded
    shape = market.bars.close.shape
    signed = filled(TradePressure, shape, 0.0)
    returns = filled(
        Returns, shape, 0.0, r_1=np.vstack([np.full((1, shape[1]), np.nan), np.diff(np.log(market.bars.close), axis=0)])
    )
    given = {"l0_market_feed": market, "l2_returns_volatility": returns, "l10_trade_pressure": signed}
    got = run_columnar(l62_order_flow_imbalance, given, CONFIGS, depth=data.depth)
    for n in range(shape[1]):
        products, weights = np.zeros((K.flow_levels, K.flow_levels)), np.full(K.flow_levels, 1.0 / K.flow_levels)
        joined = np.full(shape[0], np.nan)
        for t in range(shape[0]):
            e = market.book.ofi[t, n, : K.flow_levels]
            if market.quality.valid[t, n] == 0 or not np.isfinite(e).all():
                continue
            products = FORGET * products + np.outer(e, e)
            step = np.maximum(products @ weights, 0.0)
            if step.sum() > 0.0:
                weights = step / step.sum()
            joined[t] = weights @ e
        known = np.isfinite(joined)
        assert known.sum() > 1000
        np.testing.assert_array_equal(got.ofi[known, n], market.book.ofi[known, n, 0])
        np.testing.assert_allclose(got.ofi_integrated[:, n], joined, rtol=1e-7, atol=1e-9)
        series = pd.Series(joined[known])
        window = series.rolling(K.flow_window_bars)
        z = (series - window.mean()) / window.std(ddof=0)
        np.testing.assert_allclose(got.ofi_z[known, n], z, rtol=1e-5, atol=1e-6)


def test_a_book_says_more_of_the_next_seconds_unsmoothed(recorded: tuple[Market, Any]) -> None:
    """Why L66's book source is L9's weighted imbalance: rank correlation with the mid's move over the next five seconds."""
    market, data = recorded
    configs = {"microstructure": K._replace(imbalance_halflife_bars=10.0), "data": DataConfig(bars_a_day=86_400)}
    inputs = {"l0_market_feed": market, "instruments": data.instruments}
    seen = run_columnar(l8_spread_depth, inputs, configs)
    lean = run_columnar(l9_book_imbalance, {**inputs, "l8_spread_depth": seen}, configs)
    for n in range(len(data.symbols)):
        mid = pd.Series(seen.mid[:, n])
        ahead = mid.shift(-5) / mid - 1.0
        told = {name: pd.Series(getattr(lean, name)[:, n]).corr(ahead, method="spearman") for name in ("weighted", "smoothed")}
        assert told["weighted"] > 0.35
        assert told["weighted"] > 1.5 * told["smoothed"]
