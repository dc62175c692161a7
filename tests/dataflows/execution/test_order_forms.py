"""IOC and FOK orders, changes of quantity, and positions that are there before the first bar."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l90_fills import l90_fills__sim
from dataflows.execution.l96_order_lifecycle import l96_order_lifecycle
from dataflows.execution.l98_reconciliation import l98_reconciliation__sim
from dataflows.execution.order_placement import lessened
from dataflows.execution.types import (
    ACCEPT,
    CANCEL_REJECT,
    EXPIRE,
    FILL,
    FOK,
    IOC,
    LIMIT,
    MARKET,
    MODIFY,
    PENDING_MODIFY,
    PLACE,
    REJECTIONS,
    STATUSES,
)
from dataflows.kinematics.types import Returns
from dataflows.microstructure.types import SpreadDepth
from tests.dataflows.execution.double_entry import DoubleEntry
from tests.dataflows.execution.loop import Loop, approval, leaving
from tests.dataflows.execution.support import (
    CONFIG,
    NAN,
    carry,
    clock,
    entries_of,
    executions,
    instruments,
    intents,
    market,
    trimmed,
)
from tests.support import filled

FREE = CONFIG._replace(
    slippage_impact=0.0, slippage_default_bps=0.0, slice_bars=1, headroom=0.0, least_entry=0.0, band=0.0, participation=0.1
)
NO_FEES = {"taker_fee_bps": [0.0], "maker_fee_bps": [0.0]}
UID = 7 << 32


def bar(price: float = 100.0, volume: float = 500.0) -> tuple[float, float, float, float, float]:
    return (price, price + 1.0, price - 1.0, price, volume)


def happened(step: Any) -> list[tuple[int, float, str]]:
    """(event, quantity, reason) of the venue's reports on entries, accepts apart."""
    return [
        (e["kind"], e["quantity"], REJECTIONS[e["reason"]])
        for e in entries_of(step.fills)
        if e["kind"] != ACCEPT and e["id"] & 3 == 0
    ]


@pytest.mark.parametrize(
    ("code", "volume", "first", "second"),
    [
        (0, 500.0, [(FILL, 50.0, "NONE")], [(FILL, 50.0, "NONE")]),
        (IOC, 500.0, [(FILL, 50.0, "NONE"), (EXPIRE, 0.0, "IMMEDIATE")], []),
        (IOC, 5_000.0, [(FILL, 200.0, "NONE")], []),
        (FOK, 500.0, [(EXPIRE, 0.0, "IMMEDIATE")], []),
        (FOK, 5_000.0, [(FILL, 200.0, "NONE")], []),
        (FOK, 0.0, [(EXPIRE, 0.0, "IMMEDIATE")], []),
    ],
)
def test_what_the_first_open_does_not_fill(code: int, volume: float, first: Any, second: Any) -> None:
    """200 are bought, and entries take a tenth of the volume: GTC works on, IOC leaves the rest, FOK takes all or nothing."""
    loop = Loop(1, FREE._replace(entry_time_in_force=code), spread_bps=0.0, **NO_FEES)
    (order,) = entries_of(loop([bar(volume=5_000.0)], approval([0.2])).intents)
    assert (order["type"], order["time_in_force"], order["quantity"]) == (MARKET, code, 200.0)
    done = approval([0.2], active_stop=90.0, halt=0, verdict=0)
    assert happened(loop([bar(volume=volume)], done)) == first
    assert happened(loop([bar(volume=volume)], done)) == second


def test_a_limit_order_that_waits_for_nothing_is_gone_after_its_open() -> None:
    """Marketable at the open it fills there; else it is canceled, though the bar trades through its price later."""
    for limit, there in ((101.0, [(FILL, 10.0)]), (99.5, [(EXPIRE, 0.0)])):
        venue = Venue()
        reports = venue(bar(), {"kind": PLACE, "type": LIMIT, "time_in_force": IOC, "quantity": 10.0, "limit_price": limit})
        assert [(e["kind"], e["quantity"]) for e in reports if e["kind"] != ACCEPT] == there


