"""L23: where the hour's close lies in its channel, and how narrow that is."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.bands import Bands, bands
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.true_range import TrueRange, wilder_atr
from dataflows.kinematics.types import Channel
from dataflows.layer import layer


class ChannelPositionMediumCarry(NamedTuple):
    """What L23 needs of the past."""

    range: TrueRange
    bands: Annotated[Bands, Bind(W="channel_bars")]


@layer("L23")
def l23_channel_position_medium(
    l0_market_feed: Market, kinematics: KinematicsConfig, carry: ChannelPositionMediumCarry
) -> Channel:
    """Bollinger's and Keltner's bands on closed 60-bars, `channel_bars` of them. Panels (T, N).

    percent_b: 0 on Bollinger's lower, 1 on his upper band (`channel_bollinger` deviations), 0.5 where they meet. bandwidth:
    their distance over the mean. keltner_position: -1 and 1 on Keltner's bands (`channel_keltner` ATR). squeeze: 1 while
    Bollinger's bands lie within Keltner's. Changes only on the base bar that closes a 60-bar; held between; NaN until the
    window is whole.
    Source: Bollinger (2001); Keltner (1960) as Raschke has it; Carter (2005).
    """
    bars = l0_market_feed.bars_60
    atr = wilder_atr(bars.high, bars.low, bars.close, bars.closed, kinematics.channel_bars, carry.range)
    wide, narrow = kinematics.channel_bollinger, kinematics.channel_keltner
    percent_b, bandwidth, position, squeeze = bands(bars.close, atr, bars.closed, wide, narrow, carry.bands)
    return Channel(percent_b, bandwidth, position, squeeze)
