from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import OPERATOR_CASH_FLOW, OPERATOR_REBASE
from dataflows.execution.l97_ledger import l97_ledger__live, l97_ledger__sim
from dataflows.execution.types import FILL, FUNDING, Ledger, Orders
from dataflows.runtime.compile import kernel
from tests.dataflows.execution.support import CONFIG, carry, clock, executions, instruments, market, plainly, same_bits
from tests.support import filled

compiled = kernel(l97_ledger__sim)
CASH = CONFIG.start_cash


def orders(fresh: list[int], n: int) -> Orders:
    table = np.zeros((CONFIG.slots, n))
    ids = table.astype(np.int64)
    over = {"id": ids, "status": ids, "type": ids, "reduce_only": ids, "quantity": table, "filled": table, "limit_price": table}
    return filled(Orders, (n,), 0.0, fresh=np.array(fresh, dtype=np.int64), **over)


class Account:
    def __init__(self, n: int = 1, fn: Any = l97_ledger__sim, **facts: Any) -> None:
        self.n, self.fn, self.t = n, fn, 0
        self.facts = instruments(n, **facts)
        self.carry = carry(l97_ledger__sim, n)

    def __call__(
        self,
        closes: list[float],
        fills: list[tuple[int, float, float, float]] | None = None,
        *,
        fresh: list[int] | None = None,
        valid: list[int] | None = None,
        funding: list[float] | None = None,
        **at: Any,
    ) -> Ledger:
        """fills: (symbol, quantity, price, fee)."""
        self.t += 1
        rows = [{"kind": FILL, "symbol": s, "quantity": q, "price": p, "fee": f} for s, q, p, f in fills or []]
        bars = market(self.t, [(c, c, c, c, 1.0) for c in closes], valid=valid, funding=funding)
        known = orders(fresh or [1] * len(rows), self.n)
        got: Ledger = self.fn(bars, executions(*rows), known, self.facts, clock(self.t, **at), CONFIG, self.carry)
        return got


def test_a_round_trip_realises_the_difference_less_fees() -> None:
    a = Account()
    got = a([110.0], [(0, 10.0, 100.0, 1.0)])
    assert (got.position[0], got.average_price[0], got.unrealised[0]) == (10.0, 100.0, 100.0)
    assert got.equity == pytest.approx(CASH + 99.0)
    got = a([120.0], [(0, -10.0, 115.0, 1.0)])
    assert (got.position[0], got.realised, got.fees) == (0.0, 150.0, 2.0)
    assert math.isnan(got.average_price[0])
    assert got.equity == pytest.approx(CASH + 148.0)


def test_average_cost_through_adding_reducing_and_a_change_of_side() -> None:
    a = Account()
    a([100.0], [(0, 1.0, 100.0, 0.0)])
    assert a([100.0], [(0, 3.0, 104.0, 0.0)]).average_price[0] == pytest.approx(103.0)
    got = a([100.0], [(0, -2.0, 105.0, 0.0)])
    assert (got.average_price[0], got.realised) == (pytest.approx(103.0), pytest.approx(4.0))
    got = a([100.0], [(0, -5.0, 101.0, 0.0)])
    assert (got.position[0], got.average_price[0], got.realised) == (-3.0, 101.0, pytest.approx(0.0))


def test_only_fresh_fills_are_booked() -> None:
    a = Account()
    got = a([100.0], [(0, 1.0, 100.0, 0.5), (0, 1.0, 100.0, 0.5)], fresh=[1, 0])
    assert (got.position[0], got.fees) == (1.0, 0.5)


def test_funding_is_paid_on_the_position_held_before_the_fills_of_the_bar() -> None:
    a = Account()
    got = a([100.0], [(0, 2.0, 100.0, 0.0)], funding=[0.01])
    assert got.funding == 0.0
    got = a([120.0], [(0, -2.0, 120.0, 0.0)], funding=[0.01])
    assert got.funding == pytest.approx(2.0 * 100.0 * 0.01)
    assert a([120.0], funding=[0.01]).funding == got.funding


def test_funding_of_an_unknown_rate_and_between_bars_is_nothing() -> None:
    a = Account()
    a([100.0], [(0, 2.0, 100.0, 0.0)])
    assert a([100.0], funding=[math.nan]).funding == 0.0
    assert a([100.0], funding=[0.01], is_bar=0).funding == 0.0
    assert a([100.0], funding=[-0.01]).funding == pytest.approx(-2.0), "a short rate pays the long"


