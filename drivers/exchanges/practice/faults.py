"""What the practice exchange does wrong, on purpose and by seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Final

KINDS: Final = ("429", "418", "502", "html", "broken", "hang", "null", "empty")
"""429, 418: too many requests, with Retry-After. 502: a gateway's page. html: a page with status 200. broken: half of the JSON.
hang: no answer. null: candles without prices. empty: no rows."""


@dataclass
class Faults:
    """rate: share of the answers that go wrong. kinds: how. most: no more than so many in a row."""

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 1
    most: int = 2
    happened: list[str] = field(default_factory=list)
    _row: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def next(self) -> str:
        """The kind of the next answer's fault; empty: it is sound."""
        if self.rate <= 0.0 or self._row >= self.most or self._chance.random() >= self.rate:
            self._row = 0
            return ""
        self._row += 1
        self.happened.append(self._chance.choice(self.kinds))
        return self.happened[-1]
