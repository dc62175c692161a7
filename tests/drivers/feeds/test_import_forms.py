"""Files as vendors and charting programs write them: forms of dates, headers, encodings, decimal marks, prices, symbols."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.feeds.check import check_dataset
from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.importing import ImportRequest, ImportResult, plan_import, run_import
from drivers.feeds.importing.packed import Unjoined
from drivers.feeds.time_forms import form_of, two_ways

OHLCV = "open,high,low,close,volume"
VALUES = ("10,12,9,11,100", "11,11.5,10,10.5,50")


def imported(out: Path, *sources: Path, **asked: Any) -> ImportResult:
    return run_import(plan_import(ImportRequest(sources, out, **asked)))


def frame(out: Path, kind: str = "bars") -> pd.DataFrame:
    return pd.read_parquet(out / f"{kind}.parquet")


def text(folder: Path, content: str, name: str = "EURUSD.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(content.encode(encoding))
    return path


# -- times --------------------------------------------------------------------------------------------------------------------

FORMS = {
    "20240307": "2024-03-07T00:00",
    "202403071905": "2024-03-07T19:05",
    "20240307190530": "2024-03-07T19:05:30",
    "20240307 190530": "2024-03-07T19:05:30",
    "20240307 1905": "2024-03-07T19:05",
    "20240307 19:05:30": "2024-03-07T19:05:30",
    "2024.03.07": "2024-03-07T00:00",
    "2024.03.07 19:05": "2024-03-07T19:05",
    "2024/03/07 19:05:30": "2024-03-07T19:05:30",
    "07.03.2024": "2024-03-07T00:00",
    "07.03.2024 19:05:30.250": "2024-03-07T19:05:30.250",
    "07.03.2024 19:05:30.000 GMT+0100": "2024-03-07T18:05:30",
    "Mar 07, 2024": "2024-03-07T00:00",
    "07-Mar-2024 19:05": "2024-03-07T19:05",
    "2024-03-07 07-PM": "2024-03-07T19:00",
    "2024-03-07 07:05:30 PM": "2024-03-07T19:05:30",
    "2024-03-07 19:05": "2024-03-07T19:05",
    "2024-03-07T19:05:30Z": "2024-03-07T19:05:30",
}


@pytest.mark.parametrize("written", FORMS)
def test_a_form_that_can_be_read_in_one_way_is_read(written: str, tmp_path: Path) -> None:
    path = text(tmp_path, f"time;open;high;low;close;volume\n{written};10;12;9;11;100\n")
    imported(tmp_path / "out", path, timezone="UTC", clock="1s", off_clock="snap")
    assert frame(tmp_path / "out")["timestamp"][0] == pd.Timestamp(FORMS[written], tz="UTC").floor("s")


@pytest.mark.parametrize("written", ["03/04/2024", "3/4/2024 10:00", "03-04-2024", "03/04/24"])
def test_a_form_that_can_be_read_in_two_ways_is_asked_about(written: str, tmp_path: Path) -> None:
    assert form_of(written) is None
    assert two_ways(written)
    path = text(tmp_path, f"time,{OHLCV}\n{written},{VALUES[0]}\n")
    with pytest.raises(DataError, match="may name the day or the month first; say which with --time-format"):
        imported(tmp_path / "out", path)
    form = written.replace("2024", "%Y").replace("24", "%y").replace("10:00", "%H:%M")
    form = form.replace("03", "%d", 1).replace("04", "%m").replace("3", "%d", 1).replace("4", "%m")
    imported(tmp_path / "out", path, time_format=form, timezone="UTC")
    assert str(frame(tmp_path / "out")["timestamp"][0]).startswith("2024-04-03")


def test_whole_numbers_that_are_days_are_days_in_a_csv_and_in_a_parquet_file(tmp_path: Path) -> None:
    days = [20240102, 20240103, 20240104]
    rows = pd.DataFrame(
        {"timestamp": days, "symbol": "AAPL", "open": 10.0, "high": 12.0, "low": 9.0, "close": 11.0, "volume": 1.0}
    )
    for suffix in ("csv", "parquet"):
        folder = tmp_path / suffix
        folder.mkdir()
        path = folder / f"bars.{suffix}"
        rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path, index=False)
        for data in (open_dataset(folder), open_dataset(imported(folder / "out", path).out)):
            assert data.step == 86_400 * 10**9
            assert pd.Timestamp(data.time[0] - data.step, tz="UTC") == pd.Timestamp("2024-01-02", tz="UTC")


def test_a_number_near_1970_is_refused_by_the_reader_too(tmp_path: Path) -> None:
    rows = ",AAPL,10,12,9,11,1\n".join(map(str, [45293, 45294, 45295, ""]))
    text(tmp_path, f"timestamp,symbol,{OHLCV}\n{rows}", "bars.csv")
    with pytest.raises(
        DataError, match="timestamp 45293, as seconds since 1970, is 1970-01-01T12:34:53Z; write it as YYYYMMDD"
    ):
        open_dataset(tmp_path)


def test_daily_bars_at_midnight_of_their_zone_bear_its_date(tmp_path: Path) -> None:
    days = ["2024-03-07 00:00:00-05:00", "2024-03-08 00:00:00-05:00", "2024-03-11 00:00:00-04:00"]
    path = text(tmp_path, f"Date,{OHLCV}\n" + "".join(f"{day},{VALUES[0]}\n" for day in days), "AAPL.csv")
    imported(tmp_path / "out", path, clock="1d")
    assert [str(t)[:16] for t in frame(tmp_path / "out")["timestamp"]] == [f"{day[:10]} 00:00" for day in days]


def test_long_bars_may_begin_elsewhere_than_at_midnight_when_all_agree(tmp_path: Path) -> None:
    hours = pd.date_range("2024-01-01T22:00Z", periods=12, freq="4h")
    path = text(tmp_path, f"time,{OHLCV}\n" + "".join(f"{t.isoformat()},{VALUES[0]}\n" for t in hours))
    data = open_dataset(imported(tmp_path / "out", path).out)
    np.testing.assert_array_equal(data.time, hours.as_unit("ns").asi8 + 4 * 3600 * 10**9)
    wrong = text(tmp_path, path.read_text().replace("T22:00:00", "T22:01:00", 1))
    with pytest.raises(DataError, match=r"is not on the clock of 4h.*--off-clock snap or drop"):
        imported(tmp_path / "no", wrong)


@pytest.mark.parametrize(
    ("how", "left"), [("drop", ["00:00", "00:02", "00:03"]), ("snap", ["00:00", "00:01", "00:02", "00:03"])]
)
def test_bars_off_the_clock_are_dropped_or_moved_and_counted(how: Any, left: list[str], tmp_path: Path) -> None:
    at = ("00:00:00", "00:01:03", "00:02:00", "00:03:00")
    path = text(tmp_path, f"time,{OHLCV}\n" + "".join(f"2018-02-08T{t}Z,{VALUES[0]}\n" for t in at))
    result = imported(tmp_path / "out", path, clock="1m", off_clock=how)
    assert result.kinds[0].off_clock == 1
    assert [str(t)[11:16] for t in frame(tmp_path / "out")["timestamp"]] == left


# -- headers and encodings ----------------------------------------------------------------------------------------------------


def test_date_and_time_in_two_columns_are_joined(tmp_path: Path) -> None:
    head = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"  # Stooq's bulk files
    path = text(tmp_path, head + "EURUSD,5,20240307,090500,10,12,9,11,100,0\n", "eurusd.txt")
    imported(tmp_path / "out", path, timezone="UTC")
    assert frame(tmp_path / "out").to_dict("records")[0] | {"volume": 0} == {
        "timestamp": pd.Timestamp("2024-03-07T09:05Z"),
        "symbol": "EURUSD",
        "open": 10.0,
        "high": 12.0,
        "low": 9.0,
        "close": 11.0,
        "volume": 0,
    }
    chosen = text(tmp_path, "Day,At,o,h,l,c,v\n2024.03.07,09:05,10,12,9,11,100\n")
    imported(tmp_path / "chosen", chosen, columns={"timestamp": "Day+At"}, timezone="UTC")
    assert frame(tmp_path / "chosen")["timestamp"][0] == pd.Timestamp("2024-03-07T09:05Z")
    with pytest.raises(DataError, match=r"--column timestamp=Day\+Att: the file has no column Att; did you mean At"):
        imported(tmp_path / "no", chosen, columns={"timestamp": "Day+Att"}, timezone="UTC")


def test_a_first_line_of_values_is_data_and_header_names_its_columns(tmp_path: Path) -> None:
    path = text(tmp_path, "20240307 190000;10;12;9;11;0\n20240307 190100;11;11.5;10;10.5;0\n")
    with pytest.raises(DataError, match="the first line holds values, not names; name the 6 columns with --header"):
        imported(tmp_path / "no", path)
    imported(tmp_path / "out", path, header=("timestamp", *OHLCV.split(",")), timezone="Etc/GMT+5")
    assert list(frame(tmp_path / "out")["close"]) == [11.0, 10.5]
    assert frame(tmp_path / "out")["timestamp"][0] == pd.Timestamp("2024-03-08T00:00Z")
    named = text(tmp_path, f"a,b,c,d,e,f\n2024-03-07T00:00Z,{VALUES[0]}\n")
    imported(tmp_path / "named", named, header=("timestamp", *OHLCV.split(",")))
    assert list(frame(tmp_path / "named")["close"]) == [11.0]


@pytest.mark.parametrize("before", ["https://www.CryptoDataDownload.com\n", "sep=,\n", "Daily prices\n\n"])
def test_lines_before_the_table_are_skipped(before: str, tmp_path: Path) -> None:
    path = text(tmp_path, f"{before}time,{OHLCV}\n2024-03-07T00:01Z,{VALUES[1]}\n2024-03-07T00:00Z,{VALUES[0]}\n")
    imported(tmp_path / "out", path)
    assert list(frame(tmp_path / "out")["close"]) == [11.0, 10.5]
    noisy = text(tmp_path, f"a,b\nc,d\ntime,{OHLCV}\n2024-03-07T00:00Z,{VALUES[0]}\n2024-03-07T00:01Z,x,1,1,1,1\n")
    with pytest.raises(DataError, match=r"row 2 \(line 5\): open is 'x'"):
        imported(tmp_path / "no", noisy, skip_lines=2)


def test_an_instant_is_taken_before_a_date_for_the_eye(tmp_path: Path) -> None:
    path = text(tmp_path, f"unix,date,symbol,{OHLCV}\n1709769600000,2024-03-07 02:00:00,BTC/USD,{VALUES[0]}\n")
    imported(tmp_path / "out", path)
    row = frame(tmp_path / "out").iloc[0]
    assert (row["timestamp"], row["symbol"]) == (pd.Timestamp("2024-03-07T00:00Z"), "BTC/USD")


def test_three_lines_of_header_as_yfinance_writes_them(tmp_path: Path) -> None:
    content = "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n2024-03-07,11,12,9,10,100\n"
    imported(tmp_path / "out", text(tmp_path, content, "download.csv"))
    assert frame(tmp_path / "out")[["symbol", "open", "close"]].values.tolist() == [["AAPL", 10.0, 11.0]]
    two = content.replace("Ticker,AAPL", "Ticker,MSFT")
    with pytest.raises(DataError, match=r"the columns of 2 tickers \(MSFT, AAPL\) side by side; save each by itself"):
        imported(tmp_path / "no", text(tmp_path, two, "download.csv"))


def test_a_header_in_another_encoding(tmp_path: Path) -> None:
    names = "trade_id/撮合id,side/交易方向,size/数量,price/价格,created_time/成交时间\n"  # OKX's downloads, GBK
    rows = "1,buy,0.5,100.5,1681833600004\n2,SELL,1,100,1681833600104\n"
    path = text(tmp_path, names + rows, "BTC-USDT-trades-2023-04-19.csv", "gbk")
    imported(tmp_path / "out", path)
    expected = [["BTC-USDT", 100.5, 0.5, "buy", 1], ["BTC-USDT", 100.0, 1.0, "sell", 2]]
    assert frame(tmp_path / "out", "trades")[["symbol", "price", "size", "side", "trade_id"]].values.tolist() == expected
    path = text(tmp_path, "编号,side,size,price,time\n" + rows, "BTC.csv", "gbk")
    with pytest.raises(DataError, match=r"is not text in UTF-8; name its encoding with --encoding, e\.g\. gbk.*--header A,B"):
        imported(tmp_path / "no", path)
    imported(tmp_path / "encoded", path, encoding="gbk", columns={"trade_id": "编号"})
    imported(tmp_path / "named", path, header=("trade_id", "side", "size", "price", "time"))
    for folder in ("encoded", "named"):
        pd.testing.assert_frame_equal(
            frame(tmp_path / folder, "trades"), frame(tmp_path / "out", "trades").assign(symbol="BTC")
        )


def test_a_file_in_utf_16_as_metatrader_5_writes_it(tmp_path: Path) -> None:
    head = "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
    path = text(tmp_path, head + "2024.03.07\t19:05:00\t10\t12\t9\t11\t55\t0\t7\n", "EURUSD_M1.csv", "utf-16")
    imported(tmp_path / "out", path, timezone="Europe/Athens", symbol="EURUSD")
    assert frame(tmp_path / "out")["timestamp"][0] == pd.Timestamp("2024-03-07T17:05Z")


# -- numbers ------------------------------------------------------------------------------------------------------------------


def test_a_decimal_comma_is_known_where_it_leaves_no_doubt(tmp_path: Path) -> None:
    head = "Datum;Eröffnung;Hoch;Tief;Schluss;Volumen\n"
    path = text(tmp_path, head + "07.03.2024;1.010,5;1.012,25;1.009,0;1.011,75;1.234.567\n", "SAP.csv")
    imported(tmp_path / "out", path)
    assert frame(tmp_path / "out").iloc[0, 2:].tolist() == [1010.5, 1012.25, 1009.0, 1011.75, 1234567.0]
    doubtful = text(tmp_path, head + "07.03.2024;1,010;1,012;1,009;1,011;5\n", "SAP.csv")
    with pytest.raises(DataError, match="may be a decimal or a thousands mark"):
        imported(tmp_path / "no", doubtful)
    imported(tmp_path / "comma", doubtful, decimal=",")
    imported(tmp_path / "point", doubtful, decimal=".")
    assert (frame(tmp_path / "comma")["close"][0], frame(tmp_path / "point")["close"][0]) == (1.011, 1011.0)


def test_thousands_and_amounts_with_letters(tmp_path: Path) -> None:
    head = '"Date","Price","Open","High","Low","Vol.","Change %"\n'  # Investing.com
    rows = '"03/07/2024","1,011.75","1,010.50","1,012.25","1,009.00","54.60M","0.12%"\n'
    rows += '"03/08/2024","1,011.75","1,010.50","1,012.25","1,009.00","-","0.12%"\n'
    path = text(tmp_path, head + rows, "SPX.csv")
    imported(tmp_path / "out", path, columns={"close": "Price"}, time_format="%m/%d/%Y", kind="bars")
    first = frame(tmp_path / "out").iloc[0]
    assert (first["close"], first["volume"], str(first["timestamp"])[:10]) == (1011.75, 54_600_000.0, "2024-03-07")
    assert np.isnan(frame(tmp_path / "out")["volume"][1])


def test_whole_numbers_of_a_billionth_are_scaled(tmp_path: Path) -> None:
    head = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
    raw = "1709769600000000000,33,1,4916,5900000000000,5902250000000,5898750000000,5902250000001,65,ESH5\n"
    pretty = "2024-03-07T00:00:00.000000000Z,33,1,4916,5900.000000000,5902.250000000,5898.750000000,5902.250000001,65,ESH5\n"
    for name, row in (("raw", raw.replace("0001,65", "0000,65")), ("pretty", pretty.replace("0001,65", "0000,65"))):
        imported(tmp_path / name, text(tmp_path, head + row, "glbx-mdp3.csv"))
    pd.testing.assert_frame_equal(frame(tmp_path / "raw"), frame(tmp_path / "pretty"), check_exact=True)
    assert frame(tmp_path / "raw")["close"][0] == 5902.25
    plain = text(tmp_path, f"time,{OHLCV}\n2024-03-07T00:00Z,1000,1200,900,1100,5\n")
    imported(tmp_path / "asked", plain, scale=dict.fromkeys(("open", "high", "low", "close"), 0.01))
    assert frame(tmp_path / "asked").iloc[0, 2:].tolist() == [10.0, 12.0, 9.0, 11.0, 5.0]


def test_the_finest_step_of_an_exchange_is_a_step(tmp_path: Path) -> None:
    path = text(tmp_path, f"time,{OHLCV}\n2024-03-07T00:00Z,0.00001234,0.00001238,0.00001232,0.00001237,3.123456789\n")
    imported(tmp_path / "out", path, guess_ticks=True)
    instruments = open_dataset(tmp_path / "out").instruments
    assert (instruments.tick_size[0], instruments.lot_size[0]) == (1e-8, 0.0)


def test_a_price_one_bit_outside_of_its_bar_is_rounding_and_a_cent_is_not(tmp_path: Path) -> None:
    close = float(np.nextafter(11.0, 12.0))
    path = text(tmp_path, f"time,{OHLCV}\n2024-03-07T00:00Z,10,11,9,{close!r},100\n")
    rows = open_dataset(imported(tmp_path / "out", path).out).rows(0, 1)
    assert (rows.high[0, 0], rows.close[0, 0]) == (close, close)
    wrong = text(tmp_path, f"time,{OHLCV}\n2024-03-07T00:00Z,10,11,9,11.0001,100\n")
    with pytest.raises(DataError, match=r"close 11.0001 lies outside low 9 and high 11"):
        imported(tmp_path / "no", wrong)


# -- symbols ------------------------------------------------------------------------------------------------------------------

TICKERS = ("000001", "BRK B", "NA", "NAN", "NULL", "ON", "TRUE")


def test_words_and_codes_are_names_of_symbols(tmp_path: Path) -> None:
    rows = "".join(f"2024-03-07T00:0{m}:00Z,{name},{VALUES[0]}\n" for m in range(3) for name in TICKERS)
    path = text(tmp_path, f"timestamp,ticker,{OHLCV}\n{rows}", "prices.csv")
    imported(tmp_path / "out", path, guess_ticks=True)
    assert open_dataset(tmp_path / "out").symbols == tuple(sorted(TICKERS))
    own = tmp_path / "own"
    own.mkdir()
    text(own, f"timestamp,symbol,{OHLCV}\n{rows}", "bars.csv")
    (own / "dataset.yml").write_text("tick_size:\n" + "".join(f"  {name}: 0.25\n" for name in TICKERS) + "leader: ON\n")
    data = open_dataset(own)
    assert data.symbols == tuple(sorted(TICKERS))
    assert data.instruments.tick_size.tolist() == [0.25] * len(TICKERS)
    assert data.symbols[int(np.argmax(data.instruments.leader))] == "ON"
    text(own, f"timestamp,symbol,{OHLCV}\n2024-03-07T00:00:00Z,,{VALUES[0]}\n", "bars.csv")
    with pytest.raises(DataError, match=r"bars.csv, row 1 \(line 2\): symbol is missing"):
        open_dataset(own)


# -- funding ------------------------------------------------------------------------------------------------------------------


def market(folder: Path, minutes: int) -> Path:
    times = pd.date_range("2024-03-07T00:00Z", periods=minutes, freq="min")
    rows = "".join(f"{t.isoformat()},BTC,{VALUES[0]}\n" for t in times)
    folder.mkdir()
    text(folder, f"timestamp,symbol,{OHLCV}\n{rows}", "bars.csv")
    return folder


def test_quotes_of_a_funding_rate_are_not_charged_by_the_row(tmp_path: Path) -> None:
    folder = market(tmp_path / "m", 1000)
    quotes = pd.date_range("2024-03-07T00:00:07Z", periods=990, freq="min")
    rows = "".join(f"{t.isoformat()},BTC,{i * 1e-6:.6f}\n" for i, t in enumerate(quotes))
    text(folder, f"timestamp,symbol,funding_rate\n{rows}", "funding.csv")
    with pytest.raises(DataError, match=r"rows of BTC lie 1m apart: these are quotes of a rate.*funding_interval: 8h"):
        open_dataset(folder)
    assert not check_dataset(folder).ok
    (folder / "dataset.yml").write_text("funding_interval: 8h\n")
    rate = open_dataset(folder).rows(0, 1000).funding_rate[:, 0]
    assert np.flatnonzero(rate).tolist() == [479, 959]  # the bars that close at 08:00 and 16:00
    assert rate[[479, 959]].tolist() == [479e-6, 959e-6]  # the quotes of 07:59:07 and 15:59:07


# -- what can be read in two ways ---------------------------------------------------------------------------------------------


def test_ten_digits_that_are_seconds_and_a_short_date_are_asked_about(tmp_path: Path) -> None:
    times = [1703070905, 1703070906, 1703071005]  # 2017-03-07 09:05, or seconds of December 2023
    path = text(tmp_path, f"time,{OHLCV}\n" + "".join(f"{t},{VALUES[0]}\n" for t in times))
    with pytest.raises(DataError, match="may be YYMMDDHHMM or seconds since 1970; say which with --time-format %y%m%d%H%M"):
        imported(tmp_path / "no", path)
    imported(tmp_path / "out", path, time_format="%y%m%d%H%M", timezone="UTC", clock="1m")
    assert [f"{t:%Y-%m-%d %H:%M}" for t in frame(tmp_path / "out")["timestamp"]] == [
        "2017-03-07 09:05",
        "2017-03-07 09:06",
        "2017-03-07 10:05",
    ]
    seconds = text(tmp_path, f"time,{OHLCV}\n" + "".join(f"{1709251200 + 60 * i},{VALUES[0]}\n" for i in range(180)))
    imported(tmp_path / "seconds", seconds)
    assert frame(tmp_path / "seconds")["timestamp"][0] == pd.Timestamp("2024-03-01T00:00Z")


def test_whole_prices_of_databento_are_never_taken_as_they_are(tmp_path: Path) -> None:
    head = "ts_recv,ts_event,rtype,publisher_id,instrument_id,side,price,size,flags,sequence,bid_px_00,ask_px_00,bid_sz_00,"
    bbo = (
        head
        + "ask_sz_00,symbol\n"
        + "".join(
            f"{t},{t},195,1,4916,N,5150250000000,1,168,9,5150000000000,5150250000000,24,11,ESH4\n"
            for t in (1709820600000000000, 1709820601000000000)
        )
    )
    path = text(tmp_path, bbo, "glbx.bbo-1s.csv")
    bars = market(tmp_path / "out", 2)
    imported(bars, path, add=True, symbol="BTC")
    assert frame(bars, "book")[["bid_px_0", "ask_px_0"]].values.tolist() == [[5150.0, 5150.25]] * 2
    names = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
    raw = text(tmp_path, names + "1709820600000000000,33,1,4916,2000000000,4000000000,1000000000,3000000000,65,ESH4\n", "b.csv")
    imported(tmp_path / "kind", raw, kind="bars")
    assert frame(tmp_path / "kind")["close"][0] == 3.0
    with pytest.raises(
        DataError, match="open holds whole numbers, which are prices of 1e-9 in such a file; give --scale price=1"
    ):
        imported(tmp_path / "no", raw, header=tuple(names.strip().split(",")))


def test_a_period_in_a_name_may_be_a_month(tmp_path: Path) -> None:
    path = text(tmp_path, f"time,{OHLCV}\n2024-03-07T00:00Z,{VALUES[0]}\n", "GC_M5.csv")
    with pytest.raises(DataError, match="could be of GC or GC_M5; give --symbol NAME"):
        imported(tmp_path / "no", path)


def test_midnights_without_a_zone_are_dates_and_other_times_are_asked_about(tmp_path: Path) -> None:
    days = text(tmp_path, f"time,{OHLCV}\n2024-03-07 00:00:00,{VALUES[0]}\n2024-03-08 00:00:00,{VALUES[1]}\n")
    imported(tmp_path / "out", days)
    assert [f"{t:%d %H:%M}" for t in frame(tmp_path / "out")["timestamp"]] == ["07 00:00", "08 00:00"]
    hours = text(tmp_path, f"time,{OHLCV}\n2024-03-07 00:00:00,{VALUES[0]}\n2024-03-07 01:00:00,{VALUES[1]}\n")
    with pytest.raises(DataError, match="has no zone; say which with --timezone"):
        imported(tmp_path / "no", hours)


# -- joined files, and ends of bars -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "https://www.CryptoDataDownload.com\r\n"])
def test_files_joined_with_their_headers_are_one_table(before: str, tmp_path: Path) -> None:
    head = f"{before}time,{OHLCV}\r\n"
    parts = [head + f"{1709164800 + 60 * i},{VALUES[i % 2]}\r\n" for i in range(4)]
    path = text(tmp_path, "".join(parts))
    result = imported(tmp_path / "out", path)
    assert result.kinds[0].headers == 3
    assert frame(tmp_path / "out")["close"].tolist() == [11.0, 10.5, 11.0, 10.5]
    whole = text(tmp_path, head + "".join(p.removeprefix(head) for p in parts))
    assert imported(tmp_path / "whole", whole).kinds[0].headers == 0
    pd.testing.assert_frame_equal(frame(tmp_path / "out"), frame(tmp_path / "whole"))


@given(parts=st.lists(st.integers(0, 40), min_size=1, max_size=8), size=st.integers(1, 50))
def test_headers_are_left_out_wherever_the_pieces_are_cut(parts: list[int], size: int) -> None:
    head = b"time,open\n"
    stream = Unjoined(io.BytesIO(b"".join(head + b"1,t\n" * n for n in parts)), head)
    pieces = []
    while piece := stream.read(size):
        assert len(piece) <= size
        pieces.append(piece)
    assert b"".join(pieces) == head + b"1,t\n" * sum(parts)
    assert stream.repeats == len(parts) - 1


@pytest.mark.parametrize("unit", [10**3, 10**6, 10**9])
def test_close_times_that_name_the_last_instant_close_with_the_next_second(unit: int, tmp_path: Path) -> None:
    times = [(1709251200 + 60 * i) * unit - 1 for i in (1, 2, 3)]
    path = text(tmp_path, f"close_time,{OHLCV}\n" + "".join(f"{t},{VALUES[0]}\n" for t in times))
    with pytest.raises(DataError, match="if its time is that of the close, say --column timestamp=close_time --stamp close"):
        imported(tmp_path / "no", path)
    imported(tmp_path / "out", path, columns={"timestamp": "close_time"}, stamp="close")
    data = open_dataset(tmp_path / "out")
    assert [f"{t:%H:%M:%S}" for t in pd.to_datetime(data.time)] == ["00:01:00", "00:02:00", "00:03:00"]


def test_a_close_off_the_clock_is_moved_to_the_clock_after_it(tmp_path: Path) -> None:
    path = text(
        tmp_path, f"time,{OHLCV}\n" + "".join(f"2024-03-07T0{h}:59:00Z,{VALUES[i % 2]}\n" for i, h in enumerate((0, 1, 2)))
    )
    with pytest.raises(DataError, match="is not on the clock of 1h"):  # the last minute of a bar, and never its first
        imported(tmp_path / "no", path)
    imported(tmp_path / "out", path, stamp="close", clock="1h", off_clock="snap")
    assert [f"{t:%H:%M}" for t in pd.to_datetime(open_dataset(tmp_path / "out").time)] == ["01:00", "02:00", "03:00"]


def test_the_offset_of_the_clock_says_which_bars_are_on_it(tmp_path: Path) -> None:
    hours = [*pd.date_range("2024-03-07T22:00Z", periods=5, freq="4h"), pd.Timestamp("2024-03-08T19:00Z")]
    path = text(tmp_path, f"time,{OHLCV}\n" + "".join(f"{t.isoformat()},{VALUES[0]}\n" for t in hours))
    result = imported(tmp_path / "out", path, clock="4h", off_clock="drop", clock_offset="2h")
    assert result.kinds[0].off_clock == 1
    assert [f"{t:%H:%M}" for t in frame(tmp_path / "out")["timestamp"]] == ["22:00", "02:00", "06:00", "10:00", "14:00"]
    with pytest.raises(DataError, match="it needs --clock and --off-clock drop or snap"):
        imported(tmp_path / "no", path, clock_offset="2h")
    with pytest.raises(DataError, match="is for bars of an hour or more, and --clock says 1m"):
        imported(tmp_path / "no", path, clock="1m", off_clock="snap", clock_offset="2h")


@pytest.mark.parametrize("symbol", ["BTC-USDT-SWAP", "BTC-USDT"])
def test_sizes_in_contracts_are_said(symbol: str, tmp_path: Path) -> None:
    rows = f"{symbol},1,buy,104503.0,30.14,1748707200008\n{symbol},2,sell,104503.5,1,1748707260008\n"
    path = text(tmp_path, f"instrument_name,trade_id,side,price,size,created_time\n{rows}", "all-trades.csv")
    notes = imported(tmp_path / "out", path).notes
    said = "sizes of BTC-USDT-SWAP are in contracts: say what one is worth with `multiplier` in dataset.yml"
    assert list(notes) == ([said] if symbol.endswith("SWAP") else [])
