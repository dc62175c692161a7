"""Orders of Bybit, OKX and Kraken: the requests that the real ccxt makes of ours, and what is made of their answers.

The answers are in the shapes of the exchanges' public documentation. No exchange was asked.
"""

from __future__ import annotations

import json
from decimal import Decimal
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import ccxt
import ccxt.pro
import pytest

from drivers.exchanges.account_access import check_mode
from drivers.exchanges.client_ids import LENGTH, WATCHDOG, written
from drivers.exchanges.dialects import SPOKEN, streamed_trade
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.legs import Leg
from drivers.exchanges.seen import OrderSeen, order_seen, trade_seen
from drivers.exchanges.user_stream import read_order
from drivers.exchanges.wire import DONE, NOT_FOUND, UNKNOWN, CcxtWire
from drivers.venues.description import VenueRules

OURS = written(0, 4, 0, "abcde")
IDS = {"bybit": "BTCUSDT", "okx": "BTC-USDT", "kraken": "XBTUSDT"}
LONGEST = {"binance": 36, "bybit": 36, "okx": 32, "kraken": 18}
"""Characters of a client id."""


def market(exchange: str) -> dict[str, Any]:
    return {
        "id": IDS[exchange], "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT",
        "type": "spot", "spot": True, "swap": False, "future": False, "option": False, "margin": False, "contract": False,
        "linear": None, "inverse": None, "active": True, "settle": None, "taker": 0.001, "maker": 0.001, "wsId": "BTC/USDT",
        "precision": {"price": 0.1, "amount": 0.0001}, "info": {}, "altname": IDS[exchange],
        "limits": {"amount": {"min": 0.0001}, "price": {}, "cost": {"min": 5.0}, "leverage": {}},
    }  # fmt: skip


class Said:
    """ccxt's client, whose requests are kept, and answered from a list; the last answer again and again."""

    def __init__(self, exchange: str, *answers: Any) -> None:
        self.client: Any = getattr(ccxt, exchange)(
            {"apiKey": "k", "secret": "c2VjcmV0", "password": "p", "enableRateLimit": False}
        )
        self.client.set_markets([market(exchange)])
        self.client.options |= {
            "defaultType": "spot",
            "enableUnifiedAccount": True,
            "enableUnifiedMargin": False,
            "unifiedMarginStatus": 5,
        }
        self.client.fetch = self._fetch
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers = list(answers)
        self.wire = CcxtWire(self.client, ())

    def _fetch(self, url: str, method: str = "GET", headers: Any = None, body: Any = None) -> Any:
        place, _, query = url.partition("?")
        text = query or body or ""
        given = json.loads(text) if text[:1] in "[{" and text else dict(parse_qsl(text))
        self.asked.append((place.split("/", 3)[3], given[0] if isinstance(given, list) else given))
        if not self.answers:
            raise ccxt.RequestTimeout("no answer")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.client.handle_errors(200, "OK", url, method, {}, json.dumps(answer), answer, headers, body)
        return answer


def leg(kind: str, **more: Any) -> Leg:
    values: dict[str, Any] = {"client": OURS, "owner": 4, "symbol": "BTCUSDT", "kind": kind, "side": "sell", "quantity": "0.05"}
    return Leg(**{**values, "price": "", "trigger": "", "tif": "GTC", "sent": 0, **more})


STOP = leg("stop", trigger="59000")
BOTH = leg("stop_limit", trigger="59000", price="58900")


