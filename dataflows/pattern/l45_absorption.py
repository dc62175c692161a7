"""L45: one side trades much and gets nowhere."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.types import TradePressure, by_sides
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.flows import Absorption, absorptions
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class AbsorptionCarry(NamedTuple):
    """What L45 needs of the past."""

    sums: Annotated[Absorption, Bind(K="absorption_bars", W="absorption_usual_bars")]
    clock: PatternClock


@layer("L45")
def l45_absorption(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l10_trade_pressure: TradePressure,
    pattern: PatternConfig,
    carry: AbsorptionCarry,
) -> PatternSignal:
    """Large one-sided volume over `absorption_bars` with little progress. Panels (T, N).

    Begins where they traded at least `absorption_volume_times` what as many bars did on average over the
    `absorption_usual_bars` before, at least `absorption_lean` of it net on one side (L10's), and the price went no more than
    `absorption_progress_sigma` deviations to that side. side: against the aggressor. confidence: half the lean, half for how
    little of that progress was made. Ends with a close `absorption_refuted_atr` ATR further on the aggressor's side, or
    after `absorption_life_bars`. A bar whose volume, side or return is not known is left out. Nothing is active until the
    windows are whole. Source: that a limit order may take up what is sold without a move: Kyle (1985) for the informed who
    hides, Bouchaud, Farmer and Lillo (2009) for the price that does not answer; the thresholds are folklore.
    """
    bars, valid, returns = l0_market_feed.bars, l0_market_feed.quality.valid, l2_returns_volatility
    side, confidence, refuted_at = absorptions(
        volume=bars.volume,
        signed=by_sides(l10_trade_pressure.signed_volume, l10_trade_pressure.proxied),
        r=returns.r_1,
        sigma=returns.sigma,
        atr=returns.atr,
        close=bars.close,
        on=valid,
        least_volume=pattern.absorption_volume_times,
        least_lean=pattern.absorption_lean,
        most_progress=pattern.absorption_progress_sigma,
        refuted_atr=pattern.absorption_refuted_atr,
        state=carry.sums,
    )
    return PatternSignal(
        *pattern_clock(side, side, confidence, refuted_at, bars.close, valid, pattern.absorption_life_bars, carry.clock)
    )
