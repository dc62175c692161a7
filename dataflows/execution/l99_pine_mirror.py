"""L99: what a chart shows beside its own sums: the frame behind the Pine mirror."""

from __future__ import annotations

import numpy as np

from dataflows.data.types import Market
from dataflows.execution.chart_view import REGIME, SIDE, ChartCarry, all_known, chart_view, held_weights, laws_of, sides_of
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.types import Ledger, Mirror
from dataflows.fusion.types import Proposal
from dataflows.kinematics.types import KinematicsConfig, KinematicState, Returns, Trend
from dataflows.layer import layer
from dataflows.regime.types import Regime, RegimeConfig
from dataflows.risk.types import Approval, Exit, KillSwitch, LossLimits


@layer("L99", schedule="post")
def l99_pine_mirror(
    l0_market_feed: Market,
    l1_regime: Regime,
    l2_returns_volatility: Returns,
    l3_action_proposal: Proposal,
    l4_risk_gate: Approval,
    l11_ema_trend_short: Trend,
    l60_kinematic_state: KinematicState,
    l81_kill_switch: KillSwitch,
    l91_drawdown_throttle: float,
    l92_loss_limits: LossLimits,
    l94_position_exits: Exit,
    l97_ledger: Ledger,
    execution: ExecutionConfig,
    kinematics: KinematicsConfig,
    regime: RegimeConfig,
    carry: ChartCarry,
) -> Mirror:
    """One row a bar and symbol of what was decided, what is held, and what a chart can compute by itself to compare.

    Panels (T, N), series (T,) of the account. Its own are `side`, the sign of the approved weight, `weight`, that of the
    position, and what a chart's bars suffice for: `chart_regime`, L1's filter on two features, log sigma over its mean of the
    last `mirror_usual_bars` and trend_z over `trend_scale_atr`, with CHAOTIC forced by a close beyond `crash_sigma`; and
    `chart_side`, 1 from a trend_z above `mirror_enter_atr` until below `mirror_leave_atr`, -1 mirrored, 0 in CHAOTIC.
    `comparable`: 1 where the bar was observed and close, return, ATR, volatility, trend and chart regime are known, so that a
    chart that has the same bars must agree. NaN where a layer says NaN; weight is 0 where equity is not positive. Display only:
    no layer takes it. Source: the layers it repeats; Hamilton (1989), Schmitt (1938).
    """
    close, atr = l0_market_feed.bars.close, l2_returns_volatility.atr
    r_1, sigma, trend_z = l2_returns_volatility.r_1, l2_returns_volatility.sigma, l11_ema_trend_short.spread_atr
    law, rule = laws_of(execution, kinematics, regime)
    seen = chart_view(l0_market_feed.quality.valid, r_1, sigma, trend_z, law, rule, carry)
    equity = np.asarray(l97_ledger.equity)
    return Mirror(
        time=l0_market_feed.time,
        signal=l3_action_proposal.side,
        score=l3_action_proposal.score,
        side=sides_of(l4_risk_gate.target_weight),
        verdict=l4_risk_gate.verdict,
        reasons=l4_risk_gate.reasons,
        target_weight=l4_risk_gate.target_weight,
        regime=l1_regime.label,
        risk_state=l81_kill_switch.level,
        kill_reasons=l81_kill_switch.reason,
        throttle=np.asarray(l91_drawdown_throttle),
        halt_entries=np.asarray(l92_loss_limits.halt_entries),
        day_pnl=np.asarray(l92_loss_limits.day_pnl),
        position=l97_ledger.position,
        weight=held_weights(l97_ledger.position, l97_ledger.unit_value, equity),
        average_price=l97_ledger.average_price,
        stop=l94_position_exits.active_stop,
        target=l94_position_exits.active_target,
        equity=equity,
        peak=np.asarray(l97_ledger.peak),
        close=close,
        return_1=r_1,
        atr=atr,
        sigma=sigma,
        trend_z=trend_z,
        direction=l60_kinematic_state.direction,
        chart_regime=seen[REGIME],
        chart_side=seen[SIDE],
        comparable=all_known(l0_market_feed.quality.valid, seen[REGIME], close, atr, r_1, sigma, trend_z),
    )
