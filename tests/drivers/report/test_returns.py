"""What the charts of returns and round trips draw: against pandas."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from drivers.report.account import Daily
from drivers.report.contents import RunReport
from drivers.report.drawn_returns import ROLLING_DAYS, drawn_returns, months, rolling
from drivers.report.openings import in_words, read_openings
from drivers.report.series import Candles
from drivers.report.tables_account import by_hour, by_side


def year(seed: int) -> tuple[pd.Series, Daily]:
    days = pd.date_range("2023-11-20", periods=400, freq="D")
    returns = pd.Series(np.random.default_rng(seed).normal(1e-3, 0.01, len(days)), days)
    return returns, Daily(days.to_numpy().astype("datetime64[D]").astype(np.int64), returns.to_numpy(), 365.0)


def test_months_compound_their_days() -> None:
    returns, daily = year(1)
    expected = (1.0 + returns).groupby([returns.index.year, returns.index.month]).prod() - 1.0
    found = months(daily)
    assert [(y, m) for y, m, _ in found] == list(expected.index)
    assert [x for *_, x in found] == pytest.approx(expected.to_list(), abs=1e-8)


def test_the_rolling_ratio_and_volatility_are_those_of_pandas() -> None:
    returns, daily = year(2)
    window = returns.rolling(ROLLING_DAYS)
    volatility, ratio = rolling(daily)
    assert volatility == pytest.approx((window.std() * math.sqrt(365.0)).dropna().to_numpy(), rel=1e-9)
    assert ratio == pytest.approx((window.mean() / window.std() * math.sqrt(365.0)).dropna().to_numpy(), rel=1e-9)


def test_a_window_without_movement_has_no_ratio() -> None:
    daily = Daily(np.arange(ROLLING_DAYS + 1), np.zeros(ROLLING_DAYS + 1), 365.0)
    volatility, ratio = rolling(daily)
    assert (volatility == 0.0).all() and np.isnan(ratio).all()


def test_a_short_run_draws_its_days_and_no_months(traded: RunReport) -> None:
    assert traded.account is not None
    made = drawn_returns(traded.account, traded.hold, traded.book.trips)
    assert set(made) == {"days", "trips"} and len(made["days"]) == 2 and made["trips"]["n"] == len(traded.book.trips)


@pytest.mark.parametrize("cuts", [(), (3,), (1, 2, 9, 10), (4, 8, 12)])
def test_candles_are_those_of_pandas_however_the_bars_are_cut(cuts: tuple[int, ...]) -> None:
    rng = np.random.default_rng(3)
    close = 100.0 + np.cumsum(rng.normal(0.0, 1.0, (14, 2)), axis=0)
    bars = {"open": close - 0.3, "high": close + 1.0, "low": close - 1.0, "close": close, "volume": rng.random((14, 2))}
    for values in bars.values():
        values[[4, 5, 6, 7, 9], 0] = np.nan
    level = rng.random((14, 2))
    candles = Candles(14, 2, 4, ["level"])
    assert candles.width == 4
    edges = [0, *cuts, 14]
    for a, b in zip(edges, edges[1:], strict=False):
        candles.add(a, *(bars[name][a:b] for name in ("open", "high", "low", "close", "volume")))
        candles.take("level", a, level[a:b])
    how = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
    bucket = np.arange(14) // 4
    for name, way in how.items():
        expected = pd.DataFrame(bars[name]).groupby(bucket).agg(way).to_numpy()
        assert np.allclose(getattr(candles, name), expected, equal_nan=True, rtol=0, atol=1e-12), name
    assert np.array_equal(candles.last["level"], level[[3, 7, 11, 13]])


def test_excursions_are_the_extremes_of_the_bars_within_each_trip(traded: RunReport) -> None:
    columns = ["timestamp", "symbol", "l0_market_feed.bars.low", "l0_market_feed.bars.high"]
    table = pd.read_parquet(traded.run.folder / "features" / "data.parquet", columns=columns)
    found = {symbol: part.set_index("timestamp") for symbol, part in table.groupby("symbol", observed=True)}
    some = 0
    for trip in traded.book.trips:
        bars = found[traded.symbols[trip.symbol]]
        at = bars.index.as_unit("ns").asi8
        inside = bars[(at > trip.entry_time) & (at < trip.exit_time)]
        prices = [trip.exit_price, *inside[columns[2]].dropna(), *inside[columns[3]].dropna()]
        moves = [trip.side * (p / trip.entry_price - 1.0) * 1e4 for p in prices]
        assert trip.adverse_bps == pytest.approx(min(0.0, *moves), abs=1e-7)
        assert trip.favourable_bps == pytest.approx(max(0.0, *moves), abs=1e-7)
        some += len(inside) > 0
    assert some > 0
    middle = traded.figure("adverse")
    assert middle is not None and middle.value == pytest.approx(np.median([t.adverse_bps for t in traded.book.trips]))


def test_sides_and_hours_add_up_to_all_round_trips(traded: RunReport) -> None:
    sides, hours = by_side(traded), by_hour(traded)
    assert sides is not None and hours is not None
    *each, both = sides.rows
    trips = traded.book.trips
    assert sum(row[1].sort for row in each) == both[1].sort == len(trips) == sum(row[1].sort for row in hours.rows)
    profit = sum(t.profit for t in trips)
    assert (
        sum(row[3].sort or 0.0 for row in each)
        == pytest.approx(profit)
        == pytest.approx(sum(row[3].sort for row in hours.rows))
    )


def test_the_opening_of_a_trip_is_the_decision_at_that_close(traded: RunReport) -> None:
    decisions = pd.read_parquet(traded.run.folder / "decisions.parquet")
    stamps = decisions.timestamp.dt.as_unit("ns").astype("int64")
    openings = read_openings(traded.run, traded.book.trips)
    assert {(t.decided, t.symbol) for t in traded.book.trips if t.decided} == set(openings)
    for (time, symbol), row in openings.items():
        own = decisions[(stamps == time) & (decisions.symbol == traded.symbols[symbol])].iloc[0]
        assert row["score"] == own.score and row["target_weight"] == own.target_weight
        text = in_words(time, row, seconds=False)
        assert f"score {told(own.score)}" in text and f"edge {told(own.edge_bps)}" in text


def told(x: float) -> str:
    """With its sign; what rounds to 0 has none."""
    return "0.00" if abs(x) < 0.005 else f"{x:+,.2f}"
