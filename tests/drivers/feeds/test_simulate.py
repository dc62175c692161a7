"""`data simulate`: what it writes, that it is whole, and that it follows from its arguments alone."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from numpy.testing import assert_allclose, assert_array_equal
from rich.progress import Progress

from dataflows.runtime.compile import python_of
from drivers.feeds import sample
from drivers.feeds.dataset import open_dataset
from drivers.feeds.simulate import SimulatedMarket, default_symbols, paths, simulate, simulate_market, write
from drivers.feeds.simulate.model import BAD_CLOSE, BAD_NONE, BAD_WICK, Model

PANELS = ("open", "high", "low", "close", "volume", "vwap", "trade_count", "buy_volume")


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return simulate_market(symbols=("SIMB", "SIMA"), days=3, snapshots=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("simulated") / "market"
    simulate(out, symbols=("SIMA", "SIMB"), days=3, snapshots=2)
    return out


def test_the_same_seed_gives_the_same_values_and_another_seed_others(market: SimulatedMarket) -> None:
    again = simulate_market(symbols=("SIMA", "SIMB"), days=3, snapshots=2)
    other = simulate_market(symbols=("SIMA", "SIMB"), days=3, seed=8, bars_only=True)
    for name in PANELS:
        assert_array_equal(getattr(again, name), getattr(market, name))
    assert again.trades is not None and market.trades is not None and again.books is not None and market.books is not None
    for a, b in zip((*again.trades, *again.books), (*market.trades, *market.books), strict=True):
        assert_array_equal(a, b)
    assert not np.array_equal(other.close, market.close, equal_nan=True)


def test_a_symbol_does_not_change_when_others_join(market: SimulatedMarket) -> None:
    more = simulate_market(symbols=("AAA", "SIMB", "ZZZ", "SIMA"), days=3, bars_only=True)
    assert more.symbols == ("AAA", "SIMA", "SIMB", "ZZZ")
    for name in PANELS:
        assert_array_equal(getattr(more, name)[:, 1:3], getattr(market, name))


def test_bars_do_not_depend_on_whether_trades_and_books_are_wanted(market: SimulatedMarket) -> None:
    bars = simulate_market(symbols=("SIMA", "SIMB"), days=3, bars_only=True)
    assert bars.trades is None and bars.books is None and bars.truth is None
    for name in PANELS:
        assert_array_equal(getattr(bars, name), getattr(market, name))


def test_the_compiled_path_has_the_bits_of_the_plain_one() -> None:
    rng = np.random.default_rng(3)
    trades = rng.integers(3, 7, 40)
    events = int(trades.sum())
    kinds = np.zeros(40, np.int64)
    kinds[[7, 20]] = BAD_WICK, BAD_CLOSE
    bar = paths.Bar(
        trades,
        *(1e-4 * rng.standard_normal((2, 40))),
        *(1e-3 * (0.5 + rng.random((4, 40)))),
        size=5.0 + rng.random(40),
        bad_kind=kinds,
        bad_size=np.full(40, 0.03),
    )
    flow = paths.Flow(4, 1.5, 2e4, 1.1, 0.5, 100.0, 10.0, float(np.log(250.0)))
    draws = rng.standard_normal(events), rng.random(events), rng.standard_normal(events)

    def run(fn: object) -> paths.Tape:
        whole, parts = np.zeros((8, 40)), np.zeros((2, 80))
        tape = paths.Tape(*whole, *parts, *np.zeros((2, events)), np.zeros(events, np.int64), *np.zeros((2, events)))
        fn(bar, flow, *draws, 2, tape)  # type: ignore[operator]
        return tape

    for a, b in zip(run(paths.walk), run(python_of(paths.walk)), strict=True):
        assert_array_equal(a, b)


def test_bars_on_disk_are_the_trades_on_disk(folder: Path) -> None:
    bars = pd.read_parquet(folder / "bars.parquet").set_index(["timestamp", "symbol"]).sort_index()
    trades = pd.read_parquet(folder / "trades.parquet")
    assert trades.timestamp.is_monotonic_increasing and trades.trade_id.is_unique
    assert trades.side.isin(["buy", "sell"]).all()
    trades["minute"] = trades.timestamp.dt.floor("1min")
    grouped = trades.groupby(["minute", "symbol"])
    for column, want in {
        "open": grouped.price.first(),
        "high": grouped.price.max(),
        "low": grouped.price.min(),
        "close": grouped.price.last(),
        "trade_count": grouped.price.size().astype(float),
    }.items():
        assert_array_equal(bars[column], want)
    assert_allclose(bars.volume, grouped["size"].sum(), rtol=1e-12)
    money = (trades.price * trades["size"]).groupby([trades.minute, trades.symbol]).sum()
    assert_allclose(bars.vwap, money / grouped["size"].sum(), rtol=1e-12)
    bought = trades["size"].where(trades.side == "buy", 0.0).groupby([trades.minute, trades.symbol]).sum()
    assert_allclose(bars.buy_volume, bought, rtol=1e-12, atol=1e-12)


def test_no_trade_or_book_stands_on_the_border_of_a_bar(market: SimulatedMarket) -> None:
    assert market.trades is not None and market.books is not None
    step = market.clock_seconds * 1_000_000_000
    closes = market.time[market.trades.bar]
    assert np.all((market.trades.time > closes - step) & (market.trades.time < closes))
    closes = np.repeat(market.time, 2)[:, None]
    assert np.all((market.books.time > closes - step) & (market.books.time < closes))
    assert np.all(np.diff(market.books.time, axis=0) > 0)


def test_books_are_sorted_uncrossed_on_the_tick_and_around_the_mid(market: SimulatedMarket) -> None:
    books, truth = market.books, market.truth
    assert books is not None and truth is not None
    assert np.all(np.diff(books.bid_price, axis=2) < 0) and np.all(np.diff(books.ask_price, axis=2) > 0)
    assert np.all(books.ask_price[:, :, 0] > books.bid_price[:, :, 0])
    assert np.all(books.bid_size >= market.lot_size[:, None]) and np.all(books.ask_size >= market.lot_size[:, None])
    for panel, grain in ((books.bid_price, market.tick_size), (books.ask_size, market.lot_size)):
        steps = panel / grain[:, None]
        assert_allclose(steps, np.round(steps), rtol=0.0, atol=1e-6 * np.max(steps))
    bid, ask = books.bid_price[1::2, :, 0], books.ask_price[1::2, :, 0]
    assert np.all(
        np.abs(0.5 * (bid + ask) - truth.mid) <= 1.001 * market.tick_size
    )  # the last snapshot shows the mid at the close
    spread = ask - bid
    good = np.isfinite(market.close) & (truth.bad_tick != BAD_CLOSE)
    # the close printed at the bid or ask that the last trade met; the mid then moved by that trade's impact
    assert np.mean((np.abs(market.close - truth.mid) <= 3.0 * spread)[good]) > 0.97


def test_a_bad_tick_is_far_off_and_lasts_for_one_print(market: SimulatedMarket) -> None:
    many = simulate_market(symbols=default_symbols(6), days=4)
    truth = many.truth
    assert truth is not None
    seen = np.isfinite(many.close)
    wick, wrong = (truth.bad_tick == BAD_WICK) & seen, (truth.bad_tick == BAD_CLOSE) & seen
    assert wick.sum() > 0 and wrong.sum() > 0
    assert np.all(np.abs(many.close / truth.mid - 1.0)[wrong] > 0.012)
    reach = np.maximum(many.high / truth.mid - 1.0, 1.0 - many.low / truth.mid)
    assert np.all(reach[wick] > 0.008) and np.all(np.abs(many.close / truth.mid - 1.0)[wick] < 0.008)
    calm = (truth.bad_tick == BAD_NONE) & seen & (truth.crash == 0)[:, None]
    assert np.all(np.abs(many.close / truth.mid - 1.0)[calm] < 0.005)


def test_the_outage_has_no_rows_of_any_symbol(folder: Path, market: SimulatedMarket) -> None:
    out = np.flatnonzero(market.observed == 0)
    assert 100 <= out.size <= 220 and out[-1] - out[0] + 1 == out.size
    assert np.all(np.isnan(market.close[out])) and np.all(np.isfinite(market.close[market.observed == 1]))
    start, end = (pd.Timestamp(int(market.time[i]), tz="UTC") for i in (out[0], out[-1]))
    start -= pd.Timedelta(minutes=1)
    for name in ("bars", "book", "trades"):
        when = pd.read_parquet(folder / f"{name}.parquet", columns=["timestamp"]).timestamp
        assert not ((when >= start) & (when < end)).any()
    gaps = pd.read_parquet(folder / "bars.parquet").groupby("symbol").timestamp.diff().dropna()
    assert sorted(gaps.unique()) == [pd.Timedelta(minutes=1), pd.Timedelta(minutes=int(out.size) + 1)]


def test_the_folder_describes_itself(folder: Path) -> None:
    said = yaml.safe_load((folder / "dataset.yml").read_text())
    assert (said["clock"], said["calendar"], said["stamp"]) == ("1m", "24/7", "open")
    assert "simulated, seed 7" in said["source"] and said["licence"]
    assert said["leader"] == "SIMA"
    assert set(said["tick_size"]) == set(said["lot_size"]) == set(said["min_notional"]) == {"SIMA", "SIMB"}
    assert sorted(p.name for p in folder.iterdir()) == ["bars.parquet", "book.parquet", "dataset.yml", "trades.parquet"]
    times = pd.read_parquet(folder / "bars.parquet").timestamp
    assert str(times.dtype) == "datetime64[ns, UTC]" and times.iloc[0] == pd.Timestamp("2026-01-05", tz="UTC")


def test_the_reader_takes_it_without_a_fault(folder: Path, market: SimulatedMarket) -> None:
    data = open_dataset(folder, now=int(market.time[-1]))
    assert tuple(data.symbols) == market.symbols
    assert_array_equal(data.time, market.time)
    assert_array_equal(data.instruments.tick_size, market.tick_size)
    assert_array_equal(data.instruments.book_feed, [1, 1])
    assert_array_equal(data.instruments.trade_side_feed, [1, 1])


def test_a_failed_run_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write, "_describe", full)
    with pytest.raises(OSError, match="No space left"):
        simulate(tmp_path / "market", symbols=("SIMA",), days=1)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="exists already; remove it or name another folder"):
        simulate(tmp_path, symbols=("SIMA",), days=1)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_bars_alone_and_progress_to_the_end(tmp_path: Path) -> None:
    told: list[float] = []
    simulate(tmp_path / "m", symbols=("SIMA",), days=1, clock_seconds=300, book=False, trades=False, progress=told.append)
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["bars.parquet", "dataset.yml"]
    assert told[0] == 0.0 and told[-1] == 1.0 and told == sorted(told)
    assert yaml.safe_load((tmp_path / "m" / "dataset.yml").read_text())["clock"] == "5m"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"days": 0}, "days is 0; give at least 1"),
        ({"seed": -1}, "seed is -1"),
        ({"clock_seconds": 7}, "clock_seconds is 7; give a number that divides a day"),
        ({"start": "05.01.2026"}, "start is '05.01.2026'; write a date as YYYY-MM-DD"),
        ({"symbols": ()}, "no symbols"),
        ({"symbols": ("SIMA", "SIMA")}, "SIMA is given twice"),
        ({"edge": float("nan")}, "edge is nan"),
        ({"snapshots": 4}, "snapshots is 4"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        simulate_market(**arguments)  # type: ignore[arg-type]


def test_default_names_go_on_after_the_alphabet() -> None:
    assert default_symbols(28)[:2] == ("SIMA", "SIMB") and default_symbols(28)[25:] == ("SIMZ", "SIMAA", "SIMAB")
    assert len(set(default_symbols(800))) == 800


def test_a_second_by_second_clock_keeps_the_volatility_of_the_minute() -> None:
    quiet = Model(jumps_per_day=0.0, bad_ticks_per_day=0.0, crash_depth=0.0, slow_sd=0.0, fast_sd=0.0)
    seconds = simulate_market(symbols=("SIMA",), days=1, clock_seconds=5, model=quiet)
    minutes = simulate_market(symbols=("SIMA",), days=1, model=quiet)
    assert seconds.truth is not None and minutes.truth is not None
    fine, coarse = (np.diff(np.log(t.mid[step - 1 :: step, 0])) for t, step in ((seconds.truth, 12), (minutes.truth, 1)))
    assert 0.6 < fine.std() / coarse.std() < 1.6


@pytest.mark.parametrize("whole", [True, False])
def test_a_sample_that_another_process_has_just_made_is_taken(
    whole: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(out: Path, **more: object) -> None:
        """As when the other process was quicker: the folder is there, and ours cannot get its name."""
        out.mkdir()
        (out / ("dataset.yml" if whole else "bars.parquet")).touch()
        raise OSError(errno.ENOTEMPTY, os.strerror(errno.ENOTEMPTY), str(out))

    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sample, "simulate", made)
    with Progress(disable=True) as progress:
        if whole:
            assert sample.sample_market(3, progress) == sample.sample_folder(3)
            return
        with pytest.raises(OSError, match="not empty"):
            sample.sample_market(3, progress)
