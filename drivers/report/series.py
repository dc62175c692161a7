"""Long series made short enough to draw and to carry in a page, with every spike kept.

A series with more bars than points is cut into buckets of equal length; of each bucket the lowest and the highest value stay,
at their own bars. So no extreme is lost whatever the zoom, and every point is a value that was there. A bucket without any
value leaves a gap.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats, Ints


class Extremes:
    """The lowest and highest value of each bucket of bars, for several series at once, taken chunk by chunk.

    bars: of the whole run. series: how many. points: about how many to keep of each.
    """

    def __init__(self, bars: int, series: int, points: int) -> None:
        self.bars = bars
        self.width = max(1, -(-2 * bars // points)) if bars > points else 1
        shape = (-(-bars // self.width), series)
        self._low, self._high = np.full(shape, np.inf), np.full(shape, -np.inf)
        self._low_at, self._high_at = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def add(self, first: int, values: Floats) -> None:
        """Takes the values (B, series) of bars `first` and on; NaN: not known."""
        begin, end = first // self.width, -(-(first + len(values)) // self.width)
        padded = np.full((values.shape[1], (end - begin) * self.width), np.nan)  # a bucket lies in one piece
        padded[:, first - begin * self.width :][:, : len(values)] = values.T
        cut = padded.reshape(values.shape[1], end - begin, self.width)
        starts = (np.arange(begin, end) * self.width)[:, None]
        part = slice(begin, end)
        for sign, best, at in ((1.0, self._low, self._low_at), (-1.0, self._high, self._high_at)):
            keyed = np.where(np.isnan(cut), np.inf, sign * cut)
            least = keyed.argmin(axis=2)
            where, found = least.T, np.take_along_axis(keyed, least[:, :, None], axis=2)[:, :, 0].T
            better = found < sign * best[part]
            best[part] = np.where(better, sign * found, best[part])
            at[part] = np.where(better, starts + where, at[part])

    def points(self, series: int) -> tuple[Ints, Floats]:
        """(bars, values) of one series, in order; a NaN where a bucket has no value."""
        low, high = self._low[:, series], self._high[:, series]
        empty = ~np.isfinite(low)
        begin = np.arange(len(low)) * self.width
        at = np.stack([np.where(empty, begin, self._low_at[:, series]), np.where(empty, begin, self._high_at[:, series])])
        value = np.where(empty, np.nan, np.stack([low, high]))
        order = np.argsort(at, axis=0, kind="stable")
        at, value = np.take_along_axis(at, order, axis=0).T.reshape(-1), np.take_along_axis(value, order, axis=0).T.reshape(-1)
        fresh = np.ones(len(at), bool)
        fresh[1::2] = at[1::2] != at[::2]  # lowest and highest in one bar: one point
        return at[fresh], value[fresh]


class Candles:
    """Open, high, low, close and volume of buckets of bars, and the last value in each bucket of further fields.

    bars: of the whole run. series: symbols. most: candles of one symbol. fields: names of the further fields.
    A bucket without a known price is NaN; a volume that is unknown counts as 0.
    """

    def __init__(self, bars: int, series: int, most: int, fields: Sequence[str] = ()) -> None:
        self.width = max(1, -(-bars // most))
        shape = (-(-bars // self.width), series)
        self.open, self.high, self.low, self.close = (np.full(shape, np.nan) for _ in range(4))
        self.volume = np.zeros(shape)
        self.last = {name: np.full(shape, np.nan) for name in fields}

    def add(self, first: int, open_: Floats, high: Floats, low: Floats, close: Floats, volume: Floats) -> None:
        """Takes the bars `first` and on, each (B, series); NaN: not known."""
        part, cuts = self._buckets(first, len(close))
        opened, closed = _first(open_, cuts), _last(close, cuts)
        self.open[part] = np.where(np.isnan(self.open[part]), opened, self.open[part])
        self.high[part] = np.fmax(self.high[part], np.fmax.reduceat(high, cuts, axis=0))
        self.low[part] = np.fmin(self.low[part], np.fmin.reduceat(low, cuts, axis=0))
        self.close[part] = np.where(np.isnan(closed), self.close[part], closed)
        self.volume[part] += np.add.reduceat(np.nan_to_num(volume), cuts, axis=0)

    def take(self, name: str, first: int, values: Floats) -> None:
        """Takes a further field of bars `first` and on; a bucket keeps what its last bar had, also where that is unknown."""
        part, cuts = self._buckets(first, len(values))
        self.last[name][part] = values[np.append(cuts[1:], len(values)) - 1]

    def _buckets(self, first: int, length: int) -> tuple[slice, Ints]:
        number_of = (first + np.arange(length)) // self.width
        cuts: Ints = np.flatnonzero(np.diff(number_of, prepend=-1))
        return slice(int(number_of[0]), int(number_of[-1]) + 1), cuts


def _first(values: Floats, cuts: Ints) -> Floats:
    """The first known value of each stretch of rows that begins at a cut."""
    return _last(values[::-1], (len(values) - np.append(cuts[1:], len(values)))[::-1])[::-1]


def _last(values: Floats, cuts: Ints) -> Floats:
    """The last known value of each stretch of rows that begins at a cut, NaN where none is known."""
    rows = np.where(np.isfinite(values), np.arange(len(values))[:, None], -1)
    at = np.maximum.reduceat(rows, cuts, axis=0)
    found: Floats = np.where(at >= 0, np.take_along_axis(values, np.maximum(at, 0), axis=0), np.nan)
    return found


_PIECE: Final = 1 << 14
"""Bars of a piece that a processor's cache holds with what is made of it."""


