"""The flow of bars whose trades a stream has missed, from the exchange's own record of trades, by REST.

A bar takes it only where its trades make exactly the candle that the exchange states: whatever a venue keeps, or leaves out, a
flow is right or unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from drivers.engine.chunk import Chunk
from drivers.exchanges.access import Exchange
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.history import MS, PAGE
from drivers.exchanges.markets import steps_of
from drivers.exchanges.trade_bars import Row, TradeBars

MOST_PAGES: Final = 30
"""Pages of trades that are asked for at once, of each symbol: what was missed in a longer outage stays unknown."""
UNTIL: Final = frozenset({"binance", "binanceusdm"})
"""Exchanges that take the end of the span."""
FLOW: Final = ("vwap", "trade_count", "buy_volume", "buy_count")


def trades(exchange: Exchange, symbol: str, start: int, end: int, pages: int = MOST_PAGES) -> list[Mapping[str, Any]]:
    """The exchange's trades in [start, end), UTC ns, by time and id, each once; of a span with too many, the first.

    Raises ExchangeFault where it does not answer.
    """
    found: dict[str, Mapping[str, Any]] = {}
    at, last = start // MS, -(-end // MS)
    extra = {"until": last - 1} if exchange.client.id in UNTIL else {}
    for _ in range(pages):
        given = exchange.ask(lambda since=at: exchange.client.fetch_trades(symbol, since, PAGE, extra))  # type: ignore[misc]
        fresh = [trade for trade in given if trade["timestamp"] and str(trade["id"]) not in found]
        found |= {str(trade["id"]): trade for trade in fresh}
        newest = max((int(trade["timestamp"]) for trade in fresh), default=at)
        if not fresh or newest >= last:
            break
        at = newest
    inside = [trade for trade in found.values() if start // MS <= int(trade["timestamp"]) < last]
    return sorted(inside, key=lambda trade: (int(trade["timestamp"]), len(str(trade["id"])), str(trade["id"])))


def counted(trade: Mapping[str, Any]) -> float:
    """How many trades a row stands for: Binance joins those of one order at one price, and says which."""
    about = trade.get("info")
    if not isinstance(about, Mapping) or "f" not in about or "l" not in about:
        return 1.0
    return float(int(about["l"]) - int(about["f"]) + 1)


def fill_in(exchange: Exchange, symbols: Sequence[str], step: int, chunks: Sequence[Chunk]) -> int:
    """Gives bars without a flow their flow, in place, where the exchange's trades make them. Returns how many bars of symbols
    took one. chunks: one bar each, in order. step: ns."""
    filled = 0
    for i, symbol in enumerate(symbols):
        lacking = {int(chunk.time[0]): row for chunk in chunks if (row := _row(chunk, i)) is not None}
        if not lacking:
            continue
        lot = steps_of(exchange.market(symbol), exchange.client.precisionMode)[1]
        bars = TradeBars(step, says_closed=True, lot=lot)
        bars.begin(min(lacking) - step)
        if any(row.volume > 0.0 for row in lacking.values()):
            try:
                for trade in trades(exchange, symbol, min(lacking) - step, max(lacking)):
                    bars.add(trade, counted(trade))
            except (ExchangeFault, ValueError, KeyError, TypeError, AttributeError):  # what cannot be read says nothing
                continue
        for chunk in chunks:
            row = lacking.get(int(chunk.time[0]))
            made = None if row is None else bars.agreeing(int(chunk.time[0]), row)
            if made is not None:
                filled += 1
                for name in FLOW:
                    getattr(chunk.inputs["observations"], name)[0, i] = getattr(made, name)
    return filled


def _row(chunk: Chunk, i: int) -> Row | None:
    """The bar of a symbol, where it is there and its flow is unknown."""
    seen = chunk.inputs["observations"]
    row = Row(*(float(getattr(seen, name)[0, i]) for name in Row._fields))
    return row if math.isfinite(row.close) and math.isnan(row.trade_count) else None
