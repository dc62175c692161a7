"""L40: the first break of the range that the session opened with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.data.types import DataConfig, Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.ranges import RangeBreaks, range_breaks
from dataflows.pattern.session import OpeningRange, opening_range
from dataflows.pattern.types import PatternSignal


class OpeningRangeBreakCarry(NamedTuple):
    """What L40 needs of the past."""

    opening: OpeningRange
    breaks: RangeBreaks
    clock: PatternClock


@layer("L40")
def l40_opening_range_break(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    data: DataConfig,
    pattern: PatternConfig,
    carry: OpeningRangeBreakCarry,
) -> PatternSignal:
    """The first close beyond the range of the session's first `opening_bars` valid bars. Panels (T, N).

    Begins where that close lies more than `opening_margin_atr` ATR beyond an edge, at most `opening_within_bars` after the
    range is whole: once a session and symbol. side: of the break. confidence: half for how far beyond, half for how soon. Ends
    with a close `opening_give` heights of the range back from the edge, or after `opening_life_bars`. Nothing is active until
    the range is whole, nor in a session that was under way when data began, nor where a usual
    session has no bar after its range, as with bars of a day. Source: Crabel (1990); the parameters are folklore.
    """
    bars, valid, session = l0_market_feed.bars, l0_market_feed.quality.valid, l0_market_feed.session
    whole, top, bottom = opening_range(
        session.id, session.bar_of_session, bars.high, bars.low, valid, pattern.opening_bars, carry.opening
    )
    side, confidence, refuted_at = range_breaks(
        sets=whole if data.bars_a_day > pattern.opening_bars else np.zeros_like(whole),
        top=top,
        bottom=bottom,
        close=bars.close,
        atr=l2_returns_volatility.atr,
        on=valid,
        margin=pattern.opening_margin_atr,
        within=pattern.opening_within_bars,
        give=pattern.opening_give,
        state=carry.breaks,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, refuted_at, bars.close, valid, pattern.opening_life_bars, carry.clock)
    )
