"""What the regime domain hands on."""

from __future__ import annotations

from typing import Final, NamedTuple

from dataflows.panel import IntPanel, Panel

UNKNOWN: Final = -1
CALM: Final = 0
TREND_UP: Final = 1
TREND_DOWN: Final = 2
HIGH_VOL: Final = 3
CHAOTIC: Final = 4
REGIMES: Final = ("CALM", "TREND_UP", "TREND_DOWN", "HIGH_VOL", "CHAOTIC")


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
    forced: IntPanel  # 1: CHAOTIC was forced by an extreme return
    calm_15: Panel
    trend_up_15: Panel
    trend_down_15: Panel
    high_vol_15: Panel
    chaotic_15: Panel
    label_15: IntPanel
    confidence_15: Panel
    vol_percentile_15: Panel
    trend_t_15: Panel
