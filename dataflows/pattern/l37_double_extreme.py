"""L37: double tops and double bottoms."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.structure import Double, double_extremes
from dataflows.pattern.types import PatternSignal


class DoubleExtremeCarry(NamedTuple):
    """What L37 needs of the past."""

    double: Double
    clock: PatternClock


@layer("L37")
def l37_double_extreme(
    l0_market_feed: Market, l2_returns_volatility: Returns, pattern: PatternConfig, carry: DoubleExtremeCarry
) -> PatternSignal:
    """Two swing points alike, and a close beyond the swing point between them. Panels (T, N).

    A swing point is confirmed by a move of `swing_reversal_atr` ATR away from it. Two successive highs, or lows, at most
    `double_tolerance_atr` ATR apart wait `double_within_bars` for the first close beyond the neckline, which begins the
    pattern; a close beyond the farther of them, or another pair, ends the wait. side: away from the pair. confidence: half for
    how alike they are, half for how far beyond the neckline, up to one ATR. Ends with a close beyond the farther of the two,
    or after `double_life_bars`. Nothing is active until three swing points are confirmed.
    Source: Edwards and Magee (1948); Lo, Mamaysky and Wang (2000); the parameters are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, extreme = double_extremes(
        high=bars.high,
        low=bars.low,
        close=bars.close,
        atr=l2_returns_volatility.atr,
        on=valid,
        reversal=pattern.swing_reversal_atr,
        tolerance=pattern.double_tolerance_atr,
        within=pattern.double_within_bars,
        state=carry.double,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, extreme, bars.close, valid, pattern.double_life_bars, carry.clock)
    )
