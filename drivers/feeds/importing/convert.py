"""One file's rows as rows of ours: times in UTC, sides in our words, numbers as float64. Nothing is filled or mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dataflows.panel import Floats, Ints
from drivers.feeds.errors import DataError
from drivers.feeds.importing.names import Matching
from drivers.feeds.importing.numbers import Numbers
from drivers.feeds.importing.source import Source
from drivers.feeds.importing.times import Times
from drivers.feeds.tables import check_names
from drivers.feeds.ticks import BOOK_SIDES
from drivers.text.times import utc

TIME: Final = pa.timestamp("ns", "UTC")
_SIDES: Final = {"buy": "buy", "b": "buy", "1": "buy", "sell": "sell", "s": "sell", "-1": "sell"}
_UNKNOWN: Final = frozenset({"", "unknown", "none", "nan"})
_TAKER: Final = "buy or sell (the taker's), or nothing where unknown; rows of best bids and asks are --preset best-quotes"
_MAKER: Final = {"true": "sell", "1": "sell", "false": "buy", "0": "buy"}  # the buyer was the maker: so the taker sold
_QUOTES: Final = {"bid": 0, "buy": 0, "b": 0, "ask": 1, "sell": 1, "a": 1, "offer": 1}


@dataclass
class Converted:
    """A file on its way. symbol: None takes the column's. ids: the type of trade ids. rows: read so far."""

    source: Source
    matching: Matching
    symbol: str | None
    times: Times
    numbers: Numbers
    ids: Any = None
    rows: int = 0
    words: Mapping[str, str] | None = None  # theirs to ours of the side, in the layout's own words
    empty: int = 0  # rows of funding left out so far, as they name no rate

    def __post_init__(self) -> None:
        exact = [self.matching.columns.get(name) for name in ("timestamp", "trade_id", "symbol")] + [self.matching.clock_time]
        exact += [self.matching.keep[0]] if self.matching.keep else []
        self.source.as_text = frozenset(name for name in exact if name is not None)

    def fields(self) -> list[str]:
        """Our columns beside time and symbol, in the order of the format."""
        if self.matching.kind == "book":
            return [f"{side}_{level}" for level in range(self.matching.depth) for side in BOOK_SIDES]
        names = [name for name in self.matching.columns if name not in ("timestamp", "symbol")]
        return ["side" if name == "buyer_is_maker" else name for name in names]

    def tables(self) -> Iterator[pa.Table]:
        """Batches of rows of ours, in the file's order. Raises DataError naming the row at fault."""
        raw = self._quotes() if self.matching.best_quotes else self._rows()
        for table in raw:
            if table.num_rows:
                yield table

    def _rows(self) -> Iterator[pa.Table]:
        for start, batch in self.source.batches(self.matching.used):
            self.rows += batch.num_rows
            made = {
                "timestamp": pa.array(self._time(batch, start), pa.int64()).cast(TIME),
                "symbol": self._symbols(batch, start),
            }
            for name in self.fields():
                if name == "side":
                    made[name] = self._side(batch, start)
                elif name == "trade_id":
                    made[name] = self._ids(batch, start)
                else:
                    made[name] = pa.array(self._numbers(batch, name, start))
            yield self._told(pa.table(made), batch)

    def _told(self, table: pa.Table, batch: Any) -> pa.Table:
        """Without the rows that are of another kind, and those of funding that name no rate."""
        if (keep := self.matching.keep) is not None:
            table = table.filter(pc.equal(batch.column(keep[0]).cast(pa.string()), keep[1]))
        if self.matching.kind != "funding":
            return table
        told = ~np.isnan(table.column("funding_rate").to_numpy())
        self.empty += int(np.count_nonzero(~told))
        return table if told.all() else table.filter(pa.array(told))

    def _time(self, batch: Any, start: int) -> Ints:
        dates = batch.column(str(self.matching.columns["timestamp"]))
        if self.matching.clock_time is not None:
            clock = batch.column(self.matching.clock_time)
            whole = pa.types.is_integer(clock.type)
            clock, dates = clock.cast(pa.string()), dates.cast(pa.string())
            if whole:  # 90000 is 09:00:00
                clock = pc.utf8_lpad(clock, 6, "0")
            dates = pc.binary_join_element_wise(dates, clock, " ")
        return self.times.read(dates, start)

    def _symbols(self, batch: Any, start: int) -> Any:
        if self.symbol is not None:
            return pa.array([self.symbol]).take(pa.array(np.zeros(batch.num_rows, np.int64)))
        values = batch.column(str(self.matching.columns["symbol"])).cast(pa.string())
        values = pc.utf8_trim_whitespace(values)
        absent = pc.or_kleene(values.is_null(), pc.equal(values, "")).fill_null(True)
        if pc.any(absent).as_py():
            index = int(np.argmax(absent.to_numpy(zero_copy_only=False)))
            raise DataError(f"{self.source.row(start + index)}: the symbol is missing; remove the row or fill it in")
        coded = values.dictionary_encode()
        check_names(coded.dictionary.to_pylist(), coded.indices.to_numpy(), lambda i: self.source.row(start + i))
        return values

    def _numbers(self, batch: Any, name: str, start: int) -> Floats:
        """A column of numbers, NaN where it has none. Raises DataError naming the first that is none."""
        theirs = self.matching.columns[name]
        if theirs is None:
            return np.full(batch.num_rows, np.nan)
        found = self.numbers.read(batch.column(theirs), name, theirs, start)
        return np.abs(found) if self._signed and name == "size" else found

    @property
    def _signed(self) -> bool:
        """Whether one column is both size and side: bought above 0, sold below."""
        columns = self.matching.columns
        return "side" in columns and columns["side"] is not None and columns["side"] == columns.get("size")

    def _ids(self, batch: Any, start: int) -> Any:
        theirs = str(self.matching.columns["trade_id"])
        try:
            return batch.column(theirs).cast(self.ids)
        except pa.ArrowInvalid as error:
            raise DataError(f"{self.source.row(start)}: {theirs} is not a whole number from here on ({error})") from None

    def _side(self, batch: Any, start: int) -> Any:
        columns = self.matching.columns
        if "buyer_is_maker" in columns:
            return self._words(batch, str(columns["buyer_is_maker"]), start, _MAKER.get, "true or false")
        if columns["side"] is None:
            return pa.nulls(batch.num_rows, pa.string())
        theirs = str(columns["side"])
        if self._signed:
            amount = self.numbers.read(batch.column(theirs), "size", theirs, start)
            return pa.array(np.select([amount > 0.0, amount < 0.0], ["buy", "sell"], ""), mask=~(np.abs(amount) > 0.0))
        if self.words:
            return self._words(batch, theirs, start, {k.lower(): v for k, v in self.words.items()}.get, ", ".join(self.words))
        return self._words(batch, theirs, start, _SIDES.get, _TAKER)

    def _words(self, batch: Any, theirs: str, start: int, of: Any, expected: str) -> Any:
        """A column of words in ours, null where it says nothing."""
        values = batch.column(theirs)
        if isinstance(values, pa.DictionaryArray):
            values = values.dictionary_decode()
        coded = values.cast(pa.string()).dictionary_encode()
        ours: list[str | None] = []
        for found in coded.dictionary.to_pylist():
            word = found.strip().lower()
            ours.append(of(word))
            if ours[-1] in _UNKNOWN:
                ours[-1] = None
            elif ours[-1] is None and word not in _UNKNOWN:
                index = int(
                    np.argmax(pc.equal(values.cast(pa.string()), found).fill_null(False).to_numpy(zero_copy_only=False))
                )
                raise DataError(f"{self.source.row(start + index)}: {theirs} is {found!r}; it must be {expected}")
        return pa.array(ours, pa.string()).take(coded.indices)

    # -- one side a row ------------------------------------------------------------------------------------------------------

    def _quotes(self) -> Iterator[pa.Table]:
        """A snapshot of one level for each instant: the last bid and the last ask as of its last row.

        A side that was not seen yet is absent. Rows of one symbol must be in the order of time.
        """
        state: dict[str, Floats] = {}  # symbol -> bid price, bid size, ask price, ask size
        latest: dict[str, int] = {}
        held: tuple[int, str] | None = None
        rows: list[tuple[int, str, Floats]] = []
        columns = {name: str(self.matching.columns[name]) for name in ("side", "price", "size")}
        for start, batch in self.source.batches(self.matching.used, 1 << 16):
            self.rows += batch.num_rows
            time, symbols = self._time(batch, start), self._symbols(batch, start).to_pylist()
            price, size = self._numbers(batch, "price", start), self._numbers(batch, "size", start)
            sides = [str(word).strip().lower() for word in batch.column(columns["side"]).cast(pa.string()).to_pylist()]
            for i, (at, symbol, side) in enumerate(zip(time.tolist(), symbols, sides, strict=True)):
                if side not in _QUOTES:
                    raise DataError(f"{self.source.row(start + i)}: {columns['side']} is {side!r}; it must be bid or ask")
                if at < latest.get(symbol, at):
                    raise DataError(
                        f"{self.source.row(start + i)}: {symbol} {utc(at)} is earlier than the row before it; sort the file by "
                        "time: which quote stood when depends on the order"
                    )
                if held is not None and held != (at, symbol):
                    rows.append((*held, state[held[1]].copy()))
                k = 2 * _QUOTES[side]
                state.setdefault(symbol, np.full(4, np.nan))[k : k + 2] = price[i], size[i]
                held, latest[symbol] = (at, symbol), at
            yield _snapshots(rows)
            rows = []
        if held is not None:
            yield _snapshots([(*held, state[held[1]])])


def _snapshots(rows: list[tuple[int, str, Floats]]) -> pa.Table:
    levels = np.array([row[2] for row in rows], np.float64).reshape(-1, 4)
    made = {
        "timestamp": pa.array([row[0] for row in rows], pa.int64()).cast(TIME),
        "symbol": pa.array([row[1] for row in rows], pa.string()),
    }
    return pa.table(made | {f"{side}_0": pa.array(levels[:, k]) for k, side in enumerate(BOOK_SIDES)})
