"""L12: the slope of log price over the last half hour, and how sure we are of it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import log_panel
from dataflows.kernels.ols import RollingOls, rolling_ols
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.types import Slope
from dataflows.layer import layer


class RegressionSlopeShortCarry(NamedTuple):
    """What L12 needs of the past."""

    window: Annotated[RollingOls, Bind(W="slope_short_bars")]


@layer("L12")
def l12_regression_slope_short(l0_market_feed: Market, kinematics: KinematicsConfig, carry: RegressionSlopeShortCarry) -> Slope:
    """Rolling least squares of log close on time, over the last `slope_short_bars` valid bars. Panels (T, N).

    slope: log price per valid bar. t_stat: dimensionless, `slope_short_bars` - 2 degrees of freedom. r2 in [0, 1]. All 0 where
    the price did not move. NaN until the window is whole; held on bars that are not valid.
    Source: ordinary least squares; errors taken as independent.
    """
    slope, t_stat, r2 = rolling_ols(log_panel(l0_market_feed.bars.close), l0_market_feed.quality.valid, carry.window)
    return Slope(slope, t_stat, r2)
