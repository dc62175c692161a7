"""The figures against pandas on the Parquet files, and their errors against resampling."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.report.account import owing
from drivers.report.contents import RunReport
from drivers.report.definitions import DEFINITIONS
from drivers.report.figures import all_figures, risk, sharpe, sortino, wilson
from drivers.report.scan import BarTimes
from drivers.report.trips import TradeHistory
from drivers.text.times import rounded_duration

CASH = 100_000.0


def tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """(account, a row a bar; fills; orders) as pandas reads them."""
    ledger = pd.read_parquet(folder / "ledger.parquet").drop_duplicates("timestamp").set_index("timestamp")
    return ledger, pd.read_parquet(folder / "fills.parquet"), pd.read_parquet(folder / "orders.parquet")


def flat_to_flat(fills: pd.DataFrame) -> pd.DataFrame:
    """Round trips by cumulative sums of signed quantities: only for fills that never turn a position over."""
    found = []
    for _, own in fills.groupby("symbol", observed=True):
        signed = np.where(own.side == "BUY", own.quantity, -own.quantity)
        position = np.cumsum(signed).round(9)
        assert not ((position[1:] * position[:-1]) < 0).any(), "the oracle takes no turned positions"
        trip = np.concatenate([[0], np.cumsum(position == 0)[:-1]])
        cash = pd.DataFrame(
            {"cash": -signed * own.price.to_numpy(), "fee": own.fee.to_numpy(), "trip": trip, "flat": position == 0}
        )
        opening = np.sign(signed) == np.sign(np.where(position == 0, -signed, position))
        cash["paid"] = np.where(opening, np.abs(cash.cash), 0.0)
        whole = cash.groupby("trip").agg(cash=("cash", "sum"), fee=("fee", "sum"), paid=("paid", "sum"), closed=("flat", "any"))
        found.append(whole[whole.closed])
    trips = pd.concat(found)
    return trips.assign(profit=trips.cash - trips.fee)


def by_hand(folder: Path) -> dict[str, float]:
    """The figures from their definitions, with pandas."""
    account, fills, orders = tables(folder)
    r = account.equity / account.equity.shift(fill_value=CASH) - 1.0
    notional = (fills.price * fills.quantity).sum()
    signed = np.where(fills.side == "BUY", fills.quantity, -fills.quantity)
    peak = account.equity.cummax().clip(lower=CASH)
    below = account.equity < peak
    stretches = below.groupby((~below).cumsum()).sum()
    trips = flat_to_flat(fills)
    bps = trips.profit / trips.paid * 1e4
    won, lost = trips.profit[trips.profit > 0], trips.profit[trips.profit <= 0]
    profit = account.equity.iloc[-1] - CASH
    return {
        "total_return": account.equity.iloc[-1] / CASH - 1.0,
        "profit": profit,
        "end_equity": account.equity.iloc[-1],
        "max_drawdown": (1.0 - account.equity / peak).max(),
        "drawdown_duration": stretches.max() * 60e9,
        "worst_bar": r.min(),
        "time_in_market": (account.gross > 0).mean(),
        "gross_mean": (account.gross / account.equity).mean(),
        "gross_max": (account.gross / account.equity).max(),
        "net_mean": (account.net / account.equity).mean(),
        "net_max": (account.net / account.equity).abs().max(),
        "orders": len(orders),
        "fills": len(fills),
        "turnover": notional / account.equity.mean(),
        "turnover_day": notional / account.equity.mean() / (len(account) / 1440),
        "fees": fills.fee.sum(),
        "slippage": (signed * (fills.price - fills.reference_price)).sum(),
        "funding": account.funding.iloc[-1],
        "cost_bps": (fills.fee.sum() + (signed * (fills.price - fills.reference_price)).sum()) / notional * 1e4,
        "trials": 3,  # of the fixtures
        "trips": len(trips),
        "hit_rate": len(won) / len(trips),
        "profit_factor": won.sum() / -lost.sum(),
        "trip_bps": bps.mean(),
        "trip_bps_median": bps.median(),
        "payoff": won.mean() / -lost.mean(),
        **({"fees_share": fills.fee.sum() / (profit + fills.fee.sum())} if profit + fills.fee.sum() > 0 else {}),
    }


def test_every_figure_is_what_pandas_makes_of_the_files(traded: RunReport) -> None:
    expected = by_hand(traded.run.folder)
    elsewhere = {"holding_bars", "adverse", "favourable", "hold_return", "hold_drawdown"}  # tests of their own
    shown = {f.key: f.value for f in traded.figures if f.value is not None and f.key not in elsewhere}
    assert shown == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_the_holding_time_is_the_median_of_the_bars_between_the_fills(traded: RunReport) -> None:
    bars = [(t.exit_time - t.entry_time) / 60e9 for t in traded.book.trips]
    figure = traded.figure("holding_bars")
    assert figure is not None and figure.value == np.median(bars) and min(bars) >= 0.0


def test_what_would_mislead_is_not_shown_and_says_why(traded: RunReport) -> None:
    for key in ("cagr", "calmar"):
        figure = traded.figure(key)
        assert figure is not None and figure.value is None and figure.note == "the run spans 2 d, less than 30 days"
    for key in ("volatility", "sharpe", "sortino"):
        figure = traded.figure(key)
        assert figure is not None and figure.value is None and figure.note == "the run has 2 days, fewer than 10"


@pytest.mark.parametrize(("closed", "days_a_year"), [(False, 365.0), (True, 252.0)])
def test_volatility_and_ratios_are_of_daily_returns(traded: RunReport, closed: bool, days_a_year: float) -> None:
    """Hourly returns of 365 days, of which a market that closes trades 252; pandas compounds them by day."""
    days = 252 if closed else 365
    close = pd.date_range("2025-01-01T01:00Z", periods=days * 24, freq="h", unit="ns")
    returns = pd.Series(np.random.default_rng(2).normal(2e-5, 1e-3, len(close)), close)
    clock = BarTimes(int(close[0].value), 3_600 * 10**9, len(close))
    if closed:  # a bar of no known return ends the year
        end = pd.Timestamp("2026-01-01T00:00Z")
        clock = replace(clock, bars=len(close) + 1, jumps=((len(close), int(end.value)),))
        returns = pd.concat([returns, pd.Series([np.nan], [end])])
    account = traded.account
    assert account is not None
    found = {key: value for key, value, *_ in risk(replace(account, clock=clock, returns=returns.to_numpy()))}
    daily = (1.0 + returns.dropna()).groupby((returns.dropna().index - pd.Timedelta(1)).floor("D")).prod() - 1.0
    year = math.sqrt(days_a_year)
    assert found["volatility"] == pytest.approx(daily.std() * year, rel=1e-9)
    assert found["sharpe"] == pytest.approx(daily.mean() / daily.std() * year, rel=1e-9)
    assert found["sortino"] == pytest.approx(daily.mean() / math.sqrt((daily.clip(upper=0.0) ** 2).mean()) * year, rel=1e-9)


def test_an_idle_run_shows_no_ratio(reports: dict[str, RunReport]) -> None:
    shown = {f.key: f for f in reports["idle"].figures}
    assert shown["total_return"].value == 0.0 and shown["turnover"].value == 0.0
    for key in ("sharpe", "sortino", "hit_rate", "profit_factor", "trip_bps", "cost_bps", "fees_share"):
        assert shown[key].value is None and shown[key].note and shown[key].low is None


def test_every_definition_has_its_figure_and_the_other_way_round(traded: RunReport) -> None:
    assert [f.key for f in traded.figures] == list(DEFINITIONS)
    assert not any("{" in f.definition for f in traded.figures)
    assert all_figures(None, TradeHistory()) == []


@pytest.mark.parametrize("ratio", [sharpe, sortino])
@pytest.mark.parametrize("mean", [0.0, 0.15])
def test_a_ratio_s_error_is_the_spread_of_the_ratio_over_samples(ratio: object, mean: float) -> None:
    assert callable(ratio)
    rng = np.random.default_rng(3)
    samples = rng.normal(mean, 1.0, (4000, 250))
    found = np.array([ratio(sample) for sample in samples], float)
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.05)


def test_a_debt_is_a_loss_of_more_than_all_from_the_start_as_from_the_peak() -> None:
    """At -60 after 100 and 125: 160 % of the start and 148 % of the peak; the 20 paid in at the end are no loss and no gain."""
    equity, peak, flows = np.array([-60.0, -40.0]), np.array([125.0, 125.0]), np.array([0.0, 20.0])
    assert owing(equity, peak, flows, 100.0) == pytest.approx([1.6, 1.6])
    assert owing(np.array([-60.0]), np.array([80.0]), np.array([0.0]), 100.0) == pytest.approx([1.75])


def test_a_ratio_of_what_never_moves_or_never_falls_is_none() -> None:
    assert sharpe(np.zeros(50)) == (None, None) and sharpe(np.array([0.1])) == (None, None)
    assert sortino(np.full(50, 0.01)) == (None, None)


@pytest.mark.parametrize(("k", "n"), [(0, 21), (5, 9), (9, 9), (480, 1000)])
def test_the_interval_of_a_share_solves_wilson_s_equation(k: int, n: int) -> None:
    for bound in wilson(k, n):
        assert (k / n - bound) ** 2 == pytest.approx(1.959963984540054**2 * bound * (1 - bound) / n, abs=1e-12)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3601, "1 h"),
        (90_000, "1 d 1 h"),
        (86_460, "1 d"),
    ],
)
def test_a_length_of_time_is_said_in_its_two_largest_units(seconds: int, words: str) -> None:
    assert rounded_duration(seconds * 1e9) == words
