from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import Market
from dataflows.execution.l90_fills import l90_fills__live, l90_fills__sim
from dataflows.execution.types import (
    ACCEPT,
    CANCEL,
    CANCEL_REJECT,
    CANCELED_EVENT,
    EXPIRE,
    FILL,
    LIMIT,
    MAKER,
    MARKET,
    MODIFY,
    PLACE,
    POST_ONLY,
    REJECT,
    REJECTIONS,
    STOP_MARKET,
    TAKE_PROFIT,
    TAKER,
    Executions,
)
from dataflows.execution.venue_books import ACCEPTED_IN, ID, ORDERS, REDUCES
from dataflows.kinematics.types import Returns
from dataflows.microstructure.types import SpreadDepth
from dataflows.runtime.compile import kernel
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
    plainly,
    same_bits,
    trimmed,
)
from tests.support import filled

compiled = kernel(l90_fills__sim)
UID = 7 << 32
FREE = CONFIG._replace(slippage_impact=0.0, slippage_default_bps=0.0)
Bar = tuple[float, float, float, float, float]
QUIET: Bar = (100.0, 101.0, 99.0, 100.0, 1000.0)


class Venue:
    """One symbol at the simulated venue, without slippage unless asked for."""

    def __init__(self, config: Any = FREE, fn: Any = l90_fills__sim, **facts: Any) -> None:
        self.config, self.fn, self.t = config, fn, 0
        self.carry = carry(l90_fills__sim, 1, config)
        self.instruments = instruments(1, **facts)
        self.spread, self.sigma = 0.0, 0.0
        self.log: list[dict[str, Any]] = []

    def raw(self, bar: Bar, orders: list[dict[str, Any]], is_bar: int = 1, book: Any = None, **about: Any) -> Executions:
        self.t += is_bar
        row: Market = market(self.t, [bar], **about)
        if book is not None:
            row = row._replace(book=book)
        mid = bar[3] if book is None else float(book.bid_price[0, 0] + book.ask_price[0, 0]) / 2
        spread = filled(SpreadDepth, (1,), NAN, mid=np.array([mid]), spread_bps=np.array([self.spread]))
        returns = filled(Returns, (1,), NAN, sigma=np.array([self.sigma]))
        at = clock(self.t, is_bar=is_bar)
        got: Executions = self.fn(row, returns, spread, self.instruments, at, intents(*orders), self.config, self.carry)
        return got

    def __call__(self, bar: Bar = QUIET, *orders: dict[str, Any], **about: Any) -> list[dict[str, Any]]:
        got = entries_of(self.raw(bar, list(orders), **about))
        self.log += got
        return got

    @property
    def position(self) -> float:
        return float(self.carry.position[0])


def place(order: int, quantity: float, type_: int = MARKET, **more: Any) -> dict[str, Any]:
    return {"kind": PLACE, "id": UID + order, "quantity": quantity, "type": type_, **more}


def fills_of(events: list[dict[str, Any]]) -> list[tuple[int, float, float]]:
    return [(e["id"] - UID, e["quantity"], e["price"]) for e in events if e["kind"] == FILL]


