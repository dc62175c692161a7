"""L69: whether to wait for a better price or to take the one there is."""

from __future__ import annotations

import math

from dataflows.data.types import Instruments
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_table import LARGEST
from dataflows.execution.types import LIMIT, MARKET, POST_ONLY, Style
from dataflows.fusion.types import Cost
from dataflows.kernels.passage import touch_chance
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.types import UNKNOWN, SpreadDepth, Tradeability
from dataflows.risk.types import EXIT, Approval
from dataflows.runtime.scratch import full


@layer("L69", schedule="step")
def l69_order_style(
    l4_risk_gate: Approval,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    l63_tradeability: Tradeability,
    l71_trading_cost: Cost,
    instruments: Instruments,
    execution: ExecutionConfig,
) -> Style:
    """The spread that waiting saves, against the edge that goes by meanwhile.

    Saved by a limit order at the touch: chance * (half the spread + taker's fee - maker's fee), in bps. The chance that the
    price comes to the limit within style_wait_bars is that of a driftless walk, erfc(d / (sigma * sqrt(2 * style_wait_bars))),
    d the distance from the mid. Adverse selection is in it: such a walk is at the limit when the order fills, so that what a
    fill gains on the mid of before is lost again, and exactly what the orders that do not fill pay more. Lost while waiting:
    |edge| * freshness * style_wait_bars / horizon. A saving above `style_post_ratio` times the loss is worth a post-only order,
    above `style_limit_ratio` times a limit order at the touch; else the market. What is unknown among volatility and fees saves
    nothing. Exits, reduce-only and urgent approvals, and whatever has an unknown book, liquidity, edge or cost, go to the
    market.
    L70, L75 and L3 count on the same saving in an entry's cost.
    Returns a code, an offset in bps (finite, >= 0; 0 for MARKET) and a life in bars (0: good till cancelled).
    Sources: the trade-off of alpha decay and spread, after Grinold and Kahn (2000), ch. 16; first passage of a Brownian motion,
    reflection principle (Bachelier 1900).
    """
    symbols = l4_risk_gate.verdict.shape[0]
    type_ = full(symbols, MARKET)
    offset, lifetime = full(symbols, 0.0), full(symbols, 0.0)
    for s in range(symbols):
        leaves = l4_risk_gate.verdict[s] == EXIT or l4_risk_gate.target_weight[s] == 0.0
        if leaves or l4_risk_gate.reduce_only[s] != 0:
            continue
        if not (l4_risk_gate.urgency[s] < execution.style_urgent):
            continue
        if not (l8_spread_depth.mid[s] > 0.0 and 0.0 <= l8_spread_depth.spread_bps[s] < math.inf):
            continue
        if l63_tradeability.liquidity_class[s] == UNKNOWN:
            continue
        horizon, edge, freshness = l4_risk_gate.horizon[s], math.fabs(l4_risk_gate.edge_bps[s]), l4_risk_gate.freshness[s]
        if not (horizon >= 1.0 and edge < LARGEST and 0.0 <= freshness <= 1.0):
            continue
        lost = edge * freshness * execution.style_wait_bars / horizon
        half = 0.5 * l71_trading_cost.spread_bps[s]
        distance = (half + execution.style_offset_bps) / 1e4
        sigma = l2_returns_volatility.sigma[s]
        saved = touch_chance(distance, sigma, execution.style_wait_bars) * (
            half + instruments.taker_fee_bps[s] - instruments.maker_fee_bps[s]
        )
        if saved > execution.style_post_ratio * lost:
            type_[s], offset[s], lifetime[s] = POST_ONLY, execution.style_offset_bps, execution.style_wait_bars
        elif saved > execution.style_limit_ratio * lost:
            type_[s], lifetime[s] = LIMIT, execution.style_wait_bars
    return Style(type_, offset, lifetime)
