"""What goes wrong with orders at the practice exchange, on purpose and by seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

REQUESTS: Final = ("429", "418", "502", "html", "broken", "hang", "lost_request", "slow", "reject")
"""Before anything is done, but for `broken`: half of the JSON of an answer. reject: of an order. hang: no answer. lost_request:
the connection breaks. slow: no answer, and it is done almost three seconds later."""
ANSWERS: Final = ("502_after", "html_after", "hung_after", "lost_after")
"""The request is done and its answer is lost: a gateway's page, a page with status 200, no answer, a broken connection."""
STREAM: Final = ("duplicate", "lost", "late", "drop", "malformed")
"""Of the user stream: a report twice, never, three reports later; the connection ends; half of the JSON."""
ACCOUNT: Final = ("part", "skew")
"""part: the exchange expires a part of a market order. skew: its clock jumps by 3 s."""
KINDS: Final = (*REQUESTS, *ANSWERS, *STREAM, *ACCOUNT)


@dataclass
class OrderFaults:
    """kinds: which. rate: share of requests, or of reports, that go wrong. most: no more than so many in a row."""

    kinds: tuple[str, ...] = ()
    rate: float = 0.0
    seed: int = 1
    most: int = 3
    happened: list[str] = field(default_factory=list)
    _row: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def next(self, request: str) -> str:
        """The kind of the fault of a request; empty: it is sound."""
        return self._next([kind for kind in self.kinds if kind in REQUESTS or kind in ANSWERS], request)

    def of_report(self) -> str:
        """The kind of the fault of a report of the user stream."""
        return self._next([kind for kind in self.kinds if kind in STREAM], "report")

    def _next(self, kinds: list[str], what: str) -> str:
        if not kinds or self._row >= self.most or self._chance.random() >= self.rate:
            self._row = 0
            return ""
        self._row += 1
        kind = self._chance.choice(kinds)
        self.happened.append(f"{kind} {what}")
        return kind
