"""L38: the end of a row of higher highs and higher lows."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.structure import Structure, structure_breaks
from dataflows.pattern.types import PatternSignal


class StructureBreakCarry(NamedTuple):
    """What L38 needs of the past."""

    structure: Structure
    clock: PatternClock


@layer("L38")
def l38_structure_break(
    l0_market_feed: Market, l2_returns_volatility: Returns, pattern: PatternConfig, carry: StructureBreakCarry
) -> PatternSignal:
    """The first close beyond the latest low of a rising structure, or the latest high of a falling one. Panels (T, N).

    A swing point is confirmed by a move of `swing_reversal_atr` ATR away from it. Structure: the last two swing highs and the
    last two swing lows step the same way. Begins with the first close beyond the swing point that guards it; a structure whose
    next swing point does not step its way ends without one. side: against the structure. confidence: half for its smaller
    step, up to `swing_reversal_atr` ATR, half for how far beyond the guard, up to one ATR. Ends with a close beyond the
    farthest price of the structure's last leg, or after `structure_life_bars`. Nothing is active until four swing points are
    confirmed. Source: Dow's theory as in Rhea (1932); the parameters are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, extreme = structure_breaks(
        bars.high,
        bars.low,
        bars.close,
        l2_returns_volatility.atr,
        valid,
        pattern.swing_reversal_atr,
        carry.structure,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, extreme, bars.close, valid, pattern.structure_life_bars, carry.clock)
    )
