"""L66: what each source says of the next move, all on one scale."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import ExternalAlpha, Market
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.signal_scales import Readings, ScaleRules, Scales, signal_values
from dataflows.fusion.types import Signals
from dataflows.kinematics.types import Alignment, KinematicState
from dataflows.layer import layer
from dataflows.microstructure.types import BookImbalance, OrderFlowImbalance, TradePressure
from dataflows.pattern.types import PatternConsensus, PatternSignal
from dataflows.regime.types import ChangePoint, Regime


class SignalMatrixCarry(NamedTuple):
    """The last sizes of every source that is not bounded by construction, and the last word from outside."""

    scales: Annotated[Scales, Bind(W="signal_window_5")]


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
    """Eleven sources, panels (T, N, 11), each in [-1, 1] and positive for up; all times 1 - L64's instability (unknown: 0).

    Bounded by construction, as they are: regime, P(trend up) - P(trend down); trend, mean of L25's agreement across timeframes
    and L60's damped trend score; reversion, L60's reversion score; book, L9's weighted imbalance as it is, since a book speaks
    of seconds; flow, L10's pressure; pattern, L50's score; lead_lag and relative_strength, side * confidence of L48 and
    L49. Not bounded, tanh(x / s): momentum, x the t-statistic of the last half hour's slope; order_flow, L62's forecast of the
    next return; external, x the value that was last stated from outside, in whatever unit, until one replaces it or it is
    `external_max_age_bars` old.

    s = 1.4826 * trailing median of |x| at the last `signal_window_5` closes of 5-bars before this bar, at least `signal_floor`,
    for order_flow and external `external_floor`. Not centred, so the sign is kept. (Every fifth bar: neighbours share most of
    their half hour, so the others add work and hardly any knowledge.) One half of trend that is unknown counts 0. NaN where a
    source says nothing: what is scaled until 30 values are known, the others while what they read is unknown, external where
    nothing was stated. Takes L0 for the 5-bars alone; one with a missing part does not enter the scale.
    """
    return Signals(
        signal_values(
            l0_market_feed.bars_5.closed,
            Readings(
                trend_up=l1_regime.trend_up,
                trend_down=l1_regime.trend_down,
                alignment=l25_timeframe_alignment.score,
                trend=l60_kinematic_state.trend_score,
                momentum=l1_regime.trend_t,
                reversion=l60_kinematic_state.reversion_score,
                book=l9_book_imbalance.weighted,
                pressure=l10_trade_pressure.pressure,
                order_flow=l62_order_flow_imbalance.predicted_bps,
                pattern=l50_pattern_consensus.score,
                instability=l64_change_point.instability,
            ),
            l48_lead_lag,
            l49_relative_strength,
            external_alpha,
            ScaleRules(
                floor=fusion.signal_floor,
                external_floor=fusion.external_floor,
                external_max_age=float(fusion.external_max_age_bars),
            ),
            carry.scales,
        )
    )
