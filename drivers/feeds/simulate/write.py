"""Writes a simulated market as a market-data folder, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from dataflows.panel import Ints
from drivers.feeds.simulate.market import DEFAULT_SYMBOLS, NS, simulate_market
from drivers.feeds.simulate.model import LEVELS, SimulatedMarket


def simulate(
    out: Path,
    *,
    seed: int = 7,
    symbols: Sequence[str] = DEFAULT_SYMBOLS,
    days: int = 14,
    clock_seconds: int = 60,
    start: str = "2026-01-05",
    edge: float = 1.0,
    snapshots: int = 1,
    book: bool = True,
    trades: bool = True,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Writes a market-data folder: bars.parquet, book.parquet, trades.parquet and dataset.yml.

    out: the folder to make; it must not exist. The other arguments are those of `simulate_market`. Bars are the same with and
    without `book` and `trades`. Raises FileExistsError when `out` exists, ValueError for arguments out of range.
    The folder appears under its name when it is whole; a run that fails leaves nothing behind.
    """
    out = Path(out)
    if out.exists():
        raise FileExistsError(f"simulate: {out} exists already; remove it or name another folder")

    def report_progress(fraction: float) -> None:
        if progress is not None:
            progress(fraction)

    report_progress(0.0)
    market = simulate_market(
        seed=seed,
        symbols=symbols,
        days=days,
        clock_seconds=clock_seconds,
        start=start,
        edge=edge,
        snapshots=snapshots,
        bars_only=not (book or trades),
        progress=lambda x: report_progress(0.5 * x),
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.parent / f".{out.name}.{os.getpid()}.partial"
    beside.mkdir()
    try:
        _table(beside / "bars.parquet", _bars(market))
        report_progress(0.6)
        if trades:
            _table(beside / "trades.parquet", _trades(market))
        report_progress(0.75)
        if book:
            _table(beside / "book.parquet", _book(market))
        _describe(beside / "dataset.yml", market, seed, edge)
        beside.rename(out)
    except BaseException:  # Ctrl-C too: nothing half written stays
        shutil.rmtree(beside, ignore_errors=True)
        raise
    report_progress(1.0)


def _table(path: Path, columns: Mapping[str, pa.Array]) -> None:
    # page indexes and statistics are of no use here; BYTE_STREAM_SPLIT would undo what the dictionary gains on ticks
    pq.write_table(pa.table(dict(columns)), path, compression="zstd", compression_level=3, row_group_size=1 << 17)


def _time(ns: Ints) -> pa.Array:
    return pa.array(ns, pa.int64()).cast(pa.timestamp("ns", "UTC"))


def _names(market: SimulatedMarket, index: Ints) -> pa.Array:
    values = pa.array(market.symbols, pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(index, pa.int32()), values).cast(pa.string())


def _bars(market: SimulatedMarket) -> dict[str, pa.Array]:
    seen = market.observed == 1
    rows, n = int(seen.sum()), len(market.symbols)
    panels = {
        "open": market.open,
        "high": market.high,
        "low": market.low,
        "close": market.close,
        "volume": market.volume,
        "trade_count": market.trade_count,
        "buy_volume": market.buy_volume,
        "vwap": market.vwap,
    }
    opened = market.time[seen] - market.clock_seconds * NS
    index = np.tile(np.arange(n), rows)
    columns = {"timestamp": _time(np.repeat(opened, n)), "symbol": _names(market, index)}
    return columns | {name: pa.array(panel[seen].reshape(-1)) for name, panel in panels.items()}


def _trades(market: SimulatedMarket) -> dict[str, pa.Array]:
    log = market.trades
    assert log is not None
    sides = pa.DictionaryArray.from_arrays(pa.array(log.buy, pa.int32()), pa.array(["sell", "buy"])).cast(pa.string())
    return {
        "timestamp": _time(log.time),
        "symbol": _names(market, log.symbol),
        "price": pa.array(log.price),
        "size": pa.array(log.size),
        "side": sides,
        "trade_id": pa.array(np.arange(log.time.size, dtype=np.int64)),
    }


def _book(market: SimulatedMarket) -> dict[str, pa.Array]:
    books = market.books
    assert books is not None
    parts = books.time.shape[0] // market.time.size
    seen = np.repeat(market.observed == 1, parts)
    time = books.time[seen].reshape(-1)
    index = np.tile(np.arange(len(market.symbols)), int(seen.sum()))
    order = np.lexsort((index, time)) if parts > 1 else np.arange(time.size)
    columns = {"timestamp": _time(time[order]), "symbol": _names(market, index[order])}
    fields = {"bid_px": books.bid_price, "bid_sz": books.bid_size, "ask_px": books.ask_price, "ask_sz": books.ask_size}
    flat = {name: panel[seen].reshape(-1, LEVELS)[order] for name, panel in fields.items()}
    for level in range(LEVELS):
        for name, values in flat.items():
            columns[f"{name}_{level}"] = pa.array(np.ascontiguousarray(values[:, level]))
    return columns


def description_of(market: SimulatedMarket, seed: int, edge: float) -> dict[str, Any]:
    """The keys of `dataset.yml` of a simulated market."""
    facts = {"tick_size": market.tick_size, "lot_size": market.lot_size, "min_notional": market.min_notional}
    return {
        "clock": _clock(market.clock_seconds),
        "calendar": "24/7",
        "stamp": "open",
        "source": f"simulated, seed {seed}, edge {edge:g}: no real market; the trend edge in it is planted",
        "licence": "Apache-2.0",
        "leader": market.symbols[0],
        **{key: {s: float(x) for s, x in zip(market.symbols, values, strict=True)} for key, values in facts.items()},
    }


def _describe(path: Path, market: SimulatedMarket, seed: int, edge: float) -> None:
    text = description_of(market, seed, edge)
    path.write_text(yaml.safe_dump(text, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")


def _clock(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
