"""What the pattern domain hands on."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple, TypeAlias

from dataflows.carry import Axes
from dataflows.panel import Flag, Floats, IntPanel, Members, Score, Size, Stack, Unit, Within

FIRST_PATTERN: Final = 26
"""Id of the first pattern's layer; vote p is that of layer L(FIRST_PATTERN + p)."""
PATTERNS: Final = 24
"""L26 to L49."""
VOTERS: Final = tuple(f"l{FIRST_PATTERN + p}" for p in range(PATTERNS))
"""The layer of each vote, as its column is named."""

PatternSide: TypeAlias = Annotated[IntPanel, Within(-1, 1)]


class PatternSignal(NamedTuple):
    """One pattern: does an occurrence of it live, and which way does it point."""

    active: Flag
    side: PatternSide  # 0 without an occurrence, and where the pattern has no side
    confidence: Unit  # 0 without an occurrence
    age: Size  # valid bars since it began; NaN without an occurrence


class PatternWeights(NamedTuple):
    """Delayed from L65: how much of each pattern's vote counts. Starts as configured."""

    weights: Annotated[Floats, Axes(PATTERNS, start="meta.pattern_weights"), Within(0.0, 1.0)]  # 0: switched off


class PatternConsensus(NamedTuple):
    """L50: what the patterns of a bar have been worth, together."""

    p_up: Unit  # chance that the upper barrier comes first; 0.5 with no vote or no label yet
    score: Score  # 2 * p_up - 1
    dominant: Annotated[IntPanel, Within(0, FIRST_PATTERN + PATTERNS - 1)]  # layer id of the heaviest vote, 0: none
    active_count: Annotated[IntPanel, Within(0, PATTERNS)]
    votes: Annotated[Stack, Within(-1.0, 1.0), Members(VOTERS)]  # (T, N, PATTERNS): side * confidence, before its weight
