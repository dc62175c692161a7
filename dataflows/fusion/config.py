"""Configuration of the expectancy and fusion domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting


class FusionConfig(NamedTuple):
    """How sources become a score, the score an expected edge, and the edge a proposal."""

    signal_window_bars: Annotated[int, setting("bars", "L66: trailing window of the scale of an unbounded source", ge=30)] = (
        1440
    )
    signal_floor: Annotated[float, setting("of the raw source", "L66: least scale of an unbounded source", gt=0)] = 0.1
    horizons: Annotated[
        tuple[int, ...], setting("bars", "L67: the four horizons at which the score's worth is learned, ascending")
    ] = (5, 15, 60, 240)
    label_max_gap_bars: Annotated[
        int, setting("bars", "L67: bars without data that a sample may live through; with more it is void", ge=0)
    ] = 5
    prior_strength: Annotated[
        float, setting("effective observations", "L67: what the prior is worth; also of the residual variance", gt=0)
    ] = 100.0
    prior_slope_bps: Annotated[
        float,
        setting(
            "bps per unit of score",
            "L67: prior edge at the third horizon (others by the square root of time); 0 claims nothing",
            ge=0,
        ),
    ] = 0.0
    prior_score: Annotated[float, setting("of 1", "L67: size of a typical score before any is seen", gt=0, le=1)] = 0.25
    forget_halflife: Annotated[
        float, setting("effective observations", "L67: half-life of a sample in its regime and horizon", gt=0)
    ] = 200.0
    cost_fee_bps: Annotated[float, setting("bps", "L71: taker fee where the instrument's is unknown", ge=0)] = 5.0
    cost_reference_notional: Annotated[float, setting("quote currency", "L71: order size that is costed", gt=0)] = 10000.0
    cost_delta: Annotated[
        float, setting("", "L71: exponent of impact; 0.5 the square-root law, 0.6 Almgren et al. (2005)", gt=0, le=1)
    ] = 0.5
    cost_day_bars: Annotated[
        float, setting("bars", "L71: bars in a day of the clock; matters only where cost_delta is not 0.5", gt=0)
    ] = 1440.0
    cost_halflife_bars: Annotated[
        float, setting("bars", "L71: half-life of the mean traded notional and of the mean funding", gt=0)
    ] = 1440.0
    cost_seed_bars: Annotated[int, setting("bars", "L71: bars whose simple mean starts both", ge=1)] = 60
    kelly_fraction: Annotated[float, setting("of the Kelly bet", "L75: share of it that is suggested", gt=0, le=1)] = 0.25
    kelly_cap: Annotated[float, setting("of equity", "L75: most that is ever suggested", gt=0, le=1)] = 0.2
    side_enter: Annotated[float, setting("of 1", "L3: |score| above which there is a case for a side", gt=0, le=1)] = 0.25
    side_leave: Annotated[float, setting("of 1", "L3: score for the side below which the case is gone", ge=0, le=1)] = 0.1
    entry_min_t: Annotated[float, setting("standard errors", "L3: net edge that an entry needs", ge=0)] = 1.0
    entry_min_observations: Annotated[float, setting("effective observations", "L3: experience that an entry needs", ge=0)] = (
        100.0
    )

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if len(self.horizons) != 4 or self.horizons[0] < 1 or any(a >= b for a, b in zip(self.horizons, self.horizons[1:])):
            yield f"horizons is {list(self.horizons)}; four different numbers of bars are needed, shortest first."
        if self.side_leave >= self.side_enter:
            yield f"side_leave is {self.side_leave} and side_enter {self.side_enter}; leave must be below enter."