@pytest.mark.parametrize(
    ("exchange", "what", "place", "says"),
    [
        ("bybit", leg("market"), "v5/order/create", {"orderType": "Market", "marketUnit": "baseCoin", "qty": "0.05"}),
        ("bybit", leg("market", side="buy"), "v5/order/create", {"side": "Buy", "marketUnit": "baseCoin", "qty": "0.05"}),
        ("bybit", leg("limit", price="60000", tif="IOC"), "v5/order/create", {"timeInForce": "IOC", "price": "60000"}),
        ("bybit", leg("post_only", price="60000"), "v5/order/create", {"timeInForce": "PostOnly"}),
        ("bybit", STOP, "v5/order/create", {"orderFilter": "tpslOrder", "triggerPrice": "59000", "orderType": "Market"}),
        ("bybit", BOTH, "v5/order/create", {"orderFilter": "tpslOrder", "triggerPrice": "59000", "price": "58900"}),
        ("okx", leg("market"), "api/v5/trade/batch-orders", {"ordType": "market", "tdMode": "cash", "tgtCcy": "base_ccy"}),
        ("okx", leg("limit", price="60000", tif="FOK"), "api/v5/trade/batch-orders", {"ordType": "fok", "px": "60000"}),
        ("okx", leg("post_only", price="60000"), "api/v5/trade/batch-orders", {"ordType": "post_only"}),
        ("okx", STOP, "api/v5/trade/order-algo", {"ordType": "conditional", "tdMode": "cash", "slTriggerPx": "59000",
                                                   "slOrdPx": "-1", "algoClOrdId": OURS}),
        ("okx", BOTH, "api/v5/trade/order-algo", {"tdMode": "cash", "slTriggerPx": "59000", "slOrdPx": "58900"}),
        ("kraken", leg("market"), "0/private/AddOrder", {"ordertype": "market", "volume": "0.05", "type": "sell"}),
        ("kraken", leg("limit", price="60000", tif="IOC"), "0/private/AddOrder", {"timeinforce": "IOC", "price": "60000"}),
        ("kraken", leg("post_only", price="60000"), "0/private/AddOrder", {"oflags": "post"}),
        ("kraken", STOP, "0/private/AddOrder", {"ordertype": "stop-loss", "price": "59000"}),
        ("kraken", BOTH, "0/private/AddOrder", {"ordertype": "stop-loss-limit", "price": "59000", "price2": "58900"}),
    ],
)  # fmt: skip
def test_an_order_is_said_in_the_exchange_s_words(exchange: str, what: Leg, place: str, says: dict[str, str]) -> None:
    said = Said(exchange)
    assert said.wire.place(what, "BTC/USDT").kind == UNKNOWN, "no answer: it may be there"
    (where, given), ours = said.asked[-1], {"bybit": "orderLinkId", "okx": "clOrdId", "kraken": "cl_ord_id"}
    assert where == place and given.items() >= says.items()
    name = "algoClOrdId" if exchange == "okx" and what.kind.startswith("stop") else ours[exchange]
    assert given[name] == OURS


@pytest.mark.parametrize(
    ("exchange", "what", "place", "says"),
    [
        ("bybit", leg("limit", venue_id="77"), "v5/order/cancel", {"orderId": "77", "orderFilter": "Order"}),
        ("bybit", leg("limit"), "v5/order/cancel", {"orderLinkId": OURS, "orderFilter": "Order"}),
        ("bybit", leg("stop", venue_id="77"), "v5/order/cancel", {"orderId": "77", "orderFilter": "tpslOrder"}),
        ("okx", leg("limit", venue_id="77"), "api/v5/trade/cancel-order", {"ordId": "77"}),
        ("okx", leg("stop", algo=True), "api/v5/trade/cancel-algos", {"algoClOrdId": OURS}),
        ("okx", leg("stop", algo=True, venue_id="78"), "api/v5/trade/cancel-order", {"ordId": "78"}),
        ("kraken", leg("stop", venue_id="O-77"), "0/private/CancelOrder", {"txid": "O-77"}),
        ("kraken", leg("stop"), "0/private/CancelOrder", {"cl_ord_id": OURS}),
    ],
)  # fmt: skip
def test_an_order_is_canceled_where_it_rests(exchange: str, what: Leg, place: str, says: dict[str, str]) -> None:
    said = Said(exchange)
    assert said.wire.cancel(what, "BTC/USDT").kind == UNKNOWN
    assert said.asked[-1][0] == place and said.asked[-1][1].items() >= says.items()


