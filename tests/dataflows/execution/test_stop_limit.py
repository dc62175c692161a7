"""Stop-limit orders: at the venue, in our books, as L5 places them, and what becomes of those that do not fill."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.l96_order_lifecycle import l96_order_lifecycle
from dataflows.execution.order_placement import stop_limit
from dataflows.execution.order_table import closes_position, is_stop
from dataflows.execution.types import (
    ACCEPT,
    CANCEL,
    CANCEL_REJECT,
    CANCELED,
    EXPIRE,
    FILL,
    FOK,
    IOC,
    MAKER,
    MODIFY,
    ORDER_TYPES,
    PLACE,
    REJECT,
    REJECTIONS,
    STOP_LIMIT,
    STOP_MARKET,
    TAKE_PROFIT,
    TAKER,
)
from dataflows.fusion.types import Proposal
from dataflows.risk.config import RiskConfig
from dataflows.risk.l94_position_exits import l94_position_exits
from dataflows.risk.types import APPROVED, HOLD, RUN, KillSwitch, LossLimits, Stops
from dataflows.runtime.compile import kernel
from tests.dataflows.execution.double_entry import DoubleEntry
from tests.dataflows.execution.loop import AS_WRITTEN, COMPILED, Loop, approval, leaving, name_of
from tests.dataflows.execution.support import CONFIG, NAN, carry, entries_of, executions, instruments, intents, same_bits
from tests.dataflows.execution.test_l90_fills import FREE, QUIET, UID, Venue, fills_of, others_of, place
from tests.dataflows.risk.accounts import row
from tests.support import carry_of

Bar = tuple[float, float, float, float, float]
LIMITED = {"bracket_stop": 95.0, "bracket_limit": 94.0}


def held(quantity: float = 10.0, config: Any = FREE, **facts: Any) -> Venue:
    """A venue with a position and its stop: sell at 95 or, by a stop-limit, down to 94; bought back at 105, up to 106."""
    venue = Venue(config, **facts)
    venue(QUIET, place(4, quantity, **(LIMITED if quantity > 0 else {"bracket_stop": 105.0, "bracket_limit": 106.0})))
    assert venue.position == quantity
    return venue


def mirrored(bar: Bar) -> Bar:
    """The same bar seen from a short position: prices p become 200 - p."""
    open_, high, low, close, volume = bar
    return (200.0 - open_, 200.0 - low, 200.0 - high, 200.0 - close, volume)


# bar, price of the fill (None: it rests), liquidity
AT_THE_TRIGGER = {
    "touched": ((96.0, 97.0, 95.0, 96.0, 1000.0), 95.0, TAKER),
    "through": ((96.0, 97.0, 90.0, 91.0, 1000.0), 95.0, TAKER),
    "opens beyond the trigger and within the limit": ((94.5, 96.0, 94.4, 95.0, 1000.0), 94.5, TAKER),
    "opens at the limit": ((94.0, 94.0, 90.0, 91.0, 1000.0), 94.0, TAKER),
    "opens beyond the limit and stays there": ((93.0, 93.9, 92.0, 93.0, 1000.0), None, TAKER),
    "opens beyond the limit and only touches it": ((93.0, 94.0, 92.0, 93.0, 1000.0), None, TAKER),
    "opens beyond the limit and comes back": ((93.0, 94.1, 92.0, 93.0, 1000.0), 94.0, MAKER),
    "is not reached": ((96.0, 97.0, 95.1, 96.0, 1000.0), None, TAKER),
}


@pytest.mark.parametrize("side", [1.0, -1.0])
@pytest.mark.parametrize("case", AT_THE_TRIGGER)
def test_what_the_bar_that_reaches_it_makes_of_it(case: str, side: float) -> None:
    bar, price, liquidity = AT_THE_TRIGGER[case]
    venue = held(10.0 * side)
    events = venue(bar if side > 0 else mirrored(bar))
    if price is None:
        assert fills_of(events) == [] and venue.position == 10.0 * side
        return
    assert fills_of(events) == [(5, -10.0 * side, price if side > 0 else 200.0 - price)]
    assert [e["liquidity"] for e in events if e["kind"] == FILL] == [liquidity]


def test_where_a_stop_at_the_market_fills_beyond_the_limit_it_rests() -> None:
    """A quarter of the way from 95 to the low of 89 is charged: 93.5, beyond 94. It closes at 93: nobody was there at 94."""
    config = FREE._replace(stop_gap_share=0.25)
    bar = (96.0, 97.0, 89.0, 93.0, 1000.0)
    at_market = Venue(config)
    at_market(QUIET, place(4, 10.0, bracket_stop=95.0))
    assert fills_of(at_market(bar)) == [(5, -10.0, 93.5)]
    venue = held(config=config)
    assert fills_of(venue(bar)) == []
    assert fills_of(venue((93.0, 94.0, 92.0, 93.0, 1000.0))) == [], "it must trade through the limit"
    assert fills_of(venue((93.0, 94.5, 92.0, 93.0, 1000.0))) == [(5, -10.0, 94.0)]


def test_where_the_bar_closes_on_the_near_side_of_the_limit_it_has_come_back_and_fills_there() -> None:
    config = FREE._replace(stop_gap_share=0.25)
    for close, expected in ((94.0, []), (94.5, [(5, -10.0, 94.0)])):
        venue = held(config=config)
        assert fills_of(venue((96.0, 97.0, 89.0, close, 1000.0))) == expected


def test_it_fills_in_parts_and_the_rest_is_a_limit_order_that_waits_in_the_queue() -> None:
    """4 of 10 are there at the trigger; then 5 percent of each bar's volume that trades through the limit."""
    venue = held()
    assert fills_of(venue((96.0, 97.0, 94.5, 95.0, 4.0))) == [(5, -4.0, 95.0)]
    assert fills_of(venue((93.0, 93.5, 92.0, 93.0, 1000.0))) == []
    assert fills_of(venue((93.0, 95.0, 92.0, 93.0, 40.0))) == [(5, -2.0, 94.0)]
    assert fills_of(venue((97.0, 98.0, 96.0, 97.0, 1000.0))) == [(5, -4.0, 97.0)], "a better open is a better price"
    assert venue.position == 0.0


