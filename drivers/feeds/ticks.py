"""Reads trades, book snapshots and funding onto a clock, batch by batch, through the kernels of `dataflows.data.aggregate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dataflows.data.aggregate import NEVER, add_snapshots, add_trades, book_bars, carry_books, fill_quiet, trade_bars
from dataflows.panel import Floats, Ints
from drivers.feeds.bars import DEFAULT_STEP, must_be_positive
from drivers.feeds.bounds import PRICE, SIZE
from drivers.feeds.errors import DataError, Fault
from drivers.feeds.reading import Axis, Listing, Reading, codes_of
from drivers.feeds.tables import BATCH_ROWS, Table
from drivers.text.times import utc

BOOK_SIDES: Final = ("bid_px", "bid_sz", "ask_px", "ask_sz")
_SIDES: Final = {"buy": 1, "b": 1, "sell": 0, "s": 0, "unknown": -1, "none": -1, "": -1}
_CURE: Final = "correct or remove the row"


# -- trades -------------------------------------------------------------------------------------------------------------------


def trade_axis(reading: Reading, table: Table, symbols: Sequence[str] | None, start: int | None, end: int | None) -> Axis:
    """The axis of a folder without a bars file: bars of the clock over the span of the trades."""
    span: dict[str, tuple[int, int, int]] = {}  # first, last, how many
    for at, batch in table.batches(["timestamp", "symbol"]):
        time = table.times(batch.column("timestamp"), at)
        found, index = table.texts(batch, "symbol", at)
        late = reading.future(table, at, np.ones(len(time), bool), found, index, time)
        time, index = time[~late], index[~late]
        for k, name in enumerate(found):
            mine = time[index == k]
            if len(mine):
                low, high, n = span.get(name, (int(mine[0]), int(mine[0]), 0))
                span[name] = min(low, int(mine.min())), max(high, int(mine.max())), n + len(mine)
    column = reading.columns(list(span), symbols, table)
    step = reading.about.step or DEFAULT_STEP
    low, high = min(span[s][0] for s in column), max(span[s][1] for s in column)
    first, last = -(-low // step) * step, -(-high // step) * step
    if start is not None:
        first = max(first, start // step * step + step)
    if end is not None:
        last = min(last, end // step * step)
    if first > last:
        raise DataError(f"{table.name}: no trade lies in the span asked for; the file spans {utc(low)} to {utc(high)}")
    every = first + step * np.arange((last - first) // step + 1, dtype=np.int64)
    return reading.axis(table, first, last, step, column, sum(span[s][2] for s in column), every)


def read_trades(reading: Reading, table: Table, axis: Axis, *, whole: bool) -> Ints:
    """Bars from trades. whole: prices and volume too, else only what the bars file does not have.

    A whole bar without a trade is flat where the exchange was at work: a snapshot of the symbol's book lies in it or, of a
    symbol without any, some symbol of the file traded in it (so the book is to be read before).
    Returns the first and last row of each symbol in which it traded (2, N).
    """
    bars = trade_bars(axis.bars, len(axis.column))
    repeats = _Repeats(reading, table, axis)
    listing = Listing(len(axis.column))
    traded, sided = np.zeros(axis.bars, bool), np.zeros(len(axis.column), np.int64)
    shift = reading.about.per_symbol("price_shift", axis.symbols)
    for start, batch in table.batches(["timestamp", "symbol", "price", "size", "side", *repeats.columns]):
        time = table.times(batch.column("timestamp"), start)
        code = codes_of(table, batch, start, axis.column)
        price, size, side = table.floats(batch, "price") + shift[code], table.floats(batch, "size"), _sides(table, batch, start)
        use = code >= 0
        late = use & (time > reading.latest) if whole else reading.future(table, start, use, axis.symbols, code, time)
        use &= ~late  # where bars come from trades, `trade_axis` has told of them
        for name, x in (("price", price), ("size", size)):
            use &= ~_impossible(reading, table, start, use, axis, code, time, name, x)
        row = axis.rows(time)
        traded[row[(row >= 0) & (row < axis.bars)]] = True  # of all symbols, so that a choice of them changes no bar
        use &= ~repeats.among(batch, start, use, time, row, code, price, size)
        part = np.flatnonzero(use)
        listing.add(code[part], row[part])
        sided[code[part[side[part] >= 0]]] = 1
        reading.counts["rows"] += len(part) if whole else 0
        back = add_trades(time[part], row[part], code[part], price[part], size[part], side[part], bars)
        if back >= 0:
            _went_back(table, start + int(part[back]), axis.symbols[code[part[back]]], int(time[part[back]]))
    if whole:
        snapshot = reading.panels["book_age"] < 1.0 if "book_age" in reading.panels else False
        alive = np.zeros(bars.open.shape, np.int64)
        alive[:] = np.where(reading.has_book, snapshot, traded[:, None])
        fill_quiet(alive, listing.within(axis.bars)[1], sided, bars)
    with np.errstate(invalid="ignore", divide="ignore"):
        vwap = np.where(bars.volume > 0.0, bars.notional / bars.volume, np.nan)
    made = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume", "buy_volume", "buy_count")}
    for name, panel in {**made, "vwap": vwap, "trade_count": bars.trades}.items():
        if whole or name not in reading.panels:
            reading.panels[name] = panel
    return listing.within(axis.bars)


def _impossible(
    reading: Reading, table: Table, start: int, use: Any, axis: Axis, code: Ints, time: Ints, name: str, x: Floats
) -> Any:
    """The rows whose price or size cannot be, told to the sink: a price is positive, a size not negative, both in bounds."""
    infinite = use & ~np.isfinite(x)
    low = use & ((x <= 0.0) if name == "price" else (x < 0.0)) & ~infinite
    shift = reading.about.per_symbol("price_shift", axis.symbols)
    bound = PRICE if name == "price" else SIZE
    beyond = use & bound.beyond(x) & ~low
    for wrong in (infinite, low):

        def what(i: int, wrong: Any = wrong) -> str:
            if wrong is infinite:
                must = f"a {name} must be finite: {_CURE}"
            else:
                must = must_be_positive(shift[code[i]]) if name == "price" else f"a {name} cannot be negative: {_CURE}"
            return f": {name} is {x[i]:.10g}; {must}"

        reading.fault(f"bad {name}", table, wrong, start, axis.symbols, code, time, what)

    def far(i: int) -> str:
        return f": {bound.sentence(name, float(x[i]))}; {_CURE}"

    reading.fault(f"{name} out of bounds", table, beyond, start, axis.symbols, code, time, far)
    return infinite | low | beyond


class _Repeats:
    """Trades whose id was there before, as after a reconnect: dropped and counted, wherever in the file they are."""

    def __init__(self, reading: Reading, table: Table, axis: Axis) -> None:
        self.reading, self.table, self.axis = reading, table, axis
        self.again = _repeated_ids(table, axis.column) if "trade_id" in table.columns else frozenset()
        self.columns = ["trade_id"] if self.again else []
        self._kept: dict[tuple[int, str], tuple[int, float, float]] = {}

    def among(self, batch: Any, start: int, use: Any, time: Ints, row: Ints, code: Ints, price: Floats, size: Floats) -> Any:
        """Which rows of a batch repeat one before; tells of those that differ from it."""
        repeated, differs = np.zeros(len(use), bool), np.zeros(len(use), bool)
        if not self.again:
            return repeated
        ids = batch.column("trade_id").cast(pa.string()).to_pylist()
        for i in np.flatnonzero(use).tolist():
            if ids[i] in self.again:
                found = int(time[i]), float(price[i]), float(size[i])
                first = self._kept.setdefault((int(code[i]), ids[i]), found)
                repeated[i] = first is not found
                differs[i] = first != found

        def what(i: int) -> str:
            return f": trade_id {ids[i]} appears twice with different time, price or size; remove one of them"

        self.reading.fault("differing duplicate", self.table, differs, start, self.axis.symbols, code, time, what)
        self.reading.dropped(row[repeated], code[repeated], self.axis)
        return repeated


def _repeated_ids(table: Table, column: dict[str, int]) -> frozenset[str]:
    """The trade ids that occur more than once in a symbol. Compared by a number first, so that few are looked at as text."""

    def batches() -> Iterator[tuple[Ints, Any]]:
        for start, batch in table.batches(["symbol", "trade_id"]):
            code, ids = codes_of(table, batch, start, column), batch.column("trade_id")
            use = (code >= 0) & ~ids.is_null().to_numpy(zero_copy_only=False)
            yield code[use], ids.filter(pa.array(use))

    every = np.sort(np.concatenate([_numbers(code, ids) for code, ids in batches()]))
    twice = np.unique(every[1:][every[1:] == every[:-1]])
    if not len(twice):
        return frozenset()
    found: set[str] = set()
    for code, ids in batches():
        found.update(ids.filter(pa.array(np.isin(_numbers(code, ids), twice))).cast(pa.string()).to_pylist())
    return frozenset(found)


def _numbers(code: Ints, ids: Any) -> Ints:
    """A number for each symbol and id, the same for the same, and seldom for others."""
    if pa.types.is_integer(ids.type):
        number = np.asarray(ids.to_numpy(zero_copy_only=False), np.int64)
    else:
        number = np.array([hash(i) for i in ids.cast(pa.string()).to_pylist()], np.int64)
    return number * 0x1E3779B97F4A7C15 + code  # overflow wraps round, which is as good


def _sides(table: Table, batch: Any, start: int) -> Ints:
    """1 where the aggressor bought, 0 where it sold, -1 where that is not said."""
    values = batch.column("side")
    coded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
    codes = [_SIDES.get(str(found).strip().lower(), -2) for found in coded.dictionary.to_pylist()]
    index = np.asarray(coded.indices.fill_null(len(codes)).to_numpy(zero_copy_only=False), np.int64)
    side = np.array([*codes, -1], np.int64)[index]
    if -2 in side:
        i = int(np.argmax(side == -2))
        wrong = values[i].as_py()
        raise DataError(f"{table.row(start + i)}: side is {wrong!r}; write buy or sell (the taker's), or nothing if unknown")
    return side


def _went_back(table: Table, index: int, symbol: str, time: int) -> None:
    raise DataError(
        f"{table.row(index)}: {symbol} {utc(time)} is earlier than the row of that symbol before it: timestamps of a symbol "
        "must not go backwards; sort the file by timestamp"
    )


# -- book ---------------------------------------------------------------------------------------------------------------------


def read_book(reading: Reading, table: Table, axis: Axis) -> int:
    """Fills the book panels: the last snapshot as of each close, its age, the order flow inside the bar. Returns the depth."""
    depth = 1
    while all(f"{side}_{depth}" in table.columns for side in BOOK_SIDES):
        depth += 1
    book = book_bars(axis.bars, len(axis.column), depth)
    columns = [f"{side}_{d}" for side in BOOK_SIDES for d in range(depth)]
    last: dict[int, Any] = {}
    shift = reading.about.per_symbol("price_shift", axis.symbols)
    for start, batch in table.batches(["timestamp", "symbol", *columns], BATCH_ROWS // (4 * depth)):
        time = table.times(batch.column("timestamp"), start)
        code = codes_of(table, batch, start, axis.column)
        flat = np.stack([table.floats(batch, name) for name in columns], axis=1)
        if shift.any():
            flat = _shifted(flat, shift[code], depth)
        use = code >= 0
        use &= ~reading.future(table, start, use, axis.symbols, code, time)
        wrong = np.isinf(flat) | (flat < 0.0)
        bad = use & wrong.any(axis=1)

        def what(i: int, flat: Floats = flat, wrong: Any = wrong) -> str:
            k = int(np.argmax(wrong[i]))
            return f": {columns[k]} is {flat[i, k]:.10g}; a level is positive, or empty where absent: {_CURE}"

        reading.fault("bad book level", table, bad, start, axis.symbols, code, time, what)
        beyond = np.stack([(PRICE if "_px_" in name else SIZE).beyond(flat[:, k]) for k, name in enumerate(columns)], axis=1)

        def far(i: int, flat: Floats = flat, beyond: Any = beyond) -> str:
            k = int(np.argmax(beyond[i]))
            return f": {(PRICE if '_px_' in columns[k] else SIZE).sentence(columns[k], flat[i, k])}; {_CURE}"

        over = use & ~bad & beyond.any(axis=1)
        reading.fault("book level out of bounds", table, over, start, axis.symbols, code, time, far)
        bad |= over
        levels = _absent_as_nan(flat.reshape(len(time), 4, depth))
        use &= ~bad
        same = _same_snapshots(time, code, levels, use, last)
        row = axis.rows(time)
        reading.dropped(row[same], code[same], axis)
        part = np.flatnonzero(use & ~same)
        _count_snapshots(reading, levels[part, 0, 0], levels[part, 2, 0])
        bp, bs, ap, aq = (np.ascontiguousarray(levels[part, k]) for k in range(4))
        back = add_snapshots(time[part], row[part], code[part], bp, bs, ap, aq, book)
        if back >= 0:
            _went_back(table, start + int(part[back]), axis.symbols[code[part[back]]], int(time[part[back]]))
    counts = reading.counts
    if counts["snapshots"] and counts["crossed"] == counts["snapshots"]:
        every = f"in every one of {counts['crossed']} snapshots"
        cure = "bid and ask columns are perhaps interchanged: correct the file or remove it"
        reading.sink(Fault("crossed book", f"{table.name}: the best bid is at or above the best ask {every}; {cure}"))
    reading.panels["book_age"] = carry_books(axis.trading.closes, axis.step, book)
    for name in ("bid_price", "bid_size", "ask_price", "ask_size", "ofi"):
        reading.panels[name] = getattr(book, name)
    reading.has_book = book.last_time > NEVER
    return depth


def _shifted(flat: Floats, shift: Floats, depth: int) -> Floats:
    """The levels with each row's shift on the prices; one without a size is absent, whatever its price."""
    levels = flat.reshape(len(flat), 4, depth).copy()
    price, size = levels[:, 0::2], levels[:, 1::2]
    price[:] = np.where((size > 0.0) | (shift[:, None, None] == 0.0), price + shift[:, None, None], np.nan)
    return levels.reshape(flat.shape)


