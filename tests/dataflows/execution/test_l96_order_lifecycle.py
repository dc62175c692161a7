from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l96_order_lifecycle import STAMP, OrderTableCarry, l96_order_lifecycle
from dataflows.execution.order_table import LIVE
from dataflows.execution.types import (
    ACCEPT,
    ACCEPTED,
    CANCEL,
    CANCEL_REJECT,
    CANCELED,
    CANCELED_EVENT,
    EVENTS,
    EXPIRE,
    FILL,
    FILLED,
    FUNDING,
    LIMIT,
    MARKET,
    MODIFY,
    NONE,
    PENDING_CANCEL,
    PLACE,
    REJECT,
    REJECTED_ORDER,
    REJECTIONS,
    STATUSES,
    STOP_MARKET,
    SUBMITTED,
    TAKE_PROFIT,
    Orders,
)
from dataflows.runtime.compile import kernel
from tests.dataflows.execution.support import CONFIG, carry, executions, instruments, intents, plainly, same_bits

UID = 7 << 32
FACTS = instruments(1)
compiled = kernel(l96_order_lifecycle)


class Reducer:
    """One symbol's table, fed by hand."""

    def __init__(self, config: Any = CONFIG) -> None:
        self.config = config
        self.carry: OrderTableCarry = carry(l96_order_lifecycle, 1, config)
        self.fills = 0

    def __call__(self, orders: list[dict[str, Any]] | None = None, events: list[dict[str, Any]] | None = None) -> Orders:
        self.last: Orders = l96_order_lifecycle(
            executions(*(events or [])), intents(*(orders or [])), FACTS, self.config, self.carry
        )
        return self.last

    def fill(self, order: int, quantity: float, price: float = 100.0, **more: Any) -> dict[str, Any]:
        self.fills += 1
        return {"kind": FILL, "id": UID + order, "fill_id": UID + self.fills, "quantity": quantity, "price": price, **more}

    def status(self, order: int) -> int:
        found = np.flatnonzero(self.last.id[:, 0] == UID + order)
        return int(self.last.status[found[0], 0]) if len(found) else NONE

    def filled(self, order: int) -> float:
        return float(self.last.filled[np.flatnonzero(self.last.id[:, 0] == UID + order)[0], 0])


def entry(order: int, quantity: float = 2.0, **more: Any) -> dict[str, Any]:
    bracket = {"bracket_stop": 95.0, "bracket_target": 110.0, "bracket_trail": 0.05, "bracket_horizon": 60.0}
    return {"kind": PLACE, "id": UID + order, "quantity": quantity, "type": MARKET, "decision_price": 100.0, **bracket, **more}


def event(kind: int, order: int, reason: str = "NONE") -> dict[str, Any]:
    return {"kind": kind, "id": UID + order, "reason": REJECTIONS.index(reason)}


def test_an_entry_is_working_from_its_intent_until_it_is_filled() -> None:
    r = Reducer()
    got = r([entry(4)])
    assert (got.working[0], got.open_orders[0], r.status(4)) == (2.0, 1.0, SUBMITTED)
    got = r(events=[event(ACCEPT, 4), r.fill(4, 0.5)])
    assert (got.working[0], r.status(4), r.filled(4)) == (1.5, ACCEPTED, 0.5)
    got = r(events=[r.fill(4, 1.5)])
    assert (got.working[0], r.status(4)) == (0.0, FILLED)


def test_the_first_fill_of_an_entry_registers_its_stop_and_target_for_the_whole_position() -> None:
    r = Reducer()
    got = r([entry(4)], [r.fill(4, 0.5)])
    assert (got.stop_id[0], got.stop_price[0]) == (UID + 5, 95.0)
    assert (got.target_id[0], got.target_price[0]) == (UID + 6, 110.0)
    assert (got.bracket_stop[0], got.bracket_target[0], got.bracket_trail[0], got.bracket_horizon[0]) == (
        95.0,
        110.0,
        0.05,
        60.0,
    )
    assert got.opened_by[0] == UID + 4
    assert got.open_orders[0] == 3.0
    assert got.working_reduce[0] == 0.0, "a bracket is no reduce-only order at work: it waits"
    got = r(events=[r.fill(4, 1.5)])
    rows = {int(i): k for k, i in enumerate(got.id[:, 0])}
    assert got.quantity[rows[UID + 5], 0] == -2.0
    assert got.type[rows[UID + 5], 0] == STOP_MARKET
    assert got.type[rows[UID + 6], 0] == TAKE_PROFIT


