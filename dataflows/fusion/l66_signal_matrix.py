"""L66: what each source says of the next move, all on one scale."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import ExternalAlpha, Market
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.signal_scales import Readings, Scales, signal_values
from dataflows.fusion.types import Signals
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.types import Alignment, KinematicState
from dataflows.layer import layer
from dataflows.microstructure.types import BookImbalance, OrderFlowImbalance, TradePressure, by_sides
from dataflows.pattern.types import PatternConsensus, PatternSignal
from dataflows.regime.types import ChangePoint, Regime


class SignalMatrixCarry(NamedTuple):
    """The spread of every source so far, and the last word from outside."""

    scales: Scales


@layer("L66")
def l66_signal_matrix(
    l0_market_feed: Market,
    l1_regime: Regime,
    l9_book_imbalance: BookImbalance,
    l10_trade_pressure: TradePressure,
    l25_timeframe_alignment: Alignment,
    l48_lead_lag: PatternSignal,
    l49_relative_strength: PatternSignal,
    l50_pattern_consensus: PatternConsensus,
    l60_kinematic_state: KinematicState,
    l62_order_flow_imbalance: OrderFlowImbalance,
    l64_change_point: ChangePoint,
    external_alpha: ExternalAlpha,
    fusion: FusionConfig,
    carry: SignalMatrixCarry,
) -> Signals:
    """Eleven sources, panels (T, N, 11), in [-1, 1] and positive for up: (1 - L64's instability) * tanh(x / s).

    x: regime, P(trend up) - P(trend down); trend, mean of L25's agreement across timeframes and L60's damped trend score (one
    that is unknown counts 0); momentum, the t-statistic of the last half hour's slope; reversion, L60's reversion score; book,
    L9's weighted imbalance as it is, since a book speaks of seconds; flow, L10's pressure where the data have the sides of
    trades; order_flow, L62's forecast of the next return; pattern, L50's score; lead_lag and relative_strength, side *
    confidence of L48 and L49; external, what was last stated from outside, in whatever unit, until one replaces it or it is
    `external_max_age_bars` old.

    s: the root mean square of x over the valid bars before this one, exponentially weighted with half-life
    `signal_halflife_bars` (the plain mean until that many are known), so that every source enters by its own spread: one that
    speaks seldom is loud when it does. Not centred: the sign is kept, and a steady trend stays one. A single value counts as
    8 * s at most when s learns. An unknown instability counts 0. NaN where x is unknown and until 30 values of it are known.
    """
    return Signals(
        signal_values(
            l0_market_feed.quality.valid,
            Readings(
                trend_up=l1_regime.trend_up,
                trend_down=l1_regime.trend_down,
                alignment=l25_timeframe_alignment.score,
                trend=l60_kinematic_state.trend_score,
                momentum=l1_regime.trend_t,
                reversion=l60_kinematic_state.reversion_score,
                book=l9_book_imbalance.weighted,
                pressure=by_sides(l10_trade_pressure.pressure, l10_trade_pressure.proxied),
                order_flow=l62_order_flow_imbalance.predicted_bps,
                pattern=l50_pattern_consensus.score,
                instability=l64_change_point.instability,
            ),
            l48_lead_lag,
            l49_relative_strength,
            external_alpha,
            float(fusion.external_max_age_bars),
            halflife_alpha(fusion.signal_halflife_bars),
            carry.scales,
        )
    )
