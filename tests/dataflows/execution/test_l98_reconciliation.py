from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import OPERATOR_CASH_FLOW
from dataflows.execution.l98_reconciliation import l98_reconciliation__live, l98_reconciliation__sim
from dataflows.execution.types import (
    ACCEPTED,
    FILL,
    FILLED,
    SUBMITTED,
    Executions,
    Ledger,
    Orders,
    VenueSnapshot,
)
from dataflows.runtime.compile import kernel
from tests.dataflows.execution.loop import Loop, approval, leaving
from tests.dataflows.execution.support import CONFIG, carry, clock, executions, instruments, same_bits
from tests.support import filled

SLOTS = CONFIG.slots
COMPILED = {f: kernel(f) for f in (l98_reconciliation__sim, l98_reconciliation__live)}
NOTHING = executions()


def ledger(n=1, position=0.0, cash=CONFIG.start_cash, funding=0.0, cash_flows=0.0) -> Ledger:
    held = np.array(np.broadcast_to(np.asarray(position, float), (n,)))
    return filled(
        Ledger, (n,), 0.0, position=held, cash=float(cash), funding=funding, cash_flows=cash_flows, equity=float(cash)
    )


def table(n=1, orders=(), unknown=0.0, count=0.0) -> Orders:
    """orders: (slot, symbol, id, status, quantity, filled)."""
    ids, status = np.zeros((SLOTS, n), np.int64), np.zeros((SLOTS, n), np.int64)
    quantity, done = np.zeros((SLOTS, n)), np.zeros((SLOTS, n))
    for m, s, order_id, state, size, part in orders:
        ids[m, s], status[m, s], quantity[m, s], done[m, s] = order_id, state, size, part
    none = np.zeros((SLOTS, n), np.int64)
    return filled(
        Orders, (n,), 0.0, unknown=np.full(n, unknown), open_orders=np.full(n, count), id=ids, status=status, type=none,
        reduce_only=none, quantity=quantity, filled=done, limit_price=np.zeros((SLOTS, n)), fresh=np.zeros(0, np.int64),
    )  # fmt: skip


class Sim:
    def __init__(self, n=1, config=CONFIG, layer=l98_reconciliation__sim):
        self.n, self.config, self.layer, self.t = n, config, layer, 0
        self.carry = carry(l98_reconciliation__sim, n, config)

    def __call__(self, fills: Executions = NOTHING, orders=None, books=None, is_bar=1, **about):
        self.t += is_bar
        orders, books = orders or table(self.n), books or ledger(self.n)
        at = clock(self.t, is_bar=is_bar, **about)
        return self.layer(fills, orders, books, at, instruments(self.n), self.config, self.carry)


def fill(quantity, price=100.0, fee=0.5, symbol=0, **stated):
    """A fill from a flat account, and what the venue then states that it holds."""
    account = {"venue_position": quantity, "venue_cash": CONFIG.start_cash - quantity * price - fee, **stated}
    report = {"kind": FILL, "symbol": symbol, "quantity": quantity, "price": price, "fee": fee, "id": 4, "fill_id": 1}
    return executions({**report, **account})


def test_the_venues_own_account_counts_and_not_what_its_reports_add_up_to():
    """Ours is what the report says; the venue states another position and other cash."""
    ours = ledger(position=2.0, cash=CONFIG.start_cash - 200.5)
    check = Sim()
    out = [check(fill(2.0, venue_position=3.0), books=ours), check(books=ours), check(books=ours)]
    assert out[0].position_gap[0] == 1.0 and [o.matched for o in out] == [1, 1, 0]
    check = Sim()
    out = [check(fill(2.0, venue_cash=CONFIG.start_cash - 203.5), books=ours), check(books=ours), check(books=ours)]
    assert out[0].cash_gap == pytest.approx(-3.0) and [o.matched for o in out] == [1, 1, 0]
    check = Sim()
    out = [check(fill(2.0, venue_position=math.nan), books=ours) for _ in range(3)]
    assert out[-1].matched == 0, "a venue that does not say what it holds matches nothing"


def test_books_that_agree_match_through_fills_flows_and_funding():
    check = Sim()
    out = check(fill(2.0), books=ledger(position=2.0, cash=CONFIG.start_cash - 200.5))
    assert (out.matched, out.position_gap[0], out.snapshot_age) == (1, 0.0, 0.0) and abs(out.cash_gap) < 1e-9
    moved = ledger(position=2.0, cash=CONFIG.start_cash - 200.5 + 1000.0 - 3.0, funding=3.0, cash_flows=1000.0)
    out = check(books=moved)
    assert out.matched == 1 and abs(out.cash_gap) < 1e-9


