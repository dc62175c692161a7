"""The practice exchange's signed requests: Binance's spot REST v3 for orders and the account, with weights and signatures."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from aiohttp import web

from drivers.exchanges.practice.account import Order, PracticeAccount, Refused, Trade
from drivers.exchanges.practice.order_faults import OrderFaults

WEIGHTS: Final = {
    "POST /api/v3/order": 1,
    "DELETE /api/v3/order": 1,
    "GET /api/v3/order": 4,
    "POST /api/v3/orderList/oco": 1,
    "GET /api/v3/openOrders": 6,
    "GET /api/v3/account": 20,
    "GET /api/v3/myTrades": 20,
    "GET /sapi/v1/account/apiRestrictions": 1,
    "GET /api/v3/ticker/24hr": 2,
}
MOST_AHEAD: Final = 1_000
"""ms by which a request may be ahead of the exchange's clock."""
MINUTE: Final = 60_000
SLOW: Final = 2_800
"""ms after which a request that is late is done."""


class Answer(NamedTuple):
    """status 0: there is no answer, and the connection ends. hangs: it never comes."""

    status: int
    body: str
    headers: dict[str, str]
    hangs: bool = False


@dataclass
class OrdersApi:
    """account: whose requests these are. faults: what goes wrong. most_weight: of the requests of one minute."""

    account: PracticeAccount
    symbols: tuple[str, ...]
    faults: OrderFaults = field(default_factory=OrderFaults)
    most_weight: int = 6_000
    used: int = 0
    asked: list[str] = field(default_factory=list)
    _minute: int = -1

    def routes(self, app: web.Application) -> None:
        """Serves them."""
        for name in WEIGHTS:
            method, path = name.split(" ")
            app.router.add_route(method, path, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        import asyncio

        text = await request.text()
        answer = self.handle(request.method, request.path, request.query_string or text, dict(request.headers))
        if answer.hangs:
            await asyncio.sleep(3_600)
        if not answer.status:
            assert request.transport is not None
            request.transport.close()
        return web.Response(
            text=answer.body, status=answer.status or 500, content_type="application/json", headers=answer.headers
        )

    def handle(self, method: str, path: str, query: str, headers: dict[str, str]) -> Answer:
        """The answer to a request. query: as it was signed."""
        name = f"{method} {path}"
        self.asked.append(f"{name}?{query.partition('&signature=')[0]}")
        fault = self.faults.next(name)
        if fault in ("429", "418"):
            return self._answer(int(fault), _error(-1003, "Too many requests."), {"Retry-After": "1"})
        if fault == "slow":
            given = dict(headers)
            self.account.deferred.append((self.account.now() + SLOW, lambda: self._sound(name, query, given)))
            return _wrong("hang")
        if fault in ("hang", "502", "html", "lost_request"):
            return _wrong(fault)
        if fault == "reject" and name == "POST /api/v3/order":
            return self._answer(400, _error(-2010, "Account has insufficient balance for requested action."))
        answer = self._sound(name, query, headers)
        if fault == "broken":
            return answer._replace(body=answer.body[: len(answer.body) // 2])
        return _wrong(fault.removesuffix("_after")) if fault.endswith("_after") else answer

    def _sound(self, name: str, query: str, headers: dict[str, str]) -> Answer:
        minute = self.account.now() // MINUTE
        self.used = self.used if minute == self._minute else 0
        self._minute = minute
        self.used += WEIGHTS[name]
        if self.used > self.most_weight:
            wait = str((MINUTE - self.account.now() % MINUTE) // 1_000 + 1)
            text = f"Too much request weight used; current limit is {self.most_weight} request weight per 1 MINUTE."
            return self._answer(429, _error(-1003, text), {"Retry-After": wait})
        try:
            self.account.advance()
            if name == "GET /api/v3/ticker/24hr":
                return self._answer(200, self._ticker(dict(parse_qsl(query))))
            return self._answer(200, self._do(name, self._authentic(query, headers)))
        except Refused as refused:
            return self._answer(refused.status, _error(refused.code, refused.message))

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
        return Answer(status, json.dumps(body), {"x-mbx-used-weight-1m": str(self.used), **(headers or {})})

    def _authentic(self, query: str, headers: dict[str, str]) -> dict[str, str]:
        """The parameters of a request that is signed and of this time. Raises Refused for another."""
        signed, _, signature = query.rpartition("&signature=")
        keys = {name.lower(): value for name, value in headers.items()}
        if keys.get("x-mbx-apikey") != self.account.key:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        if not hmac.compare_digest(
            signature, hmac.new(self.account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        ):
            raise Refused(-1022, "Signature for this request is not valid.")
        given = dict(parse_qsl(signed, keep_blank_values=True))
        stamp, window, now = int(given["timestamp"]), int(given.get("recvWindow", 5_000)), self.account.now()
        if stamp > now + MOST_AHEAD or stamp < now - window:
            where = "ahead of the server's time" if stamp > now else "outside of the recvWindow"
            raise Refused(-1021, f"Timestamp for this request is {where}.")
        return given

    def _do(self, name: str, given: dict[str, str]) -> Any:
        account = self.account
        if name == "GET /api/v3/account":
            return self._balances()
        if name == "GET /sapi/v1/account/apiRestrictions":
            return {"ipRestrict": False, "enableReading": True, "enableSpotAndMarginTrading": True,
                    "enableWithdrawals": account.withdraw}  # fmt: skip
        symbol = given.get("symbol")
        if name == "GET /api/v3/openOrders":
            return [_order(o) for o in account.orders if o.open and symbol in (None, o.symbol)]
        if symbol not in self.symbols:
            raise Refused(-1121, "Invalid symbol.")
        if name == "GET /api/v3/myTrades":
            return self._trades(symbol, given)
        if name == "POST /api/v3/order":
            order = account.place(symbol, given)
            made = [trade for trade in account.trades if trade.order is order]
            return {**_order(order), "fills": [
                {"price": f"{t.price:.8f}", "qty": f"{t.quantity:.8f}", "commission": f"{t.fee:.8f}",
                 "commissionAsset": t.fee_asset, "tradeId": t.id} for t in made
            ]}  # fmt: skip
        if name == "POST /api/v3/orderList/oco":
            number, pair = account.place_list(symbol, given)
            return {
                "orderListId": number, "contingencyType": "OCO", "listStatusType": "EXEC_STARTED",
                "listOrderStatus": "EXECUTING", "listClientOrderId": given.get("listClientOrderId", ""),
                "transactionTime": account.now(), "symbol": symbol,
                "orders": [{"symbol": symbol, "orderId": o.id, "clientOrderId": o.client} for o in pair],
                "orderReports": [_order(o) for o in pair],
            }  # fmt: skip
        order_id, client = given.get("orderId"), given.get("origClientOrderId")
        if name == "GET /api/v3/order":
            return _order(account.find(symbol, order_id, client))
        assert name == "DELETE /api/v3/order"
        gone = account.cancel(symbol, order_id, client)
        return (
            _order(gone[0]) if len(gone) == 1 else {"orderListId": gone[0].list_id, "orderReports": [_order(o) for o in gone]}
        )

    def _ticker(self, given: dict[str, str]) -> dict[str, Any]:
        symbol = given.get("symbol", "")
        if symbol not in self.symbols:
            raise Refused(-1121, "Invalid symbol.")
        now, last = self.account.now(), f"{self.account.tape.last(symbol, self.account.now()):.8f}"
        return {"symbol": symbol, "lastPrice": last, "bidPrice": last, "askPrice": last, "openTime": now - 86_400_000,
                "closeTime": now, "count": 1}  # fmt: skip

    def _balances(self) -> dict[str, Any]:
        account = self.account
        assets = sorted({*account.free, *account.locked})
        return {
            "makerCommission": 10, "takerCommission": 10, "canTrade": True, "canWithdraw": account.withdraw, "canDeposit": True,
            "updateTime": account.now(), "accountType": "SPOT", "permissions": ["SPOT"],
            "balances": [
                {"asset": a, "free": f"{account.free.get(a, 0):.8f}", "locked": f"{account.locked.get(a, 0):.8f}"}
                for a in assets
            ],
        }  # fmt: skip

    def _trades(self, symbol: str, given: dict[str, str]) -> list[dict[str, Any]]:
        first, order, limit = int(given.get("fromId", 0)), given.get("orderId"), int(given.get("limit", 500))
        found = [
            t for t in self.account.trades
            if t.order.symbol == symbol and t.id >= first and order in (None, str(t.order.id))
            and t.time >= int(given.get("startTime", 0))
        ]  # fmt: skip
        return [_trade(t) for t in (found[:limit] if "fromId" in given or "startTime" in given else found[-limit:])]


def _wrong(kind: str) -> Answer:
    if kind == "502":
        return Answer(502, "<html><h1>502 Bad Gateway</h1></html>", {})
    if kind == "html":
        return Answer(200, "<html><body>Be right back</body></html>", {})
    return Answer(0, "", {}, hangs=kind in ("hang", "hung"))


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "msg": message}


def _order(order: Order) -> dict[str, Any]:
    return {
        "symbol": order.symbol, "orderId": order.id, "orderListId": order.list_id, "clientOrderId": order.client,
        "price": f"{order.price:.8f}", "origQty": f"{order.quantity:.8f}", "executedQty": f"{order.executed:.8f}",
        "cummulativeQuoteQty": f"{order.quote:.8f}", "status": order.status, "timeInForce": order.tif, "type": order.type,
        "side": order.side, "stopPrice": f"{order.stop:.8f}", "icebergQty": "0.00000000", "time": order.time,
        "transactTime": order.updated, "updateTime": order.updated, "isWorking": order.working,
    }  # fmt: skip


def _trade(trade: Trade) -> dict[str, Any]:
    order = trade.order
    return {
        "symbol": order.symbol, "id": trade.id, "orderId": order.id, "orderListId": order.list_id,
        "price": f"{trade.price:.8f}", "qty": f"{trade.quantity:.8f}", "quoteQty": f"{trade.price * trade.quantity:.8f}",
        "commission": f"{trade.fee:.8f}", "commissionAsset": trade.fee_asset, "time": trade.time,
        "isBuyer": order.side == "BUY", "isMaker": trade.maker, "isBestMatch": True,
    }  # fmt: skip
