"""L79: how long it takes and what it costs to get out when liquidity dries up."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.window import RollingSum
from dataflows.layer import layer
from dataflows.microstructure.types import MicrostructureConfig, SpreadDepth, Tradeability
from dataflows.risk.config import RiskConfig
from dataflows.risk.stress import dried_up
from dataflows.risk.types import LiquidityStress


class LiquidityStressCarry(NamedTuple):
    """Notional of the last `liquidity_volume_bars` valid bars."""

    traded: Annotated[RollingSum, Bind(W="liquidity_volume_bars")]


@layer("L79")
def l79_liquidity_stress(
    l0_market_feed: Market,
    l8_spread_depth: SpreadDepth,
    l63_tradeability: Tradeability,
    microstructure: MicrostructureConfig,
    risk: RiskConfig,
    carry: LiquidityStressCarry,
) -> LiquidityStress:
    """Leaving `liquidity_notional` in a market whose volume and depth have fallen, and whose spread has risen, `dry_up` times.

    Returns panels (T, N), >= 0: bars_to_liquidate at `liquidity_participation` of the mean notional of the last
    `liquidity_volume_bars` valid bars over `dry_up`; stressed_cost_bps from mid, of an order that finds a book so thin (L63's
    slippage of an order so much larger). Infinite, never NaN (an exception among layers), where nothing trades and where
    anything is unknown: L63's class, the spread, or the volume until its window is full.
    Source: liquidity-adjusted value at risk after Bangia, Diebold, Schuermann and Stroughair (1999); impact beyond the sizes
    that L63 knows: Torre (1997).
    """
    bars = l0_market_feed.bars
    return LiquidityStress(
        *dried_up(
            bars.volume,
            bars.vwap,
            l0_market_feed.quality.valid,
            l63_tradeability.liquidity_class,
            l8_spread_depth.spread_bps,
            l63_tradeability.slippage_bps,
            microstructure.order_notionals,
            risk.liquidity_notional,
            risk.liquidity_participation,
            risk.dry_up,
            carry.traded,
        )
    )