def test_a_planted_gap_is_told_within_one_bar_and_counts_once_it_has_lasted_longer_than_grace():
    check = Sim()
    wrong = ledger(position=1.5, cash=CONFIG.start_cash - 200.5)
    first = check(fill(2.0), books=wrong)
    assert first.position_gap[0] == 0.5 and first.matched == 1
    assert [check(books=wrong).matched for _ in range(3)] == [1, 0, 0]
    assert check(books=ledger(position=2.0, cash=CONFIG.start_cash - 200.5)).matched == 1


def test_a_gap_of_cash_counts_too_and_one_of_rounding_does_not():
    check = Sim()
    out = [check(books=ledger(cash=CONFIG.start_cash - 5.0)) for _ in range(3)]
    assert out[0].cash_gap == 5.0 and [o.matched for o in out] == [1, 1, 0]
    check = Sim()
    assert [check(books=ledger(cash=CONFIG.start_cash - 1e-4)).matched for _ in range(5)] == [1] * 5


def test_an_order_that_the_venue_never_answers_is_missing():
    check = Sim()
    asked = table(orders=[(0, 0, 8, SUBMITTED, 1.0, 0.0), (1, 0, 12, ACCEPTED, 1.0, 0.0)])
    out = [check(orders=asked) for _ in range(5)]
    assert [o.missing_orders[0] for o in out] == [0.0, 1.0, 1.0, 1.0, 1.0] and [o.matched for o in out] == [1, 1, 1, 0, 0]
    late = Sim(config=CONFIG._replace(extra_latency_bars=2))
    assert [late(orders=asked).missing_orders[0] for _ in range(4)] == [0.0, 0.0, 0.0, 1.0]
    other = Sim()
    renewed = [other(orders=table(orders=[(0, 0, 4 * k, SUBMITTED, 1.0, 0.0)])).missing_orders[0] for k in range(1, 6)]
    assert renewed == [0.0] * 5  # each is another order, one bar on its way


def test_reports_of_unknown_orders_count_while_they_come():
    check = Sim()
    assert [check(orders=table(unknown=1.0)).matched for _ in range(4)] == [1, 1, 0, 0]
    assert check().matched == 1


def test_between_bars_nothing_counts():
    check = Sim()
    wrong = ledger(position=1.0)
    assert [check(books=wrong, is_bar=0).matched for _ in range(6)] == [1] * 6


def test_unknown_books_are_no_match():
    check = Sim(2)
    out = [check(books=ledger(2, position=[0.0, math.nan])) for _ in range(3)]
    assert np.isnan(out[0].position_gap[1]) and out[0].position_gap[0] == 0.0 and out[-1].matched == 0


@pytest.mark.parametrize("latency", [0, 2])
def test_in_a_closed_loop_with_fills_stops_flows_and_latency_it_never_turns_false(latency):
    config = CONFIG._replace(extra_latency_bars=latency)
    rng = np.random.default_rng(latency)
    loop, check = Loop(2, config), Sim(2, config)
    price = np.array([100.0, 50.0])
    for t in range(200):
        close = price * np.exp(0.01 * rng.standard_normal(2))
        high, low = np.maximum(price, close) * 1.003, np.minimum(price, close) * 0.997
        bars = [(price[s], high[s], low[s], close[s], 5e4) for s in range(2)]
        want = leaving(2) if t % 40 > 30 else approval(0.3 * np.sign(rng.standard_normal(2)) * (rng.random(2) > 0.3))
        cash = {"operator": OPERATOR_CASH_FLOW, "amount": 500.0} if t == 90 else {}
        step = loop(bars, want, funding=[1e-4, -1e-4] if t % 60 == 59 else None, **cash)
        out = check(step.fills, step.orders, step.ledger, **cash)
        assert out.matched == 1 and (np.abs(out.position_gap) < 1e-9).all() and abs(out.cash_gap) < 1e-4, t
        price = close
    assert step.ledger.fees > 0.0


# ---- against snapshots


