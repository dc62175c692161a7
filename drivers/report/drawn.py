"""What the charts of a report draw, small enough to be in the page."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.risk.types import LEVELS
from drivers.report.account import Account, runs_of
from drivers.report.contents import RunReport
from drivers.report.drawn_returns import drawn_returns
from drivers.report.learned import drawn_learned
from drivers.report.market import QUALITY, STATES, STOP, TARGET, Prices
from drivers.report.scan import clock_data
from drivers.report.series import floats, numbers, spells, thinned
from drivers.report.trips import Fill
from drivers.report.words import REASONS, REGIMES, TYPES, in_words_all
from drivers.text.counts import plural

ACCOUNT_POINTS: Final = 6_000
MOST_FILLS: Final = 4_000
"""Of one symbol; of more, those with the largest notional are drawn."""
MOST_SPELLS: Final = 1_500


def drawn(report: RunReport) -> dict[str, Any]:
    """The data element of the page, as report.js reads it."""
    clock = report.clock
    made: dict[str, Any] = {
        "clock": clock_data(clock),
        "seconds": report.seconds,
        "folder": shlex.quote(report.name),
    }
    if report.account is not None:
        made["account"] = _account(report, report.account)
        if report.book.fills:
            made["costs"] = _costs(report, report.account)
        made |= drawn_returns(report.account, report.hold, report.book.trips)
    if report.prices is not None:
        made["symbols"] = [_symbol(report, n) for n in report.drawn]
        made["regimes"] = [REGIMES.get(s, s.lower()) for s in STATES]
    if report.quality is not None:
        made["quality"] = _quality(report)
    if report.learned is not None:
        made["learned"] = drawn_learned(report.learned)
    return made


def _account(report: RunReport, account: Account) -> dict[str, Any]:
    equity = np.where(account.equity > 0.0, account.equity, np.nan)
    names: tuple[str, ...] = ("equity", "drawdown", "gross", "net")
    series: tuple[Floats, ...] = (account.equity, -account.drawdown, account.gross / equity, account.net / equity)
    halts = report.halts if report.halts is not None else np.zeros(0, np.int8)
    if report.hold is not None:
        names, series = (*names, "hold"), (*series, report.hold * account.start + account.flows)
    return {
        **dict(zip(names, thinned(series, ACCOUNT_POINTS), strict=True)),
        "start": account.start,
        "caps": {name: report.setting("risk", name) for name in ("gross", "net")},
        "halts": [[first, length, LEVELS[int(halts[first])].lower()] for first, length in runs_of(halts > 0)],
    }


def _costs(report: RunReport, account: Account) -> dict[str, Any]:
    bars = report.clock.bar_of_fill(np.array([f.time for f in report.book.fills], np.int64))
    fees, slippage = (np.zeros(report.clock.bars) for _ in range(2))
    np.add.at(fees, bars, [f.fee for f in report.book.fills])
    np.add.at(slippage, bars, [f.slippage for f in report.book.fills])
    after = account.equity - account.flows - account.start
    before_fees = after + np.cumsum(fees)
    series = (before_fees + np.cumsum(slippage), before_fees, after)
    return dict(zip(("before", "slipped", "after"), thinned(series, ACCOUNT_POINTS), strict=True))


def _symbol(report: RunReport, n: int) -> dict[str, Any]:
    prices = report.prices
    assert prices is not None
    made: dict[str, Any] = {"name": report.symbols[n], "candles": _candles(prices, n)}
    if report.regimes is not None:
        width, found = spells(report.regimes[:, n], MOST_SPELLS)
        made["regimes"] = {
            "width": width,
            "state": numbers(np.array([label + 1 for label, _ in found], np.int64)),
            "bars": numbers(np.array([bars for _, bars in found], np.int64)),
        }
    fills = report.book.by_symbol.get(n, [])
    made["fills"] = _fills(report, _largest(fills))
    made["all_fills"] = len(fills)
    return made


def _candles(prices: Prices, n: int) -> dict[str, Any]:
    """Of one symbol, a value for each bucket of `width` bars; stop, target and fields only where some are known."""
    candles = prices.candles
    made: dict[str, Any] = {"width": candles.width, "fields": {}}
    for name in ("open", "high", "low", "close", "volume"):
        made[name] = floats(getattr(candles, name)[:, n])
    for name, column in (("stop", STOP), ("target", TARGET)):
        if column in candles.last and np.isfinite(candles.last[column][:, n]).any():
            made[name] = floats(candles.last[column][:, n])
    for column in prices.fields:
        made["fields"][column] = floats(candles.last[column][:, n])
    return made


def _largest(fills: Sequence[Fill]) -> Sequence[Fill]:
    if len(fills) <= MOST_FILLS:
        return fills
    least = sorted((f.notional for f in fills), reverse=True)[MOST_FILLS - 1]
    return [f for f in fills if f.notional >= least][:MOST_FILLS]


def _fills(report: RunReport, fills: Sequence[Fill]) -> dict[str, Any]:
    texts: dict[str, int] = {}
    said = [texts.setdefault(_tooltip(f.type, f.liquidity, f.reason), len(texts)) for f in fills]
    return {
        "n": len(fills),
        "step": numbers(np.diff(report.clock.bar(np.array([f.time for f in fills], np.int64)), prepend=0)),
        "price": floats(np.array([f.price for f in fills])),
        "quantity": floats(np.array([f.quantity for f in fills])),
        "after": floats(np.array([f.after for f in fills])),
        "fee": floats(np.array([f.fee for f in fills])),
        "slippage": floats(np.array([f.slippage for f in fills])),
        "text": numbers(np.array(said, np.int64)),
        "texts": list(texts),
        "order": numbers(np.array([int(f.order.rpartition("-")[2]) if f.order else 0 for f in fills], np.int64)),
    }


@functools.cache
def _tooltip(type_: str, liquidity: str, reason: str) -> str:
    """Of a fill: thousands have the same few."""
    kind = TYPES.get(type_, type_.lower()) or "unknown"
    return f"{kind} order, {liquidity.lower() if liquidity else 'unknown'}: {in_words_all(reason, REASONS, 'as proposed')}"


def _quality(report: RunReport) -> dict[str, Any]:
    """Cells of the heat map: for each kind that occurs, by symbol, then period; null where nothing was listed."""
    quality = report.quality
    assert quality is not None
    there = quality.listed > 0
    kinds: list[dict[str, Any]] = []
    for kind, found in quality.flagged.items():
        if found.any():
            share = kind in ("missing", "filled")
            values = np.where(there, found / np.maximum(quality.listed, 1), np.nan) if share else _known(found, there)
            kinds.append({"label": QUALITY[kind], "share": share, "cells": _cells(values)})
    if quality.silence.any():
        silence = _cells(np.where(there, quality.silence, np.nan))
        kinds.append({"label": "longest silence, bars", "share": False, "cells": silence})
    return {
        "starts": (report.clock.period_starts // 1_000_000).tolist(),
        "period": report.clock.period // 1_000_000,
        "symbols": list(report.symbols),
        "kinds": kinds,
    }


def _known(found: Ints, there: Any) -> Floats:
    return np.where(there, found.astype(np.float64), np.nan)


def _cells(values: Floats) -> list[list[float | None]]:
    return [[None if not np.isfinite(v) else float(f"{v:.4g}") for v in column] for column in values.T]


def in_words(report: RunReport) -> dict[str, str]:
    """What the charts are made of, for who wants to know how true they are."""
    made: dict[str, str] = {}
    bars = plural(report.clock.bars, "bar")
    if report.account is not None:
        made["account"] = _honest(bars, report.clock.bars, ACCOUNT_POINTS)
    if report.prices is not None:
        width = report.prices.candles.width
        shortest = "one bar" if width == 1 else f"{width} bars"
        made["prices"] = (
            f"A candle spans {shortest} at the closest, and more when more is shown; its high and low lose no spike."
        )
    return made


def _honest(bars: str, n: int, points: int) -> str:
    if n <= points:
        return f"Every one of the {bars} is drawn."
    width = max(1, -(-2 * n // points))
    return f"Of {bars} the lowest and the highest value of every {width} are drawn, each at its own time, so no spike is lost."