BYBIT = {
    "orderId": "77", "orderLinkId": OURS, "symbol": "BTCUSDT", "price": "0", "qty": "0.05", "side": "Sell", "orderType": "Market",
    "orderStatus": "Untriggered", "cumExecQty": "0", "cumExecValue": "0", "avgPrice": "", "triggerPrice": "59000",
    "timeInForce": "IOC", "createdTime": "1700000000000", "updatedTime": "1700000000000", "leavesQty": "0.05",
    "stopOrderType": "tpslOrder", "triggerDirection": 2, "cumExecFee": "0", "takeProfit": "", "stopLoss": "",
}  # fmt: skip
OKX = {
    "algoId": "681096944655273984", "algoClOrdId": OURS, "clOrdId": "", "instId": "BTC-USDT", "instType": "SPOT", "ordId": "",
    "ordType": "conditional", "side": "sell", "state": "live", "sz": "0.05", "slTriggerPx": "59000", "slOrdPx": "-1",
    "tdMode": "cash", "cTime": "1700000000000", "uTime": "1700000000000", "tpTriggerPx": "", "tpOrdPx": "",
}  # fmt: skip
OKX_CHILD = {
    "ordId": "78", "clOrdId": "", "algoId": "681096944655273984", "algoClOrdId": OURS, "instId": "BTC-USDT", "instType": "SPOT",
    "ordType": "market", "side": "sell", "state": "filled", "sz": "0.05", "accFillSz": "0.05", "avgPx": "58990", "px": "",
    "fee": "-2.9", "feeCcy": "USDT", "cTime": "1700000000000", "uTime": "1700000000000", "fillTime": "1700000000000",
}  # fmt: skip
KRAKEN = {
    "cl_ord_id": OURS, "status": "open", "opentm": 1700000000.1, "vol": "0.05000000", "vol_exec": "0.01000000", "cost": "590.0",
    "fee": "1.5", "price": "59000", "stopprice": "0", "limitprice": "0", "misc": "", "oflags": "fciq",
    "descr": {"pair": "XBTUSDT", "type": "sell", "ordertype": "stop-loss", "price": "59000", "price2": "0", "leverage": "none",
              "order": "", "close": ""},
}  # fmt: skip


def listed(*orders: dict[str, Any]) -> dict[str, Any]:
    return {"retCode": 0, "retMsg": "OK", "result": {"list": list(orders), "category": "spot", "nextPageCursor": ""}}


def data(*orders: dict[str, Any]) -> dict[str, Any]:
    return {"code": "0", "msg": "", "data": list(orders)}


def krakens(**orders: dict[str, Any]) -> dict[str, Any]:
    return {"error": [], "result": {"open": orders, "closed": orders, "count": len(orders)}}


def seen_of(said: Said, *given: Any, **more: Any) -> OrderSeen:
    outcome = said.wire.ask(*given, **more)
    assert outcome.kind == DONE
    return outcome.orders[0]


def test_bybit_is_asked_in_two_lists() -> None:
    said = Said("bybit", listed(BYBIT))
    found = seen_of(said, OURS, "", "BTC/USDT")
    assert (found.client, found.venue_id, found.status, found.trigger) == (OURS, "77", "open", "59000")
    assert said.asked == [("v5/order/realtime", {"symbol": "BTCUSDT", "category": "spot", "orderLinkId": OURS})]
    filled = {**BYBIT, "orderStatus": "Filled", "cumExecQty": "0.05"}
    said = Said("bybit", listed(), listed(filled))
    found = seen_of(said, "", "77", "BTC/USDT")
    assert (found.status, found.filled) == ("closed", Decimal("0.05"))
    assert [place for place, _ in said.asked] == ["v5/order/realtime", "v5/order/history"]
    assert Said("bybit", listed()).wire.ask(OURS, "", "BTC/USDT").kind == NOT_FOUND


