"""L41: price that strayed beyond the bands of the session's VWAP and turns."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Returns, VarianceRatio
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock_until
from dataflows.pattern.session import SessionSpread, session_spread
from dataflows.pattern.types import PatternSignal
from dataflows.pattern.vwap import VwapTurns, vwap_turns


class VwapReversionCarry(NamedTuple):
    """What L41 needs of the past."""

    spread: SessionSpread
    turns: VwapTurns
    clock: PatternClock


@layer("L41")
def l41_vwap_reversion(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l24_variance_ratio: VarianceRatio,
    pattern: PatternConfig,
    carry: VwapReversionCarry,
) -> PatternSignal:
    """A close beyond the session VWAP's own bands, and the turn back. Panels (T, N).

    The bands are volume-weighted standard deviations of the session's prices, known after `vwap_least_bars` of its valid bars.
    Price has strayed from a close `vwap_far` of them from VWAP until one less than `vwap_near`. Begins on the first close
    meanwhile that is `vwap_turn_atr` ATR back from the farthest price, while L24's ratio is at most `vwap_most_ratio`. side:
    towards VWAP. confidence: half for the distance, half for how far the ratio is below 1. Ends with a close across VWAP (a new
    session has a new one), with a close beyond the farthest price, or after `vwap_life_bars`. Nothing is active until bands and
    ratio are known. Source: folklore of intraday desks; Lo and MacKinlay (1988) for the ratio.
    """
    bars, valid, session = l0_market_feed.bars, l0_market_feed.quality.valid, l0_market_feed.session
    side, confidence, extreme, beyond = vwap_turns(
        high=bars.high,
        low=bars.low,
        close=bars.close,
        vwap=session.vwap,
        deviation=session_spread(session.id, bars.vwap, bars.volume, valid, pattern.vwap_least_bars, carry.spread),
        atr=l2_returns_volatility.atr,
        ratio=l24_variance_ratio.ratio,
        on=valid,
        far=pattern.vwap_far,
        near=pattern.vwap_near,
        turn=pattern.vwap_turn_atr,
        most=pattern.vwap_most_ratio,
        state=carry.turns,
    )
    return PatternSignal(
        *pattern_clock_until(
            begins=side,
            side=side,
            confidence=confidence,
            refuted_at=extreme,
            ends=beyond,
            close=bars.close,
            on=valid,
            life=pattern.vwap_life_bars,
            state=carry.clock,
        )
    )
