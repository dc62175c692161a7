"""What the pattern domain hands on."""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeAlias

from dataflows.panel import Flag, IntPanel, Size, Unit, Within

PatternSide: TypeAlias = Annotated[IntPanel, Within(-1, 1)]


class PatternSignal(NamedTuple):
    """One pattern: does an occurrence of it live, and which way does it point."""

    active: Flag
    side: PatternSide  # 0 without an occurrence, and where the pattern has no side
    confidence: Unit  # 0 without an occurrence
    age: Size  # valid bars since it began; NaN without an occurrence