def thinned(values: Sequence[Any], points: int) -> list[dict[str, Any]]:
    """Whole series of equal length as `packed` takes them to a page."""
    columns = [np.asarray(v, np.float64) for v in values]
    kept = Extremes(len(columns[0]), len(columns), points)
    for first in range(0, len(columns[0]), _PIECE):
        kept.add(first, np.stack([column[first : first + _PIECE] for column in columns]).T)
    return [packed(*kept.points(k)) for k in range(len(columns))]


def packed(bars: Ints, values: Floats) -> dict[str, Any]:
    """Ascending bars and their values, as `unpack` of report_series.js reads them: steps between bars and 32-bit floats."""
    return {"n": len(bars), "step": numbers(np.diff(bars, prepend=0)), "value": floats(values)}


def floats(values: Floats) -> str:
    """32-bit floats, little-endian, base64: seven significant digits in 5.3 characters."""
    return base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode("ascii")


def numbers(values: Ints) -> dict[str, Any]:
    """Integers from 0 in as few bytes as the largest needs, base64; `size` says how many."""
    largest = int(values.max()) if len(values) else 0
    size = 1 if largest < 1 << 8 else 2 if largest < 1 << 16 else 4
    return {"size": size, "data": base64.b64encode(np.ascontiguousarray(values, f"<u{size}").tobytes()).decode("ascii")}


def spells(labels: Any, most: int) -> tuple[int, list[tuple[int, int]]]:
    """How long each label (small integers from -1) lasted, as (label, bars), and the length of bucket that they are true to.

    1: to the bar. Where that made more than `most` spells, labels are those that hold longest in buckets of 2, 4, 8 … bars.
    """
    width, current = 1, np.asarray(labels, np.int64)
    while True:
        change = np.flatnonzero(np.diff(current)) + 1
        if len(change) < most or len(current) < 2:
            starts = np.concatenate([[0], change]).astype(np.int64)
            ends = np.concatenate([change, [len(current)]]).astype(np.int64)
            bars = np.minimum(ends * width, len(labels)) - starts * width
            return width, [(int(current[s]), int(b)) for s, b in zip(starts, bars, strict=True)]
        width *= 2
        current = _majority(labels, width)


def _majority(labels: Any, width: int) -> Ints:
    codes = np.asarray(labels, np.int64) + 1
    kinds = int(codes.max()) + 1
    bucket = np.arange(len(codes)) // width
    counts = np.bincount(bucket * kinds + codes, minlength=(int(bucket[-1]) + 1) * kinds).reshape(-1, kinds)
    found: Ints = counts.argmax(axis=1) - 1
    return found
