"""The last gate before the wire: limits of the venue's file, which know nothing of the layers that decided.

It holds for what opens or adds to a position. Exits, stops and cancels pass.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from drivers.venues.description import OrderLimits

MINUTE = 60_000_000_000


class LastGate:
    """limits: of the venue's file."""

    def __init__(self, limits: OrderLimits) -> None:
        self.limits = limits
        self._sent: deque[tuple[int, float]] = deque()  # (UTC ns, notional)

    def refuses(self, symbol: str, side: str, quantity: Decimal, price: float, last: float, now: int) -> str:
        """Why an entry may not leave; empty where it may, and it then counts as sent.

        symbol: as the exchange writes it. price: its limit, or what it was decided at. last: the exchange's last price, NaN
        unknown. now: UTC ns. A value that is not known refuses.
        """
        limits, notional = self.limits, float(quantity) * price
        if limits.symbols is not None and symbol not in limits.symbols:
            return f"{symbol} is not among the symbols of the last gate"
        if side not in limits.sides:
            return f"the last gate lets no order {side}"
        if not 0.0 < notional <= limits.notional_per_order:
            return f"{notional:.2f} is more than notional_per_order of the last gate, {limits.notional_per_order:g}"
        if not abs(price / last - 1.0) * 1e4 <= limits.price_band_bps:
            return f"the price {price:g} is not within {limits.price_band_bps:g} bps of the last, {last:g}"
        while self._sent and self._sent[0][0] <= now - MINUTE:
            self._sent.popleft()
        if not sum(worth for _, worth in self._sent) + notional <= limits.notional_per_minute:
            return f"notional_per_minute of the last gate, {limits.notional_per_minute:g}, is used up"
        self._sent.append((now, notional))
        return ""
