"""L32: an extreme of the channel while the market is calm and moves cancel."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Channel, Reversion, VarianceRatio
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.extremes import CalmExtreme, calm_extremes
from dataflows.pattern.occurrence import PatternClock, pattern_clock_until
from dataflows.pattern.types import PatternSignal
from dataflows.regime.types import Regime


class RangeReversionCarry(NamedTuple):
    """What L32 needs of the past."""

    extreme: CalmExtreme
    clock: PatternClock


@layer("L32")
def l32_range_reversion(
    l0_market_feed: Market,
    l1_regime: Regime,
    l23_channel_position_medium: Channel,
    l24_variance_ratio: VarianceRatio,
    l56_mean_reversion_speed: Reversion,
    pattern: PatternConfig,
    carry: RangeReversionCarry,
) -> PatternSignal:
    """A close at an edge of L23's hourly channel that is expected to come back. Panels (T, N).

    Begins on the first bar with all of: percent_b within `range_edge` of an edge or beyond it; P(calm) at least `range_calm`;
    L24's ratio at most `range_most_ratio`; price still `range_least_z` of L56's deviations out on that side. side: inwards.
    confidence: thirds of P(calm), of how far the ratio is below 1, and of L56's score. Ends when L56's mean is reached, with a
    close `range_room` heights of the last 60-bar beyond the extreme, or after `range_life_bars`. Nothing is active until
    regime, channel and ratio are known. Source: Bollinger (2001) for the channel, Lo and MacKinlay (1988) for the ratio; the
    parameters are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, refuted_at, beyond = calm_extremes(
        high=bars.high,
        low=bars.low,
        last_high=l0_market_feed.bars_60.high,
        last_low=l0_market_feed.bars_60.low,
        percent_b=l23_channel_position_medium.percent_b,
        calm=l1_regime.calm,
        ratio=l24_variance_ratio.ratio,
        z=l56_mean_reversion_speed.z,
        speed=l56_mean_reversion_speed.score,
        on=valid,
        edge=pattern.range_edge,
        least_calm=pattern.range_calm,
        most_ratio=pattern.range_most_ratio,
        least_z=pattern.range_least_z,
        room=pattern.range_room,
        state=carry.extreme,
    )
    life = pattern.range_life_bars
    return PatternSignal(
        *pattern_clock_until(
            begins=side,
            side=side,
            confidence=confidence,
            refuted_at=refuted_at,
            ends=beyond,
            close=bars.close,
            on=valid,
            life=life,
            state=carry.clock,
        )
    )