def test_okx_stops_rest_apart_until_they_become_orders() -> None:
    said = Said("okx", data(OKX))
    found = seen_of(said, OURS, "", "BTC/USDT", trigger=True)
    assert said.asked == [("api/v5/trade/order-algo", {"instId": "BTC-USDT", "algoClOrdId": OURS})]
    assert (found.algo, found.client, found.status, found.became) == (True, OURS, "open", "")
    reached = order_seen(said.client.parse_order({**OKX, "state": "effective", "ordId": "78"}))
    assert reached is not None and (reached.algo, reached.status, reached.became) == (True, "closed", "78")
    assert reached.filled == 0, "its trades are those of the order that it became"
    child = order_seen(said.client.parse_order(OKX_CHILD))
    assert child is not None and (child.algo, child.venue_id, child.filled) == (False, "78", Decimal("0.05"))


def test_kraken_is_asked_by_our_id_in_its_lists() -> None:
    said = Said("kraken", krakens(**{"O-77": KRAKEN}))
    found = seen_of(said, OURS, "", "BTC/USDT")
    assert (found.client, found.venue_id, found.status, found.filled) == (OURS, "O-77", "open", Decimal("0.01"))
    assert said.asked[0][0] == "0/private/OpenOrders" and said.asked[0][1]["cl_ord_id"] == OURS
    said = Said("kraken", krakens())
    assert said.wire.ask(OURS, "", "BTC/USDT").kind == NOT_FOUND
    assert [place for place, _ in said.asked] == ["0/private/OpenOrders", "0/private/ClosedOrders"]


def test_all_open_orders_are_read_those_apart_too() -> None:
    balance = {"bybit": {"retCode": 0, "retMsg": "OK", "result": {"list": []}}, "okx": data({"details": []}),
               "kraken": {"error": [], "result": {}}}  # fmt: skip
    said = Said("okx", data(OKX), data(), balance["okx"])
    account = said.wire.account().account
    assert account is not None and [order.client for order in account.orders] == [OURS]
    assert [(place, given.get("ordType")) for place, given in said.asked[:2]] == [
        ("api/v5/trade/orders-algo-pending", "conditional"), ("api/v5/trade/orders-pending", None)
    ]  # fmt: skip
    said = Said("bybit", listed(BYBIT), balance["bybit"])
    account = said.wire.account().account
    assert account is not None and [order.client for order in account.orders] == [OURS]
    assert said.asked[0] == ("v5/order/realtime", {"category": "spot"}), "not the swaps, which ccxt asks for by itself"


def test_client_ids_fit_every_exchange() -> None:
    for exchange in ("binance", "bybit", "okx", "kraken"):
        for by in ("s", WATCHDOG):
            made = written(1_295, (1 << 32) - 1, 46_655, "zzzzz", by)
            assert len(made) == LENGTH <= LONGEST[exchange] and made.isalnum() and made.islower()


def test_orders_go_to_exchanges_whose_words_are_known() -> None:
    rules = VenueRules(about="x", kind="spot", exchange="bitstamp")
    with pytest.raises(
        ExchangeFault, match="spot markets of binance, binanceus, bybit, okx, kraken so far, not to that of bits"
    ):
        check_mode("v", rules, "testnet", False)
    assert set(IDS) < set(SPOKEN)


class Socket(SimpleNamespace):
    """What ccxt's handlers tell of a frame."""

    def __init__(self) -> None:
        super().__init__(url="wss://x/private", subscriptions={}, futures={}, told=[])

    def resolve(self, result: Any, name: str = "") -> None:
        self.told.append((name, result))


def streamed(exchange: str, handler: str, frame: Any) -> Any:
    client: Any = getattr(ccxt.pro, exchange)()
    client.set_markets([market(exchange)])
    getattr(client, handler)(Socket(), frame)
    return client


