"""What the units of a run's symbols are worth, by the facts that its run.json keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dataflows.kernels import contract
from dataflows.runtime.compile import python_of

_notional_of, _booked = python_of(contract.notional_of), python_of(contract.booked)


class Contracts:
    """Multiplier and kind of each symbol's contract, by column."""

    def __init__(self, multiplier: Sequence[float], inverse: Sequence[int]) -> None:
        self.multiplier, self.inverse = list(multiplier), list(inverse)

    @classmethod
    def of(cls, about: Mapping[str, Any], symbols: int) -> Contracts:
        """Those of a run.json; a unit is worth its price where an older run did not say."""
        facts = about.get("instruments") or {}
        return cls(facts.get("multiplier", [1.0] * symbols), facts.get("inverse", [0] * symbols))

    def notional(self, symbol: int, price: float) -> float:
        """The notional of one unit, in the account's currency."""
        return float(_notional_of(price, self.multiplier[symbol], self.inverse[symbol]))

    def booked(self, symbol: int, price: float) -> float:
        """What one unit is booked at: its change times the quantity is the profit."""
        return float(_booked(price, self.multiplier[symbol], self.inverse[symbol]))
