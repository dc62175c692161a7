from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l5_execution_bridge import l5_execution_bridge
from dataflows.execution.order_placement import inward
from dataflows.execution.order_table import is_live
from dataflows.execution.types import (
    ACCEPTED,
    CANCEL,
    FILL,
    LIMIT,
    MARKET,
    MODIFY,
    PENDING_CANCEL,
    PLACE,
    STOP_MARKET,
    TAKE_PROFIT,
    Constrained,
    Ledger,
    OrderIntents,
    Orders,
)
from dataflows.risk.types import APPROVED, EXIT, HOLD, REDUCED, REJECTED, VERDICTS
from dataflows.runtime.compile import kernel, python_of
from tests.dataflows.execution.loop import COMPILED, Loop, approval, leaving, plain_layers
from tests.dataflows.execution.support import CONFIG, NAN, carry, clock, entries_of, instruments, market, plainly, same_bits
from tests.support import filled

compiled = kernel(l5_execution_bridge)
UID = 7 << 32
SLOTS = CONFIG.slots


def table(*rows: dict[str, Any], **over: Any) -> Orders:
    """Orders of one symbol: rows of the table, and what L96 says of them."""
    ids, status, type_, reduce_only = (np.zeros((SLOTS, 1), np.int64) for _ in range(4))
    quantity, done, limit = np.zeros((SLOTS, 1)), np.zeros((SLOTS, 1)), np.full((SLOTS, 1), NAN)
    for m, r in enumerate(rows):
        ids[m], status[m], type_[m] = UID + r["id"], r.get("status", ACCEPTED), r.get("type", MARKET)
        reduce_only[m], quantity[m], done[m] = r.get("reduce_only", 0), r["quantity"], r.get("filled", 0.0)
    live = [r for r in rows if is_live(r.get("status", ACCEPTED))]
    stops = [r for r in live if r.get("type") == STOP_MARKET and r.get("status", ACCEPTED) != PENDING_CANCEL]
    given: dict[str, Any] = {
        "open_orders": np.array([float(len(live))]),
        "stop_id": np.array([UID + stops[0]["id"] if stops else 0]),
        "stop_price": np.array([stops[0].get("stop_price", NAN) if stops else NAN]),
        "opened_by": np.array([UID + 4]),
        "fresh": np.zeros(0, np.int64),
        "id": ids,
        "status": status,
        "type": type_,
        "reduce_only": reduce_only,
        "quantity": quantity,
        "filled": done,
        "limit_price": limit,
        **over,
    }
    return filled(Orders, (1,), 0.0, **given)


STOP = {"id": 5, "type": STOP_MARKET, "reduce_only": 1, "quantity": -10.0, "stop_price": 95.0}


def bridge(
    ask: float,
    held: float = 0.0,
    rows: list[dict[str, Any]] | None = None,
    *,
    weight: float = 0.1,
    mark: float = 100.0,
    equity: float = 100_000.0,
    price: float = NAN,
    type_: int = MARKET,
    close: float = 100.0,
    is_bar: int = 1,
    fn: Any = l5_execution_bridge,
    state: Any = None,
    facts: dict[str, Any] | None = None,
    config: Any = CONFIG,
    **about: Any,
) -> list[dict[str, Any]]:
    """rows: the order table; by default a position held has its stop at rest."""
    rows = (
        ([STOP] if held > 0.0 else [{**STOP, "quantity": -held, "stop_price": 105.0}] if held < 0.0 else [])
        if rows is None
        else rows
    )
    ledger = filled(
        Ledger, (1,), 0.0, position=np.array([held]), held=np.array([held]), mark=np.array([mark]), unit_value=np.array([mark])
    )._replace(equity=equity)
    fit = Constrained(
        np.array([ask]),
        np.array([price]),
        np.zeros(1, np.int64),
        np.zeros(1),
        np.array([type_]),
        np.array([3.0 * (type_ != MARKET)]),
    )
    got: OrderIntents = fn(
        market(1, [(close, close, close, close, 1.0)]),
        approval([weight], **about),
        fit,
        table(*rows),
        ledger,
        instruments(1, **(facts or {})),
        clock(1, is_bar=is_bar),
        config,
        carry(l5_execution_bridge, 1) if state is None else state,
    )
    return entries_of(got)


