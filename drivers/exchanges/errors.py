"""What an exchange may answer, and what is done then."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import ccxt

T = TypeVar("T")

MOST_TRIES: Final = 8
LONGEST_WAIT: Final = 60.0
"""Seconds between two tries, unless the exchange asks for more (Retry-After)."""

TRANSIENT: Final = (ccxt.NetworkError, ccxt.BadResponse, ccxt.NullResponse)
"""Outages, limits, and answers that are no answer (HTML, broken JSON, nothing): asked again."""


class ExchangeFault(ValueError):
    """The exchange cannot be used as asked. The message names it and what to do."""


class ExchangeOutage(ExchangeFault):
    """The exchange did not answer, however often it was asked."""


class Malformed(ccxt.BadResponse):  # type: ignore[misc]
    """An answer that can be read and makes no sense, such as a candle without a price."""


def fault(name: str, error: Exception, tries: int = MOST_TRIES) -> ExchangeFault:
    """An error of ccxt as a sentence. name: the venue's."""
    said = " ".join(str(error).split())[:200]
    if isinstance(error, ccxt.BadSymbol):
        return ExchangeFault(
            f"{name}: {said}; symbols are written as ccxt has them, e.g. BTC/USDT, or BTC/USDT:USDT for a swap"
        )
    if isinstance(error, TRANSIENT):
        return ExchangeOutage(f"{name} did not answer in {tries} tries ({said})")
    return ExchangeFault(f"{name}: {said}")


@dataclass
class Patience:
    """Asks again after outages and limits, with exponential, jittered waits (Brooker 2015).

    sleep: waits for so many seconds. retry_after: what the exchange's last answer asked to wait, s. chance: of the jitter.
    """

    name: str
    sleep: Callable[[float], None] = time.sleep
    retry_after: Callable[[], float] = lambda: 0.0
    chance: random.Random = field(default_factory=random.Random)
    retries: int = 0  # in all
    tries: int = MOST_TRIES

    def ask(self, call: Callable[[], T]) -> T:
        """The answer of a call. Raises ExchangeFault when it is refused, or does not come in MOST_TRIES tries."""
        for attempt in range(self.tries):
            try:
                return call()
            except TRANSIENT as error:
                if attempt == self.tries - 1 or isinstance(error, ccxt.AuthenticationError):
                    raise fault(self.name, error, self.tries) from None
                self.retries += 1
                wait = min(LONGEST_WAIT, 0.5 * 2.0**attempt)
                self.sleep(max(self.retry_after(), wait * (0.5 + 0.5 * self.chance.random())))
            except ccxt.BaseError as error:
                raise fault(self.name, error) from None
        raise AssertionError("unreachable")
