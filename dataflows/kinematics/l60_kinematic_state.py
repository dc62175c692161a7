"""L60: what the market is doing, in one direction and a few bounded numbers."""

from __future__ import annotations

from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.state import KinematicCarry, kinematic_state
from dataflows.kinematics.types import (
    Alignment,
    Breakout,
    Channel,
    Cycle,
    Derivatives,
    Efficiency,
    FractionalDifference,
    Hurst,
    Jump,
    KinematicState,
    Macd,
    Oscillator,
    Reversion,
    VarianceRatio,
    Velocity,
    VolTerm,
)
from dataflows.layer import layer
from dataflows.microstructure.types import Tradeability
from dataflows.regime.types import Regime


@layer("L60")
def l60_kinematic_state(
    l1_regime: Regime,
    l13_kalman_velocity: Velocity,
    l15_rsi_short: Oscillator,
    l16_macd_short: Macd,
    l18_breakout_short: Breakout,
    l23_channel_position_medium: Channel,
    l24_variance_ratio: VarianceRatio,
    l25_timeframe_alignment: Alignment,
    l51_velocity_acceleration: Derivatives,
    l52_hurst_exponent: Hurst,
    l53_fractional_difference: FractionalDifference,
    l54_cycle_phase: Cycle,
    l55_efficiency_ratio: Efficiency,
    l56_mean_reversion_speed: Reversion,
    l57_jump_component: Jump,
    l58_volatility_term_structure: VolTerm,
    l63_tradeability: Tradeability,
    kinematics: KinematicsConfig,
    carry: KinematicCarry,
) -> KinematicState:
    """A fixed, monotone combination of what the layers say of trend, memory, stretch and energy. Panels (T, N).

    trend in [-1, 1]: mean, by `state_weights`, of nine votes, each held within +-1: L25's score; P(trend up) - P(trend down);
    L13's t / full t; L15 centred; L16's line / full MACD; 2 L18 position - 1; 2 L23 percent_b - 1; L51's velocity / full
    velocity; L53's z / full z (`state_full`). short = L12's t / `alignment_full_t` within +-1, as L1 hands it on.
    memory in [-1, 1] = mean of L24's bias and L52's persistence.

    direction: UP from trend > `state_enter` until < `state_leave`; DOWN mirrored; held while trend is unknown.
    strength = |trend|. persistence = agreement * P(a trend) / 2 + L55's ratio / 4 + memory's positive part / 4. pullback = how
    far short goes against the trend, -short * trend. breakout = energy * (short * trend, where it goes with it, + strength
    where L18 has broken out to the trend's side) / 2, energy = half the percentile of volatility + half of L58's ratio, 2 being
    full. All four in [0, 1]. continuation_bias = trend * persistence * (1 - conflict) * (1 - L57's share of jumps), in [-1, 1].

    trend_score = damping * trend. reversion_score = damping * P(calm) * (1 - agreement) * (a quarter of L54's lead less its
    sine while there is a cycle - three quarters of stretch * pull): what is stretched in a calm market is faded, so far as the
    timeframes do not share it. stretch = mean of short, L56's z / full z and L23's Keltner position, within +-1; pull =
    1/2 + L56's score / 4 + memory's negative part / 4. damping = tradeability * (1 - P(chaotic)). Both lie in [-1, 1], and move
    at most `state_max_step` a bar, from 0 when they become known, unless CHAOTIC is forced or an input turns unknown.

    An unknown input counts 0, in a factor too, so that missing data only weakens; all but direction are NaN where L25 and the
    regime are both unknown. Source: the combination is this project's own; hysteresis after Schmitt (1938).
    """
    regime, aligned, channel, cycle = l1_regime, l25_timeframe_alignment, l23_channel_position_medium, l54_cycle_phase
    direction, made = kinematic_state(
        aligned.score, aligned.agreement, aligned.conflict, regime.calm, regime.trend_up, regime.trend_down, regime.chaotic,
        regime.trend_t, regime.vol_percentile, regime.forced, l63_tradeability.score, l13_kalman_velocity.t_stat,
        l15_rsi_short.centred, l16_macd_short.line, l18_breakout_short.position, l18_breakout_short.side, channel.percent_b,
        channel.keltner_position, l24_variance_ratio.bias, l51_velocity_acceleration.velocity, l52_hurst_exponent.persistent,
        l53_fractional_difference.z, cycle.sine, cycle.lead_sine, cycle.in_cycle, l55_efficiency_ratio.ratio,
        l56_mean_reversion_speed.z, l56_mean_reversion_speed.score, l57_jump_component.share,
        l58_volatility_term_structure.ratio, kinematics.state_weights, kinematics.alignment_full_t, kinematics.state_full,
        kinematics.state_enter, kinematics.state_leave, kinematics.state_max_step, carry,
    )  # fmt: skip
    strength, persistence, pullback, breakout, continuation_bias, trend_score, reversion_score = made
    return KinematicState(direction, strength, persistence, pullback, breakout, continuation_bias, trend_score, reversion_score)
