"""L63: may one enter now, and what would it cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.data.types import Instruments, Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.book_walk import Guard, tradeability
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.types import (
    BookImbalance,
    FlowToxicity,
    OrderFlowImbalance,
    PriceImpact,
    SpreadDepth,
    Tradeability,
    TradePressure,
)
from dataflows.regime.types import Regime


class TradeabilityCarry(NamedTuple):
    """Where the two hysteresis loops stand; avoid until known otherwise."""

    guard: Guard


@layer("L63")
def l63_tradeability(
    l0_market_feed: Market,
    l1_regime: Regime,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    l9_book_imbalance: BookImbalance,
    l10_trade_pressure: TradePressure,
    l59_price_impact: PriceImpact,
    l61_flow_toxicity: FlowToxicity,
    l62_order_flow_imbalance: OrderFlowImbalance,
    instruments: Instruments,
    microstructure: MicrostructureConfig,
    carry: TradeabilityCarry,
) -> Tradeability:
    """Slippage by walking the book, a score of how well the market can be traded, and whether to stay out of it.

    Returns panels (T, N): `score` in [0, 1]; `liquidity_class`, a LIQUIDITY index, -1 unknown; `avoid`, 1: do not enter;
    `slippage_bps` (T, N, 3), average distance from mid of an order of each of `order_notionals`, on the worse side, never less
    for a larger one; `max_safe_notional`, the most that is shown within `depth_band_bps` of mid and costs no more than
    `safe_slippage_bps`. Orders, depth and what is safe are notional in the account's currency, whatever a unit is.

    Book: levels are walked; what an order needs beyond the band costs the dearer of two laws, both from the band's edge on:
    the edge times the square root of its size over the size shown, and the edge plus L59's impact of what is not shown. Bars
    only: half the proxied spread plus the dearer of the same laws with the proxied depth. An unknown impact counts as none.
    score = logistic(score_base - spread / spread_scale_bps - depth_scale / depth - slippage of the middle size /
    slippage_scale_bps - stale_weight * staleness / stale_bars - chaotic_weight * P(chaotic) - toxic_weight * rank of L61's vpin
    - lean_weight * lean), depth of the thinner side, staleness the older of last bar and book, lean the mean size of L9's
    smoothed imbalance (0 without a book), L10's pressure (0 without sides of trades) and L62's z over `lean_full_z` (0 without
    either), each at most 1. Every term only takes away, so the score never rises with a wider spread, a thinner book, staler
    data or more toxic flow; rank and lean count 1 while unknown. A cost is held against what a bar usually moves: where L2's
    slow volatility is above `usual_move_bps`, the two scales in bps and `safe_slippage_bps` are as much larger, so that a
    spread of 20 bps shuts a market of minutes and not one of days. The touch wider than the band has no depth and scores 0.
    avoid: from the bar on which the score is below `avoid_below` until one on which it reaches `resume_above`; and 1 while
    book, proxies or regime are unknown (empty, broken, warming up), data are staler than `stale_bars`, the symbol is not listed
    or the session is closed. These alone make the score NaN. A held estimate of a bars-only symbol counts as long as its close
    is known.
    Source: square-root impact as in Torre (1997); toxicity: Easley, Lopez de Prado and O'Hara (2012).
    """
    market, seen = l0_market_feed, l8_spread_depth
    longer = np.fmax(1.0, 1e4 * l2_returns_volatility.sigma_slow / microstructure.usual_move_bps)
    sided = l10_trade_pressure.proxied == 0
    marks = (
        microstructure.avoid_below,
        microstructure.resume_above,
        microstructure.thin_below,
        microstructure.thin_until,
        microstructure.deep_until,
        microstructure.deep_above,
    )
    score, grade, avoid, slippage, safe = tradeability(
        listed=market.quality.listed,
        is_open=market.session.is_open,
        stale=market.quality.stale,
        book_age=market.book.age,
        chaotic=l1_regime.chaotic,
        mid=seen.mid,
        spread_bps=seen.spread_bps,
        bid_depth=seen.bid_depth,
        ask_depth=seen.ask_depth,
        proxied=seen.proxied,
        bid_price=market.book.bid_price,
        bid_size=market.book.bid_size,
        ask_price=market.book.ask_price,
        ask_size=market.book.ask_size,
        lambda_sqrt=l59_price_impact.lambda_sqrt,
        vpin_rank=l61_flow_toxicity.vpin_percentile,
        imbalance=l9_book_imbalance.smoothed,
        pressure=np.where(sided, l10_trade_pressure.pressure, 0.0),
        flow_z=np.where(sided | (market.book.has_feed != 0), l62_order_flow_imbalance.ofi_z, 0.0),
        multiplier=instruments.multiplier,
        inverse=instruments.inverse,
        longer=longer,
        band_bps=microstructure.depth_band_bps,
        sizes=microstructure.order_notionals,
        safe_bps=microstructure.safe_slippage_bps,
        stale_bars=microstructure.stale_bars,
        base=microstructure.score_base,
        spread_scale=microstructure.spread_scale_bps,
        depth_scale=microstructure.depth_scale,
        slippage_scale=microstructure.slippage_scale_bps,
        stale_weight=microstructure.stale_weight,
        chaotic_weight=microstructure.chaotic_weight,
        toxic_weight=microstructure.toxic_weight,
        lean_weight=microstructure.lean_weight,
        flow_full_z=microstructure.lean_full_z,
        marks=marks,
        state=carry.guard,
    )
    return Tradeability(score=score, liquidity_class=grade, avoid=avoid, slippage_bps=slippage, max_safe_notional=safe)
