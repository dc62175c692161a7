"""Configuration of the meta domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting
from dataflows.pattern.types import FIRST_PATTERN, PATTERNS


class MetaConfig(NamedTuple):
    """How fast the system believes what its own record says."""

    adapt_sources: Annotated[
        int, setting("switch", "L6: 1: sources are weighted by their record; 0: all alike, and the record is kept", ge=0, le=1)
    ] = 1
    source_volatility: Annotated[
        float, setting("fraction", "L6: volatility an epoch of the paper accounts that weights are learned from", gt=0, le=0.2)
    ] = 0.05
    source_share: Annotated[
        float, setting("fraction", "L6: part of all weights that is spread evenly at each epoch", ge=0, le=1)
    ] = 0.0025
    source_epochs: Annotated[
        int, setting("epochs", "L6: epochs of a source's record by which its volatility is known", ge=2, le=1000)
    ] = 5
    regime_epochs: Annotated[
        float, setting("epochs", "L6: epochs in a regime by which its weights are drawn to those of all regimes", gt=0, le=1e6)
    ] = 250.0
    adapt_patterns: Annotated[
        int, setting("switch", "L65: 1: patterns that lose are switched off and on; 0: that is only advised", ge=0, le=1)
    ] = 1
    pattern_weights: Annotated[
        tuple[float, ...],
        setting("weight", "L50: how much of the vote of each pattern counts that is on, L26 to L49", ge=0, le=1),
    ] = (1.0,) * PATTERNS
    pattern_off: Annotated[
        float, setting("probability", "L65: false discovery rate at which a pattern that loses is switched off", gt=0, lt=0.5)
    ] = 0.05
    pattern_on: Annotated[
        float, setting("probability", "L65: that it earns, from which on it is switched on again", gt=0, lt=1)
    ] = 0.5
    adapt_thresholds: Annotated[
        int, setting("switch", "L65: 1: thresholds of the regimes follow the market; 0: that is only advised", ge=0, le=1)
    ] = 0
    threshold_step: Annotated[float, setting("score", "L65: most that a threshold moves in an epoch", gt=0, le=10)] = 0.1
    threshold_most: Annotated[
        float, setting("score", "L65: most that it is ever away from its configured value", ge=0, le=10)
    ] = 0.5
    least_epochs: Annotated[int, setting("epochs", "L65: of record before anything is advised", ge=3, le=1000)] = 20

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if len(self.pattern_weights) != PATTERNS:
            last = FIRST_PATTERN + PATTERNS - 1
            yield f"pattern_weights has {len(self.pattern_weights)} numbers; write {PATTERNS}, one for each of L26 to L{last}."
        if self.pattern_on <= self.pattern_off:
            yield f"pattern_on is {self.pattern_on}; it must be above pattern_off ({self.pattern_off}). Typical: 0.5."
