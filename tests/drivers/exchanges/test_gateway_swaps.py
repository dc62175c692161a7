"""The gateway at the practice exchange's futures, in virtual time: longs and shorts, their brackets, and what the exchange does
by itself."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dataflows.execution.types import EVENTS, FILL, FUNDING, LIMIT, REJECTIONS
from drivers.exchanges import client_ids
from drivers.exchanges.account_access import check_mode, market_of
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.practice.market import funding_rate
from drivers.exchanges.seen import OrderSeen, TradeSeen
from drivers.exchanges.swaps import prepare, refuse_contracts
from drivers.exchanges.wire import DONE, LATER, UNKNOWN, Outcome
from drivers.venues.description import VenueRules
from tests.drivers.exchanges.desk import MS, START, Desk, entry, market, order

BTC = "BTCUSDT"
SIZE = 0.05


class Tape:
    """A market whose price a test sets; it trades every 250 ms."""

    def __init__(self) -> None:
        self.prices: list[tuple[int, Decimal]] = [(0, Decimal(60_000))]

    def set(self, ms: int, price: float) -> None:
        self.prices.append((ms, Decimal(repr(price)).quantize(Decimal("0.01"))))

    def last(self, symbol: str, ms: int) -> Decimal:
        return next(price for at, price in reversed(self.prices) if at <= ms)

    def after(self, symbol: str, since: int, until: int) -> Any:
        for at in range(since // 250 * 250 + 250, until + 1, 250):
            yield at, self.last(symbol, at), Decimal(1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk", 1, swap=True, tape=Tape())


def go(desk: Desk, price: float, seconds: float = 5.0) -> None:
    desk.walk.set(desk.now, price)
    desk.run(seconds)


def enter(desk: Desk, sign: int = 1, stop: float = 0.005, target: float = 0.007, **more: Any) -> float:
    price = float(desk.walk.last(BTC, desk.now))
    desk.ask("submit", entry(
        BTC, 4, sign * SIZE, desk.now, price, bracket_stop=round(price * (1.0 - sign * stop), 2),
        bracket_target=round(price * (1.0 + sign * target), 2), **more,
    ))  # fmt: skip
    desk.flush()
    desk.run(3)
    return price


def resting(desk: Desk) -> list[tuple[str, str, Decimal, Decimal]]:
    """(type, side, what is left, price) of all that rests."""
    there = [o for o in [*desk.account.algos, *desk.account.orders] if o.open]
    assert all(o.reduces for o in there)
    return sorted((o.type, o.side, o.left, o.stop or o.price) for o in there)


def fills(desk: Desk) -> list[tuple[int, float, str]]:
    return [(r.id & 0xFFFFFFFF, r.quantity, REJECTIONS[r.reason]) for r in desk.acted if r.kind == FILL]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_position_has_its_stop_and_its_target_from_the_first_fill(sign: int, desk: Desk) -> None:
    begun, price = desk.now, enter(desk, sign)
    side = "SELL" if sign > 0 else "BUY"
    stop, target = (Decimal(repr(round(price * (1.0 + sign * by), 2))) for by in (-0.005, 0.007))
    assert desk.account.position(BTC).amount == Decimal(repr(sign * SIZE))
    assert resting(desk) == [("LIMIT", side, Decimal("0.05"), target), ("STOP_MARKET", side, Decimal("0.05"), stop)]
    first = desk.account.algos[0].time - desk.account.trades[0].time
    assert begun < desk.account.trades[0].time and first < 400, "within a few round trips of 40 ms"
    go(desk, float(stop) - sign * 1.0)
    assert desk.account.position(BTC).amount == 0 and resting(desk) == []
    assert sum(q for _, q, _ in fills(desk)) == pytest.approx(0.0)
    assert [n for n, _, _ in fills(desk)][-1] == 5, "its stop has closed it"
    assert desk.gateway.at_rest and desk.gateway.reconciler.gaps["USDT"] == 0
    ends = [(r.id & 0xFFFFFFFF, EVENTS[r.kind]) for r in desk.acted if r.kind not in (FILL, 0)]
    assert (6, "CANCELED") in ends


@pytest.mark.parametrize("sign", [1, -1])
def test_a_target_closes_the_position_and_takes_the_stop_with_it(sign: int, desk: Desk) -> None:
    price = enter(desk, sign)
    go(desk, price * (1.0 + sign * 0.01))
    assert desk.account.position(BTC).amount == 0 and resting(desk) == []
    assert fills(desk)[-1][0] == 6
    assert desk.account.trades[-1].maker


def test_a_stop_is_replaced_before_the_old_one_goes(desk: Desk) -> None:
    price = enter(desk)
    asked = len(desk.api.asked)
    desk.ask("modify", BTC, 11 << 32 | 5, {"limit_price": float("nan"), "stop_price": round(price * 0.997, 2), "quantity": 0.0})
    desk.flush()
    desk.run(3)
    calls = [line.split("?")[0] for line in desk.api.asked[asked:] if "algoOrder" in line and not line.startswith("GET")]
    assert calls == ["POST /fapi/v1/algoOrder", "DELETE /fapi/v1/algoOrder"]
    assert [row[3] for row in resting(desk) if row[0] == "STOP_MARKET"] == [Decimal(repr(round(price * 0.997, 2)))]


def test_the_bracket_follows_what_is_held(desk: Desk) -> None:
    price = enter(desk, -1)
    desk.ask("submit", order(BTC, 8, SIZE / 2, desk.now, price, reduce_only=True, parent=11 << 32 | 4))
    desk.flush()
    desk.run(5)
    assert desk.account.position(BTC).amount == Decimal("-0.025")
    assert [row[2] for row in resting(desk)] == [Decimal("0.025")] * 2
    desk.ask("submit", order(BTC, 12, SIZE, desk.now, price, reduce_only=True, parent=11 << 32 | 4))  # more than is left
    desk.flush()
    desk.run(5)
    assert desk.account.position(BTC).amount == 0 and resting(desk) == [], "an exit never opens a position on the other side"


@pytest.mark.parametrize("sign", [1, -1])
def test_the_stop_stays_while_an_exit_rests_and_the_target_makes_room_for_it(sign: int, desk: Desk) -> None:
    price = enter(desk, sign)
    away = round(price * (1.0 + sign * 0.003), 2)
    desk.ask("submit", order(
        BTC, 8, -sign * SIZE, desk.now, price, type=LIMIT, limit_price=away, reduce_only=True, parent=11 << 32 | 4
    ))  # fmt: skip
    desk.flush()
    desk.run(5)
    there = {kind: (left, at) for kind, _, left, at in resting(desk)}
    stop = Decimal(repr(round(price * (1.0 - sign * 0.005), 2)))
    assert there == {"LIMIT": (Decimal("0.05"), Decimal(repr(away))), "STOP_MARKET": (Decimal("0.05"), stop)}
    go(desk, float(stop) - sign * 1.0)
    assert desk.account.position(BTC).amount == 0 and resting(desk) == []
    assert fills(desk)[-1][0] == 5, "its stop has closed it"


def test_an_entry_that_takes_the_position_to_the_other_side_brings_its_own_bracket(desk: Desk) -> None:
    price = enter(desk)
    desk.ask("submit", entry(
        BTC, 8, -0.08, desk.now, price, type=LIMIT, limit_price=price, bracket_stop=round(price * 1.004, 2),
        bracket_target=round(price * 0.99, 2),
    ))  # fmt: skip
    desk.flush()
    go(desk, price + 1.0)
    assert desk.account.position(BTC).amount == Decimal("-0.03")
    there = [(kind, side, left) for kind, side, left, _ in resting(desk)]
    assert there == [("LIMIT", "BUY", Decimal("0.03")), ("STOP_MARKET", "BUY", Decimal("0.03"))]
    assert {client_ids.read(o.client).sequence for o in desk.account.algos if o.open} == {9}  # type: ignore[union-attr]


def test_a_stop_that_would_trigger_at_once_closes_at_the_market(desk: Desk) -> None:
    enter(desk, 1, stop=-0.002)  # above the market
    assert desk.account.position(BTC).amount == 0 and resting(desk) == []
    assert any("the stop cannot rest at the exchange" in said for said in desk.said)
    assert desk.account.algos == []


def test_a_liquidation_is_booked_as_the_exchange_s_own(desk: Desk) -> None:
    enter(desk)
    desk.account.maintenance = Decimal(40)  # of the notional: more than the account has
    desk.run(8)
    assert desk.account.position(BTC).amount == 0
    assert fills(desk)[-1] == (0, -SIZE, "LIQUIDATED")
    assert desk.gateway.state.position[BTC] == 0 and resting(desk) == []
    assert desk.gateway.reconciler.gaps["USDT"] == 0, "the liquidation's fee is in our books"
    assert any("the exchange has closed" in said for said in desk.said)


def test_a_deleveraging_lessens_the_position_and_its_bracket(desk: Desk) -> None:
    enter(desk, -1)
    desk.account.deleverage(BTC, Decimal("0.02"))
    desk.run(8)
    assert fills(desk)[-1] == (0, 0.02, "DELEVERAGED")
    assert [row[2] for row in resting(desk)] == [Decimal("0.03")] * 2


def test_funding_is_in_our_books_to_the_last_digit(desk: Desk) -> None:
    enter(desk, -1)
    before = desk.gateway.state.cash
    desk.account.funding_every = 20_000
    due = (desk.now // 20_000 + 1) * 20_000
    desk.run((due - desk.now) / 1_000 + 1)
    desk.account.funding_every = 8 * 3_600_000
    desk.run(40)
    paid = Decimal("0.05") * 60_000 * funding_rate(BTC, due)
    assert paid != 0 and desk.gateway.state.cash - before == paid
    assert desk.gateway.reconciler.gaps["USDT"] == 0
    told = [(r.id, r.fill_id & 0xFFFFFFFF, r.fee) for r in desk.acted if r.kind == FUNDING]
    assert told == [(0, 2, -float(paid))], "the ledger hears of it once, numbered after the fill before it"


def test_a_trade_is_kept_until_it_is_known_whose_it_is(desk: Desk) -> None:
    enter(desk)
    wire, symbol = desk.gateway.runner.wire, "BTC/USDT:USDT"  # type: ignore[attr-defined]
    stop = next(leg for leg in desk.gateway.state.legs.values() if leg.algo)

    def answering(*answers: Outcome) -> None:
        left = list(answers)
        wire.ask = lambda *given, **more: left.pop(0) if len(left) > 1 else left[0]

    def comes(trade_id: str, venue_id: str) -> None:
        price = desk.walk.last(BTC, desk.now)
        desk.gateway.bookings.saw(
            TradeSeen(symbol, trade_id, venue_id, "", Decimal("-0.01"), price, Decimal(0), "USDT", False, desk.now)
        )
        desk.run(8)

    def ended(venue_id: str, client: str, **more: Any) -> Outcome:
        return Outcome(DONE, orders=(OrderSeen(symbol, venue_id, client, "closed", Decimal("0.01"), **more),))

    answering(Outcome(UNKNOWN), Outcome(LATER), ended("9001", "autoclose-1"))
    comes("t1", "9001")
    assert fills(desk)[-1] == (0, -0.01, "LIQUIDATED")
    answering(
        ended("9002", "its-own"), Outcome(UNKNOWN), ended("9002", "its-own"), ended("77", stop.client, algo=True, became="9002")
    )
    comes("t2", "9002")
    assert fills(desk)[-1] == (5, -0.01, "NONE"), "the order that our stop became"


def test_a_position_of_others_is_refused_or_adopted(tmp_path: Path) -> None:
    def begun(name: str, **more: Any) -> Desk:
        desk = Desk.__new__(Desk)
        start, Desk.start = Desk.start, lambda self: None  # type: ignore[method-assign]
        try:
            desk.__init__(tmp_path / name, 1, swap=True, tape=Tape(), **more)  # type: ignore[misc]
        finally:
            Desk.start = start  # type: ignore[method-assign]
        desk.account.place(BTC, {"side": "SELL", "type": "MARKET", "quantity": "0.02", "newClientOrderId": "theirs"})
        return desk

    with pytest.raises(ExchangeFault, match=r"a position of -0.02 in BTC/USDT:USDT, .*adopt: true"):
        begun("refused").start()
    desk = begun("adopted", adopt=True)
    desk.account.free["USDT"] += 1_000
    desk.start()
    desk.run(3)
    assert fills(desk) == [(0, -0.02, "ADOPTED")]
    snapshot = desk.gateway.snapshot(desk.now * MS)
    assert snapshot is not None and snapshot.position[BTC] == -0.02
    assert snapshot.cash + snapshot.position[BTC] * 60_000 == pytest.approx(100_000), "equity is what the run is to trade with"


def test_near_its_liquidation_nothing_is_opened(desk: Desk) -> None:
    enter(desk)
    desk.account.maintenance = Decimal(20)  # 60,000 of 100,000
    desk.run(40)
    assert any("less than 2 times the maintenance margin" in said for said in desk.said)
    count = len(desk.account.orders)
    price = float(desk.walk.last(BTC, desk.now))
    desk.ask("submit", entry(BTC, 8, SIZE, desk.now, price))
    desk.flush()
    desk.ask("submit", order(BTC, 12, -SIZE, desk.now, price, reduce_only=True, parent=11 << 32 | 4))
    desk.flush()
    desk.run(3)
    assert [o.reduces for o in desk.account.orders[count:]] == [True], "the exit leaves, the entry does not"
    assert any("an entry is refused: the account is near its liquidation" in said for said in desk.said)


# -- the account -------------------------------------------------------------------------------------------------------------


def rules(**more: Any) -> VenueRules:
    return VenueRules(**{
        "about": "x", "kind": "perpetual", "exchange": "binanceusdm", "market": "swap", "leverage": 2.5,
        "gate": {"notional_per_order": 5_000.0, "notional_per_minute": 20_000.0}, **more,
    })  # fmt: skip


def test_margin_and_leverage_are_set_within_the_cap_and_read_back(desk: Desk) -> None:
    client = desk._client()
    desk.account.margin[BTC] = "ISOLATED"
    prepare(client, "practice", rules(), ("BTC/USDT:USDT",))
    assert desk.account.margin[BTC] == "CROSSED" and desk.account.leverage[BTC] == 2
    prepare(client, "practice", rules(), ("BTC/USDT:USDT",))  # already so
    client.set_leverage = lambda *given: None  # an exchange that says yes and does nothing
    desk.account.leverage[BTC] = 20
    with pytest.raises(ExchangeFault, match=r"cross margin and leverage 20, .* at most 2.5"):
        prepare(client, "practice", rules(), ("BTC/USDT:USDT",))


@pytest.mark.parametrize(("mode", "said"), [("hedged", "choose the one-way mode"), ("multi_assets", "choose the single-asset")])
def test_account_modes_that_are_not_traded_in_are_refused(mode: str, said: str, desk: Desk) -> None:
    setattr(desk.account, mode, True)
    with pytest.raises(ExchangeFault, match=said):
        prepare(desk._client(), "practice", rules(), ("BTC/USDT:USDT",))
    assert desk.account.leverage == {}, "nothing was set"


def test_contracts_that_are_not_traded_are_refused() -> None:
    inverse = {"symbol": "BTC/USD:BTC", "inverse": True, "settle": "BTC", "quote": "USD"}
    with pytest.raises(ExchangeFault, match="BTC/USD:BTC is settled in BTC"):
        refuse_contracts("practice", [market(BTC, swap=True), inverse])
    with pytest.raises(ExchangeFault, match="swaps of binanceusdm so far, not to those of bybit"):
        check_mode("bybit_swap", rules(exchange="bybit"), "testnet", False)
    made = market_of({**market(BTC, swap=True), "contractSize": 0.01})
    assert made.swap and made.multiplier == Decimal("0.01") and made.asset == "BTC/USDT:USDT"


def test_what_opens_is_counted_by_the_last_gate_in_money(desk: Desk) -> None:
    desk.gateway.markets = tuple(m._replace(multiplier=Decimal(10)) for m in desk.gateway.markets)
    desk.gateway.by_name = {m.name: m for m in desk.gateway.markets}
    enter(desk)  # 0.05 contracts of 10: 30,000 USDT, and 5,000 may be sent
    assert desk.account.orders == [] and any("more than notional_per_order" in said for said in desk.said)
    assert START < desk.now
