"""L29: an impulse that rests and goes on."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Breakout, KinematicState, Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.flags import Flag, flags
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class FlagContinuationCarry(NamedTuple):
    """What L29 needs of the past."""

    flag: Flag
    clock: PatternClock


@layer("L29")
def l29_flag_continuation(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l18_breakout_short: Breakout,
    l60_kinematic_state: KinematicState,
    pattern: PatternConfig,
    carry: FlagContinuationCarry,
) -> PatternSignal:
    """An impulse out of L18's channel, a rest that keeps most of it, and a close beyond its end. Panels (T, N).

    Impulse: a close beyond the channel, `flag_pole_atr` ATR or more from the close `flag_pole_bars` before, by the ATR of that
    bar. Rest: no close beyond the impulse's farthest price, and at most `flag_retrace` of the impulse given back. Begins with
    a close beyond that price after `flag_least_bars` to `flag_most_bars` of rest, unless L60's direction is against it. side:
    of the impulse. confidence: half for what was not given back, half L60's strength on that side. Ends with a close beyond
    the far end of the rest, or after `flag_life_bars`. Nothing is active until channel and ATR are known.
    Source: Edwards and Magee (1948); Lo, Mamaysky and Wang (2000) on what such patterns hold; the parameters are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, floor = flags(
        high=bars.high,
        low=bars.low,
        close=bars.close,
        atr=l2_returns_volatility.atr,
        beyond=l18_breakout_short.side,
        direction=l60_kinematic_state.direction,
        strength=l60_kinematic_state.strength,
        on=valid,
        pole_atr=pattern.flag_pole_atr,
        least=pattern.flag_least_bars,
        most=pattern.flag_most_bars,
        retrace=pattern.flag_retrace,
        state=carry.flag,
    )
    return PatternSignal(*pattern_clock(side, side, confidence, floor, bars.close, valid, pattern.flag_life_bars, carry.clock))
