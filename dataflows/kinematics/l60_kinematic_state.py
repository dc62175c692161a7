"""L60: what the market is doing, in one direction and a few bounded numbers."""

from __future__ import annotations

from dataflows.kinematics import state as at
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
        score=aligned.score,
        agreement=aligned.agreement,
        conflict=aligned.conflict,
        calm=regime.calm,
        trend_up=regime.trend_up,
        trend_down=regime.trend_down,
        chaotic=regime.chaotic,
        short_t=regime.trend_t,
        vol_percentile=regime.vol_percentile,
        forced=regime.forced,
        tradeability=l63_tradeability.score,
        velocity_t=l13_kalman_velocity.t_stat,
        rsi=l15_rsi_short.centred,
        macd=l16_macd_short.line,
        position=l18_breakout_short.position,
        side=l18_breakout_short.side,
        percent_b=channel.percent_b,
        keltner=channel.keltner_position,
        ratio_bias=l24_variance_ratio.bias,
        velocity=l51_velocity_acceleration.velocity,
        persistent=l52_hurst_exponent.persistent,
        fraction_z=l53_fractional_difference.z,
        sine=cycle.sine,
        lead_sine=cycle.lead_sine,
        in_cycle=cycle.in_cycle,
        straight=l55_efficiency_ratio.ratio,
        reversion_z=l56_mean_reversion_speed.z,
        reverts=l56_mean_reversion_speed.score,
        jump_share=l57_jump_component.share,
        vol_ratio=l58_volatility_term_structure.ratio,
        weights=kinematics.state_weights,
        full_t=kinematics.alignment_full_t,
        full=kinematics.state_full,
        enter=kinematics.state_enter,
        leave=kinematics.state_leave,
        max_step=kinematics.state_max_step,
        state=carry,
    )
    return KinematicState(
        direction=direction,
        strength=made[at.STRENGTH],
        persistence=made[at.PERSISTENCE],
        pullback=made[at.PULLBACK],
        breakout=made[at.BREAKOUT],
        continuation_bias=made[at.CONTINUATION_BIAS],
        trend_score=made[at.TREND_SCORE],
        reversion_score=made[at.REVERSION_SCORE],
    )
