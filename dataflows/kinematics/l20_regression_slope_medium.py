"""L20: the slope of log price over the last hours, and how sure we are of it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import log_panel
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.hac import RollingHac, rolling_hac
from dataflows.kinematics.types import Slope
from dataflows.layer import layer


class RegressionSlopeMediumCarry(NamedTuple):
    """What L20 needs of the past."""

    window: Annotated[RollingHac, Bind(W="slope_medium_bars")]


@layer("L20")
def l20_regression_slope_medium(
    l0_market_feed: Market, kinematics: KinematicsConfig, carry: RegressionSlopeMediumCarry
) -> Slope:
    """Rolling least squares of log close on time, over the last `slope_medium_bars` closed 15-bars. Panels (T, N).

    slope: log price per 15-bar. t_stat: dimensionless, with Newey and West's errors over `slope_medium_lags`. r2 in [0, 1].
    All 0 where the price did not move. Changes only on the base bar that closes a 15-bar; held between; NaN until the
    window is whole. O(window * lags) on that bar. Source: ordinary least squares; Newey and West (1987).
    """
    bars = l0_market_feed.bars_15
    slope, t_stat, r2 = rolling_hac(log_panel(bars.close), bars.closed, kinematics.slope_medium_lags, carry.window)
    return Slope(slope, t_stat, r2)
