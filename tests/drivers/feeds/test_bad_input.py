"""Every way in which market data can be wrong: one sentence that names what is at fault and what to do, nothing written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from tests.drivers.feeds.folders import NOW, START, bars, book, trades, write


@pytest.fixture(autouse=True)
def nothing_is_written(tmp_path: Path) -> Iterator[None]:
    """The folder's files are the same before and after: the test registers them by calling `refused`."""
    yield
    for path, content in _BEFORE.items():
        assert path.read_bytes() == content
    if _BEFORE:
        assert {p for p in tmp_path.rglob("*") if p.is_file()} == set(_BEFORE)
    _BEFORE.clear()


_BEFORE: dict[Path, bytes] = {}


def refused(folder: Path, *parts: str, **options: Any) -> str:
    """Opens a folder that must be refused; the message is one line and holds each of `parts`."""
    _BEFORE.update({p: p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    with pytest.raises(DataError) as caught:
        open_dataset(folder, now=NOW, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 330, message
    for part in parts:
        assert part in message, f"{part!r} is not in {message!r}"
    return message


def changed(frame: pd.DataFrame, row: int, **values: Any) -> pd.DataFrame:
    """The frame with some cells of one row replaced."""
    frame = frame.copy()
    for name, value in values.items():
        frame.loc[row, name] = value
    return frame


SUFFIXES = pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz", ".feather"])


# -- files ----------------------------------------------------------------------------------------------------------------


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "nowhere", "does not exist", "check the path")


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars())
    refused(folder / "bars.parquet", "is a file", "name the folder")


def test_a_folder_without_bars_or_trades(tmp_path: Path) -> None:
    refused(write(tmp_path / "x", book=book()), "x: holds neither bars.* nor trades.*", "put bars.parquet")


def test_two_bars_files(tmp_path: Path) -> None:
    write(tmp_path, ".csv", bars=bars())
    refused(write(tmp_path, bars=bars()), "bars.parquet and bars.csv are both in", "keep one")


@SUFFIXES
def test_an_empty_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"bars{suffix}").write_bytes(b"")
    refused(tmp_path, f"bars{suffix}: the file is empty", "write")


@SUFFIXES
def test_a_file_with_a_header_and_no_rows(tmp_path: Path, suffix: str) -> None:
    refused(
        write(tmp_path, suffix, bars=bars().iloc[:0]), f"bars{suffix}: the file is empty: it has no rows", "write one row per"
    )


