"""Configuration of the meta domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

from dataflows.config import setting
from dataflows.fusion.types import K
from dataflows.meta.thresholds import CRASH, LEVELS, mean_shifts
from dataflows.pattern.types import FIRST_PATTERN, PATTERNS
from dataflows.regime.types import REGIMES

_EVEN: Final = (1.0 / K,) * K
SUM_ROUNDING: Final = 1e-6
"""How far the weights of a regime may be from a sum of 1."""


class MetaConfig(NamedTuple):
    """How fast the system believes what its own record says."""

    adapt_sources: Annotated[
        int,
        setting("switch", "L6: 1: sources are weighted by their record; 0: as configured, and the record is kept", ge=0, le=1),
    ] = 1
    sources_calm: Annotated[
        tuple[float, ...],
        setting("weight", "L6: of each source when calm, until the first epoch ends; they sum to 1", ge=0, le=1),
    ] = _EVEN
    sources_trend_up: Annotated[tuple[float, ...], setting("weight", "the same in a trend up", ge=0, le=1)] = _EVEN
    sources_trend_down: Annotated[tuple[float, ...], setting("weight", "the same in a trend down", ge=0, le=1)] = _EVEN
    sources_high_vol: Annotated[tuple[float, ...], setting("weight", "the same in high volatility", ge=0, le=1)] = _EVEN
    sources_chaotic: Annotated[tuple[float, ...], setting("weight", "the same in chaos", ge=0, le=1)] = _EVEN
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
    threshold_shifts: Annotated[
        tuple[float, ...],
        setting("score", "L65: at first, from regime.yml: calm, high volatility, trend; crash: a part of it", ge=-10, le=10),
    ] = (0.0,) * LEVELS
    threshold_step: Annotated[float, setting("score", "L65: most that a threshold moves in an epoch", gt=0, le=10)] = 0.1
    threshold_most: Annotated[
        float, setting("score", "L65: most that it is ever away from its configured value", ge=0, le=10)
    ] = 0.5
    least_epochs: Annotated[int, setting("epochs", "L65: of record before anything is advised", ge=3, le=1000)] = 20

    def source_rows(self) -> tuple[tuple[float, ...], ...]:
        """The configured weights of the sources, a row a regime."""
        return (
            self.sources_calm,
            self.sources_trend_up,
            self.sources_trend_down,
            self.sources_high_vol,
            self.sources_chaotic,
        )

    def mean_shift(self) -> tuple[tuple[float, ...], ...]:
        """`threshold_shifts` by regime and feature."""
        return mean_shifts(self.threshold_shifts)

    def crash_factor(self) -> float:
        """What `threshold_shifts` makes of the crash threshold, as a factor of it."""
        return 1.0 + self.threshold_shifts[CRASH]

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if len(self.pattern_weights) != PATTERNS:
            last = FIRST_PATTERN + PATTERNS - 1
            yield f"pattern_weights has {len(self.pattern_weights)} numbers; write {PATTERNS}, one for each of L26 to L{last}."
        for name, row in zip(REGIMES, self.source_rows(), strict=True):
            if len(row) != K or not abs(sum(row) - 1.0) < SUM_ROUNDING:
                yield f"sources_{name.lower()} has {len(row)} numbers that sum to {sum(row):.6g}; write {K} that sum to 1."
        if len(self.threshold_shifts) != LEVELS:
            yield f"threshold_shifts has {len(self.threshold_shifts)} numbers; write {LEVELS}."
        elif self.threshold_shifts[CRASH] <= -1.0:
            yield f"threshold_shifts makes the crash threshold {self.crash_factor():g} times itself; write more than -1."
        if self.pattern_on <= self.pattern_off:
            yield f"pattern_on is {self.pattern_on}; it must be above pattern_off ({self.pattern_off}). Typical: 0.5."
