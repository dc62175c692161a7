"""Presets of files that are no text (`layouts.yml` has the others), and what holds for all presets."""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.errors import DataError
from drivers.feeds.importing import PRESETS, ImportRequest, plan_import, run_import
from drivers.feeds.importing.presets import recognised
from drivers.feeds.importing.sources import open_source, origins_in
from tests.drivers.feeds.layouts import LAYOUTS

Rows = dict[str, list[Any]]

KLINES = (
    "1735689600000,93576.00,93702.15,93489.03,93656.18,8.21671000,1735689659999,769106.24715,1632,4.01671000,376000.1,0\n"
    "1735689660000,93656.18,93667.99,93639.06,93645.56,5.10000000,1735689719999,477600.00000,1005,2.10000000,196600.2,0\n"
)
BARS: Rows = {
    "timestamp": ["2024-03-01T00:00", "2024-03-01T00:05"],
    "open": [10.0, 11.0],
    "high": [12.0, 11.5],
    "low": [9.0, 10.0],
    "close": [11.0, 10.5],
    "volume": [100.0, 50.25],
}
T = (1709251200, 1709251500)  # the same in seconds


@dataclass(frozen=True)
class Case:
    """A file of a preset and what is to come of it. also: a second file, where the preset's kind is not enough for a run."""

    preset: str
    name: str
    content: bytes
    kind: str
    rows: Mapping[str, list[Any]]
    asked: Mapping[str, Any] = field(default_factory=dict)


def feather(frame: pd.DataFrame) -> bytes:
    made = io.BytesIO()
    frame.to_feather(made)
    return made.getvalue()


def freqtrade() -> pd.DataFrame:
    return pd.DataFrame(BARS | {"timestamp": pd.to_datetime(BARS["timestamp"], utc=True)}).rename(columns={"timestamp": "date"})


def ours(symbol: str, **more: list[Any]) -> dict[str, list[Any]]:
    return {
        "timestamp": BARS["timestamp"],
        "symbol": [symbol] * 2,
        **{k: v for k, v in BARS.items() if k != "timestamp"},
        **more,
    }


TARDIS_HEADER = "exchange,symbol,timestamp,local_timestamp,"
LEVELS = [f"{side}s[{k}].{what}" for k in range(25) for side in ("ask", "bid") for what in ("price", "amount")]


def tardis_book() -> bytes:
    def row(at: int, shift: float) -> str:
        levels = [f"{100.5 + k + shift},{k + 1},{100.0 - k + shift},{k + 2}" for k in range(25)]
        return f"binance-futures,BTCUSDT,{at},{at + 20},{','.join(levels)}\n"

    text = TARDIS_HEADER + ",".join(LEVELS) + "\n" + row(1709251200000001, 0.0) + row(1709251201500000, 1.0)
    return gzip.compress(text.encode())


BOOK_ROWS: Rows = {
    "timestamp": ["2024-03-01T00:00:00.000001", "2024-03-01T00:00:01.5"],
    "symbol": ["BTCUSDT"] * 2,
    "bid_px_0": [100.0, 101.0],
    "bid_sz_0": [2.0, 2.0],
    "ask_px_24": [124.5, 125.5],
    "ask_sz_24": [25.0, 25.0],
}
FREQTRADE_TRADES = pd.DataFrame(
    {
        "timestamp": [1709251200123, 1709251200456],
        "id": ["11", "12"],
        "type": [None, None],
        "side": ["buy", "sell"],
        "price": [10.0, 10.5],
        "amount": [1.0, 2.0],
        "cost": [10.0, 21.0],
    }
)
FUNDING_ROWS: Rows = {
    "timestamp": ["2024-03-01T00:00:00.001", "2024-03-01T00:05"],
    "symbol": ["BTCUSDT"] * 2,
    "funding_rate": [1e-4, -5e-5],
}
QUOTES = "ts,side,price,size\n1709251200000,bid,10.0,1\n1709251200000,ask,10.5,2\n1709251201000,ask,10.4,3\n"
QUOTES_ROWS: Rows = {
    "timestamp": ["2024-03-01T00:00", "2024-03-01T00:00:01"],
    "symbol": ["BTCUSDT"] * 2,
    "bid_px_0": [10.0, 10.0],
    "bid_sz_0": [1.0, 1.0],
    "ask_px_0": [10.5, 10.4],
    "ask_sz_0": [2.0, 3.0],
}

