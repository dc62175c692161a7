"""A market with everything in it that a layer must bear: gaps short and long, a late listing, outliers, quiet bars, a crash, books
that are one-sided, crossed or missing."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataflows.data.sessions import utc_days
from dataflows.data.types import Instruments, Observations, unknown_instruments

MINUTE = 60_000_000_000
MIDNIGHT = 20_454 * 86_400_000_000_000  # 2026-01-01, UTC


def instruments(symbols: int, *, book: bool = True, tick: float = 0.01, lot: float = 0.001) -> Instruments:
    """Facts of symbols that trade like liquid perpetuals."""
    n = symbols

    def every(x: float) -> Any:
        return np.full(n, x)

    flags = np.ones(n, np.int64)
    has_book = flags * int(book)
    if n > 1:
        has_book[-1] = 0  # the last has no feed: the proxy's case
    return unknown_instruments(n)._replace(
        uid=np.arange(101, 101 + n),
        leader=(np.arange(n) == 0).astype(np.int64),
        tick_size=every(tick),
        lot_size=every(lot),
        min_notional=every(5.0),
        taker_fee_bps=every(5.0),
        maker_fee_bps=every(2.0),
        reduce_only_exempt=flags,
        book_feed=has_book,
        trade_side_feed=flags,
    )


def market(
    bars: int = 2400, symbols: int = 3, *, seed: int = 1, before_midnight: int = 900, depth: int = 5, step: int = MINUTE
) -> Observations:
    """Observations of `bars` bars of `step` ns around a midnight: drifting and calm stretches, a crash, and every defect."""
    rng = np.random.default_rng(seed)
    T, N, D = bars, symbols, depth
    vol = 8e-4 * np.exp(0.4 * np.sin(np.arange(T) / 170.0))[:, None] * np.ones(N)
    drift = 2.5e-4 * np.sign(np.sin(np.arange(T) / 90.0))[:, None]
    common = rng.normal(0, 1, (T, 1))
    r = drift + vol * (0.6 * common + 0.8 * rng.normal(0, 1, (T, N)))
    if T > 1000:
        r[int(0.75 * T), :] -= 0.08  # a crash within one bar
    close = np.exp(np.log(50.0 * 3.0 ** np.arange(N)) + np.cumsum(r, axis=0))
    opened = np.vstack([close[:1], close[:-1]]) * np.exp(0.1 * vol * rng.normal(0, 1, (T, N)))
    high = np.maximum(opened, close) * np.exp(vol * np.abs(rng.normal(0, 0.5, (T, N))))
    low = np.minimum(opened, close) * np.exp(-vol * np.abs(rng.normal(0, 0.5, (T, N))))
    volume = rng.gamma(2.0, 60_000.0 / close)
    volume[rng.random((T, N)) < 0.01] = 0.0
    share = np.clip(0.5 + 0.2 * rng.normal(0, 1, (T, N)), 0, 1)
    half = close * 2e-4 * (1.0 + rng.gamma(1.0, 1.0, (T, N)))
    away = np.arange(D) * 1e-4
    bid = (close - half)[:, :, None] * (1.0 - away)
    ask = (close + half)[:, :, None] * (1.0 + away)
    size = rng.gamma(2.0, 1.0, (2, T, N, D)) * (20_000.0 / close)[:, :, None]
    bid_size, ask_size = size
    count = rng.poisson(30, (T, N)).astype(float)
    panels = {
        "open": opened, "high": high, "low": low, "close": close, "volume": volume, "vwap": 0.5 * (high + low),
        "trade_count": count, "buy_volume": share * volume, "buy_count": np.floor(share * count),
        "bid_price": bid, "bid_size": bid_size, "ask_price": ask, "ask_size": ask_size,
        "ofi": rng.normal(0, 1, (T, N, D)) * (5_000.0 / close)[:, :, None],
    }  # fmt: skip
    _spoil(panels, T, N)
    time = MIDNIGHT + step * (np.arange(1, T + 1) - before_midnight)
    listed = np.ones((T, N), np.int64)
    if N > 1:
        _hide(panels, slice(0, T // 12), N - 1)  # listed late
        listed[: T // 12, N - 1] = 0
    age = np.zeros((T, N))
    age[np.isnan(panels["bid_price"]).all(axis=2)] = np.nan
    funding = np.zeros((T, N))
    funding[(time // MINUTE) % 480 == 0] = 1e-4
    none = np.zeros((T, N), np.int64)
    panels |= utc_days(time, step)
    return Observations(time=time, book_age=age, funding_rate=funding, listed=listed, duplicates=none, late=none, **panels)


def _hide(panels: dict[str, Any], rows: slice, n: int) -> None:
    for values in panels.values():
        values[rows, n] = np.nan


def _spoil(panels: dict[str, Any], T: int, N: int) -> None:
    if T < 200:
        return
    _hide(panels, slice(120, 123), 0)  # a gap that is filled
    _hide(panels, slice(T // 2, T // 2 + 20), N - 1)  # and one that is not
    for rows in (slice(T // 3, T // 3 + 8),):
        for n in range(N):
            _hide(panels, rows, n)  # an outage of all
    tick = T // 5
    panels["close"][tick, 0] *= 1.07  # a bad tick
    panels["high"][tick, 0] = max(panels["high"][tick, 0], panels["close"][tick, 0])
    panels["bid_size"][140:143, 0] = np.nan
    panels["bid_price"][140:143, 0] = np.nan  # one-sided
    panels["bid_price"][150, 0] = panels["ask_price"][150, 0] * 1.001  # crossed
    for name in ("bid_price", "bid_size", "ask_price", "ask_size"):
        panels[name][160:165, 0] = np.nan  # empty
    flat = slice(T - 60, T - 40)  # nothing trades and nothing moves
    panels["volume"][flat, 0] = 0.0
    for name in ("open", "high", "low", "close"):
        panels[name][flat, 0] = panels["close"][T - 61, 0]