def test_at_a_venue_funding_is_what_the_venue_reports_each_payment_once_and_no_rate_pays() -> None:
    a = Account(2, l97_ledger__live, borrow_rate=np.full(2, 0.5))
    a([100.0, 50.0], [(0, 2.0, 100.0, 0.0), (1, -4.0, 50.0, 0.0)])
    got = a([100.0, 50.0], funding=[0.01, 0.01])
    assert (got.funding, got.equity) == (0.0, CASH), "a rate, and what is borrowed"

    def paid(rows: list[tuple[int, float]], fresh: list[int], is_bar: int) -> Ledger:
        a.t += 1
        reports = executions(*({"kind": FUNDING, "symbol": s, "fee": amount} for s, amount in rows))
        bars = market(a.t, [(100.0,) * 4 + (1.0,), (50.0,) * 4 + (1.0,)])
        found: Ledger = a.fn(bars, reports, orders(fresh, 2), a.facts, clock(a.t, is_bar=is_bar), CONFIG, a.carry)
        return found

    got = paid([(0, 2.25), (1, -0.5), (1, -0.5)], [1, 1, 0], is_bar=0)
    assert got.symbol_funding.tolist() == [2.25, -0.5]
    assert (got.funding, got.cash, got.equity) == (1.75, CASH - 1.75, CASH - 1.75)
    assert (got.fees, got.realised, got.position.tolist()) == (0.0, 0.0, [2.0, -4.0])


def test_an_unknown_close_keeps_the_last_known_mark_and_counts_its_age() -> None:
    a = Account()
    got = a([math.nan], valid=[0])
    assert math.isnan(got.mark[0])
    assert math.isnan(got.mark_age[0])
    got = a([100.0], [(0, 1.0, 100.0, 0.0)])
    assert (got.mark[0], got.mark_age[0]) == (100.0, 0.0)
    a([100.0], valid=[0])  # filled flat
    got = a([math.nan], valid=[0])
    assert (got.mark[0], got.mark_age[0], got.equity) == (100.0, 2.0, pytest.approx(CASH))
    assert a([90.0]).mark_age[0] == 0.0


def test_a_fill_before_the_first_close_is_marked_at_its_own_price() -> None:
    got = Account()([math.nan], [(0, 1.0, 50.0, 1.0)], valid=[0])
    assert got.equity == pytest.approx(CASH - 1.0)
    assert got.mark[0] == 50.0


def test_a_cash_flow_changes_no_drawdown_and_no_profit() -> None:
    a = Account()
    a([100.0], [(0, 100.0, 100.0, 0.0)])
    before = a([90.0])
    got = a([90.0], operator=OPERATOR_CASH_FLOW, amount=5000.0)
    assert got.drawdown == pytest.approx(before.drawdown, abs=1e-15)
    assert got.drawdown == pytest.approx(0.01)
    assert got.cash_flows == 5000.0
    assert got.equity == pytest.approx(before.equity + 5000.0)
    got = a([90.0], operator=OPERATOR_CASH_FLOW, amount=-50_000.0)
    assert got.drawdown == pytest.approx(before.drawdown, abs=1e-15)
    assert a([90.0], operator=OPERATOR_CASH_FLOW, amount=math.nan).cash_flows == -45_000.0
    got = a([90.0], operator=OPERATOR_CASH_FLOW, amount=1000.0, is_bar=0)
    assert (got.cash_flows, got.drawdown) == (-44_000.0, pytest.approx(before.drawdown, abs=1e-15))


def test_rebase_sets_the_peak_to_equity() -> None:
    a = Account()
    a([100.0], [(0, 100.0, 100.0, 0.0)])
    assert a([80.0]).drawdown == pytest.approx(0.02)
    got = a([80.0], operator=OPERATOR_REBASE)
    assert (got.drawdown, got.peak) == (0.0, got.equity)
    assert a([80.0]).drawdown == 0.0


def test_peak_and_drawdown_exist_only_at_closes() -> None:
    a = Account()
    before = a([100.0], [(0, 100.0, 100.0, 0.0)])
    between = a([50.0], [(0, 10.0, 120.0, 1.0)], is_bar=0)
    assert between.mark[0] == 100.0
    assert (between.peak, between.drawdown) == (before.peak, before.drawdown)
    assert between.equity == pytest.approx(between.cash + 110.0 * 100.0)


