"""What the venue does with the account by itself: delivery, dust, liquidation, base fees, borrow cost; and stops in a crash."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.account import carry_cost, is_dust
from dataflows.execution.l98_reconciliation import l98_reconciliation__sim
from dataflows.execution.order_placement import BridgeCarry, back_off
from dataflows.execution.types import FILL, REJECT, REJECTIONS
from dataflows.runtime.compile import python_of
from tests.dataflows.execution.double_entry import DoubleEntry
from tests.dataflows.execution.loop import Loop, approval, leaving
from tests.dataflows.execution.support import CONFIG, MINUTE, NAN, carry, entries_of
from tests.dataflows.execution.test_l5_execution_bridge import table

BAR = (100.0, 101.0, 99.0, 100.0, 1e6)
FREE = CONFIG._replace(slippage_impact=0.0, slippage_default_bps=0.0, slice_bars=1, headroom=0.0, least_entry=0.0, band=0.0)
NO_FEES = {"taker_fee_bps": [0.0], "maker_fee_bps": [0.0]}


def held(weight: float = 0.1, config: Any = FREE, **facts: Any) -> Loop:
    """A loop that holds 100 units (of 100, at an equity of 100,000) of its only symbol, its stop at 95 (105) at rest."""
    loop = Loop(1, config, spread_bps=0.0, **{**NO_FEES, **facts})
    loop([BAR], approval([weight]))
    step = loop([BAR], approval([weight], active_stop=95.0 if weight > 0.0 else 105.0))
    assert step.ledger.position[0] == pytest.approx(1000.0 * weight, rel=2e-3), "to a fee in base units"
    return loop


def by_venue(step: Any) -> list[tuple[str, float, float]]:
    """(reason, quantity, price) of what the venue traded by itself."""
    return [
        (REJECTIONS[e["reason"]], e["quantity"], e["price"])
        for e in entries_of(step.fills)
        if e["kind"] == FILL and e["id"] == 0
    ]


@pytest.mark.parametrize(("given_", "price"), [(0.0, 100.0), (80.0, 80.0)])
def test_a_delisted_position_is_settled_once_at_the_delivery_price_or_the_last_close(given_: float, price: float) -> None:
    loop = held(delivery_price=[given_])
    gone = (NAN, NAN, NAN, NAN, NAN)
    step = loop([gone], approval([0.1], active_stop=95.0), listed=[0], valid=[0])
    assert by_venue(step) == [("DELISTED", -100.0, price)]
    assert step.ledger.position[0] == 0.0
    assert step.ledger.equity == pytest.approx(100_000.0 + 100.0 * (price - 100.0))
    assert (step.orders.unknown[0], step.orders.open_orders[0], step.orders.rejects[0]) == (0.0, 0.0, 0.0)
    for _ in range(5):
        step = loop([gone], approval([0.1], active_stop=95.0), listed=[0], valid=[0])
        assert (step.fills.n, step.intents.n) == (0, 0), "no order for what is not listed"


def test_an_order_on_its_way_to_a_delisted_symbol_is_refused_and_is_no_sign_of_trouble() -> None:
    loop = Loop(1, FREE)
    loop([BAR], approval([0.1]))
    step = loop([(NAN,) * 5], approval([0.0]), listed=[0], valid=[0])
    assert [(e["kind"], REJECTIONS[e["reason"]]) for e in entries_of(step.fills)] == [(REJECT, "NOT_LISTED")]
    assert step.orders.rejects[0] == 0.0


def test_dust_is_flat_and_is_swept() -> None:
    """A fee in base units leaves 0.999 of what was bought; below a lot of 1 of it nobody takes an order."""
    kept = held(base_fee=[1], taker_fee_bps=[10.0], maker_fee_bps=[10.0], lot_size=[1.0], config=FREE._replace(sweep_dust=0))
    step = kept([BAR], leaving(active_stop=95.0))
    step = kept([BAR], leaving(active_stop=95.0))
    assert step.ledger.position[0] == pytest.approx(0.9)
    assert step.ledger.held[0] == 0.0
    swept = held(base_fee=[1], taker_fee_bps=[10.0], maker_fee_bps=[10.0], lot_size=[1.0])
    swept([BAR], leaving(active_stop=95.0))
    step = swept([BAR], leaving(active_stop=95.0))
    assert by_venue(step) == [("DUST_SWEPT", pytest.approx(-0.9), 100.0)]
    assert (step.ledger.position[0], step.orders.unknown[0]) == (0.0, 0.0)


def test_dust_is_below_a_lot_or_below_the_least_notional_where_reductions_are_not_exempt() -> None:
    assert is_dust(0.9, 100.0, 1.0, 0.0, 1)
    assert not is_dust(1.0, 100.0, 1.0, 0.0, 1)
    assert not is_dust(0.3 - 0.2, 100.0, 0.1, 0.0, 1), "a lot, to rounding"
    assert is_dust(-5.0, 1.0, 1.0, 10.0, 0)
    assert not is_dust(-5.0, 1.0, 1.0, 10.0, 1)
    assert not is_dust(0.0, 1.0, 1.0, 10.0, 0)
    assert not is_dust(5.0, 1.0, 0.0, 0.0, 0), "nothing is known of steps"


def test_a_fee_in_base_units_leaves_less_than_was_bought_and_no_less_cash() -> None:
    loop = Loop(1, FREE, spread_bps=0.0, base_fee=[1], taker_fee_bps=[10.0], maker_fee_bps=[10.0])
    loop([BAR], approval([0.1]))
    step = loop([BAR], approval([0.1], active_stop=95.0))
    assert step.ledger.position[0] == pytest.approx(99.9)
    assert step.ledger.cash == pytest.approx(90_000.0)
    assert step.ledger.fees == pytest.approx(10.0)
    assert step.ledger.equity == pytest.approx(99_990.0)
    assert step.ledger.average_price[0] == pytest.approx(100.0)


def test_a_short_position_pays_for_what_it_borrows_by_the_time_that_passes() -> None:
    loop = held(-0.1, borrow_rate=[0.365])
    before = loop([BAR], approval([-0.1], active_stop=105.0)).ledger
    after = loop([BAR], approval([-0.1], active_stop=105.0)).ledger
    a_minute = 10_000.0 * 0.365 / (365.0 * 24 * 60)
    assert after.funding - before.funding == pytest.approx(a_minute)
    assert before.equity - after.equity == pytest.approx(a_minute)
    year = 365 * 1440 * MINUTE
    assert carry_cost(-10.0, 5.0, 0.01, 0.1, (MINUTE * 1440) / year) == pytest.approx(-0.5 + 50.0 * 0.1 / 365.0)
    assert carry_cost(10.0, 5.0, NAN, 0.1, 1.0) == 0.0, "a long borrows nothing, and unknown funding is none"


def test_the_venue_liquidates_at_the_worst_price_when_the_maintenance_margin_is_gone() -> None:
    """A short of 10 times the equity: 10,000 units at 100 on 100,000; the maintenance margin is 5 percent of the notional."""
    big = FREE._replace(participation=1.0, band=0.9)  # a band that keeps us from cutting the position ourselves
    loop = Loop(1, big, spread_bps=0.0, maintenance_margin=[0.05], **NO_FEES)
    loop([BAR], approval([-10.0], stop=0.5))
    step = loop([BAR], approval([-10.0], active_stop=150.0))
    assert step.ledger.position[0] == pytest.approx(-10_000.0)
    near = loop([(100.0, 104.0, 100.0, 104.0, 1e6)], approval([-10.0], active_stop=150.0))
    assert by_venue(near) == [], "equity 60,000 against 52,000"
    step = loop([(104.0, 105.0, 104.0, 104.0, 1e6)], approval([-10.0], active_stop=150.0))
    assert by_venue(step) == [("LIQUIDATED", pytest.approx(10_000.0), 105.0)], "50,000 against 52,500 at the high"
    assert step.ledger.position[0] == 0.0
    assert step.ledger.equity == pytest.approx(50_000.0)
    assert (step.orders.unknown[0], step.orders.open_orders[0]) == (0.0, 0.0)


def test_a_liquidation_pays_the_taker_s_fee_and_its_own() -> None:
    """10,000 units bought back at 105 for 5 + 45 bps: 5,250, out of what 50,000 are left."""
    big = FREE._replace(participation=1.0, band=0.9)
    facts = {"maintenance_margin": [0.05], "liquidation_fee_bps": [45.0], "taker_fee_bps": [0.0], "maker_fee_bps": [0.0]}
    loop = Loop(1, big, spread_bps=0.0, **facts)
    loop([BAR], approval([-10.0], stop=0.5))
    loop([BAR], approval([-10.0], active_stop=150.0))
    loop.instruments = loop.instruments._replace(taker_fee_bps=np.array([5.0]))
    step = loop([(104.0, 105.0, 104.0, 104.0, 1e6)], approval([-10.0], active_stop=150.0))
    assert by_venue(step) == [("LIQUIDATED", pytest.approx(10_000.0), 105.0)]
    assert step.fills.fee[-1] == pytest.approx(10_000.0 * 105.0 * 50e-4)
    assert step.ledger.equity == pytest.approx(50_000.0 - 5_250.0)


def test_a_stop_in_a_crash_is_charged_its_share_of_the_way_to_the_low() -> None:
    loop = held(config=FREE._replace(stop_gap_share=0.25))
    step = loop([(100.0, 100.0, 85.0, 86.0, 1e6)], approval([0.1], active_stop=95.0))
    (price,) = [e["price"] for e in entries_of(step.fills) if e["kind"] == FILL]
    assert price == pytest.approx(95.0 - 0.25 * 10.0)
    none = held(config=FREE._replace(stop_gap_share=0.0))
    step = none([(100.0, 100.0, 85.0, 86.0, 1e6)], approval([0.1], active_stop=95.0))
    assert [e["price"] for e in entries_of(step.fills) if e["kind"] == FILL] == [pytest.approx(95.0)]


def test_a_stop_is_moved_only_by_more_than_its_least_step() -> None:
    loop = held(config=FREE._replace(stop_step_bps=10.0))
    assert loop([BAR], approval([0.1], active_stop=95.09)).intents.n == 0
    (change,) = entries_of(loop([BAR], approval([0.1], active_stop=95.1)).intents)
    assert change["stop_price"] == 95.1


def test_exits_that_the_venue_keeps_refusing_back_off() -> None:
    """Every try is refused: the closes between two tries double, up to the longest wait; a fill ends it."""
    state = BridgeCarry(*(np.zeros(1, np.int64) for _ in range(3)))
    tries, waiting = [], 0
    refused = table(refused_exits=np.ones(1))
    for close in range(60):
        back_off(state, refused if waiting else table(), 1, 8)
        waiting = 0
        if state.wait[0] == 0:
            tries.append(close)
            waiting = 1
    assert np.diff(tries).tolist()[:6] == [1, 2, 4, 8, 9, 9]
    back_off(state, table(filled_notional=np.ones(1)), 1, 8)
    assert state.wait[0] == 0


PRICES = st.floats(20.0, 400.0)


def check_account(story: list[tuple[float, float, float, int, float]], fee_in_base: int, lot: float) -> None:
    """Two symbols through jumps, delisting, funding, liquidation and dust: the account is that of a plain double-entry book, the
    venue's own and ours agree, and nothing is held of what is not listed."""
    facts: dict[str, Any] = {
        "base_fee": [fee_in_base, 0],
        "lot_size": [lot, 0.0],
        "maintenance_margin": [0.05, 0.05],
        "borrow_rate": [0.0, 0.0],
        "min_notional": [5.0, 5.0],
    }
    loop, books = Loop(2, CONFIG, **facts), DoubleEntry(2, CONFIG.start_cash)
    check = carry(l98_reconciliation__sim, 2)
    close, ended = np.array([100.0, 100.0]), 0
    marks = np.full(2, NAN)
    for price, weight, spread, delisted, rate in story:
        ended |= delisted
        before, close = close, np.array([price, 0.5 * (close[1] + price)])
        bars = [
            (before[s], max(before[s], close[s]) * (1.0 + spread), min(before[s], close[s]) * (1.0 - spread), close[s], 1e4)
            for s in range(2)
        ]
        bars[0] = (NAN,) * 5 if ended else bars[0]
        books.pay_funding([rate, rate], np.where(np.isnan(marks), 0.0, marks))
        step = loop(
            bars,
            approval([weight, -weight], stop=0.1, active_stop=[close[0] * 0.9, close[1] * 0.9]),
            funding=[rate, rate],
            listed=[1 - ended, 1],
            valid=[1 - ended, 1],
        )
        for e in entries_of(step.fills):
            assert e["kind"] != FILL or e["fee"] >= 0.0
        fees = step.fills.fee + step.fills.fee_base * np.where(np.isnan(step.fills.price), 0.0, step.fills.price)
        bought = step.fills.quantity - step.fills.fee_base
        paid = step.fills._replace(quantity=bought, fee=fees)
        books.take(paid)
        marks = step.ledger.mark
        books.agrees(step.ledger)
        row, at = loop.seen
        agreed = l98_reconciliation__sim(step.fills, step.orders, step.ledger, at, loop.instruments, CONFIG, check)
        assert agreed.matched == 1
        assert (np.abs(agreed.position_gap) < 1e-6).all()
        assert (step.orders.unknown == 0.0).all()
        assert not ended or step.ledger.position[0] == 0.0
        assert row.quality.listed[0] == 1 - ended