def test_a_scale_in_leaves_the_bracket_as_it_was() -> None:
    r = Reducer()
    r([entry(4)], [r.fill(4, 2.0)])
    got = r([entry(8, bracket_stop=99.0)], [r.fill(8, 2.0)])
    assert (got.stop_price[0], got.bracket_stop[0], got.opened_by[0], got.open_orders[0]) == (95.0, 95.0, UID + 4, 2.0)


def test_a_closed_position_forgets_its_bracket_and_the_next_one_gets_its_own() -> None:
    r = Reducer()
    r([entry(4)], [r.fill(4, 2.0)])
    got = r(events=[r.fill(5, -2.0, 94.0), event(CANCELED_EVENT, 6, "POSITION_CLOSED")])
    assert (r.status(5), r.status(6), got.opened_by[0], got.open_orders[0]) == (FILLED, CANCELED, 0, 0.0)
    assert math.isnan(got.bracket_stop[0])
    assert got.stop_id[0] == 0
    got = r([entry(8, -1.0, bracket_stop=104.0)], [r.fill(8, -1.0)])
    assert (got.stop_id[0], got.stop_price[0], got.opened_by[0]) == (UID + 9, 104.0, UID + 8)


def test_a_stop_that_the_bar_could_not_take_whole_goes_on_working() -> None:
    r = Reducer()
    r([entry(4)], [r.fill(4, 2.0)])
    r(events=[r.fill(5, -0.5, 94.0)])
    assert (r.status(5), r.filled(5)) == (ACCEPTED, -0.5)
    r(events=[r.fill(5, -1.5, 94.0)])
    assert (r.status(5), r.filled(5)) == (FILLED, -2.0)
    assert r.last.overfilled[0] == 0.0


def test_a_rejected_stop_leaves_the_position_without_one_and_says_so() -> None:
    r = Reducer()
    got = r([entry(4)], [r.fill(4, 2.0), event(REJECT, 5, "NO_ROOM")])
    assert (got.stop_id[0], got.rejects[0]) == (0, 1.0)


def test_a_fill_reported_twice_counts_once() -> None:
    r = Reducer()
    r([entry(4)])
    fill = r.fill(4, 0.5)
    assert r(events=[fill, fill]).fresh.tolist() == [1, 0]
    assert r(events=[fill]).fresh.tolist() == [0]
    assert r.filled(4) == 0.5
    assert r.last.unknown[0] == 0.0


def test_fills_out_of_order_count_and_one_too_old_to_tell_is_unknown() -> None:
    r = Reducer(CONFIG._replace(fill_window=16))
    r([entry(4, 100.0)])
    fills = [r.fill(4, 1.0) for _ in range(40)]
    assert r(events=fills[30:][::-1]).fresh.tolist() == [1] * 10
    got = r(events=[fills[0]])
    assert (got.fresh.tolist(), got.unknown[0]) == ([0], 1.0)


def test_the_fill_that_outran_its_acknowledgement_and_the_one_in_flight_at_the_cancel_both_count() -> None:
    r = Reducer()
    r([entry(4)], [r.fill(4, 0.5), event(ACCEPT, 4)])
    assert r.status(4) == ACCEPTED
    r([{"kind": CANCEL, "id": UID + 4}], [event(CANCELED_EVENT, 4), r.fill(4, 0.5)])
    assert (r.status(4), r.filled(4), r.last.working[0]) == (CANCELED, 1.0, 0.0)


def test_an_overfill_is_recorded_in_full_and_flagged() -> None:
    r = Reducer()
    r([entry(4)], [r.fill(4, 1.5)])
    got = r(events=[r.fill(4, 1.5)])
    assert (r.filled(4), got.overfilled[0], r.status(4), got.working[0]) == (3.0, 1.0, FILLED, 0.0)
    got = r(events=[r.fill(4, 0.25)])
    assert (r.filled(4), got.overfilled[0]) == (3.25, 0.25)


@pytest.mark.parametrize("kind", [kind for kind in range(len(EVENTS)) if kind != FUNDING])
def test_an_event_of_an_unknown_order_is_counted_and_its_fill_is_money(kind: int) -> None:
    r = Reducer()
    got = r(events=[{**r.fill(400, 1.0), "kind": kind}])
    assert got.unknown[0] == 1.0
    assert got.fresh.tolist() == [1 if kind == FILL else 0]
    assert r.carry.position[0] == (1.0 if kind == FILL else 0.0)