def short_form(entries: list[dict[str, Any]]) -> list[tuple[int, int, float]]:
    return [(e["kind"], e["id"] - UID, e["quantity"]) for e in entries]


def test_an_increase_is_one_order_with_its_bracket_decision_and_reasons() -> None:
    (e,) = bridge(98.0, reasons=5, trail=0.02)
    assert short_form([e]) == [(PLACE, 4, 98.0)]
    assert (e["type"], e["reduce_only"], math.isnan(e["limit_price"])) == (MARKET, 0, True)
    assert (e["bracket_stop"], e["bracket_target"], e["bracket_trail"], e["bracket_horizon"]) == (
        95.0,
        pytest.approx(110.0),
        0.02,
        60.0,
    )
    assert (e["decision_time"], e["decision_price"], e["reason"]) == (clock(1).ts, 100.0, 5)
    (e,) = bridge(-98.0, weight=-0.1, price=100.1, type_=LIMIT)
    assert (e["bracket_stop"], e["bracket_target"]) == (105.0, pytest.approx(90.0))
    assert (e["type"], e["limit_price"], e["lifetime"]) == (LIMIT, 100.1, 3.0)


def test_bracket_prices_lie_on_the_tick_nearer_the_market() -> None:
    (e,) = bridge(98.0, stop=0.0512, take_profit=0.1013, facts={"tick_size": [0.5]})
    assert (e["bracket_stop"], e["bracket_target"]) == (95.0, 110.0)
    (e,) = bridge(-98.0, weight=-0.1, stop=0.0512, take_profit=0.1013, facts={"tick_size": [0.5]})
    assert (e["bracket_stop"], e["bracket_target"]) == (105.0, 90.0)
    assert inward(99.9, False, 100.0, 0.5) == 99.5, "never on the mark itself"
    assert python_of(inward)(100.1, True, 100.0, 0.5) == inward(100.1, True, 100.0, 0.5) == 100.5


def test_same_state_same_intents_and_ids() -> None:
    assert bridge(98.0) == [pytest.approx(e, nan_ok=True) for e in bridge(98.0)]
    state = carry(l5_execution_bridge, 1)
    assert [short_form(bridge(98.0, state=state))[0][1] for _ in range(3)] == [4, 8, 12]


def test_a_reached_target_makes_no_intent() -> None:
    assert bridge(0.0, 98.0) == []
    assert bridge(98.0, 0.0, [{"id": 4, "quantity": 98.0}]) == [], "it is working already"
    assert bridge(0.0) == []


def test_only_what_still_lacks_is_placed_and_a_trifle_is_not() -> None:
    assert short_form(bridge(98.0, 0.0, [{"id": 4, "quantity": 40.0, "filled": 10.0}])) == [(PLACE, 4, 68.0)]
    assert bridge(98.0, 0.0, [{"id": 4, "quantity": 90.0}]) == []
    assert bridge(98.0, 0.0, [{"id": 4, "quantity": 40.0}], facts={"min_notional": [6000.0]}) == []


@pytest.mark.parametrize(
    "about",
    [
        {"halt": 1},
        {"verdict": HOLD},
        {"verdict": REJECTED},
        {"reduce_only": 1},
        {"stop": NAN},
        {"stop": 0.0},
        {"stop": 1.0},
        {"weight": NAN},
        {"weight": 0.05},
        {"weight": -0.1},
        {"equity": NAN},
        {"mark": NAN},
        {"close": NAN},
        {"is_bar": 0},
        {"price": 94.0, "type_": LIMIT},
        {"rows": [{"id": 8, "quantity": -1.0, "status": PENDING_CANCEL}]},
        {"rows": [{"id": 4 * k, "quantity": 0.5} for k in range(1, 13)]},
    ],
)
def test_an_entry_needs_everything_known_approved_and_in_order(about: dict[str, Any]) -> None:
    assert len(bridge(98.0)) == 1
    assert [e for e in bridge(98.0, **about) if e["kind"] == PLACE] == []


def test_a_held_position_grows_only_with_its_stop_at_rest() -> None:
    assert short_form(bridge(58.0, 40.0)) == [(PLACE, 4, 58.0)]
    (e,) = bridge(58.0, 40.0, [], active_stop=96.0)
    assert (e["type"], e["stop_price"], e["quantity"], e["reduce_only"], e["parent"]) == (STOP_MARKET, 96.0, -40.0, 1, UID + 4)


