"""L14: momentum over minutes."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.momentum import MomentumWindow, scaled_momentum
from dataflows.kinematics.types import Momentum, Returns
from dataflows.layer import layer


class MomentumShortCarry(NamedTuple):
    """What L14 needs of the past."""

    window: Annotated[MomentumWindow, Bind(H="max(momentum_short_horizons)")]


@layer("L14")
def l14_momentum_short(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: MomentumShortCarry
) -> Momentum:
    """Time-series momentum over three short horizons of valid bars. Panels (T, N).

    horizon_1..3: log return over the horizon, over sigma times the root of its length; within [-1000, 1000]. score in [-1, 1]:
    mean of tanh(horizon / `momentum_scale`); a horizon that is not known counts 0, NaN where none is. Nothing is known before
    L2's sigma; held on bars that are not valid; nothing reaches across a new listing.
    Source: Moskowitz, Ooi and Pedersen (2012); tanh in place of the sign, so that noise about 0 does not flip it.
    """
    score, (first, second, third) = scaled_momentum(
        l0_market_feed.bars.close,
        l2_returns_volatility.sigma,
        l0_market_feed.quality.valid,
        l0_market_feed.quality.listed,
        kinematics.momentum_short_horizons,
        0,
        kinematics.momentum_scale,
        carry.window,
    )
    return Momentum(score, first, second, third)
