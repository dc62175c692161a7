"""The user stream over a real socket, through ccxt's WebSocket side; and an account that is reached in threads."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dataflows.execution.types import EVENTS
from drivers.exchanges.access import Exchange
from drivers.exchanges.account_access import Account, Keys
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.practice.account import PracticeAccount
from drivers.exchanges.practice.core import MarketTape
from drivers.exchanges.practice.futures import FuturesAccount
from drivers.exchanges.practice.market import PracticeMarket
from drivers.exchanges.practice.server import PracticeExchange
from drivers.exchanges.practice.user_stream import Subscription
from drivers.exchanges.seen import OrderSeen, TradeSeen
from drivers.exchanges.user_stream import UserStream
from drivers.venues.description import VenueRules
from tests.drivers.exchanges.conftest import NOW, OPTIONS, PRICES
from tests.drivers.exchanges.desk import entry
from tests.drivers.exchanges.test_practice_futures import swap_rules

MS = 1_000_000
KEYS = Keys("practice-key", "practice-secret", "")
PATIENCE = 30.0


@pytest.fixture
def practice() -> PracticeExchange:
    """The market of NOW on; its clock goes as ours does."""
    begun, market = time.time_ns() // MS, PracticeMarket(PRICES)

    def now() -> int:
        return NOW + time.time_ns() // MS - begun

    tape = MarketTape(market)
    return PracticeExchange(market, now=now, account=PracticeAccount(tape, now), futures=FuturesAccount(tape, now))


def rules_at(address: str, **more: Any) -> VenueRules:
    ws = address.replace("http", "ws")
    gate = {"notional_per_order": 5_000.0, "notional_per_minute": 20_000.0}
    return VenueRules(
        **{"about": "x", "kind": "spot", "exchange": "binance", "endpoints": {"rest": address, "ws": ws}, "options": OPTIONS,
           "gate": gate, **more}
    )  # fmt: skip


def until(done: Callable[[], object]) -> None:
    """Waits until something is so; fails where it never is."""
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def test_orders_and_trades_come_and_a_connection_that_is_dropped_is_made_anew(practice: PracticeExchange) -> None:
    account = practice.account
    assert account is not None
    with practice.serving() as address:
        exchange = Exchange("practice", rules_at(address))
        stream = UserStream(lambda: Account._streaming(exchange, KEYS))
        try:
            until(stream.alive)
            assert stream.take()[1], "what happened before it was connected may have been missed"
            account.place("BTCUSDT", {"side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "mine"})
            seen: list[OrderSeen | TradeSeen] = []
            until(lambda: seen.extend(stream.take()[0]) or any(isinstance(x, OrderSeen) and x.status == "closed" for x in seen))
            until(
                lambda: (
                    seen.extend(stream.take()[0])
                    or sum(x.quantity for x in seen if isinstance(x, TradeSeen)) == Decimal("0.01")
                )
            )
            assert {x.client for x in seen if isinstance(x, OrderSeen)} == {"mine"}
            practice.order_faults.kinds, practice.order_faults.rate = ("drop",), 1.0
            account.place("BTCUSDT", {"side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "unseen"})
            until(lambda: not stream.alive())
            practice.order_faults.rate = 0.0
            until(stream.alive)
            assert stream.connects == 2 and stream.take()[1]
        finally:
            stream.close()
            exchange.close()


REPORT = {"e": "executionReport", "E": 1, "s": "BTCUSDT", "c": "x", "i": 7, "X": "FILLED", "x": "TRADE"}
HOSTILE = (
    '{"subscriptionId": 0, "event": {"e": "executionRep', "{}", "[]", "[1, 2]", "null", '"text"', "<html>", "{\x00}",
    '{"event": null}', '{"subscriptionId": 0, "event": []}', '{"subscriptionId": 0, "event": {"e": 5}}',
    '{"id": 1, "status": 500, "error": {"code": -1, "msg": "x"}}', '{"subscriptionId": 0, "event": {"e": "eventStreamTerminated"}}',
    *(json.dumps({"subscriptionId": 0, "event": {**REPORT, **more}}) for more in (
        {}, {"S": "BUY", "t": 1, "l": "NaN", "L": "1", "q": "1", "z": "1"}, {"S": "BUY", "t": 1, "l": "1e400", "L": "-1"},
        {"S": "BUY", "t": 1, "l": {}, "L": []}, {"S": 7, "t": None, "l": "x", "L": "y"}, {"s": None}, {"s": "NOBODY"},
    )),
)  # fmt: skip


def heard(stream: UserStream, mine: str, seen: list[OrderSeen | TradeSeen]) -> bool:
    """Whether an order was reported, or is known to have been missed: then it is asked for."""
    found, missed = stream.take()
    seen += found
    return missed or any(x.client == mine and isinstance(x, OrderSeen) for x in seen)


def test_whatever_a_frame_says_the_stream_goes_on(
    practice: PracticeExchange, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    account, said, take = practice.account, list[str](), Subscription.take
    assert account is not None
    monkeypatch.setattr(Subscription, "take", lambda self: [*(said.pop() for _ in said[:]), *take(self)])
    monkeypatch.setattr("drivers.exchanges.user_stream.SETTLED", 0.1)
    with practice.serving() as address:
        exchange = Exchange("practice", rules_at(address))
        stream = UserStream(lambda: Account._streaming(exchange, KEYS))
        try:
            for number, frame in enumerate(HOSTILE):
                until(stream.alive)
                stream.take()
                said.append(frame)
                until(lambda: not said)
                mine = f"mine{number}"
                account.place("BTCUSDT", {"side": "BUY", "type": "MARKET", "quantity": "0.001", "newClientOrderId": mine})
                seen: list[OrderSeen | TradeSeen] = []
                until(partial(heard, stream, mine, seen))
                assert {x.trade_id for x in seen if isinstance(x, TradeSeen)} <= {str(t.id) for t in account.trades}, frame
        finally:
            stream.close()
            exchange.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("swap", [False, True], ids=["spot", "swap"])
def test_an_account_in_threads_enters_with_a_bracket(
    swap: bool, practice: PracticeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    with practice.serving() as address:
        gate = {"notional_per_order": 5_000.0, "notional_per_minute": 20_000.0}
        exchange = Exchange("practice", swap_rules(address, gate=gate) if swap else rules_at(address))

        def account() -> Account:
            return Account(
                exchange, ("BTC/USDT:USDT" if swap else "BTC/USDT",), KEYS, lambda: practice.now() * MS, step=60_000 * MS, begins=NOW * MS, cash=50_000.0,
                notify=said.append,
            )  # fmt: skip

        said: list[str] = []
        one = account()
        gateway = one.gateway
        try:
            with pytest.raises(ExchangeFault, match="another stream trades at binance"):
                account()
            gateway.begin()
            until(gateway.stream.alive)  # type: ignore[union-attr]
            uid, price = gateway.markets[0].uid, gateway.reconciler.price("BTC")
            made = entry("BTCUSDT", 4, 0.02, practice.now(), price)._replace(id=uid << 32 | 4)
            gateway.submit(made)
            gateway.flush()
            acted: list[tuple[str, int]] = []

            def look() -> list[tuple[str, int]]:
                acted.extend((EVENTS[r.kind], r.id & 0xFFFFFFFF) for r in gateway.events(practice.now() * MS))
                return acted

            until(lambda: {("ACCEPT", 5), ("ACCEPT", 6)} <= set(look()))
            assert ("FILL", 4) in acted
            there = practice.account if not swap else practice.futures
            assert there is not None
            resting = [*there.orders, *getattr(there, "algos", ())]
            assert sorted(o.type for o in resting if o.open) == (
                ["LIMIT", "STOP_MARKET"] if swap else ["LIMIT_MAKER", "STOP_LOSS"]
            )
            if swap:  # it reaches the stop, whose trade is told under another id
                now, algo = practice.now(), next(o for o in there.algos if o.open)  # type: ignore[union-attr]
                there._trigger(algo, now, there.tape.last("BTCUSDT", now))  # type: ignore[union-attr]
                until(lambda: ("FILL", 5) in look())
                until(lambda: bool(look()) and gateway.at_rest)  # it works as it is looked at
                assert gateway.state.position["BTCUSDT"] == 0
        finally:
            gateway.close()
            exchange.close()
    assert said == []


def test_a_key_that_may_withdraw_is_refused(
    practice: PracticeExchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    assert practice.account is not None
    practice.account.withdraw = True
    with practice.serving() as address:
        exchange = Exchange("practice", rules_at(address))
        with pytest.raises(ExchangeFault, match="the key of practice may withdraw"):
            Account(exchange, ("BTC/USDT",), KEYS, time.time_ns, step=1, begins=0, cash=1.0, notify=print)
        exchange.close()