@pytest.mark.parametrize(
    ("about", "canceled"),
    [
        ({"halt": 1}, [8]),
        ({"verdict": EXIT, "weight": 0.0, "ask": -10.0}, [8]),
        ({"weight": 0.02}, [8]),
        ({"weight": NAN}, [8]),
        ({"equity": NAN}, [8]),
        ({"weight": -0.1, "ask": -10.0}, [8]),
        ({"weight": 0.1}, []),
        ({"weight": 0.1, "verdict": HOLD}, []),
    ],
)
def test_entries_beyond_the_approved_are_canceled_and_at_halt_all_are(about: dict[str, Any], canceled: list[int]) -> None:
    about = {"ask": 0.0, **about}
    rows = [STOP, {"id": 8, "quantity": 50.0}, {"id": 12, "quantity": 3.0, "status": PENDING_CANCEL}]
    got = bridge(about.pop("ask"), 10.0, rows, **about)
    assert [e["id"] - UID for e in got if e["kind"] == CANCEL] == canceled
    assert all(e["reduce_only"] for e in got if e["kind"] == PLACE)
    kinds = [e["kind"] for e in got]
    assert kinds == sorted(kinds, key=lambda k: k == PLACE), "cancels before places"


def test_a_cancel_under_way_counts_as_working() -> None:
    assert bridge(98.0, 0.0, [{"id": 4, "quantity": 98.0, "status": PENDING_CANCEL}]) == []


def test_a_reduction_is_reduce_only_and_placed_once() -> None:
    (e,) = bridge(-4.0, 10.0, weight=0.006)
    assert (short_form([e]), e["reduce_only"], e["type"]) == ([(PLACE, 4, -4.0)], 1, MARKET)
    working = [STOP, {"id": 8, "quantity": -4.0, "reduce_only": 1}]
    assert bridge(-4.0, 10.0, working, weight=0.006) == []
    assert short_form(bridge(-10.0, 10.0, working, weight=0.0, verdict=EXIT)) == [(PLACE, 4, -6.0)]


def test_an_exit_does_not_wait_behind_a_passive_order() -> None:
    passive = [STOP, {"id": 8, "quantity": -10.0, "reduce_only": 1, "type": LIMIT}]
    assert short_form(bridge(-10.0, 10.0, passive, weight=0.0, verdict=EXIT)) == [(CANCEL, 8, 0.0), (PLACE, 4, -10.0)]


@pytest.mark.parametrize("about", [{"halt": 1}, {"is_bar": 0}, {"mark": NAN}, {"equity": NAN}, {"close": NAN}, {"stop": NAN}])
def test_nothing_unknown_holds_back_an_exit(about: dict[str, Any]) -> None:
    got = bridge(-10.0, 10.0, weight=0.0, verdict=EXIT, **about)
    assert short_form(got) == [(PLACE, 4, -10.0)]


def test_reduce_only_orders_go_when_more_is_wanted_and_stray_brackets_with_the_position() -> None:
    rows = [STOP, {"id": 8, "quantity": -4.0, "reduce_only": 1}]
    assert short_form(bridge(50.0, 10.0, rows)) == [(CANCEL, 8, 0.0)], "and the increase waits until it is gone"
    rows = [STOP, {"id": 6, "type": TAKE_PROFIT, "reduce_only": 1, "quantity": -10.0}]
    assert short_form(bridge(0.0, 0.0, rows)) == [(CANCEL, 5, 0.0), (CANCEL, 6, 0.0)]


def test_the_stop_is_restated_when_it_tightens_and_only_then() -> None:
    (e,) = bridge(0.0, 10.0, active_stop=96.3, facts={"tick_size": [0.5]})
    assert (e["kind"], e["id"], e["stop_price"]) == (MODIFY, UID + 5, 96.5)
    assert bridge(0.0, 10.0, active_stop=94.0) == []
    assert bridge(0.0, 10.0, active_stop=95.0) == []
    assert bridge(0.0, 10.0, active_stop=NAN) == []
    (e,) = bridge(0.0, -10.0, weight=-0.1, active_stop=103.0)
    assert (e["kind"], e["stop_price"]) == (MODIFY, 103.0)


