"""What exchanges other than Binance want to be told of orders of a spot market, where ccxt's own words do not say it.

Found by looking at the requests that ccxt makes: Bybit's stops are canceled by their own filter, its orders are asked for in
two lists; OKX's stops rest apart, with ids of their own, and without `cash` they would borrow; Kraken's orders are found by our
id in its lists alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import ccxt

from drivers.exchanges.legs import Leg
from drivers.exchanges.seen import decimal

SPOKEN: Final = ("binance", "binanceus", "bybit", "okx", "kraken")
"""Exchanges whose spot orders this program knows."""
APART: Final = ("okx",)
"""Those whose stops rest apart from other orders, until they are reached."""
IN_ORDER: Final = ("kraken",)
"""Those that take a key's requests only in the order in which they were numbered, so that few may be under way."""
STOPS: Final = ("stop", "stop_limit")


def placing(exchange: str, leg: Leg) -> dict[str, Any]:
    """What is said beside side, quantity and price of a new order."""
    stops = leg.kind in STOPS
    said: dict[str, Any] = {"algoClOrdId" if exchange == "okx" and stops else "clientOrderId": leg.client}
    if exchange == "okx":
        said["tdMode"] = "cash"
    if stops:
        said["stopLossPrice"] = leg.trigger
    if leg.kind == "post_only":
        said["postOnly"] = True
    elif leg.tif != "GTC" and leg.kind == "limit":
        said["timeInForce"] = leg.tif
    return said


def canceling(exchange: str, leg: Leg) -> tuple[str, dict[str, Any]]:
    """(id, what is said beside it) of an order that is taken off."""
    said: dict[str, Any] = {} if leg.venue_id else {"clientOrderId": leg.client}
    if leg.algo and not leg.venue_id:
        said["trigger"] = True
    if exchange == "bybit":
        said = {} if leg.venue_id else {"orderLinkId": leg.client}
        if leg.kind in STOPS:
            said["orderFilter"] = "tpslOrder"
        return leg.venue_id, said
    return leg.venue_id or leg.client, said


def found(client: Any, our_id: str, venue_id: str, symbol: str, trigger: bool) -> Any:
    """An order, by our id or by the exchange's. Raises OrderNotFound."""
    by_lists = {"bybit": {"orderId": venue_id} if venue_id else {"orderLinkId": our_id}, "kraken": {"cl_ord_id": our_id}}
    if client.id == "bybit" or (client.id == "kraken" and not venue_id):
        said = by_lists[client.id]
        ended = client.fetch_canceled_and_closed_orders if client.id == "bybit" else client.fetch_closed_orders
        for ask in (client.fetch_open_orders, ended):
            for order in ask(symbol, None, None, dict(said)):
                if (venue_id and order["id"] == venue_id) or (our_id and order["clientOrderId"] == our_id):
                    return order
        raise ccxt.OrderNotFound(f"{client.id} has no order {venue_id or our_id} of {symbol}")
    extra: dict[str, Any] = {"clientOrderId": our_id} if our_id else {}
    if trigger:
        extra["trigger"] = True
    return client.fetch_order(venue_id or our_id, symbol, extra)


def streamed_trade(exchange: str, trade: Mapping[str, Any]) -> Mapping[str, Any]:
    """A trade of the user stream with its fee as what was paid: ccxt hands OKX's on as it came, negative."""
    fee = trade.get("fee")
    if exchange != "okx" or not fee or fee.get("cost") is None:
        return trade
    return {**trade, "fee": {**fee, "cost": -decimal(fee["cost"])}}


def opened(client: Any) -> list[Any]:
    """All open orders of a spot account."""
    if client.id == "bybit":
        return list(client.fetch_open_orders(None, None, None, {"type": "spot"}))
    apart = client.fetch_open_orders(None, None, None, {"ordType": "conditional"}) if client.id in APART else []
    return [*apart, *client.fetch_open_orders()]