class Venue:
    """The simulated venue alone; an order's id is 4."""

    def __init__(self, **facts: Any) -> None:
        self.facts, self.carry, self.t = instruments(1, **facts), carry(l90_fills__sim, 1, FREE), 1
        self(bar())

    def __call__(self, ohlcv: Any, *orders: dict[str, Any]) -> list[dict[str, Any]]:
        told = [{"id": UID + 4, "decision_time": clock(self.t).ts, **o} for o in orders]
        self.t += 1
        spread = filled(SpreadDepth, (1,), NAN, mid=np.array([100.0]), spread_bps=np.array([0.0]))
        returns = filled(Returns, (1,), NAN, sigma=np.array([0.0]))
        row = market(self.t, [ohlcv])
        got = l90_fills__sim(row, returns, spread, self.facts, clock(self.t), intents(*told), FREE, self.carry)
        return entries_of(trimmed(got))


RESTS = {"kind": PLACE, "type": LIMIT, "quantity": 10.0, "limit_price": 90.0}


@pytest.mark.parametrize(
    ("change", "answer", "quantity"),
    [
        ({"quantity": 4.0}, (ACCEPT, "NONE"), 4.0),
        ({"quantity": 4.0, "limit_price": 91.0}, (ACCEPT, "NONE"), 4.0),
        ({"limit_price": 91.0}, (ACCEPT, "NONE"), 10.0),
        ({"quantity": 10.5}, (CANCEL_REJECT, "BAD_QUANTITY"), 10.0),
        ({"quantity": -4.0}, (CANCEL_REJECT, "BAD_QUANTITY"), 10.0),
        ({"quantity": 4.3}, (CANCEL_REJECT, "BAD_QUANTITY"), 10.0),
        ({"quantity": 4.0, "limit_price": -1.0}, (CANCEL_REJECT, "BAD_PRICE"), 10.0),
        ({}, (CANCEL_REJECT, "BAD_PRICE"), 10.0),
    ],
)
def test_a_change_of_quantity_only_lessens(change: dict[str, float], answer: tuple[int, str], quantity: float) -> None:
    venue = Venue(lot_size=[0.5])
    venue(bar(), RESTS)
    (report,) = venue(bar(), {"kind": MODIFY, **change})
    assert (report["kind"], REJECTIONS[report["reason"]]) == answer
    sold = sum(e["quantity"] for e in venue((89.0, 89.0, 89.0, 89.0, 1e6)) if e["kind"] == FILL)
    assert sold == quantity


def test_a_change_to_no_more_than_has_filled_is_refused() -> None:
    venue = Venue()
    venue((100.0, 100.0, 89.0, 95.0, 100.0), RESTS)  # 5 percent of 100 fill
    (report,) = venue(bar(), {"kind": MODIFY, "quantity": 5.0})
    assert (report["kind"], REJECTIONS[report["reason"]]) == (CANCEL_REJECT, "BAD_QUANTITY")
    (report,) = venue(bar(), {"kind": MODIFY, "quantity": 6.0})
    assert report["kind"] == ACCEPT


class Table:
    """L96 alone; an order's id is 4."""

    def __init__(self) -> None:
        self.carry, self.facts = carry(l96_order_lifecycle, 1, CONFIG), instruments(1)

    def __call__(self, order: dict[str, Any] | None, *events: dict[str, Any]) -> tuple[str, float, float]:
        told = intents(*([{"id": UID + 4, **order}] if order else []))
        got = l96_order_lifecycle(executions(*({"id": UID + 4, **e} for e in events)), told, self.facts, CONFIG, self.carry)
        self.overfilled = float(got.overfilled[0])
        return STATUSES[int(got.status[0, 0])], float(got.quantity[0, 0]), float(got.limit_price[0, 0])


