"""The practice exchange's futures, through the real ccxt over a socket: orders, conditional orders, positions, money."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.pro
import pytest

from drivers.exchanges.access import client_of, place, settings_of
from drivers.exchanges.practice.core import MarketTape
from drivers.exchanges.practice.futures import FuturesAccount
from drivers.exchanges.practice.market import HOUR, ORIGIN, PracticeMarket, funding_rate
from drivers.exchanges.practice.server import PracticeExchange
from drivers.venues.description import VenueRules
from tests.drivers.exchanges.conftest import NOW, PRICES

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def swap_rules(address: str, **more: Any) -> VenueRules:
    """A venue's file of the practice exchange's swaps."""
    return VenueRules(**{
        "about": "practice", "kind": "perpetual", "exchange": "binanceusdm", "market": "swap", "leverage": 2.0,
        "endpoints": {"rest": address, "ws": address.replace("http", "ws")},
        "options": {"fetchMarkets": {"types": ["linear"]}, "fetchCurrencies": False}, **more,
    })  # fmt: skip


class World:
    """The exchange, its account, a client with keys, and the clock of all three, ms."""

    def __init__(self) -> None:
        self.now = NOW
        market = PracticeMarket(PRICES)
        self.account = FuturesAccount(MarketTape(market), lambda: self.now, {"USDT": "10000"})
        self.practice = PracticeExchange(market, now=lambda: self.now, futures=self.account)

    def connect(self, address: str) -> None:
        self.address = address
        self.client = client_of("practice", swap_rules(address))
        self.client.apiKey, self.client.secret = self.account.key, self.account.secret
        self.client.milliseconds = lambda: self.now
        self.client.enableRateLimit = False
        self.client.load_markets()

    def price(self, symbol: str = "BTCUSDT") -> Decimal:
        return self.account.mark(symbol)

    def order(self, side: str, amount: float, **more: Any) -> dict[str, Any]:
        kind, price = more.pop("type", "market"), more.pop("price", None)
        made: dict[str, Any] = self.client.create_order(more.pop("symbol", BTC), kind, side, amount, price, more)
        return made

    def held(self, symbol: str = "BTCUSDT") -> Decimal:
        return self.account.position(symbol).amount


@pytest.fixture(scope="module")
def served() -> Iterator[World]:
    world = World()
    with world.practice.serving() as address:
        world.connect(address)
        yield world


@pytest.fixture
def world(served: World) -> World:
    """Flat, with 10,000 USDT."""
    account = served.account
    for record in (account.orders, account.trades, account.algos, account.income):
        record.clear()
    account.positions.clear()
    account.leverage.clear()
    account.hedged, account.free["USDT"], account.maintenance = False, Decimal(10_000), Decimal("0.004")
    return served


def test_the_market_is_described_as_binance_describes_it(world: World) -> None:
    market = world.client.market(BTC)
    assert market["swap"] and market["linear"] and market["settle"] == "USDT" and market["contractSize"] == 1.0
    assert (market["precision"]["price"], market["precision"]["amount"]) == (0.01, 0.0001)
    assert market["limits"]["cost"]["min"] == 5.0
    rows = world.client.fetch_ohlcv(BTC, "1m", NOW - 600_000, 5)
    assert len(rows) == 5
    trades = world.client.fetch_trades(BTC, NOW - 60_000, 1_000)
    assert trades and all(NOW - 60_000 <= t["timestamp"] <= NOW for t in trades)
    again = world.client.fetch_trades(BTC, None, 3, {"fromId": trades[1]["id"]})
    assert [t["id"] for t in again] == [t["id"] for t in trades[1:4]]
    book = world.client.fetch_order_book(BTC, 5)
    assert book["bids"][0][0] < book["asks"][0][0] and book["nonce"] % 7 == 0
    rate = world.client.fetch_funding_rate(BTC)
    assert rate["markPrice"] == float(world.price()) and rate["fundingTimestamp"] % (8 * HOUR) == 0
    paid = world.client.fetch_funding_rate_history(BTC, ORIGIN, 100)
    assert [p["fundingRate"] for p in paid] == [float(funding_rate("BTCUSDT", p["timestamp"])) for p in paid]
    assert len(paid) == 7


def test_longs_and_shorts_and_what_they_realize(world: World) -> None:
    bought = world.order("buy", 0.1)
    assert bought["status"] == "closed" and bought["filled"] == 0.1 and world.held() == Decimal("0.1")
    first = world.account.trades[:]
    paid = sum((t.price * t.quantity for t in first), Decimal(0))
    world.now += 60_000
    world.order("sell", 0.25)  # over to the short side
    assert world.held() == Decimal("-0.15")
    sold = world.account.trades[len(first) :]
    closing, left, got = Decimal("0.1"), Decimal("0.15"), Decimal(0)
    for trade in sold:
        part = min(closing, trade.quantity)
        got, closing = got + part * trade.price, closing - part
    fees = sum((t.fee for t in world.account.trades), Decimal(0))
    assert fees == sum(
        ((t.price * t.quantity * Decimal("0.0005")).quantize(Decimal("1e-8")) for t in world.account.trades), Decimal(0)
    )
    assert world.account.wallet == pytest.approx(10_000 + got - paid - fees, abs=Decimal("1e-6"))
    position = world.client.fetch_positions([BTC])[0]
    assert (position["side"], position["contracts"]) == ("short", float(left))
    balance = world.client.fetch_balance()
    assert balance["USDT"]["total"] == pytest.approx(float(world.account.equity()), abs=1e-6)
    mine = world.client.fetch_my_trades(BTC, NOW)
    assert sum(t["amount"] if t["side"] == "buy" else -t["amount"] for t in mine) == pytest.approx(-0.15)
    assert all(t["fee"]["currency"] == "USDT" for t in mine)


def test_orders_that_the_exchange_refuses(world: World) -> None:
    price = float(world.price())

    def refused(code: int, *given: Any, **more: Any) -> None:
        with pytest.raises(ccxt.BaseError, match=rf'"code": ?{code}\b'):
            world.order(*given, **more)

    refused(-2022, "sell", 0.1, reduceOnly=True)  # there is nothing to reduce
    refused(-2019, "buy", 20.0)  # 20 times the equity and more
    refused(-4164, "buy", 0.0001, type="limit", price=price / 2)
    refused(-5022, "buy", 0.01, type="limit", price=round(price * 1.01, 2), postOnly=True)
    refused(-2021, "sell", 0.01, stopLossPrice=round(price * 1.01, 2))
    with pytest.raises(ccxt.BaseError, match="-4120"):  # a conditional order at the ordinary address
        world.client.fapiPrivatePostOrder({"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "quantity": "0.01",
                                           "stopPrice": "50000", "newClientOrderId": "x"})  # fmt: skip
    world.account.hedged = True
    refused(-4061, "buy", 0.1)
    assert world.account.orders == [] and world.account.algos == []


def test_a_conditional_order_that_is_reached_becomes_an_ordinary_one(world: World) -> None:
    world.order("buy", 0.1)
    price, said = world.price(), []  # type: ignore[var-annotated]
    world.account.listeners.append(said.append)
    stop = world.order("sell", 0.1, stopLossPrice=float(price - 1), reduceOnly=True, clientOrderId="mystop")
    far = world.order("sell", 0.1, takeProfitPrice=float(price * 2), closePosition=True, clientOrderId="mytarget")
    assert stop["status"] == far["status"] == "open"
    assert {o["clientOrderId"] for o in world.client.fetch_open_orders(BTC, params={"trigger": True})} == {"mystop", "mytarget"}
    assert world.client.fetch_open_orders(BTC) == []
    while world.held():
        world.now += 60_000
        world.account.advance()
    algo = world.client.fetch_order(stop["id"], BTC, {"trigger": True})
    assert algo["status"] == "closed" and algo["info"]["algoStatus"] == "FINISHED" and algo["filled"] == 0.0
    order = world.client.fetch_order(algo["info"]["actualOrderId"], BTC)
    assert order["status"] == "closed" and order["filled"] == 0.1 and order["clientOrderId"] != "mystop"
    ended = world.client.fetch_order("", BTC, {"trigger": True, "clientAlgoId": "mytarget"})
    assert ended["status"] == "expired", "what closes the position goes with it"
    assert {m["e"] for m in said} == {"ORDER_TRADE_UPDATE", "ALGO_UPDATE", "ACCOUNT_UPDATE"}
    with pytest.raises(ccxt.OrderNotFound):
        world.client.cancel_order(stop["id"], BTC, {"trigger": True})


def test_funding_is_paid_by_what_is_held(world: World) -> None:
    world.order("sell", 0.1)
    wallet = world.account.wallet
    due = (world.now // (8 * HOUR) + 1) * 8 * HOUR
    world.now = due + 1_000
    paid = world.client.fetch_funding_history(BTC)
    at = MarketTape(world.practice.market).last("BTCUSDT", due)
    expected = Decimal("0.1") * at * funding_rate("BTCUSDT", due)
    assert [p["timestamp"] for p in paid] == [due]
    assert paid[0]["amount"] == pytest.approx(float(expected)) and world.account.wallet - wallet == pytest.approx(expected)


def test_an_account_that_cannot_keep_its_margin_is_liquidated(world: World) -> None:
    said: list[dict[str, Any]] = []
    world.account.listeners.append(said.append)
    world.account.free["USDT"] = Decimal(540)
    world.account.maintenance = Decimal("0.007")
    world.account.leverage["BTCUSDT"] = 125
    world.order("buy", 1.0)
    world.order("sell", 1.0, takeProfitPrice=float(world.price() * 2), reduceOnly=True)
    falls_to = world.account.liquidation_price("BTCUSDT")
    held = world.account.position("BTCUSDT")
    assert world.account.wallet + held.amount * falls_to - held.cost == pytest.approx(falls_to * Decimal("0.007"))
    while world.held():
        world.now += 60_000
        world.account.advance()
    closing = world.account.trades[-1]
    assert closing.order.client.startswith("autoclose-") and closing.price <= falls_to
    assert {"MARGIN_CALL"} <= {m["e"] for m in said}
    assert [m["o"]["X"] for m in said if m["e"] == "ALGO_UPDATE"] == ["NEW", "CANCELED"]
    assert "CALCULATED" in {m["o"]["x"] for m in said if m["e"] == "ORDER_TRADE_UPDATE"}


def test_a_deleveraging_takes_a_part(world: World) -> None:
    world.order("sell", 0.3)
    world.account.deleverage("BTCUSDT", Decimal("0.1"))
    assert world.held() == Decimal("-0.2") and world.account.trades[-1].order.client == "adl_autoclose"


def test_modes_leverage_and_margin_are_set_and_read_back(world: World) -> None:
    client = world.client
    assert client.fetch_position_mode()["hedged"] is False
    client.set_position_mode(True)
    assert client.fetch_position_mode()["hedged"] is True
    client.set_position_mode(False)
    client.set_leverage(3, BTC)
    client.set_margin_mode("isolated", BTC)
    assert client.fetch_margin_mode(BTC)["marginMode"] == "isolated"
    client.set_margin_mode("cross", BTC)
    with pytest.raises(ccxt.MarginModeAlreadySet):
        client.set_margin_mode("cross", BTC)
    assert client.fapiPrivateGetSymbolConfig({"symbol": "BTCUSDT"})[0]["leverage"] == 3
    assert client.fapiPrivateGetMultiAssetsMargin() == {"multiAssetsMargin": False}


def test_the_user_stream_says_what_the_account_does_and_ends_with_its_key(world: World) -> None:
    async def follow() -> tuple[list[Any], list[Any], bool]:
        rules = swap_rules(world.address)
        client = ccxt.pro.binanceusdm(settings_of(rules))
        place(client, rules)
        client.apiKey, client.secret = world.account.key, world.account.secret
        client.milliseconds = lambda: world.now
        client.set_markets(world.client.markets)
        client.newUpdates = True
        orders = asyncio.create_task(client.watch_orders())
        trades = asyncio.create_task(client.watch_my_trades())
        while not world.account.listeners:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(world.order, "buy", 0.1)
        found, made = await orders, await trades

        async def watch() -> None:
            while True:  # the rest of the order's updates may still come
                await client.watch_orders()

        ended = asyncio.create_task(watch())
        await asyncio.sleep(0.2)
        world.now += 2 * HOUR
        closed = False
        try:
            await asyncio.wait_for(ended, 5.0)
        except ccxt.NetworkError:
            closed = True
        finally:
            await client.close()
        return found, made, closed

    world.account.listeners.clear()
    found, made, closed = asyncio.run(follow())
    assert found[0]["symbol"] == BTC and made[0]["symbol"] == BTC and made[0]["fee"]["currency"] == "USDT"
    assert closed


def test_market_streams_of_swaps_agree_with_rest(world: World) -> None:
    async def follow() -> tuple[Any, Any, Any, Any]:
        rules = swap_rules(world.address)
        client = ccxt.pro.binanceusdm(settings_of(rules))
        place(client, rules)
        client.set_markets(world.client.markets)
        tasks = [
            asyncio.create_task(each)
            for each in (client.watch_trades(BTC, params={"name": "aggTrade"}), client.watch_ohlcv(BTC, "1m"),
                         client.watch_mark_price(BTC), client.watch_order_book(BTC))
        ]  # fmt: skip
        while sum(len(socket.wanted) for socket in world.practice.streams.sockets) < 4:
            await asyncio.sleep(0.01)
        begun = world.now
        for _ in range(20):
            world.now += 3_000
            await asyncio.to_thread(world.practice.advance, 1.0)
        trades, candles, mark, book = [await asyncio.wait_for(task, 5.0) for task in tasks]
        for _ in range(3):  # the book goes on by its deltas
            world.now += 500
            await asyncio.to_thread(world.practice.advance, 1.0)
        await asyncio.sleep(0.1)
        book = client.orderbooks[BTC]
        await client.close()
        assert all(trade["timestamp"] > begun for trade in trades)
        return trades, candles, mark, book

    world.practice.advance()
    trades, candles, mark, book = asyncio.run(follow())
    market = world.practice.market
    known = {
        int(number)
        for minute in range(-3, 1)
        for number in market.trades("BTCUSDT", (world.now - ORIGIN) // 60_000 + minute).id
    }
    assert {int(t["id"]) for t in trades} <= known
    assert candles[-1][0] % 60_000 == 0 and mark["markPrice"] > 0
    there = market.book("BTCUSDT", market.book_number(world.now))
    assert book["nonce"] == there.update
    assert dict(book["bids"]) == there.bids