@pytest.mark.parametrize(
    ("code", "volume", "fills"),
    [(IOC, 4.0, [(-4.0, 95.0)]), (IOC, 1000.0, [(-10.0, 95.0)]), (FOK, 4.0, []), (FOK, 1000.0, [(-10.0, 95.0)])],
)
@pytest.mark.parametrize("type_", [STOP_LIMIT, STOP_MARKET])
def test_immediate_counts_from_the_trigger(type_: int, code: int, volume: float, fills: Any) -> None:
    venue = Venue()
    venue(QUIET, place(4, 10.0))
    order = {"stop_price": 95.0, "limit_price": 94.0 if type_ == STOP_LIMIT else NAN, "reduce_only": 1, "time_in_force": code}
    assert others_of(venue(QUIET, place(8, -10.0, type_, **order))) == [(ACCEPT, 8, "NONE")]
    assert venue(QUIET) == [], "it waits for its trigger, whatever its time in force"
    events = venue((96.0, 97.0, 94.0, 96.0, volume))
    assert [(q, p) for _, q, p in fills_of(events)] == fills
    assert others_of(events) == ([] if fills and fills[0][0] == -10.0 else [(EXPIRE, 8, "IMMEDIATE")])


def test_a_lifetime_ends_it_triggered_or_not() -> None:
    for bars in ([QUIET] * 3, [QUIET, (93.0, 93.5, 92.0, 93.0, 1000.0), (93.0, 93.5, 92.0, 93.0, 1000.0)]):
        venue = Venue()
        venue(QUIET, place(4, 10.0))
        order = {"stop_price": 95.0, "limit_price": 94.0, "reduce_only": 1, "lifetime": 3.0}
        events = [venue(bars[0], place(8, -10.0, STOP_LIMIT, **order)), venue(bars[1]), venue(bars[2])]
        assert others_of(events[2]) == [(EXPIRE, 8, "LIFETIME")] and venue.position == 10.0


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ({"limit_price": NAN}, "BAD_PRICE"),
        ({"limit_price": 0.0}, "BAD_PRICE"),
        ({"limit_price": math.inf}, "BAD_PRICE"),
        ({"limit_price": 94.3}, "BAD_PRICE"),
        ({"stop_price": 95.1}, "BAD_PRICE"),
        ({"stop_price": NAN}, "BAD_PRICE"),
        ({"reduce_only": 0}, "REDUCE_ONLY"),
    ],
)
def test_what_is_no_stop_limit_is_refused(order: dict[str, Any], why: str) -> None:
    venue = Venue(tick_size=[0.5])
    venue(QUIET, place(4, 10.0))
    whole = {"stop_price": 95.0, "limit_price": 94.0, "reduce_only": 1} | order
    assert others_of(venue(QUIET, place(8, -10.0, STOP_LIMIT, **whole))) == [(REJECT, 8, why)]


