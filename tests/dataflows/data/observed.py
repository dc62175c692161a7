"""Small observed markets for the tests of the data and kinematics domains."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataflows.data.config import DataConfig
from dataflows.data.l0_market_feed import l0_market_feed
from dataflows.data.sessions import utc_days
from dataflows.data.types import Instruments, Market, Observations, unknown_instruments
from tests.support import run_columnar

MINUTE = 60_000_000_000
START = 1_709_164_800_000_000_000  # 2024-02-29T00:00:00Z, a leap day


def instruments(symbols: int = 2, tick: float = 0.01, book_feed: int = 1) -> Instruments:
    """`symbols` alike."""
    ones = np.ones(symbols)
    flags = np.ones(symbols, np.int64)
    return unknown_instruments(symbols)._replace(
        uid=np.arange(1, symbols + 1),
        tick_size=tick * ones,
        lot_size=0.001 * ones,
        min_notional=5.0 * ones,
        taker_fee_bps=5.0 * ones,
        maker_fee_bps=2.0 * ones,
        reduce_only_exempt=flags,
        book_feed=book_feed * flags,
        trade_side_feed=flags,
        leader=(np.arange(symbols) == 0).astype(np.int64),
    )


def observe(close: Any, *, start: int = START, step: int = MINUTE, seed: int = 3, **over: Any) -> Observations:
    """Observations whose closes are `close` (T, N): open at the close before, wicks and volumes at random, two book levels."""
    close = np.asarray(close, np.float64)
    bars = close.shape[0]
    rng = np.random.default_rng(seed)
    open_ = np.vstack([close[:1], close[:-1]])
    open_ = np.where(np.isfinite(open_), open_, close)
    volume = rng.lognormal(3.0, 1.0, close.shape)
    levels = 1.0 + np.array([1e-4, 2e-4])
    values: dict[str, Any] = {
        "time": start + step * np.arange(1, bars + 1),
        "open": open_,
        "high": np.fmax(open_, close) * (1.0 + 1e-3 * rng.random(close.shape)),
        "low": np.fmin(open_, close) * (1.0 - 1e-3 * rng.random(close.shape)),
        "close": close,
        "volume": volume,
        "vwap": np.full(close.shape, np.nan),
        "trade_count": np.floor(volume) + 1.0,
        "buy_volume": volume * rng.random(close.shape),
        "buy_count": np.floor(volume / 2.0),
        "bid_price": close[:, :, None] / levels,
        "bid_size": rng.random((*close.shape, 2)) + 0.1,
        "ask_price": close[:, :, None] * levels,
        "ask_size": rng.random((*close.shape, 2)) + 0.1,
        "book_age": np.zeros(close.shape),
        "ofi": rng.normal(size=(*close.shape, 2)),
        "funding_rate": np.zeros(close.shape),
        "listed": np.ones(close.shape, np.int64),
        "duplicates": np.zeros(close.shape, np.int64),
        "late": np.zeros(close.shape, np.int64),
    }
    assert not set(over) - set(values)
    made = {k: np.ascontiguousarray(over.get(k, v)) for k, v in values.items()}
    return Observations(**made, **utc_days(made["time"], step))


def walk(bars: int, symbols: int = 2, *, sigma: float = 1e-3, seed: int = 1) -> Any:
    """Geometric random walks (T, N), each at a price level of its own."""
    rng = np.random.default_rng(seed)
    return 100.0 * 7.0 ** np.arange(symbols) * np.exp(np.cumsum(rng.normal(0.0, sigma, (bars, symbols)), axis=0))


def hole(seen: Observations, bars: Any, symbol: int | slice = slice(None)) -> Observations:
    """The same with nothing observed in `bars` (a slice or list of rows)."""
    values = {k: v.copy() for k, v in seen._asdict().items()}
    for name in ("open", "high", "low", "close", "volume", "vwap", "trade_count", "buy_volume", "buy_count", "book_age"):
        values[name][bars, symbol] = np.nan
    for name in ("bid_price", "bid_size", "ask_price", "ask_size", "ofi"):
        values[name][bars, symbol] = np.nan
    return Observations(**values)


def market(seen: Observations, *, tick: float = 0.01, cuts: Any = (), data: DataConfig | None = None, **kw: Any) -> Market:
    """L0 over the observations."""
    facts = instruments(seen.close.shape[1], tick)
    inputs = {"observations": seen, "instruments": facts, **kw}
    made: Market = run_columnar(l0_market_feed, inputs, {"data": data or DataConfig()}, cuts=cuts)
    return made
