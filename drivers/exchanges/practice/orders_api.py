"""The practice exchange's signed requests of its spot account: Binance's REST v3 for orders and balances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from drivers.exchanges.practice.account import PracticeAccount
from drivers.exchanges.practice.core import Order, Trade
from drivers.exchanges.practice.signed import SignedApi

TICKER: Final = "GET /api/v3/ticker/24hr"
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


@dataclass
class OrdersApi(SignedApi[PracticeAccount]):
    """See `SignedApi`."""

    weights: ClassVar = WEIGHTS
    public: ClassVar = frozenset({TICKER})
    placing: ClassVar = frozenset({"POST /api/v3/order"})
    rejection: ClassVar = (-2010, "Account has insufficient balance for requested action.")

    def _do(self, name: str, given: dict[str, str]) -> Any:
        """See `SignedApi._do`."""
        account = self.account
        if name == TICKER:
            return self._ticker(given)
        if name == "GET /api/v3/account":
            return self._balances()
        if name == "GET /sapi/v1/account/apiRestrictions":
            return {"ipRestrict": False, "enableReading": True, "enableSpotAndMarginTrading": True,
                    "enableWithdrawals": account.withdraw}  # fmt: skip
        if name == "GET /api/v3/openOrders":
            return [_order(o) for o in account.orders if o.open and given.get("symbol") in (None, o.symbol)]
        symbol = self._known(given)
        if name == "GET /api/v3/myTrades":
            return [_trade(trade) for trade in self._made(symbol, given)]
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
