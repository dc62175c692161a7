"""L11: the short trend: an EMA ribbon on the base clock, in ATR."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.ribbon import Ribbon, ribbon
from dataflows.kinematics.types import Returns, Trend
from dataflows.layer import layer


class EmaTrendShortCarry(NamedTuple):
    """What L11 needs of the past."""

    ribbon: Ribbon


@layer("L11")
def l11_ema_trend_short(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: EmaTrendShortCarry
) -> Trend:
    """Three averages of the close over valid bars. Panels (T, N).

    score in [-1, 1]: tanh of spread_atr / `trend_scale_atr`, times `trend_mixed` unless all three are in order and move the
    same way. spread_atr: (fast - slow) / ATR. aligned: -1, 0, 1. NaN until the slowest span is whole and the ATR known; held on
    bars that are not valid. Mirrored prices flip the signs.
    Source: ribbons of exponential averages are folklore; the normalisation by Wilder's (1978) range makes symbols comparable.
    """
    score, spread_atr, aligned = ribbon(
        l0_market_feed.bars.close,
        l2_returns_volatility.atr,
        l0_market_feed.quality.valid,
        kinematics.trend_short_spans,
        kinematics.trend_scale_atr,
        kinematics.trend_mixed,
        carry.ribbon,
    )
    return Trend(score, spread_atr, aligned)