def test_a_position_without_a_stop_gets_one_or_goes() -> None:
    (e,) = bridge(0.0, 10.0, [], active_stop=94.0, halt=1, is_bar=0)
    assert (e["type"], e["stop_price"], e["quantity"]) == (STOP_MARKET, 94.0, -10.0)
    (e,) = bridge(0.0, 10.0, [])
    assert (e["type"], e["quantity"], e["reduce_only"]) == (MARKET, -10.0, 1)
    assert bridge(0.0, 10.0, [{"id": 8, "quantity": -10.0, "reduce_only": 1}]) == [], "an exit is on its way"
    got = bridge(0.0, 10.0, [{"id": 8, "quantity": -4.0, "reduce_only": 1}])
    assert short_form(got) == [(PLACE, 4, -6.0)]


NUMBERS = st.sampled_from([0.0, 0.1, -0.1, 0.05, 1.0, 95.0, 100.0, -250.0, 1e300, NAN, math.inf, -math.inf])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "status": st.integers(0, 7),
            "type": st.integers(0, 4),
            "reduce_only": st.integers(0, 1),
            "quantity": st.sampled_from([-300.0, -5.0, 5.0, 40.0, 300.0]),
            "filled": st.sampled_from([0.0, 2.0, -2.0]),
            "stop_price": st.sampled_from([90.0, 110.0, NAN]),
        }
    ),
    max_size=6,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_for_any_input_position_and_entries_stay_within_the_approved(data: st.DataObject) -> None:
    rows = [{**r, "id": 4 * k + 4} for k, r in enumerate(data.draw(ROWS))]
    held = data.draw(st.sampled_from([0.0, 10.0, -10.0, 100.0]))
    about = {
        k: data.draw(NUMBERS, k) for k in ("ask", "weight", "mark", "equity", "stop", "take_profit", "active_stop", "close")
    }
    about |= {"verdict": data.draw(st.integers(0, len(VERDICTS) - 1)), "halt": data.draw(st.integers(0, 1))}
    about |= {"price": data.draw(NUMBERS), "type_": data.draw(st.sampled_from([MARKET, LIMIT])), "rows": rows, "held": held}
    got = bridge(**about)
    assert repr(got) == repr(bridge(**about, fn=compiled)) == repr(bridge(**about, fn=plainly(l5_execution_bridge)))
    live = [r for r in rows if is_live(r["status"])]
    gone = {e["id"] for e in got if e["kind"] == CANCEL}
    exits = [e for e in got if e["kind"] == PLACE and e["reduce_only"] and e["type"] != STOP_MARKET]
    for e in got:
        assert e["kind"] in (PLACE, CANCEL, MODIFY)
        assert math.isfinite(e["quantity"])
        if e["kind"] != PLACE:
            assert any(UID + r["id"] == e["id"] for r in live)
            assert e["kind"] == CANCEL or 0.0 < e["stop_price"] < math.inf
            continue
        assert e["quantity"] != 0.0
        assert e["id"] % 4 == 0
        if e["reduce_only"]:
            assert e["quantity"] * held < 0.0, "reduce-only never opens"
            assert abs(e["quantity"]) <= abs(held) * (1 + 1e-9)
            continue
        assert about["verdict"] in (APPROVED, REDUCED)
        assert not about["halt"]
        assert 0.0 < e["bracket_stop"] < math.inf
        assert math.copysign(1.0, e["quantity"]) * (about["mark"] - e["bracket_stop"]) > 0.0
        approved = about["weight"] * about["equity"] / about["mark"]
        side = math.copysign(1.0, e["quantity"])
        left = [r["quantity"] - r["filled"] for r in live if not r["reduce_only"] and r["quantity"] * side > 0.0]
        full = held + e["quantity"] + sum(x for x in left if x * side > 0.0)
        assert approved * side > 0.0
        assert 0.0 < side * full <= side * approved * (1 + 1e-8)
    for side in (1.0, -1.0):  # what is left working and not on its way out is within the approved too
        left = [
            r["quantity"] - r["filled"]
            for r in live
            if not r["reduce_only"]
            and r["quantity"] * side > 0.0
            and UID + r["id"] not in gone
            and r["status"] != PENDING_CANCEL
        ]
        total = sum(x for x in left if x * side > 0.0)
        if total and not any((r["quantity"] - r["filled"]) * r["quantity"] <= 0.0 for r in live):
            approved = about["weight"] * about["equity"] / about["mark"]
            assert side * (held + total) <= side * approved * (1 + 1e-8)
            assert not about["halt"]
    if held:
        stops = [r for r in live if r["type"] == STOP_MARKET and r["status"] != PENDING_CANCEL]
        placed = [e for e in got if e["kind"] == PLACE and e["type"] == STOP_MARKET]
        leaving_rows = [r for r in live if r["reduce_only"] and r["type"] not in (STOP_MARKET, TAKE_PROFIT)]
        assert stops or placed or exits or leaving_rows, "a position has a resting stop or an exit on its way"


