"""Between two bars: what is measured per bar does not move, and each operator command has its documented effect."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import (
    OPERATOR_CANCEL,
    OPERATOR_CASH_FLOW,
    OPERATOR_FLATTEN,
    OPERATOR_HALT,
    OPERATOR_NONE,
    OPERATOR_REBASE,
    OPERATOR_RELEASE,
    Observations,
)
from dataflows.execution import types as ex
from dataflows.execution.order_table import LIVE
from dataflows.risk.types import FLATTEN, HALT, KILL_OPERATOR_FLATTEN, KILL_OPERATOR_HALT, RUN
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk, Instant, Outputs, cut
from drivers.engine.engine import Engine
from tests.properties.graph import differs, engine_of, flat, plan_of
from tests.properties.market import instruments, market

PLAN = plan_of()
DATA = market(symbols=3)
FIRST, LAST = 1440, 1640  # bars in which there is trade


def bar(engine: Engine, t: int) -> Outputs:
    return engine.advance(Chunk(DATA.time[t : t + 1], {"observations": cut(DATA, Observations, t, t + 1)}))


@functools.cache
def warm() -> bytes:
    """The state before the first of these bars."""
    engine = engine_of(PLAN, instruments(3), 5)
    for a, b in ((0, 900), (900, FIRST)):  # a midnight between them
        engine.advance(Chunk(DATA.time[a:b], {"observations": cut(DATA, Observations, a, b)}))
    return save(engine)


def begun(*, compiled: bool = True) -> Engine:
    engine = engine_of(PLAN, instruments(3), 5, compiled=compiled)
    restore(engine, warm())
    return engine


def streamed(commands: Mapping[int, list[int]], *, compiled: bool = True) -> list[Outputs]:
    """Bars one by one; after bar t the operator commands of `commands[t]`, a second apart. The bars' outputs alone."""
    engine = begun(compiled=compiled)
    made = []
    for t in range(FIRST, LAST):
        made.append(bar(engine, t))
        for i, command in enumerate(commands.get(t, [])):
            engine.react(Instant(int(DATA.time[t]) + (i + 1) * 1_000_000_000, command))
    return made


@functools.cache
def undisturbed() -> dict[str, dict[str, Any]]:
    return flat(PLAN, streamed({}))


def test_the_market_makes_the_account_side_work() -> None:
    found = undisturbed()
    assert len(found["l90_fills"]["id"]) > 10
    assert np.ptp(found["l97_ledger"]["drawdown"]) > 0.0


@settings(max_examples=12, deadline=None)
@given(st.dictionaries(st.integers(FIRST, LAST - 2), st.integers(1, 3), max_size=100))
def test_an_instant_without_a_command_changes_nothing_that_a_bar_says(instants: dict[int, int]) -> None:
    """Marks, peaks, loss limits, cooldowns, bars held, slices, volumes, and every fill."""
    found = flat(PLAN, streamed({t: [OPERATOR_NONE] * n for t, n in instants.items()}))
    for layer in (
        "l97_ledger",
        "l92_loss_limits",
        "l91_drawdown_throttle",
        "l81_kill_switch",
        "l94_position_exits",
        "l4_risk_gate",
    ):
        for field, x in undisturbed()[layer].items():
            assert not differs(x, found[layer][field]), f"{layer}.{field} {differs(x, found[layer][field])}"
    for field, x in fills(undisturbed()).items():
        assert not differs(x, fills(found)[field]), field