class Live:
    def __init__(self, n=1, layer=l98_reconciliation__live):
        self.n, self.layer, self.t = n, layer, 0
        self.carry = carry(l98_reconciliation__live, n, CONFIG)

    def __call__(
        self,
        position=0.0,
        count=0.0,
        cash=CONFIG.start_cash,
        age=0.0,
        orders=None,
        books=None,
        is_bar=1,
        unknown=0.0,
        missing=0.0,
    ):
        self.t += is_bar
        at = [np.array(np.broadcast_to(np.asarray(x, float), (self.n,))) for x in (position, count, unknown, missing)]
        snapshot = VenueSnapshot(age, at[0], at[1], cash, at[2], at[3])
        orders, books = orders or table(self.n), books or ledger(self.n)
        return self.layer(snapshot, orders, books, clock(self.t, is_bar=is_bar), CONFIG, self.carry)


def test_a_snapshot_that_agrees_matches_and_an_old_one_or_none_does_not():
    check = Live()
    assert check().matched == 1 and check(age=5.0).matched == 1
    for age in (5.5, math.nan, math.inf):
        assert check(age=age).matched == 0
    assert check().matched == 1


def test_a_fill_in_flight_never_turns_matched_false():
    working = table(orders=[(0, 0, 8, ACCEPTED, 3.0, 1.0)], count=1.0)
    check = Live()
    for gap in (0.5, 2.0, 1.0, 2.0, 2.0, 2.0):  # the venue has filled up to what is left of the order, and we do not know yet
        assert check(position=gap, count=1.0, orders=working).matched == 1
    beyond = [check(position=2.5, count=1.0, orders=working).matched for _ in range(4)]
    other_side = [Live()(position=-0.5, count=1.0, orders=working).matched]
    assert beyond == [1, 1, 0, 0] and other_side == [1]
    done = table(orders=[(0, 0, 8, FILLED, 3.0, 1.0)])
    late = Live()
    assert [late(position=1.0, orders=done).matched for _ in range(3)] == [1, 1, 0]


def test_orders_that_only_one_side_knows_are_told():
    check = Live()
    out = [check(count=2.0, orders=table(count=1.0)) for _ in range(3)]
    assert out[0].unknown_orders[0] == 1.0 and out[-1].matched == 0
    out = [Live()(count=0.0, orders=table(count=3.0))]
    assert out[0].missing_orders[0] == 3.0 and out[0].unknown_orders[0] == 0.0


def test_one_missing_and_one_unknown_make_no_match():
    """By their number alone the two would agree."""
    check = Live()
    out = [check(count=1.0, unknown=1.0, missing=1.0, orders=table(count=1.0)) for _ in range(3)]
    assert [each.matched for each in out] == [1, 1, 0]
    assert out[-1].unknown_orders[0] == 1.0 and out[-1].missing_orders[0] == 1.0
    assert check(count=1.0, orders=table(count=1.0)).matched == 1


def test_cash_has_a_tolerance_of_its_own():
    most = CONFIG.reconcile_cash_tolerance * (1.0 + 2.0 * CONFIG.start_cash)
    within, beyond = Live(), Live()
    assert [within(cash=CONFIG.start_cash + 0.99 * most).matched for _ in range(3)] == [1, 1, 1]
    assert [beyond(cash=CONFIG.start_cash - 1.01 * most).matched for _ in range(3)] == [1, 1, 0]


hostile = st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0, -1.0, CONFIG.start_cash])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(*[hostile] * 8, st.integers(0, 1)), min_size=1, max_size=8))
def test_for_any_input_it_keeps_its_range_and_compiled_is_plain(rows):
    sims, lives = (
        [Sim(), Sim(layer=COMPILED[l98_reconciliation__sim])],
        [Live(), Live(layer=COMPILED[l98_reconciliation__live])],
    )
    for q, p, position, cash, unknown, venue, count, age, is_bar in rows:
        books = ledger(position=position, cash=cash)
        orders = table(orders=[(0, 0, 8, SUBMITTED, q, p)], unknown=unknown if unknown >= 0 else 0.0)
        with np.errstate(all="ignore"):
            a, b = (s(fill(q, p), orders, books, is_bar) for s in sims)
            c, d = (s(venue, count, cash, age, orders, books, is_bar, unknown, q) for s in lives)
        assert same_bits(a, b) and same_bits(c, d)
        for out in (a, c):
            assert out.matched in (0, 1) and not np.isinf(out.position_gap).any() and not math.isinf(out.cash_gap)
            assert (out.missing_orders >= 0).all()