@pytest.mark.parametrize(
    ("change", "answer", "fill"),
    [
        ({"stop_price": 97.0, "limit_price": 96.0}, (ACCEPT, 5, "NONE"), 97.0),
        ({"stop_price": 97.0}, (ACCEPT, 5, "NONE"), 97.0),
        ({"stop_price": 97.0, "limit_price": -1.0}, (CANCEL_REJECT, 5, "BAD_PRICE"), 95.0),
        ({"limit_price": 96.0}, (CANCEL_REJECT, 5, "BAD_PRICE"), 95.0),
        ({"stop_price": 97.0, "quantity": -5.0}, (CANCEL_REJECT, 5, "BAD_QUANTITY"), 95.0),
    ],
)
def test_a_change_moves_trigger_and_limit_or_neither(change: dict[str, float], answer: Any, fill: float) -> None:
    venue = held()
    assert others_of(venue((100.0, 101.0, 99.0, 100.0, 1000.0), {"kind": MODIFY, "id": UID + 5, **change})) == [answer]
    assert fills_of(venue((98.0, 98.0, 93.0, 93.0, 1000.0))) == [(5, -10.0, fill)]


def test_the_new_limit_counts_and_one_that_is_not_given_stays() -> None:
    for limit, expected in ((96.5, []), (NAN, [(5, -10.0, 96.0)])):
        venue = held()
        venue(QUIET, {"kind": MODIFY, "id": UID + 5, "stop_price": 97.0, "limit_price": limit})
        assert fills_of(venue((96.0, 96.2, 95.0, 95.0, 1000.0))) == expected


def test_once_reached_it_cannot_be_changed_but_canceled() -> None:
    venue = held()
    venue((93.0, 93.5, 92.0, 93.0, 1000.0))
    events = venue((93.0, 93.5, 92.0, 93.0, 1000.0), {"kind": MODIFY, "id": UID + 5, "stop_price": 96.0, "limit_price": 95.0})
    assert others_of(events) == [(CANCEL_REJECT, 5, "BAD_PRICE")]
    assert [e["kind"] for e in venue(QUIET, {"kind": CANCEL, "id": UID + 5})] == [2]
    assert venue.position == 10.0


def test_an_exit_at_the_market_takes_the_resting_stop_limit_off() -> None:
    venue = held()
    venue((93.0, 93.5, 92.0, 93.0, 1000.0))
    events = venue((91.0, 91.5, 90.0, 91.0, 1000.0), place(8, -10.0, reduce_only=1))
    assert fills_of(events) == [(8, -10.0, 91.0)]
    assert (2, 5, "POSITION_CLOSED") in others_of(events)


def test_it_is_a_stop_and_closes_what_there_is() -> None:
    assert [is_stop(t) for t in range(len(ORDER_TYPES))] == [t in (STOP_MARKET, STOP_LIMIT) for t in range(6)]
    assert [closes_position(t) for t in range(len(ORDER_TYPES))] == [
        t in (STOP_MARKET, STOP_LIMIT, TAKE_PROFIT) for t in range(6)
    ]
    venue = held()
    venue(QUIET, place(8, 5.0))
    assert fills_of(venue((95.0, 95.0, 94.5, 94.5, 1000.0))) == [(5, -15.0, 95.0)], "of the whole position, adds too"


# -- our books ----------------------------------------------------------------------------------------------------------------


