"""Processor time that the order gateway takes of a bar, without a network: a look at nothing new, and a close with an entry of
every symbol.

python -m benchmarks.gateway [--symbols 20] [--orders 40]

Every symbol has a position with its stop, and so many orders of before are remembered. The least of several runs.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from dataflows.execution.types import FILL, GTC, MARKET
from drivers.exchanges.gateway import Gateway, Market
from drivers.exchanges.last_gate import LastGate
from drivers.exchanges.legs import DONE, ENTRY, OPEN, STOP, Book, Leg
from drivers.exchanges.state import State
from drivers.venues.base import NewOrder
from drivers.venues.description import OrderLimits

NOW = 1_767_225_600_000_000_000
LIMITS = OrderLimits(notional_per_order=1e6, notional_per_minute=1e9, price_band_bps=1e3)


class Counts:
    """Counts the calls, and makes none."""

    def __init__(self) -> None:
        self.calls = 0

    def run(self, call: Any, then: Any, urgent: bool) -> None:
        self.calls += 1

    def finished(self) -> list[Any]:
        return []

    def close(self) -> None:
        pass


def made(symbols: int, orders: int) -> Gateway:
    """A gateway of perpetual swaps in the middle of its work."""
    names = [f"S{i:02d}" for i in range(symbols)]
    markets = tuple(
        Market(
            f"{name}/USDT:USDT", f"{name}USDT", i + 1, name, "USDT", Decimal("0.01"), Decimal("0.0001"), Decimal(5), 5e-4, True
        )
        for i, name in enumerate(names)
    )
    state = State("bench")
    gateway = Gateway(Counts(), markets, LastGate(LIMITS), lambda: NOW, 60_000_000_000, 0, 1e6, state)
    for market in markets:
        gateway.reconciler._prices[market.base] = NOW, 100.0
        state.position[market.name] = Decimal(1)
        base = market.uid << 32
        for number in range(4, 4 * orders, 4):
            state.touch(book(market, base | number, ENTRY, "1", FILL))
            state.touch(leg(market, f"e{number}", base | number, "limit", DONE))
        stop = book(market, base | 4 * orders + 1, STOP, "-1", -1)
        state.touch(stop, leg(market, "stop", stop.id, "stop", OPEN))
    state.change()
    return gateway


def book(market: Market, order_id: int, role: str, quantity: str, ends: int) -> Book:
    return Book(
        id=order_id, symbol=market.name, role=role, kind="limit", quantity=quantity, limit="", trigger="95", tif="GTC",
        parent=0, decided=NOW, expires=0, bracket_stop="", bracket_limit="", bracket_target="", price=100.0, ends=ends,
        told=True, filled="0" if ends < 0 else quantity,
    )  # fmt: skip


def leg(market: Market, name: str, owner: int, kind: str, state: str) -> Leg:
    done = state == DONE
    return Leg(
        f"{market.name}{name}", owner, market.name, kind, "buy" if done else "sell", "1", "", "" if done else "95", "GTC",
        NOW - 10**10, state=state, filled="1" if done else "0", stated="1" if done else "0", ended="+closed" if done else "",
        reduces=not done, algo=not done,
    )  # fmt: skip


def entries(gateway: Gateway) -> None:
    """An entry of every symbol, decided at one close."""
    for market in gateway.markets:
        gateway.submit(
            NewOrder(
                market.name, market.uid << 32 | 4_000, 0, MARKET, 0.5, math.nan, math.nan, False, GTC, 0.0, 95.0, math.nan,
                110.0, NOW, 100.0,
            )
        )  # fmt: skip
    gateway.flush()


def least(symbols: int, orders: int, do: Callable[[Gateway], None]) -> float:
    """ms of processor time."""
    took = []
    for _ in range(7):
        gateway = made(symbols, orders)
        begun = time.process_time()
        do(gateway)
        took.append((time.process_time() - begun) * 1e3)
    return min(took)


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--symbols", type=int, default=20)
    parser.add_argument("--orders", type=int, default=40, help="remembered of each symbol")
    asked = parser.parse_args()
    looks = least(asked.symbols, asked.orders, lambda gateway: gateway.flush())
    closes = least(asked.symbols, asked.orders, entries)
    print(f"{asked.symbols} symbols, {asked.orders} orders of each remembered, processor time:")
    print(f"  a look at nothing new {looks:.2f} ms, a close with an entry of each symbol {closes:.2f} ms")


if __name__ == "__main__":
    main()
