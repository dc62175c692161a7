"""Every shape in ../shared/data comes out of an import as an independent reader sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.importing import ImportRequest, plan_import, run_import

SHARED = Path(__file__).parents[4] / "shared" / "data"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded sets in ../shared/data")
LOB = SHARED / "lob"


def imported(out: Path, *sources: Path, **asked: Any) -> Dataset:
    """What a run would read after an import of these."""
    run_import(plan_import(ImportRequest(sources, out, **asked)))
    return open_dataset(out)


def theirs(path: Path) -> pd.DataFrame:
    """The file as pandas has it, by UTC ns."""
    frame = pd.read_parquet(path)
    return frame.set_index(pd.DatetimeIndex(pd.to_datetime(frame["ts"], utc=True)).as_unit("ns").asi8)


def assert_bars(data: Dataset, symbol: str, path: Path, names: dict[str, str] | None = None) -> None:
    """Every row of the file is the bar that closes one step after it, and there is no other."""
    frame = theirs(path)
    rows = data.rows(0, len(data))
    column = data.symbols.index(symbol)
    closes = -((data.time[0] - frame.index.to_numpy() - data.step) // data.step) * data.step + data.time[0]
    at = np.searchsorted(data.time, closes)
    np.testing.assert_array_equal(data.time[at], closes)
    for name in ("open", "high", "low", "close", "volume"):
        source = (names or {}).get(name, name)
        if source:
            np.testing.assert_array_equal(getattr(rows, name)[at, column], frame[source].to_numpy(np.float64), err_msg=name)
    assert np.count_nonzero(~np.isnan(rows.close[:, column])) == len(frame)


BAR_SETS = {
    "ohlcv_1m/binance_usdm_perp_2025-05": "1m",
    "ohlcv_1m/binance_spot_2021-05_crash": "1m",
    "ohlcv_1m/binance_spot_2023-03": "1m",
    "ohlcv_5m/binance_spot_2018-01": "5m",
    "equity_hourly": "1h",
}


@pytest.mark.parametrize("folder", BAR_SETS)
def test_a_folder_of_one_file_a_symbol(folder: str, tmp_path: Path) -> None:
    data = imported(tmp_path / "out", SHARED / folder)
    files = sorted((SHARED / folder).glob("*.parquet"))
    assert data.symbols == tuple(f.stem for f in files)
    for file in files:
        assert_bars(data, file.stem, file)
    assert f"clock: {BAR_SETS[folder]}" in (tmp_path / "out" / "dataset.yml").read_text(encoding="utf-8")


def test_the_symbol_is_the_part_of_the_name_in_capitals(tmp_path: Path) -> None:
    path = SHARED / "ohlcv_1h" / "binance_spot_BTCUSDT_2017-08_2024-04.parquet"
    data = imported(tmp_path / "out", path)
    assert_bars(data, "BTCUSDT", path)
    path = SHARED / "fx_hourly" / "EURUSD_2017-04_2018-02_backtesting.parquet"
    assert_bars(imported(tmp_path / "fx", path), "EURUSD", path)


def test_session_dates_are_days_of_the_clock(tmp_path: Path) -> None:
    files = [SHARED / "equity_daily" / f"{name}.parquet" for name in ("AAPL", "SPY", "BAC", "IBM")]
    data = imported(tmp_path / "out", *files, calendar="XNYS")
    for file in files:
        assert_bars(data, file.stem, file)
    assert (data.step, data.calendar) == (86_400 * 10**9, "XNYS")


def test_bars_of_bid_prices_without_volume_by_naming_their_columns(tmp_path: Path) -> None:
    path = SHARED / "fx_hourly" / "EURUSD.parquet"
    with pytest.raises(DataError, match="not recognised as bars, book, trades, funding, splits, dividends or alpha; name them"):
        imported(tmp_path / "out", path)
    named = {name: f"bid_{name}" for name in ("open", "high", "low", "close")}
    with pytest.raises(DataError, match=r"as the volume of bars.*import it as unknown with --column volume=none"):
        imported(tmp_path / "out", path, columns=named)
    data = imported(tmp_path / "out", path, columns=named | {"volume": "none"})
    assert_bars(data, "EURUSD", path, named | {"volume": ""})
    assert np.isnan(data.rows(0, len(data)).volume).all()


def test_funding_beside_bars(tmp_path: Path) -> None:
    bars = SHARED / "ohlcv_1m" / "binance_usdm_perp_2025-05"
    funding = [SHARED / "funding_8h" / f"binance_usdm_{name}.parquet" for name in ("BTCUSDT", "ETHUSDT")]
    data = imported(tmp_path / "out", bars, *funding)
    for path in funding:
        frame = theirs(path)
        paid = (
            (frame.index + 500 * 10**6) // 10**9 * 10**9
        )  # payments come up to a few ms late: the schedule is in whole seconds
        inside = frame.set_index(paid)[(paid > data.time[0] - data.step) & (paid <= data.time[-1])]
        panel = data.rows(0, len(data)).funding_rate[:, data.symbols.index(path.stem.removeprefix("binance_usdm_"))]
        expected = np.zeros(len(data))
        np.add.at(expected, -((data.time[0] - inside.index.to_numpy()) // data.step), inside["funding_rate"].to_numpy())
        np.testing.assert_array_equal(panel, expected)
        assert np.count_nonzero(panel) > 80


def test_funding_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="only funding would be in out, and a run needs bars or trades"):
        imported(tmp_path / "out", SHARED / "funding_8h")
    assert not list(tmp_path.iterdir())


def assert_book(folder: Path, symbol: str, path: Path, levels: int) -> None:
    mine = pd.read_parquet(folder / "book.parquet")
    mine = mine[mine["symbol"] == symbol].reset_index(drop=True)
    frame = theirs(path)
    np.testing.assert_array_equal(mine["timestamp"].to_numpy("M8[ns]").view(np.int64), np.sort(frame.index.to_numpy()))
    frame = frame.iloc[np.argsort(frame.index.to_numpy(), kind="stable")]
    for level in range(levels):
        for side in ("bid", "ask"):
            np.testing.assert_array_equal(mine[f"{side}_px_{level}"], frame[f"{side}_price_{level}"])
            np.testing.assert_array_equal(mine[f"{side}_sz_{level}"], frame[f"{side}_size_{level}"])
    assert f"bid_px_{levels}" not in mine


def assert_trades(folder: Path, symbol: str, path: Path) -> None:
    mine = pd.read_parquet(folder / "trades.parquet")
    mine = mine[mine["symbol"] == symbol]
    frame = theirs(path)
    frame = frame.iloc[np.argsort(frame.index.to_numpy(), kind="stable")]
    np.testing.assert_array_equal(mine["timestamp"].to_numpy("M8[ns]").view(np.int64), frame.index.to_numpy())
    for name in {"price", "size", "side", "trade_id"} & set(frame.columns):
        np.testing.assert_array_equal(mine[name].to_numpy(), frame[name].to_numpy())
    if "side" not in frame:
        assert mine["side"].isna().all()


def test_books_and_trades_of_several_symbols_by_a_pattern_of_their_names(tmp_path: Path) -> None:
    folder = LOB / "hyperliquid_2025-09-04"
    files = [folder / f"{name}_{what}.parquet" for name in ("BTC", "ETH") for what in ("l2book20", "trades")]
    data = imported(tmp_path / "out", *files, symbol="{symbol}_*", clock="1s")
    assert (data.symbols, data.depth, data.step) == (("BTC", "ETH"), 20, 10**9)
    for name in data.symbols:
        assert_book(tmp_path / "out", name, folder / f"{name}_l2book20.parquet", 20)
        assert_trades(tmp_path / "out", name, folder / f"{name}_trades.parquet")
    rows = data.rows(0, len(data))
    book = theirs(folder / "BTC_l2book20.parquet")
    for t in (100, 1000, 2000):  # as of the close
        last = book[book.index <= data.time[t]].iloc[-1]
        assert rows.bid_price[t, 0, 0] == last["bid_price_0"]
        assert rows.ask_size[t, 0, 19] == last["ask_size_19"]


def test_best_quotes_become_a_snapshot_of_one_level_an_instant(tmp_path: Path) -> None:
    folder = LOB / "hyperliquid_2025-09-04"
    trades, quotes = folder / "BTC_trades.parquet", folder / "BTC_bbo.parquet"
    imported(tmp_path / "out", trades, symbol="BTC", clock="1s")
    with pytest.raises(DataError, match=r"side is 'bid'; it must be buy or sell.*--preset best-quotes"):
        plan = plan_import(ImportRequest((quotes,), tmp_path / "no", symbol="BTC"))
        run_import(plan)
    data = imported(tmp_path / "out", quotes, preset="best-quotes", add=True)
    assert data.depth == 1
    frame = theirs(quotes)
    mine = pd.read_parquet(tmp_path / "out" / "book.parquet").set_index("timestamp")
    assert len(mine) == frame.index.nunique()
    for side in ("bid", "ask"):
        for ours, name in (("px", "price"), ("sz", "size")):
            last = frame[frame["side"] == side][name].groupby(level=0).last()
            expected = last.reindex(np.unique(frame.index)).ffill().to_numpy()
            np.testing.assert_array_equal(mine[f"{side}_{ours}_0"].to_numpy(), expected)


def test_trades_without_a_side_only_when_that_is_said(tmp_path: Path) -> None:
    folder = LOB / "standx_btcusd_2026-01-06_14h-16h"
    with pytest.raises(DataError, match=r"trades.parquet: no column is recognised as the side of trades.*--column side=none"):
        imported(tmp_path / "out", folder, symbol="BTCUSD")
    data = imported(tmp_path / "out", folder, symbol="BTCUSD", columns={"side": "none"})
    assert_book(tmp_path / "out", "BTCUSD", folder / "l2book10.parquet", 10)
    assert_trades(tmp_path / "out", "BTCUSD", folder / "trades.parquet")
    assert np.isnan(data.rows(0, len(data)).buy_volume).all()
    assert np.nansum(data.rows(0, len(data)).volume) == pytest.approx(theirs(folder / "trades.parquet")["size"].sum())


def test_a_book_whose_sides_come_one_after_the_other(tmp_path: Path) -> None:
    folder = LOB / "bitstamp_btcusd_2015-05-01"
    files = [folder / "l2_snapshots20.parquet", folder / "trades_inferred.parquet"]
    imported(tmp_path / "out", *files, symbol="BTCUSD")
    assert_book(tmp_path / "out", "BTCUSD", files[0], 20)
    assert_trades(tmp_path / "out", "BTCUSD", files[1])


def test_trades(tmp_path: Path) -> None:
    path = SHARED / "trades" / "binance_spot_XRPETH_2019-10-11_13.parquet"
    data = imported(tmp_path / "out", path)
    assert_trades(tmp_path / "out", "XRPETH", path)
    assert np.nansum(data.rows(0, len(data)).volume) == pytest.approx(theirs(path)["size"].sum())


REFUSED = {
    "lob/bitstamp_btcusd_2015-05-01/order_events.parquet": "changes of single orders, and without a first snapshot no book",
    "raw_exchange/binance_spot_btcusdt_20240808_09.jsonl.zst": "recorded messages of a venue are no table",
    "raw_exchange/cryptofeed/BINANCE.ws.1.0.zst": "recorded messages of a venue are no table",
    "raw_exchange/binance_spot_error_codes.json": "columns code, name, messages are not recognised",
    "equity_daily/SPY_factors.csv": "the first line holds values, not names",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_market_data_is_refused_with_its_reason(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=REFUSED[name]):
        imported(tmp_path / "out", SHARED / name, symbol="X")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["perps_2025-05", "crash_2021-05", "book_2025-09-04"])
def test_the_own_format_comes_back_as_it_was(name: str, tmp_path: Path) -> None:
    source = SHARED / "ready" / name
    data, before = imported(tmp_path / "out", source), open_dataset(source)
    assert (data.symbols, data.step, data.depth, data.source) == (before.symbols, before.step, before.depth, before.source)
    for file in source.glob("*.parquet"):
        mine, own = pd.read_parquet(tmp_path / "out" / file.name), pd.read_parquet(file)
        own = own.sort_values(["timestamp", "symbol"], kind="stable", ignore_index=True)
        pd.testing.assert_frame_equal(mine, own, check_exact=True)
    for one, other in zip(data.rows(0, len(data)), before.rows(0, len(before)), strict=True):
        np.testing.assert_array_equal(one, other)
