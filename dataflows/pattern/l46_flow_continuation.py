"""L46: order flow keeps to one side and the price goes with it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.types import Slope
from dataflows.layer import layer
from dataflows.microstructure.types import BookImbalance, OrderFlowImbalance, TradePressure, by_sides
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.flows import Persistence, continuations
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class FlowContinuationCarry(NamedTuple):
    """What L46 needs of the past."""

    persistence: Annotated[Persistence, Bind(W="flow_bars")]
    clock: PatternClock


@layer("L46")
def l46_flow_continuation(
    l0_market_feed: Market,
    l9_book_imbalance: BookImbalance,
    l10_trade_pressure: TradePressure,
    l12_regression_slope_short: Slope,
    l62_order_flow_imbalance: OrderFlowImbalance,
    pattern: PatternConfig,
    carry: FlowContinuationCarry,
) -> PatternSignal:
    """Persistent flow on one side with price agreeing. Panels (T, N).

    Begins where, of the last `flow_bars` valid bars, those with L62's flow on one side exceed those on the other by at
    least `flow_share` of all (an unknown flow is on neither), L10's pressure is at least `flow_pressure` to that side, and
    L12's slope has a t of at least `flow_slope_t` to it. side: of the flow. confidence: mean of that excess, |pressure|, L9's
    smoothed imbalance to the side (0 where it leans the other way or there is no book) and t / (1 + t). Ends with a close
    beyond where the regression line was `flow_bars` ago, or after `flow_life_bars`. Nothing is active until the window is
    whole. Source: that the sign of order flow persists: Lillo and Farmer (2004); the thresholds are folklore.
    """
    close, valid = l0_market_feed.bars.close, l0_market_feed.quality.valid
    side, confidence, start = continuations(
        ofi_z=l62_order_flow_imbalance.ofi_z,
        pressure=by_sides(l10_trade_pressure.pressure, l10_trade_pressure.proxied),
        smoothed=l9_book_imbalance.smoothed,
        slope=l12_regression_slope_short.slope,
        t_stat=l12_regression_slope_short.t_stat,
        close=close,
        on=valid,
        least_share=pattern.flow_share,
        least_pressure=pattern.flow_pressure,
        least_t=pattern.flow_slope_t,
        state=carry.persistence,
    )
    return PatternSignal(*pattern_clock(side, side, confidence, start, close, valid, pattern.flow_life_bars, carry.clock))