STORY = st.tuples(
    PRICES, st.sampled_from([0.0, 0.3, -0.3, 4.0, -4.0]), st.sampled_from([0.0, 0.01, 0.2]),
    st.sampled_from([0, 0, 0, 0, 0, 0, 0, 1]), st.sampled_from([0.0, 1e-3, -1e-2, NAN]),
)  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(STORY, min_size=2, max_size=25), st.sampled_from([0, 1]), st.sampled_from([0.0, 0.5, 30.0]))
def test_whatever_comes_the_account_is_that_of_a_double_entry_book(story: Any, fee_in_base: int, lot: float) -> None:
    check_account(story, fee_in_base, lot)


@pytest.mark.long
@settings(max_examples=2_000, deadline=None)
@given(st.lists(STORY, min_size=2, max_size=60), st.sampled_from([0, 1]), st.sampled_from([0.0, 0.5, 30.0]))
def test_whatever_comes_the_account_is_that_of_a_double_entry_book_at_length(story: Any, fee_in_base: int, lot: float) -> None:
    check_account(story, fee_in_base, lot)


def test_the_rules_of_dust_and_carry_are_the_same_compiled() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        position, price, lot, least = rng.normal(), abs(rng.normal()), abs(rng.normal()), abs(rng.normal())
        assert is_dust(position, price, lot, least, 0) == python_of(is_dust)(position, price, lot, least, 0)
        assert carry_cost(position, price, lot, least, 0.1) == python_of(carry_cost)(position, price, lot, least, 0.1)
