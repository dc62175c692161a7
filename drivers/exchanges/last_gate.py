"""The last gate before the wire: limits of a file, which know nothing of the layers that decided.

It holds for what opens or adds to a position. Exits, stops and cancels pass.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import NamedTuple

from drivers.venues.description import OrderLimits

MINUTE = 60_000_000_000


class _Sent(NamedTuple):
    at: int  # UTC ns
    notional: float
    says: tuple[str, str, Decimal, float]


class LastGate:
    """limits: of the venue's file."""

    def __init__(self, limits: OrderLimits) -> None:
        self.limits = limits
        self._sent: deque[_Sent] = deque()

    def refuses(
        self, symbol: str, side: str, quantity: Decimal, price: float, last: float, now: int, exposure: float = 0.0
    ) -> str:
        """Why an entry may not leave; empty where it may, and it then counts as sent.

        symbol: as the exchange writes it. price: its limit, or what it was decided at. last: the exchange's last price, NaN
        unknown. now: UTC ns. exposure: notional of positions and entries that are there, NaN unknown. What is not known
        refuses.
        """
        limits, notional, says = self.limits, float(quantity) * price, (symbol, side, quantity, price)
        if limits.symbols is not None and symbol not in limits.symbols:
            return f"{symbol} is not among the symbols of the last gate"
        if side not in limits.sides:
            return f"the last gate lets no order {side}"
        if not 0.0 < notional <= limits.notional_per_order:
            return f"{notional:.2f} is more than notional_per_order of the last gate, {limits.notional_per_order:g}"
        if not abs(price / last - 1.0) * 1e4 <= limits.price_band_bps:
            return f"the price {price:g} is not within {limits.price_band_bps:g} bps of the last, {last:g}"
        if limits.notional_total is not None and not exposure + notional <= limits.notional_total:
            return (
                f"with {exposure:.2f} that is there it is more than notional_total of the last gate, {limits.notional_total:g}"
            )
        while self._sent and self._sent[0].at <= now - MINUTE:
            self._sent.popleft()
        if any(sent.says == says and now - sent.at < limits.least_apart * 1e9 for sent in self._sent):
            return f"the same order was sent less than least_apart of the last gate, {limits.least_apart:g} s, ago"
        if not sum(sent.notional for sent in self._sent) + notional <= limits.notional_per_minute:
            return f"notional_per_minute of the last gate, {limits.notional_per_minute:g}, is used up"
        self._sent.append(_Sent(now, notional, says))
        return ""

    def not_sent(self, symbol: str, side: str, quantity: Decimal) -> None:
        """An entry that was let through has not reached the exchange: it does not count, and may be sent again."""
        for sent in reversed(self._sent):
            if sent.says[:3] == (symbol, side, quantity):
                self._sent.remove(sent)
                return
