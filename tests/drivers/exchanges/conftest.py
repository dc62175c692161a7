"""A practice exchange for the tests, reached through the real ccxt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from drivers.exchanges.access import Exchange
from drivers.exchanges.practice.faults import Faults
from drivers.exchanges.practice.market import ORIGIN, PracticeMarket
from drivers.exchanges.practice.server import PracticeExchange
from drivers.venues.description import VenueRules

DAY = 86_400_000
NOW = ORIGIN + 2 * DAY + 30_500  # half a minute into a bar
PRICES = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0}
OPTIONS = {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False}


@pytest.fixture
def practice() -> PracticeExchange:
    return PracticeExchange(PracticeMarket(PRICES), now=lambda: NOW)


def rules_for(address: str) -> VenueRules:
    return VenueRules(
        about="practice",
        kind="spot",
        exchange="binance",
        endpoints={"rest": address, "ws": address.replace("http", "ws")},
        options=OPTIONS,  # type: ignore[arg-type]
    )


@contextmanager
def connecting(practice: PracticeExchange) -> Iterator[Callable[..., Exchange]]:
    """What connects to the practice exchange; waits take no time."""
    opened: list[Exchange] = []
    with practice.serving() as address:

        def connect(faults: Faults | None = None, **more: Any) -> Exchange:
            exchange = Exchange("practice", rules_for(address), sleep=lambda seconds: waits.append(seconds), **more)
            exchange.client.timeout = 400 if faults is not None and "hang" in faults.kinds else 10_000  # ms
            exchange.client.enableRateLimit = False
            practice.faults = faults or Faults()
            opened.append(exchange)
            return exchange

        waits: list[float] = []
        connect.waits = waits  # type: ignore[attr-defined]
        yield connect
        for each in opened:
            each.close()


@pytest.fixture
def connected(practice: PracticeExchange) -> Iterator[Callable[..., Exchange]]:
    """See `connecting`."""
    with connecting(practice) as connect:
        yield connect
