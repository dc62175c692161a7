"""L44: a wide bar that turns away from the edge of the channel."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Breakout, Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.reversals import BarBefore, reversal_bars
from dataflows.pattern.types import PatternSignal


class ReversalBarCarry(NamedTuple):
    """What L44 needs of the past."""

    before: BarBefore
    clock: PatternClock


@layer("L44")
def l44_reversal_bar(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l18_breakout_short: Breakout,
    pattern: PatternConfig,
    carry: ReversalBarCarry,
) -> PatternSignal:
    """An outside or engulfing bar at an edge of L18's channel, against that edge. Panels (T, N).

    Begins where the close before lay within `reversal_zone` of the channel's height from its edge, or beyond, and this bar
    closes the other way, beyond `reversal_close_share` of its range, with a range of `reversal_range_atr` ATR or more, and is
    an outside bar (higher high and lower low than the bar before) or engulfs the opposite body before. side: away from the
    edge. confidence: half for where it closes in its range, half x / (1 + x) of its range x in ATR. Ends with a close beyond
    the bar's end at the edge, or after `reversal_life_bars`. Nothing is active until channel and ATR are known.
    Source: Nison (1991); Caginalp and Laurent (1998) tested such bars; the thresholds are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, end = reversal_bars(
        open_=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        atr=l2_returns_volatility.atr,
        position=l18_breakout_short.position,
        on=valid,
        zone=pattern.reversal_zone,
        range_atr=pattern.reversal_range_atr,
        close_share=pattern.reversal_close_share,
        state=carry.before,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, end, bars.close, valid, pattern.reversal_life_bars, carry.clock)
    )