def test_a_change_is_pending_until_the_venue_answers_and_is_taken_back_where_it_refuses() -> None:
    table = Table()
    assert table(RESTS, {"kind": ACCEPT}) == ("ACCEPTED", 10.0, 90.0)
    assert table({"kind": MODIFY, "quantity": 4.0, "limit_price": NAN}) == ("PENDING_MODIFY", 4.0, 90.0)
    assert table(None, {"kind": FILL, "fill_id": UID + 1, "quantity": 1.0, "price": 90.0}) == ("PENDING_MODIFY", 4.0, 90.0)
    assert table(None, {"kind": ACCEPT}) == ("ACCEPTED", 4.0, 90.0)
    assert table({"kind": MODIFY, "quantity": 2.0, "limit_price": 91.0}) == ("PENDING_MODIFY", 2.0, 91.0)
    assert table(None, {"kind": CANCEL_REJECT}) == ("ACCEPTED", 4.0, 90.0)
    assert table(None, {"kind": CANCEL_REJECT}) == ("ACCEPTED", 4.0, 90.0), "nothing is left to take back"
    assert STATUSES[PENDING_MODIFY] == "PENDING_MODIFY"


def test_what_fills_before_a_change_arrives_is_no_overfill() -> None:
    table = Table()
    table(RESTS, {"kind": ACCEPT})
    fill = {"kind": FILL, "fill_id": UID + 1, "quantity": 7.0, "price": 90.0}
    assert table({"kind": MODIFY, "quantity": 4.0, "limit_price": NAN}, fill) == ("PENDING_MODIFY", 4.0, 90.0)
    assert table.overfilled == 0.0
    assert table(None, {"kind": CANCEL_REJECT}) == ("ACCEPTED", 10.0, 90.0)
    table({"kind": MODIFY, "quantity": 8.0, "limit_price": NAN}, fill | {"fill_id": UID + 2, "quantity": 1.0})
    assert table(None, {"kind": ACCEPT}) == ("FILLED", 8.0, 90.0), "nothing is left of it"
    assert table(None, fill | {"fill_id": UID + 3, "quantity": 1.0})[0] == "FILLED"
    assert table.overfilled == 1.0


def test_the_acknowledgement_of_an_order_does_not_confirm_its_change() -> None:
    """Where messages are late an order is changed before it is accepted, and may fill whole before the change arrives."""
    table = Table()
    assert table(RESTS) == ("SUBMITTED", 10.0, 90.0)
    assert table({"kind": MODIFY, "quantity": 4.0, "limit_price": NAN}) == ("SUBMITTED", 4.0, 90.0)
    fill = {"kind": FILL, "fill_id": UID + 1, "quantity": 9.0, "price": 90.0}
    assert table(None, {"kind": ACCEPT}, fill) == ("PENDING_MODIFY", 4.0, 90.0)
    assert table.overfilled == 0.0
    assert table(None, {"kind": CANCEL_REJECT}) == ("ACCEPTED", 10.0, 90.0)


def test_an_entry_that_has_become_too_large_is_lessened_and_not_canceled() -> None:
    """50 of 200 are filled when only 120 are approved: the order is changed to 120 in all, and fills to that."""
    loop = Loop(1, FREE, spread_bps=0.0, **NO_FEES)
    loop([bar(volume=5_000.0)], approval([0.2]))
    (change,) = [e for e in entries_of(loop([bar()], approval([0.12], active_stop=90.0)).intents) if e["kind"] != PLACE]
    assert (change["kind"], change["quantity"]) == (MODIFY, pytest.approx(120.0))
    held = [loop([bar()], approval([0.12], active_stop=90.0)).ledger.position[0] for _ in range(4)]
    assert held == pytest.approx([100.0, 120.0, 120.0, 120.0])


