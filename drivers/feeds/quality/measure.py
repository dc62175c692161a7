"""Counts what is odd, symbol by symbol and span by span, small enough to draw: a month of minutes as days, years as weeks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.feeds.aligned import Dataset
from drivers.feeds.description import DAY, SECOND
from drivers.feeds.outliers import outliers

FROZEN_BARS: Final = 30
"""A close that has not moved for so many bars is frozen: a dead feed, a halt, or a market too thin for its clock."""

_WIDTHS: Final = tuple(SECOND * s for s in (60, 300, 900, 3_600, 14_400, 86_400, 604_800, 2_419_200, 7_862_400, 31_536_000))
_SPANS: Final = 100
_POINTS: Final = 400  # of a symbol's line
_ALL_POINTS: Final = 12_000  # of all of them together
_SPREAD_BINS: Final = 40

MEASURES: Final = ("missing", "outliers", "frozen", "crossed", "no book")
"""What is counted in each span, all in bars."""


@dataclass(frozen=True)
class SymbolPicture:
    """One symbol over S spans and P points of a line."""

    symbol: str
    expected: Ints  # (S,) bars between its first and its last
    counts: dict[str, Ints]  # of MEASURES: (S,)
    first: dict[str, int]  # of MEASURES: close of the first bar at fault, UTC ns
    close: Floats  # (P,) last close, NaN where there is none
    low: Floats
    high: Floats
    volume: Floats  # (P,) sum; NaN where none is known
    spread_quantiles: Floats  # (5,) 1, 25, 50, 75, 99 % of the relative spread at the closes; NaN without a book
    spread_counts: Ints  # (bins,) closes with a spread in each bin; empty without a book


@dataclass(frozen=True)
class Picture:
    """All symbols. starts: (S,) UTC ns at which each span begins; point_times: (P,) close of the last bar of each point."""

    step: int
    width: int
    starts: Ints
    point_times: Ints
    symbols: tuple[SymbolPicture, ...]
    has_book: bool
    spread_edges: Floats  # (bins + 1,) relative spreads; empty without a book

    @property
    def unit(self) -> str:
        """What a span is called."""
        return span_name(self.width)


def span_name(width: int) -> str:
    """A span of time in words: `day`, `15 minutes`, `4 hours`, `28 days`. width: ns, whole minutes."""
    for name, length in (("day", DAY), ("hour", 3_600 * SECOND), ("minute", 60 * SECOND)):
        if width % length == 0:
            return name if width == length else f"{width // length} {name}s"
    raise ValueError(f"a span of {width} ns is not of whole minutes")


def measure(data: Dataset) -> Picture:
    """The picture of an opened data set. It reads each symbol's column once; what it keeps does not grow with the bars."""
    opened = int(data.time[0]) - data.step
    length = int(data.time[-1]) - opened
    width = next((w for w in _WIDTHS if w >= data.step and length <= w * _SPANS), _WIDTHS[-1])
    base = opened // width * width
    span = (data.time - 1 - base) // width
    starts = base + width * np.arange(int(span[-1]) + 1)
    points = int(np.clip(_ALL_POINTS // len(data.symbols), 40, _POINTS))
    edges = np.unique(np.linspace(0, len(data), min(points, len(data)) + 1).astype(np.int64))
    rows = data.rows(0, len(data))
    bid, ask, age = rows.bid_price[:, :, 0], rows.ask_price[:, :, 0], rows.book_age
    spread_edges = _spread_edges(bid, ask)
    symbols = []
    for n, name in enumerate(data.symbols):
        close = rows.close[:, n]
        seen = ~np.isnan(close)
        marks = _marks(data, close, seen, bid[:, n], ask[:, n], age[:, n])
        listed = np.zeros(len(close), bool)
        listed[data.listed[0, n] : data.listed[1, n] + 1] = True
        marks["missing"] = listed & ~seen
        spread = _spread(bid[:, n], ask[:, n])
        spread = spread[spread > 0.0]
        symbols.append(
            SymbolPicture(
                symbol=name,
                expected=np.bincount(span[listed], minlength=len(starts)).astype(np.int64),
                counts={m: np.bincount(span[marks[m]], minlength=len(starts)).astype(np.int64) for m in MEASURES},
                first={m: int(data.time[int(np.argmax(mark))]) for m, mark in marks.items() if mark.any()},
                close=_last(close, edges),
                low=_reduced(np.fmin, rows.low[:, n], edges),
                high=_reduced(np.fmax, rows.high[:, n], edges),
                volume=_total(rows.volume[:, n], edges),
                spread_quantiles=np.quantile(spread, (0.01, 0.25, 0.5, 0.75, 0.99)) if len(spread) else np.full(5, np.nan),
                spread_counts=np.histogram(np.clip(spread, spread_edges[0], spread_edges[-1]), spread_edges)[0].astype(np.int64)
                if len(spread)
                else np.zeros(0, np.int64),
            )
        )
    point_times = data.time[edges[1:] - 1]
    return Picture(data.step, width, starts, point_times, tuple(symbols), bool(len(spread_edges)), spread_edges)


def _marks(data: Dataset, close: Floats, seen: Any, bid: Floats, ask: Floats, age: Floats) -> dict[str, Any]:
    """Which bars are at fault, by measure."""
    at = np.flatnonzero(seen)
    odd, frozen = np.zeros(len(close), bool), np.zeros(len(close), bool)
    if len(at) > 1:
        odd[at[1:]] = outliers(np.diff(np.log(close[at])), data.time[at[1:]], data.step)
        frozen[at] = _in_long_runs(close[at])
    booked = np.flatnonzero(~np.isnan(age))
    without = np.zeros(len(close), bool)
    if len(booked):
        without[booked[0] :] = age[booked[0] :] > max(1.0, 60.0 * SECOND / data.step)
    return {"outliers": odd, "frozen": frozen, "crossed": bid >= ask, "no book": without}


def _in_long_runs(close: Floats) -> Any:
    """Bars among FROZEN_BARS or more of the same close."""
    edges = np.concatenate([[0], np.flatnonzero(np.diff(close)) + 1, [len(close)]])
    lengths = np.diff(edges)
    return np.repeat(lengths >= FROZEN_BARS, lengths)


def _spread(bid: Floats, ask: Floats) -> Floats:
    return np.asarray((ask - bid) / (0.5 * (ask + bid)), np.float64)


def _spread_edges(bid: Floats, ask: Floats) -> Floats:
    """Edges of the bins, equal in the logarithm, over all but the widest and narrowest hundredth."""
    spread = _spread(bid, ask)
    spread = spread[spread > 0.0]
    if not len(spread):
        return np.zeros(0)
    low, high = np.quantile(spread, (0.001, 0.995))
    return np.asarray(np.geomspace(low / 1.02, max(high, low) * 1.02, _SPREAD_BINS + 1), np.float64)


def _last(x: Floats, edges: Ints) -> Floats:
    """The last known value in each piece."""
    at = np.where(np.isnan(x), -1, np.arange(len(x)))
    last = np.maximum.reduceat(at, edges[:-1])
    return np.where(last >= 0, x[last], np.nan)


def _reduced(of: Any, x: Floats, edges: Ints) -> Floats:
    return np.asarray(of.reduceat(x, edges[:-1]), np.float64)


def _total(x: Floats, edges: Ints) -> Floats:
    known = ~np.isnan(x)
    total = np.add.reduceat(np.where(known, x, 0.0), edges[:-1])
    return np.where(np.logical_or.reduceat(known, edges[:-1]), total, np.nan)
