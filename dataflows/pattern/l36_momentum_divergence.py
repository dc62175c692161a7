"""L36: a new extreme of price that its momentum does not share."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.types import Oscillator
from dataflows.layer import layer
from dataflows.microstructure.types import OrderFlowImbalance
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.divergence import Divergence, divergences
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class MomentumDivergenceCarry(NamedTuple):
    """What L36 needs of the past."""

    divergence: Divergence
    clock: PatternClock


@layer("L36")
def l36_momentum_divergence(
    l0_market_feed: Market,
    l15_rsi_short: Oscillator,
    l62_order_flow_imbalance: OrderFlowImbalance,
    pattern: PatternConfig,
    carry: MomentumDivergenceCarry,
) -> PatternSignal:
    """A higher high, or lower low, on a weaker oscillator or weaker order flow. Panels (T, N).

    An extreme is the highest high (lowest low) of `divergence_window_bars` with half of them after it, and so known that much
    later. Begins on the bar that makes it known, where it lies beyond the one before, at most `divergence_most_bars` older,
    and L15 at its bar fell short by `divergence_rsi_points` or more, or the mean of L62's z (half-life
    `divergence_flow_halflife`) by `divergence_flow_z`; an unknown one falls short of nothing. side: against the extreme.
    confidence: mean of x / (x + least) over both shortfalls. Ends with a close beyond the extreme, or after
    `divergence_life_bars`. Source: Wilder (1978) for the oscillator; the flow's part and the parameters are folklore.
    """
    bars, valid = l0_market_feed.bars, l0_market_feed.quality.valid
    side, confidence, extreme = divergences(
        high=bars.high,
        low=bars.low,
        rsi=l15_rsi_short.value,
        flow_z=l62_order_flow_imbalance.ofi_z,
        on=valid,
        most=pattern.divergence_most_bars,
        rsi_points=pattern.divergence_rsi_points,
        flow_least=pattern.divergence_flow_z,
        alpha=halflife_alpha(pattern.divergence_flow_halflife),
        state=carry.divergence,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, extreme, bars.close, valid, pattern.divergence_life_bars, carry.clock)
    )
