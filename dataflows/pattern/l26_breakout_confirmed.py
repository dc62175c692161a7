"""L26: a break of the channel that volume and order flow confirm."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.window import Moments
from dataflows.kinematics.types import Breakout, Returns
from dataflows.layer import layer
from dataflows.microstructure.types import OrderFlowImbalance
from dataflows.pattern.activity import previous_z
from dataflows.pattern.breaks import Breaks, fresh_breaks
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class BreakoutConfirmedCarry(NamedTuple):
    """What L26 needs of the past."""

    volume: Annotated[Moments, Bind(W="confirmed_volume_bars")]
    breaks: Breaks
    clock: PatternClock


@layer("L26")
def l26_breakout_confirmed(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l18_breakout_short: Breakout,
    l62_order_flow_imbalance: OrderFlowImbalance,
    pattern: PatternConfig,
    carry: BreakoutConfirmedCarry,
) -> PatternSignal:
    """A fresh close beyond L18's channel, on unusual volume, with order flow on the same side. Panels (T, N).

    Begins where the close is the first for `break_quiet_bars` beyond its side, the bar's volume at least `confirmed_volume_z`
    deviations above the `confirmed_volume_bars` before it, and L62's flow at least `confirmed_flow_z` to that side. Where
    the flow is unknown, as in bars without the sides of trades, volume alone confirms. side: of the break. confidence: mean of
    both scores x / (1 + x), 0 for an unknown flow. Ends with a close back inside the broken edge, or after
    `confirmed_life_bars`. Nothing is active until channel and volume are known.
    Source: Donchian (1960) for the channel; that volume confirms a break: Blume, Easley and O'Hara (1994); the thresholds are
    folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    breakout, atr = l18_breakout_short, l2_returns_volatility.atr
    broke, edge = fresh_breaks(
        breakout.side, breakout.distance_atr, bars.close, atr, valid, pattern.break_quiet_bars, carry.breaks
    )
    volume = previous_z(bars.volume, valid, carry.volume)
    flow = broke * l62_order_flow_imbalance.ofi_z  # > 0: to the side of the break
    confirmed = (broke != 0) & (volume >= pattern.confirmed_volume_z) & ~(flow < pattern.confirmed_flow_z)
    v, f = np.where(confirmed, volume, 0.0), np.where(confirmed & np.isfinite(flow), flow, 0.0)
    confidence = 0.5 * v / (1.0 + v) + 0.5 * f / (1.0 + f)
    begins = confirmed.astype(np.int64)
    return PatternSignal(
        *pattern_clock(begins, broke, confidence, edge, bars.close, valid, pattern.confirmed_life_bars, carry.clock)
    )