def test_our_table_knows_its_two_prices_and_takes_a_refused_change_back() -> None:
    state, facts = carry(l96_order_lifecycle, 1), instruments(1)

    def table(orders: list[dict[str, Any]], *events: dict[str, Any]) -> tuple[float, float]:
        got = l96_order_lifecycle(executions(*events), intents(*orders), facts, CONFIG, state)
        return float(got.stop_price[0]), float(got.stop_limit[0])

    fill = {"kind": FILL, "id": UID + 4, "fill_id": UID + 1, "quantity": 10.0, "price": 100.0}
    move = {"kind": MODIFY, "id": UID + 5, "stop_price": 97.0, "limit_price": 96.0}
    assert table([place(4, 10.0, **LIMITED)], fill, {"kind": ACCEPT, "id": UID + 5}) == (95.0, 94.0)
    assert table([move]) == (97.0, 96.0)
    assert table([], {"kind": CANCEL_REJECT, "id": UID + 5, "reason": REJECTIONS.index("BAD_PRICE")}) == (95.0, 94.0)
    assert table([move], {"kind": ACCEPT, "id": UID + 5}) == (97.0, 96.0)
    assert table([], {"kind": CANCEL_REJECT, "id": UID + 5}) == (97.0, 96.0), "nothing is left to take back"
    assert table([move | {"stop_price": 98.0, "limit_price": NAN}], {"kind": ACCEPT, "id": UID + 5}) == (98.0, 96.0)


# -- L5 and L94 ---------------------------------------------------------------------------------------------------------------

PATIENT = FREE._replace(
    stop_limit_bps=100.0, stop_limit_bars=3, slice_bars=1, headroom=0.0, least_entry=0.0, band=0.0, participation=1.0
)
NO_FEES = {"taker_fee_bps": [0.0], "maker_fee_bps": [0.0]}


@given(st.floats(1e-6, 1e6), st.booleans(), st.floats(1e-6, 0.5), st.sampled_from([0.0, 0.01, 0.5, 100.0]))
def test_the_limit_lies_beyond_the_trigger_on_a_tick(stop: float, sells: bool, beyond: float, tick: float) -> None:
    limit = stop_limit(stop, sells, beyond, tick)
    assert 0.0 < limit < math.inf
    exact = stop * (1.0 - beyond) if sells else stop * (1.0 + beyond)
    assert abs(limit - exact) <= max(tick, 1e-9 * stop) * (1.0 + 1e-6)
    if tick > 0.0:
        assert limit / tick == pytest.approx(round(limit / tick), rel=1e-6)
    if exact >= tick:
        assert (limit <= exact * (1.0 + 1e-6)) if sells else (limit >= exact * (1.0 - 1e-6))
    assert math.isnan(stop_limit(stop, sells, 0.0, tick))


def test_entries_stops_and_moved_stops_have_their_limit() -> None:
    loop = Loop(1, PATIENT, spread_bps=0.0, tick_size=[0.5], **NO_FEES)
    (entry,) = entries_of(loop([QUIET], approval([0.1])).intents)
    assert (entry["bracket_stop"], entry["bracket_limit"]) == (95.0, 94.0), "94.05, on a tick outwards"
    step = loop([QUIET], approval([0.1], active_stop=96.0, verdict=0))
    assert (step.orders.stop_price[0], step.orders.stop_limit[0]) == (95.0, 94.0)
    (move,) = entries_of(step.intents)
    assert (move["kind"], move["stop_price"], move["limit_price"]) == (MODIFY, 96.0, 95.0)
    step = loop([QUIET], approval([0.1], active_stop=96.0, verdict=0))
    assert (step.orders.stop_price[0], step.orders.stop_limit[0]) == (96.0, 95.0)
    adopted = Loop(1, PATIENT, spread_bps=0.0, start_position=[-100.0], **NO_FEES)
    told = entries_of(adopted([QUIET], approval([-0.2], active_stop=110.0, verdict=0)).intents)
    (stop,) = [e for e in told if e["reduce_only"] == 1]
    assert (ORDER_TYPES[stop["type"]], stop["stop_price"]) == ("STOP_LIMIT", 110.0)
    assert (stop["kind"], stop["limit_price"]) == (PLACE, pytest.approx(111.1))


