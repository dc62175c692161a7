"""L79: how long it takes and what it costs to get out when liquidity dries up."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Instruments, Market
from dataflows.kernels.contract import notionals
from dataflows.kernels.window import RollingSum
from dataflows.layer import layer
from dataflows.microstructure.types import MicrostructureConfig, SpreadDepth, Tradeability
from dataflows.risk.config import RiskConfig
from dataflows.risk.stress import DryUp, Quoted, Traded, dried_up
from dataflows.risk.types import LiquidityStress


class LiquidityStressCarry(NamedTuple):
    """Notional of the last `liquidity_volume_bars` valid bars."""

    traded: Annotated[RollingSum, Bind(W="liquidity_volume_bars")]


@layer("L79")
def l79_liquidity_stress(
    l0_market_feed: Market,
    l8_spread_depth: SpreadDepth,
    l63_tradeability: Tradeability,
    instruments: Instruments,
    microstructure: MicrostructureConfig,
    risk: RiskConfig,
    carry: LiquidityStressCarry,
) -> LiquidityStress:
    """Leaving `liquidity_notional` in a market whose volume and depth have fallen, and whose spread has risen, `dry_up` times.

    Returns panels (T, N), >= 0: bars_to_liquidate at `liquidity_participation` of the mean notional of the last
    `liquidity_volume_bars` valid bars over `dry_up`; stressed_cost_bps from mid, of an order that finds a book so thin
    (L63's slippage of an order so much larger). Notional is that of the contracts, in the account's currency. Infinite,
    never NaN (an exception among layers), where nothing trades and where anything is unknown: L63's class, the spread, or
    the volume until its window is full. Source: liquidity-adjusted value at risk after Bangia, Diebold, Schuermann and
    Stroughair (1999); impact beyond the sizes that L63 knows: Torre (1997).
    """
    bars, trade = l0_market_feed.bars, l63_tradeability
    traded = Traded(
        volume=bars.volume,
        unit=notionals(bars.vwap, instruments.multiplier, instruments.inverse),
        valid=l0_market_feed.quality.valid,
    )
    quoted = Quoted(
        liquidity=trade.liquidity_class,
        spread_bps=l8_spread_depth.spread_bps,
        slippage_bps=trade.slippage_bps,
        sizes=microstructure.order_notionals,
    )
    case = DryUp(notional=risk.liquidity_notional, participation=risk.liquidity_participation, factor=risk.dry_up)
    return LiquidityStress(*dried_up(traded, quoted, case, carry.traded))
