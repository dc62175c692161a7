"""What is wrong with market data, as one sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


class DataError(ValueError):
    """Market data cannot be used. The message is one sentence: the file, row, symbol and column at fault, and the cure."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with some rows of a file: what kind, the sentence about the first of them, and how many there are."""

    kind: str
    sentence: str
    count: int = 1


Sink: TypeAlias = Callable[[Fault], None]
"""Takes a fault. A run's sink raises; the one of `data check` notes it, and the rows at fault count as missing."""


def refuse(fault: Fault) -> None:
    """The sink of a run: raises DataError with the fault's sentence."""
    more = f" ({fault.count} rows in all)" if fault.count > 1 else ""
    raise DataError(fault.sentence + more)
