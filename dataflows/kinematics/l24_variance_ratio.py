"""L24: do moves add up, or cancel."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import tanh_panel
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.types import Returns, VarianceRatio
from dataflows.kinematics.variance_ratio import VarianceRatioWindow, variance_ratio
from dataflows.layer import layer


class VarianceRatioCarry(NamedTuple):
    """What L24 needs of the past."""

    window: Annotated[VarianceRatioWindow, Bind(W="ratio_window_bars", Q="ratio_horizon_bars")]


@layer("L24")
def l24_variance_ratio(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: VarianceRatioCarry
) -> VarianceRatio:
    """Variance of moves over `ratio_horizon_bars` valid bars against that of moves over one. Panels (T, N).

    ratio >= 0: 1 on a random walk, above where moves persist, below where they revert. z: its distance from 1 in standard
    errors that are robust against heteroskedasticity, within 1000. bias in [-1, 1]: tanh(z / 2). 1, 0 and 0 where nothing
    moved; NaN until `ratio_window_bars` returns are held; held on bars that are not valid. O(horizon) a bar.
    How much is noise: on 30 days of five perpetuals z is -0.54 in the mean and deviates by 0.76; on the same returns in a
    random order -0.14 and 0.97. So a single value says little, and its mean over days that minutes revert.
    Source: Lo and MacKinlay (1988); the mean return of a minute is taken as 0.
    """
    ratio, z = variance_ratio(l2_returns_volatility.r_1, l0_market_feed.quality.valid, carry.window)
    return VarianceRatio(ratio, z, tanh_panel(0.5 * z))
