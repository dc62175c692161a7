"""L99: what a chart shows beside its own sums: the frame behind the Pine mirror."""

from __future__ import annotations

import numpy as np

from dataflows.data.types import Market
from dataflows.execution.types import Ledger, Mirror
from dataflows.fusion.types import Proposal
from dataflows.kinematics.types import KinematicState, Returns, Trend
from dataflows.layer import layer
from dataflows.regime.types import Regime
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
) -> Mirror:
    """One row a bar and symbol of what was decided, what is held, and what a chart can compute by itself to compare.

    Panels (T, N), series (T,) of the account; nothing is computed here but `side`, the sign of the approved weight, `weight`,
    that of the position, and `comparable`: 1 where the bar was observed and close, return, ATR, volatility, trend and regime
    are all known, so that a chart that has the same bars must agree. NaN where a layer says NaN; weight is 0 where equity is
    not positive. Display only: no layer takes it.
    Source: the layers it repeats.
    """
    close, atr = l0_market_feed.bars.close, l2_returns_volatility.atr
    needed = (close, atr, l2_returns_volatility.r_1, l2_returns_volatility.sigma, l11_ema_trend_short.spread_atr)
    comparable = (l0_market_feed.quality.valid != 0) & (l1_regime.label >= 0)
    for values in needed:
        comparable &= np.isfinite(values)
    equity = np.asarray(l97_ledger.equity)
    solvent = equity > 0.0
    held = np.where(l97_ledger.position != 0.0, l97_ledger.position * l97_ledger.unit_value, 0.0)
    return Mirror(
        time=l0_market_feed.time,
        signal=l3_action_proposal.side,
        score=l3_action_proposal.score,
        side=np.sign(l4_risk_gate.target_weight).astype(np.int64),
        verdict=l4_risk_gate.verdict,
        target_weight=l4_risk_gate.target_weight,
        regime=l1_regime.label,
        risk_state=l81_kill_switch.level,
        throttle=np.asarray(l91_drawdown_throttle),
        halt_entries=np.asarray(l92_loss_limits.halt_entries),
        position=l97_ledger.position,
        weight=held / np.where(solvent, equity, np.inf)[:, None],
        average_price=l97_ledger.average_price,
        stop=l94_position_exits.active_stop,
        target=l94_position_exits.active_target,
        equity=equity,
        peak=np.asarray(l97_ledger.peak),
        close=close,
        return_1=l2_returns_volatility.r_1,
        atr=atr,
        sigma=l2_returns_volatility.sigma,
        trend_z=l11_ema_trend_short.spread_atr,
        direction=l60_kinematic_state.direction,
        comparable=comparable.astype(np.int64),
    )
