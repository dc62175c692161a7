"""L42: a trend that comes back to the session's VWAP and is held by it, or wins it back."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import KinematicState, Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.session import SessionSpread, session_spread
from dataflows.pattern.types import PatternSignal
from dataflows.pattern.vwap import VwapTests, vwap_tests


class VwapHoldCarry(NamedTuple):
    """What L42 needs of the past."""

    spread: SessionSpread
    tests: VwapTests
    clock: PatternClock


@layer("L42")
def l42_vwap_hold(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l60_kinematic_state: KinematicState,
    pattern: PatternConfig,
    carry: VwapHoldCarry,
) -> PatternSignal:
    """L60's trend tests the session's VWAP and goes on. Panels (T, N).

    A test begins with a bar within `hold_touch_atr` ATR of VWAP, after a close `hold_away_atr` or more from it on the trend's
    side. Begins on the first close so far away again, within `hold_within_bars`: VWAP held, or was reclaimed if closes lay
    beyond it; more than `hold_deepest_atr` beyond loses it. side: the trend's. confidence: half L60's strength, half for how
    little was lost. Ends with a close beyond the farthest price of the test, or after `hold_life_bars`. Nothing is active until
    trend and ATR are known, nor in the first `vwap_least_bars` valid bars of a session. Source: folklore of intraday desks;
    VWAP as benchmark: Berkowitz, Logue and Noser (1988).
    """
    bars, valid, session = l0_market_feed.bars, l0_market_feed.quality.valid, l0_market_feed.session
    side, confidence, extreme = vwap_tests(
        trend=l60_kinematic_state.direction,
        strength=l60_kinematic_state.strength,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        vwap=session.vwap,
        deviation=session_spread(session.id, bars.vwap, bars.volume, valid, pattern.vwap_least_bars, carry.spread),
        atr=l2_returns_volatility.atr,
        on=valid,
        touch=pattern.hold_touch_atr,
        away=pattern.hold_away_atr,
        deepest=pattern.hold_deepest_atr,
        within=pattern.hold_within_bars,
        state=carry.tests,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, extreme, bars.close, valid, pattern.hold_life_bars, carry.clock)
    )
