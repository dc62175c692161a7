"""The whole graph with stop-limit orders: the same bits however the bars are cut, and stops that fill within their limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dataflows.execution import types as ex
from drivers.engine.engine import DAY_NS
from drivers.runlog.events import Events
from drivers.store.order_history import OrderHistory
from drivers.validation.gate import malformed
from tests.properties.graph import BELIEF, engine_of, flat, node_differs, plan_of, run
from tests.properties.market import instruments, market

BPS, CLOSES = 5.0, 4
PLAN = plan_of((*BELIEF, f"execution.stop_limit_bps={BPS}", f"execution.stop_limit_bars={CLOSES}"))
SYMBOLS = ("S000", "S001", "S002")


@pytest.fixture(scope="module")
def outputs() -> list[Any]:
    return run(engine_of(PLAN, instruments(3), 5), market())


def test_the_same_bits_however_the_bars_are_cut(outputs: list[Any]) -> None:
    cuts = (1, 2, 3, 700, 701, *range(1000, 1040), 1800, 2399)
    whole, pieces = flat(PLAN, outputs), flat(PLAN, run(engine_of(PLAN, instruments(3), 5), market(), cuts))
    assert {name: node_differs(fields, pieces[name]) for name, fields in whole.items()} == dict.fromkeys(whole, "")


def test_every_stop_is_a_stop_limit_at_rest_while_a_position_is_held_and_fills_within_its_limit(outputs: list[Any]) -> None:
    history, checked = OrderHistory(3, late=1 << 62), 0
    for o in outputs:
        history.follow(o.values, o.time, o.offsets)
        assert malformed(o.values["l5_execution_bridge"]) is None
        orders, ledger = o.values["l96_order_lifecycle"], o.values["l97_ledger"]
        resting = orders.stop_id != 0
        assert (np.isfinite(orders.stop_limit) == resting).all()
        step = np.abs(orders.stop_limit / orders.stop_price - 1.0)[resting]
        assert (step >= BPS / 1e4 * (1.0 - 1e-9)).all() and (step <= BPS / 1e4 + 0.01).all(), "to a tick outwards"
        assert (resting | (ledger.held == 0.0) | (o.values["l94_position_exits"].exit != 0))[1:].mean() > 0.99
    stops = [o for o in history.all() if o.type in (ex.STOP_LIMIT, ex.STOP_MARKET)]
    assert stops and {o.type for o in stops} == {ex.STOP_LIMIT}
    for order in stops:
        if order.filled != 0.0:
            checked += 1
            sells = order.filled < 0.0
            within = order.average_price >= order.limit_price if sells else order.average_price <= order.limit_price
            assert within and order.stop_price > 0.0
    assert checked > 0


def test_what_was_not_filled_went_to_the_market_in_time(outputs: list[Any]) -> None:
    """No position is beyond its stop at more closes in a row than the setting allows without an exit on its way."""
    waited = 0
    for o in outputs:
        exits, ledger = o.values["l94_position_exits"], o.values["l97_ledger"]
        beyond = (ledger.held != 0.0) & (np.sign(ledger.held) * (ledger.mark - exits.active_stop) <= 0.0)
        for n in range(3):
            row = 0
            for t in range(len(beyond)):
                row = row + 1 if beyond[t, n] else 0
                assert row < CLOSES or exits.exit[t, n] == 1
                waited += int(row > 0 and exits.exit[t, n] == 0)
    assert waited > 0, "some stops were jumped over"


def test_the_log_of_the_run_names_the_order_and_its_limit(outputs: list[Any]) -> None:
    events = Events(SYMBOLS, DAY_NS)
    brackets = [e.fields for o in outputs for e in events.of(o) if e.name == "bracket"]
    stops = [b for b in brackets if b["type"] != "TAKE_PROFIT"]
    assert stops and all(b["type"] == "STOP_LIMIT" and b["limit_price"] > 0.0 for b in stops)