def others_of(events: list[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return [(e["kind"], e["id"] - UID, REJECTIONS[e["reason"]]) for e in events if e["kind"] != FILL]


BRACKET = {"bracket_stop": 95.0, "bracket_target": 110.0}


def opened(quantity: float = 10.0, **more: Any) -> Venue:
    """A venue that holds a position with a bracket."""
    v = Venue(**more)
    v(QUIET, place(4, quantity, **(BRACKET if quantity > 0 else {"bracket_stop": 105.0, "bracket_target": 90.0})))
    assert v.position == quantity
    return v


def test_a_market_order_fills_at_the_open_and_pays_the_takers_fee() -> None:
    v = Venue()
    (accepted, fill) = v((100.5, 101.0, 99.0, 100.0, 1000.0), place(4, 10.0))
    assert accepted["kind"] == ACCEPT
    assert (fill["quantity"], fill["price"], fill["reference_price"], fill["liquidity"]) == (10.0, 100.5, 100.5, TAKER)
    assert fill["fee"] == pytest.approx(10.0 * 100.5 * 5e-4)
    assert fill["fill_id"] == UID + 1


def test_slippage_is_half_the_spread_of_the_previous_close_and_the_square_root_law() -> None:
    v = Venue(CONFIG._replace(slippage_impact=2.0))
    v.spread, v.sigma = 20.0, 0.01
    v(QUIET)
    v.spread, v.sigma = 900.0, 9.0  # of this close: must not count
    ((_, _, price),) = fills_of(v(QUIET, place(4, 40.0)))
    assert price == pytest.approx(100.0 * (1.0 + 10e-4 + 2.0 * 0.01 * math.sqrt(40.0 / 1000.0)))


def test_slippage_walks_the_book_of_the_previous_close_and_goes_on_by_the_law() -> None:
    v = Venue(CONFIG)
    v.sigma = 0.01
    row = market(1, [QUIET])
    levels = {"ask_price": [[100.1, 100.2]], "ask_size": [[5.0, 5.0]], "bid_price": [[99.9, 99.8]], "bid_size": [[5.0, 5.0]]}
    book = row.book._replace(has_feed=np.ones(1, np.int64), **{k: np.array(x) for k, x in levels.items()})
    v(QUIET, book=book)
    later = book._replace(ask_price=np.array([[150.0, 160.0]]))  # the book of this close must not count
    ((_, _, price),) = fills_of(v(QUIET, place(4, 8.0), book=later))
    assert price == pytest.approx((5 * 100.1 + 3 * 100.2) / 8)
    v = Venue(CONFIG)
    v.sigma = 0.01
    v(QUIET, book=book)
    ((_, _, price),) = fills_of(v(QUIET, place(4, -20.0)))
    beyond = 99.8 * (1.0 - 0.01 * math.sqrt(10.0 / 1000.0))
    assert price == pytest.approx((5 * 99.9 + 5 * 99.8 + 10 * beyond) / 20)


def test_slippage_where_nothing_is_known_is_the_default() -> None:
    v = Venue(CONFIG)
    v.sigma = v.spread = NAN
    ((_, _, price),) = fills_of(v(QUIET, place(4, -1.0)))
    assert price == pytest.approx(100.0 * (1.0 - 10e-4))


def test_entries_share_the_bars_volume_and_the_rest_stays_working() -> None:
    v = Venue()
    got = v(QUIET, place(4, 80.0), place(8, 80.0))
    assert fills_of(got) == [(4, 80.0, 100.0), (8, 20.0, 100.0)]
    assert fills_of(v((102.0, 102.0, 102.0, 102.0, 300.0))) == [(8, 30.0, 102.0)]


def test_partial_fills_are_whole_lots() -> None:
    v = Venue(lot_size=[0.3])
    assert fills_of(v((100.0, 101.0, 99.0, 100.0, 10.0), place(4, 3.0)))[0][1] == pytest.approx(0.9)


def test_reduce_only_orders_take_up_to_the_whole_bar() -> None:
    v = opened(90.0)
    assert fills_of(v((100.0, 101.0, 99.0, 100.0, 40.0), place(8, -90.0, reduce_only=1))) == [(8, -40.0, 100.0)]
    assert fills_of(v((100.0, 101.0, 99.0, 100.0, 60.0))) == [(8, -50.0, 100.0)]
    assert v.position == 0.0


def test_reduce_only_never_flips_a_position() -> None:
    v = opened(10.0)
    got = v(QUIET, place(8, -6.0, reduce_only=1), place(12, -8.0, reduce_only=1))
    assert fills_of(got) == [(8, -6.0, 100.0), (12, -4.0, 100.0)]
    assert v.position == 0.0
    assert (CANCELED_EVENT, 12, "POSITION_CLOSED") in others_of(got)
    assert others_of(v(QUIET, place(16, -1.0, reduce_only=1))) == [(REJECT, 16, "REDUCE_ONLY")]
    v = opened(10.0)
    assert others_of(v(QUIET, place(16, 1.0, reduce_only=1))) == [(REJECT, 16, "REDUCE_ONLY")]


@pytest.mark.parametrize("type_", [LIMIT, POST_ONLY])
def test_a_resting_limit_fills_only_when_the_price_trades_through_it(type_: int) -> None:
    v = Venue()
    assert fills_of(v(QUIET, place(4, 10.0, type_, limit_price=99.0))) == [], "a touch of the limit is no fill"
    (fill,) = (e for e in v((100.0, 101.0, 98.9, 100.0, 1000.0)) if e["kind"] == FILL)
    assert (fill["quantity"], fill["price"], fill["liquidity"]) == (10.0, 99.0, MAKER)
    assert fill["fee"] == pytest.approx(10.0 * 99.0 * 2e-4)


def test_a_resting_limit_gets_a_better_open() -> None:
    v = Venue()
    v(QUIET, place(4, -10.0, LIMIT, limit_price=101.0))
    assert fills_of(v((103.0, 104.0, 102.0, 103.0, 1000.0))) == [(4, -10.0, 103.0)]


def test_a_resting_limit_takes_its_share_of_the_queue() -> None:
    v = Venue(FREE._replace(queue_share=0.01))
    v(QUIET, place(4, 30.0, LIMIT, limit_price=98.0))
    low: Bar = (100.0, 101.0, 97.0, 100.0, 1000.0)
    assert fills_of(v(low)) == [(4, 10.0, 98.0)]
    assert fills_of(v(low)) == [(4, 10.0, 98.0)]


def test_a_marketable_limit_takes_at_the_open_and_never_pays_more_than_its_limit() -> None:
    v = Venue(CONFIG)
    v.spread = 100.0  # half of it: 0.5 percent
    v.sigma = 0.0
    v(QUIET)
    (fill,) = (e for e in v(QUIET, place(4, 10.0, LIMIT, limit_price=102.0)) if e["kind"] == FILL)
    assert (fill["price"], fill["reference_price"], fill["liquidity"]) == (pytest.approx(100.5), 100.0, TAKER)
    assert fills_of(v(QUIET, place(8, 10.0, LIMIT, limit_price=100.2)))[0][2] == 100.2


def test_a_post_only_order_that_would_cross_is_rejected() -> None:
    v = Venue()
    assert others_of(v(QUIET, place(4, 10.0, POST_ONLY, limit_price=100.5))) == [(REJECT, 4, "WOULD_CROSS")]
    assert others_of(v(QUIET, place(8, -10.0, POST_ONLY, limit_price=99.5))) == [(REJECT, 8, "WOULD_CROSS")]
    assert others_of(v(QUIET, place(12, -10.0, POST_ONLY, limit_price=100.0))) == [(ACCEPT, 12, "NONE")]


def test_the_bracket_is_live_from_the_first_fill_and_covers_what_comes_later() -> None:
    v = Venue()
    got = v((100.0, 101.0, 99.0, 100.0, 50.0), place(4, 10.0, **BRACKET))
    assert [e["kind"] for e in got] == [ACCEPT, FILL, ACCEPT, ACCEPT]
    assert [e["id"] - UID for e in got] == [4, 4, 5, 6]
    v(QUIET)
    assert v.position == 10.0
    assert fills_of(v((97.0, 97.0, 94.0, 95.0, 1000.0))) == [(5, -10.0, 95.0)]


def test_a_stop_fills_at_the_worse_of_stop_and_open() -> None:
    assert fills_of(opened()((97.0, 98.0, 95.0, 96.0, 1000.0))) == [(5, -10.0, 95.0)]
    assert fills_of(opened()((93.0, 98.0, 92.0, 96.0, 1000.0))) == [(5, -10.0, 93.0)]
    assert fills_of(opened(-10.0)((103.0, 105.0, 102.0, 103.0, 1000.0))) == [(5, 10.0, 105.0)]
    assert fills_of(opened(-10.0)((107.0, 108.0, 102.0, 103.0, 1000.0))) == [(5, 10.0, 107.0)]


def test_a_stop_pays_slippage_on_top() -> None:
    v = Venue(CONFIG)
    v.spread, v.sigma = 20.0, 0.0
    v(QUIET)
    v(QUIET, place(4, 10.0, **BRACKET))
    assert fills_of(v((97.0, 98.0, 94.0, 96.0, 1000.0)))[0][2] == pytest.approx(95.0 * (1.0 - 10e-4))


def test_the_stop_works_in_the_bar_of_entry() -> None:
    v = Venue()
    got = v((100.0, 101.0, 94.0, 100.0, 1000.0), place(4, 10.0, **BRACKET))
    assert fills_of(got) == [(4, 10.0, 100.0), (5, -10.0, 95.0)]
    assert others_of(got)[-1] == (CANCELED_EVENT, 6, "POSITION_CLOSED")


def test_a_stop_comes_before_a_target_in_one_bar() -> None:
    assert fills_of(opened()((100.0, 112.0, 94.0, 100.0, 1000.0))) == [(5, -10.0, 95.0)]


def test_a_target_fills_when_traded_through_at_its_price_or_a_better_open() -> None:
    v = opened()
    assert fills_of(v((100.0, 110.0, 99.0, 100.0, 1000.0))) == []
    got = v((100.0, 110.5, 99.0, 100.0, 1000.0))
    assert fills_of(got) == [(6, -10.0, 110.0)]
    assert others_of(got) == [(CANCELED_EVENT, 5, "POSITION_CLOSED")]
    assert fills_of(opened()((112.0, 113.0, 111.0, 112.0, 1000.0))) == [(6, -10.0, 112.0)]
    assert fills_of(opened(-10.0)((92.0, 93.0, 89.0, 92.0, 1000.0))) == [(6, 10.0, 90.0)]


def test_a_market_entry_may_meet_its_target_in_its_own_bar_and_a_limit_entry_may_not() -> None:
    wide: Bar = (100.0, 111.0, 98.0, 100.0, 1000.0)
    assert fills_of(Venue()(wide, place(4, 10.0, **BRACKET))) == [(4, 10.0, 100.0), (6, -10.0, 110.0)]
    v = Venue()
    assert fills_of(v(wide, place(4, 10.0, LIMIT, limit_price=99.0, **BRACKET))) == [(4, 10.0, 99.0)]
    assert fills_of(v((100.0, 111.0, 98.0, 100.0, 1000.0))) == [(6, -10.0, 110.0)]


def test_a_limit_entry_may_meet_its_stop_in_its_own_bar() -> None:
    got = Venue()((100.0, 101.0, 94.0, 100.0, 1000.0), place(4, 10.0, LIMIT, limit_price=99.0, **BRACKET))
    assert fills_of(got) == [(4, 10.0, 99.0), (5, -10.0, 95.0)]


def test_a_stop_that_the_bar_cannot_take_whole_goes_on_as_a_market_order() -> None:
    v = opened(90.0)
    assert fills_of(v((97.0, 98.0, 94.0, 96.0, 50.0))) == [(5, -50.0, 95.0)]
    assert fills_of(v((99.0, 99.0, 98.0, 99.0, 1000.0))) == [(5, -40.0, 99.0)]
    assert v.position == 0.0


def test_a_market_exit_at_the_open_comes_before_the_path() -> None:
    v = opened()
    got = v((97.0, 98.0, 94.0, 96.0, 1000.0), place(8, -10.0, reduce_only=1))
    assert fills_of(got) == [(8, -10.0, 97.0)]
    assert {(k, i) for k, i, _ in others_of(got)} == {(ACCEPT, 8), (CANCELED_EVENT, 5), (CANCELED_EVENT, 6)}


def test_a_cancel_comes_before_anything_else_of_the_bar() -> None:
    v = Venue()
    v(QUIET, place(4, 10.0, LIMIT, limit_price=98.0))
    got = v((97.0, 98.0, 90.0, 95.0, 1000.0), {"kind": CANCEL, "id": UID + 4})
    assert [(e["kind"], e["id"] - UID) for e in got] == [(CANCELED_EVENT, 4)]
    assert others_of(v(QUIET, {"kind": CANCEL, "id": UID + 4})) == [(CANCEL_REJECT, 4, "UNKNOWN_ORDER")]


def test_a_moved_stop_acts_in_the_bar_after_the_close_that_moved_it() -> None:
    v = opened()
    got = v((97.0, 98.0, 96.0, 97.0, 1000.0), {"kind": MODIFY, "id": UID + 5, "stop_price": 96.5})
    assert others_of(got)[0] == (ACCEPT, 5, "NONE")
    assert fills_of(got) == [(5, -10.0, 96.5)]
    assert others_of(v(QUIET, {"kind": MODIFY, "id": UID + 5, "stop_price": 97.0})) == [(CANCEL_REJECT, 5, "UNKNOWN_ORDER")]


def test_extra_latency_delays_orders_changes_and_cancels_alike() -> None:
    v = Venue(FREE._replace(extra_latency_bars=2))
    assert v(QUIET, place(4, 10.0, **BRACKET)) == []
    assert v(QUIET) == []
    assert fills_of(v(QUIET)) == [(4, 10.0, 100.0)]
    assert v(QUIET, {"kind": MODIFY, "id": UID + 5, "stop_price": 98.0}) == []
    assert v((97.0, 98.0, 96.0, 97.0, 1000.0)) == [], "the old stop still rests"
    assert fills_of(v((97.0, 98.0, 96.0, 97.0, 1000.0))) == [(5, -10.0, 97.0)]


@pytest.mark.parametrize(
    "about", [{"valid": [0]}, {"bar": (100.0, 120.0, 80.0, 100.0, 0.0)}, {"bar": (NAN, NAN, NAN, NAN, NAN)}]
)
def test_nothing_fills_in_a_bar_that_is_unknown_filled_or_halted_and_resting_stops_stay(about: dict[str, Any]) -> None:
    about = {"bar": (100.0, 120.0, 80.0, 100.0, 1000.0), **about}
    v = opened()
    assert fills_of(v(about.pop("bar"), place(8, 5.0), place(12, 5.0, LIMIT, limit_price=90.0), **about)) == []
    assert v.position == 10.0
    got = v((97.0, 98.0, 94.0, 96.0, 1000.0))
    assert fills_of(got) == [(8, 5.0, 97.0), (5, -15.0, 95.0)]


def test_orders_expire_at_the_end_of_their_life() -> None:
    v = Venue()
    assert others_of(v(QUIET, place(4, 10.0, LIMIT, limit_price=90.0, lifetime=2.0))) == [(ACCEPT, 4, "NONE")]
    assert others_of(v(QUIET)) == [(EXPIRE, 4, "LIFETIME")]
    assert v((80.0, 81.0, 79.0, 80.0, 1000.0)) == []


def test_the_rest_of_an_entry_goes_with_the_position_that_it_opened() -> None:
    v = Venue()
    got = v((100.0, 101.0, 94.0, 100.0, 50.0), place(4, 10.0, **BRACKET))
    assert fills_of(got) == [(4, 5.0, 100.0), (5, -5.0, 95.0)]
    assert (CANCELED_EVENT, 4, "POSITION_CLOSED") in others_of(got)
    assert v(QUIET) == []


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (place(4, NAN), "BAD_QUANTITY"),
        (place(4, 0.0), "BAD_QUANTITY"),
        (place(4, 1.0, LIMIT), "BAD_PRICE"),
        (place(4, 1.0, LIMIT, limit_price=-1.0), "BAD_PRICE"),
        (place(4, 1.0, STOP_MARKET, stop_price=105.0), "REDUCE_ONLY"),
        (place(4, -1.0, TAKE_PROFIT, limit_price=105.0, reduce_only=1), "REDUCE_ONLY"),
    ],
)
def test_what_the_venue_cannot_take_is_rejected_with_a_reason(order: dict[str, Any], why: str) -> None:
    assert others_of(Venue()(QUIET, order)) == [(REJECT, 4, why)]


