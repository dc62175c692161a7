"""L43: the break of a quarter of an hour that was narrower than those before it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.ranges import NarrowBars, RangeBreaks, narrow_bars, range_breaks
from dataflows.pattern.types import PatternSignal


class NarrowRangeBreakCarry(NamedTuple):
    """What L43 needs of the past."""

    narrow: Annotated[NarrowBars, Bind(W="narrow_of_bars")]
    breaks: RangeBreaks
    clock: PatternClock


@layer("L43")
def l43_narrow_range_break(
    l0_market_feed: Market, l2_returns_volatility: Returns, pattern: PatternConfig, carry: NarrowRangeBreakCarry
) -> PatternSignal:
    """The first close beyond a closed 15-bar that is an inside bar, or the narrowest of `narrow_of_bars`. Panels (T, N).

    Begins where a base bar closes more than `narrow_margin_atr` ATR beyond the 15-bar's high or low, at most
    `narrow_within_bars` after it closed; a later narrow bar takes its place, and each breaks once. side: of the break.
    confidence: half for how far beyond, half for how soon. Ends with a close `narrow_give` heights of the bar back from the
    edge, or after `narrow_life_bars`. Nothing is active until `narrow_of_bars` 15-bars have closed and the ATR is known.
    Source: Crabel (1990), NR7 and inside day, on closed 15-bars; the parameters are folklore.
    """
    bars, bars_15, valid = l0_market_feed.bars, l0_market_feed.bars_15, l0_market_feed.quality.valid
    side, confidence, refuted_at = range_breaks(
        sets=narrow_bars(bars_15.high, bars_15.low, bars_15.closed, carry.narrow),
        top=bars_15.high,
        bottom=bars_15.low,
        close=bars.close,
        atr=l2_returns_volatility.atr,
        on=valid,
        margin=pattern.narrow_margin_atr,
        within=pattern.narrow_within_bars,
        give=pattern.narrow_give,
        state=carry.breaks,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, refuted_at, bars.close, valid, pattern.narrow_life_bars, carry.clock)
    )
