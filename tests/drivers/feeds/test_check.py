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
from drivers.feeds.errors import DataError
from drivers.feeds.importing import ImportRequest, plan_import, run_import
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


def test_decimal_points_that_slipped_are_named_and_real_moves_are_not(tmp_path: Path) -> None:
    frame = bars(300, ("BTCUSDT",))
    assert not any("decimal" in note for note in check_dataset(write(tmp_path / "sound", bars=frame), now=NOW).notes)
    frame.loc[100, ["high", "close"]] *= 10.0
    frame.loc[150, "low"] /= 100.0
    frame.loc[200:, ["open", "high", "low", "close"]] *= 10.0  # another unit from here on: no slip
    frame.loc[250, ["high", "close"]] *= 3.0  # a move
    (note,) = [n for n in check_dataset(write(tmp_path / "slipped", bars=frame), now=NOW).notes if "decimal" in n]
    assert note == (
        "decimal points may have slipped, correct or remove the rows: BTCUSDT close, 10 times the prices beside it, in the bar "
        "that closes at 2026-03-01T01:41:00Z; BTCUSDT low, 1/100 of the prices beside it, in the bar that closes at "
        "2026-03-01T02:31:00Z"
    )


def test_funding_that_is_charged_often_is_said_and_an_interval_ends_the_doubt(tmp_path: Path) -> None:
    frame = bars(600, ("BTCUSDT",))
    for hours, said in ((1, True), (8, False)):
        times = pd.date_range(START, periods=10, freq=f"{hours}h")
        funding = pd.DataFrame({"timestamp": times, "symbol": "BTCUSDT", "funding_rate": 1e-4})
        folder = write(tmp_path / str(hours), bars=frame, funding=funding)
        notes = [n for n in check_dataset(folder, now=NOW).notes if "every row" in n]
        assert bool(notes) == said
        if said:
            assert "BTCUSDT every 1h; if these are quotes of a rate that is paid less often" in notes[0]
            (folder / "dataset.yml").write_text("funding_interval: 8h\n", encoding="utf-8")
            assert not any("every row" in n for n in check_dataset(folder, now=NOW).notes)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_days_counted_from_1970_are_refused_in_a_table_of_datetimes(unit: str, tmp_path: Path) -> None:
    days = pd.to_datetime([20240304, 20240305, 20240306], unit=unit, utc=True).astype("datetime64[ns, UTC]")
    frame = bars(3, ("AAPL",)).assign(timestamp=days)
    report = check_dataset(write(tmp_path, bars=frame), now=NOW)
    assert not report.ok
    assert "is 20240304, counted from 1970; write it as a date" in report.faults[0].sentence
    path = tmp_path / "AAPL.parquet"
    frame.to_parquet(path)
    with pytest.raises(DataError, match="is 20240304, counted from 1970"):
        run_import(plan_import(ImportRequest((path,), tmp_path / "out")))


def test_prices_of_1970_are_prices(tmp_path: Path) -> None:
    frame = bars(30, ("IBM",)).assign(timestamp=pd.date_range("1970-08-01", periods=30, freq="D", tz="UTC").as_unit("ns"))
    assert check_dataset(write(tmp_path, bars=frame), now=NOW).ok
