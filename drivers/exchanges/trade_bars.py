"""Bars from a stream of trades, compared with the exchange's own candles."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

MS: Final = 1_000_000
"""ns."""
KEPT: Final = 8
"""Bars of a symbol that are kept until they are asked for."""
IDS: Final = 20_000
"""Ids of the last trades, by which repeated ones are known."""


class Row(NamedTuple):
    """One bar of one symbol, in the units of `Observations`; what is unknown is NaN."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    vwap: float = math.nan
    trade_count: float = math.nan
    buy_volume: float = math.nan
    buy_count: float = math.nan


@dataclass
class TradeCounts:
    """What came besides what was awaited."""

    repeated: int = 0  # trades that came again
    impossible: int = 0  # trades and candles with an impossible price or size
    lost: int = 0  # gaps in the ids of trades
    differing: int = 0  # bars of which trades and candle say different things: the candle counts
    late: int = 0  # trades of bars that had been handed on: counted, never inserted


@dataclass
class _Bar:
    row: Row
    notional: float
    whole: bool = True


@dataclass
class TradeBars:
    """One symbol's bars under construction. A bar holds the trades in [open, close), as the candles of exchanges do.

    step: ns. says_closed: the exchange says of its candles when they have closed. consecutive: it numbers trades without gaps.
    lot: least step of a size; 0: unknown.
    """

    step: int
    says_closed: bool
    consecutive: bool = False
    lot: float = 0.0
    counts: TradeCounts = field(default_factory=TradeCounts)
    late: int = 0  # since it was last asked for
    newest: int = 0  # UTC ns of the newest trade or candle's open
    _whole_from: int | None = None  # UTC ns: since then no trade was missed, as far as is known
    _bars: dict[int, _Bar] = field(default_factory=dict)  # by close
    _candles: dict[int, tuple[Row, bool]] = field(default_factory=dict)  # by close: (candle, whether it has closed)
    _handed: dict[int, Row] = field(default_factory=dict)  # bars handed on before their candle came
    _last_id: int = 0
    _last_close: int = 0
    _ids: deque[str] = field(default_factory=lambda: deque(maxlen=IDS))
    _seen: set[str] = field(default_factory=set)

    def begin(self, now: int) -> None:
        """Every trade from now on comes. UTC ns."""
        self._whole_from = now

    def lost(self) -> None:
        """Trades are missed from now on, until `begin`."""
        self._whole_from, self._last_id = None, 0
        for bar in self._bars.values():
            bar.whole = False

    def add(self, trade: Mapping[str, Any], count: float = 1.0) -> None:
        """One trade, as ccxt unifies it. count: of the trades that it stands for."""
        identity = str(trade["id"])
        if not self._is_new(identity):
            self.counts.repeated += 1
            return
        price, size, at = _number(trade["price"]), _number(trade["amount"]), trade["timestamp"]
        if not (0.0 < price < math.inf and 0.0 <= size < math.inf and at):
            self.counts.impossible += 1
            self.lost_one()
            return
        time = int(at) * MS
        close = time // self.step * self.step + self.step
        if close <= self._last_close:
            self.counts.late += 1
            self.late += 1
            return
        self.newest = max(self.newest, time)
        bought = {"buy": 1.0, "sell": 0.0}.get(trade["side"], math.nan)
        bar = self._bars.get(close)
        if bar is None:
            whole = self._whole_from is not None and self._whole_from <= close - self.step
            first = Row(price, price, price, price, size, math.nan, count, size * bought, count * bought)
            self._bars[close] = _Bar(first, price * size, whole)
            return
        r = bar.row
        bar.notional += price * size
        bar.row = Row(
            r.open, max(r.high, price), min(r.low, price), price, r.volume + size, math.nan, r.trade_count + count,
            r.buy_volume + size * bought, r.buy_count + count * bought,
        )  # fmt: skip

    def _is_new(self, identity: str) -> bool:
        if self.consecutive and identity.isdecimal():
            number, before = int(identity), self._last_id
            if before and number <= before:
                return False
            self._last_id = number
            if before and number > before + 1:
                self.counts.lost += 1
                self.lost_one()
            return True
        if identity in self._seen:
            return False
        if len(self._ids) == IDS:
            self._seen.discard(self._ids[0])
        self._ids.append(identity)
        self._seen.add(identity)
        return True

    def lost_one(self) -> None:
        """A trade of the bars under construction is missing."""
        for bar in self._bars.values():
            bar.whole = False
        if self._whole_from is not None:
            self._whole_from = max(self._whole_from, self.newest + 1)

    def candle(self, open_ms: int, values: tuple[Any, ...], closed: bool) -> None:
        """The exchange's candle as it is now. values: open, high, low, close, volume."""
        o, h, low, c, v = (_number(value) for value in values)
        if not (0.0 < low <= min(o, c) <= max(o, c) <= h < math.inf and 0.0 <= v < math.inf):
            self.counts.impossible += 1
            return
        close = open_ms * MS + self.step
        self.newest = max(self.newest, open_ms * MS)
        row = Row(o, h, low, c, v)
        if close <= self._last_close:
            if closed and (built := self._handed.pop(close, None)) is not None and not self._agree(built, row):
                self.counts.differing += 1
            return
        if not self._candles.get(close, (row, False))[1]:
            self._candles[close] = row, closed

    def row(self, close: int, *, due: bool) -> Row | None:
        """The bar that closes then; None: not known, or not yet. due: the clock says that it has been over for long enough.

        It is over when the exchange says so; where it never does, when something later has come. When it is due, what the
        trades make of it counts if none is missing.
        """
        candle, closed = self._candles.get(close, (None, False))
        bar = self._bars.get(close)
        later = self.newest >= close
        complete = bar.whole if bar is not None else self._whole_from is not None and self._whole_from <= close - self.step
        if candle is not None and (closed or (not self.says_closed and later and due)):
            if not complete:
                return candle
            if bar is not None and self._agree(bar.row, candle):
                return _finished(bar, candle)
            if bar is None and candle.volume == 0.0:
                return candle._replace(trade_count=0.0, buy_volume=0.0, buy_count=0.0)
            if not due:
                return None  # trades may come after the candle, over another connection
            self.counts.differing += 1
            return candle
        if bar is None or not bar.whole:
            return None
        if (later and not self.says_closed) or due:
            self._handed[close] = bar.row
            return _finished(bar, bar.row)
        return None

    def agreeing(self, close: int, candle: Row) -> Row | None:
        """The candle with its flow, where the trades make exactly this candle; None where they do not."""
        bar = self._bars.get(close)
        if bar is None:
            return candle._replace(trade_count=0.0, buy_volume=0.0, buy_count=0.0) if candle.volume == 0.0 else None
        return _finished(bar, candle) if self._agree(bar.row, candle) else None

    def _agree(self, built: Row, candle: Row) -> bool:
        near = max(0.5 * self.lot, 1e-9 * candle.volume)
        return built[:4] == candle[:4] and abs(built.volume - candle.volume) <= near

    def handed_on(self, close: int) -> int:
        """The bars up to `close` are over for the engine. Returns how many trades came too late since the last call."""
        self._last_close = max(self._last_close, close)
        for kept in (self._bars, self._candles):
            for old in [c for c in kept if c <= close]:
                del kept[old]
        while len(self._handed) > KEPT:
            del self._handed[next(iter(self._handed))]
        late, self.late = self.late, 0
        return late


def _finished(bar: _Bar, prices: Row) -> Row:
    """The bar with the prices and the volume of the candle, where there is one: its decimals are exact, sums are not."""
    r = bar.row
    vwap = bar.notional / r.volume if r.volume > 0.0 else math.nan
    vwap = min(max(vwap, prices.low), prices.high)
    return Row(*prices[:5], vwap, r.trade_count, min(r.buy_volume, prices.volume), r.buy_count)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
