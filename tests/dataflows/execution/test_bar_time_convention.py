"""Each line of the bar-time convention that the execution layers keep, in the order of docs: what is known when."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from dataflows.data.types import OPERATOR_FLATTEN
from dataflows.execution.l96_order_lifecycle import ID, STATUS
from dataflows.execution.types import ACCEPT, CANCELED_EVENT, FILL, MODIFY, PLACE, REJECTED_ORDER, STOP_MARKET, Ledger, Orders
from dataflows.execution.venue_books import ORDERS
from dataflows.risk.types import Approval
from drivers.diagrams.model import read_model
from drivers.engine.chunk import Chunk
from drivers.engine.engine import EngineError
from drivers.project.locate import defaults
from tests.dataflows.execution.loop import Loop, Step, approval, leaving
from tests.dataflows.execution.support import CONFIG, NAN, clock, entries_of
from tests.properties.graph import engine_of, plan_of
from tests.properties.market import MIDNIGHT
from tests.properties.market import MINUTE as BAR
from tests.properties.market import instruments as facts_of

Bar = tuple[float, float, float, float, float]
FREE = CONFIG._replace(
    slippage_impact=0.0, slippage_default_bps=0.0, slice_bars=1, headroom=0.0, style_limit_ratio=1e9, style_post_ratio=1e9
)
QUIET: Bar = (100.0, 101.0, 99.0, 100.0, 1e5)


def keep(weight: float, **over: Any) -> Any:
    """Approves a weight; the active stop is the resting one."""

    def approve(orders: Orders, ledger: Ledger) -> Approval:
        return approval([weight], active_stop=orders.stop_price, **over)

    return approve


def fills(step: Step) -> list[tuple[float, float]]:
    return [(e["quantity"], e["price"]) for e in entries_of(step.fills) if e["kind"] == FILL]


def holding(**more: Any) -> Loop:
    """A loop that holds 100 with a stop at 95 and a target at 110."""
    loop = Loop(1, FREE, spread_bps=0.0, **more)
    loop([QUIET], keep(0.1))
    step = loop([QUIET], keep(0.1))
    assert step.ledger.position[0] == 100.0
    assert (step.orders.stop_price[0], step.orders.target_price[0]) == (95.0, pytest.approx(110.0))
    return loop


def test_line_1_a_decision_at_the_close_is_stamped_with_that_close() -> None:
    loop = Loop(1, FREE)
    step = loop([QUIET], keep(0.1))
    assert step.fills.n == 0
    (e,) = entries_of(step.intents)
    assert (e["decision_time"], e["decision_price"]) == (clock(1).ts, 100.0)


def test_line_2_orders_of_step_t_meet_the_open_of_bar_t_plus_1() -> None:
    loop = Loop(1, FREE, spread_bps=0.0)
    assert fills(loop([(90.0, 120.0, 80.0, 100.0, 1e5)], keep(0.1))) == []
    assert fills(loop([(103.0, 104.0, 102.0, 103.5, 1e5)], keep(0.1))) == [(100.0, 103.0)]


def test_line_2_extra_latency_and_no_other() -> None:
    loop = Loop(1, FREE._replace(extra_latency_bars=1), spread_bps=0.0)
    loop([QUIET], keep(0.1))
    assert loop([QUIET], keep(0.1)).fills.n == 0
    assert fills(loop([(102.0, 103.0, 101.0, 102.0, 1e5)], keep(0.1))) == [(100.0, 102.0)]


def test_line_3_funding_is_on_the_position_carried_in() -> None:
    loop = Loop(1, FREE, spread_bps=0.0)
    loop([QUIET], keep(0.1))
    assert loop([QUIET], keep(0.1), funding=[0.01]).ledger.funding == 0.0
    assert loop([QUIET], leaving(), funding=[0.01]).ledger.funding == pytest.approx(100.0)
    step = loop([QUIET], leaving(), funding=[0.01])
    assert step.ledger.position[0] == 0.0
    assert step.ledger.funding == pytest.approx(200.0), "the bar that closes it still pays"


def test_line_3_cancels_then_activations_then_the_open_then_the_path() -> None:
    patient = FREE._replace(style_limit_ratio=1e-9, style_wait_bars=50)
    loop = Loop(1, patient, spread_bps=20.0)
    step = loop([QUIET], keep(0.1))
    assert entries_of(step.intents)[0]["limit_price"] == pytest.approx(99.9)
    step = loop([(100.0, 101.0, 99.95, 100.0, 1e5)], approval([0.1], halt=1, reduce_only=1))
    assert [e["kind"] for e in entries_of(step.fills)] == [ACCEPT]
    step = loop([(100.0, 101.0, 90.0, 100.0, 1e5)], keep(0.0))
    assert [e["kind"] for e in entries_of(step.fills)] == [CANCELED_EVENT], "the cancel came before the price"
    loop = holding()
    loop([QUIET], leaving())
    step = loop([(97.0, 98.0, 90.0, 97.0, 1e5)], leaving())
    assert fills(step) == [(-100.0, 97.0)], "the exit at the open came before the stop in the path"


def test_line_4_a_stop_at_the_worse_of_stop_and_open_and_before_the_target() -> None:
    assert fills(holding()([(100.0, 120.0, 90.0, 100.0, 1e5)], keep(0.0))) == [(-100.0, 95.0)]
    assert fills(holding()([(93.0, 120.0, 90.0, 100.0, 1e5)], keep(0.0))) == [(-100.0, 93.0)]


def test_line_4_a_limit_only_when_traded_through_and_no_target_in_the_bar_of_a_limit_entry() -> None:
    patient = FREE._replace(style_limit_ratio=1e-9, style_wait_bars=50)
    loop = Loop(1, patient, spread_bps=20.0, tick_size=[0.1])
    loop([QUIET], keep(0.1))
    assert fills(loop([(100.0, 101.0, 99.9, 100.0, 1e5)], keep(0.1))) == [], "touched"
    step = loop([(100.0, 120.0, 99.8, 100.0, 1e5)], keep(0.1))
    assert fills(step) == [(pytest.approx(100.0), pytest.approx(99.9))], "the target at 110 was in this bar too"
    assert fills(loop([(100.0, 120.0, 99.8, 100.0, 1e5)], keep(0.1)))[0][1] == pytest.approx(110.0)


def test_line_5_the_bracket_is_live_at_the_venue_from_the_first_fill() -> None:
    loop = Loop(1, FREE, spread_bps=0.0)
    loop([QUIET], keep(0.1))
    step = loop([(100.0, 101.0, 94.0, 100.0, 1e5)], keep(0.0))
    assert fills(step) == [(100.0, 100.0), (-100.0, 95.0)]
    loop = Loop(1, FREE, spread_bps=0.0)
    loop([QUIET], keep(0.1))
    step = loop([(100.0, 101.0, 99.0, 100.0, 300.0)], keep(0.1))
    assert step.ledger.position[0] == pytest.approx(30.0)
    assert step.orders.stop_id[0] != 0


def test_line_6_slippage_uses_the_book_of_the_previous_close() -> None:
    loop = Loop(1, FREE, spread_bps=20.0)
    loop([QUIET], keep(0.1))
    loop.spread = 400.0
    ((_, price),) = fills(loop([QUIET], keep(0.1)))
    assert price == pytest.approx(100.0 * (1 + 10e-4))


def test_line_7_lifecycle_then_ledger_then_the_mark_at_this_close_or_the_last_known() -> None:
    loop = holding()
    step = loop([(100.0, 104.0, 99.0, 103.0, 1e5)], keep(0.1))
    assert step.ledger.equity == pytest.approx(step.ledger.cash + 100.0 * 103.0)
    step = loop([(NAN, NAN, NAN, NAN, NAN)], keep(0.1), valid=[0])
    assert (step.ledger.mark[0], step.ledger.mark_age[0]) == (103.0, 1.0)
    assert step.ledger.equity == pytest.approx(step.ledger.cash + 100.0 * 103.0)


def test_line_8_peak_and_drawdown_exist_only_at_closes() -> None:
    loop = holding()
    before = loop([(100.0, 108.0, 99.0, 108.0, 1e5)], keep(0.1)).ledger
    between = loop([(100.0, 108.0, 99.0, 60.0, 1e5)], keep(0.1), is_bar=0).ledger
    assert (between.peak, between.drawdown, between.mark[0]) == (before.peak, before.drawdown, 108.0)
    after = loop([(108.0, 108.0, 99.0, 99.0, 1e5)], keep(0.1)).ledger
    assert after.drawdown == pytest.approx(900.0 / before.peak)


AFTER_THE_CLOSE = (
    ("l90_fills", "l96_order_lifecycle"),
    ("l96_order_lifecycle", "l97_ledger"),
    ("l97_ledger", "l98_reconciliation"),
    ("l98_reconciliation", "l81_kill_switch"),
    ("l92_loss_limits", "l81_kill_switch"),
    ("l81_kill_switch", "l4_risk_gate"),
    ("l94_position_exits", "l86_exposure_cap"),
    ("l86_exposure_cap", "l4_risk_gate"),
    ("l4_risk_gate", "l69_order_style"),
    ("l69_order_style", "l88_order_slicing"),
    ("l88_order_slicing", "l89_venue_constraints"),
    ("l89_venue_constraints", "l5_execution_bridge"),
)


@pytest.mark.parametrize(("first", "then"), AFTER_THE_CLOSE)
def test_line_9_each_decides_with_what_comes_before_it_and_nothing_of_what_comes_after(first: str, then: str) -> None:
    model = read_model(defaults())
    assert nx.has_path(model.now, first, then)
    assert not nx.has_path(model.now, then, first)


def test_line_11_the_bar_stamped_midnight_is_the_last_of_its_day_and_of_the_epoch() -> None:
    engine = engine_of(plan_of(), facts_of(1), 1)
    engine._refuse(Chunk(np.array([MIDNIGHT - BAR, MIDNIGHT]), {}))
    with pytest.raises(EngineError, match="straddles an epoch boundary"):
        engine.advance(Chunk(np.array([MIDNIGHT, MIDNIGHT + BAR]), {}))


def test_line_10_a_stop_moved_at_a_close_acts_from_the_next_bar() -> None:
    loop = holding()
    step = loop([(100.0, 104.0, 96.0, 103.0, 1e5)], approval([0.1], active_stop=98.0))
    assert fills(step) == [], "the price of this bar was below where the stop is moved to"
    (e,) = entries_of(step.intents)
    assert (e["kind"], e["stop_price"]) == (MODIFY, 98.0)
    assert fills(loop([(103.0, 104.0, 97.0, 103.0, 1e5)], keep(0.0))) == [(-100.0, 98.0)]


def test_line_12_in_an_unknown_bar_nothing_fills_positions_are_held_and_stops_stay() -> None:
    loop = holding()
    for _ in range(3):
        step = loop([(NAN, NAN, NAN, NAN, NAN)], keep(0.1), valid=[0])
        assert fills(step) == []
        assert (step.ledger.position[0], step.orders.stop_price[0]) == (100.0, 95.0)
    step = loop([(90.0, 91.0, 80.0, 90.0, 0.0)], keep(0.1), valid=[0])  # filled: no volume
    assert fills(step) == []
    assert fills(loop([(93.0, 94.0, 92.0, 93.0, 1e5)], keep(0.0))) == [(-100.0, 93.0)]


def test_line_13_the_operators_word_inside_a_bar_acts_at_once_and_meets_the_next_open() -> None:
    loop = holding()
    step = loop([QUIET], leaving(halt=1), is_bar=0, operator=OPERATOR_FLATTEN)
    (e,) = entries_of(step.intents)
    assert (e["kind"], e["reduce_only"], e["quantity"]) == (PLACE, 1, -100.0)
    assert e["decision_time"] > clock(loop.t).ts
    step = loop([(99.0, 100.0, 98.0, 99.0, 1e5)], leaving(halt=1))
    assert fills(step) == [], "the open of the bar under way was before the word"
    assert fills(loop([(97.0, 98.0, 96.0, 97.0, 1e5)], leaving(halt=1))) == [(-100.0, 97.0)]


def test_line_13_between_bars_nothing_is_entered() -> None:
    loop = Loop(1, FREE)
    assert loop([QUIET], keep(0.1), is_bar=0).intents.n == 0
    assert loop([QUIET], keep(0.1)).intents.n == 1


def test_line_14_an_exit_is_never_dropped() -> None:
    loop = holding()
    loop([QUIET], leaving())
    for _ in range(5):
        step = loop([(NAN, NAN, NAN, NAN, NAN)], leaving(), valid=[0])
        assert step.orders.working_reduce[0] == -100.0
        assert step.intents.n == 0, "it is on its way; once is enough"
    assert fills(loop([(80.0, 81.0, 79.0, 80.0, 1e5)], leaving())) == [(-100.0, 80.0)]


def test_line_15_the_shortfall_is_counted_from_the_decision_to_the_open_to_the_fill() -> None:
    loop = Loop(1, FREE, spread_bps=20.0)
    loop([QUIET], keep(0.1))
    orders = loop([(103.0, 104.0, 102.0, 103.0, 1e5)], keep(0.1)).orders
    assert orders.delay_cost[0] == pytest.approx(100.0 * 3.0)
    assert orders.spread_cost[0] == pytest.approx(100.0 * 103.0 * 10e-4)
    assert orders.impact_cost[0] == pytest.approx(0.0, abs=1e-9)


def test_line_15_the_fills_of_a_bar_are_held_against_its_vwap_too() -> None:
    loop = Loop(1, FREE, spread_bps=20.0)
    loop([QUIET], keep(0.1))
    orders = loop([(103.0, 104.0, 102.0, 103.0, 1e5)], keep(0.1)).orders
    vwap = (104.0 + 102.0 + 103.0) / 3.0  # as the loop's market has it
    cost = orders.filled_value[0] - vwap * orders.filled_quantity[0] + orders.fee_cost[0]
    assert cost == pytest.approx(100.0 * (103.0 * 1.001 - vwap) + 100.0 * 103.0 * 1.001 * 5e-4)


def test_a_rejected_stop_is_replaced_at_the_next_close() -> None:
    loop = holding()
    carry = loop.carries["l96_order_lifecycle"]
    venue = loop.carries["l90_fills"]
    stop = int(loop([QUIET], keep(0.1)).orders.stop_id[0])
    venue.codes[ID, venue.codes[ID, :, 0] == stop, 0] = 0  # the venue lost it, and says so
    venue.counts[ORDERS, 0] -= 1
    carry.codes[STATUS, carry.codes[ID, :, 0] == stop, 0] = REJECTED_ORDER
    step = loop([QUIET], approval([0.1], active_stop=95.0))
    (e,) = entries_of(step.intents)
    assert (e["type"], e["stop_price"], e["quantity"]) == (STOP_MARKET, 95.0, -100.0)
    step = loop([QUIET], keep(0.1))
    assert (step.orders.stop_id[0], step.orders.stop_price[0]) == (e["id"], 95.0)
    assert fills(loop([(97.0, 98.0, 94.0, 97.0, 1e5)], keep(0.0))) == [(-100.0, 95.0)]


def test_symbols_do_not_touch_each_other() -> None:
    both, alone = Loop(2, FREE), Loop(1, FREE)
    rng = np.random.default_rng(3)
    for _ in range(60):
        o, c = 100.0 + rng.normal(0.0, 2.0, 2), 100.0 + rng.normal(0.0, 2.0, 2)
        bars = [(o[k], max(o[k], c[k]) + 1.0, min(o[k], c[k]) - 1.0, c[k], 1e5) for k in range(2)]
        w = float(rng.choice([0.1, 0.2, 0.0]))
        a = both(bars, approval([w, 0.0], active_stop=95.0))
        b = alone(bars[:1], approval([w], active_stop=95.0))
        assert a.ledger.position[0] == b.ledger.position[0]
        assert a.ledger.cash == b.ledger.cash
