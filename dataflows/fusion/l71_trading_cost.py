"""L71: what it costs to get in and out again."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import DataConfig, Instruments, Market
from dataflows.execution.types import ExecutionConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.costs import Conditions, CostRules, entry_savings, trading_costs
from dataflows.fusion.types import Cost
from dataflows.kernels.contract import notionals
from dataflows.kernels.smooth import SeededEwm, halflife_alpha, seeded_ewm
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.types import MicrostructureConfig, PriceImpact, SpreadDepth, Tradeability


class TradingCostCarry(NamedTuple):
    """Slow means of what is traded and what is paid in funding."""

    traded: SeededEwm
    funding: SeededEwm


@layer("L71")
def l71_trading_cost(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    l59_price_impact: PriceImpact,
    l63_tradeability: Tradeability,
    instruments: Instruments,
    data: DataConfig,
    microstructure: MicrostructureConfig,
    fusion: FusionConfig,
    execution: ExecutionConfig,
    carry: TradingCostCarry,
) -> Cost:
    """Cost in bps of a round trip of `cost_reference_notional`, panels (T, N); no part is negative but funding.

    round_trip = spread (half of it twice) + impact (two trades) + fees (taker, twice; `cost_fee_bps` where unknown). Impact
    of a trade Q: sigma_day * (Q / V_day)**cost_delta, V_day from an exponential mean of traded notional in the account's
    currency; drawn to lambda * sqrt(Q) of L59 by the share of the returns (r2) that this explains, so that a law of all
    markets yields to what this one has shown; what L63 read off the book beyond the touch where that is more, so that a
    thin book now costs more than the day's mean says. It grows with size, volatility and spread. carry_bps_per_bar: what a
    long pays in funding, exponential mean per bar, signed. entry_saving: what an entry saves on average that waits at the
    touch as L69 does: the chance that it is filled times half the spread and the difference of the fees; L70, L75 and L3
    count on it, less the edge that goes by, where L69 would wait. NaN where spread or volatility is unknown (entry_saving:
    0), and until `cost_seed_bars` bars are seen or while nothing trades at all. Sources: square-root law, Torre (1997);
    exponent 0.6, Almgren, Thum, Hauptmann and Li (2005); lambda, Hasbrouck (2009).
    """
    alpha = halflife_alpha(fusion.cost_halflife_bars)
    bars, quality = l0_market_feed.bars, l0_market_feed.quality
    unit = notionals(bars.close, instruments.multiplier, instruments.inverse)
    traded = seeded_ewm(bars.volume * unit, quality.valid, alpha, fusion.cost_seed_bars, carry.traded)
    funding = seeded_ewm(1e4 * l0_market_feed.funding, quality.listed, alpha, fusion.cost_seed_bars, carry.funding)
    cost = trading_costs(
        Conditions(
            spread_bps=l8_spread_depth.spread_bps,
            slippage_bps=l63_tradeability.slippage_bps,
            sizes=microstructure.order_notionals,
            sigma=l2_returns_volatility.sigma,
            traded=traded,
        ),
        l59_price_impact,
        CostRules(
            notional=fusion.cost_reference_notional,
            delta=fusion.cost_delta,
            day_bars=float(data.bars_a_day),
            taker_fee_bps=instruments.taker_fee_bps,
            fee_default_bps=fusion.cost_fee_bps,
        ),
    )
    return Cost(
        round_trip_bps=cost.round_trip,
        entry_saving_bps=entry_savings(
            cost.spread,
            l2_returns_volatility.sigma,
            instruments.taker_fee_bps,
            instruments.maker_fee_bps,
            execution.style_offset_bps,
            execution.style_wait_bars,
        ),
        spread_bps=cost.spread,
        impact_bps=cost.impact,
        fee_bps=cost.fees,
        carry_bps_per_bar=funding,
    )
