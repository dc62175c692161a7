"""The practice exchange's spot account: balances, what orders lock of them, and lists of two orders.

Rules are those of Binance's spot market: an order locks what it may need, a stop locks the coin that it would sell, the two
orders of a list (OCO) lock it once and cancel each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import Any, ClassVar, Final

from drivers.exchanges.practice.core import EIGHT, ZERO, AccountCore, Order, Refused, Trade

STOPS: Final = ("STOP_LOSS", "STOP_LOSS_LIMIT")
TAKES: Final = ("TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
LIMITS: Final = ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET", *STOPS, *TAKES)


@dataclass
class PracticeAccount(AccountCore):
    """fee_asset: a coin in which fees are paid while there is enough of it; empty: the coin that is received. withdraw: the key
    may withdraw. See `AccountCore`."""

    types: ClassVar = TYPES
    stops: ClassVar = STOPS
    takes: ClassVar = TAKES
    limits: ClassVar = LIMITS
    refusals: ClassVar = {
        "lot": (-1013, "Filter failure: LOT_SIZE"),
        "price": (-1013, "Filter failure: PRICE_FILTER"),
        "notional": (-1013, "Filter failure: NOTIONAL"),
        "client": (-1100, "Illegal characters found in parameter 'newClientOrderId'."),
        "twice": (-2010, "Duplicate order sent."),
        "trigger": (-2010, "Stop price would trigger immediately."),
        "taker": (-2010, "Order would immediately match and take."),
    }

    fee_asset: str = ""
    withdraw: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.locked: dict[str, Decimal] = {}
        self._lists = 0

    def place(self, symbol: str, about: dict[str, str]) -> Order:
        """A new order, matched at once where it crosses. Raises Refused."""
        order = self._checked(symbol, about)
        self._lock(order, order.quantity)
        self._enter(order)
        return order

    def place_list(self, symbol: str, about: dict[str, str]) -> tuple[int, list[Order]]:
        """Two orders of which one cancels the other: a target above (of a sale) and a stop below. Raises Refused."""
        self._lists += 1
        pair: list[Order] = []
        for part in ("above", "below"):
            given = {
                "side": about["side"], "quantity": about["quantity"], "type": about[f"{part}Type"],
                "newClientOrderId": about[f"{part}ClientOrderId"], "timeInForce": about.get(f"{part}TimeInForce", "GTC"),
                "price": about.get(f"{part}Price", "0"), "stopPrice": about.get(f"{part}StopPrice", "0"),
            }  # fmt: skip
            order = self._checked(symbol, given, pair[0].id + 1 if pair else 0)
            order.list_id = self._lists
            pair.append(order)
        self._lock(pair[0], pair[0].quantity)  # the two lock it once
        for order in pair:
            self._enter(order)
        return self._lists, pair

    def _settle(self, order: Order, price: Decimal, quantity: Decimal, time: int) -> tuple[Decimal, str, Decimal]:
        """See `AccountCore._settle`."""
        base, quote, buys = self.base(order.symbol), self.quote_asset, order.side == "BUY"
        cost = price * quantity
        gained, received = (base, quantity) if buys else (quote, cost)
        fee, asset = (received * self.rate).quantize(EIGHT, ROUND_DOWN), gained
        if self.fee_asset:
            in_coin = (cost * self.rate / self.tape.last(self.fee_asset + quote, time)).quantize(EIGHT)
            if self.free.get(self.fee_asset, ZERO) >= in_coin:
                fee, asset = in_coin, self.fee_asset
        if buys:
            self._unlock(quote, (order.price if order.type in LIMITS else price) * quantity, order)
            self._add(quote, -cost)
        else:
            self._unlock(base, quantity, order)
            self._add(base, -quantity)
        self._add(gained, received)
        self._add(asset, -fee)
        return fee, asset, ZERO

    def _released(self, order: Order) -> None:
        """See `AccountCore._released`."""
        if order.side == "SELL":
            self._unlock(self.base(order.symbol), order.left, order)
        elif order.type in LIMITS:
            self._unlock(self.quote_asset, order.left * order.price, order)

    # -- balances ------------------------------------------------------------------------------------------------------------

    def _add(self, asset: str, amount: Decimal) -> None:
        self.free[asset] = self.free.get(asset, ZERO) + amount

    def _lock(self, order: Order, quantity: Decimal) -> None:
        asset, amount = self.base(order.symbol), quantity
        if order.side == "BUY":
            asset = self.quote_asset
            price = order.price if order.type in LIMITS else self.tape.last(order.symbol, self.now()) * Decimal("1.0001")
            amount = quantity * price
        if self.free.get(asset, ZERO) < amount:
            raise Refused(-2010, "Account has insufficient balance for requested action.")
        if order.side == "SELL" or order.type in LIMITS:
            self._add(asset, -amount)
            self.locked[asset] = self.locked.get(asset, ZERO) + amount

    def _unlock(self, asset: str, amount: Decimal, order: Order) -> None:
        if order.side == "BUY" and order.type not in LIMITS:
            return
        self.locked[asset] = self.locked.get(asset, ZERO) - amount
        self._add(asset, amount)

    def _tell(self, order: Order, what: str, trade: Trade | None = None) -> None:
        """See `AccountCore._tell`."""
        report = execution_report(order, what, trade, self.now())
        for listener in list(self.listeners):
            listener(report)


def execution_report(order: Order, what: str, trade: Trade | None, now: int) -> dict[str, Any]:
    """The user stream's message of an order. what: NEW, TRADE, CANCELED, EXPIRED or REJECTED."""
    last, quantity = (trade.price, trade.quantity) if trade is not None else (ZERO, ZERO)
    return {
        "e": "executionReport", "E": now, "s": order.symbol,
        "c": order.client if what != "CANCELED" else f"x{order.client}"[:36],
        "S": order.side, "o": order.type, "f": order.tif, "q": f"{order.quantity:.8f}", "p": f"{order.price:.8f}",
        "P": f"{order.stop:.8f}", "F": "0.00000000", "g": order.list_id, "C": order.client if what == "CANCELED" else "",
        "x": what, "X": order.status, "r": "NONE", "i": order.id, "l": f"{quantity:.8f}", "z": f"{order.executed:.8f}",
        "L": f"{last:.8f}", "n": f"{trade.fee:.8f}" if trade is not None else "0",
        "N": trade.fee_asset if trade is not None else None, "T": order.updated, "t": trade.id if trade is not None else -1,
        "w": order.working and order.open, "m": trade.maker if trade is not None else False, "O": order.time,
        "Z": f"{order.quote:.8f}", "Y": f"{last * quantity:.8f}", "Q": "0.00000000",
    }  # fmt: skip