MOVES = st.lists(
    st.tuples(
        st.sampled_from([-0.06, -0.02, -0.005, 0.0, 0.004, 0.02, 0.07]),
        st.sampled_from([0.3, 0.2, 0.0, -0.2]),
        st.sampled_from(["keep", "keep", "keep", "halt", "exit", "react", "unknown", "trail"]),
        st.sampled_from([30.0, 1000.0, 100_000.0]),
    ),
    min_size=5,
    max_size=25,
)


def story(moves: list[Any], layers: Any) -> list[Any]:
    loop, price, out = Loop(1, CONFIG._replace(slots=10), layers=layers, lot_size=[0.1], tick_size=[0.01]), 100.0, []
    for move, weight, what, volume in moves:
        open_, price = price, price * (1.0 + move)
        bar = (open_, max(open_, price) * 1.001, min(open_, price) * 0.999, price, volume)
        if what == "unknown":
            bar = (NAN, NAN, NAN, NAN, NAN)

        def approve(orders: Orders, ledger: Ledger, what: str = what, weight: float = weight) -> Any:
            held = float(ledger.position[0])
            stop = float(orders.bracket_stop[0])
            if what == "trail" and held > 0.0:
                stop = max(stop, float(ledger.mark[0]) * 0.99)
            if weight * held < 0.0 or what == "exit":
                return leaving(active_stop=stop)
            if what == "halt":
                now = held * float(ledger.mark[0]) / ledger.equity
                return approval([now], halt=1, verdict=HOLD, reduce_only=1, active_stop=stop, stop=NAN)
            return approval([weight], active_stop=stop)

        about = {"valid": [0]} if what == "unknown" else {}
        out.append((what, loop([bar], approve, is_bar=0 if what == "react" else 1, **about)))
    return out


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_in_the_closed_loop_books_agree_and_a_position_is_never_without_protection(moves: list[Any]) -> None:
    filled_total, cash = 0.0, CONFIG.start_cash
    for what, step in story(moves, None):
        for e in entries_of(step.fills):
            if e["kind"] == FILL:
                filled_total += e["quantity"]
                cash -= e["quantity"] * e["price"] + e["fee"]
        held = float(step.ledger.position[0])
        assert held == pytest.approx(filled_total, abs=1e-9)
        assert step.ledger.cash == pytest.approx(cash, rel=1e-12)
        assert step.ledger.equity == pytest.approx(cash + (held * float(step.ledger.mark[0]) if held else 0.0), rel=1e-12)
        assert step.orders.unknown[0] == 0.0
        assert step.orders.overfilled[0] == 0.0
        assert (step.orders.fresh == (step.fills.kind == FILL)).all()
        places = [e for e in entries_of(step.intents) if e["kind"] == PLACE]
        if held:
            leaving_ = any(e["reduce_only"] for e in places) or step.orders.working_reduce[0] != 0.0
            assert step.orders.stop_id[0] != 0 or leaving_
        if what in ("halt", "exit"):
            assert all(e["reduce_only"] for e in places)
        assert len({e["id"] for e in places}) == len(places)


@settings(max_examples=15, deadline=None)
@given(MOVES)
def test_the_closed_loop_compiled_equals_plain_to_the_bit(moves: list[Any]) -> None:
    for (_, a), (_, b) in zip(story(moves, COMPILED), story(moves, plain_layers()), strict=True):
        assert same_bits(a, b)
