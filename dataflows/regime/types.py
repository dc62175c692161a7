"""What the regime domain hands on."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from dataflows.carry import Axes
from dataflows.panel import Floats, IntPanel, Panel, Size, Unit, Within
from dataflows.regime.config import RegimeConfig as RegimeConfig  # other domains read its settings

UNKNOWN: Final = -1
CALM: Final = 0
TREND_UP: Final = 1
TREND_DOWN: Final = 2
HIGH_VOL: Final = 3
CHAOTIC: Final = 4
REGIMES: Final = ("CALM", "TREND_UP", "TREND_DOWN", "HIGH_VOL", "CHAOTIC")


FEATURES: Final = ("volatility", "trend", "vol_of_vol", "spread", "volume")
"""What the regime filter reads of a bar, in the order of the emission tables."""
VOLATILITY, TREND, VOL_OF_VOL, SPREAD, VOLUME = range(len(FEATURES))


class RegimeThresholds(NamedTuple):
    """Delayed from L65: what adaptation changes of the configured thresholds. Starts as configured."""

    mean_shift: Annotated[
        Floats, Axes(len(REGIMES), len(FEATURES), start="meta.mean_shift"), Within()
    ]  # added to the emission means
    mean_shift_15: Annotated[
        Floats, Axes(len(REGIMES), len(FEATURES), start=0.0), Within()
    ]  # the same for the filter on 15-bars
    crash_factor: Annotated[Floats, Axes(1, start="meta.crash_factor"), Within(0.0)]  # times crash_sigma


class Regime(NamedTuple):
    """L1: probabilities (they sum to 1) and the label of five market states, on the base clock and on closed 15-bars."""

    calm: Panel
    trend_up: Panel
    trend_down: Panel
    high_vol: Panel
    chaotic: Panel
    label: IntPanel  # a REGIMES index, -1 unknown
    confidence: Panel  # probability of the label
    vol_percentile: Panel  # [0, 1]
    trend_t: Panel  # t-statistic of L12
    forced: IntPanel  # 1: CHAOTIC is forced by an extreme move
    calm_15: Panel
    trend_up_15: Panel
    trend_down_15: Panel
    high_vol_15: Panel
    chaotic_15: Panel
    label_15: IntPanel  # a REGIMES index, -1 unknown
    confidence_15: Panel
    vol_percentile_15: Panel
    trend_t_15: Panel


class ChangePoint(NamedTuple):
    """L64: has the law of the returns just changed."""

    p_change: Unit  # P(run length <= recent)
    run_length: Size  # bars: the most probable
    instability: Unit  # 0 settled, 1: the past tells nothing