def test_a_payment_of_funding_counts_once_by_its_number_and_moves_no_order() -> None:
    r = Reducer()
    r([entry(4)], [event(ACCEPT, 4)])
    paid = {"kind": FUNDING, "id": 0, "fill_id": UID + 1, "fee": -0.25}
    r.fills = 1
    got = r(events=[paid, paid, r.fill(4, 2.0), {**paid, "fill_id": UID + 3, "fee": math.inf}])
    assert got.fresh.tolist() == [1, 0, 1, 0]
    assert got.unknown[0] == 1.0, "a payment that is no number"
    assert (r.status(4), r.filled(4), r.carry.position[0], got.filled_notional[0]) == (FILLED, 2.0, 2.0, 200.0)
    assert got.fee_cost[0] == 0.0
    got = r(events=[{**paid, "id": UID + 5}])
    assert (got.fresh.tolist(), got.stop_id[0]) == ([0], UID + 5), "it is of no order, whatever it names"


def test_an_adopted_position_has_no_bracket() -> None:
    r = Reducer()
    got = r(events=[r.fill(400, 1.0)])
    assert got.opened_by[0] == UID + 400
    assert (got.stop_id[0], math.isnan(got.bracket_stop[0])) == (0, True)


@pytest.mark.parametrize(
    "wrong",
    [{"quantity": math.nan}, {"quantity": 0.0}, {"price": math.inf}, {"price": -1.0}, {"fee": math.nan}, {"fill_id": 0}],
)
def test_a_fill_that_is_no_number_moves_nothing_and_is_unknown(wrong: dict[str, float]) -> None:
    r = Reducer()
    got = r([entry(4)], [{**r.fill(4, 1.0), **wrong}])
    assert (got.fresh.tolist(), got.unknown[0], got.working[0]) == ([0], 1.0, 2.0)


def test_a_cancel_waits_for_the_venue_and_a_refused_one_leaves_the_order_working() -> None:
    r = Reducer()
    r([entry(4)], [event(ACCEPT, 4)])
    got = r([{"kind": CANCEL, "id": UID + 4}])
    assert (r.status(4), got.working[0]) == (PENDING_CANCEL, 2.0)
    r(events=[event(CANCEL_REJECT, 4)])
    assert r.status(4) == ACCEPTED
    r([{"kind": CANCEL, "id": UID + 4}], [event(CANCEL_REJECT, 4, "UNKNOWN_ORDER")])
    assert r.status(4) == CANCELED, "an order that the venue does not know must not hold its row for ever"


def test_a_moved_stop_shows_at_once_and_goes_back_when_the_venue_refuses() -> None:
    r = Reducer()
    r([entry(4)], [r.fill(4, 2.0), event(ACCEPT, 5), event(ACCEPT, 6)])
    move = {"kind": MODIFY, "id": UID + 5, "stop_price": 97.0}
    assert r([move]).stop_price[0] == 97.0
    assert r([{**move, "stop_price": 98.0}]).stop_price[0] == 98.0
    assert r(events=[event(CANCEL_REJECT, 5)]).stop_price[0] == 95.0
    assert r([move], [event(ACCEPT, 5)]).stop_price[0] == 97.0
    assert r(events=[event(CANCEL_REJECT, 5)]).stop_price[0] == 97.0


def test_a_post_only_order_that_would_have_crossed_is_no_refusal_for_the_kill_switch() -> None:
    r = Reducer()
    assert r([entry(4)], [event(REJECT, 4, "WOULD_CROSS")]).rejects[0] == 0.0
    assert r.status(4) == REJECTED_ORDER
    assert r([entry(8)], [event(REJECT, 8, "NO_ROOM"), event(REJECT, 8, "NO_ROOM")]).rejects[0] == 1.0


def test_rows_are_given_back_and_never_lost() -> None:
    r = Reducer(CONFIG._replace(slots=8))
    for k in range(1, 200):
        end = [[event(CANCELED_EVENT, 4 * k)], [event(EXPIRE, 4 * k)], [event(REJECT, 4 * k)], [r.fill(4 * k, 0.1)]][k % 4]
        got = r([entry(4 * k, 0.1, bracket_stop=math.nan, bracket_target=math.nan)], end)
        assert got.open_orders[0] == 0.0
        assert r.status(4 * k) not in (NONE, *LIVE)
        assert k < 8 or r.status(4 * (k - 7)) != NONE, "ended orders stay as long as there is room, for late events"


def test_an_intent_that_comes_twice_registers_once() -> None:
    r = Reducer()
    r([entry(4)], [r.fill(4, 0.5)])
    assert r([entry(4)]).working[0] == 1.5


