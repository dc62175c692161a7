"""L47: the impact of a large flow fades."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Instruments, Market
from dataflows.kernels.contract import notionals
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.types import PriceImpact, TradePressure, by_sides
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.flows import Transient, fading_impacts
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class ImpactReversalCarry(NamedTuple):
    """What L47 needs of the past."""

    transient: Transient
    clock: PatternClock


@layer("L47")
def l47_impact_reversal(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l10_trade_pressure: TradePressure,
    l59_price_impact: PriceImpact,
    instruments: Instruments,
    pattern: PatternConfig,
    carry: ImpactReversalCarry,
) -> PatternSignal:
    """Decay of the transient impact of a large flow. Panels (T, N).

    Each bar's signed notional moves the price by L59's square-root law, and what it moved decays with half-life
    `impact_halflife_bars`: the sum is the impact that is still in the price. Begins once it has peaked at
    `impact_peak_sigma` or more of the deviations it would have if all moves were impact, on the bar that leaves no more than
    `impact_left` of the peak; what is left then counts as its next peak. side: against the flow. confidence: half L59's r2,
    unknown counting 0, half p / (1 + p) of the peak p. Ends with a close beyond the farthest of the flow's swing, or after
    `impact_life_bars`. A bar whose flow or law is not known, or whose law is negative, changes nothing. Source: the
    propagator of Bouchaud et al. (2004); its kernel an exponential, as in Obizhaeva and Wang (2013), which needs no past but
    its sum; the thresholds are folklore.
    """
    close, valid = l0_market_feed.bars.close, l0_market_feed.quality.valid
    side, confidence, extreme = fading_impacts(
        signed=by_sides(l10_trade_pressure.signed_volume, l10_trade_pressure.proxied),
        strength=l59_price_impact.lambda_sqrt,
        r2=l59_price_impact.r2,
        sigma=l2_returns_volatility.sigma,
        close=close,
        unit=notionals(close, instruments.multiplier, instruments.inverse),
        on=valid,
        decay=1.0 - halflife_alpha(pattern.impact_halflife_bars),
        least_peak=pattern.impact_peak_sigma,
        most_left=pattern.impact_left,
        state=carry.transient,
    )
    return PatternSignal(*pattern_clock(side, side, confidence, extreme, close, valid, pattern.impact_life_bars, carry.clock))
