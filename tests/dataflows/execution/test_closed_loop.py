"""The execution layers around the loop, whatever the market does and the gate approves: what must hold at every instant.

The gate of these tests approves weights, halts, exits, and trails stops as they are drawn; markets gap, dry up, go dark and pay
funding; the venue's rules are drawn, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dataflows.execution.l5_execution_bridge import l5_execution_bridge
from dataflows.execution.order_table import LIVE
from dataflows.execution.types import DROPS, FILL, MARKET, PLACE, REJECT, REJECTIONS, STOP_MARKET, Ledger, Orders
from dataflows.risk.types import APPROVED, EXIT, HOLD, Approval
from tests.dataflows.execution.double_entry import DoubleEntry
from tests.dataflows.execution.loop import COMPILED, Loop, Step, approval, name_of
from tests.dataflows.execution.support import CONFIG, NAN, entries_of, same_bits, trimmed

N = 2
BREAKS_A_RULE = {"BAD_QUANTITY", "BAD_PRICE", "PRICE_BAND", "MIN_NOTIONAL", "NO_SHORT", "MOST_ORDERS", "NO_ROOM"}


class Move(NamedTuple):
    """What one instant brings to one symbol."""

    gap: float  # from the close before to the open
    trend: float  # from the open to the close
    wick: float
    volume: float
    known: bool
    weight: float
    word: str  # of the gate: go, exit, halt, hold, trail
    funding: float


MOVES = st.builds(
    Move,
    gap=st.sampled_from([0.0, 0.0, 0.001, -0.02, -0.08, 0.06]),
    trend=st.sampled_from([0.0, 0.003, -0.004, 0.02, -0.03, -0.07]),
    wick=st.sampled_from([0.0, 0.001, 0.03]),
    volume=st.sampled_from([0.0, 3.0, 200.0, 5_000.0, 100_000.0]),
    known=st.sampled_from([True, True, True, True, False]),
    weight=st.sampled_from([0.3, 0.2, 0.19, 0.05, 0.0, -0.1, -0.3]),
    word=st.sampled_from(["go", "go", "go", "exit", "halt", "hold", "trail"]),
    funding=st.sampled_from([0.0, 0.0, 0.0, 0.001, -0.002, NAN]),
)
STORY = st.lists(st.tuples(st.sampled_from([1, 1, 1, 1, 0]), MOVES, MOVES), min_size=4, max_size=24)
FACTS = st.fixed_dictionaries(
    {
        "lot_size": st.sampled_from([0.0, 0.001, 0.1, 3.0]),
        "tick_size": st.sampled_from([0.0, 0.01, 0.5]),
        "min_notional": st.sampled_from([0.0, 5.0, 800.0]),
        "reduce_only_exempt": st.sampled_from([0, 1]),
        "price_band_bps": st.sampled_from([0.0, 30.0]),
        "long_only": st.sampled_from([0, 0, 1]),
        "margin": st.sampled_from([0.0, 0.1, 1.0]),
        "most_orders": st.sampled_from([0, 8]),
    }
)
KEYS = st.fixed_dictionaries(
    {
        "style_limit_ratio": st.sampled_from([1e-9, 2.0, 1e9]),
        "slice_bars": st.sampled_from([1, 3]),
        "headroom": st.sampled_from([0.0, 0.02]),
        "extra_latency_bars": st.sampled_from([0, 0, 0, 1]),
        "slots": st.sampled_from([10, 16]),
    }
)


def tell(
    story: list[Any], facts: dict[str, float], keys: dict[str, Any], layers: Any = COMPILED
) -> Iterator[tuple[Loop, list[Move], Step, Any]]:
    """Runs a story: at each instant its moves, what the layers gave, and the bridge's memory before it spoke.

    The order table is the layers' own: it must be looked at before the next instant.
    """
    style = {"style_post_ratio": max(4.0, keys["style_limit_ratio"] * 2.0)}
    config = CONFIG._replace(**keys, **style)
    loop = Loop(N, config, layers=layers, **{k: [v] * N for k, v in facts.items()})
    close = [100.0, 40.0]
    for is_bar, *moves in story:
        bars = []
        for s, m in enumerate(moves):
            open_ = close[s] * (1.0 + m.gap)
            last = open_ * (1.0 + m.trend)
            high, low = max(open_, last) * (1.0 + m.wick), min(open_, last) * (1.0 - m.wick)
            bars.append((open_, high, low, last, m.volume) if m.known and is_bar else (NAN,) * 5)
            close[s] = last if m.known and is_bar else close[s]

        def approve(orders: Orders, ledger: Ledger, moves: list[Move] = moves) -> Approval:
            return the_gate(orders, ledger, moves)

        before = tuple(x.copy() for x in loop.carries["l5_execution_bridge"])
        known = [int(m.known) for m in moves]
        step = loop(bars, approve, is_bar=is_bar, valid=known, funding=[m.funding for m in moves])
        yield loop, moves, step, before


def the_gate(orders: Orders, ledger: Ledger, moves: list[Move]) -> Approval:
    """Approves as L4 would: exits give 0, a halt or a hold leaves the position, a change of side is a close."""
    given: dict[str, list[Any]] = {k: [] for k in ("weights", "verdict", "halt", "reduce_only", "active_stop")}
    for s, m in enumerate(moves):
        held, mark = float(ledger.position[s]), float(ledger.mark[s])
        now = held * mark / ledger.equity if held and ledger.equity > 0.0 else 0.0
        stop = float(orders.bracket_stop[s])
        if m.word == "trail" and held and mark == mark:
            near = mark * (0.99 if held > 0.0 else 1.01)
            stop = near if math.isnan(stop) else max(stop, near) if held > 0.0 else min(stop, near)
        leaves = m.word == "exit" or m.weight == 0.0 or m.weight * held < 0.0
        stays = m.word in ("halt", "hold")
        weight = now if stays else 0.0 if leaves else m.weight
        given["weights"].append(weight)
        given["verdict"].append(HOLD if stays else EXIT if leaves else APPROVED)
        given["halt"].append(int(m.word == "halt"))
        given["reduce_only"].append(int(stays or leaves or abs(weight) < abs(now)))
        given["active_stop"].append(stop if held else NAN)
    return approval(given.pop("weights"), **given)


def closable(held: float, mark: float, facts: dict[str, float]) -> float:
    """What of a position the venue would let go: whole lots, worth enough."""
    lot, size = facts["lot_size"], abs(held)
    whole = size if not lot else math.floor(size / lot + 1e-9) * lot
    if not facts["reduce_only_exempt"] and whole * mark < facts["min_notional"]:
        return 0.0
    return whole


def check(story: list[Any], facts: dict[str, float], keys: dict[str, Any]) -> None:
    books = DoubleEntry(N, CONFIG.start_cash)
    marks = [NAN] * N
    filled: dict[int, float] = {}
    asked: dict[int, float] = {}
    rules_hold = keys["extra_latency_bars"] == 0  # an order that waits is judged by another close than the one it was made at
    for (is_bar, *_), (loop, moves, step, before) in zip(story, tell(story, facts, keys), strict=True):
        if is_bar:
            books.pay_funding([m.funding for m in moves], marks)
        books.take(step.fills)
        books.agrees(step.ledger)
        marks = [float(x) for x in step.ledger.mark]
        _bridge_says_it_again(step, before, loop)
        _orders_fill_upwards_and_no_further(step, filled, asked)
        if rules_hold:
            reasons = {REJECTIONS[e["reason"]] for e in entries_of(step.fills) if e["kind"] == REJECT}
            assert not reasons & BREAKS_A_RULE, reasons
        for s in range(N):
            _stays_within_the_approved(step, s)
            _rounding_adds_no_risk(step, s)
            _exits_go_out(step, s, facts)
            _is_protected(step, s, facts)
        if facts["long_only"]:
            assert (step.ledger.position >= 0.0).all()


def _bridge_says_it_again(step: Step, before: Any, loop: Loop) -> None:
    """The same state gives the same intents with the same ids, to the bit."""
    again = type(loop.carries["l5_execution_bridge"])(*before)
    row, at = loop.seen
    told = l5_execution_bridge(
        row, step.approval, step.constrained, step.orders, step.ledger, loop.instruments, at, loop.config, again
    )
    assert same_bits(trimmed(told), step.intents)
    assert same_bits(tuple(again), tuple(loop.carries["l5_execution_bridge"]))


def _orders_fill_upwards_and_no_further(step: Step, filled: dict[int, float], asked: dict[int, float]) -> None:
    assert not step.orders.overfilled.any()
    assert not step.orders.unknown.any()
    for e in entries_of(step.intents):
        if e["kind"] == PLACE:
            assert e["id"] not in asked, "an id is used once"
            asked[e["id"]] = abs(e["quantity"])
    for e in entries_of(step.fills):
        if e["kind"] == FILL:
            assert e["quantity"] != 0.0
            filled[e["id"]] = filled.get(e["id"], 0.0) + abs(e["quantity"])
    for order, done in filled.items():
        if order in asked and order % 4 == 0 and order not in _stops(step):
            assert done <= asked[order] * (1.0 + 1e-9)


def _stops(step: Step) -> set[int]:
    """Stops are for the whole position, whatever it becomes."""
    return {int(i) for i, t in zip(step.orders.id.ravel(), step.orders.type.ravel(), strict=True) if t == STOP_MARKET}


def _stays_within_the_approved(step: Step, s: int) -> None:
    """Position, working entries that are not on their way out, and what is placed now: all filled, it is within the target."""
    placed = [
        e["quantity"] for e in entries_of(step.intents) if e["kind"] == PLACE and not e["reduce_only"] and e["symbol"] == s
    ]
    if not placed:
        return
    target = float(step.approval.target_weight[s] * step.ledger.equity / step.ledger.mark[s])
    side = math.copysign(1.0, target)
    held = float(step.ledger.position[s])
    working = [
        float(q - f)
        for q, f, status, only in zip(
            step.orders.quantity[:, s],
            step.orders.filled[:, s],
            step.orders.status[:, s],
            step.orders.reduce_only[:, s],
            strict=True,
        )
        if status in LIVE and not only
    ]
    total = held + sum(placed) + sum(w for w in working if w * side > 0.0)
    assert 0.0 < side * total <= abs(target) * (1.0 + 1e-8)


def _rounding_adds_no_risk(step: Step, s: int) -> None:
    held, asked, fit = float(step.ledger.position[s]), float(step.slice.quantity[s]), float(step.constrained.quantity[s])
    if held * fit >= 0.0:
        assert abs(fit) <= abs(asked) * (1.0 + 1e-9), "an entry is never rounded up"
    else:
        assert abs(fit) <= abs(held) * (1.0 + 1e-9), "a reduction never goes beyond the position"
        assert fit == 0.0 or abs(fit) >= min(abs(asked), closable_of(step, s)) * (1.0 - 1e-9), "and is never rounded down"


def closable_of(step: Step, s: int) -> float:
    return abs(float(step.ledger.position[s])) - float(step.constrained.dust[s])


def _exits_go_out(step: Step, s: int, facts: dict[str, float]) -> None:
    """Where the gate wants out, all that the venue would let go is at work; the rest is reported as dust."""
    held, mark = float(step.ledger.position[s]), float(step.ledger.mark[s])
    if not held or step.approval.verdict[s] != EXIT:
        return
    free = closable(held, mark, facts)
    placed = sum(
        e["quantity"]
        for e in entries_of(step.intents)
        if e["kind"] == PLACE and e["symbol"] == s and e["reduce_only"] and e["type"] != STOP_MARKET
    )
    out = abs(placed + float(step.orders.working_reduce[s]))
    least = 0.0 if facts["reduce_only_exempt"] else facts["min_notional"] / mark
    assert out >= free - max(least, facts["lot_size"]) - 1e-9 or out >= free * (1.0 - 1e-9)
    assert out > 0.0 or free == 0.0, "an exit is never dropped"
    if free < abs(held) * (1.0 - 1e-9):
        assert step.constrained.dust[s] >= (abs(held) - free) * (1.0 - 1e-6), "what cannot be closed is reported"
        assert free > 0.0 or DROPS[step.constrained.dropped[s]] in ("LOT", "MIN_NOTIONAL")


def _is_protected(step: Step, s: int, facts: dict[str, float]) -> None:
    held = float(step.ledger.position[s])
    if not held:
        return
    exits = [e for e in entries_of(step.intents) if e["kind"] == PLACE and e["symbol"] == s and e["reduce_only"]]
    guarded = step.orders.stop_id[s] != 0 or step.orders.working_reduce[s] != 0.0 or exits
    assert (
        guarded
        or closable(held, float(step.ledger.mark[s]), facts) < max(facts["lot_size"], 1e-9)
        or not _sellable(held, facts)
    )


def _sellable(held: float, facts: dict[str, float]) -> bool:
    return abs(held) >= facts["lot_size"]


SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@settings(SETTINGS, max_examples=200)
@given(STORY, FACTS, KEYS)
def test_whatever_comes_the_account_adds_up_and_the_orders_keep_to_the_rules(
    story: list[Any], facts: dict[str, float], keys: dict[str, Any]
) -> None:
    check(story, facts, keys)


@pytest.mark.long
@settings(SETTINGS, max_examples=4000, phases=(Phase.generate,))
@given(STORY, FACTS, KEYS)
def test_whatever_comes_in_thousands_of_stories(story: list[Any], facts: dict[str, float], keys: dict[str, Any]) -> None:
    check(story, facts, keys)


def test_the_stories_do_trade() -> None:
    """A property of an account that never moves proves nothing."""
    rng = np.random.default_rng(3)

    def move() -> Move:
        return Move(0.0, float(rng.normal(0.0, 0.01)), 0.001, 1e5, True, float(rng.choice([0.3, 0.2, -0.2])), "go", 0.0)

    story = [(1, move(), move()) for _ in range(60)]
    free = dict.fromkeys(("lot_size", "tick_size", "min_notional", "price_band_bps", "long_only", "margin", "most_orders"), 0)
    keys = {"style_limit_ratio": 2.0, "slice_bars": 1, "headroom": 0.02, "extra_latency_bars": 0, "slots": 16}
    steps = [step for _, _, step, _ in tell(story, {**free, "reduce_only_exempt": 1}, keys)]
    kinds = [e["kind"] for step in steps for e in entries_of(step.fills)]
    types = {e["type"] for step in steps for e in entries_of(step.intents) if e["kind"] == PLACE}
    assert kinds.count(FILL) > 60
    assert types >= {MARKET}
    assert name_of(l5_execution_bridge) in COMPILED
