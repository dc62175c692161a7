"""Buy and hold, and the account beside it: against pandas on the Parquet files and statsmodels' regression."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm

from drivers.report.account import daily_returns
from drivers.report.benchmark import read_hold
from drivers.report.contents import RunReport
from drivers.report.figures import against_hold
from drivers.report.scan import BarTimes


def closes(report: RunReport) -> pd.DataFrame:
    table = pd.read_parquet(
        report.run.folder / "features" / "data.parquet", columns=["timestamp", "symbol", "l0_market_feed.bars.close"]
    )
    return table.pivot(index="timestamp", columns="symbol", values="l0_market_feed.bars.close")


def test_buy_and_hold_is_the_mean_of_what_each_symbol_grew_to(traded: RunReport) -> None:
    close = closes(traded)
    wealth = (close.ffill() / close.bfill().iloc[0]).fillna(1.0).mean(axis=1)
    assert traded.hold == pytest.approx(wealth.to_numpy(), rel=1e-12)
    total, drawdown = traded.figure("hold_return"), traded.figure("hold_drawdown")
    assert total is not None and total.value == pytest.approx(wealth.iloc[-1] - 1.0, rel=1e-9)
    fell = 1.0 - wealth / wealth.cummax().clip(lower=1.0)
    assert drawdown is not None and drawdown.value == pytest.approx(fell.max(), rel=1e-9)


def test_a_symbol_that_is_listed_later_waits_as_cash(traded: RunReport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two symbols in chunks of two bars: one from the start, one with its first close in the second chunk."""
    close = np.array([[10.0, np.nan], [11.0, np.nan], [np.nan, 5.0], [12.0, 4.0], [9.0, np.nan]])
    chunks = [(0, {"l0_market_feed.bars.close": close[:2]}), (2, {"l0_market_feed.bars.close": close[2:4]})]
    chunks.append((4, {"l0_market_feed.bars.close": close[4:]}))
    monkeypatch.setattr("drivers.report.benchmark.panels", lambda *_: iter(chunks))
    run = replace(traded.run, symbols=("A", "B"))
    wealth = read_hold(run, BarTimes(60, 60, 5))
    expected = [(1.0 + 1.0) / 2, (1.1 + 1.0) / 2, (1.1 + 1.0) / 2, (1.2 + 0.8) / 2, (0.9 + 0.8) / 2]
    assert wealth == pytest.approx(expected, rel=1e-12)


def test_alpha_and_beta_are_those_of_statsmodels(traded: RunReport) -> None:
    """120 days of hourly returns with a planted beta of 0.4 and an alpha of 5 basis points a day."""
    rng = np.random.default_rng(7)
    bars, hour = 120 * 24, 3_600 * 10**9
    market = rng.normal(0.0, 0.004, bars)
    own = 0.4 * market + 0.0005 / 24 + rng.normal(0.0, 0.001, bars)
    clock = BarTimes(int(pd.Timestamp("2025-01-01T01:00Z").value), hour, bars)
    account = traded.account
    assert account is not None
    account = replace(account, clock=clock, returns=own)
    account.__dict__.pop("daily", None)
    found = {key: (value, *rest) for key, value, *rest in against_hold(account, np.cumprod(1.0 + market))}
    ours, theirs = (daily_returns(clock, returns).returns for returns in (own, market))
    fit = sm.OLS(ours, sm.add_constant(theirs)).fit()
    assert found["alpha"][0] == pytest.approx(fit.params[0] * 365.0, rel=1e-9)
    assert found["beta"][0] == pytest.approx(fit.params[1], rel=1e-9) == pytest.approx(0.4, abs=0.05)
    for key, i, scale in (("alpha", 0, 365.0), ("beta", 1, 1.0)):
        low, high = found[key][2]
        assert (high - low) / 2 == pytest.approx(1.959963984540054 * fit.bse[i] * scale, rel=1e-9)
    difference = ours - theirs
    assert found["information_ratio"][0] == pytest.approx(
        difference.mean() / difference.std(ddof=1) * math.sqrt(365.0), rel=1e-9
    )


def test_a_short_run_shows_no_alpha_and_says_why(traded: RunReport) -> None:
    for key in ("alpha", "beta", "information_ratio"):
        figure = traded.figure(key)
        assert figure is not None and figure.value is None and figure.note == "the run has 2 days, fewer than 10"
