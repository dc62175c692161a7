"""What is different at an account of perpetual swaps: how it is prepared, and what it holds.

An account of swaps is read as if contracts were coins: what it holds of a symbol are signed contracts, and of the quote
currency the wallet less what those contracts were entered at. The books of a spot account then serve both.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any, Final

import ccxt

from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.seen import FundingSeen, Margin, decimal
from drivers.venues.description import VenueRules

SPOKEN: Final = ("binanceusdm",)
"""Exchanges whose swaps are traded: those whose conditional orders this program knows."""
OWN_ORDERS: Final = {
    "autoclose-": "LIQUIDATED",
    "adl_autoclose": "DELEVERAGED",
    "settlement_autoclose-": "DELISTED",
}
"""How the client ids of the exchange's own orders begin, and what they mean."""


def why_closed(client: str) -> str:
    """Why an exchange has closed (a part of) a position by an order of its own; empty: it is none of those."""
    return next((why for begin, why in OWN_ORDERS.items() if client.startswith(begin)), "")


def refuse_contracts(venue: str, markets: Iterable[Mapping[str, Any]]) -> None:
    """Raises ExchangeFault for contracts that are not traded."""
    for market in markets:
        if market.get("inverse") or market.get("settle") != market.get("quote"):
            raise ExchangeFault(
                f"{market['symbol']} is settled in {market.get('settle')}; orders go to contracts that are settled in their "
                f"quote currency, so name such symbols in {venue}.yml, e.g. BTC/USDT:USDT"
            )


def prepare(client: Any, venue: str, rules: VenueRules, symbols: Iterable[str]) -> None:
    """Sets an account's margin mode and leverage for each symbol, and reads them back.

    Margin is cross, for the caps are those of the whole account. Leverage is the largest whole number within the venue file's,
    so that the exchange itself takes no order beyond it. Raises ExchangeFault where long and short positions are held apart
    (hedge mode), where assets share one margin, or where the account does not say what was set.
    """
    if client.fetch_position_mode()["hedged"]:
        raise ExchangeFault(
            f"the account of {venue} holds long and short positions apart (hedge mode), and this program keeps one position of "
            "a symbol; choose the one-way mode in the exchange's settings"
        )
    if client.safe_bool(client.fapiPrivateGetMultiAssetsMargin(), "multiAssetsMargin", False):
        raise ExchangeFault(
            f"the account of {venue} takes several assets as margin, and this program counts one; choose the single-asset mode "
            "in the exchange's settings"
        )
    wanted = max(1, math.floor(rules.leverage))
    for symbol in symbols:
        with suppress(ccxt.MarginModeAlreadySet):
            client.set_margin_mode("cross", symbol)
        client.set_leverage(wanted, symbol)
        said = client.fetch_leverage(symbol)
        mode, there = said.get("marginMode"), said.get("longLeverage")
        if mode != "cross" or there is None or not 1 <= there <= rules.leverage:
            raise ExchangeFault(
                f"{symbol}: the account says {mode} margin and leverage {there}, and it is to be cross and at most "
                f"{rules.leverage:g}; set them in the exchange's settings"
            )


def held_of(client: Any, balance: Mapping[str, Any]) -> dict[str, Decimal]:
    """What an account of swaps holds: see above. balance: as ccxt gives it for Binance's USD-M futures, wallet and positions in
    one answer, so that they are of one moment."""
    total = {asset["asset"]: decimal(asset["walletBalance"]) for asset in balance["info"]["assets"]}
    for position in balance["info"]["positions"]:
        amount = decimal(position["positionAmt"])
        if amount:
            market = client.safe_market(position["symbol"], None, None, "swap")
            entered_at = decimal(position["notional"]) - decimal(position["unrealizedProfit"])
            total[market["symbol"]] = amount
            total[market["settle"]] = total.get(market["settle"], Decimal(0)) - entered_at
    return total


def margin_of(balance: Mapping[str, Any]) -> Margin:
    """How far an account is from its liquidation. balance: see `held_of`."""
    info = balance["info"]
    return Margin(decimal(info["totalMarginBalance"]), decimal(info["totalMaintMargin"]))


def funding_seen(row: Mapping[str, Any]) -> FundingSeen:
    """A payment of funding, as ccxt gives it."""
    return FundingSeen(row["symbol"], str(row["id"]), decimal(row["info"].get("income", row["amount"])), int(row["timestamp"]))