CASES = [
    Case(
        "ccxt-ohlcv",
        "BTC_USDT-5m.json",
        json.dumps([[T[0] * 1000, 10.0, 12.0, 9.0, 11.0, 100.0], [T[1] * 1000, 11.0, 11.5, 10.0, 10.5, 50.25]]).encode(),
        "bars",
        ours("BTC_USDT"),
    ),
    Case("freqtrade", "BTC_USDT_USDT-5m-futures.feather", feather(freqtrade()), "bars", ours("BTC_USDT_USDT")),
    Case(
        "freqtrade-trades",
        "XRP_ETH-trades.feather",
        feather(FREQTRADE_TRADES),
        "trades",
        {
            "timestamp": ["2024-03-01T00:00:00.123", "2024-03-01T00:00:00.456"],
            "symbol": ["XRP_ETH"] * 2,
            "price": [10.0, 10.5],
            "size": [1.0, 2.0],
            "side": ["buy", "sell"],
            "trade_id": ["11", "12"],
        },
    ),
    Case(
        "freqtrade-funding",
        "BTC_USDT_USDT-8h-funding_rate.feather",
        feather(freqtrade().assign(open=[1e-4, -5e-5])),
        "funding",
        FUNDING_ROWS | {"timestamp": BARS["timestamp"]},
        {"symbol": "BTCUSDT"},
    ),
    Case("tardis-book", "binance-futures_book_snapshot_25_2024-03-01_BTCUSDT.csv.gz", tardis_book(), "book", BOOK_ROWS),
    Case("best-quotes", "BTCUSDT-bbo.csv", QUOTES.encode(), "book", QUOTES_ROWS),
]


def recognised_by(path: Path) -> str | None:
    """The preset of a file for which none was named."""
    origin = origins_in(path)[0]
    try:
        source = open_source(origin)
    except DataError:
        return None  # in need of an option
    known = source.layout or recognised(origin.names, source.columns)
    return known.name if known is not None else None


def market(folder: Path) -> None:
    """Bars beside which books and funding can stand."""
    frame = pd.DataFrame(ours("BTCUSDT"))
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True)
    folder.mkdir()
    frame.to_parquet(folder / "bars.parquet", index=False)
    (folder / "dataset.yml").write_text("clock: 5m\n", encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c.preset}-{c.name.partition('.')[2]}-{len(c.content)}")
def test_a_file_in_the_layout_of_its_document(case: Case, tmp_path: Path) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.content)
    out = tmp_path / "out"
    if case.kind in ("book", "funding"):
        market(out)
    run_import(plan_import(ImportRequest((path,), out, preset=case.preset, add=out.exists(), **case.asked)))
    mine = pd.read_parquet(out / f"{case.kind}.parquet")
    expected = pd.DataFrame(case.rows)
    expected["timestamp"] = pd.to_datetime(expected["timestamp"], utc=True, format="ISO8601").astype("datetime64[ns, UTC]")
    if case.kind != "book":
        assert set(mine.columns) == set(expected.columns)
    for name in expected.columns:
        np.testing.assert_array_equal(mine[name].to_numpy(), expected[name].to_numpy(), err_msg=name)


def test_every_preset_has_such_a_file(tmp_path: Path) -> None:
    met = {case.preset for case in CASES}
    for i, layout in enumerate(LAYOUTS):
        (tmp_path / str(i)).mkdir()
        asked = re.search(r"--preset (\S+)", layout.by)
        by_itself = recognised_by(layout.write(tmp_path / str(i))) if asked is None else None
        met |= {asked[1]} if asked is not None else {by_itself} if by_itself else set()
    assert met == set(PRESETS)
    assert all(preset.source and preset.about for preset in PRESETS.values())


def test_months_in_milliseconds_and_in_microseconds_join(tmp_path: Path) -> None:
    later = KLINES.replace("1735689600000,9", "1735689720000000,9").replace("1735689660000,9", "1735689780000000,9")
    for name, text in (("BTCUSDT-1m-2024-12.csv", KLINES), ("BTCUSDT-1m-2025-01.csv", later)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    run_import(plan_import(ImportRequest((tmp_path,), tmp_path / "out", preset="binance-klines")))
    times = pd.read_parquet(tmp_path / "out" / "bars.parquet")["timestamp"]
    assert list(times.diff().dropna().unique()) == [pd.Timedelta(minutes=1)]


def test_an_unknown_preset_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no preset binance-kline; did you mean binance-klines"):
        plan_import(ImportRequest((tmp_path / "a.csv",), tmp_path / "out", preset="binance-kline"))


def test_a_preset_on_a_file_of_another_layout(tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"the preset binance-trades expects a column time, and the file has a, b; choose another"
    ):
        plan_import(ImportRequest((path,), tmp_path / "out", preset="binance-trades"))
    path.write_text("1,2,3\n4,5,6\n", encoding="utf-8")
    with pytest.raises(DataError, match="has 3 columns, and the preset binance-trades has id, price, qty"):
        plan_import(ImportRequest((path,), tmp_path / "out", preset="binance-trades"))
    with pytest.raises(DataError, match="the preset binance-trades is of trades, and --kind says bars"):
        path.write_text("id,price,qty,time,is_buyer_maker\n1,2,3,1709251200000,true\n", encoding="utf-8")
        plan_import(ImportRequest((path,), tmp_path / "out", preset="binance-trades", kind="bars"))
