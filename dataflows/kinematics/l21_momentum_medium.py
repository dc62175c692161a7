"""L21: momentum over hours to a day."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.momentum import MomentumWindow, scaled_momentum
from dataflows.kinematics.types import Momentum, Returns
from dataflows.layer import layer


class MomentumMediumCarry(NamedTuple):
    """What L21 needs of the past."""

    window: Annotated[MomentumWindow, Bind(H="max(momentum_medium_horizons)")]


@layer("L21")
def l21_momentum_medium(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: MomentumMediumCarry
) -> Momentum:
    """Time-series momentum over three horizons of valid bars, the last `momentum_medium_skip` bars left out. Panels (T, N).

    horizon_1..3: log return from the horizon to the skip, over sigma_slow times the root of its length; within [-1000, 1000].
    score in [-1, 1]: mean of tanh(horizon / `momentum_scale`); a horizon that is not known counts 0, NaN where none is. Nothing
    is known before L2's sigma_slow; held on bars that are not valid; nothing reaches across a new listing.
    Source: Moskowitz, Ooi and Pedersen (2012); the skip as in Jegadeesh and Titman (1993). tanh in place of the sign, so that
    noise about 0 does not flip it.
    """
    score, (first, second, third) = scaled_momentum(
        l0_market_feed.bars.close,
        l2_returns_volatility.sigma_slow,
        l0_market_feed.quality.valid,
        l0_market_feed.quality.listed,
        kinematics.momentum_medium_horizons,
        kinematics.momentum_medium_skip,
        kinematics.momentum_scale,
        carry.window,
    )
    return Momentum(score, first, second, third)
