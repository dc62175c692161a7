"""What a venue asks of orders: the simulated one refuses what breaks it, and L89 and L5 never send such a thing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l89_venue_constraints import Entries, Margins, last_served, within_margin
from dataflows.execution.types import (
    ACCEPT,
    CANCEL,
    CANCEL_REJECT,
    DROPS,
    LIMIT,
    MARKET,
    MODIFY,
    PLACE,
    POST_ONLY,
    REJECT,
    STOP_MARKET,
)
from dataflows.execution.venue_filters import on_step
from dataflows.runtime.compile import python_of
from tests.dataflows.execution.loop import Loop, approval
from tests.dataflows.execution.support import CONFIG, NAN, entries_of, same_bits
from tests.dataflows.execution.test_l5_execution_bridge import bridge, short_form
from tests.dataflows.execution.test_l90_fills import BRACKET, FREE, QUIET, UID, Venue, fills_of, opened, others_of, place


@pytest.mark.parametrize(
    ("facts", "order", "why"),
    [
        ({"lot_size": [0.5]}, place(4, 1.2), "BAD_QUANTITY"),
        ({"tick_size": [0.5]}, place(4, 1.0, LIMIT, limit_price=99.7), "BAD_PRICE"),
        ({"min_notional": [200.0]}, place(4, 1.9), "MIN_NOTIONAL"),
        ({"min_notional": [200.0]}, place(4, 2.0, LIMIT, limit_price=99.0), "MIN_NOTIONAL"),
        ({"price_band_bps": [100.0]}, place(4, 1.0, LIMIT, limit_price=98.9), "PRICE_BAND"),
        ({"price_band_bps": [100.0]}, place(4, -1.0, POST_ONLY, limit_price=101.5), "PRICE_BAND"),
        ({"long_only": [1]}, place(4, -1.0), "NO_SHORT"),
    ],
)
def test_the_venue_refuses_what_breaks_its_rules(facts: dict[str, Any], order: dict[str, Any], why: str) -> None:
    v = Venue(**facts)
    v(QUIET)  # the close that a band and a notional are measured from
    assert others_of(v(QUIET, order)) == [(REJECT, 4, why)]


@pytest.mark.parametrize(
    ("facts", "order"),
    [
        ({"lot_size": [0.1]}, place(4, 0.3)),
        ({"tick_size": [0.01]}, place(4, 1.0, LIMIT, limit_price=99.93)),
        ({"min_notional": [200.0]}, place(4, 2.0)),
        ({"price_band_bps": [100.0]}, place(4, 1.0, LIMIT, limit_price=99.0)),
        ({"long_only": [1]}, place(4, 1.0)),
    ],
)
def test_and_takes_what_keeps_to_them(facts: dict[str, Any], order: dict[str, Any]) -> None:
    v = Venue(**facts)
    v(QUIET)
    assert others_of(v(QUIET, order))[0] == (ACCEPT, 4, "NONE")


def test_the_least_notional_spares_reduce_only_orders_where_the_venue_says_so_and_brackets_always() -> None:
    for exempt, then in ((1, ACCEPT), (0, REJECT)):
        v = opened(1.0, min_notional=[90.0], reduce_only_exempt=[exempt])
        assert others_of(v(QUIET, place(8, -0.5, reduce_only=1)))[0][0] == then
    assert fills_of(opened(1.0, min_notional=[99.0], reduce_only_exempt=[0])((97.0, 98.0, 94.0, 96.0, 1000.0))) == [
        (5, -1.0, 95.0)
    ], "the stop is for the whole position, however small it is worth"


def test_only_so_many_orders_may_be_open() -> None:
    v = Venue(most_orders=[2])
    sent = [place(4 * k, 1.0, LIMIT, limit_price=90.0) for k in (1, 2, 3)]
    assert [(k, i) for k, i, why in others_of(v(QUIET, *sent)) if why == "MOST_ORDERS"] == [(REJECT, 12)]
    v(QUIET, {"kind": CANCEL, "id": UID + 4})
    assert others_of(v(QUIET, place(16, 1.0, LIMIT, limit_price=90.0)))[0] == (ACCEPT, 16, "NONE")


def test_only_so_many_messages_a_bar_are_taken_those_of_the_operator_included() -> None:
    v = Venue(orders_per_bar=[2])
    v(QUIET)
    resting = [place(4 * k, 1.0, LIMIT, limit_price=90.0) for k in (1, 2, 3)]
    assert [(k, i) for k, i, why in others_of(v(QUIET, *resting)) if why == "RATE"] == [(REJECT, 12)]
    v(QUIET, {"kind": CANCEL, "id": UID + 4}, is_bar=0)
    got = others_of(v(QUIET, {"kind": CANCEL, "id": UID + 8}, {"kind": MODIFY, "id": UID + 8, "limit_price": 91.0}))
    assert (CANCEL_REJECT, 8, "RATE") in got, "three messages since the last close"
    assert others_of(v(QUIET, place(16, 1.0, LIMIT, limit_price=90.0)))[0] == (ACCEPT, 16, "NONE"), "a bar later it takes more"


def test_a_change_restates_the_price_of_a_limit_and_is_refused_where_it_is_none() -> None:
    v = Venue(tick_size=[0.5])
    v(QUIET, place(4, 1.0, LIMIT, limit_price=90.0))
    change = {"kind": MODIFY, "id": UID + 4, "limit_price": 97.5}
    assert others_of(v(QUIET, change)) == [(ACCEPT, 4, "NONE")]
    assert fills_of(v((98.0, 98.5, 97.0, 98.0, 1000.0))) == [(4, 1.0, 97.5)]
    for wrong in (NAN, 0.0, -1.0, 97.3):
        v = opened(10.0, tick_size=[0.5])
        got = others_of(v(QUIET, {"kind": MODIFY, "id": UID + 5, "stop_price": wrong}))
        assert got == [(CANCEL_REJECT, 5, "BAD_PRICE")]
        assert fills_of(v((97.0, 98.0, 94.0, 96.0, 1000.0))) == [(5, -10.0, 95.0)], "the old stop still rests"


def test_a_stop_that_was_reached_cannot_be_moved_away() -> None:
    v = opened(90.0)
    assert fills_of(v((97.0, 98.0, 94.0, 96.0, 50.0))) == [(5, -50.0, 95.0)]
    got = v((99.0, 99.0, 98.0, 99.0, 1000.0), {"kind": MODIFY, "id": UID + 5, "stop_price": 80.0})
    assert (CANCEL_REJECT, 5, "BAD_PRICE") in others_of(got)
    assert fills_of(got) == [(5, -40.0, 99.0)]


def test_the_touch_is_half_the_spread_from_the_reference_and_never_beyond_the_fill() -> None:
    v = Venue(FREE._replace(slippage_impact=1.0))
    v.spread, v.sigma = 20.0, 0.01
    v(QUIET)
    (fill,) = (e for e in v(QUIET, place(4, 10.0, **BRACKET)) if e["quantity"])
    assert fill["touch_price"] == pytest.approx(100.0 * 1.001)
    assert fill["reference_price"] < fill["touch_price"] < fill["price"]
    (fill,) = (e for e in v(QUIET, place(8, 10.0, LIMIT, limit_price=100.05)) if e["quantity"])
    assert (fill["touch_price"], fill["price"]) == (100.05, 100.05)
    v = Venue(FREE)
    v.spread = NAN
    v(QUIET)
    assert np.isnan(next(e["touch_price"] for e in v(QUIET, place(4, 10.0)) if e["quantity"]))


# -- what L89 and L5 make of the rules ----------------------------------------------------------------------------------------------

BAR = (100.0, 101.0, 99.0, 100.0, 1e5)
EAGER = CONFIG._replace(slice_bars=1, headroom=0.0, style_limit_ratio=1e9, style_post_ratio=1e9)


def test_a_spot_venue_is_never_sold_short_and_says_why() -> None:
    loop = Loop(1, EAGER, long_only=[1])
    step = loop([BAR], approval([-0.1]))
    assert (DROPS[step.constrained.dropped[0]], step.intents.n) == ("NO_SHORT", 0)
    loop([BAR], approval([0.1]))
    assert loop([BAR], approval([0.1])).ledger.position[0] > 0.0
    step = loop([BAR], approval([-0.1], active_stop=95.0))
    assert [e["reduce_only"] for e in entries_of(step.intents)] == [1], "what is held may be sold"


def test_a_limit_price_keeps_within_the_venue_s_band() -> None:
    passive = EAGER._replace(style_limit_ratio=1e-9, style_post_ratio=1e-9, style_offset_bps=90.0, collar_bps=500.0)
    step = Loop(1, passive, spread_bps=2.0, price_band_bps=[50.0])([BAR], approval([0.1]))
    assert entries_of(step.intents)[0]["limit_price"] == pytest.approx(99.5)


def test_entries_are_cut_to_the_margin_the_last_by_rank_first() -> None:
    loop = Loop(2, EAGER, margin=[1.0, 1.0], lot_size=[0.1, 0.1])
    step = loop([BAR, BAR], approval([0.7, 0.7], rank=[1.0, 0.0]))
    assert step.constrained.quantity.tolist() == pytest.approx([300.0, 700.0])
    loop = Loop(2, EAGER, margin=[0.1, 0.1])
    assert loop([BAR, BAR], approval([0.7, 0.7])).constrained.quantity.tolist() == pytest.approx([700.0, 700.0])
    loop = Loop(2, EAGER, margin=[1.0, 1.0], min_notional=[40_000.0, 0.0])
    step = loop([BAR, BAR], approval([0.7, 0.7], rank=[1.0, 0.0]))
    assert (step.constrained.quantity.tolist(), DROPS[step.constrained.dropped[0]]) == ([0.0, 700.0], "MARGIN")


MONEY = st.sampled_from([0.0, 0.5, 3.0, 40.0, 1e6, NAN])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_positions_and_entries_never_need_more_margin_than_there_is(data: st.DataObject) -> None:
    n = 4

    def drawn(values: st.SearchStrategy[float]) -> Any:
        return np.array(data.draw(st.lists(values, min_size=n, max_size=n)))

    quantity, worth = drawn(st.sampled_from([-7.0, 0.0, 1.5, 20.0])), drawn(st.sampled_from([0.5, 10.0, 300.0]))
    held, mark = drawn(st.sampled_from([0.0, 0.0, -3.0, 5.0])), drawn(st.sampled_from([1.0, 50.0, NAN]))
    margin, rank = drawn(st.sampled_from([0.0, 0.1, 1.0])), drawn(st.sampled_from([0.0, 1.0, 2.0, NAN]))
    equity, lot, least = data.draw(MONEY), np.full(n, 0.1), np.full(n, 2.0)
    entry = (quantity != 0.0).astype(np.int64)
    before = quantity.copy()
    given_ = Entries(quantity, worth, entry, np.zeros(n, np.int64))
    same = Entries(*(x.copy() for x in given_))
    rest = (Margins(held, mark, margin, equity), rank, lot, least)
    within_margin(given_, *rest)
    python_of(within_margin)(same, *rest)
    assert same_bits(given_, same)
    assert last_served(entry, rank) == python_of(last_served)(entry, rank)
    assert (np.abs(quantity) <= np.abs(before)).all()
    assert (quantity * before >= 0.0).all()
    asks = margin > 0.0
    used = np.where(held != 0.0, np.abs(held) * mark, 0.0) + np.abs(quantity) * worth
    needed = (used * margin)[asks].sum()
    assert needed <= equity * (1.0 + 1e-9) or not (quantity[asks] != 0.0).any(), "a position that needs too much is left alone"
    assert (quantity[~asks] == before[~asks]).all()


def test_the_budget_of_messages_is_the_venue_s_where_that_is_less() -> None:
    loop = Loop(3, EAGER._replace(reserve=0.0), orders_per_bar=[2, 2, 2])
    step = loop([BAR] * 3, approval([0.1] * 3))
    assert [DROPS[d] for d in step.constrained.dropped] == ["NONE", "NONE", "RATE"]


def test_entries_leave_room_for_exits_among_the_orders_that_may_be_open() -> None:
    assert len(bridge(98.0, facts={"most_orders": [5]})) == 1
    assert bridge(98.0, facts={"most_orders": [4]}) == []
    assert short_form(bridge(-10.0, 10.0, weight=0.0, verdict=4, facts={"most_orders": [2]})) == [(PLACE, 4, -10.0)]


def test_what_is_left_of_an_entry_is_not_sent_below_the_least_notional_at_its_own_price() -> None:
    rows = [{"id": 4, "quantity": 48.0}]
    about = {"rows": rows, "price": 99.0, "type_": LIMIT}
    assert len(bridge(98.0, **about, facts={"min_notional": [4950.0]})) == 1
    assert bridge(98.0, **about, facts={"min_notional": [4951.0]}) == [], "50 at 99 is 4950"


def test_exits_and_stops_of_all_symbols_come_before_any_entry() -> None:
    loop = Loop(2, EAGER)
    loop([BAR, BAR], approval([0.0, 0.1]))
    loop([BAR, BAR], approval([0.0, 0.1], active_stop=[NAN, 95.0]))
    step = loop([BAR, BAR], approval([0.1, 0.0], active_stop=[NAN, 95.0]))
    assert [(e["symbol"], e["reduce_only"]) for e in entries_of(step.intents)] == [(1, 1), (0, 0)]


def test_a_naked_position_below_a_lot_is_dust_and_makes_no_order() -> None:
    assert bridge(0.0, 0.05, [], facts={"lot_size": [0.1]}) == []
    (e,) = bridge(0.0, 0.25, [], facts={"lot_size": [0.1]})
    assert (e["quantity"], e["type"]) == (pytest.approx(-0.2), MARKET)
    (e,) = bridge(0.0, 0.25, [], active_stop=95.0, facts={"lot_size": [0.1]})
    assert (e["quantity"], e["type"]) == (-0.25, STOP_MARKET), "a stop closes whatever there is"


@given(st.integers(0, 10**9), st.sampled_from([0.1, 0.01, 0.001, 1e-5, 0.5, 5.0]))
def test_a_whole_number_of_steps_is_on_the_step_and_half_a_step_is_not(k: int, step: float) -> None:
    assert on_step(k * step, step) == python_of(on_step)(k * step, step) is True
    assert k > 10**8 or not on_step((k + 0.5) * step, step)
    assert on_step(k * 1.234, 0.0)