def test_bybit_s_stream_of_orders_and_executions() -> None:
    frame = {"topic": "order", "id": "1", "creationTime": 1700000000000,
             "data": [{**BYBIT, "category": "spot", "orderStatus": "PartiallyFilledCanceled", "cumExecQty": "0.02"}]}  # fmt: skip
    (order,) = streamed("bybit", "handle_order", frame).orders
    (seen,) = read_order(order)
    assert isinstance(seen, OrderSeen) and (seen.client, seen.venue_id, seen.filled) == (OURS, "77", Decimal("0.02"))
    assert seen.status == "closed" or seen.status == "canceled"
    fill = {"topic": "execution", "id": "2", "creationTime": 1700000000000, "data": [{
        "category": "spot", "symbol": "BTCUSDT", "execId": "e-1", "orderId": "77", "orderLinkId": OURS, "side": "Sell",
        "execPrice": "58990", "execQty": "0.02", "execFee": "1.1798", "feeCurrency": "USDT", "execType": "Trade",
        "execTime": "1700000000000", "isMaker": False, "leavesQty": "0.03", "orderType": "Market", "feeRate": "0.001"}]}  # fmt: skip
    (trade,) = streamed("bybit", "handle_my_trades", fill).myTrades
    seen_trade = trade_seen(trade, trade["symbol"])
    assert seen_trade[:8] == (
        "BTC/USDT", "e-1", "77", "", Decimal("-0.02"), Decimal("58990"), Decimal("1.1798"), "USDT"
    )  # fmt: skip


def test_okx_s_stream_of_orders() -> None:
    frame = {"arg": {"channel": "orders", "instType": "SPOT", "uid": "1"}, "data": [{
        **OKX_CHILD, "clOrdId": OURS, "algoId": "", "algoClOrdId": "", "state": "partially_filled", "accFillSz": "0.02",
        "fillSz": "0.02", "fillPx": "58990", "tradeId": "e-1", "fillFee": "-1.1798", "fillFeeCcy": "USDT", "execType": "T"}]}  # fmt: skip
    client = streamed("okx", "handle_orders", frame)
    (seen,) = read_order(client.orders[0])
    assert isinstance(seen, OrderSeen)
    assert (seen.client, seen.venue_id, seen.status, seen.filled, seen.algo) == (OURS, "78", "open", Decimal("0.02"), False)
    trade = streamed("okx", "handle_my_trades", frame).myTrades[0]
    found = trade_seen(streamed_trade("okx", trade), trade["symbol"])
    assert (found.trade_id, found.venue_id, found.quantity, found.fee) == ("e-1", "78", Decimal("-0.02"), Decimal("1.1798"))


def test_kraken_s_stream_of_executions() -> None:
    frame = {"channel": "executions", "type": "update", "sequence": 3, "data": [{
        "order_id": "O-77", "cl_ord_id": OURS, "exec_type": "trade", "exec_id": "e-1", "trade_id": 5, "symbol": "BTC/USDT",
        "side": "sell", "order_type": "market", "order_qty": 0.05, "last_qty": 0.02, "last_price": 58990.0, "cost": 1179.8,
        "cum_qty": 0.02, "cum_cost": 1179.8, "avg_price": 58990.0, "order_status": "partially_filled", "liquidity_ind": "t",
        "fees": [{"asset": "USDT", "qty": 1.1798}], "timestamp": "2023-11-14T22:13:20.000000Z", "time_in_force": "gtc"}]}  # fmt: skip
    trade = streamed("kraken", "handle_my_trades", frame).myTrades[0]
    found = trade_seen(trade, trade["symbol"])
    assert (found.trade_id, found.venue_id, found.quantity, found.price) == ("e-1", "O-77", Decimal("-0.02"), Decimal("58990"))
    assert (found.fee, found.fee_asset) == (Decimal("1.1798"), "USDT")
    (seen,) = read_order(streamed("kraken", "handle_orders", frame).orders[0])
    assert isinstance(seen, OrderSeen) and (seen.venue_id, seen.status) == ("O-77", "open"), "found by the exchange's id"
