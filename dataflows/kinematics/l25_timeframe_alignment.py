"""L25: do the timeframes agree on a trend."""

from __future__ import annotations

from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.types import Alignment, Directional, Momentum, Slope, Trend
from dataflows.kinematics.votes import count_votes
from dataflows.layer import layer


@layer("L25")
def l25_timeframe_alignment(
    l11_ema_trend_short: Trend,
    l12_regression_slope_short: Slope,
    l14_momentum_short: Momentum,
    l17_directional_movement_short: Directional,
    l19_ema_trend_medium: Trend,
    l20_regression_slope_medium: Slope,
    l21_momentum_medium: Momentum,
    l22_directional_movement_medium: Directional,
    kinematics: KinematicsConfig,
) -> Alignment:
    """Votes of the trend layers; those of one timeframe share its weight (`alignment_weights`: 1, 5, 15, 60). Panels (T, N).

    score in [-1, 1]: weighted mean of the votes' signed strengths. agreement in [0, 1]: size of the weighted mean of their
    signs. conflict in [0, 1]: twice the weight of the weaker side. L11, L12 and L14 vote for 1 bar, L17 for 5, L19 and L20
    for 15, L21 and L22 for 60; the two slopes with t_stat / `alignment_full_t`, at most 1. An unknown vote counts 0 and the
    rest are not renormalised; NaN where none is known. All votes at 1 give 1, 1 and 0.
    Source: the weighted vote over timeframes is this project's own.
    """
    one, five, fifteen, sixty = kinematics.alignment_weights
    full = kinematics.alignment_full_t
    score, agreement, conflict = count_votes(
        (
            l11_ema_trend_short.score,
            l12_regression_slope_short.t_stat,
            l14_momentum_short.score,
            l17_directional_movement_short.score,
            l19_ema_trend_medium.score,
            l20_regression_slope_medium.t_stat,
            l21_momentum_medium.score,
            l22_directional_movement_medium.score,
        ),
        (1.0, full, 1.0, 1.0, 1.0, full, 1.0, 1.0),
        (one / 3.0, one / 3.0, one / 3.0, five, 0.5 * fifteen, 0.5 * fifteen, 0.5 * sixty, 0.5 * sixty),
    )
    return Alignment(score, agreement, conflict)