@given(
    st.floats(0.1, 1e4),
    st.floats(0.0, 1e3),
    st.floats(0.0, 2e4),
    st.sampled_from([0.0, 0.1, 5.0]),
    st.sampled_from([1.0, -1.0]),
)
def test_what_is_left_of_a_lessened_entry_is_whole_lots_within_the_approval(
    left: float, done: float, excess: float, lot: float, side: float
) -> None:
    whole = lessened(side * left, side * done, excess, lot, 2.0)
    if whole == 0.0:
        assert left - excess < 2.0 + max(lot, 1e-9)
        return
    rest = side * whole - done
    assert 2.0 - 1e-9 <= rest <= left - excess + 1e-6 * max(1.0, lot)
    if lot > 0.0:
        assert rest / lot == pytest.approx(round(rest / lot), abs=1e-6)


# -- fee tiers ----------------------------------------------------------------------------------------------------------------

DAY = 1440
TIERS = FREE._replace(fee_tier_volumes=(0.0, 1_500.0, 5_000.0), fee_tier_taker=(1.0, 0.5, 0.2), fee_tier_maker=(1.0, 0.0, -1.0))


def fees_by_day(volumes: list[float], config: Any = TIERS) -> list[float]:
    """bps that are paid when so much notional is traded a day at 100, in one order in the middle of each day."""
    venue, paid = carry(l90_fills__sim, 1, config), []
    spread = filled(SpreadDepth, (1,), NAN, mid=np.array([100.0]), spread_bps=np.array([0.0]))
    returns = filled(Returns, (1,), NAN, sigma=np.array([0.0]))
    facts, number = instruments(1, taker_fee_bps=[10.0], maker_fee_bps=[4.0]), 0
    for day, volume in enumerate(volumes):
        noon = day * DAY + DAY // 2
        number += 4
        order = {"kind": PLACE, "type": MARKET, "id": UID + number, "quantity": volume / 100.0, "decision_time": clock(noon).ts}
        for t, told in ((noon, intents()), (noon + 1, intents(*([order] if volume else [])))):
            row = market(t, [(100.0, 100.0, 100.0, 100.0, 1e9)])
            got = l90_fills__sim(row, returns, spread, facts, clock(t), told, config, venue)
            paid += [e["fee"] / (e["quantity"] * e["price"]) * 1e4 for e in entries_of(trimmed(got)) if e["kind"] == FILL]
    return paid


def test_fees_are_those_of_the_tier_that_the_thirty_days_before_reach() -> None:
    """1,000 a day: 10 bps until 1,500 have been traded before, then 5; from 5,000 on 2."""
    assert fees_by_day([1_000.0] * 8) == pytest.approx([10.0, 10.0, 5.0, 5.0, 5.0, 2.0, 2.0, 2.0])
    assert fees_by_day([9_000.0, 1_000.0]) == pytest.approx([10.0, 2.0]), "today's own volume does not count"


def test_what_was_traded_more_than_thirty_days_ago_counts_no_more() -> None:
    quiet = [0.0] * 29
    assert fees_by_day([9_000.0, *quiet, 100.0, 100.0]) == pytest.approx([10.0, 2.0, 10.0]), "days 0, 30 and 31"


@given(st.lists(st.sampled_from([0.0, 400.0, 2_000.0]), min_size=1, max_size=80))
@settings(max_examples=25, deadline=None)
def test_the_tier_is_that_of_a_plain_sum_over_thirty_days(volumes: list[float]) -> None:
    expected = []
    for day, volume in enumerate(volumes):
        before = sum(volumes[max(0, day - 30) : day])
        if volume:
            expected.append(2.0 if before >= 5_000.0 else 5.0 if before >= 1_500.0 else 10.0)
    assert fees_by_day(volumes) == pytest.approx(expected)


@pytest.mark.parametrize(
    "over",
    [
        {"fee_tier_volumes": (1.0,)},
        {"fee_tier_volumes": (0.0, 5.0, 5.0), "fee_tier_taker": (1.0,) * 3, "fee_tier_maker": (1.0,) * 3},
        {"fee_tier_taker": (1.0, 0.5)},
        {"fee_tier_maker": ()},
    ],
)
def test_tiers_that_do_not_fit_are_refused(over: dict[str, Any]) -> None:
    assert any("fee_tier" in problem for problem in CONFIG._replace(**over).problems())
    assert list(TIERS.problems()) == []


