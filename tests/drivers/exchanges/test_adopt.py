"""`adopt: true`: holdings and orders that were there before, at the practice exchange in virtual time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dataflows.execution.types import FILL, REJECTIONS, STOP_MARKET
from drivers.exchanges.adopt import adopt_orders
from drivers.exchanges.practice.order_faults import KINDS, OrderFaults
from drivers.exchanges.seen import OrderSeen, order_seen
from tests.drivers.exchanges.desk import START, UIDS, Desk, order
from tests.drivers.exchanges.test_gateway import BTC, Still, resting


class Before(Desk):
    """An account with orders that somebody else has placed."""

    def __init__(self, folder: Path, orders: list[dict[str, str]], **more: Any) -> None:
        self.theirs, self.begun = orders, False
        super().__init__(folder, 1, tape=more.pop("tape", None) or Still(), **more)

    def start(self) -> None:
        if not self.begun:
            self.begun = True
            for number, about in enumerate(self.theirs):
                self.account.place("BTCUSDT", {"newClientOrderId": f"theirs-{number}", **about})
            self.now = START + 60_000
        super().start()


HELD = {"USDT": "100000", "BTC": "0.5"}
STOP = {"side": "SELL", "type": "STOP_LOSS", "quantity": "0.3", "stopPrice": "58000"}
TARGET = {"side": "SELL", "type": "LIMIT", "quantity": "0.2", "price": "63000"}
BUY = {"side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "59000"}


def of_layers(number: int, size: float, trigger: float) -> Any:
    return order("BTCUSDT", number, -size, START, 60_000.0, type=STOP_MARKET, stop_price=trigger, reduce_only=True)


def test_orders_are_taken_in_and_replaced_by_the_stop_of_the_layers(tmp_path: Path) -> None:
    desk = Before(tmp_path, [STOP, TARGET, BUY], balances=HELD, adopt=True)
    desk.run(5.0)
    whole = Decimal("0.5")
    assert sorted(resting(desk)) == [("LIMIT_MAKER", whole, Decimal(63_000)), ("STOP_LOSS", whole, Decimal(58_000))]
    assert [r for r in desk.acted if r.kind != FILL] == [], "the layers know of no such order"
    snapshot = desk.gateway.snapshot(desk.now * 1_000_000)
    assert snapshot is not None and snapshot.open_orders == {} and not snapshot.unknown_orders and not snapshot.missing_orders
    assert len([said for said in desk.said if "is adopted" in said]) == 3
    assert not [said for said in desk.said if "not of this stream" in said]
    desk.ask("submit", of_layers(4, 0.5, 59_000.0))
    desk.flush()
    desk.run(5.0)
    stops = [(kind, size, at) for kind, size, at in resting(desk) if kind.startswith("STOP")]
    assert stops == [("STOP_LOSS", Decimal("0.5"), Decimal(59_000))]
    assert all(gap == 0 for gap in desk.gateway.reconciler.gaps.values()) and desk.gateway.at_rest


def test_without_the_word_nothing_is_touched(tmp_path: Path) -> None:
    desk = Before(tmp_path, [STOP, TARGET, BUY], balances=HELD)
    desk.run(5.0)
    assert len(resting(desk)) == 3 and desk.acted == []
    assert len([said for said in desk.said if "not of this stream; it is left alone" in said]) == 3


def test_a_conditional_order_that_only_its_own_kind_of_id_names_is_left_alone(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 1, tape=Still(), balances=HELD, adopt=True)
    nameless = OrderSeen("BTC/USDT", "algo-7", "", "open", Decimal(0), "sell", Decimal("0.3"), trigger="58000", algo=True)
    adopt_orders(desk.gateway, [nameless])
    assert desk.gateway.state.legs == {} and not [said for said in desk.said if "is adopted" in said]
    adopt_orders(desk.gateway, [nameless._replace(algo=False)])
    assert [leg.venue_id for leg in desk.gateway.state.legs.values()] == ["algo-7"], "an ordinary one has its id"


def test_a_stop_that_was_adopted_fills_and_its_fill_is_ours(tmp_path: Path) -> None:
    still = Still()
    desk = Before(tmp_path, [STOP], balances=HELD, adopt=True, tape=still)
    desk.run(2.0)
    still.move(desk, "BTCUSDT", 57_900.0)
    desk.run(10.0)
    fills = [(r.id, r.quantity, REJECTIONS[r.reason]) for r in desk.acted if r.kind == FILL]
    assert fills == [(0, 0.5, "ADOPTED"), (0, -0.3, "ADOPTED"), (0, -0.2, "ADOPTED")], "the rest has a stop at its price, too"
    assert desk.gateway.state.position["BTCUSDT"] == 0
    assert all(gap == 0 for gap in desk.gateway.reconciler.gaps.values())


@pytest.mark.parametrize("seed", range(1, 5))
def test_whatever_goes_wrong_and_after_a_crash_they_are_known(seed: int, tmp_path: Path) -> None:
    desk = Before(tmp_path, [STOP, TARGET, BUY], balances=HELD, adopt=True, faults=OrderFaults(KINDS, 0.3, seed))
    desk.run(3.0)
    desk.restart()
    desk.run(40.0)
    desk.api.faults.rate = 0.0
    desk.run(60.0)
    kinds = sorted(kind for kind, _, _ in resting(desk))
    assert kinds == ["LIMIT_MAKER", "STOP_LOSS"], "what opens is canceled, what protects stays"
    assert not [said for said in desk.said if "not of this stream" in said]
    assert all(gap == 0 for gap in desk.gateway.reconciler.gaps.values()) and desk.gateway.at_rest


def test_of_a_flat_account_every_order_opens(tmp_path: Path) -> None:
    desk = Before(tmp_path, [BUY], adopt=True)
    desk.run(3.0)
    assert resting(desk) == [] and desk.acted == [] and desk.gateway.at_rest


def test_an_order_that_says_too_little_is_left_alone(tmp_path: Path) -> None:
    said = order_seen({"symbol": "BTC/USDT", "status": "open", "id": "7", "clientOrderId": None, "filled": None})
    assert said is not None and (said.side, said.price, said.trigger) == ("", "", "")
    desk = Before(tmp_path, [BUY], balances=HELD, adopt=True)
    from drivers.exchanges.adopt import adopt_orders

    before = len(desk.gateway.state.books)
    adopt_orders(desk.gateway, [said, said._replace(symbol="XRP/USDT", side="buy", quantity=Decimal(1), price="1")])
    assert len(desk.gateway.state.books) == before
    assert BTC == UIDS["BTCUSDT"] << 32
