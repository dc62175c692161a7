"""What needs a month: growth a year and the Calmar ratio, and runs as long as one."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.report.account import Account, per_period
from drivers.report.figures import growth, risk
from drivers.report.scan import BarTimes

MINUTE = 60_000_000_000
DAYS = 73  # a fifth of a year


def account(factor: float, bars: int = DAYS * 1440, flow: float = 0.0) -> Account:
    """Equity that falls by a tenth in the first day and then grows evenly to `factor`; `flow` comes in half way."""
    path = np.concatenate([np.linspace(1.0, 0.9, 1440), np.geomspace(0.9, factor, bars - 1440)]) * 1e5
    flows = np.zeros(bars)
    flows[bars // 2 :] = flow
    equity = path * np.where(np.arange(bars) >= bars // 2, 1.0 + flow / path[bars // 2 - 1], 1.0)
    previous = np.concatenate([[1e5], equity[:-1]])
    returns = (equity - np.diff(flows, prepend=0.0)) / previous - 1.0
    none = np.zeros(2)
    drawdown = 1.0 - path / np.maximum.accumulate(np.maximum(path, 1e5))
    zeros = np.zeros(bars)
    return Account(
        BarTimes(20_000 * 1440 * MINUTE, MINUTE, bars),
        1e5, equity, drawdown, zeros, zeros, flows, returns, 0.0, none, none, none, none, none,
    )  # fmt: skip


def test_growth_a_year_compounds_the_span_to_365_days() -> None:
    found = {key: rest for key, *rest in growth(account(1.1))}
    assert found["total_return"][0] == pytest.approx(0.1)
    assert found["cagr"][0] == pytest.approx(1.1**5 - 1.0)
    assert found["calmar"][0] == pytest.approx((1.1**5 - 1.0) / 0.1)


def test_a_cash_flow_is_no_return() -> None:
    found = {key: rest for key, *rest in growth(account(1.1, flow=50_000.0))}
    plain = account(1.1)
    with_flow = account(1.1, flow=50_000.0)
    half = len(plain.returns) // 2
    assert np.delete(with_flow.returns, half) == pytest.approx(np.delete(plain.returns, half), abs=1e-12)
    assert found["total_return"][0] == pytest.approx(0.1, rel=1e-3)


def test_an_account_that_is_lost_has_lost_everything_a_year() -> None:
    lost = account(1e-12)
    found = {key: rest for key, *rest in growth(lost)}
    assert found["cagr"][0] == pytest.approx(-1.0) and found["calmar"][0] < 0.0
    assert {key: rest for key, *rest in risk(lost)}["drawdown_duration"][1] == "it lasts until the end of the run"


def test_periods_compound_to_the_whole() -> None:
    made = account(1.3)
    found = per_period(made)
    assert np.prod(1.0 + found["return"]) == pytest.approx(1.3)
    assert found["equity"][-1] == made.equity[-1] and found["drawdown"].max() == made.drawdown.max()