@pytest.mark.parametrize("suffix", [".parquet", ".feather"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_half_written_file(tmp_path: Path, suffix: str, share: float) -> None:
    path = write(tmp_path, suffix, bars=bars(500)) / f"bars{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    refused(tmp_path, f"bars{suffix}: is not a whole", "half-written: download or write it again")


def test_a_parquet_file_damaged_in_the_middle(tmp_path: Path) -> None:
    path = write(tmp_path, bars=bars(500)) / "bars.parquet"
    content = bytearray(path.read_bytes())
    content[4:9000] = bytes(8996)
    path.write_bytes(bytes(content))
    refused(tmp_path, "bars.parquet: ", "download or write it again")


def test_a_half_written_gzip_file(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv.gz", bars=bars(5000)) / "bars.csv.gz"
    path.write_bytes(path.read_bytes()[:-4000])
    refused(tmp_path, "bars.csv.gz")


def test_a_line_with_too_few_values(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", bars=bars()) / "bars.csv"
    lines = path.read_text().splitlines()
    lines[5] = ",".join(lines[5].split(",")[:4])
    path.write_text("\n".join(lines) + "\n")
    refused(tmp_path, "bars.csv: line 6: Expected 7 columns, got 4", "mend or remove that line")


def test_text_where_a_number_belongs(tmp_path: Path) -> None:
    path = write(tmp_path, ".csv", bars=bars()) / "bars.csv"
    lines = path.read_text().splitlines()
    parts = lines[7].split(",")
    lines[7] = ",".join([*parts[:5], "n/k", parts[6]])
    path.write_text("\n".join(lines) + "\n")
    refused(tmp_path, "bars.csv: line 8", "'n/k'", "mend or remove that line")


@SUFFIXES
def test_a_missing_column_is_named_with_the_one_that_was_perhaps_meant(tmp_path: Path, suffix: str) -> None:
    frame = bars().rename(columns={"volume": "Volume"})
    refused(
        write(tmp_path, suffix, bars=frame),
        f"bars{suffix}: column volume is missing; did you mean Volume?",
        "timestamp, symbol",
    )


def test_a_column_of_the_wrong_type(tmp_path: Path) -> None:
    frame = bars().assign(close="high")
    refused(write(tmp_path, bars=frame), "bars.parquet: column close is of type", "must hold numbers")


# -- symbols --------------------------------------------------------------------------------------------------------------


def test_an_unknown_symbol_is_answered_with_near_ones(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars())
    refused(folder, "bars.parquet: symbol btc-usdt is not in the data; did you mean BTCUSDT", symbols=["ETHUSDT", "btc-usdt"])


def test_an_unknown_symbol_like_no_other_is_answered_with_the_list(tmp_path: Path) -> None:
    refused(write(tmp_path, bars=bars()), "symbol ??? is not in the data; there are: BTCUSDT, ETHUSDT.", symbols=["???"])


def test_a_row_without_a_symbol(tmp_path: Path) -> None:
    refused(write(tmp_path, bars=changed(bars(), 6, symbol=None)), "bars.parquet, row 7: symbol is missing", "remove the row")


def test_no_symbol_chosen(tmp_path: Path) -> None:
    refused(write(tmp_path, bars=bars()), "no symbol was asked for", symbols=[])


# -- prices and volumes ----------------------------------------------------------------------------------------------------


@SUFFIXES
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_an_infinite_price(tmp_path: Path, suffix: str, value: float) -> None:
    line = " (line 7)" if ".csv" in suffix else ""
    folder = write(tmp_path, suffix, bars=changed(bars(), 5, high=value))
    refused(folder, f"bars{suffix}, row 6{line}: ETHUSDT 2026-03-01T00:02:00Z: high is {value}", "correct the price")


@SUFFIXES
@pytest.mark.parametrize("column", ["open", "high", "low", "close"])
def test_a_price_that_is_nan_among_others_that_are_not(tmp_path: Path, suffix: str, column: str) -> None:
    folder = write(tmp_path, suffix, bars=changed(bars(), 4, **{column: np.nan}))
    refused(folder, "row 5", f"BTCUSDT 2026-03-01T00:02:00Z: {column} is nan while other prices", "remove it")


@pytest.mark.parametrize("value", [0.0, -3.0])
def test_a_price_that_is_not_positive(tmp_path: Path, value: float) -> None:
    folder = write(tmp_path, bars=changed(bars(), 4, low=value))
    refused(folder, "row 5: BTCUSDT 2026-03-01T00:02:00Z: low is", "a price must be positive")


@pytest.mark.parametrize(("value", "what"), [(-1.5, "volume is -1.5; it cannot be negative"), (np.inf, "volume is inf")])
def test_an_impossible_volume(tmp_path: Path, value: float, what: str) -> None:
    refused(
        write(tmp_path, bars=changed(bars(), 3, volume=value)), "row 4: ETHUSDT 2026-03-01T00:01:00Z", what, "correct or remove"
    )


def test_high_below_low(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=changed(bars(), 3, high=199.0, low=200.0))
    refused(folder, "row 4: ETHUSDT 2026-03-01T00:01:00Z: high 199 is below low 200", "correct or remove")


@pytest.mark.parametrize("column", ["open", "close"])
def test_a_price_outside_high_and_low(tmp_path: Path, column: str) -> None:
    folder = write(tmp_path, bars=changed(bars(), 3, **{column: 250.0}))
    refused(folder, f"row 4: ETHUSDT 2026-03-01T00:01:00Z: {column} 250 lies outside low", "correct or remove")


def test_more_bought_than_traded(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=changed(bars().assign(buy_volume=0.5), 3, buy_volume=50.0))
    refused(folder, "row 4: ETHUSDT", "buy_volume 50 exceeds volume")


def test_the_count_of_bad_rows_is_told(tmp_path: Path) -> None:
    frame = bars()
    frame.loc[[3, 7, 9], "volume"] = -1.0
    refused(write(tmp_path, bars=frame), "row 4: ", "(3 rows in all)")


# -- times ------------------------------------------------------------------------------------------------------------------


@SUFFIXES
def test_unsorted_timestamps(tmp_path: Path, suffix: str) -> None:
    frame = bars()
    frame = pd.concat([frame.iloc[:10], frame.iloc[12:14], frame.iloc[10:12], frame.iloc[14:]])
    refused(
        write(tmp_path, suffix, bars=frame.reset_index(drop=True)),
        f"bars{suffix}, row 13",
        "BTCUSDT 2026-03-01T00:05:00Z comes after 2026-03-01T00:06:00Z",
        "sort the file by timestamp and symbol",
    )


@SUFFIXES
def test_a_duplicate_that_differs(tmp_path: Path, suffix: str) -> None:
    frame = bars()
    again = frame.iloc[[8]].assign(close=lambda f: f["close"] + 0.01)
    frame = pd.concat([frame.iloc[:9], again, frame.iloc[9:]]).reset_index(drop=True)
    folder = write(tmp_path, suffix, bars=frame)
    refused(
        folder,
        f"bars{suffix}, row 10",
        "BTCUSDT 2026-03-01T00:04:00Z appears twice with different values of close (",
        "remove one",
    )


def test_a_duplicate_that_is_the_same_is_dropped_and_counted(tmp_path: Path) -> None:
    frame = bars()
    twice = pd.concat([frame.iloc[:9], frame.iloc[[8, 8]], frame.iloc[9:]]).reset_index(drop=True)
    found = open_dataset(write(tmp_path / "twice", bars=twice), now=NOW)
    once = open_dataset(write(tmp_path / "once", bars=frame), now=NOW)
    assert found.quality.duplicates == 2
    expected = np.zeros((20, 2), np.int64)
    expected[4, 0] = 2
    np.testing.assert_array_equal(found.rows(0, 20).duplicates, expected)
    np.testing.assert_array_equal(found.rows(4, 5).duplicates, expected[4:5])
    np.testing.assert_array_equal(found.rows(0, 20).close, once.rows(0, 20).close)


def test_a_time_in_the_future(tmp_path: Path) -> None:
    frame = bars()
    frame.loc[[38, 39], "timestamp"] = pd.Timestamp("2026-03-11T00:01:00Z")
    refused(
        write(tmp_path, bars=frame),
        "row 39: BTCUSDT 2026-03-11T00:01:00Z lies in the future (it is 2026-03-10T00:00:00Z now)",
        "check the unit and zone",
    )


def test_up_to_a_day_ahead_is_let_pass(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars())
    assert len(open_dataset(folder, now=int(START.value) - 12 * 3600 * 10**9)) == 20


def test_future_trades(tmp_path: Path) -> None:
    frame = trades()
    frame.loc[299, "timestamp"] = pd.Timestamp("2026-04-01T00:00:00Z")
    refused(write(tmp_path, trades=frame), "trades.parquet, row 300", "2026-04-01T00:00:00Z lies in the future")


def test_a_time_that_is_missing(tmp_path: Path) -> None:
    refused(write(tmp_path, bars=changed(bars(), 2, timestamp=pd.NaT)), "bars.parquet, row 3: timestamp is missing")


def text_times(form: str = "%Y-%m-%dT%H:%M:%SZ") -> pd.DataFrame:
    frame = bars()
    return frame.assign(timestamp=frame["timestamp"].dt.strftime(form).astype(object))


@SUFFIXES
def test_mixed_time_zones(tmp_path: Path, suffix: str) -> None:
    frame = changed(text_times(), 7, timestamp="2026-03-01T01:03:00+01:00")
    folder = write(tmp_path, suffix, bars=frame)
    refused(
        folder,
        "row 8",
        "'2026-03-01T01:03:00+01:00' is in +01:00, while row 1 is in Z",
        "mixed time zones",
        "convert all of them",
    )


@SUFFIXES
def test_some_times_without_a_zone(tmp_path: Path, suffix: str) -> None:
    frame = changed(text_times(), 7, timestamp="2026-03-01T00:03:00")
    refused(write(tmp_path, suffix, bars=frame), "row 8", "has no time zone, while row 1 is in Z", "mixed time zones")


@SUFFIXES
def test_all_times_without_a_zone(tmp_path: Path, suffix: str) -> None:
    frame = text_times("%Y-%m-%d %H:%M:%S")
    refused(
        write(tmp_path, suffix, bars=frame), "row 1", "'2026-03-01 00:00:00' has no time zone", "`timezone: UTC` in dataset.yml"
    )
    _BEFORE.clear()
    assert open_dataset(write(tmp_path, description="timezone: UTC"), now=NOW).time[0] == START.value + 60 * 10**9


def test_a_time_that_is_none(tmp_path: Path) -> None:
    refused(
        write(tmp_path, ".csv", bars=changed(text_times(), 7, timestamp="yesterdayZ")),
        "bars.csv, row 8 (line 9): timestamp 'yesterdayZ' is not a time",
        "2026-03-01T12:00:00Z",
    )


def test_mixed_units(tmp_path: Path) -> None:
    frame = bars()
    frame["timestamp"] = frame["timestamp"].astype("int64") // 10**6
    frame.loc[5, "timestamp"] *= 1000
    refused(write(tmp_path, bars=frame), "row 6", "is in another unit than those before it", "write all of them in one unit")


def test_a_time_off_the_clock(tmp_path: Path) -> None:
    frame = bars()
    frame.loc[[6, 7], "timestamp"] += pd.Timedelta(seconds=30)
    refused(
        write(tmp_path, bars=frame), "row 7: BTCUSDT 2026-03-01T00:03:30Z is not on the clock of 1m", "`clock` in dataset.yml"
    )


def test_a_clock_that_the_bars_do_not_have(tmp_path: Path) -> None:
    refused(
        write(tmp_path, bars=bars(), description="clock: 1s"),
        "no two bars of a symbol are closer than 1m",
        "`clock: 1s`; correct it",
    )


def test_a_time_long_ago_does_not_ask_for_all_the_memory(tmp_path: Path) -> None:
    frame = bars()
    frame.loc[[0, 1], "timestamp"] = pd.Timestamp("1970-01-01T00:00:00Z")
    refused(write(tmp_path, bars=frame), "1970-01-01T00:01:00Z to 2026-03-01", "only 40 rows hold data", "check the timestamps")


def test_a_span_without_bars(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars())
    refused(
        folder,
        "no bar of BTCUSDT, ETHUSDT lies between 2026-03-02",
        "spans 2026-03-01T00:01:00Z to 2026-03-01T00:20:00Z",
        start=int(pd.Timestamp("2026-03-02", tz="UTC").value),
    )


# -- trades, book, funding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"price": np.nan}, "price is nan; a price must be finite"),
        ({"price": np.inf}, "price is inf; a price must be finite"),
        ({"price": 0.0}, "price is 0; a price must be positive"),
        ({"size": -1.0}, "size is -1; a size cannot be negative"),
        ({"size": np.nan}, "size is nan; a size must be finite"),
        ({"side": "up"}, "side is 'up'; write buy or sell"),
    ],
)
def test_an_impossible_trade(tmp_path: Path, values: dict[str, Any], what: str) -> None:
    refused(write(tmp_path, trades=changed(trades(), 17, **values)), "trades.parquet, row 18", what)


def test_unsorted_trades(tmp_path: Path) -> None:
    frame = trades(symbols=("BTCUSDT",))
    frame.loc[9, "timestamp"] = START
    refused(write(tmp_path, trades=frame), "trades.parquet, row 10: BTCUSDT 2026-03-01T00:00:00Z is earlier", "sort the file")


def test_repeated_trade_ids_are_dropped_and_counted_also_out_of_order(tmp_path: Path) -> None:
    frame = trades()
    replayed = pd.concat([frame.iloc[:100], frame.iloc[80:100], frame.iloc[100:]]).reset_index(drop=True)
    once = open_dataset(write(tmp_path / "once", trades=frame), now=NOW)
    twice = open_dataset(write(tmp_path / "twice", trades=replayed), now=NOW)
    assert twice.quality.duplicates == 20 == twice.rows(0, len(twice)).duplicates.sum()
    for name in ("open", "high", "low", "close", "volume", "vwap", "trade_count", "buy_volume", "buy_count"):
        np.testing.assert_array_equal(getattr(once.rows(0, 20), name), getattr(twice.rows(0, 20), name))


@pytest.mark.parametrize("text", [False, True])
def test_the_same_trade_id_in_two_symbols_is_no_repeat(tmp_path: Path, text: bool) -> None:
    frame = trades()
    frame["trade_id"] = frame.groupby("symbol").cumcount()
    if text:
        frame["trade_id"] = "t" + frame["trade_id"].astype(str)
    assert open_dataset(write(tmp_path / "a", trades=frame), now=NOW).quality.duplicates == 0
    again = pd.concat([frame, frame.iloc[[50]]])
    assert open_dataset(write(tmp_path / "b", trades=again), now=NOW).quality.duplicates == 1


def test_a_trade_id_with_two_prices(tmp_path: Path) -> None:
    frame = trades(symbols=("BTCUSDT",))
    frame.loc[9, "trade_id"] = frame.loc[8, "trade_id"]
    refused(write(tmp_path, trades=frame), "trades.parquet, row 10: BTCUSDT", "trade_id 1008 appears twice", "remove one")


def test_one_crossed_a_one_sided_and_an_empty_snapshot_are_kept_and_counted(tmp_path: Path) -> None:
    frame = book()
    frame.loc[10, ["bid_px_0", "ask_px_0"]] = [101.0, 99.0]  # BTCUSDT 00:02:40, the last of bar 2
    frame.loc[15, [c for c in frame if c.startswith("ask")]] = np.nan  # ETHUSDT 00:03:40
    frame.loc[18, [c for c in frame if c.startswith(("ask", "bid"))]] = 0.0  # BTCUSDT 00:04:40; a level of 0 is absent
    found = open_dataset(write(tmp_path, bars=bars(), book=frame), now=NOW)
    assert (found.quality.crossed, found.quality.one_sided, found.quality.empty) == (1, 1, 1)
    seen = found.rows(0, 20)
    assert (seen.bid_price[2, 0, 0], seen.ask_price[2, 0, 0]) == (101.0, 99.0)
    assert np.isnan(seen.ask_price[3, 1]).all()
    assert (seen.bid_price[3, 1] > 0.0).all()
    assert np.isnan(seen.bid_price[4, 0]).all()
    assert seen.book_age[4, 0] == pytest.approx(20 / 60)
    assert found.instruments.book_feed.tolist() == [1, 1]


def test_a_book_that_is_crossed_throughout(tmp_path: Path) -> None:
    frame = book()
    other = {"bid": "ask", "ask": "bid"}
    frame = frame.rename(columns={c: other[c[:3]] + c[3:] for c in frame if c[:3] in other})
    refused(
        write(tmp_path, bars=bars(), book=frame),
        "book.parquet: the best bid is at or above the best ask in every one of 80",
        "interchanged",
        "correct the file or remove it",
    )


@pytest.mark.parametrize(("value", "shown"), [(np.inf, "inf"), (-2.0, "-2")])
def test_an_impossible_book_level(tmp_path: Path, value: float, shown: str) -> None:
    folder = write(tmp_path, bars=bars(), book=changed(book(), 11, ask_sz_1=value))
    refused(folder, "book.parquet, row 12: ETHUSDT", f"ask_sz_1 is {shown}; a level is positive, or empty where absent")


def test_a_book_without_prices(tmp_path: Path) -> None:
    refused(write(tmp_path, bars=bars(), book=book().drop(columns="bid_px_0")), "book.parquet: column bid_px_0 is missing")


def test_infinite_funding(tmp_path: Path) -> None:
    frame = pd.DataFrame({"timestamp": [START], "symbol": ["BTCUSDT"], "funding_rate": [np.inf]})
    refused(write(tmp_path, bars=bars(), funding=frame), "funding.parquet, row 1: BTCUSDT", "funding_rate is inf", "finite")


# -- dataset.yml -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("clock: [1m", ("dataset.yml, line", "not readable as YAML", "key: value")),
        ("- clock", ("dataset.yml: holds a list",)),
        ("clokc: 1m", ("dataset.yml: clokc is not a key of this file; did you mean clock?",)),
        ("clock: 7m", ("dataset.yml: clock is '7m'", "divides a day")),
        ("clock: soon", ("dataset.yml: clock is 'soon'", "divides a day")),
        ("stamp: middle", ("dataset.yml: stamp is 'middle'", "'open' or 'close'")),
        ("tick_size: -1", ("dataset.yml: tick_size is -1", "not negative")),
        ("lot_size: .inf", ("dataset.yml: lot_size is inf",)),
        (
            "tick_size: {BTCUSD: 0.1}",
            ("dataset.yml: tick_size names BTCUSD, which the data do not have; did you mean BTCUSDT",),
        ),
    ],
)
def test_a_wrong_description(tmp_path: Path, text: str, parts: tuple[str, ...]) -> None:
    refused(write(tmp_path, bars=bars(), description=text), *parts)


