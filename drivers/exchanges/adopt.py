"""`adopt: true`: what the account holds at the start, and the orders that rest there, are ours from then on.

Orders that close what is held become its bracket: the stop at its price for all that is held, the target beside it. The stop
that the layers place replaces it. Orders that open or add are canceled, for the risk gate has not seen them; what they fill
meanwhile is ours. The layers hear of fills alone, as of inventory: they know of no such order.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from dataflows.execution.types import CANCELED_EVENT
from drivers.exchanges import client_ids
from drivers.exchanges.legs import ENTRY, OPEN, STOP, TARGET, Book, Leg, text
from drivers.exchanges.seen import OrderSeen

if TYPE_CHECKING:
    from drivers.exchanges.gateway import Gateway, Market

FIRST: Final = 0xFFFF0000
"""Sequence of the first adopted order: those of the layers do not come that far."""


def adopt_orders(gateway: Gateway, orders: list[OrderSeen]) -> None:
    """Takes in the open orders of the account's symbols, once, at the start. One that cannot be understood is left alone, and
    named as a stranger's."""
    number = 0
    for seen in orders:
        market = gateway.by_symbol.get(seen.symbol)
        if market is None or client_ids.read(seen.client) is not None:
            continue
        if seen.algo and not seen.client:
            continue  # its id names the condition alone: without a client id it can be neither asked for nor canceled
        left = seen.quantity - seen.filled
        if left <= 0 or seen.side not in ("buy", "sell") or not (seen.price or seen.trigger) or not seen.venue_id:
            continue
        _adopt(gateway, market, seen, FIRST + number)
        number += 1


def _adopt(gateway: Gateway, market: Market, seen: OrderSeen, sequence: int) -> None:
    held = gateway.state.position.get(market.name, Decimal(0))
    signed = seen.quantity if seen.side == "buy" else -seen.quantity
    closes = held * signed < 0
    stops = closes and seen.trigger and not seen.takes_profit
    role = STOP if stops else TARGET if closes else ENTRY
    book = Book(
        id=market.uid << 32 | sequence, symbol=market.name, role=role, kind="limit", quantity=text(signed), limit=seen.price,
        trigger=seen.trigger if stops else "", tif="GTC", parent=0, decided=gateway.now(), expires=0, bracket_stop="",
        bracket_limit="", bracket_target="", price=float(seen.price or seen.trigger), filled="0", told=True, silent=True,
        adopted=True, cancel=-1 if closes else CANCELED_EVENT,
    )  # fmt: skip
    kind = ("stop_limit" if seen.price else "stop") if stops else "target" if closes else "limit"
    leg = Leg(
        seen.client or f"v{seen.venue_id}", book.id, market.name, kind, seen.side, text(seen.quantity), seen.price,
        book.trigger, "GTC", gateway.now(), state=OPEN, venue_id=seen.became if seen.algo else seen.venue_id,
        filled=text(seen.filled), stated=text(seen.filled), reduces=closes, algo=seen.algo,
    )  # fmt: skip
    book.filled = text(seen.filled if seen.side == "buy" else -seen.filled)
    gateway.state.touch(book, leg)
    gateway.bookings.knows(leg)
    what = (
        "serves as the position's stop or target until the layers place theirs"
        if closes
        else "is canceled, for the risk gate has not seen it"
    )
    gateway.notify(
        f"{market.name}: the order {seen.venue_id} ({seen.side} {text(seen.quantity - seen.filled)}) is adopted; it {what}"
    )
