"""L13: level and velocity of log price, filtered."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kernels.arith import log_panel
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.kalman import LocalTrend, local_trend, walk_deviations
from dataflows.kinematics.types import Returns, Velocity
from dataflows.layer import layer


class KalmanVelocityCarry(NamedTuple):
    """What L13 needs of the past."""

    filter: LocalTrend


@layer("L13")
def l13_kalman_velocity(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: KalmanVelocityCarry
) -> Velocity:
    """Local linear trend of log close over valid bars. Panels (T, N).

    level: log price. velocity: log price per bar. t_stat: of the velocity; innovation_z: of what the filter did not expect
    of this bar, over the sigma before it; both over what they deviate by on a random walk, so that 2 is rare in a market
    without a trend, and within 1000. The gains follow from `kalman_q_level` and `kalman_q_velocity`,
    the scale from L2's sigma. NaN until two valid bars, the statistics until sigma is known; held on bars that are not
    valid.
    Source: Harvey (1989).
    """
    level, velocity, t_stat, surprise = local_trend(
        log_panel(l0_market_feed.bars.close),
        l2_returns_volatility.sigma,
        l0_market_feed.quality.valid,
        kinematics.kalman_q_level,
        kinematics.kalman_q_velocity,
        walk_deviations(kinematics.kalman_q_level, kinematics.kalman_q_velocity),
        carry.filter,
    )
    return Velocity(level, velocity, t_stat, surprise)
