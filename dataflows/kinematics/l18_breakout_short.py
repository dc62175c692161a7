"""L18: inside the last hour's range, or out of it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.donchian import Donchian, donchian
from dataflows.kinematics.types import Breakout, Returns
from dataflows.layer import layer


class BreakoutShortCarry(NamedTuple):
    """What L18 needs of the past."""

    donchian: Annotated[Donchian, Bind(W="breakout_short_bars")]


@layer("L18")
def l18_breakout_short(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: BreakoutShortCarry
) -> Breakout:
    """The close against the Donchian channel of the PREVIOUS `breakout_short_bars` valid bars. Panels (T, N).

    position: 0 at the channel's low, 1 at its high, beyond that outside; held on bars that are not valid. distance_atr:
    beyond the nearer edge, in L2's ATR, negative below; 0 inside. side: 1 above, -1 below, 0 inside, and where it is not
    known. bars_since: valid bars since a close outside, 0 on it. NaN until the channel is whole. Source: Donchian (1960).
    """
    bars = l0_market_feed.bars
    position, distance, side, since = donchian(
        bars.high, bars.low, bars.close, l2_returns_volatility.atr, l0_market_feed.quality.valid, carry.donchian
    )
    return Breakout(position, distance, side, since)
