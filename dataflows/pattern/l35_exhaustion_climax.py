"""L35: a move that ends in its loudest bar."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Derivatives, Returns
from dataflows.layer import layer
from dataflows.pattern.climax import Climax, climaxes
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class ExhaustionClimaxCarry(NamedTuple):
    """What L35 needs of the past."""

    climax: Climax
    clock: PatternClock


@layer("L35")
def l35_exhaustion_climax(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l51_velocity_acceleration: Derivatives,
    pattern: PatternConfig,
    carry: ExhaustionClimaxCarry,
) -> PatternSignal:
    """A move whose widest and busiest bar is followed by deceleration. Panels (T, N).

    Climax: a bar with a range of `climax_range_atr` ATR or more, on volume `climax_volume_z` deviations or more above that of
    the `climax_bars` before, that closes on the side of L51's velocity of `climax_velocity_atr` ATR a bar or more. Begins
    where, on that bar or at most `climax_within_bars` later, L51's acceleration is against the move. side: against the move.
    confidence: mean of x / (1 + x) over range and volume. Ends with a close beyond the extreme of the move, or after
    `climax_life_bars`. Nothing is active until the window is full and ATR and L51 are known.
    Source: the selling climax of Wyckoff (1910); that volume marks reversals: Campbell, Grossman and Wang (1993); the
    thresholds are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, extreme = climaxes(
        open_=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        volume=bars.volume,
        atr=l2_returns_volatility.atr,
        velocity=l51_velocity_acceleration.velocity,
        acceleration=l51_velocity_acceleration.acceleration,
        on=valid,
        range_atr=pattern.climax_range_atr,
        volume_z=pattern.climax_volume_z,
        fast=pattern.climax_velocity_atr,
        within=pattern.climax_within_bars,
        state=carry.climax,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, extreme, bars.close, valid, pattern.climax_life_bars, carry.clock)
    )
