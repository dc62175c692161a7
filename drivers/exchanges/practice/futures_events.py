"""The messages of the practice exchange's futures user stream, as Binance writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from drivers.exchanges.practice.core import ZERO, Order, Trade

if TYPE_CHECKING:
    from drivers.exchanges.practice.futures import FuturesAccount

LIQUIDATED: Final = "autoclose-"
"""How the client id of a liquidation's order begins."""


def order_update(order: Order, what: str, trade: Trade | None, now: int) -> dict[str, Any]:
    """Of an ordinary order. what: NEW, TRADE, CANCELED, EXPIRED or REJECTED; a liquidation's fill is CALCULATED."""
    last, quantity, realized = (trade.price, trade.quantity, trade.realized) if trade is not None else (ZERO, ZERO, ZERO)
    if what == "TRADE" and order.client.startswith(LIQUIDATED):
        what = "CALCULATED"
    about = {
        "s": order.symbol, "c": order.client, "S": order.side, "o": order.type, "f": order.tif, "q": f"{order.quantity}",
        "p": f"{order.price}", "ap": f"{order.quote / order.executed:.5f}" if order.executed else "0",
        "sp": f"{order.stop}", "x": what, "X": order.status, "i": order.id, "l": f"{quantity}", "z": f"{order.executed}",
        "L": f"{last}", "T": order.updated, "t": trade.id if trade is not None else 0, "b": "0", "a": "0",
        "m": trade.maker if trade is not None else False, "R": order.reduces, "wt": "CONTRACT_PRICE",
        "ot": order.origin or order.type, "ps": "BOTH", "cp": order.closes, "rp": f"{realized:.8f}", "pP": False, "si": 0,
        "ss": 0, "V": "NONE", "pm": "NONE", "gtd": 0,
    }  # fmt: skip
    if trade is not None:
        about |= {"N": trade.fee_asset, "n": f"{trade.fee:.8f}"}
    return {"e": "ORDER_TRADE_UPDATE", "E": now, "T": order.updated, "o": about}


def algo_update(algo: Order, order: Order | None, now: int) -> dict[str, Any]:
    """Of a conditional order. order: the ordinary one that it has become."""
    done = order is not None and not order.open
    price = order.quote / order.executed if order is not None and order.executed else ZERO
    return {
        "e": "ALGO_UPDATE", "E": now, "T": algo.updated, "o": {
            "caid": algo.client, "aid": algo.id, "at": "CONDITIONAL", "o": algo.type, "s": algo.symbol, "S": algo.side,
            "ps": "BOTH", "f": algo.tif, "q": f"{algo.quantity}", "X": "FINISHED" if done else algo.status,
            "ai": str(algo.became or ""), "ap": f"{price:.5f}",
            "aq": f"{order.executed}" if order is not None else "0.00000", "act": order.type if order is not None else "0",
            "tp": f"{algo.stop}", "p": f"{algo.price}", "V": "EXPIRE_MAKER", "wt": "CONTRACT_PRICE", "pm": "NONE",
            "cp": algo.closes, "pP": False, "R": algo.reduces, "tt": algo.updated if algo.became else 0, "gtd": 0,
            "rm": "Reduce Only reject" if algo.status == "EXPIRED" else "",
        },
    }  # fmt: skip


def account_update(account: FuturesAccount, why: str, symbol: str, time: int) -> dict[str, Any]:
    """Of the wallet and a position. why: ORDER or FUNDING_FEE."""
    held, wallet = account.position(symbol), f"{account.wallet:.8f}"
    return {
        "e": "ACCOUNT_UPDATE", "E": time, "T": time, "a": {
            "m": why,
            "B": [{"a": account.quote_asset, "wb": wallet, "cw": wallet, "bc": "0"}],
            "P": [{"s": symbol, "pa": f"{held.amount}", "ep": f"{held.entry:.8f}", "cr": "0", "ps": "BOTH", "mt": "cross",
                   "up": f"{account.unrealized(symbol, time):.8f}", "iw": "0", "bep": f"{held.entry:.8f}"}],
        },
    }  # fmt: skip


def margin_call(account: FuturesAccount, symbols: list[str], time: int) -> dict[str, Any]:
    """The equity is not far from the maintenance margin."""
    return {
        "e": "MARGIN_CALL", "E": time, "cw": f"{account.wallet:.8f}", "p": [
            {"s": symbol, "ps": "BOTH", "pa": f"{account.position(symbol).amount}", "mt": "CROSSED", "iw": "0",
             "mp": f"{account.mark(symbol, time):.8f}", "up": f"{account.unrealized(symbol, time):.8f}",
             "mm": f"{account.maintained(symbol, time):.8f}"}
            for symbol in symbols
        ],
    }  # fmt: skip
