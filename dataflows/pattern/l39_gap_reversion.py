"""L39: an open far from the close before, that is on its way back."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.gaps import Gaps, gap_turns
from dataflows.pattern.occurrence import PatternClock, pattern_clock_until
from dataflows.pattern.types import PatternSignal


class GapReversionCarry(NamedTuple):
    """What L39 needs of the past."""

    gaps: Gaps
    clock: PatternClock


@layer("L39")
def l39_gap_reversion(
    l0_market_feed: Market, l2_returns_volatility: Returns, pattern: PatternConfig, carry: GapReversionCarry
) -> PatternSignal:
    """A gap between a bar's open and the close of the valid bar before it, that begins to fill. Panels (T, N).

    The gap: `gap_least_atr` or more of the ATR before it, overnight, after an outage, or within a session. Begins on the first
    bar, from the gap's own to `gap_within_bars` later, that closes `gap_turn` of the way back, but has not come the whole way.
    side: towards the close before the gap. confidence: half the share of the way, half for a small gap. Ends when the gap is
    filled, with a close beyond the farthest price of the way out, or after `gap_life_bars`. Nothing is active until the ATR is
    known; nothing reaches across a new listing. A pattern of markets that close. On one that does not it is hardly seen: over
    30 days of 1-minute bars no occurrence on 5 perpetuals (May 2025) and 7 on 4 spot pairs about the crash of May 2021, where
    17 of 171,661 opens lay an ATR or more from the close before. Source: that gaps fill is folklore, the smaller the more
    often; so are the parameters.
    """
    bars, quality = l0_market_feed.bars, l0_market_feed.quality
    side, confidence, extreme, filled = gap_turns(
        open_=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        atr=l2_returns_volatility.atr,
        on=quality.valid,
        listed=quality.listed,
        least=pattern.gap_least_atr,
        turn=pattern.gap_turn,
        within=pattern.gap_within_bars,
        state=carry.gaps,
    )
    life = pattern.gap_life_bars
    return PatternSignal(
        *pattern_clock_until(
            begins=side,
            side=side,
            confidence=confidence,
            refuted_at=extreme,
            ends=filled,
            close=bars.close,
            on=quality.valid,
            life=life,
            state=carry.clock,
        )
    )
