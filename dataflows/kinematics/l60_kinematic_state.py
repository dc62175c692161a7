"""L60: what the market is doing, in one direction and a few bounded numbers."""

from __future__ import annotations

from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.state import KinematicCarry, kinematic_state
from dataflows.kinematics.types import Alignment, KinematicState
from dataflows.layer import layer
from dataflows.microstructure.types import Tradeability
from dataflows.regime.types import Regime


@layer("L60")
def l60_kinematic_state(
    l1_regime: Regime,
    l25_timeframe_alignment: Alignment,
    l63_tradeability: Tradeability,
    kinematics: KinematicsConfig,
    carry: KinematicCarry,
) -> KinematicState:
    """A fixed, monotone combination of the trend layers and of the regime's probabilities. Panels (T, N).

    trend = (1 - w) * L25 score + w * (P(trend up) - P(trend down)), w = `state_regime_weight`, in [-1, 1];
    short = L12's t / `alignment_full_t` in [-1, 1], as L1 hands it on.

    direction: UP from trend > `state_enter` until < `state_leave`; DOWN mirrored; held while trend is unknown.
    strength = |trend|. persistence = agreement of the timeframes * P(a trend). pullback = how far the short move goes against
    the trend, breakout = how far with it, times the percentile of volatility. All four in [0, 1].
    continuation_bias = trend * persistence * (1 - conflict), in [-1, 1].
    trend_score = trend, reversion_score = -short * P(calm) * (1 - agreement): a short move is faded in so far as the market is
    calm and the timeframes do not share it. Both are damped by tradeability * (1 - P(chaotic)), lie in [-1, 1], and move at
    most `state_max_step` a bar, from 0 when they become known, unless CHAOTIC is forced or an input turns unknown.

    An unknown input counts 0, in a factor too, so that missing data only weakens; all but direction are NaN where L25 and the
    regime are both unknown. Source: the combination is this project's own; hysteresis after Schmitt (1938).
    """
    direction, made = kinematic_state(
        l25_timeframe_alignment.score,
        l25_timeframe_alignment.agreement,
        l25_timeframe_alignment.conflict,
        l1_regime.calm,
        l1_regime.trend_up,
        l1_regime.trend_down,
        l1_regime.chaotic,
        l1_regime.trend_t,
        l1_regime.vol_percentile,
        l1_regime.forced,
        l63_tradeability.score,
        kinematics.alignment_full_t,
        kinematics.state_regime_weight,
        kinematics.state_enter,
        kinematics.state_leave,
        kinematics.state_max_step,
        carry,
    )
    strength, persistence, pullback, breakout, continuation_bias, trend_score, reversion_score = made
    return KinematicState(direction, strength, persistence, pullback, breakout, continuation_bias, trend_score, reversion_score)
