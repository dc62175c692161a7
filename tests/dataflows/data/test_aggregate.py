"""Ticks to bars: against pandas, against the definition of order flow written out, compiled against plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataflows.data.aggregate import (
    NEVER,
    BookBars,
    TradeBars,
    add_snapshots,
    add_trades,
    book_bars,
    carry_books,
    fill_quiet,
    trade_bars,
)
from dataflows.runtime.compile import python_of

STEP = 60 * 10**9
FIRST = 1_772_323_260 * 10**9  # 2026-03-01T00:01:00Z


def _closes(first: int, book: Any) -> Any:
    """A bar every STEP from `first` on."""
    return first + STEP * np.arange(len(book.bid_price), dtype=np.int64)


def ticks(count: int, seed: int, bars: int = 30, symbols: int = 3) -> tuple[Any, Any, Any]:
    """Times (some of them exactly at a close), rows and columns of random ticks, in order."""
    rng = np.random.default_rng(seed)
    time = FIRST - STEP + np.sort(rng.integers(1, bars * STEP + 1, count))
    time[rng.random(count) < 0.1] //= STEP
    time = np.where(time < STEP, time * STEP, time)
    time = np.sort(np.maximum(time, FIRST - STEP + 1)).astype(np.int64)
    row = -((FIRST - time) // STEP)
    return time, row, rng.integers(0, symbols, count).astype(np.int64)


def random_trades(count: int = 600, seed: int = 0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed + 100)
    time, row, col = ticks(count, seed)
    return (
        time,
        row,
        col,
        np.round(rng.normal(100, 1, count), 2),
        np.round(rng.uniform(0, 3, count), 2),
        rng.integers(0, 2, count),
    )


def aggregated(trades: tuple[Any, ...], cuts: list[int], add: Callable[..., int] = add_trades) -> TradeBars:
    bars = trade_bars(30, 3)
    for a, b in zip([0, *cuts], [*cuts, len(trades[0])], strict=True):
        assert add(*[np.ascontiguousarray(x[a:b]) for x in trades], bars) == -1
    return bars


def test_bars_are_what_pandas_resamples_closed_and_labelled_right() -> None:
    trades = random_trades()
    bars = aggregated(trades, [])
    for n in range(3):
        mine = trades[2] == n
        frame = pd.DataFrame(
            {"p": trades[3][mine], "s": trades[4][mine], "buy": trades[5][mine]},
            index=pd.DatetimeIndex(trades[0][mine].astype("datetime64[ns]")),
        )
        groups = frame.resample("1min", closed="right", label="right")
        axis = pd.DatetimeIndex((FIRST + STEP * np.arange(30)).astype("datetime64[ns]"))
        prices = groups["p"].ohlc().reindex(axis)
        for name in ("open", "high", "low", "close"):
            np.testing.assert_array_equal(getattr(bars, name)[:, n], prices[name])
        np.testing.assert_allclose(bars.volume[:, n], groups["s"].sum(min_count=1).reindex(axis), rtol=1e-12)
        notional = (frame["p"] * frame["s"]).resample("1min", closed="right", label="right").sum(min_count=1).reindex(axis)
        np.testing.assert_allclose(bars.notional[:, n], notional, rtol=1e-12)
        count = groups["p"].count().reindex(axis).replace(0, np.nan)
        np.testing.assert_array_equal(bars.trades[:, n], count)
        buys = (frame["s"] * frame["buy"]).resample("1min", closed="right", label="right").sum(min_count=1).reindex(axis)
        np.testing.assert_allclose(bars.buy_volume[:, n], buys, rtol=1e-12)
        np.testing.assert_array_equal(bars.buy_count[:, n], groups["buy"].sum(min_count=1).reindex(axis))


def test_a_trade_at_the_close_belongs_to_the_bar_that_closes() -> None:
    bars = trade_bars(2, 1)
    time = np.array([FIRST, FIRST + 1], np.int64)
    add_trades(
        time, -((FIRST - time) // STEP), np.zeros(2, np.int64), np.array([10.0, 11.0]), np.ones(2), np.ones(2, np.int64), bars
    )
    assert bars.close[:, 0].tolist() == [10.0, 11.0]


@pytest.mark.parametrize("cuts", [[1], list(range(1, 600)), [13, 200, 201, 590]])
def test_trades_cut_anywhere_give_the_same_bits(cuts: list[int]) -> None:
    trades = random_trades(seed=3)
    for one, other in zip(aggregated(trades, []), aggregated(trades, cuts), strict=True):
        np.testing.assert_array_equal(one, other)


def test_trades_compiled_equal_plain() -> None:
    trades = random_trades(seed=4)
    for one, other in zip(aggregated(trades, [100]), aggregated(trades, [100], python_of(add_trades)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_trade_of_unknown_side_makes_the_buys_of_its_bar_unknown() -> None:
    time, row, col, price, size, side = random_trades(seed=5)
    side[50] = -1
    bars = aggregated((time, row, col, price, size, side), [])
    at = np.argwhere(np.isnan(bars.buy_volume) & ~np.isnan(bars.volume))
    np.testing.assert_array_equal(at, [[row[50], col[50]]])
    np.testing.assert_array_equal(np.isnan(bars.buy_count), np.isnan(bars.buy_volume))


def quiet(fill: Callable[..., int], seed: int) -> tuple[TradeBars, TradeBars, Any, Any, Any, int]:
    """Few trades, random evidence of life: bars before and after, what was given, and how many were filled."""
    rng = np.random.default_rng(seed)
    trades = random_trades(25, seed)
    before, bars = aggregated(trades, []), aggregated(trades, [])
    bars.before[0] = before.before[0] = 99.5  # this one traded before the first bar, the others did not
    alive, last, sided = rng.integers(0, 2, (30, 3)), np.array([29, 20, 12]), np.array([1, 0, 1])
    return before, bars, alive, last, sided, fill(alive, last, sided, bars)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_quiet_bar_is_flat_at_the_last_price_where_there_is_life(seed: int) -> None:
    before, bars, alive, last, sided, filled = quiet(fill_quiet, seed)
    told = pd.DataFrame(np.vstack([before.before, before.close])).ffill().to_numpy()[1:]
    empty = np.isnan(before.close)
    made = empty & (alive == 1) & (np.arange(30)[:, None] <= last) & ~np.isnan(told)
    assert filled == made.sum() > 5
    for name in ("open", "high", "low", "close"):
        np.testing.assert_array_equal(getattr(bars, name), np.where(made, told, getattr(before, name)))
    for name in ("volume", "notional", "trades"):
        np.testing.assert_array_equal(getattr(bars, name), np.where(made, 0.0, getattr(before, name)))
    for name in ("buy_volume", "buy_count"):
        np.testing.assert_array_equal(getattr(bars, name), np.where(made & (sided == 1), 0.0, getattr(before, name)))


def test_quiet_bars_compiled_equal_plain() -> None:
    for one, other in zip(quiet(fill_quiet, 7)[1], quiet(python_of(fill_quiet), 7)[1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_trades_outside_the_panels_are_passed_over_and_a_step_back_is_told() -> None:
    bars = trade_bars(2, 1)
    time = np.array([FIRST - 2 * STEP, FIRST - 5, FIRST + 9 * STEP, FIRST + 8 * STEP], np.int64)
    one = np.ones(4)
    back = add_trades(time, -((FIRST - time) // STEP), np.zeros(4, np.int64), one, one, np.ones(4, np.int64), bars)
    assert back == 3
    assert bars.trades[0, 0] == 1.0
    assert np.isnan(bars.trades[1, 0])


def random_books(count: int = 400, seed: int = 0, depth: int = 2, holes: bool = True) -> tuple[Any, ...]:
    """Snapshots whose prices stay, rise or fall by whole ticks; some levels absent, some snapshots crossed."""
    rng = np.random.default_rng(seed + 200)
    time, row, col = ticks(count, seed + 1)
    mid = 1000.0 + rng.integers(-2, 3, count)
    level = np.arange(depth)
    bid, ask = mid[:, None] - 1.0 - level, mid[:, None] + 1.0 + level
    bid_size, ask_size = rng.integers(1, 9, (count, depth)) * 1.0, rng.integers(1, 9, (count, depth)) * 1.0
    if holes:
        gone = rng.random((count, depth)) < 0.05
        bid[gone] = bid_size[gone] = np.nan
        crossed = rng.random(count) < 0.05
        bid[crossed, 0] = ask[crossed, 0] + 1.0
    return time, row, col, bid, bid_size, ask, ask_size


def booked(books: tuple[Any, ...], cuts: list[int], add: Callable[..., int] = add_snapshots) -> BookBars:
    made = book_bars(30, 3, books[3].shape[1])
    for a, b in zip([0, *cuts], [*cuts, len(books[0])], strict=True):
        assert add(*[np.ascontiguousarray(x[a:b]) for x in books], made) == -1
    return made


def test_order_flow_is_the_published_sum() -> None:
    """Cont, Kukanov and Stoikov (2014), equation 2, written out event by event."""
    _, row, col, bid, bid_size, ask, ask_size = books = random_books()
    expected = np.full((30, 3, 2), np.nan)
    for n in range(3):
        previous = None
        for i in np.flatnonzero(col == n):
            if bid[i, 0] >= ask[i, 0]:
                continue
            if previous is not None:
                for d in range(2):
                    now = bid[i, d], bid_size[i, d], ask[i, d], ask_size[i, d]
                    then = bid[previous, d], bid_size[previous, d], ask[previous, d], ask_size[previous, d]
                    if np.isnan([*now, *then]).any():
                        continue
                    event = now[1] * (now[0] >= then[0]) - then[1] * (now[0] <= then[0])
                    event += -now[3] * (now[2] <= then[2]) + then[3] * (now[2] >= then[2])
                    expected[row[i], n, d] = np.nansum([expected[row[i], n, d], event])
            previous = i
    np.testing.assert_allclose(booked(books, []).ofi, expected)
    assert np.isfinite(expected).any()


def test_a_bigger_bid_is_positive_flow_and_a_bigger_ask_negative() -> None:
    time = np.array([FIRST - 30, FIRST - 20, FIRST - 10], np.int64)
    zero = np.zeros(3, np.int64)
    made = book_bars(1, 1, 1)
    price = np.array([[100.0]] * 3)
    add_snapshots(time, zero, zero, price, np.array([[5.0], [8.0], [8.0]]), price + 1, np.array([[4.0], [4.0], [6.0]]), made)
    assert made.ofi[0, 0, 0] == 3.0 - 2.0


def test_the_last_snapshot_of_a_bar_is_shown_and_carried_on_with_its_age() -> None:
    books = random_books(120, holes=False)
    made = booked(books, [])
    age = carry_books(_closes(FIRST, made), STEP, made)
    time, row, col = books[:3]
    for n in range(3):
        for t in range(30):
            before = np.flatnonzero((col == n) & (row <= t))
            if len(before):
                i = before[-1]
                np.testing.assert_array_equal(made.bid_price[t, n], books[3][i])
                np.testing.assert_array_equal(made.ask_size[t, n], books[6][i])
                assert age[t, n] == (FIRST + t * STEP - time[i]) / STEP
                assert age[t, n] >= 0.0
            else:
                assert np.isnan(age[t, n])
                assert np.isnan(made.bid_price[t, n]).all()


def test_a_snapshot_before_the_first_bar_is_where_it_starts() -> None:
    books = random_books(200, holes=False)
    early = [books[0], books[1] - 10, *books[2:]]
    made = book_bars(20, 3, 2)
    add_snapshots(*early, made)
    age = carry_books(_closes(FIRST + 10 * STEP, made), STEP, made)
    whole = booked(books, [])
    whole_age = carry_books(_closes(FIRST, whole), STEP, whole)
    for name in ("bid_price", "bid_size", "ask_price", "ask_size", "ofi"):
        np.testing.assert_array_equal(getattr(made, name), getattr(whole, name)[10:])
    np.testing.assert_array_equal(age, whole_age[10:])


@pytest.mark.parametrize("cuts", [[1], list(range(1, 400)), [13, 200, 201, 390]])
def test_books_cut_anywhere_give_the_same_bits(cuts: list[int]) -> None:
    books = random_books(seed=7)
    for one, other in zip(booked(books, []), booked(books, cuts), strict=True):
        np.testing.assert_array_equal(one, other)


def test_books_compiled_equal_plain() -> None:
    books = random_books(seed=8)
    one, other = booked(books, [50]), booked(books, [50], python_of(add_snapshots))
    age, plain_age = carry_books(_closes(FIRST, one), STEP, one), python_of(carry_books)(_closes(FIRST, other), STEP, other)
    np.testing.assert_array_equal(age, plain_age)
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_crossed_snapshot_is_shown_and_takes_no_part_in_the_flow() -> None:
    time = np.array([FIRST - 30, FIRST - 20, FIRST - 10], np.int64)
    zero = np.zeros(3, np.int64)
    bid, ask, size = np.array([[100.0], [105.0], [100.0]]), np.full((3, 1), 101.0), np.array([[5.0], [99.0], [7.0]])
    made = book_bars(1, 1, 1)
    add_snapshots(time, zero, zero, bid, size, ask, np.ones((3, 1)), made)
    assert made.ofi[0, 0, 0] == 2.0
    shown = book_bars(1, 1, 1)
    add_snapshots(time[:2], zero[:2], zero[:2], bid[:2], size[:2], ask[:2], np.ones((2, 1)), shown)
    assert shown.bid_price[0, 0, 0] == 105.0
    assert np.isnan(shown.ofi[0, 0, 0])


def test_nothing_has_come_before_the_first_tick() -> None:
    assert NEVER < 0
    assert (trade_bars(1, 2).last_time == NEVER).all()
    assert (book_bars(1, 2, 1).taken == NEVER).all()
