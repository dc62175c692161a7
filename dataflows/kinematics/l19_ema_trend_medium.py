"""L19: the medium trend: an EMA ribbon on closed 15-bars, in their ATR."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.ribbon import Ribbon, ribbon
from dataflows.kinematics.true_range import TrueRange, wilder_atr
from dataflows.kinematics.types import Trend
from dataflows.layer import layer


class EmaTrendMediumCarry(NamedTuple):
    """What L19 needs of the past."""

    range: TrueRange
    ribbon: Ribbon


@layer("L19")
def l19_ema_trend_medium(l0_market_feed: Market, kinematics: KinematicsConfig, carry: EmaTrendMediumCarry) -> Trend:
    """As L11 on closed 15-bars, normalised by the average true range of 15-bars. Panels (T, N).

    score in [-1, 1], spread_atr in ATR, aligned in {-1, 0, 1}. Changes only on the base bar that closes a 15-bar; held between.
    NaN until `trend_medium_spans` and `trend_medium_atr` are whole, counted in closed 15-bars.
    Source: as L11.
    """
    bars = l0_market_feed.bars_15
    atr = wilder_atr(bars.high, bars.low, bars.close, bars.closed, kinematics.trend_medium_atr, carry.range)
    score, spread_atr, aligned = ribbon(
        bars.close,
        atr,
        bars.closed,
        kinematics.trend_medium_spans,
        kinematics.trend_scale_atr,
        kinematics.trend_mixed,
        carry.ribbon,
    )
    return Trend(score, spread_atr, aligned)
