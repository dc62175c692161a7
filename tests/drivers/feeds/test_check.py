"""`data check` lists what is wrong with a folder and never stops at the first fault."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.feeds.check import QualityReport, check_dataset
from tests.drivers.feeds.folders import NOW, START, bars, book, trades, write


def printed(report: QualityReport) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(report)
    return out.getvalue()


def test_sound_data_are_usable_and_measured(tmp_path: Path) -> None:
    frame = bars(200)
    frame.loc[40:45, "volume"] = 0.0
    gap = frame["timestamp"].between(START + pd.Timedelta(minutes=50), START + pd.Timedelta(minutes=59))
    frame = frame[~(gap & (frame["symbol"] == "ETHUSDT"))]
    report = check_dataset(write(tmp_path / "d", bars=frame, book=book()), now=NOW)
    assert report.ok
    assert (report.rows, report.clock, report.start) == (390, "1m", "2026-03-01T00:01:00Z")
    bitcoin, ether = report.symbols
    assert (bitcoin.symbol, bitcoin.bars, bitcoin.missing, bitcoin.gaps, bitcoin.longest_gap) == ("BTCUSDT", 200, 0, 0, "")
    assert (ether.missing, ether.gaps, ether.longest_gap, ether.longest_gap_at) == (10, 1, "10m", "2026-03-01T00:51:00Z")
    assert bitcoin.zero_volume == ether.zero_volume == 3
    assert report.snapshots == 80
    assert "d is usable" in printed(report)
    assert "10m from 2026-03-01T00:51:00Z" in printed(report)
    json.dumps(report.as_dict())


def test_an_outlier_is_counted_and_located(tmp_path: Path) -> None:
    frame = bars(300, ("BTCUSDT",))
    frame.loc[100, ["high", "close"]] = 150.0
    report = check_dataset(write(tmp_path, bars=frame), now=NOW)
    assert report.ok
    assert report.symbols[0].outliers == 2  # up and back
    assert report.symbols[0].outlier_at in ("2026-03-01T01:41:00Z", "2026-03-01T01:42:00Z")
    assert report.symbols[0].largest_return == pytest.approx(np.log(1.5), abs=0.02)


def test_a_split_in_daily_bars_is_an_outlier(tmp_path: Path) -> None:
    """A day of the clock has one return: it is judged among 250 of them."""
    frame = bars(400, ("AAPL",))
    frame["timestamp"] = pd.date_range("2024-01-01", periods=400, freq="D", tz="UTC")
    frame.loc[200:, ["open", "high", "low", "close"]] /= 4.0
    report = check_dataset(write(tmp_path, bars=frame), now=NOW)
    assert (report.clock, report.symbols[0].outliers, report.symbols[0].outlier_at) == ("1d", 1, "2024-07-20T00:00:00Z")


def test_every_kind_of_fault_is_listed_with_its_first_row_and_count(tmp_path: Path) -> None:
    frame = bars(50)
    frame.loc[[10, 12], "volume"] = -1.0
    frame.loc[20, "high"] = np.inf
    frame.loc[30, "close"] = np.nan
    frame.loc[40, ["high", "low"]] = [90.0, 95.0]
    frame.loc[41, "open"] = 0.0
    frame.loc[60, "timestamp"] += pd.Timedelta(seconds=1)
    frame.loc[98, "timestamp"] = pd.Timestamp("2026-05-01T00:00:00Z")
    again = frame.iloc[[70]].assign(volume=1000.0)
    frame = pd.concat([frame.iloc[:71], again, frame.iloc[71:]]).reset_index(drop=True)
    report = check_dataset(write(tmp_path, bars=frame), now=NOW)
    assert not report.ok
    found = {f.kind: (f.count, f.sentence) for f in report.faults}
    assert set(found) == {
        "negative volume",
        "infinite price",
        "missing price",
        "high below low",
        "price not positive",
        "off the clock",
        "future",
        "differing duplicate",
    }
    assert found["negative volume"][0] == 2
    assert "row 11: BTCUSDT" in found["negative volume"][1]
    assert "row 21" in found["infinite price"][1]
    assert report.symbols[0].missing == 6  # those of BTCUSDT that are inside its span
    assert "not usable" in printed(report)


def test_unsorted_bars_are_listed_and_still_measured(tmp_path: Path) -> None:
    frame = bars(30, ("BTCUSDT",))
    frame = pd.concat([frame.iloc[10:], frame.iloc[:10]])
    report = check_dataset(write(tmp_path, bars=frame.reset_index(drop=True)), now=NOW)
    assert [f.kind for f in report.faults] == ["unsorted"]
    assert report.symbols[0].bars == 30


def test_bad_trades_are_each_told_once_and_left_out(tmp_path: Path) -> None:
    frame = trades(symbols=("BTCUSDT",))
    frame.loc[[20, 30], "price"] = [np.nan, -1.0]
    frame.loc[299, "timestamp"] = pd.Timestamp("2026-07-01T00:00:00Z")
    report = check_dataset(write(tmp_path, trades=frame), now=NOW)
    assert {f.kind: f.count for f in report.faults} == {"bad price": 2, "future": 1}
    assert report.rows == 297
    assert report.end == "2026-03-01T00:20:00Z"


def test_what_cannot_be_read_is_reported_and_not_raised(tmp_path: Path) -> None:
    (tmp_path / "bars.parquet").write_bytes(b"PAR1")
    report = check_dataset(tmp_path)
    assert not report.ok
    assert [f.kind for f in report.faults] == ["unreadable"]
    assert "not a whole Parquet file" in printed(report)
    assert not check_dataset(tmp_path / "nowhere").ok


def test_the_recorded_crash_is_usable_and_shows_its_outage(shared_data: Path) -> None:
    report = check_dataset(shared_data / "crash_2021-05")
    assert report.ok
    assert {s.longest_gap for s in report.symbols} == {"4h43m", "4h44m"}
    assert max(s.largest_return for s in report.symbols) > 0.16
