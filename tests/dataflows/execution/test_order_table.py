from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataflows.execution.order_table import (
    CONTRADICTION,
    FRESH,
    LIVE,
    NEXT,
    SEEN,
    TOO_OLD,
    TRANSITIONS,
    allocate,
    complete,
    find,
    first_sight,
    is_live,
    moved,
    same_side,
)
from dataflows.execution.types import (
    ACCEPT,
    CANCELED,
    CANCELED_EVENT,
    EVENTS,
    EXPIRED,
    FILL,
    FILLED,
    FUNDING,
    NONE,
    PENDING_CANCEL,
    REJECT,
    REJECTED_ORDER,
    STATUSES,
    SUBMITTED,
)
from dataflows.runtime.compile import python_of

PRODUCT = list(itertools.product(range(len(STATUSES)), range(len(EVENTS))))
CONTRADICTIONS = {
    *((NONE, e) for e in range(len(EVENTS))),
    *((s, FUNDING) for s in range(len(STATUSES))),  # of no order
    (FILLED, REJECT),
    (REJECTED_ORDER, FILL),
}


@pytest.mark.parametrize(("status", "event"), PRODUCT)
def test_every_pair_of_status_and_event_is_decided(status: int, event: int) -> None:
    if (status, event) in CONTRADICTIONS:
        assert (status, event) not in TRANSITIONS
        assert NEXT[status, event] == CONTRADICTION
        return
    then = TRANSITIONS[status, event]
    assert then == NEXT[status, event]
    assert then != NONE
    if status not in LIVE:
        assert then == status, "an order that has ended stays ended, as it was"
    if status in LIVE and event == CANCELED_EVENT:
        assert then == CANCELED
    if event == FILL and status in LIVE:
        assert then in LIVE, "whether a fill was the last one is a matter of quantity"
    if event == ACCEPT and status == PENDING_CANCEL:
        assert then == PENDING_CANCEL


def test_the_table_holds_no_pair_outside_the_product() -> None:
    assert set(TRANSITIONS) | CONTRADICTIONS == set(PRODUCT)


@given(st.lists(st.integers(0, len(EVENTS) - 1), max_size=30))
def test_any_sequence_of_events_ends_in_a_legal_state_and_an_end_is_final(events: list[int]) -> None:
    status = SUBMITTED
    ended = False
    for event in events:
        then = int(NEXT[status, event])
        status = status if then == CONTRADICTION else then
        assert 0 < status < len(STATUSES)
        if ended:
            assert status not in LIVE
        ended = status not in LIVE


def test_rows_of_live_orders_are_never_given_up_and_the_oldest_ended_one_goes_first() -> None:
    status = np.array([[SUBMITTED], [FILLED], [EXPIRED], [PENDING_CANCEL]], np.int64)
    stamp = np.array([[1], [4], [2], [3]], np.int64)
    assert allocate(status, stamp, 0) == 2
    status[2, 0] = SUBMITTED
    assert allocate(status, stamp, 0) == 1
    status[1, 0] = SUBMITTED
    assert allocate(status, stamp, 0) == -1
    status[3, 0] = NONE
    assert allocate(status, stamp, 0) == 3
    assert python_of(allocate)(status, stamp, 0) == 3


def test_find_knows_no_order_zero() -> None:
    ids = np.array([[0, 5], [3, 0]], np.int64)
    assert [find(ids, 0, 3), find(ids, 1, 5), find(ids, 0, 5), find(ids, 0, 0)] == [1, 0, -1, -1]


@given(st.lists(st.integers(1, 12), max_size=60))
def test_a_fill_is_fresh_once_among_the_last_window(sequence: list[int]) -> None:
    seen = np.zeros((16, 1), np.int64)
    known: set[int] = set()
    for x in sequence:
        assert first_sight(seen, 0, x) == (SEEN if x in known else FRESH)
        known.add(x)
    assert first_sight(seen, 0, 0) == TOO_OLD
    assert first_sight(seen, 0, 1000) == FRESH
    assert first_sight(seen, 0, 1000 - 16) == TOO_OLD
    assert first_sight(seen, 0, 999) == FRESH


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=200))
def test_fills_of_tenths_that_cancel_leave_exactly_nothing(tenths: list[int]) -> None:
    position, exact = 0.0, 0
    for k in tenths:
        position, exact = moved(position, k / 10.0), exact + k
        assert (position == 0.0) == (exact == 0)
        assert position == pytest.approx(exact / 10.0, abs=1e-9)
        assert python_of(moved)(position, 0.3) == moved(position, 0.3)


def test_scalars_agree_with_their_plain_form() -> None:
    for a, b in itertools.product([-1.0, -1e-300, 0.0, 1e-300, 1.0, float("nan")], repeat=2):
        assert same_side(a, b) == python_of(same_side)(a, b) == (a * 1e300 * b * 1e300 > 0)
        assert complete(a, b) == python_of(complete)(a, b)
    assert [is_live(s) for s in range(len(STATUSES))] == [s in LIVE for s in range(len(STATUSES))]