def test_equity_that_is_not_positive_is_a_drawdown_of_one() -> None:
    a = Account()
    a([100.0], [(0, 5000.0, 100.0, 0.0)])
    got = a([70.0])
    assert got.equity == pytest.approx(-50_000.0)
    assert got.drawdown == 1.0


FILLS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(-30, 30).filter(bool).map(lambda k: k / 10.0),
        st.floats(1.0, 200.0),
        st.floats(-0.5, 2.0),
    ),
    max_size=4,
)
STORY = st.lists(
    st.tuples(
        st.tuples(*[st.one_of(st.floats(1.0, 200.0), st.just(math.nan))] * 3),
        FILLS,
        st.tuples(*[st.sampled_from([0.0, 0.001, -0.002, math.nan])] * 3),
        st.sampled_from([0, 0, OPERATOR_CASH_FLOW, OPERATOR_REBASE]),
        st.sampled_from([1, 1, 1, 0]),
    ),
    max_size=25,
)


@settings(max_examples=100, deadline=None)
@given(STORY)
def test_the_account_equals_a_plain_double_entry_book(story: list[Any]) -> None:
    """The oracle books every movement twice, cash against holdings, and never averages anything."""
    a = Account(3)
    accounts = {"cash": CASH, "paid in": -CASH, "fees": 0.0, "funding": 0.0, "trading": 0.0}
    held, last = [0.0] * 3, [math.nan] * 3
    turnover = 1.0

    def book(debit: str, credit: str, amount: float) -> None:
        accounts[debit] += amount
        accounts[credit] -= amount

    for closes, fills, rates, operator, is_bar in story:
        got = a(
            list(closes),
            fills,
            funding=list(rates),
            operator=operator,
            amount=100.0 * (operator == OPERATOR_CASH_FLOW),
            is_bar=is_bar,
        )
        for s in range(3):
            if is_bar and held[s] and rates[s] == rates[s]:
                book("funding", "cash", held[s] * last[s] * rates[s])
        for s, q, p, fee in fills:
            book("trading", "cash", q * p)
            book("fees", "cash", fee)
            held[s] = round(held[s] + q, 9)
            turnover += abs(q * p)
            last[s] = p if math.isnan(last[s]) else last[s]
        if operator == OPERATOR_CASH_FLOW:
            book("cash", "paid in", 100.0)
        for s in range(3):
            if is_bar and closes[s] == closes[s]:
                last[s] = closes[s]
        value = sum(h * m for h, m in zip(held, last, strict=True) if h)
        tolerance = 1e-9 * turnover
        assert sum(accounts.values()) == pytest.approx(0.0, abs=tolerance)
        assert got.position == pytest.approx(np.array(held), abs=1e-9)
        assert got.cash == pytest.approx(accounts["cash"], abs=tolerance)
        assert got.fees == pytest.approx(accounts["fees"], abs=tolerance)
        assert got.funding == pytest.approx(accounts["funding"], abs=tolerance)
        assert got.equity == pytest.approx(accounts["cash"] + value, abs=tolerance)
        profit = got.realised + float(got.unrealised.sum()) - got.fees - got.funding
        assert got.equity == pytest.approx(CASH + got.cash_flows + profit, abs=tolerance)
        assert got.gross == pytest.approx(sum(abs(h * m) for h, m in zip(held, last, strict=True) if h), abs=tolerance)
        assert got.net == pytest.approx(value, abs=tolerance)
        assert math.isfinite(got.equity)
        assert 0.0 <= got.drawdown <= 1.0
        assert got.peak > 0.0


@settings(max_examples=40, deadline=None)
@given(STORY)
def test_compiled_equals_plain_to_the_bit(story: list[Any]) -> None:
    a, b = Account(3, compiled), Account(3, plainly(l97_ledger__sim))
    for closes, fills, rates, operator, is_bar in story:
        x = a(list(closes), fills, funding=list(rates), operator=operator, amount=100.0, is_bar=is_bar)
        y = b(list(closes), fills, funding=list(rates), operator=operator, amount=100.0, is_bar=is_bar)
        assert same_bits(x, y)
    assert same_bits(a.carry, b.carry)