def _absent_as_nan(levels: Floats) -> Floats:
    """A level without a price or a size is absent; some venues write it as 0. levels: (M, 4, D)."""
    levels = np.where(levels == 0.0, np.nan, levels)
    absent = np.isnan(levels[:, 0::2]).repeat(2, axis=1) | np.isnan(levels[:, 1::2]).repeat(2, axis=1)
    levels[absent] = np.nan
    return levels


def _count_snapshots(reading: Reading, bid: Floats, ask: Floats) -> None:
    reading.counts["snapshots"] += len(bid)
    reading.counts["crossed"] += int(np.count_nonzero(bid >= ask))
    reading.counts["one_sided"] += int(np.count_nonzero(np.isnan(bid) != np.isnan(ask)))
    reading.counts["empty"] += int(np.count_nonzero(np.isnan(bid) & np.isnan(ask)))


def _same_snapshots(time: Ints, code: Ints, levels: Floats, use: Any, last: dict[int, Any]) -> Any:
    """Snapshots equal, time included, to the one of their symbol before. last: column -> (time, levels), kept up."""
    same = np.zeros(len(time), bool)
    for n in np.unique(code[use]).tolist():
        mine = np.flatnonzero(use & (code == n))
        t, x = time[mine], levels[mine]
        if n in last:
            t, x = np.concatenate([[last[n][0]], t]), np.concatenate([last[n][1][None], x])
        again = t[1:] == t[:-1]
        at = np.flatnonzero(again)
        again[at] = [np.array_equal(x[k], x[k + 1], equal_nan=True) for k in at]
        same[mine[len(mine) - len(again) :]] = again
        last[n] = (t[-1], x[-1].copy())
    return same