RISK = RiskConfig()


class Guarded(Loop):
    """The loop with L94: where that says exit, the approval is to leave. The stop lies 5 percent off, and nothing trails."""

    def __init__(self, config: Any = PATIENT, layers: Any = AS_WRITTEN, exits: Any = l94_position_exits, **facts: Any) -> None:
        super().__init__(1, config, layers=layers, spread_bps=0.0, **NO_FEES | facts)
        self.l94, self.exits = exits, carry_of(l94_position_exits, 1, {"risk": RISK})
        self.last: dict[str, Any] = {}
        self.exit: Any = None

    def _run(self, layer: Any, *args: Any) -> Any:
        self.last[name_of(layer)] = super()._run(layer, *args)
        return self.last[name_of(layer)]

    def step(self, bar: Bar, weight: float) -> Any:
        def approve(orders: Any, ledger: Any) -> Any:
            market, clock = self.seen
            proposal, kill = row(Proposal, 1), row(KillSwitch, 1, level=[RUN])
            unknown, limits = Stops(*[np.array([NAN])] * 4), LossLimits(0, 0, 0.0, 0.0)
            self.exit = self.l94(
                market,
                proposal,
                kill,
                unknown,
                self.last["l90_fills"],
                limits,
                orders,
                ledger,
                clock,
                self.config,
                RISK,
                self.exits,
            )
            stop = self.exit.active_stop
            verdict = HOLD if self.exit.late[0] else APPROVED
            given = approval([weight], active_stop=stop, take_profit=NAN, verdict=verdict)
            return leaving(active_stop=stop) if self.exit.exit[0] else given

        return self([bar], approve)


def test_what_it_leaves_goes_to_the_market_after_the_stated_number_of_closes() -> None:
    """The stop at 95 with a limit of 94.05 is jumped over. Three closes beyond it, then an exit at the next open, at 90."""
    jumped = (93.0, 93.5, 92.0, 93.0, 1e6)
    for patience, closes in ((1, 1), (3, 3)):
        loop = Guarded(PATIENT._replace(stop_limit_bars=patience))
        loop.step(QUIET, 0.1)
        assert loop.step(QUIET, 0.1).ledger.position[0] == 100.0
        for k in range(closes):
            assert loop.step(jumped, 0.1).ledger.position[0] == 100.0
            assert loop.exit.exit[0] == (1 if k == closes - 1 else 0)
            assert loop.exit.late[0] == 1, "nothing is added to what its stop was to close"
        step = loop.step((90.0, 90.0, 90.0, 90.0, 1e6), 0.0)
        assert [(e["quantity"], e["price"]) for e in entries_of(step.fills) if e["kind"] == FILL] == [(-100.0, 90.0)]
        assert step.ledger.position[0] == 0.0 and step.orders.open_orders[0] == 0.0


def test_a_stop_at_the_market_and_a_position_without_a_stop_wait_for_nothing() -> None:
    jumped = (93.0, 93.5, 92.0, 93.0, 1e6)
    loop = Guarded(PATIENT._replace(stop_limit_bps=0.0, stop_limit_bars=50))
    loop.step(QUIET, 0.1)
    loop.step(QUIET, 0.1)
    assert loop.step(jumped, 0.1).ledger.position[0] == 0.0
    loop = Guarded(PATIENT._replace(stop_limit_bars=50))
    loop.step(QUIET, 0.1)
    loop.step(QUIET, 0.1)
    for m in range(CONFIG.slots):  # the venue has lost the stop
        if loop.carries["l96_order_lifecycle"].codes[2, m, 0] == STOP_LIMIT:
            loop.carries["l96_order_lifecycle"].codes[1, m, 0] = CANCELED
    loop.step(jumped, 0.1)
    assert loop.exit.exit[0] == 1


def test_a_part_that_filled_starts_the_clock_wherever_the_price_goes() -> None:
    loop = Guarded()
    loop.step(QUIET, 0.1)
    loop.step(QUIET, 0.1)
    assert loop.step((96.0, 97.0, 94.9, 96.0, 60.0), 0.1).ledger.position[0] == 40.0
    seen = []
    for _ in range(3):
        loop.step((93.0, 93.9, 92.0, 96.0, 0.0), 0.1)  # no volume: nothing can fill
        seen.append(int(loop.exit.exit[0]))
    assert seen == [0, 1, 1]


