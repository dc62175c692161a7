"""What an exchange says of orders and trades, in one form, whether it comes by REST or by the user stream."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

OPEN: Final = "open"
MARGIN_RESERVE: Final = 2
"""Multiple of the maintenance margin that the equity must be for an entry to leave."""
ENDS: Final = ("closed", "canceled", "expired", "rejected")


class OrderSeen(NamedTuple):
    """What is said of one order. symbol: as ccxt has it. status: `open` or one of ENDS. filled: base units. The rest, where it
    is said: quantity in base units, price and trigger as text, empty: none; takes_profit: its trigger is one of profit. algo: a
    conditional order of swaps, `closed` once it was reached; became: the exchange's id of the order that it is then."""

    symbol: str
    venue_id: str
    client: str
    status: str
    filled: Decimal
    side: str = ""
    quantity: Decimal = Decimal(0)
    price: str = ""
    trigger: str = ""
    takes_profit: bool = False
    algo: bool = False
    became: str = ""


class TradeSeen(NamedTuple):
    """One fill. client: of its order, empty where it is not said. quantity: signed base units. fee: in `fee_asset`."""

    symbol: str
    trade_id: str
    venue_id: str
    client: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    maker: bool
    time: int  # ms


class FundingSeen(NamedTuple):
    """A payment of funding. amount: quote currency; negative: paid. time: ms."""

    symbol: str
    id: str
    amount: Decimal
    time: int


class Margin(NamedTuple):
    """Of an account of swaps, in quote currency. maintenance: with less equity than that the exchange liquidates."""

    equity: Decimal
    maintenance: Decimal

    @property
    def thin(self) -> bool:
        """Whether so little is left that nothing may be opened."""
        return self.equity < MARGIN_RESERVE * self.maintenance


class AccountSeen(NamedTuple):
    """The account at a time. margin: of swaps. total: free and locked, by asset; of swaps see `swaps.held_of`. orders: all that
    are open, strangers' too."""

    total: dict[str, Decimal]
    orders: list[OrderSeen]
    margin: Margin | None = None


def decimal(value: Any) -> Decimal:
    """A number of ccxt, exactly as it is written; 0 where there is none. Raises ValueError for one that is not finite."""
    found = Decimal(str(value)) if value is not None else Decimal(0)
    if not found.is_finite():
        raise ValueError(f"{value!r} is no amount")
    return found


def order_seen(order: Mapping[str, Any]) -> OrderSeen | None:
    """An order of ccxt; None where it does not say what became of it."""
    status = order.get("status")
    if status not in (OPEN, *ENDS) or not order.get("symbol"):
        return None
    trigger = order.get("triggerPrice") or order.get("stopLossPrice") or order.get("takeProfitPrice")
    kind, info = str(order.get("type") or ""), order.get("info")
    info = info if isinstance(info, Mapping) else {}
    algo = "aid" in info or (bool(info.get("algoId")) and "accFillSz" not in info)  # OKX names it in what it became, too
    return OrderSeen(
        order["symbol"],
        str((info.get("ordId") if "accFillSz" in info else None) or order.get("id") or ""),  # ccxt has the stop's, at OKX
        str((info.get("algoClOrdId") if algo else None) or order.get("clientOrderId") or ""),
        status,
        decimal(None if algo else order.get("filled")),  # ccxt takes one that was reached for filled
        str(order.get("side") or ""),
        decimal(order.get("amount")),
        _price(order.get("price")),
        _price(trigger),
        bool(order.get("takeProfitPrice")) or kind.replace("-", "_").lower().startswith("take_profit"),
        algo,
        str(info.get("actualOrderId") or info.get("ai") or (info.get("ordId") if algo else None) or ""),
    )


def _price(value: Any) -> str:
    """A price as exchanges take it; empty where there is none."""
    found = decimal(value)
    written = f"{found:f}"
    return "" if found <= 0 else written.rstrip("0").rstrip(".") if "." in written else written


def trade_seen(trade: Mapping[str, Any], symbol: str, client: str = "") -> TradeSeen:
    """A trade of ccxt. Raises ValueError where an amount makes no sense: it is then asked for again."""
    amount, price = decimal(trade["amount"]), decimal(trade["price"])
    if amount <= 0 or price <= 0 or not trade.get("id") or trade.get("side") not in ("buy", "sell"):
        raise ValueError(f"a trade of {symbol} without id, side, amount or price")
    fee = trade.get("fee") or {}
    return TradeSeen(
        symbol,
        str(trade["id"]),
        str(trade.get("order") or ""),
        client,
        amount if trade["side"] == "buy" else -amount,
        price,
        decimal(fee.get("cost")),
        str(fee.get("currency") or ""),
        trade.get("takerOrMaker") == "maker",
        int(trade.get("timestamp") or 0),
    )
