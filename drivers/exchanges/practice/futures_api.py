"""The practice exchange's signed requests of its futures account: Binance's USD-M REST (fapi) for orders and positions."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final

from drivers.exchanges.practice.core import ZERO, Order, Refused, Trade
from drivers.exchanges.practice.futures import MOST_LEVERAGE, FuturesAccount, Income
from drivers.exchanges.practice.market import HOUR
from drivers.exchanges.practice.signed import SignedApi

TICKER: Final = "GET /fapi/v1/ticker/24hr"
WEIGHTS: Final = {
    "POST /fapi/v1/order": 1,
    "DELETE /fapi/v1/order": 1,
    "GET /fapi/v1/order": 1,
    "POST /fapi/v1/algoOrder": 1,
    "DELETE /fapi/v1/algoOrder": 1,
    "GET /fapi/v1/algoOrder": 1,
    "GET /fapi/v1/openOrders": 40,
    "GET /fapi/v1/openAlgoOrders": 40,
    "GET /fapi/v1/allOrders": 5,
    "GET /fapi/v1/userTrades": 5,
    "GET /fapi/v1/income": 30,
    "GET /fapi/v3/account": 5,
    "GET /fapi/v3/balance": 5,
    "GET /fapi/v3/positionRisk": 5,
    "GET /fapi/v1/symbolConfig": 5,
    "GET /fapi/v1/leverageBracket": 1,
    "POST /fapi/v1/leverage": 1,
    "POST /fapi/v1/marginType": 1,
    "GET /fapi/v1/positionSide/dual": 30,
    "POST /fapi/v1/positionSide/dual": 1,
    "GET /fapi/v1/multiAssetsMargin": 30,
    "POST /fapi/v1/multiAssetsMargin": 1,
    "POST /fapi/v1/listenKey": 1,
    "PUT /fapi/v1/listenKey": 1,
    "DELETE /fapi/v1/listenKey": 1,
    TICKER: 1,
}
DONE: Final = {"code": 200, "msg": "success"}


@dataclass
class FuturesApi(SignedApi[FuturesAccount]):
    """See `SignedApi`."""

    weights: ClassVar = WEIGHTS
    public: ClassVar = frozenset({TICKER})
    keyed: ClassVar = frozenset(name for name in WEIGHTS if name.endswith("listenKey"))
    placing: ClassVar = frozenset({"POST /fapi/v1/order", "POST /fapi/v1/algoOrder"})
    rejection: ClassVar = (-2019, "Margin is insufficient.")

    most_weight: int = 2_400

    def _do(self, name: str, given: dict[str, str]) -> Any:
        """See `SignedApi._do`."""
        method, _, path = name.partition(" /fapi/")
        what = path.partition("/")[2]
        if name == TICKER:
            return self._ticker(given)
        if what in ("order", "algoOrder"):
            return self._orders(method, what == "algoOrder", given)
        if what in ("leverage", "marginType"):
            return self._set(what, self._known(given), given)
        if what == "listenKey":
            return self._listens(method)
        if what in ("positionSide/dual", "multiAssetsMargin"):
            return self._mode(what, given if method == "POST" else None)
        symbol = self._known(given) if "symbol" in given else None
        if what == "userTrades":
            return [_trade(trade) for trade in self._made(self._known(given), given)]
        account = self.account
        if what == "allOrders":
            return [_order(o) for o in account.orders if o.symbol == self._known(given)]
        if what == "openOrders":
            return [_order(o) for o in account.orders if o.open and symbol in (None, o.symbol)]
        if what == "openAlgoOrders":
            return [self._algo(o) for o in account.algos if o.open and symbol in (None, o.symbol)]
        if what == "income":
            since = int(given.get("startTime", 0))
            found = [i for i in account.income if i.time >= since and symbol in (None, i.symbol)]
            return [_income(i, account.quote_asset) for i in found[: int(given.get("limit", 100))]]
        if what == "account":
            return self._account()
        if what == "balance":
            return [self._asset() | {"balance": f"{account.wallet:.8f}", "crossUnPnl": "0", "accountAlias": "practice"}]
        if what == "positionRisk":
            return [self._position(s) for s in sorted(account.positions) if account.positions[s].amount]
        if what == "symbolConfig":
            return [
                {"symbol": s, "marginType": account.margin.get(s, "CROSSED"), "isAutoAddMargin": False,
                 "leverage": account.leverage_of(s), "maxNotionalValue": "100000000"}
                for s in self.symbols if symbol in (None, s)
            ]  # fmt: skip
        assert what == "leverageBracket"
        return [
            {"symbol": s, "brackets": [
                {"bracket": 1, "initialLeverage": MOST_LEVERAGE, "notionalCap": 100_000_000, "notionalFloor": 0,
                 "maintMarginRatio": float(account.maintenance), "cum": 0.0},
            ]} for s in self.symbols if symbol in (None, s)
        ]  # fmt: skip

    def _orders(self, method: str, conditional: bool, given: dict[str, str]) -> dict[str, Any]:
        account = self.account
        if conditional:
            algo_id, client = given.get("algoId"), given.get("clientAlgoId")
            if method == "POST":
                return self._algo(account.place_algo(self._known(given), given))
            if method == "GET":
                return self._algo(account.find_algo(given.get("symbol"), algo_id, client))
            algo = account.cancel_algo(given.get("symbol"), algo_id, client)
            return {"algoId": algo.id, "clientAlgoId": algo.client, "code": "200", "msg": "success"}
        symbol = self._known(given)
        if method == "POST":
            return _order(account.place(symbol, given))
        order_id, client = given.get("orderId"), given.get("origClientOrderId")
        if method == "GET":
            return _order(account.find(symbol, order_id, client))
        return _order(account.cancel(symbol, order_id, client)[0])

    def _set(self, what: str, symbol: str, given: dict[str, str]) -> dict[str, Any]:
        account = self.account
        if what == "leverage":
            wanted = int(given["leverage"])
            if not 1 <= wanted <= MOST_LEVERAGE:
                raise Refused(-4028, f"Leverage {wanted} is not valid")
            account.leverage[symbol] = wanted
            return {"leverage": wanted, "maxNotionalValue": "100000000", "symbol": symbol}
        kind = given["marginType"]
        if kind == account.margin.get(symbol, "CROSSED"):
            raise Refused(-4046, "No need to change margin type.")
        if account.position(symbol).amount:
            raise Refused(-4048, "Margin type cannot be changed if there exists position.")
        account.margin[symbol] = kind
        return DONE

    def _mode(self, what: str, given: dict[str, str] | None) -> dict[str, Any]:
        account = self.account
        key, name = ("dualSidePosition", "hedged") if what == "positionSide/dual" else ("multiAssetsMargin", "multi_assets")
        if given is None:
            return {key: getattr(account, name)}
        wanted = given[key].lower() == "true"
        if wanted == getattr(account, name):
            raise Refused(-4059, "No need to change position side.")
        if any(position.amount for position in account.positions.values()):
            raise Refused(-4068, "Position side cannot be changed if there exists position.")
        setattr(account, name, wanted)
        return DONE

    def _listens(self, method: str) -> dict[str, Any]:
        account, now = self.account, self.account.now()
        if method == "POST" and now >= account.listens_until:
            account.listen_key = secrets.token_hex(32)
        elif method != "POST" and now >= account.listens_until:
            raise Refused(-1125, "This listenKey does not exist.")
        account.listens_until = now if method == "DELETE" else now + HOUR
        return {"listenKey": account.listen_key} if method != "DELETE" else {}

    def _asset(self) -> dict[str, Any]:
        account = self.account
        initial, kept = (
            sum((of(s) for s in account.positions), ZERO) for of in (account.initial, account.maintained)
        )  # fmt: skip
        wallet, equity, free = f"{account.wallet:.8f}", f"{account.equity():.8f}", f"{account.available:.8f}"
        gain = f"{account.equity() - account.wallet:.8f}"
        return {
            "asset": account.quote_asset, "walletBalance": wallet, "unrealizedProfit": gain,
            "marginBalance": equity, "maintMargin": f"{kept:.8f}", "initialMargin": f"{initial:.8f}",
            "positionInitialMargin": f"{initial:.8f}", "openOrderInitialMargin": "0.00000000", "crossWalletBalance": wallet,
            "crossUnPnl": gain, "availableBalance": free, "maxWithdrawAmount": free,
            "updateTime": account.now(),
        }  # fmt: skip

    def _account(self) -> dict[str, Any]:
        asset = self._asset()
        same = {"WalletBalance": "walletBalance", "UnrealizedProfit": "unrealizedProfit", "MarginBalance": "marginBalance",
                "MaintMargin": "maintMargin", "InitialMargin": "initialMargin"}  # fmt: skip
        totals = {f"total{key}": asset[of] for key, of in same.items()}
        of_account = ("symbol", "positionSide", "positionAmt", "notional", "isolatedMargin", "isolatedWallet", "initialMargin",
                      "maintMargin", "updateTime")  # fmt: skip
        held = [
            {key: said[key] for key in of_account} | {"unrealizedProfit": said["unRealizedProfit"]}
            for said in (self._position(s) for s in sorted(self.account.positions) if self.account.positions[s].amount)
        ]
        return {**totals, "availableBalance": asset["availableBalance"], "assets": [asset], "positions": held}

    def _position(self, symbol: str) -> dict[str, Any]:
        account, held = self.account, self.account.position(symbol)
        initial = abs(held.amount) * account.mark(symbol) / account.leverage_of(symbol)
        return {
            "symbol": symbol, "positionSide": "BOTH", "positionAmt": f"{held.amount}", "entryPrice": f"{held.entry:.12f}",
            "breakEvenPrice": f"{held.entry:.12f}", "markPrice": f"{account.mark(symbol):.8f}",
            "unRealizedProfit": f"{account.unrealized(symbol):.8f}",
            "liquidationPrice": f"{account.liquidation_price(symbol):.8f}", "isolatedMargin": "0",
            "notional": f"{held.amount * account.mark(symbol):.8f}", "marginAsset": account.quote_asset, "isolatedWallet": "0",
            "initialMargin": f"{initial:.8f}", "maintMargin": f"{account.maintained(symbol):.8f}",
            "positionInitialMargin": f"{initial:.8f}", "openOrderInitialMargin": "0", "adl": 1, "bidNotional": "0",
            "askNotional": "0", "updateTime": account.now(),
        }  # fmt: skip

    def _algo(self, algo: Order) -> dict[str, Any]:
        order = self.account.became(algo)
        done = order is not None and not order.open
        return {
            "algoId": algo.id, "clientAlgoId": algo.client, "algoType": "CONDITIONAL", "orderType": algo.type,
            "symbol": algo.symbol, "side": algo.side, "positionSide": "BOTH", "timeInForce": algo.tif,
            "quantity": f"{algo.quantity}", "algoStatus": "FINISHED" if done else algo.status,
            "actualOrderId": str(algo.became or ""), "triggerPrice": f"{algo.stop}", "price": f"{algo.price}",
            "icebergQuantity": None, "selfTradePreventionMode": "EXPIRE_MAKER", "workingType": "CONTRACT_PRICE",
            "priceMatch": "NONE", "closePosition": algo.closes, "priceProtect": False, "reduceOnly": algo.reduces,
            "createTime": algo.time, "updateTime": algo.updated, "triggerTime": algo.updated if algo.became else 0,
            "goodTillDate": 0,
        }  # fmt: skip


def _order(order: Order) -> dict[str, Any]:
    return {
        "orderId": order.id, "symbol": order.symbol, "status": order.status, "clientOrderId": order.client,
        "price": f"{order.price}", "avgPrice": f"{_mean(order):.5f}", "origQty": f"{order.quantity}",
        "executedQty": f"{order.executed}", "cumQty": f"{order.executed}", "cumQuote": f"{order.quote:.5f}",
        "timeInForce": order.tif, "type": order.type, "reduceOnly": order.reduces, "closePosition": order.closes,
        "side": order.side, "positionSide": "BOTH", "stopPrice": f"{order.stop}", "workingType": "CONTRACT_PRICE",
        "priceProtect": False, "origType": order.origin or order.type, "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE", "goodTillDate": 0, "time": order.time, "updateTime": order.updated,
    }  # fmt: skip


def _mean(order: Order) -> Decimal:
    return order.quote / order.executed if order.executed else ZERO


def _trade(trade: Trade) -> dict[str, Any]:
    order = trade.order
    return {
        "symbol": order.symbol, "id": trade.id, "orderId": order.id, "side": order.side, "price": f"{trade.price}",
        "qty": f"{trade.quantity}", "realizedPnl": f"{trade.realized:.8f}", "quoteQty": f"{trade.price * trade.quantity:.8f}",
        "commission": f"{trade.fee:.8f}", "commissionAsset": trade.fee_asset, "time": trade.time, "positionSide": "BOTH",
        "buyer": order.side == "BUY", "maker": trade.maker,
    }  # fmt: skip


def _income(income: Income, asset: str) -> dict[str, Any]:
    return {
        "symbol": income.symbol, "incomeType": "FUNDING_FEE", "income": f"{income.amount:.8f}", "asset": asset,
        "info": "FUNDING_FEE", "time": income.time, "tranId": income.id, "tradeId": "",
    }  # fmt: skip