BAR = st.tuples(st.floats(60.0, 140.0), st.floats(0.0, 8.0), st.sampled_from([0.0, 3.0, 300.0, 1e6]))
STORY = st.lists(st.tuples(BAR, st.sampled_from([0.1, -0.1, 0.1])), min_size=3, max_size=25)
SETTINGS = {
    "story": STORY,
    "bps": st.sampled_from([1.0, 50.0, 300.0]),
    "patience": st.integers(1, 5),
    "gap": st.sampled_from([0.0, 0.25, 1.0]),
    "tick": st.sampled_from([0.0, 0.5]),
    "late": st.sampled_from([0, 1]),
}


def lives(story: Any, config: Any, tick: float, **how: Any) -> tuple[Guarded, list[Any]]:
    loop, steps, last = Guarded(config, tick_size=[tick], **how), [], 100.0
    for (close, wick, volume), weight in story:
        steps.append((loop.step((last, max(last, close) + wick, min(last, close) - wick, close, volume), weight), loop.exit))
        last = close
    return loop, steps


@settings(max_examples=60, deadline=None)
@given(**SETTINGS)
def test_whatever_comes_it_never_fills_beyond_its_limit_and_the_position_is_left_in_time(
    story: Any, bps: float, patience: int, gap: float, tick: float, late: int
) -> None:
    """Also: our books, the venue's and a double-entry book agree."""
    config = PATIENT._replace(stop_limit_bps=bps, stop_limit_bars=patience, stop_gap_share=gap, extra_latency_bars=late)
    books, beyond = DoubleEntry(1, CONFIG.start_cash), 0
    limits: dict[int, list[float]] = {}
    loop, steps = lives(story, config, tick)
    for step, exit_ in steps:
        for e in entries_of(step.fills):
            if e["kind"] == FILL and e["id"] in limits:
                sells, allowed = e["quantity"] < 0.0, limits[e["id"]]
                assert any(e["price"] >= x if sells else e["price"] <= x for x in allowed)
        for e in entries_of(step.intents):
            if e["kind"] == PLACE and e["reduce_only"] == 0:
                assert e["bracket_limit"] < e["bracket_stop"] if e["quantity"] > 0.0 else e["bracket_limit"] > e["bracket_stop"]
                limits.setdefault(e["id"] + 1, []).append(e["bracket_limit"])
            elif e["limit_price"] == e["limit_price"]:
                limits.setdefault(e["id"], []).append(e["limit_price"])
        books.take(step.fills)
        position, mark = float(step.ledger.position[0]), float(step.ledger.mark[0])
        assert position == pytest.approx(float(books.position(0)), abs=1e-6)
        assert step.ledger.equity == pytest.approx(float(books.equity([mark])), rel=1e-9)
        stop = float(exit_.active_stop[0])
        at_stop = position != 0.0 and math.copysign(1.0, position) * (mark - stop) <= 0.0
        beyond = beyond + 1 if at_stop else 0
        assert beyond < patience or exit_.exit[0] == 1
    assert loop.carries["l90_fills"].position[0] == steps[-1][0].ledger.position[0], "the venue's book"


@settings(max_examples=10, deadline=None)
@given(**SETTINGS)
def test_compiled_and_plain_are_equal_to_the_bit(
    story: Any, bps: float, patience: int, gap: float, tick: float, late: int
) -> None:
    config = PATIENT._replace(stop_limit_bps=bps, stop_limit_bars=patience, stop_gap_share=gap, extra_latency_bars=late)
    _, plain = lives(story, config, tick)
    _, fast = lives(story, config, tick, layers=COMPILED, exits=COMPILED_L94)
    for (a, x), (b, y) in zip(plain, fast, strict=True):
        assert same_bits(a.fills, b.fills) and same_bits(a.intents, b.intents) and same_bits(x, y)
        assert same_bits(a.ledger, b.ledger) and same_bits(a.orders.stop_limit, b.orders.stop_limit)


COMPILED_L94 = kernel(l94_position_exits)
