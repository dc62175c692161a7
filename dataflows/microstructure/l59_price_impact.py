"""L59: what a trade moves the price."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Instruments, Market
from dataflows.kernels.contract import notionals
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.trade_flow import Impact, impact
from dataflows.microstructure.types import PriceImpact, TradePressure, by_sides


class PriceImpactCarry(NamedTuple):
    """What L59 needs of the past."""

    sums: Impact


@layer("L59")
def l59_price_impact(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l10_trade_pressure: TradePressure,
    instruments: Instruments,
    microstructure: MicrostructureConfig,
    carry: PriceImpactCarry,
) -> PriceImpact:
    """Least squares, with forgetting, of the bar's log return on the signed root of its signed notional. Panels (T, N).

    Notional is what contracts are worth in the account's currency. lambda_sqrt: log return per root of a unit of it. amihud:
    mean |log return| over notional, per unit of it. r2 in [0, 1]. Weights halve in `impact_halflife_bars`; a bar without
    volume neither teaches nor forgets, nor, but for amihud, one whose sides the data do not say: r2 would be near 1 by
    construction. NaN until the weights add up to `impact_least_bars`; held on bars that are not valid.
    Source: Hasbrouck (2009), of which Kyle (1985) is the linear form; Amihud (2002).
    """
    bars = l0_market_feed.bars
    unit = notionals(bars.close, instruments.multiplier, instruments.inverse)
    slope, amihud, r2 = impact(
        l2_returns_volatility.r_1,
        bars.volume * unit,
        by_sides(l10_trade_pressure.signed_volume, l10_trade_pressure.proxied) * unit,
        l0_market_feed.quality.valid,
        1.0 - halflife_alpha(microstructure.impact_halflife_bars),
        microstructure.impact_least_bars,
        carry.sums,
    )
    return PriceImpact(slope, amihud, r2)
