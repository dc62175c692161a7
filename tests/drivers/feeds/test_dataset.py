"""Folders of market data onto the clock: whatever the format, the order of rows and the cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataflows.data.types import Observations
from drivers.feeds.dataset import Dataset, open_dataset, symbol_uid
from drivers.feeds.description import DAY
from drivers.feeds.errors import DataError
from tests.drivers.feeds.folders import NOW, START, bars, book, trades, write

MINUTE = 60 * 10**9


def same(one: Observations, other: Observations) -> None:
    for name, a, b in zip(Observations._fields, one, other, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert a.flags.c_contiguous
        assert a.dtype in (np.float64, np.int64)


def whole(data: Dataset) -> Observations:
    return data.rows(0, len(data))


def test_panels_hold_the_rows_of_the_file(tmp_path: Path) -> None:
    frame = bars()
    data = open_dataset(write(tmp_path, bars=frame), now=NOW)
    assert data.symbols == ("BTCUSDT", "ETHUSDT")
    assert (data.step, len(data), data.depth) == (MINUTE, 20, 1)
    np.testing.assert_array_equal(data.time, START.value + MINUTE * np.arange(1, 21))
    seen = whole(data)
    for name in ("open", "high", "low", "close", "volume"):
        expected = frame.pivot_table(index="timestamp", columns="symbol", values=name).to_numpy()
        np.testing.assert_array_equal(getattr(seen, name), expected)
    for name in ("vwap", "trade_count", "buy_volume", "buy_count", "book_age"):
        assert np.isnan(getattr(seen, name)).all()
    assert seen.bid_price.shape == (20, 2, 1)
    assert seen.listed.all()
    assert not seen.funding_rate.any()


def test_the_leader_is_who_the_folder_names_else_who_trades_most(tmp_path: Path) -> None:
    for factor, leader in ((1e-6, [1, 0]), (1e6, [0, 1])):
        frame = bars()
        frame.loc[frame["symbol"] == "ETHUSDT", "volume"] *= factor
        folder = write(tmp_path / str(factor), bars=frame)
        assert open_dataset(folder, now=NOW).instruments.leader.tolist() == leader
    (folder / "dataset.yml").write_text("leader: ETHUSDT\n", encoding="utf-8")
    assert open_dataset(folder, now=NOW).instruments.leader.tolist() == [0, 1]
    assert open_dataset(folder, symbols=["BTCUSDT"], now=NOW).instruments.leader.tolist() == [0]
    (folder / "dataset.yml").write_text("leader: ETHUSD\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"leader names ETHUSD, which the data do not have; did you mean ETHUSDT"):
        open_dataset(folder, now=NOW)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".feather"])
def test_every_format_gives_the_same(tmp_path: Path, suffix: str) -> None:
    tables = {"bars": bars(), "book": book(), "trades": trades()}
    expected = open_dataset(write(tmp_path / "parquet", **tables), now=NOW)
    found = open_dataset(write(tmp_path / "other", suffix, **tables), now=NOW)
    same(whole(found), whole(expected))
    assert found.quality == expected.quality
    for one, other in zip(found.instruments, expected.instruments, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_integer_times_of_any_unit(tmp_path: Path, unit: str, suffix: str) -> None:
    frame = bars()
    divisor = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}[unit]
    shown = frame.assign(timestamp=frame["timestamp"].astype("int64") // divisor)
    expected = open_dataset(write(tmp_path / "a", bars=frame), now=NOW)
    same(whole(open_dataset(write(tmp_path / "b", suffix, bars=shown), now=NOW)), whole(expected))


@pytest.mark.parametrize(
    "kind", ["datetime64[s, UTC]", "datetime64[us, UTC]", "datetime64[ns, Europe/Berlin]", "datetime64[ms]"]
)
def test_datetimes_of_any_unit_and_zone(tmp_path: Path, kind: str) -> None:
    frame = bars()
    times = frame["timestamp"].astype(kind) if "," in kind else frame["timestamp"].dt.tz_localize(None).astype(kind)
    expected = open_dataset(write(tmp_path / "a", bars=frame), now=NOW)
    same(whole(open_dataset(write(tmp_path / "b", bars=frame.assign(timestamp=times)), now=NOW)), whole(expected))


@pytest.mark.parametrize(
    "form", ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%S.000000Z"]
)
def test_text_times_with_a_zone(tmp_path: Path, form: str) -> None:
    frame = bars()
    expected = open_dataset(write(tmp_path / "a", bars=frame), now=NOW)
    shown = frame.assign(timestamp=frame["timestamp"].dt.strftime(form))
    same(whole(open_dataset(write(tmp_path / "b", ".csv", bars=shown), now=NOW)), whole(expected))


def test_stamps_of_the_close(tmp_path: Path) -> None:
    frame = bars()
    expected = open_dataset(write(tmp_path / "a", bars=frame), now=NOW)
    frame["timestamp"] += pd.Timedelta(minutes=1)
    same(whole(open_dataset(write(tmp_path / "b", bars=frame, description="stamp: close"), now=NOW)), whole(expected))


def test_rows_sorted_by_symbol_give_the_same(tmp_path: Path) -> None:
    frame = bars()
    expected = open_dataset(write(tmp_path / "a", bars=frame), now=NOW)
    other = frame.sort_values(["symbol", "timestamp"], ascending=[False, True], kind="stable")
    same(whole(open_dataset(write(tmp_path / "b", bars=other), now=NOW)), whole(expected))


def test_a_gap_is_rows_of_nan_and_stays_listed(tmp_path: Path) -> None:
    frame = bars()
    gap = (frame["timestamp"] >= START + pd.Timedelta(minutes=7)) & (frame["timestamp"] < START + pd.Timedelta(minutes=12))
    data = open_dataset(write(tmp_path, bars=frame[~gap]), now=NOW)
    assert len(data) == 20
    assert np.isnan(whole(data).close).all(axis=1).tolist() == [7 <= t < 12 for t in range(20)]
    assert whole(data).listed.all()
    assert data.quality.missing == 10


def test_the_clock_is_the_most_common_spacing_unless_it_is_given(tmp_path: Path) -> None:
    frame = bars()
    fives = frame[frame["timestamp"].dt.minute % 5 == 0]
    assert open_dataset(write(tmp_path / "a", bars=fives), now=NOW).step == 5 * MINUTE
    ones = open_dataset(write(tmp_path / "b", bars=frame.drop(index=range(2, 30)), description="clock: 1m"), now=NOW)
    assert (ones.step, len(ones)) == (MINUTE, 20)


def test_a_span_is_of_bars_that_lie_within_it_and_spans_tile(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars(), book=book(), trades=trades())
    middle = START.value + 8 * MINUTE
    every = open_dataset(folder, now=NOW)
    first, second = open_dataset(folder, end=middle, now=NOW), open_dataset(folder, start=middle, now=NOW)
    assert (len(first), len(second)) == (8, 12)
    same(whole(first), every.rows(0, 8))
    same(whole(second), every.rows(8, 20))  # book age and order flow go on from what came before the span


def test_symbols_chosen_are_the_columns_sorted_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path, bars=bars(symbols=("ZZZ", "BTCUSDT", "AAA")))
    every, two = open_dataset(folder, now=NOW), open_dataset(folder, symbols=["ZZZ", "AAA"], now=NOW)
    assert every.symbols == ("AAA", "BTCUSDT", "ZZZ")
    assert two.symbols == ("AAA", "ZZZ")
    np.testing.assert_array_equal(whole(two).close, whole(every).close[:, [0, 2]])
    np.testing.assert_array_equal(two.instruments.uid, every.instruments.uid[[0, 2]])


def test_instruments_come_from_the_description(tmp_path: Path) -> None:
    text = (
        "tick_size: {BTCUSDT: 0.1}\nlot_size: 0.001\nmin_notional: 5\ntaker_fee_bps: {ETHUSDT: 4}\nreduce_only_exempt: true\n"
    )
    text += "source: here\nlicence: MIT\ncalendar: 24/7\nclock: 1m\n"
    data = open_dataset(write(tmp_path, bars=bars(), description=text), now=NOW)
    assert data.instruments.tick_size.tolist() == [0.1, 0.0]
    assert data.instruments.lot_size.tolist() == [0.001, 0.001]
    assert data.instruments.min_notional.tolist() == [5.0, 5.0]
    assert data.instruments.taker_fee_bps.tolist() == [5.0, 4.0]
    assert data.instruments.reduce_only_exempt.tolist() == [1, 1]
    assert (data.source, data.licence, data.calendar) == ("here", "MIT", "24/7")
    assert data.instruments.book_feed.tolist() == data.instruments.trade_side_feed.tolist() == [0, 0]


def test_ids_are_stable_small_and_positive() -> None:
    assert symbol_uid("BTCUSDT") == 991956195
    assert all(0 < symbol_uid(f"S{i}") < 2**31 for i in range(1000))


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    a = open_dataset(write(tmp_path / "a", bars=bars()), now=NOW)
    b = open_dataset(write(tmp_path / "b", bars=bars()), now=NOW)
    c = open_dataset(write(tmp_path / "c", bars=bars(), description="source: other"), now=NOW)
    assert a.digest == b.digest != c.digest


@pytest.mark.parametrize("max_bars", [1, 7, 500, 10**6])
def test_chunks_join_to_the_whole_and_end_at_midnight(tmp_path: Path, max_bars: int) -> None:
    frame = bars(3000, ("BTCUSDT",))
    frame["timestamp"] += pd.Timedelta(hours=5)
    data = open_dataset(write(tmp_path, bars=frame), now=NOW)
    chunks = list(data.chunks(max_bars))
    for chunk in chunks:
        assert 1 <= len(chunk.time) <= max_bars
        assert (chunk.time[0] - 1) // DAY == (chunk.time[-1] - 1) // DAY  # 00:00 belongs to the day that ends
    if max_bars == 10**6:
        assert [len(c.time) for c in chunks] == [19 * 60, 1440, 3000 - 19 * 60 - 1440]
        assert chunks[0].time[-1] % DAY == 0
    same(Observations(*[np.concatenate(parts) for parts in zip(*chunks, strict=True)]), whole(data))


def test_a_vwap_of_zero_is_not_known(tmp_path: Path) -> None:
    frame = bars().assign(vwap=lambda f: f["close"])
    frame.loc[6, ["volume", "vwap"]] = 0.0
    seen = whole(open_dataset(write(tmp_path, bars=frame), now=NOW))
    assert np.argwhere(np.isnan(seen.vwap)).tolist() == [[3, 0]]


def test_rows_outside_are_refused(tmp_path: Path) -> None:
    data = open_dataset(write(tmp_path, bars=bars()), now=NOW)
    with pytest.raises(IndexError, match="rows 5 to 21 are not within the 20 bars"):
        data.rows(5, 21)
    with pytest.raises(ValueError, match="max_bars is 0"):
        next(data.chunks(0))


def test_bars_from_trades_alone(tmp_path: Path) -> None:
    frame = trades()
    data = open_dataset(write(tmp_path, trades=frame, book=book(), description="clock: 1m"), now=NOW)
    seen = whole(data)
    for n, symbol in enumerate(data.symbols):
        mine = frame[frame["symbol"] == symbol].set_index("timestamp")
        axis = pd.DatetimeIndex(data.time.astype("datetime64[ns]")).tz_localize("UTC")
        expected = mine["price"].resample("1min", closed="right", label="right").ohlc().reindex(axis)
        for name in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(getattr(seen, name)[:, n], expected[name])
        volume = mine["size"].resample("1min", closed="right", label="right").sum(min_count=1).reindex(axis)
        np.testing.assert_allclose(seen.volume[:, n], volume, rtol=1e-12)
        buys = mine["size"].where(mine["side"] == "buy", 0.0).resample("1min", closed="right", label="right").sum(min_count=1)
        np.testing.assert_allclose(seen.buy_volume[:, n], buys.reindex(axis), rtol=1e-12)
    inside = ~np.isnan(seen.close)
    assert ((seen.vwap >= seen.low - 1e-9) & (seen.vwap <= seen.high + 1e-9))[inside].all()
    assert data.instruments.trade_side_feed.tolist() == data.instruments.book_feed.tolist() == [1, 1]
    assert data.depth == 3


def ticks(*rows: tuple[float, str, float, str]) -> pd.DataFrame:
    """Trades of size 2 from (minute, symbol, price, side)."""
    minute, symbol, price, side = zip(*rows, strict=True)
    time = (START + pd.to_timedelta([int(60_000 * m) for m in minute], unit="ms")).astype("datetime64[ns, UTC]")
    return pd.DataFrame({"timestamp": time, "symbol": symbol, "price": price, "size": 2.0, "side": side})


def at(frame: pd.DataFrame, *minutes: float) -> pd.DataFrame:
    """Snapshots of a book at these minutes."""
    made = frame.iloc[: len(minutes)].copy()
    made["timestamp"] = START + pd.to_timedelta([int(60_000 * m) for m in minutes], unit="ms")
    made["timestamp"] = made["timestamp"].astype("datetime64[ns, UTC]")
    return made


def test_without_a_book_a_bar_in_which_another_symbol_traded_is_flat(tmp_path: Path) -> None:
    frame = ticks(
        (0.5, "BBB", 50.0, "buy"),
        (1.5, "AAA", 10.0, "buy"),
        (2.5, "BBB", 51.0, "sell"),
        (4.5, "AAA", 12.0, "sell"),
        (6.5, "BBB", 52.0, "sell"),
    )
    data = open_dataset(write(tmp_path, trades=frame), now=NOW)
    seen = whole(data)
    nan = np.nan
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(seen, name)[:, 0], [nan, 10.0, 10.0, nan, 12.0, nan, nan])
        np.testing.assert_array_equal(getattr(seen, name)[:, 1], [50.0, 50.0, 51.0, nan, 51.0, nan, 52.0])
    np.testing.assert_array_equal(seen.volume[:, 0], [nan, 2.0, 0.0, nan, 2.0, nan, nan])
    np.testing.assert_array_equal(seen.trade_count[:, 0], [nan, 1.0, 0.0, nan, 1.0, nan, nan])
    np.testing.assert_array_equal(seen.buy_volume[:, 0], [nan, 2.0, 0.0, nan, 0.0, nan, nan])
    np.testing.assert_array_equal(seen.buy_count[:, 0], [nan, 1.0, 0.0, nan, 0.0, nan, nan])
    np.testing.assert_array_equal(seen.vwap[:, 0], [nan, 10.0, nan, nan, 12.0, nan, nan])
    np.testing.assert_array_equal(seen.listed[:, 0], [0, 1, 1, 1, 1, 0, 0])
    assert (data.quality.missing, data.quality.zero_volume, data.quality.rows) == (3, 3, 5)
    alone = open_dataset(tmp_path, symbols=["AAA"], now=NOW)
    np.testing.assert_array_equal(whole(alone).close[:, 0], seen.close[1:5, 0])  # BBB is a witness though it is not taken


def test_with_a_book_only_a_snapshot_of_the_symbol_itself_makes_a_flat_bar(tmp_path: Path) -> None:
    frame = ticks((0.5, "AAA", 10.0, "buy"), (0.5, "BBB", 50.0, "buy"), (3.5, "BBB", 51.0, "buy"), (6.5, "AAA", 12.0, "sell"))
    snapshots = at(book(8, ("AAA",)), 0.2, 2.0, 2.5, 2.7, 4.0, 6.2, 7.1)  # 2.0 and 4.0: at a close, so of the bar that closes
    seen = whole(open_dataset(write(tmp_path, trades=frame, book=snapshots), now=NOW))
    nan = np.nan
    np.testing.assert_array_equal(seen.close[:, 0], [10.0, 10.0, 10.0, 10.0, nan, nan, 12.0])
    np.testing.assert_array_equal(seen.volume[:, 0], [2.0, 0.0, 0.0, 0.0, nan, nan, 2.0])
    # the folder has no book of BBB: AAA's trades tell for it, and it traded last in bar 3
    np.testing.assert_array_equal(seen.close[:, 1], [50.0, nan, nan, 51.0, nan, nan, nan])


def test_nobody_knows_who_bought_in_a_flat_bar_of_trades_without_a_side(tmp_path: Path) -> None:
    frame = ticks((0.5, "AAA", 10.0, ""), (1.5, "BBB", 50.0, "buy"), (2.5, "AAA", 11.0, ""))
    data = open_dataset(write(tmp_path, trades=frame), now=NOW)
    assert np.isnan(whole(data).buy_volume[:, 0]).all()
    assert whole(data).volume[:, 0].tolist() == [2.0, 0.0, 2.0]
    assert data.instruments.trade_side_feed.tolist() == [0, 1]


@pytest.mark.parametrize("with_book", [False, True])
def test_spans_of_bars_from_few_trades_tile(tmp_path: Path, with_book: bool) -> None:
    tables = {"trades": trades(30)} | ({"book": book(12)} if with_book else {})
    folder = write(tmp_path, **tables)
    every = open_dataset(folder, now=NOW)
    assert every.quality.zero_volume > 2
    for k in (3, 8, 13):
        middle = int(every.time[k - 1])
        same(whole(open_dataset(folder, end=middle, now=NOW)), every.rows(0, k))
        same(whole(open_dataset(folder, start=middle, now=NOW)), every.rows(k, len(every)))


def test_trades_give_what_the_bars_file_does_not_have(tmp_path: Path) -> None:
    frame = bars().assign(vwap=lambda f: f["close"])
    seen = whole(open_dataset(write(tmp_path / "a", bars=frame, trades=trades()), now=NOW))
    alone = whole(open_dataset(write(tmp_path / "b", trades=trades()), now=NOW))
    np.testing.assert_array_equal(seen.close, whole(open_dataset(write(tmp_path / "c", bars=frame), now=NOW)).close)
    np.testing.assert_array_equal(seen.vwap, seen.close)  # the file's own
    np.testing.assert_array_equal(seen.trade_count, alone.trade_count)
    np.testing.assert_array_equal(seen.buy_volume, alone.buy_volume)


def test_funding_falls_into_the_bar_that_covers_its_instant(tmp_path: Path) -> None:
    times = [START + pd.Timedelta(minutes=5), START + pd.Timedelta(minutes=8, milliseconds=1), START + pd.Timedelta(days=2)]
    frame = pd.DataFrame({"timestamp": times, "symbol": ["ETHUSDT"] * 3, "funding_rate": [1e-4, -2e-4, 0.5]})
    rate = whole(open_dataset(write(tmp_path, bars=bars(), funding=frame), now=NOW)).funding_rate
    expected = np.zeros((20, 2))
    expected[4, 1], expected[7, 1] = 1e-4, -2e-4  # a payment stamped a millisecond late is that of its minute
    np.testing.assert_array_equal(rate, expected)


def test_repeated_snapshots_are_dropped_and_counted(tmp_path: Path) -> None:
    frame = book()
    twice = pd.concat([frame.iloc[:12], frame.iloc[10:12], frame.iloc[12:]])
    once = open_dataset(write(tmp_path / "a", bars=bars(), book=frame), now=NOW)
    data = open_dataset(write(tmp_path / "b", bars=bars(), book=twice), now=NOW)
    assert data.quality.duplicates == 2
    assert whole(data).duplicates.sum() == 2
    np.testing.assert_array_equal(whole(once).ofi, whole(data).ofi)


# -- recorded markets -------------------------------------------------------------------------------------------------------


def test_thirty_days_of_perpetuals(shared_data: Path) -> None:
    data = open_dataset(shared_data / "perps_2025-05")
    assert data.symbols == ("BTCUSDT", "ETHUSDT", "LTCUSDT", "SOLUSDT", "XRPUSDT")
    assert (len(data), data.step, data.quality.rows, data.quality.missing) == (43198, MINUTE, 215985, 0)
    listed = whole(data).listed
    np.testing.assert_array_equal(np.argmax(listed, axis=0), [0, 0, 2, 0, 3])


def test_the_outage_of_the_crash_is_a_gap_of_nan(shared_data: Path) -> None:
    data = open_dataset(shared_data / "crash_2021-05")
    close = whole(data).close
    empty = np.isnan(close).all(axis=1)
    assert empty.sum() == 283  # the last symbol went dark a minute after the first
    assert data.time[np.flatnonzero(empty)[-1] + 1] == pd.Timestamp("2021-04-25T08:46", tz="UTC").value
    assert 0.15 < np.nanmax(np.abs(np.diff(np.log(close), axis=0))) < 0.17


def test_a_book_and_trades_of_half_an_hour(shared_data: Path) -> None:
    data = open_dataset(shared_data / "book_2025-09-04")
    assert (data.step, data.depth, data.symbols) == (10**9, 10, ("BTCUSD", "ETHUSD"))
    seen = whole(data)
    assert data.quality.missing < 0.01 * seen.close.size  # seconds without a trade, but with a snapshot
    assert data.quality.zero_volume > 0.2 * seen.close.size
    known = ~np.isnan(seen.bid_price[:, :, 0])
    assert (seen.bid_price[:, :, 0] < seen.ask_price[:, :, 0])[known].all()
    assert np.nanmedian(seen.book_age) < 1.0
    flow, move = np.nan_to_num(seen.ofi[:, 0, 0]), np.diff((seen.bid_price[:, 0, 0] + seen.ask_price[:, 0, 0]) / 2.0)
    both = ~np.isnan(move)
    assert np.corrcoef(flow[1:][both], move[both])[0, 1] > 0.3  # order flow moves prices: the point of Cont and others