# -- starting positions -------------------------------------------------------------------------------------------------------


def test_what_is_held_from_the_start_is_in_every_book_and_can_be_sold() -> None:
    """100 units at 90 beside 100,000 of cash; the first close is 100."""
    loop = Loop(1, FREE._replace(participation=1.0), spread_bps=0.0, start_position=[100.0], start_price=[90.0], **NO_FEES)
    check = carry(l98_reconciliation__sim, 1)
    held = approval([0.1], active_stop=95.0, verdict=0)
    for price, equity in ((100.0, 110_000.0), (101.0, 110_100.0)):
        step = loop([(price, price, price, price, 1e6)], held)
        assert step.ledger.position[0] == 100.0
        assert (step.ledger.cash, step.ledger.equity, step.ledger.peak) == (100_000.0, equity, equity)
        assert step.ledger.unrealised[0] == pytest.approx(100.0 * (price - 90.0))
        assert (
            l98_reconciliation__sim(step.fills, step.orders, step.ledger, loop.seen[1], loop.instruments, FREE, check).matched
            == 1
        )
    assert [e["type"] for e in entries_of(step.intents)] == [], "its stop is at rest since the first close"
    assert step.orders.stop_price[0] == 95.0
    loop([(101.0, 101.0, 101.0, 101.0, 1e6)], leaving(active_stop=95.0))
    step = loop([(101.0, 101.0, 101.0, 101.0, 1e6)], leaving())
    assert (step.ledger.position[0], step.ledger.cash) == (0.0, pytest.approx(110_100.0))
    assert step.ledger.realised == pytest.approx(1_100.0)
    assert (
        l98_reconciliation__sim(step.fills, step.orders, step.ledger, loop.seen[1], loop.instruments, FREE, check).matched == 1
    )


def test_a_short_position_from_the_start_is_no_drawdown_and_has_its_first_mark_as_price() -> None:
    loop = Loop(1, FREE, spread_bps=0.0, start_position=[-300.0], **NO_FEES)
    step = loop([bar()], approval([-0.3], active_stop=110.0, verdict=0))
    assert (step.ledger.equity, step.ledger.peak, step.ledger.drawdown) == (70_000.0, 70_000.0, 0.0)
    assert (step.ledger.average_price[0], step.ledger.unrealised[0]) == (100.0, 0.0)


STORY = st.tuples(st.floats(50.0, 200.0), st.sampled_from([0.0, 0.3, -0.3]), st.sampled_from([0.0, 1e-3, NAN]))


@settings(max_examples=30, deadline=None)
@given(
    st.lists(STORY, min_size=2, max_size=15),
    st.sampled_from([0.0, 40.0, -150.0]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([1e2, 1e6]),
)
def test_whatever_comes_the_account_is_that_of_a_double_entry_book(story: Any, start: float, code: int, volume: float) -> None:
    config = FREE._replace(entry_time_in_force=code)
    loop, books = Loop(1, config, start_position=[start], **NO_FEES), DoubleEntry(1, CONFIG.start_cash)
    if start:
        books.bring(0, start)
    check = carry(l98_reconciliation__sim, 1)
    close, mark = 100.0, NAN
    for price, weight, rate in story:
        before, close = close, price
        books.pay_funding([rate if mark == mark else NAN], [mark if mark == mark else 1.0])
        step = loop(
            [(before, max(before, close), min(before, close), close, volume)],
            approval([weight], stop=0.1, active_stop=[close * (0.9 if weight >= 0.0 else 1.1)]),
            funding=[rate],
        )
        books.take(step.fills)
        mark = float(step.ledger.mark[0])
        assert step.ledger.position[0] == pytest.approx(float(books.position(0)), abs=1e-9 * 1e4)
        assert step.ledger.equity == pytest.approx(float(books.equity([mark])), rel=1e-9)
        assert (
            l98_reconciliation__sim(step.fills, step.orders, step.ledger, loop.seen[1], loop.instruments, config, check).matched
            == 1
        )
