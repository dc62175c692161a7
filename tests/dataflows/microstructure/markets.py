"""Markets drawn by hand or at random, as L0 would hand them on."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataflows.data.types import Bars, Book, HigherBars, Instruments, Market, Quality, Session
from dataflows.panel import Floats, Ints
from tests.support import filled


def bars_only(
    close: Floats, high: Floats, low: Floats, volume: Floats, valid: Ints | None = None, depth: int = 3, **quality: Any
) -> Market:
    """A market (T, N) without a book."""
    shape = close.shape
    empty = np.full((*shape, depth), np.nan)
    good = np.isfinite(close).astype(np.int64) if valid is None else valid
    return filled(
        Market,
        shape,
        time=np.arange(1, shape[0] + 1, dtype=np.int64) * 60_000_000_000,
        bars=filled(Bars, shape, np.nan, open=close, high=high, low=low, close=close, volume=volume),
        bars_15=filled(HigherBars, shape, np.nan),
        book=filled(Book, shape, np.nan, bid_price=empty, bid_size=empty, ask_price=empty, ask_size=empty, ofi=empty),
        quality=filled(Quality, shape, 0.0, **{"valid": good, "listed": np.ones(shape, np.int64), **quality}),
        session=filled(Session, shape, 1.0),
    )


def with_book(
    bid_price: Floats, bid_size: Floats, ask_price: Floats, ask_size: Floats, age: Floats | None = None, **quality: Any
) -> Market:
    """A market (T, N) with a book of D levels (T, N, D); its bars sit at the middle of the touch."""
    shape = bid_price.shape[:2]
    close = np.where(
        np.isfinite(bid_price[:, :, 0] + ask_price[:, :, 0]), 0.5 * (bid_price[:, :, 0] + ask_price[:, :, 0]), 100.0
    )
    market = bars_only(close, close, close, np.ones(shape), **quality)
    book = Book(
        bid_price,
        bid_size,
        ask_price,
        ask_size,
        age=np.zeros(shape) if age is None else age,
        has_feed=np.ones(shape, np.int64),
        ofi=np.zeros(bid_price.shape),
    )
    return market._replace(book=book)


def random_book(rng: np.random.Generator, shape: tuple[int, int], depth: int = 6, mid: float = 100.0) -> tuple[Floats, ...]:
    """Bid prices and sizes, ask prices and sizes of a healthy book (T, N, D): gaps of 0.2 to 3 bps, sizes over two decades."""
    centre = mid * np.exp(np.cumsum(rng.normal(0.0, 1e-4, shape), axis=0))[:, :, None]
    away = np.cumsum(rng.uniform(0.2, 3.0, (2, *shape, depth)), axis=3) * 1e-4
    size = 10.0 ** rng.uniform(-0.5, 1.5, (2, *shape, depth))
    return centre * (1.0 - away[0]), size[0], centre * (1.0 + away[1]), size[1]


def instruments(symbols: int, *, feed: int | Ints, tick: float = 0.0, multiplier: float = 1.0, inverse: int = 0) -> Instruments:
    """Facts of symbols that all have the same tick and contract."""
    return filled(
        Instruments,
        (1, symbols),
        0.0,
        uid=np.arange(1, symbols + 1, dtype=np.int64),
        tick_size=np.full(symbols, tick),
        multiplier=np.full(symbols, multiplier),
        inverse=np.full(symbols, inverse, np.int64),
        book_feed=np.broadcast_to(np.asarray(feed, np.int64), (symbols,)).copy(),
    )


def traded(rng: np.random.Generator, bars: int, symbols: int, *, spread: float, sigma: float, steps: int = 60) -> Market:
    """Bars of a random walk of efficient prices seen through a planted relative spread, `steps` trades a bar."""
    moves = rng.normal(0.0, sigma / np.sqrt(steps), (bars * steps, symbols))
    efficient = np.log(100.0) + np.cumsum(moves, axis=0)
    side = rng.choice([-1.0, 1.0], efficient.shape)
    price = np.exp(efficient + 0.5 * spread * side).reshape(bars, steps, symbols)
    volume = rng.lognormal(0.0, 0.5, (bars, symbols))
    return bars_only(price[:, -1].copy(), price.max(axis=1), price.min(axis=1), volume)
