"""L33: a run on the stops behind a swing point."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.types import SpreadDepth
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.sweeps import Sweep, sweeps
from dataflows.pattern.types import PatternSignal


class LiquiditySweepCarry(NamedTuple):
    """What L33 needs of the past."""

    sweep: Sweep
    clock: PatternClock


@layer("L33")
def l33_liquidity_sweep(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    pattern: PatternConfig,
    carry: LiquiditySweepCarry,
) -> PatternSignal:
    """A wick through the latest swing point, on unusual volume, that closes back. Panels (T, N).

    A swing point is confirmed by a move of `swing_reversal_atr` ATR away from it, and spent by the first price beyond it.
    Begins on that bar where the wick reaches at least `sweep_pierce_atr` ATR and one spread of L8 beyond the point, the close
    is back, and the volume lies `sweep_volume_z` deviations or more above the `sweep_volume_bars` before; what is unknown
    refuses. side: against the wick. confidence: half z / (1 + z) of the volume, half for how far back, up to one ATR. Ends
    with a close beyond the end of the wick, or after `sweep_life_bars`.
    Source: Osler (2005), stop-loss orders and price cascades; the parameters are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, extreme = sweeps(
        high=bars.high,
        low=bars.low,
        close=bars.close,
        volume=bars.volume,
        atr=l2_returns_volatility.atr,
        spread_bps=l8_spread_depth.spread_bps,
        on=valid,
        reversal=pattern.swing_reversal_atr,
        pierce_atr=pattern.sweep_pierce_atr,
        least_z=pattern.sweep_volume_z,
        state=carry.sweep,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, extreme, bars.close, valid, pattern.sweep_life_bars, carry.clock)
    )
