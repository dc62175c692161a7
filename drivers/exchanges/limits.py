"""The exchange's limits as token buckets: request weight and orders, with a reserve for exits, stops and cancels.

A bucket fills as time passes and is emptied by each call; what the exchange's headers say of the use counts where that is more:
other programs of this machine, and readings of the market, use the same limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

SECOND: Final = 1_000_000_000
RESERVE: Final = 0.25
"""Share of each limit that only exits, stops and cancels may use."""
GUESS: Final = 4.0
"""Weight of a call until the exchange has said what was used."""


class Used(NamedTuple):
    """What headers say: weight of this minute, orders of these ten seconds; left: calls that may still be made, of `most`,
    until `anew` (UTC ms). -1: not said."""

    weight: int = -1
    orders: int = -1
    left: int = -1
    most: int = -1
    anew: int = -1


def used(headers: Mapping[str, str]) -> Used:
    """What an answer's headers say: Binance's used weight and order count, Bybit's and others' remaining calls."""
    said = {key.lower(): value for key, value in headers.items()}

    def number(*names: str) -> int:
        found = next((said[name] for name in names if name in said), "")
        return int(found) if found.isdecimal() else -1

    return Used(
        number("x-mbx-used-weight-1m"),
        number("x-mbx-order-count-10s", "x-mbx-order-count-1m"),
        number("x-bapi-limit-status", "x-ratelimit-remaining", "ratelimit-remaining"),
        number("x-bapi-limit", "x-ratelimit-limit", "ratelimit-limit"),
        number("x-bapi-limit-reset-timestamp"),
    )


@dataclass
class Bucket:
    """most: of `period` ns. level: what is left."""

    most: float
    period: int
    level: float = -1.0
    at: int = 0

    def fill(self, now: int) -> None:
        """Time has passed. UTC ns; a clock that goes back fills nothing."""
        if self.level < 0.0:
            self.level = self.most
        elif now > self.at:
            self.level = min(self.most, self.level + self.most * (now - self.at) / self.period)
        self.at = max(self.at, now)

    def has(self, now: int, urgent: bool) -> bool:
        """Whether a call may be made; one that is not urgent leaves the reserve."""
        self.fill(now)
        return self.level >= 1.0 and (urgent or self.level > self.most * RESERVE)

    def take(self, now: int, amount: float) -> None:
        """A call is made."""
        self.fill(now)
        self.level = max(0.0, self.level - amount)

    def learn(self, now: int, spent: float) -> None:
        """The exchange says what was used."""
        self.fill(now)
        self.level = max(0.0, min(self.level, self.most - spent))


class Limits:
    """Of one account. weight: most in a minute. orders: most in ten seconds; 0: the exchange states none."""

    def __init__(self, weight: float, orders: float = 0.0) -> None:
        self.weight = Bucket(weight, 60 * SECOND)
        self.orders = Bucket(orders, 10 * SECOND) if orders > 0.0 else None
        self.closed_until = 0  # UTC ns: the exchange has no call left for us

    def may_call(self, now: int, urgent: bool) -> bool:
        """Whether the limits leave room for a call."""
        return now >= self.closed_until and self.weight.has(now, urgent)

    def may_order(self, now: int, urgent: bool) -> bool:
        """Whether they leave room for an order. The limit of orders is one of entries: no stop, exit or cancel waits for it."""
        return self.may_call(now, urgent) and (urgent or self.orders is None or self.orders.has(now, urgent))

    def called(self, now: int, order: bool) -> None:
        """A call is made; order: it places one."""
        self.weight.take(now, GUESS)
        if order and self.orders is not None:
            self.orders.take(now, 1.0)

    def learn(self, now: int, said: Used) -> None:
        """What an answer says."""
        if said.weight >= 0:
            self.weight.learn(now, said.weight)
        if said.orders >= 0 and self.orders is not None:
            self.orders.learn(now, said.orders)
        if said.left == 0 and said.most > 0:
            anew = said.anew * 1_000_000 if said.anew > 0 else now + SECOND
            self.closed_until = max(self.closed_until, min(anew, now + 60 * SECOND))
