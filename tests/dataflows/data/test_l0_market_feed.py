"""L0: alignment, gaps, quality, sessions and higher bars."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from dataflows.data import alignment
from dataflows.data.alignment import align
from dataflows.data.config import DataConfig
from dataflows.data.l0_market_feed import l0_market_feed
from dataflows.data.types import Market
from dataflows.kernels import order
from dataflows.panel import leaves
from dataflows.runtime.compile import python_of
from tests.dataflows.data.observed import START, hole, instruments, market, observe, walk
from tests.support import carry_of

DATA = DataConfig()


def _same(a: Any, b: Any) -> None:
    for x, y in zip(leaves(a), leaves(b), strict=True):
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def _ragged(bars: int = 700, symbols: int = 3) -> Any:
    seen = hole(observe(walk(bars, symbols)), slice(100, 103), 0)
    seen = hole(seen, slice(200, 240), 1)
    seen = hole(seen, list(range(251, 345, 7)), 2)
    seen.listed[:50, 2] = 0
    seen.listed[600:, 1] = 0
    return seen


def _at(index: Any, market_: Market) -> list[Any]:
    return [np.asarray(x)[index] for x in leaves(market_)]


def test_the_same_however_the_bars_are_cut() -> None:
    seen = _ragged()
    whole = market(seen)
    _same(whole, market(seen, cuts=range(1, 700)))
    _same(whole, market(seen, cuts=[3, 101, 102, 250, 599]))


def test_compiled_and_plain_python_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = _ragged(350)
    facts = instruments(3)
    args = (seen, facts.tick_size, facts.book_feed, 5, 10.0)
    fast, slow = (carry_of(l0_market_feed, 3, {"data": DATA}) for _ in range(2))
    compiled = align(*args, fast.seen, fast.returns)
    for module, names in (
        (alignment, ("is_sane", "sorted_mad", "sorted_median", "window_push")),
        (order, ("count_below", "sorted_push", "_leftwards", "_rightwards")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, python_of(getattr(module, name)))
    for a, b in zip(compiled, python_of(align)(*args, slow.seen, slow.returns), strict=True):
        np.testing.assert_array_equal(a.view(np.int64), b.view(np.int64))
    _same(fast, slow)


def test_symbols_do_not_touch_each_other() -> None:
    seen = _ragged()
    turned = type(seen)(*[x[:, ::-1].copy() if x.ndim > 1 else x for x in seen])
    for a, b in zip(leaves(market(seen)), leaves(market(turned)), strict=True):
        np.testing.assert_array_equal(a, b[:, ::-1] if b.ndim > 1 else b)


def test_inputs_stay_as_they_are() -> None:
    seen = _ragged()
    before = [x.copy() for x in seen]
    market(seen)
    _same(seen, type(seen)(*before))


def test_the_first_max_gap_bars_are_filled_flat_and_the_rest_unknown() -> None:
    seen = hole(observe(walk(40)), slice(10, 20))
    got = market(seen)
    last = seen.close[9]
    for panel in (got.bars.open, got.bars.high, got.bars.low, got.bars.close, got.bars.vwap):
        assert (panel[10:15] == last).all()
        assert np.isnan(panel[15:20]).all()
        assert np.isfinite(panel[20:]).all()
    assert (got.bars.volume[10:15] == 0.0).all() and np.isnan(got.bars.volume[15:20]).all()
    assert got.quality.filled[:, 0].tolist() == [0] * 10 + [1] * 5 + [0] * 25
    assert got.quality.missing[:, 0].tolist() == [0] * 10 + [1] * 10 + [0] * 20
    assert got.quality.valid[:, 0].tolist() == [1] * 10 + [0] * 10 + [1] * 20
    assert got.quality.stale[:, 0].tolist() == [0.0] * 10 + list(range(1, 11)) + [0.0] * 20
    assert np.isnan(got.flow.buy_volume[10:20]).all()


@pytest.mark.parametrize("length", [1, 3, 6, 60])
def test_the_first_bars_of_a_gap_do_not_depend_on_its_length(length: int) -> None:
    base = observe(walk(200))
    long, short = market(hole(base, slice(50, 110))), market(hole(base, slice(50, 50 + length)))
    for a, b in zip(_at(slice(0, 50 + length), long), _at(slice(0, 50 + length), short), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_filled_before_the_first_observation_or_while_not_listed() -> None:
    seen = hole(observe(walk(60)), slice(0, 10))
    seen.listed[30:40, 0] = 0
    seen = hole(seen, slice(40, 42), 0)  # listed again, and nothing seen yet
    got = market(seen)
    assert not got.quality.filled.any()
    assert np.isnan(got.bars.close[:10]).all() and np.isnan(got.quality.stale[:10]).all()
    for panel in (got.bars.close, got.quality.stale, got.quality.frozen, got.session.vwap, got.book.age):
        assert np.isnan(panel[30:40, 0]).all()
    assert np.isnan(got.book.bid_price[30:40, 0]).all() and np.isfinite(got.book.bid_price[30:40, 1]).all()
    assert np.isnan(got.bars.close[40:42, 0]).all() and (got.quality.missing[40:42, 0] == 1).all()
    assert not got.quality.missing[30:40].any() and not got.quality.valid[30:40, 0].any()
    assert (got.funding[30:40] == 0.0).all()


BAD: list[dict[str, float]] = [
    {"close": np.nan},
    {"open": np.inf},
    {"close": 0.0},
    {"low": -1.0},
    {"high": 1.0},
    {"volume": -1.0},
    {"volume": np.inf},
    {"high": np.inf},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_an_insane_bar_counts_as_not_observed(bad: dict[str, float]) -> None:
    good = observe(walk(40))
    values = {k: v.copy() for k, v in good._asdict().items()}
    for name, value in bad.items():
        values[name][20, 0] = value
    got = market(type(good)(**values))
    assert got.quality.valid[20].tolist() == [0, 1]
    assert got.quality.missing[20].tolist() == [1, 0]
    assert got.bars.close[20, 0] == good.close[19, 0]
    assert got.bars.volume[20, 0] == 0.0
    assert got.quality.valid[21:].all()


def test_a_bar_of_unknown_volume_is_a_bar_and_its_gap_has_unknown_volume_too() -> None:
    seen = hole(observe(walk(40)), slice(20, 22), 0)
    volume = seen.volume.copy()
    volume[:, 0] = np.nan
    made = market(seen._replace(volume=volume))
    np.testing.assert_array_equal(made.quality.valid[:, 0], (np.arange(40) < 20) | (np.arange(40) >= 22))
    assert np.isnan(made.bars.volume[:, 0]).all()
    assert np.isnan(made.session.vwap[:, 0]).all()
    assert np.isnan(made.bars_5.volume[10:, 0]).all()
    np.testing.assert_array_equal(made.bars_5.close[9, 0], seen.close[9, 0])
    np.testing.assert_array_equal(made.bars.volume[:, 1], seen.volume[:, 1])


def test_an_outlier_is_flagged_and_never_altered() -> None:
    close = walk(300)
    close[200, 0] *= 1.05
    seen = observe(close)
    got = market(seen)
    assert np.flatnonzero(got.quality.outlier[:, 0]).tolist() == [200, 201]  # there and back
    assert not got.quality.outlier[:, 1].any()
    for name in ("open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(got.bars, name), getattr(seen, name))
    assert got.quality.valid.all()


def test_the_outlier_flag_is_hampels_over_the_previous_returns() -> None:
    rng = np.random.default_rng(4)
    close = 100.0 * np.exp(np.cumsum(1e-3 * rng.standard_t(2, (600, 1)), axis=0))
    got = market(observe(close), tick=0.0, data=DATA._replace(hampel_k=4.0)).quality.outlier[:, 0]
    r = np.diff(np.log(close[:, 0]), prepend=np.nan)
    expected = np.zeros(600, np.int64)
    for t in range(31, 600):
        window = r[max(1, t - 60) : t]
        expected[t] = abs(r[t] - np.median(window)) > 4.0 * 1.4826 * stats.median_abs_deviation(window)
    assert expected.sum() > 10
    np.testing.assert_array_equal(got, expected)


def test_a_frozen_price_is_counted_and_one_tick_is_no_outlier() -> None:
    close = np.full((100, 1), 50.0)
    close[80:] = 50.01
    got = market(observe(close))
    assert got.quality.frozen[79, 0] == 79.0
    assert got.quality.frozen[80:83, 0].tolist() == [0.0, 1.0, 2.0]
    assert not got.quality.outlier.any()


def test_a_crossed_book_is_flagged_and_passed_on() -> None:
    seen = observe(walk(20))
    seen.bid_price[7, 1, 0] = seen.ask_price[7, 1, 0]
    got = market(seen)
    assert np.argwhere(got.quality.crossed).tolist() == [[7, 1]]
    np.testing.assert_array_equal(got.book.bid_price, seen.bid_price)


def test_book_age_goes_on_where_there_is_no_snapshot() -> None:
    seen = observe(walk(12))
    seen.book_age[:] = np.nan
    seen.book_age[2], seen.book_age[8] = 0.25, 0.0
    assert market(seen).book.age[:, 0].tolist()[2:] == [0.25, 1.25, 2.25, 3.25, 4.25, 5.25, 0.0, 1.0, 2.0, 3.0]
    assert np.isnan(market(seen).book.age[:2]).all()


def test_flow_is_known_only_where_it_adds_up() -> None:
    seen = observe(walk(10))
    seen.buy_volume[3, 0] = 2.0 * seen.volume[3, 0]
    seen.buy_count[4, 0] = np.nan
    got = market(seen)
    assert np.isnan(got.flow.buy_volume[3, 0]) and np.isnan(got.flow.sell_volume[3, 0])
    assert np.isnan(got.flow.sell_count[4, 0]) and np.isfinite(got.flow.sell_volume[4, 0])
    known = np.isfinite(got.flow.buy_volume)
    np.testing.assert_allclose((got.flow.buy_volume + got.flow.sell_volume)[known], seen.volume[known], rtol=1e-15)
    assert known.sum() == 19


def test_vwap_is_the_given_one_inside_the_bar_else_the_typical_price() -> None:
    seen = observe(walk(10))
    typical = (seen.high + seen.low + seen.close) / 3.0
    seen.vwap[4] = (seen.high[4] + seen.low[4]) / 2.0
    seen.vwap[5] = 2.0 * seen.high[5]
    got = market(seen).bars.vwap
    np.testing.assert_array_equal(got[4], seen.vwap[4])
    np.testing.assert_allclose(np.delete(got, 4, 0), np.delete(typical, 4, 0), rtol=1e-14)


def test_the_session_is_the_utc_day_of_the_bars_open() -> None:
    seen = hole(observe(walk(3000)), slice(500, 520))
    got = market(seen)
    index = pd.to_datetime(seen.time, utc=True)
    opened = index - pd.Timedelta("1min")
    np.testing.assert_array_equal(got.session.id[:, 0], (opened.normalize() - pd.Timestamp(0, tz="UTC")).days)
    np.testing.assert_array_equal(got.session.bar_of_session[:, 0], opened.hour * 60 + opened.minute)
    np.testing.assert_array_equal(got.session.is_last[:, 0], (index.normalize() == index).astype(int))
    assert got.session.is_open.all()
    valid = got.quality.valid != 0
    for n in range(2):
        frame = pd.DataFrame(
            {"pv": got.bars.vwap[:, n] * seen.volume[:, n], "v": seen.volume[:, n], "day": got.session.id[:, n]}
        )
        sums = frame.mask(pd.Series(~valid[:, n]), 0.0).assign(day=frame["day"]).groupby("day").cumsum()
        np.testing.assert_allclose(got.session.vwap[:, n], sums["pv"] / sums["v"], rtol=1e-12)


# a leap day, and both changes of summer time in Europe and in New York: UTC knows neither
@pytest.mark.parametrize("day", ["2024-02-28", "2024-03-10", "2024-03-31", "2024-10-27", "2024-11-03", "2024-12-31"])
def test_higher_bars_are_pandas_resample_and_no_calendar_changes_that(day: str) -> None:
    bars = 4000
    start = pd.Timestamp(day, tz="UTC") + pd.Timedelta("22h37min")
    seen = observe(walk(bars), start=start.value)
    got = market(seen)
    index = pd.to_datetime(seen.time, utc=True)
    for length, higher in zip(DATA.timeframes, (got.bars_5, got.bars_15, got.bars_60), strict=True):
        for n in range(2):
            columns = ("open", "high", "low", "close", "volume")
            frame = pd.DataFrame({c: getattr(seen, c)[:, n] for c in columns}, index=index)
            rule = frame.resample(f"{length}min", closed="right", label="right")
            theirs = rule.agg({"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"})
            theirs = theirs[rule["close"].count() == length]
            at = higher.closed[:, n] == 1
            np.testing.assert_array_equal(index[at], theirs.index)
            for c in columns:
                np.testing.assert_allclose(getattr(higher, c)[at, n], theirs[c], rtol=1e-14)
            before = np.argmax(at)
            assert before <= 2 * length and np.isnan(higher.close[:before, n]).all()


def test_a_higher_bar_with_an_unknown_part_does_not_close_and_the_last_is_held() -> None:
    got = market(hole(observe(walk(300)), slice(60, 68)))
    assert got.bars_15.closed[74, 0] == 0 and got.bars_15.closed[89, 0] == 1
    assert (got.bars_15.close[59:89] == got.bars_15.close[59]).all()
    filled = market(hole(observe(walk(300)), slice(60, 65)))
    assert filled.bars_15.closed[74, 0] == 1  # filled in part: known
    assert filled.bars_5.closed[64, 0] == 0  # nothing of it was observed


def test_a_clock_of_one_second_counts_base_bars() -> None:
    seen = observe(walk(400), step=1_000_000_000, start=START + 7 * 1_000_000_000)
    got = market(seen)
    assert (seen.time[got.bars_60.closed[:, 0] == 1] % (60 * 10**9) == 0).all()
    assert got.bars_5.closed[:, 0].sum() in (78, 79) and got.bars_60.closed[:, 0].sum() == 5
    assert got.session.bar_of_session[:3, 0].tolist() == [7, 8, 9]


def test_dropped_duplicates_after_a_reconnect_change_only_their_count() -> None:
    calm = observe(walk(100))
    replayed = observe(walk(100), duplicates=np.where(np.arange(100)[:, None] == 50, 7, 0) * np.ones((1, 2), np.int64))
    a, b = market(calm), market(replayed)
    assert b.quality.duplicates.sum() == 14
    _same(a, b._replace(quality=b.quality._replace(duplicates=a.quality.duplicates)))


def test_powers_of_two_in_price_change_nothing_without_dimension() -> None:
    seen = _ragged()
    prices, sizes = 2.0**5, 2.0**-5
    values = seen._asdict()
    for name in ("open", "high", "low", "close", "bid_price", "ask_price"):
        values[name] = values[name] * prices
    for name in ("volume", "buy_volume", "bid_size", "ask_size", "ofi"):
        values[name] = values[name] * sizes
    a, b = market(seen, tick=0.01), market(type(seen)(**values), tick=0.32)
    _same(a.quality, b.quality)
    _same(a.session._replace(vwap=a.session.vwap * prices), b.session)
