"""Numbers that would overflow, or vanish, in a layer later are refused when they are read: by file, row and column."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.bounds import ALPHA, COUNT, FUNDING, PRICE, SIZE
from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from tests.drivers.small_market import START, market

MINUTE = pd.Timedelta(minutes=1)
ROW = 40


def bars() -> pd.DataFrame:
    frame = market(120, ("AAA",))
    return frame.assign(vwap=(frame["high"] + frame["low"]) / 2.0, buy_count=np.floor(frame["trade_count"] / 2.0))


def trades() -> pd.DataFrame:
    times = pd.date_range(START + MINUTE / 2, periods=50, freq="min", unit="ns")
    return pd.DataFrame({"timestamp": times, "symbol": "AAA", "price": 100.0, "size": 1.0, "side": "buy"})


def book() -> pd.DataFrame:
    times = pd.date_range(START + MINUTE / 2, periods=50, freq="min", unit="ns")
    levels = {"bid_px_0": 99.0, "bid_sz_0": 5.0, "ask_px_0": 101.0, "ask_sz_0": 5.0}
    levels |= {"bid_px_1": 98.0, "bid_sz_1": 5.0, "ask_px_1": 102.0, "ask_sz_1": 5.0}
    return pd.DataFrame({"timestamp": times, "symbol": "AAA", **levels})


def funding() -> pd.DataFrame:
    times = pd.date_range(START - 60 * MINUTE * 300, periods=50, freq="8h", unit="ns")
    return pd.DataFrame({"timestamp": times, "symbol": "AAA", "funding_rate": 1e-4})


def alpha() -> pd.DataFrame:
    times = pd.date_range(START, periods=50, freq="min", unit="ns")
    return pd.DataFrame({"timestamp": times, "symbol": "AAA", "value": 1.0})


FILES = {"bars": bars, "trades": trades, "book": book, "funding": funding, "alpha": alpha}
CASES = [
    *[("bars", name, value) for name in ("open", "vwap") for value in (1e300, 1.1e12, 0.9e-12, 1e-300, 5e-324)],
    *[("bars", "high", value) for value in (1e300, 1.1e12)],
    *[("bars", "low", value) for value in (0.9e-12, 5e-324)],
    *[("bars", name, value) for name in ("volume", "buy_volume") for value in (1e300, 1.1e18, 0.9e-18, 5e-324)],
    *[("bars", name, value) for name in ("trade_count", "buy_count") for value in (1e300, 1.1e15)],
    *[("trades", "price", value) for value in (1e300, 1.1e12, 5e-324)],
    *[("trades", "size", value) for value in (1e300, 1.1e18, 5e-324)],
    *[("book", name, value) for name in ("bid_px_1", "ask_px_0") for value in (1e300, 1.1e12, 5e-324)],
    *[("book", name, value) for name in ("bid_sz_0", "ask_sz_1") for value in (1e300, 1.1e18, 5e-324)],
    *[("funding", "funding_rate", value) for value in (1e100, 1.1, -1.1, -1e300)],
    *[("alpha", "value", value) for value in (1e300, 1.1e12, -1e300)],
]


def written(folder: Path, stem: str, column: str, value: float) -> Path:
    for name, make in FILES.items():
        frame = make()
        if name == stem:
            frame.loc[ROW, column] = value
            if column in ("open", "close"):  # the whole bar, so that it is no bar whose close lies above its high
                frame.loc[ROW, ["open", "high", "low", "close"]] = value
            if column == "buy_volume" and value > 1.0:
                frame.loc[ROW, "volume"] = 1e18
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


@pytest.mark.parametrize(("stem", "column", "value"), CASES)
def test_a_number_beyond_its_bounds_is_refused_by_file_row_and_column(
    stem: str, column: str, value: float, tmp_path: Path
) -> None:
    start = re.escape(f"{column} is {value:.10g}, ")
    with pytest.raises(DataError, match=rf"^{stem}\.parquet, row {ROW + 1}: AAA .*: {start}"):
        open_dataset(written(tmp_path, stem, column, value))


@pytest.mark.parametrize(
    ("stem", "column", "value"),
    [
        *[("bars", "close", x) for x in (PRICE.least, PRICE.most)],
        *[("bars", "volume", x) for x in (1e6, SIZE.most)],
        ("bars", "trade_count", COUNT.most),
        *[("trades", "price", x) for x in (PRICE.least, PRICE.most)],
        *[("trades", "size", x) for x in (0.0, SIZE.least, SIZE.most)],
        *[("book", "ask_sz_1", x) for x in (0.0, SIZE.least, SIZE.most)],
        *[("funding", "funding_rate", x) for x in (0.0, 1e-9, FUNDING.most, -FUNDING.most)],
        *[("alpha", "value", x) for x in (0.0, 1e-300, ALPHA.most, -ALPHA.most)],
    ],
)
def test_a_number_at_its_bounds_is_taken(stem: str, column: str, value: float, tmp_path: Path) -> None:
    assert len(open_dataset(written(tmp_path, stem, column, value))) > 0


def test_nan_and_0_are_within_every_bound() -> None:
    for bound in (PRICE, SIZE, COUNT, FUNDING, ALPHA):
        assert not bound.beyond(np.array([0.0, -0.0, np.nan, bound.most, -bound.most, bound.least])).any()
