"""The life of every order, put together from the logs: against L96's table, and across any cut."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from dataflows.execution import types as ex
from dataflows.execution.l96_order_lifecycle import l96_order_lifecycle
from drivers.store.order_history import Order, OrderHistory, order_name
from tests.dataflows.execution.support import CONFIG, carry, executions, instruments, intents
from tests.drivers.store.records import UID, logs, times

Instants = list[list[dict[str, Any]]]


def feed(history: OrderHistory, told: Instants, reports: Instants, cuts: tuple[int, ...] = ()) -> None:
    edges = [0, *cuts, len(told)]
    for a, b in pairwise(edges):
        history.add(times(a, b), *logs(ex.OrderIntents, told[a:b]), *logs(ex.Executions, reports[a:b]))


def place(sequence: int, quantity: float = 2.0, symbol: int = 0, **more: Any) -> dict[str, Any]:
    given = {"kind": ex.PLACE, "symbol": symbol, "id": UID[symbol] + sequence, "quantity": quantity, "decision_time": 7}
    return given | {"decision_price": 100.0} | more


def fill(sequence: int, number: int, quantity: float, price: float = 100.0, symbol: int = 0) -> dict[str, Any]:
    return {
        "kind": ex.FILL,
        "symbol": symbol,
        "id": UID[symbol] + sequence,
        "fill_id": UID[symbol] + number,
        "quantity": quantity,
        "price": price,
        "fee": 0.1,
        "reference_price": price,
    }


def event(kind: int, sequence: int, reason: str = "NONE", symbol: int = 0) -> dict[str, Any]:
    return {"kind": kind, "symbol": symbol, "id": UID[symbol] + sequence, "reason": ex.REJECTIONS.index(reason)}


def found(history: OrderHistory) -> dict[int, Order]:
    return {o.id & 0xFFFFFFFF: o for o in history.all()}


def test_an_entry_its_bracket_and_what_closes_it() -> None:
    history = OrderHistory(2)
    told: Instants = [[place(4, bracket_stop=95.0, bracket_target=110.0)], [], [], []]
    reports: Instants = [
        [],
        [event(ex.ACCEPT, 4), fill(4, 1, 0.5, 100.0), event(ex.ACCEPT, 5), event(ex.ACCEPT, 6)],
        [fill(4, 2, 1.5, 102.0)],
        [fill(6, 3, -2.0, 110.0), event(ex.CANCELED_EVENT, 5, "POSITION_CLOSED")],
    ]
    feed(history, told, reports)
    orders = found(history)
    assert set(orders) == {4, 5, 6}
    entry, stop, target = orders[4], orders[5], orders[6]
    assert (entry.status, entry.filled, entry.average_price, entry.time) == (ex.FILLED, 2.0, 101.5, 7)
    assert entry.fee == pytest.approx(0.2)
    assert entry.ended == times(0, 4)[2]
    assert (stop.type, stop.parent, stop.status, stop.stop_price) == (ex.STOP_MARKET, entry.id, ex.CANCELED, 95.0)
    assert stop.asked == -2.0  # it grew with the position
    assert ex.REJECTIONS[stop.end_reason] == "POSITION_CLOSED"
    assert (target.type, target.status, target.filled, target.limit_price) == (ex.TAKE_PROFIT, ex.FILLED, -2.0, 110.0)
    assert target.time == times(0, 4)[1]
    assert history.position[0] == 0.0


def test_an_intent_takes_effect_at_the_next_instant_also_across_a_cut() -> None:
    for cuts in ((), (1,), (1, 2, 3)):
        history = OrderHistory(2)
        told: Instants = [[place(4)], [{"kind": ex.CANCEL, "symbol": 0, "id": UID[0] + 4}], [], []]
        feed(history, told, [[], [event(ex.ACCEPT, 4)], [], [event(ex.CANCELED_EVENT, 4)]], cuts)
        assert found(history)[4].status == ex.CANCELED
        assert found(history)[4].ended == times(0, 4)[3]


def test_an_order_of_the_last_instant_is_on_its_way() -> None:
    history = OrderHistory(2)
    feed(history, [[], [place(4)]], [[], []])
    assert found(history)[4].status == ex.SUBMITTED
    assert history.open == {}


def test_a_cancel_that_is_not_answered_yet_is_pending() -> None:
    history = OrderHistory(2)
    feed(history, [[place(4)], [{"kind": ex.CANCEL, "symbol": 0, "id": UID[0] + 4}], []], [[], [event(ex.ACCEPT, 4)], []])
    assert found(history)[4].status == ex.PENDING_CANCEL


def test_a_trailing_stop_shows_its_last_price() -> None:
    history = OrderHistory(2)
    told: Instants = [
        [place(4, bracket_stop=95.0)],
        [],
        [{"kind": ex.MODIFY, "symbol": 0, "id": UID[0] + 5, "stop_price": 97.0}],
        [],
    ]
    feed(history, told, [[], [fill(4, 1, 2.0)], [], []])
    assert found(history)[5].stop_price == 97.0


def test_a_stop_limit_shows_both_of_its_prices_and_moves_both() -> None:
    history = OrderHistory(2)
    told: Instants = [
        [place(4, bracket_stop=95.0, bracket_limit=94.0, bracket_target=110.0)],
        [],
        [{"kind": ex.MODIFY, "symbol": 0, "id": UID[0] + 5, "stop_price": 97.0, "limit_price": 96.0}],
        [{"kind": ex.MODIFY, "symbol": 0, "id": UID[0] + 5, "stop_price": 98.0}],
        [],
    ]
    feed(history, told[:2], [[], [fill(4, 1, 2.0)]])
    stop, target = found(history)[5], found(history)[6]
    assert (stop.type, stop.stop_price, stop.limit_price, stop.decision_price) == (ex.STOP_LIMIT, 95.0, 94.0, 95.0)
    assert (target.type, target.limit_price) == (ex.TAKE_PROFIT, 110.0)
    history.add(times(2, 5), *logs(ex.OrderIntents, told[2:]), *logs(ex.Executions, [[], [], []]))
    assert (stop.stop_price, stop.limit_price, stop.decision_price) == (98.0, 96.0, 98.0)


def test_a_refusal_has_its_reason() -> None:
    history = OrderHistory(2)
    feed(history, [[place(4, type=ex.POST_ONLY)], []], [[], [event(ex.REJECT, 4, "WOULD_CROSS")]])
    assert found(history)[4].status == ex.REJECTED_ORDER
    assert ex.REJECTIONS[found(history)[4].end_reason] == "WOULD_CROSS"


def test_a_fill_that_is_told_twice_counts_once() -> None:
    history = OrderHistory(2)
    feed(history, [[place(4)], []], [[], [fill(4, 1, 0.5), fill(4, 1, 0.5)]])
    assert found(history)[4].filled == 0.5


def test_orders_that_ended_long_ago_are_given_up_and_the_rest_stays() -> None:
    history = OrderHistory(2, late=5 * 60 * 10**9)
    told: Instants = [[place(4), place(8)], *([[]] * 9)]
    reports: Instants = [[], [fill(4, 1, 2.0)], *([[]] * 8)]
    feed(history, told[:4], reports[:4])
    assert history.take_ended() == []
    history.add(times(4, 10), *logs(ex.OrderIntents, told[4:]), *logs(ex.Executions, reports[4:]))
    assert [o.id & 0xFFFFFFFF for o in history.take_ended()] == [4]
    assert set(found(history)) == {8}


def random_run(seed: int, instants: int = 150) -> tuple[Instants, Instants]:
    """Intents and hostile reports of two symbols: fills before acknowledgements, repeats, contradictions, unknown ids."""
    rng = np.random.default_rng(seed)
    told: Instants = []
    reports: Instants = []
    placed: list[list[int]] = [[], []]
    number = [0, 0]
    for _ in range(instants):
        now, heard = [], []
        for symbol in range(2):
            known = [k + d for k in placed[symbol][-4:] for d in range(3)]
            for _ in range(rng.integers(0, 3)):
                if known and rng.random() < 0.9:
                    order = int(rng.choice(known))
                    if rng.random() < 0.5:
                        number[symbol] += 1
                        again = number[symbol] - (rng.random() < 0.1 and number[symbol] > 1)
                        heard.append(fill(order, int(again), float(rng.choice([-2.0, -1.0, 1.0, 2.0])), symbol=symbol))
                    else:
                        kind = int(rng.choice([ex.ACCEPT, ex.REJECT, ex.CANCELED_EVENT, ex.EXPIRE, ex.CANCEL_REJECT]))
                        heard.append(event(kind, order, str(rng.choice(["NONE", "UNKNOWN_ORDER"])), symbol))
            if rng.random() < 0.12:
                k = 4 * (len(placed[symbol]) + 1)
                placed[symbol].append(k)
                bracket = {"bracket_stop": 95.0, "bracket_target": 110.0} if rng.random() < 0.7 else {}
                reduce_only = int(rng.random() < 0.2)
                quantity = float(rng.choice([-2.0, 2.0]))
                now.append(place(k, quantity, symbol, reduce_only=reduce_only, type=ex.MARKET, **bracket))
            elif known and rng.random() < 0.2:
                kind = int(rng.choice([ex.CANCEL, ex.MODIFY]))
                now.append({"kind": kind, "symbol": symbol, "id": UID[symbol] + int(rng.choice(known)), "stop_price": 96.0})
        told.append(now)
        reports.append(heard)
    return told, reports


@pytest.mark.parametrize("seed", range(6))
def test_every_order_ends_as_in_the_table_of_l96(seed: int) -> None:
    told, reports = random_run(seed)
    told, reports = [*told, []], [*reports, []]  # the last intents take effect
    config = CONFIG._replace(slots=256)
    state = carry(l96_order_lifecycle, 2, config)
    before: list[dict[str, Any]] = []
    for now, heard in zip(told, reports, strict=True):
        table = l96_order_lifecycle(executions(*heard), intents(*before), instruments(2), config, state)
        before = now
    history = OrderHistory(2)
    feed(history, told, reports)
    orders = {o.id: o for o in history.all()}
    seen = 0
    for s in range(2):
        for m in np.flatnonzero(table.id[:, s]):
            order = orders[int(table.id[m, s])]
            assert order.status == table.status[m, s], order
            assert order.filled == table.filled[m, s], order
            assert order.type == table.type[m, s]
            assert order.reduce_only == table.reduce_only[m, s]
            seen += 1
    assert seen == len(orders) > 20


@pytest.mark.parametrize("cuts", [(1,), tuple(range(1, 150)), (3, 77, 78, 149)])
def test_orders_are_the_same_however_the_logs_are_cut(cuts: tuple[int, ...]) -> None:
    told, reports = random_run(9)
    whole, parts = OrderHistory(2), OrderHistory(2)
    feed(whole, told, reports)
    feed(parts, told, reports, cuts)
    assert repr(list(whole.all())) == repr(list(parts.all()))


@pytest.mark.parametrize("cut", [0, 1, 60, 101, 149])
def test_a_history_goes_on_from_the_memory_of_another(cut: int) -> None:
    told, reports = random_run(11)
    whole, first, second = OrderHistory(2), OrderHistory(2), OrderHistory(2)
    feed(whole, told, reports)
    feed(first, told[:cut], reports[:cut])
    before = {o.id: repr(o) for o in first.all()}
    second.recall(json.loads(json.dumps(first.memory())))
    second.add(times(cut, 150), *logs(ex.OrderIntents, told[cut:]), *logs(ex.Executions, reports[cut:]))
    after = {o.id: repr(o) for o in second.all()}
    assert before | after == {o.id: repr(o) for o in whole.all()}  # as last told
    assert second.position == whole.position
    if cut > 100:
        assert before.keys() - after.keys()  # what had ended is not told again
        assert before.keys() & after.keys()


def test_ids_are_symbol_and_sequence() -> None:
    assert order_name(("BTCUSDT", "ETHUSDT"), 1, UID[1] + 17) == "ETHUSDT-17"