def test_an_unlisted_symbol_takes_no_orders() -> None:
    assert others_of(Venue()(QUIET, place(4, 1.0), listed=[0])) == [(REJECT, 4, "NOT_LISTED")]


def test_a_full_table_refuses_and_loses_no_row() -> None:
    v = Venue(FREE._replace(slots=8))
    got = v(QUIET, *[place(4 * k, 1.0, LIMIT, limit_price=90.0) for k in range(1, 11)])
    assert [i for kind, i, why in others_of(got) if why == "NO_ROOM"] == [36, 40]
    v(QUIET, *[{"kind": CANCEL, "id": UID + 4 * k} for k in range(1, 9)])
    assert v.carry.counts[ORDERS, 0] == 0
    assert fills_of(v(QUIET, place(80, 1.0))) == [(80, 1.0, 100.0)]


def test_between_bars_nothing_fills_and_only_cancels_of_the_last_close_are_answered() -> None:
    v = Venue()
    v(QUIET, place(4, 10.0, LIMIT, limit_price=90.0))
    assert v(QUIET, place(8, 10.0), {"kind": CANCEL, "id": UID + 4}, is_bar=0) == [
        pytest.approx(e, nan_ok=True) for e in entries_of(executions({"kind": CANCELED_EVENT, "id": UID + 4, "fee": 0.0}))
    ]
    assert fills_of(v(QUIET)) == [(8, 10.0, 100.0)]


