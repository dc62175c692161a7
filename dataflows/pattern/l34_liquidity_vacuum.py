"""L34: the price runs into a side of the book that has emptied."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.types import SpreadDepth, Tradeability
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.flows import Vacuum, vacuums
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class LiquidityVacuumCarry(NamedTuple):
    """What L34 needs of the past."""

    vacuum: Annotated[Vacuum, Bind(W="vacuum_usual_bars")]
    clock: PatternClock


@layer("L34")
def l34_liquidity_vacuum(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    l63_tradeability: Tradeability,
    pattern: PatternConfig,
    carry: LiquidityVacuumCarry,
) -> PatternSignal:
    """Depth collapses and the spread widens under a one-way move. Panels (T, N).

    Begins where the last 5 bars moved at least `vacuum_move_sigma` deviations to one side, that side's depth is at most
    `vacuum_depth_share` and the spread at least `vacuum_spread_times` what they were on average over the
    `vacuum_usual_bars` known books before. side: of the move. confidence: half for the share of the usual depth that is
    gone, half for 1 - L63's score, an unknown score counting as 1. Ends with a close back beyond where the move began, or
    after `vacuum_life_bars`. A book that is not known, or a symbol without a book feed, begins nothing. Nothing is active
    until the window is whole. Source: Farmer et al. (2004): large moves come of gaps in the book, not of large orders; the
    thresholds are folklore.
    """
    close, valid, seen = l0_market_feed.bars.close, l0_market_feed.quality.valid, l8_spread_depth
    side, confidence, start = vacuums(
        bid_depth=seen.bid_depth,
        ask_depth=seen.ask_depth,
        spread=seen.spread_bps,
        proxied=seen.proxied,
        r_5=l2_returns_volatility.r_5,
        sigma=l2_returns_volatility.sigma,
        score=l63_tradeability.score,
        close=close,
        on=valid,
        most_depth=pattern.vacuum_depth_share,
        least_spread=pattern.vacuum_spread_times,
        least_move=pattern.vacuum_move_sigma,
        state=carry.vacuum,
    )
    return PatternSignal(*pattern_clock(side, side, confidence, start, close, valid, pattern.vacuum_life_bars, carry.clock))