# -- not faults ----------------------------------------------------------------------------------------------------------------


def test_a_row_of_nan_prices_is_a_missing_bar(tmp_path: Path) -> None:
    frame = changed(bars(), 8, open=np.nan, high=np.nan, low=np.nan, close=np.nan, volume=np.nan)
    found = open_dataset(write(tmp_path, bars=frame), now=NOW)
    assert found.quality.missing == 1
    seen = found.rows(0, 20)
    assert np.isnan(seen.close[4, 0])
    assert seen.listed.all()


def test_a_symbol_that_starts_late_and_one_that_ends_early(tmp_path: Path) -> None:
    frame = bars()
    late = (frame["symbol"] == "ETHUSDT") & (frame["timestamp"] < START + pd.Timedelta(minutes=5))
    early = (frame["symbol"] == "BTCUSDT") & (frame["timestamp"] >= START + pd.Timedelta(minutes=15))
    found = open_dataset(write(tmp_path, bars=frame[~late & ~early]), now=NOW)
    listed = found.rows(0, 20).listed
    np.testing.assert_array_equal(listed[:, 0], np.arange(20) < 15)
    np.testing.assert_array_equal(listed[:, 1], np.arange(20) >= 5)
    assert found.quality.missing == 0
    assert np.isnan(found.rows(0, 20).close[listed == 0]).all()