def test_what_is_decided_inside_a_bar_meets_the_next_one() -> None:
    v = opened()
    inside = clock(v.t, is_bar=0).ts
    v(QUIET, is_bar=0)
    assert fills_of(v(QUIET, place(8, -10.0, reduce_only=1, decision_time=inside))) == []
    assert fills_of(v(QUIET)) == [(8, -10.0, 100.0)]


def test_an_intent_that_comes_twice_is_one_order() -> None:
    v = Venue()
    assert fills_of(v(QUIET, place(4, 10.0, LIMIT, limit_price=102.0), place(4, 10.0, LIMIT, limit_price=102.0))) == [
        (4, 10.0, 100.0)
    ]


def test_a_live_venue_is_taken_at_its_word() -> None:
    events = executions({"kind": ACCEPT, "id": 3})
    assert same_bits(l90_fills__live(events), events)


PRICES = st.sampled_from([94.0, 96.0, 98.0, 99.5, 100.0, 100.5, 102.0, 104.0, 106.0])
BARS = st.tuples(PRICES, PRICES, PRICES, PRICES, st.sampled_from([0.0, 7.0, 100.0, 1000.0, NAN])).map(
    lambda b: (b[0], max(b[:4]), min(b[:4]), b[3], b[4])
)
INTENTS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from([PLACE, PLACE, PLACE, CANCEL, MODIFY]),
            "n": st.integers(1, 8),
            "quantity": st.sampled_from([-9.0, -3.0, 2.0, 5.0, NAN, 0.0]),
            "type": st.sampled_from([MARKET, MARKET, LIMIT, POST_ONLY, STOP_MARKET, TAKE_PROFIT]),
            "limit_price": PRICES,
            "stop_price": PRICES,
            "reduce_only": st.integers(0, 1),
            "lifetime": st.sampled_from([0.0, 2.0]),
            "bracket_stop": st.sampled_from([95.0, 105.0, NAN]),
            "bracket_target": st.sampled_from([95.0, 105.0, NAN]),
        }
    ),
    max_size=3,
)
STORY = st.lists(st.tuples(BARS, INTENTS, st.sampled_from([1, 1, 1, 0]), st.sampled_from([1, 1, 1, 0])), max_size=15)
HARD = CONFIG._replace(slots=8)


