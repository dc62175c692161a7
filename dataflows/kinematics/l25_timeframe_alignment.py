"""L25: do the timeframes agree on a trend."""

from __future__ import annotations

from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.types import Alignment, Momentum, Slope, Trend
from dataflows.kinematics.votes import count_votes
from dataflows.layer import layer


@layer("L25")
def l25_timeframe_alignment(
    l11_ema_trend_short: Trend,
    l12_regression_slope_short: Slope,
    l19_ema_trend_medium: Trend,
    l21_momentum_medium: Momentum,
    kinematics: KinematicsConfig,
) -> Alignment:
    """Votes of the trend layers, each with the weight of its timeframe (`alignment_weights`: 1, 5, 15, 60). Panels (T, N).

    score in [-1, 1]: weighted mean of the votes' signed strengths. agreement in [0, 1]: size of the weighted mean of their
    signs. conflict in [0, 1]: twice the weight of the weaker side. L12 votes with t_stat / `alignment_full_t`, at most 1. An
    unknown vote counts 0 and the rest are not renormalised; NaN where none is known. All votes at 1 give 1, 1 and 0.
    Source: the weighted vote over timeframes is this project's own.
    """
    one, _five, fifteen, sixty = kinematics.alignment_weights
    score, agreement, conflict = count_votes(
        (l11_ema_trend_short.score, l12_regression_slope_short.t_stat, l19_ema_trend_medium.score, l21_momentum_medium.score),
        (1.0, kinematics.alignment_full_t, 1.0, 1.0),
        (one, one, fifteen, sixty),
    )
    return Alignment(score, agreement, conflict)
