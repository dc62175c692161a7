"""L27: a break of the channel that comes back."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Breakout, Returns
from dataflows.layer import layer
from dataflows.pattern.breaks import Breaks, FailedBreak, failed_breaks, fresh_breaks
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class FailedBreakoutCarry(NamedTuple):
    """What L27 needs of the past."""

    breaks: Breaks
    failed: FailedBreak
    clock: PatternClock


@layer("L27")
def l27_failed_breakout(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l18_breakout_short: Breakout,
    pattern: PatternConfig,
    carry: FailedBreakoutCarry,
) -> PatternSignal:
    """A fresh break of L18's channel that closes back inside. Panels (T, N).

    Begins on the bar that closes more than `failed_margin_atr` ATR inside the broken edge, at most `failed_within_bars`
    after the first close beyond it (none before for `break_quiet_bars`). A bar that closes beyond the channel's other side
    is a break of its own and no failure. side: against the break. confidence: half for how soon, half for how deep, up to
    one ATR. Ends with a close beyond the extreme of the break, or after `failed_life_bars`. Nothing is active until channel
    and ATR are known. Source: Connors and Raschke (1995), "Turtle Soup", on closes; the parameters are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    breakout, atr = l18_breakout_short, l2_returns_volatility.atr
    broke, edge = fresh_breaks(
        breakout.side, breakout.distance_atr, bars.close, atr, valid, pattern.break_quiet_bars, carry.breaks
    )
    side, confidence, extreme = failed_breaks(
        broke=broke,
        edge=edge,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        atr=atr,
        on=valid,
        within=pattern.failed_within_bars,
        margin=pattern.failed_margin_atr,
        state=carry.failed,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, extreme, bars.close, valid, pattern.failed_life_bars, carry.clock)
    )