def test_costs_are_measured_from_the_decision_to_the_reference_to_the_fill() -> None:
    r = Reducer()
    got = r([entry(4)], [r.fill(4, 2.0, 101.5, reference_price=101.0, fee=0.25)])
    assert got.filled_notional[0] == pytest.approx(203.0)
    assert got.delay_cost[0] == pytest.approx(2.0)
    assert (got.spread_cost[0], got.impact_cost[0]) == (0.0, pytest.approx(1.0)), "no touch is known: all of it is impact"
    assert (got.filled_quantity[0], got.filled_value[0]) == (2.0, pytest.approx(203.0))
    assert got.fee_cost[0] == 0.25
    got = r(events=[r.fill(5, -2.0, 93.0, reference_price=94.0, touch_price=93.75)])
    assert got.delay_cost[0] == pytest.approx(2.0), "a stop's decision price is its trigger: 95 to the open at 94"
    assert (got.spread_cost[0], got.impact_cost[0]) == (pytest.approx(0.5), pytest.approx(1.5))
    assert (got.filled_quantity[0], got.filled_value[0]) == (-2.0, pytest.approx(-186.0))


ORDERS = st.integers(1, 5).map(lambda k: 4 * k)
QUANTITIES = st.sampled_from([-2.0, -0.5, 0.1, 0.5, 2.0, math.nan, 1e-12])
HOSTILE_INTENTS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from([0, PLACE, PLACE, CANCEL, MODIFY]),
            "id": st.one_of(ORDERS, st.integers(0, 30)).map(lambda k: UID + k),
            "quantity": QUANTITIES,
            "type": st.sampled_from([MARKET, LIMIT, STOP_MARKET, TAKE_PROFIT]),
            "reduce_only": st.integers(0, 1),
            "bracket_stop": st.sampled_from([95.0, math.nan]),
            "stop_price": st.sampled_from([96.0, math.nan]),
        }
    ),
    max_size=4,
)
HOSTILE_EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from([*range(len(EVENTS)), FILL, FILL, FILL]),
            "id": st.one_of(ORDERS, st.integers(0, 30)).map(lambda k: UID + k),
            "fill_id": st.integers(0, 40).map(lambda k: UID + k),
            "quantity": QUANTITIES,
            "price": st.sampled_from([100.0, 90.0, math.nan]),
            "fee": st.sampled_from([0.0, 0.1]),
            "reason": st.integers(0, len(REJECTIONS) - 1),
        }
    ),
    max_size=6,
)
HOSTILE = st.lists(st.tuples(HOSTILE_INTENTS, HOSTILE_EVENTS), max_size=20)
SMALL = CONFIG._replace(slots=8, fill_window=16)


@settings(max_examples=150, deadline=None)
@given(HOSTILE)
def test_any_sequence_of_intents_and_events_leaves_a_legal_table(story: list[tuple[Any, Any]]) -> None:
    r = Reducer(SMALL)
    booked = 0.0
    held: dict[int, float] = {}
    for orders, events in story:
        got = r(orders, events)
        for e, counts in zip(events, got.fresh, strict=True):
            booked += e["quantity"] if counts and e["kind"] == FILL else 0.0
        assert r.carry.position[0] == pytest.approx(booked, abs=1e-9)
        assert ((got.status >= 0) & (got.status < len(STATUSES))).all()
        ids = got.id[got.status > 0]
        assert len(set(ids.tolist())) == len(ids)
        now = {int(i): abs(float(f)) for i, f in zip(got.id[:, 0], got.filled[:, 0], strict=True) if i}
        for order, filled in now.items():
            assert (
                filled >= held.get(order, 0.0)
                or r.carry.codes[STAMP, got.id[:, 0] == order, 0] == r.carry.registered[0]
                or filled == 0.0
            )
        held = now
        assert (got.unknown >= 0).all()
        assert (got.overfilled >= 0).all()
        assert np.isfinite(got.working).all()
        assert np.isfinite(got.working_reduce).all()
        assert (got.opened_by[0] != 0) == (r.carry.position[0] != 0.0)


@settings(max_examples=60, deadline=None)
@given(HOSTILE)
def test_compiled_equals_plain_to_the_bit(story: list[tuple[Any, Any]]) -> None:
    plain = plainly(l96_order_lifecycle)
    a, b = carry(l96_order_lifecycle, 1, SMALL), carry(l96_order_lifecycle, 1, SMALL)
    for orders, events in story:
        x = compiled(executions(*events), intents(*orders), FACTS, SMALL, a)
        y = plain(executions(*events), intents(*orders), FACTS, SMALL, b)
        assert same_bits(x, y)
        assert same_bits(a, b)


def test_replaying_the_same_reports_changes_no_position() -> None:
    r = Reducer()
    events = [r.fill(4, 2.0), r.fill(5, -1.0, 94.0), r.fill(5, -1.0, 94.0)]
    r([entry(4)], events)
    before = [x.copy() for x in r.carry]
    got = r(events=events)
    assert got.fresh.tolist() == [0, 0, 0]
    assert same_bits(tuple(before), tuple(r.carry))
