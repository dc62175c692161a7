"""L28: a medium trend that comes back to its short average and goes on."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kernels.smooth import SeededEwm, seeded_ewm
from dataflows.kinematics.types import KinematicState, Returns, Trend
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.pullback import Pullback, pullbacks
from dataflows.pattern.types import PatternSignal


class PullbackInTrendCarry(NamedTuple):
    """What L28 needs of the past."""

    average: SeededEwm
    pullback: Pullback
    clock: PatternClock


@layer("L28")
def l28_pullback_in_trend(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l11_ema_trend_short: Trend,
    l19_ema_trend_medium: Trend,
    l60_kinematic_state: KinematicState,
    pattern: PatternConfig,
    carry: PullbackInTrendCarry,
) -> PatternSignal:
    """A trend that retraces to the average of `pullback_average_bars` closes and resumes. Panels (T, N).

    The trend is intact while L60's direction and L19's alignment name one side. The retrace: a bar that comes to the average,
    `pullback_shallow_atr` or more from the trend's farthest price and never `pullback_deep_atr`. Begins on the close that
    resumes, within `pullback_within_bars`: beyond the average and the bar before, L11 on the trend's side. side: the trend's.
    confidence: half L19's strength, half for how little was given back. Ends with a close beyond the retrace's farthest price,
    or after `pullback_life_bars`; the next wants a new farthest price of the trend. Nothing is active until trend, average and
    ATR are known. Source: Raschke and Connors (1995), "Holy Grail", with the alignment of averages for ADX; the parameters are
    folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    span = pattern.pullback_average_bars
    side, confidence, farthest = pullbacks(
        trend=l60_kinematic_state.direction,
        aligned=l19_ema_trend_medium.aligned,
        strength=l19_ema_trend_medium.score,
        short=l11_ema_trend_short.score,
        average=seeded_ewm(bars.close, valid, 2.0 / (span + 1.0), span, carry.average),
        high=bars.high,
        low=bars.low,
        close=bars.close,
        atr=l2_returns_volatility.atr,
        on=valid,
        shallow=pattern.pullback_shallow_atr,
        deep=pattern.pullback_deep_atr,
        within=pattern.pullback_within_bars,
        state=carry.pullback,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, farthest, bars.close, valid, pattern.pullback_life_bars, carry.clock)
    )