def fills(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What was filled; a cancel may be answered between bars."""
    log = found["l90_fills"]
    return {field: log[field][log["kind"] == ex.FILL] for field in ("symbol", "id", "quantity", "price", "fee", "fill_id")}


# ---- operator commands


@functools.cache
def _trading() -> tuple[bytes, Outputs, int]:
    engine = begun()
    for t in range(FIRST, LAST):
        out = bar(engine, t)
        table = table_of(engine)
        entries = table["live"] & ~table["reduces"] & (table["status"] != ex.PENDING_CANCEL)
        held = (out.values["l97_ledger"].position[0] != 0.0) & (out.values["l96_order_lifecycle"].stop_id[0] != 0)
        if entries.any() and held.any():
            return save(engine), out, t
    raise AssertionError("the market never has all three at once")


def trading() -> tuple[Engine, Outputs, int]:
    """An engine after a bar with a position, its stop and a working entry; that bar's outputs and number."""
    blob, out, t = _trading()
    engine = engine_of(PLAN, instruments(3), 5)
    restore(engine, blob)
    return engine, out, t


def table_of(engine: Engine) -> dict[str, Any]:
    """The order table as it is."""
    carry = engine.arena.values["l96_order_lifecycle__carry"]
    identity, status, _, reduces = (carry.codes[i].copy() for i in range(4))
    live = np.isin(status, LIVE)
    return {"id": identity, "live": live & (identity != 0), "reduces": reduces != 0, "status": status}


def send(engine: Engine, command: int, amount: float = 0.0, symbol: int = -1, subject: int = 0) -> Outputs:
    return engine.react(Instant(engine.last_time + 1_000_000_000, command, amount, symbol=symbol, subject=subject))


def told(out: Outputs) -> list[tuple[int, int, float, bool]]:
    """(kind, id, quantity, whether it may reduce only) of what the venue is told."""
    log = out.values["l5_execution_bridge"]
    return [(int(log.kind[i]), int(log.id[i]), float(log.quantity[i]), bool(log.reduce_only[i])) for i in range(log.n)]


def grows(out: Outputs) -> bool:
    """Whether the venue is told to enter."""
    return any(kind == ex.PLACE and not reduces for kind, _, _, reduces in told(out))


def entered(out: Outputs) -> set[int]:
    """The symbols in which the venue is told to enter."""
    log = out.values["l5_execution_bridge"]
    return {int(log.symbol[i]) for i in range(log.n) if log.kind[i] == ex.PLACE and not log.reduce_only[i]}


def told_but_of(out: Outputs, symbol: int) -> list[tuple[int, int, float]]:
    """What the venue is told of the other symbols."""
    log = out.values["l5_execution_bridge"]
    return [(int(log.kind[i]), int(log.id[i]), float(log.quantity[i])) for i in range(log.n) if log.symbol[i] != symbol]


def unprotected(out: Outputs) -> list[int]:
    """The symbols whose position has no stop at rest."""
    held = out.values["l97_ledger"].position[0] != 0.0
    return np.flatnonzero(held & (out.values["l96_order_lifecycle"].stop_id[0] == 0)).tolist()


def level(out: Outputs) -> int:
    return int(out.values["l81_kill_switch"].overall[0])


def test_halt_cancels_working_entries_at_once_and_keeps_stops() -> None:
    engine, _, t = trading()
    orders = engine.arena.values["orders"]  # what the last close decided is under way, too
    table = table_of(engine)
    working = set(table["id"][table["live"] & ~table["reduces"] & (table["status"] != ex.PENDING_CANCEL)].tolist())
    sent = range(int(orders.n[0]))
    working |= {int(orders.id[i]) for i in sent if orders.kind[i] == ex.PLACE and not orders.reduce_only[i]}
    working -= {int(orders.id[i]) for i in sent if orders.kind[i] == ex.CANCEL}
    assert working
    out = send(engine, OPERATOR_HALT)
    assert level(out) == HALT
    canceled = {order for kind, order, _, _ in told(out) if kind == ex.CANCEL}
    assert working <= canceled
    stops = set(out.values["l96_order_lifecycle"].stop_id[0].tolist()) - {0}
    assert stops
    assert not stops & canceled
    assert not grows(out)
    for k in range(t + 1, t + 60):  # nor for as long as it holds
        at = bar(engine, k)
        assert level(at) >= HALT
        assert not grows(at)
        held = at.values["l97_ledger"].position[0] != 0.0
        table = table_of(engine)
        assert not (table["live"] & ~table["reduces"]).any() or k < t + 3
        unprotected = held & (at.values["l96_order_lifecycle"].stop_id[0] == 0)
        assert not unprotected.any()


def test_flatten_closes_everything_reduce_only() -> None:
    engine, before, t = trading()
    out = send(engine, OPERATOR_FLATTEN)
    assert level(out) == FLATTEN
    position = before.values["l97_ledger"].position[0]
    log, table = out.values["l5_execution_bridge"], out.values["l96_order_lifecycle"]
    assert not grows(out)
    for n in np.flatnonzero(position):
        mine = [i for i in range(log.n) if log.symbol[i] == n and log.kind[i] == ex.PLACE and log.type[i] == ex.MARKET]
        assert sum(log.quantity[i] for i in mine) + table.working_reduce[0, n] == pytest.approx(-position[n], rel=1e-9)
    for k in range(t + 1, t + 40):
        after = bar(engine, k)
        assert not grows(after)
    assert not after.values["l97_ledger"].position[0].any()


@pytest.mark.parametrize("command", [OPERATOR_HALT, OPERATOR_FLATTEN])
def test_release_lifts_what_the_operator_latched_and_nothing_grows_before_the_next_close(command: int) -> None:
    engine, _, t = trading()
    send(engine, command)
    assert level(bar(engine, t + 1)) > RUN
    out = send(engine, OPERATOR_RELEASE)
    assert level(out) == RUN
    assert not grows(out)
    assert any(grows(bar(engine, k)) for k in range(t + 2, t + 150))


def test_rebase_measures_drawdown_from_here() -> None:
    engine, before, t = trading()
    while not before.values["l97_ledger"].drawdown[0] > 0.0:
        t += 1
        before = bar(engine, t)
    ledger = send(engine, OPERATOR_REBASE).values["l97_ledger"]
    assert ledger.peak[0] == ledger.equity[0]
    assert ledger.drawdown[0] == 0.0
    after = bar(engine, t + 1).values["l97_ledger"]
    assert after.drawdown[0] == max(0.0, 1.0 - after.equity[0] / after.peak[0])


@settings(max_examples=20, deadline=None)
@given(st.floats(-50_000.0, 1e6).filter(lambda x: abs(x) > 1.0))
def test_a_cash_flow_moves_equity_by_itself_and_changes_no_drawdown_and_no_loss(amount: float) -> None:
    engine, before, t = trading()
    twin, _, _ = trading()
    out = send(engine, OPERATOR_CASH_FLOW, amount=amount).values
    send(twin, OPERATOR_NONE)
    then, now = before.values["l97_ledger"], out["l97_ledger"]
    assert now.equity[0] == pytest.approx(then.equity[0] + amount, rel=1e-12)
    assert now.drawdown[0] == then.drawdown[0]
    assert now.peak[0] / now.equity[0] == pytest.approx(then.peak[0] / then.equity[0], rel=1e-12)
    assert out["l92_loss_limits"].day_pnl[0] == before.values["l92_loss_limits"].day_pnl[0]
    ours, theirs = (bar(e, t + 1).values["l92_loss_limits"].day_pnl[0] for e in (engine, twin))
    assert ours == pytest.approx(theirs, abs=2e-4)  # fills of the next bar may differ; the flow itself is neither gain nor loss


@settings(max_examples=8, deadline=None)
@given(st.dictionaries(st.integers(FIRST, LAST - 2), st.lists(st.integers(0, 4), min_size=1, max_size=3), max_size=30))
def test_whatever_is_commanded_compiled_and_plain_are_the_same_bits(commands: dict[int, list[int]]) -> None:
    one, two = flat(PLAN, streamed(commands)), flat(PLAN, streamed(commands, compiled=False))
    for node in PLAN.stage["step"]:
        for field, x in one[node.name].items():
            assert not differs(x, two[node.name][field]), f"{node.name}.{field}"


# ---- about one symbol, one order, one latch


@pytest.mark.parametrize("command", [OPERATOR_HALT, OPERATOR_FLATTEN])
@pytest.mark.parametrize("symbol", [0, 1, 2])
def test_a_word_about_one_symbol_lets_nothing_of_it_grow_and_touches_no_other(symbol: int, command: int) -> None:
    engine, _, t = trading()
    twin, _, _ = trading()
    ours, theirs = send(engine, command, symbol=symbol), send(twin, OPERATOR_NONE)
    assert told_but_of(ours, symbol) == told_but_of(theirs, symbol)
    others = [n for n in range(3) if n != symbol]
    for k in range(t + 1, t + 60):
        at, level_of = bar(engine, k), bar(twin, k).values["l81_kill_switch"].level[0]
        assert at.values["l81_kill_switch"].level[0, symbol] == (HALT if command == OPERATOR_HALT else FLATTEN)
        assert symbol not in entered(at)
        assert not unprotected(at)
        for n in others:
            assert at.values["l81_kill_switch"].level[0, n] == level_of[n]
    table = table_of(engine)
    assert not (table["live"] & ~table["reduces"])[:, symbol].any()
    if command == OPERATOR_FLATTEN:
        assert at.values["l97_ledger"].position[0, symbol] == 0.0
        assert not table["live"][:, symbol].any()
    released = send(engine, OPERATOR_RELEASE, symbol=symbol)
    assert released.values["l81_kill_switch"].level[0, symbol] == level(released)
    assert not grows(released)


def test_a_flattened_symbol_is_entered_again_after_its_release() -> None:
    engine, before, t = trading()
    symbol = int(np.flatnonzero(before.values["l97_ledger"].position[0])[0])
    send(engine, OPERATOR_FLATTEN, symbol=symbol)
    for k in range(t + 1, t + 20):
        assert symbol not in entered(bar(engine, k))
    send(engine, OPERATOR_RELEASE, symbol=symbol)
    assert any(symbol in entered(bar(engine, k)) for k in range(t + 20, LAST + 200))


def live_orders(engine: Engine) -> list[tuple[int, int]]:
    """(symbol, id) of what may be canceled: the orders that work, and those that the last close sent."""
    table, sent = table_of(engine), engine.arena.values["orders"]
    found = [
        (n, int(table["id"][m, n]))
        for m, n in np.argwhere(table["live"] & (table["status"] != ex.PENDING_CANCEL))
        if int(table["id"][m, n]) not in {int(sent.id[i]) for i in range(int(sent.n[0])) if sent.kind[i] == ex.CANCEL}
    ]
    return found + [(int(sent.symbol[i]), int(sent.id[i])) for i in range(int(sent.n[0])) if sent.kind[i] == ex.PLACE]


def cancels(out: Outputs) -> set[int]:
    return {order for kind, order, _, _ in told(out) if kind == ex.CANCEL}


def test_a_cancel_takes_that_order_off_and_no_other_and_never_the_stop_of_a_position() -> None:
    seen = {"stop": 0, "target": 0, "entry": 0}
    engine, _, t = trading()
    ours, theirs = begun(), begun()
    state = save(engine)
    for k in range(t + 1, t + 40):
        restore(theirs, state)
        plain = send(theirs, OPERATOR_NONE)
        held, stops = plain.values["l97_ledger"].position[0] != 0.0, plain.values["l96_order_lifecycle"].stop_id[0].copy()
        for symbol, order in live_orders(engine):
            stays = held[symbol] and stops[symbol] == order
            kind = "stop" if stays else "target" if order & 3 == 2 else "entry"
            if seen[kind] >= 4:
                continue
            restore(ours, state)
            restore(theirs, state)
            at, plain = send(ours, OPERATOR_CANCEL, symbol=symbol, subject=order & 0xFFFFFFFF), send(theirs, OPERATOR_NONE)
            seen[kind] += 1
            assert cancels(at) == cancels(plain) | (set() if stays else {order})
            assert told_but_of(at, symbol) == told_but_of(plain, symbol)
            after, other = bar(ours, k), bar(theirs, k)
            left, right = ({o for _, o in live_orders(e)} for e in (ours, theirs))
            new = {o for kind, o, _, _ in told(after) if kind == ex.PLACE}
            assert stays == (order in left) or not held[symbol]
            assert right - new - {order} <= left | {o for kind, o, _, _ in told(other) if kind == ex.PLACE}
            assert not unprotected(after)
        if min(seen.values()) == 4:
            return
        bar(engine, k)
        state = save(engine)
    assert min(seen.values()) >= 2, seen


def test_a_release_of_the_operators_halt_leaves_his_word_about_a_symbol() -> None:
    engine, _, _ = trading()
    send(engine, OPERATOR_HALT)
    send(engine, OPERATOR_HALT, symbol=1)
    out = send(engine, OPERATOR_RELEASE, subject=KILL_OPERATOR_HALT)
    assert out.values["l81_kill_switch"].level[0].tolist() == [RUN, HALT, RUN]
    out = send(engine, OPERATOR_RELEASE, subject=KILL_OPERATOR_FLATTEN)
    assert out.values["l81_kill_switch"].level[0].tolist() == [RUN, HALT, RUN]


WORDS = st.lists(st.tuples(st.sampled_from([1, 1, 2, 3, 6]), st.integers(-1, 2), st.integers(0, 9)), min_size=1, max_size=3)


@settings(max_examples=8, deadline=None)
@given(st.dictionaries(st.integers(FIRST, LAST - 40), WORDS, min_size=3, max_size=30))
def test_whatever_is_said_of_symbols_and_orders_a_halted_symbol_does_not_grow_and_stops_stay(
    said: dict[int, list[tuple[int, int, int]]],
) -> None:
    """The latches are counted beside the engine, by their words alone. The last word of all is FLATTEN: everything ends flat."""
    engine = begun()
    latched: dict[int, set[int]] = {n: set() for n in range(-1, 3)}
    for t in range(FIRST, LAST):
        out = bar(engine, t)
        stopped = {n for n in range(3) if latched[n] or latched[-1]}
        assert not entered(out) & stopped
        assert not unprotected(out)
        level_of = out.values["l81_kill_switch"].level[0]
        for n in range(3):
            least = FLATTEN if 2 in latched[n] | latched[-1] else HALT if n in stopped else RUN
            assert level_of[n] >= least
        for command, symbol, which in said.get(t, []) if t < LAST - 40 else [(2, -1, 0)] if t == LAST - 40 else []:
            if command == OPERATOR_CANCEL:
                live = live_orders(engine)
                n, order = live[which % len(live)] if live else (0, 4)
                assert not grows(send(engine, command, symbol=n, subject=order & 0xFFFFFFFF))
                continue
            assert not grows(send(engine, command, symbol=symbol))
            if command != OPERATOR_RELEASE:
                latched[symbol].add(command)
            else:
                for n in latched if symbol < 0 else [symbol]:
                    latched[n].clear()
    assert not out.values["l97_ledger"].position[0].any()
    assert not table_of(engine)["live"].any()
