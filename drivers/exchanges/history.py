"""History by REST, page by page: each row once, in order, none that is not finished."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from drivers.exchanges.access import Exchange
from drivers.exchanges.errors import ExchangeFault, Malformed

PAGE: Final = 1_000
"""Rows asked for at once; an exchange that gives fewer is asked more often."""
TRIES_OF_IMPOSSIBLE: Final = 3
MS: Final = 1_000_000
"""ns."""

Candle = tuple[int, float, float, float, float, float]
"""Open time (UTC ns), open, high, low, close, volume (base units)."""


@dataclass
class Counts:
    """What came besides what was asked for."""

    repeated: int = 0  # rows that came again
    unfinished: int = 0  # candles that had not closed
    impossible: int = 0  # candles without a price, or with an impossible one, however often they were asked for


def timeframe(exchange: Exchange, step: int) -> str:
    """The exchange's name of a bar length, ns. Raises ExchangeFault where it has none."""
    there = exchange.client.timeframes or {}
    found = next((name for name in there if exchange.client.parse_timeframe(name) * 1_000_000_000 == step), None)
    if found is None:
        raise ExchangeFault(f"{exchange.name} has no bars of {step // 1_000_000_000} s; there are: {', '.join(there)}")
    return str(found)


def candles(exchange: Exchange, symbol: str, step: int, start: int, end: int, counts: Counts) -> Iterator[list[Candle]]:
    """Pages of the candles that open in [start, end) and have closed by the exchange's clock; times UTC ns.

    A page with an impossible candle is asked for again. One that stays so is left out and counted: it is a missing bar.
    """
    frame = timeframe(exchange, step)
    at, end = -(-start // step) * step, min(end, exchange.now() // step * step)
    while at < end:
        since, asked = at // MS, PAGE

        tries = itertools.count(1)

        def page(since: int = since, asked: int = asked, tries: Iterator[int] = tries) -> list[Candle | None]:
            found = [_candle(row) for row in exchange.client.fetch_ohlcv(symbol, frame, since, asked)]
            if None in found and next(tries) < TRIES_OF_IMPOSSIBLE:
                raise Malformed(f"a candle of {symbol} after {since} ms has an impossible price")
            return found

        given = exchange.ask(page)
        counts.impossible += given.count(None)
        rows = [row for row in given if row is not None]
        fresh: list[Candle] = []
        for row in sorted(rows):
            if row[0] < at or (fresh and row[0] <= fresh[-1][0]):
                counts.repeated += 1
            elif row[0] >= end:
                counts.unfinished += 1
            else:
                fresh.append(row)
        yield fresh
        # an empty page: nothing traded for as long, or the symbol was not listed yet
        at = fresh[-1][0] + step if fresh else at + PAGE * step


def _candle(row: list[Any]) -> Candle | None:
    open_, high, low, close, volume = (math.nan if value is None else float(value) for value in row[1:6])
    if 0.0 < low <= min(open_, close) <= max(open_, close) <= high < math.inf and 0.0 <= volume < math.inf:
        return int(row[0]) * MS, open_, high, low, close, volume
    return None


def funding(exchange: Exchange, symbol: str, start: int, end: int, counts: Counts) -> Iterator[list[tuple[int, float]]]:
    """Pages of (time UTC ns, rate) of the funding payments in [start, end)."""
    at = start
    while at < end:
        since = at // MS

        def page(since: int = since) -> list[tuple[int, float]]:
            rows = exchange.client.fetch_funding_rate_history(symbol, since, PAGE)
            return sorted((int(row["timestamp"]) * MS, float(row["fundingRate"])) for row in rows)

        rows = exchange.ask(page)
        fresh = [row for row in rows if at <= row[0] < end]
        counts.repeated += sum(row[0] < at for row in rows)
        yield fresh
        if not fresh:
            return
        at = fresh[-1][0] + MS
