"""Contracts with a multiplier and inverse ones, from the approval to the ledger: hand-computed, and against a double-entry book."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l98_reconciliation import l98_reconciliation__sim
from dataflows.execution.types import FILL, PLACE
from tests.dataflows.execution.double_entry import DoubleEntry
from tests.dataflows.execution.loop import Loop, approval, leaving
from tests.dataflows.execution.support import CONFIG, NAN, carry, entries_of

FREE = CONFIG._replace(slippage_impact=0.0, slippage_default_bps=0.0, slice_bars=1, headroom=0.0, least_entry=0.0, band=0.0)
FEES = {"taker_fee_bps": [10.0], "maker_fee_bps": [10.0]}
COINS = FREE._replace(start_cash=10.0)


def bar(price: float, volume: float = 1e9) -> tuple[float, float, float, float, float]:
    return (price, price, price, price, volume)


def test_a_future_is_sized_charged_and_booked_with_its_multiplier() -> None:
    """Half of 100,000 in futures of 50 at 100: 10 contracts of 5,000. Sold at 104: 10 * 50 * 4, less 10 bps of both notionals."""
    loop = Loop(1, FREE, spread_bps=0.0, multiplier=[50.0], lot_size=[1.0], min_notional=[5_000.0], **FEES)
    (order,) = entries_of(loop([bar(100.0)], approval([0.5])).intents)
    assert (order["kind"], order["quantity"], order["bracket_stop"]) == (PLACE, 10.0, 95.0)
    step = loop([bar(100.0)], approval([0.5], active_stop=95.0))
    assert step.ledger.unit_value[0] == 5_000.0
    assert (step.ledger.cash, step.ledger.equity) == pytest.approx((100_000.0 - 50_000.0 - 50.0, 100_000.0 - 50.0))
    assert (step.ledger.gross, step.ledger.net) == pytest.approx((50_000.0, 50_000.0))
    assert step.orders.filled_notional[0] == pytest.approx(50_000.0)
    loop([bar(104.0)], leaving(active_stop=95.0))
    step = loop([bar(104.0)], leaving())
    assert step.ledger.position[0] == 0.0
    assert step.ledger.realised == pytest.approx(2_000.0)
    assert step.ledger.equity == pytest.approx(100_000.0 + 2_000.0 - 50.0 - 52.0)


def test_an_inverse_contract_settles_in_coins_and_its_average_is_harmonic() -> None:
    """10 coins; contracts of 100 dollars. 0.2 of equity at 50,000: 1,000 contracts, 2 coins. As many again at 40,000, sold at
    50,000: 100,000 / 44,444 bought back for 4 coins, 4.5 were paid for them: the gain is half a coin."""
    facts: dict[str, Any] = {"multiplier": [100.0], "inverse": [1], "taker_fee_bps": [0.0], "maker_fee_bps": [0.0]}
    loop = Loop(1, COINS, spread_bps=0.0, **facts)
    (order,) = entries_of(loop([bar(50_000.0)], approval([0.2], stop=0.5)).intents)
    assert order["quantity"] == pytest.approx(1_000.0)
    step = loop([bar(50_000.0)], approval([0.2], stop=0.5, active_stop=20_000.0))
    assert (step.ledger.equity, step.ledger.gross) == pytest.approx((10.0, 2.0))
    step = loop([bar(40_000.0)], approval([5.0 / 9.5], stop=0.5, active_stop=20_000.0))
    assert step.ledger.equity == pytest.approx(10.0 + 1_000.0 * 100.0 * (1 / 50_000.0 - 1 / 40_000.0))
    assert step.ledger.unrealised[0] == pytest.approx(-0.5)
    step = loop([bar(40_000.0)], approval([5.0 / 9.5], stop=0.5, active_stop=20_000.0))
    assert step.ledger.position[0] == pytest.approx(2_000.0)
    assert step.ledger.average_price[0] == pytest.approx(2.0 / (1 / 50_000.0 + 1 / 40_000.0))
    loop([bar(50_000.0)], leaving(active_stop=20_000.0))
    step = loop([bar(50_000.0)], leaving())
    assert step.ledger.position[0] == 0.0
    assert step.ledger.realised == pytest.approx(0.5)
    assert step.ledger.cash == pytest.approx(10.5)


def test_funding_and_liquidation_of_an_inverse_position_are_of_its_notional_in_coins() -> None:
    """3,000 contracts long at 50,000 are 6 coins; a rate of 1 % costs 0.06. At a low of 26,000 they are 11.5 and have lost 5.5."""
    facts: dict[str, Any] = {"multiplier": [100.0], "inverse": [1], "taker_fee_bps": [0.0], "maker_fee_bps": [0.0]}
    config = COINS._replace(participation=1.0, band=0.9)
    loop = Loop(1, config, spread_bps=0.0, maintenance_margin=[0.5], **facts)
    loop([bar(50_000.0)], approval([0.6], stop=0.9))
    step = loop([bar(50_000.0)], approval([0.6], stop=0.9, active_stop=10_000.0))
    assert step.ledger.position[0] == pytest.approx(3_000.0)
    step = loop([bar(50_000.0)], approval([0.6], stop=0.9, active_stop=10_000.0), funding=[0.01])
    assert step.ledger.funding == pytest.approx(0.06)
    step = loop([(50_000.0, 50_000.0, 26_000.0, 26_000.0, 1e9)], approval([0.6], active_stop=10_000.0))
    (closed,) = [e for e in entries_of(step.fills) if e["kind"] == FILL]
    assert (closed["id"], closed["price"]) == (0, 26_000.0), "9.94 - 5.54 coins against half of 11.54"
    assert step.ledger.equity == pytest.approx(9.94 + 300_000.0 * (1 / 50_000.0 - 1 / 26_000.0))


def test_the_parts_of_the_costs_are_in_the_account_s_currency() -> None:
    """A spread of 20 bps of 50,000 dollars of notional in futures of 50: half of it is 50."""
    loop = Loop(1, FREE, spread_bps=20.0, multiplier=[50.0], taker_fee_bps=[0.0], maker_fee_bps=[0.0])
    loop([bar(100.0)], approval([0.5], urgency=1.0))
    step = loop([bar(100.0)], approval([0.5], active_stop=95.0))
    assert step.orders.spread_cost[0] == pytest.approx(50.0)
    assert step.orders.filled_value[0] == pytest.approx(10.0 * 50.0 * 100.1)


PRICE = st.floats(20.0, 400.0)
STORY = st.tuples(
    PRICE, st.sampled_from([0.0, 0.3, -0.3, 0.9, -0.9]), st.sampled_from([0.0, 0.02]), st.sampled_from([0.0, 1e-3, NAN])
)
SIZES = st.sampled_from([0.01, 1.0, 50.0])


def check(story: list[tuple[float, float, float, float]], sizes: tuple[float, float], inverse: tuple[int, int]) -> None:
    """Two symbols through jumps and funding: the account is that of a double-entry book, and the venue's own agrees with it."""
    contracts = list(zip(sizes, inverse, strict=True))
    loop = Loop(
        2, CONFIG, multiplier=list(sizes), inverse=list(inverse), min_notional=[5.0, 0.0], maintenance_margin=[0.05, 0.05]
    )
    books = DoubleEntry(2, CONFIG.start_cash, contracts)
    agreed = carry(l98_reconciliation__sim, 2)
    close, marks = np.array([100.0, 100.0]), np.full(2, NAN)
    for price, weight, spread, rate in story:
        before, close = close, np.array([price, 0.5 * (close[1] + price)])
        bars = [
            (before[s], max(before[s], close[s]) * (1.0 + spread), min(before[s], close[s]) * (1.0 - spread), close[s], 1e9)
            for s in range(2)
        ]
        books.pay_funding([rate, rate], np.where(np.isnan(marks), 1.0, marks))
        given_ = approval([weight, -weight], stop=0.1, active_stop=[close[0] * 0.9, close[1] * 0.9])
        step = loop(bars, given_, funding=[rate, rate])
        books.take(step.fills)
        marks = step.ledger.mark
        books.agrees(step.ledger)
        row, at = loop.seen
        assert l98_reconciliation__sim(step.fills, step.orders, step.ledger, at, loop.instruments, CONFIG, agreed).matched == 1
        gross = sum(abs(books.position(s)) * abs(books.booked(s, marks[s])) for s in range(2))
        assert step.ledger.gross == pytest.approx(float(gross), abs=1e-9 * float(books.turnover + 1))
        assert row.bars.close[0] == close[0]


@settings(max_examples=30, deadline=None)
@given(st.lists(STORY, min_size=2, max_size=20), st.tuples(SIZES, SIZES), st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1)]))
def test_whatever_comes_the_account_is_that_of_a_double_entry_book(story: Any, sizes: Any, inverse: Any) -> None:
    check(story, sizes, inverse)


@pytest.mark.long
@settings(max_examples=1_000, deadline=None)
@given(st.lists(STORY, min_size=2, max_size=60), st.tuples(SIZES, SIZES), st.sampled_from([(0, 0), (1, 0), (0, 1), (1, 1)]))
def test_whatever_comes_the_account_is_that_of_a_double_entry_book_at_length(story: Any, sizes: Any, inverse: Any) -> None:
    check(story, sizes, inverse)