def told(story: list[Any], fn: Any) -> list[tuple[Any, Executions, Venue]]:
    """Runs a story with fresh ids for every placed order."""
    v = Venue(HARD, fn)
    v.spread, v.sigma = 4.0, 0.001
    out = []
    for i, (bar, orders, is_bar, valid) in enumerate(story):
        at = []
        for j, o in enumerate(orders):
            number = 4 * (8 * i + j + 1) if o["kind"] == PLACE else 4 * (8 * max(0, i - 1) + o["n"] % 3 + 1)
            at.append({**o, "id": UID + number, "decision_time": 0})
        out.append((v.position, trimmed(v.raw(bar, at, is_bar, valid=[valid])), v))
    return out


@settings(max_examples=150, deadline=None)
@given(STORY)
def test_whatever_is_sent_the_venue_keeps_its_rules(story: list[Any]) -> None:
    position = 0.0
    book: dict[int, dict[str, Any]] = {}
    for i, (_, orders, _, _) in enumerate(story):
        for j, o in enumerate(orders):
            if o["kind"] == PLACE:
                book[UID + 4 * (8 * i + j + 1)] = o
    number = 0
    for (bar, _, is_bar, valid), (before, got, _) in zip(story, told(story, l90_fills__sim), strict=True):
        assert before == position
        entered = 0.0
        for e in entries_of(got):
            if e["kind"] != FILL:
                continue
            number += 1
            assert e["fill_id"] == UID + number
            assert is_bar
            assert valid
            assert bar[2] <= e["reference_price"] <= bar[1], "within the bar before slippage"
            assert e["quantity"] * (e["price"] - e["reference_price"]) >= 0.0, "slippage never helps"
            order = book.get(e["id"], {"reduce_only": 1})
            if order["reduce_only"]:
                assert position * e["quantity"] < 0.0
                assert abs(e["quantity"]) <= abs(position)
            else:
                entered += abs(e["quantity"])
                if order["type"] in (LIMIT, POST_ONLY):
                    side = math.copysign(1.0, order["quantity"])
                    assert side * e["price"] <= side * order["limit_price"]
            position += e["quantity"]
        if entered:
            assert entered <= HARD.participation * bar[4] * (1 + 1e-12)
    if story:
        v = told(story, l90_fills__sim)[-1][2]
        live = int((v.carry.codes[ID, :, 0] != 0).sum())
        assert v.carry.counts[ORDERS, 0] == live
        if v.position == 0.0:
            assert not (
                (v.carry.codes[REDUCES, :, 0] == 1) & (v.carry.codes[ACCEPTED_IN, :, 0] > 0) & (v.carry.codes[ID, :, 0] != 0)
            ).any()


@settings(max_examples=60, deadline=None)
@given(STORY)
def test_same_orders_and_bars_give_the_same_bits_compiled_and_plain(story: list[Any]) -> None:
    plain = told(story, plainly(l90_fills__sim))
    for (_, a, _), (_, b, _) in zip(told(story, compiled), plain, strict=True):
        assert same_bits(a, b)
