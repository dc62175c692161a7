"""What the risk domain promises those who take from it."""

from __future__ import annotations

from typing import ClassVar

import pandera.pandas as pa
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule
from dataflows.risk.types import EXITS, KILL_REASONS, LEVELS, REASONS, VERDICTS

INF = float("inf")
ANY_REASON = (1 << len(REASONS)) - 1
ANY_KILL = (1 << len(KILL_REASONS)) - 1


class RiskBoundary(Boundary):
    """One column a recorded field of the domain's layers."""

    sigma_1: Series[float] = pa.Field(alias="l76_volatility_forecast.sigma_1", gt=0, nullable=True)
    sigma_bar: Series[float] = pa.Field(alias="l76_volatility_forecast.sigma_bar", gt=0, nullable=True)
    sigma_day: Series[float] = pa.Field(alias="l76_volatility_forecast.sigma_day", gt=0, nullable=True)

    volatility_cap: Series[float] = pa.Field(alias="l83_volatility_target.fraction", ge=0, nullable=True)

    stop_distance: Series[float] = pa.Field(alias="l84_stop_levels.stop_distance", gt=0, lt=1, nullable=True)
    take_profit_distance: Series[float] = pa.Field(alias="l84_stop_levels.take_profit_distance", gt=0, lt=1, nullable=True)
    trail_distance: Series[float] = pa.Field(alias="l84_stop_levels.trail_distance", gt=0, lt=1, nullable=True)
    time_stop: Series[float] = pa.Field(alias="l84_stop_levels.time_stop", ge=1, lt=INF, nullable=True)

    instrument_cap: Series[float] = pa.Field(alias="l85_instrument_cap.fraction", ge=0, lt=INF)

    throttle: Series[float] = pa.Field(alias="l91_drawdown_throttle", ge=0, le=1)

    halt_entries: Series[int] = pa.Field(alias="l92_loss_limits.halt_entries", isin=[0, 1])
    flatten: Series[int] = pa.Field(alias="l92_loss_limits.flatten", isin=[0, 1])
    day_pnl: Series[float] = pa.Field(alias="l92_loss_limits.day_pnl", gt=-INF, lt=INF, nullable=True)
    week_pnl: Series[float] = pa.Field(alias="l92_loss_limits.week_pnl", gt=-INF, lt=INF, nullable=True)

    exit: Series[int] = pa.Field(alias="l94_position_exits.exit", isin=[0, 1])
    exit_reason: Series[int] = pa.Field(alias="l94_position_exits.reason", isin=list(range(len(EXITS))))
    active_stop: Series[float] = pa.Field(alias="l94_position_exits.active_stop", nullable=True)
    active_target: Series[float] = pa.Field(alias="l94_position_exits.active_target", nullable=True)
    bars_held: Series[float] = pa.Field(alias="l94_position_exits.bars_held", ge=0, nullable=True)
    lockout: Series[int] = pa.Field(alias="l94_position_exits.lockout", isin=[-1, 0, 1, 2])
    locked_now: Series[int] = pa.Field(alias="l94_position_exits.locked_now", isin=[-1, 0, 1, 2])

    level: Series[int] = pa.Field(alias="l81_kill_switch.level", isin=list(range(len(LEVELS))))
    kill_reason: Series[int] = pa.Field(alias="l81_kill_switch.reason", ge=0, le=ANY_KILL)
    overall: Series[int] = pa.Field(alias="l81_kill_switch.overall", isin=list(range(len(LEVELS))))
    overall_reason: Series[int] = pa.Field(alias="l81_kill_switch.overall_reason", ge=0, le=ANY_KILL)
    since: Series[int] = pa.Field(alias="l81_kill_switch.since", ge=0)

    target_weight: Series[float] = pa.Field(alias="l4_risk_gate.target_weight", gt=-INF, lt=INF)
    stop: Series[float] = pa.Field(alias="l4_risk_gate.stop", gt=0, lt=1, nullable=True)
    take_profit: Series[float] = pa.Field(alias="l4_risk_gate.take_profit", gt=0, lt=1, nullable=True)
    trail: Series[float] = pa.Field(alias="l4_risk_gate.trail", gt=0, lt=1, nullable=True)
    horizon: Series[float] = pa.Field(alias="l4_risk_gate.horizon", gt=0, lt=INF, nullable=True)
    urgency: Series[float] = pa.Field(alias="l4_risk_gate.urgency", ge=0, le=1)
    reduce_only: Series[int] = pa.Field(alias="l4_risk_gate.reduce_only", isin=[0, 1])
    verdict: Series[int] = pa.Field(alias="l4_risk_gate.verdict", isin=list(range(len(VERDICTS))))
    reasons: Series[int] = pa.Field(alias="l4_risk_gate.reasons", ge=0, le=ANY_REASON)
    edge_bps: Series[float] = pa.Field(alias="l4_risk_gate.edge_bps", nullable=True)
    freshness: Series[float] = pa.Field(alias="l4_risk_gate.freshness", ge=0, le=1, nullable=True)
    rank: Series[float] = pa.Field(alias="l4_risk_gate.rank", ge=0, lt=INF)
    approved_stop: Series[float] = pa.Field(alias="l4_risk_gate.active_stop", nullable=True)
    halt: Series[int] = pa.Field(alias="l4_risk_gate.halt", isin=[0, 1])

    __rules__: ClassVar[tuple[Rule, ...]] = (
        Rule("ordered", ("l76_volatility_forecast.sigma_1", "l76_volatility_forecast.sigma_day")),
        Rule("ordered", ("l77_value_at_risk.var_99_bar", "l77_value_at_risk.es_99_bar")),
        Rule("ordered", ("l77_value_at_risk.var_99_day", "l77_value_at_risk.es_99_day")),
        Rule("ordered", ("l92_loss_limits.flatten", "l92_loss_limits.halt_entries")),
        Rule("ordered", ("l81_kill_switch.overall", "l81_kill_switch.level")),
    )
