"""What the execution domain promises the others: see `dataflows.boundary`. The logs of L90 and L5 are files of their own."""

from __future__ import annotations

import sys
from typing import ClassVar, Final

import pandera.pandas as pa
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule
from dataflows.execution.types import DROPS, LIMIT, MARKET, POST_ONLY

FINITE: Final = sys.float_info.max
FLAG: Final = (0, 1)
STYLES: Final = (MARKET, LIMIT, POST_ONLY)


class ExecutionBoundary(Boundary):
    """The recorded fields of L96, L97, L69, L88, L89 and L100."""

    __rules__: ClassVar[tuple[Rule, ...]] = (Rule("ordered", ("l97_ledger.net", "l97_ledger.gross"), tolerance=1e-6),)

    order_working: Series[float] = pa.Field(alias="l96_order_lifecycle.working", ge=-FINITE, le=FINITE)
    order_working_reduce: Series[float] = pa.Field(alias="l96_order_lifecycle.working_reduce", ge=-FINITE, le=FINITE)
    order_open_orders: Series[float] = pa.Field(alias="l96_order_lifecycle.open_orders", ge=0.0, le=256.0)
    order_rejects: Series[float] = pa.Field(alias="l96_order_lifecycle.rejects", ge=0.0, le=FINITE)
    order_unknown: Series[float] = pa.Field(alias="l96_order_lifecycle.unknown", ge=0.0, le=FINITE)
    order_overfilled: Series[float] = pa.Field(alias="l96_order_lifecycle.overfilled", ge=0.0, le=FINITE)
    order_stop_id: Series[int] = pa.Field(alias="l96_order_lifecycle.stop_id", ge=0)
    order_stop_price: Series[float] = pa.Field(alias="l96_order_lifecycle.stop_price", gt=0.0, le=FINITE, nullable=True)
    order_stop_limit: Series[float] = pa.Field(alias="l96_order_lifecycle.stop_limit", gt=0.0, le=FINITE, nullable=True)
    order_target_id: Series[int] = pa.Field(alias="l96_order_lifecycle.target_id", ge=0)
    order_target_price: Series[float] = pa.Field(alias="l96_order_lifecycle.target_price", gt=0.0, le=FINITE, nullable=True)
    order_bracket_stop: Series[float] = pa.Field(alias="l96_order_lifecycle.bracket_stop", gt=0.0, le=FINITE, nullable=True)
    order_bracket_target: Series[float] = pa.Field(alias="l96_order_lifecycle.bracket_target", gt=0.0, le=FINITE, nullable=True)
    order_bracket_trail: Series[float] = pa.Field(alias="l96_order_lifecycle.bracket_trail", gt=0.0, le=1.0, nullable=True)
    order_bracket_horizon: Series[float] = pa.Field(
        alias="l96_order_lifecycle.bracket_horizon", gt=0.0, le=FINITE, nullable=True
    )
    order_opened_by: Series[int] = pa.Field(alias="l96_order_lifecycle.opened_by", ge=0)
    order_filled_notional: Series[float] = pa.Field(alias="l96_order_lifecycle.filled_notional", ge=0.0, le=FINITE)
    order_delay_cost: Series[float] = pa.Field(alias="l96_order_lifecycle.delay_cost", ge=-FINITE, le=FINITE)
    order_fee_cost: Series[float] = pa.Field(alias="l96_order_lifecycle.fee_cost", ge=-FINITE, le=FINITE)
    ledger_position: Series[float] = pa.Field(alias="l97_ledger.position", ge=-FINITE, le=FINITE)
    ledger_average_price: Series[float] = pa.Field(alias="l97_ledger.average_price", gt=0.0, le=FINITE, nullable=True)
    ledger_mark: Series[float] = pa.Field(alias="l97_ledger.mark", gt=0.0, le=FINITE, nullable=True)
    ledger_unit_value: Series[float] = pa.Field(alias="l97_ledger.unit_value", gt=0.0, le=FINITE, nullable=True)
    ledger_mark_age: Series[float] = pa.Field(alias="l97_ledger.mark_age", ge=0.0, le=FINITE, nullable=True)
    ledger_unrealised: Series[float] = pa.Field(alias="l97_ledger.unrealised", ge=-FINITE, le=FINITE)
    ledger_cash: Series[float] = pa.Field(alias="l97_ledger.cash", ge=-FINITE, le=FINITE)
    ledger_fees: Series[float] = pa.Field(alias="l97_ledger.fees", ge=-FINITE, le=FINITE)
    ledger_funding: Series[float] = pa.Field(alias="l97_ledger.funding", ge=-FINITE, le=FINITE)
    ledger_cash_flows: Series[float] = pa.Field(alias="l97_ledger.cash_flows", ge=-FINITE, le=FINITE)
    ledger_realised: Series[float] = pa.Field(alias="l97_ledger.realised", ge=-FINITE, le=FINITE)
    ledger_equity: Series[float] = pa.Field(alias="l97_ledger.equity", ge=-FINITE, le=FINITE)
    ledger_peak: Series[float] = pa.Field(alias="l97_ledger.peak", gt=0.0, le=FINITE)
    ledger_drawdown: Series[float] = pa.Field(alias="l97_ledger.drawdown", ge=0.0, le=1.0)
    ledger_gross: Series[float] = pa.Field(alias="l97_ledger.gross", ge=0.0, le=FINITE)
    ledger_net: Series[float] = pa.Field(alias="l97_ledger.net", ge=-FINITE, le=FINITE)
    style_type: Series[int] = pa.Field(alias="l69_order_style.type", isin=STYLES)
    style_limit_offset_bps: Series[float] = pa.Field(alias="l69_order_style.limit_offset_bps", ge=0.0, le=FINITE)
    style_lifetime: Series[float] = pa.Field(alias="l69_order_style.lifetime", ge=0.0, le=FINITE)
    slice_quantity: Series[float] = pa.Field(alias="l88_order_slicing.quantity", ge=-FINITE, le=FINITE)
    slice_remaining: Series[float] = pa.Field(alias="l88_order_slicing.remaining", ge=-FINITE, le=FINITE, nullable=True)
    slice_reduce_only: Series[int] = pa.Field(alias="l88_order_slicing.reduce_only", isin=FLAG)
    constrained_quantity: Series[float] = pa.Field(alias="l89_venue_constraints.quantity", ge=-FINITE, le=FINITE)
    constrained_price: Series[float] = pa.Field(alias="l89_venue_constraints.price", gt=0.0, le=FINITE, nullable=True)
    constrained_dropped: Series[int] = pa.Field(alias="l89_venue_constraints.dropped", ge=0, le=len(DROPS) - 1)
    constrained_dust: Series[float] = pa.Field(alias="l89_venue_constraints.dust", ge=0.0, le=FINITE)
    constrained_type: Series[int] = pa.Field(alias="l89_venue_constraints.type", isin=STYLES)
    constrained_lifetime: Series[float] = pa.Field(alias="l89_venue_constraints.lifetime", ge=0.0, le=FINITE)
    audit_shortfall_bps: Series[float] = pa.Field(
        alias="l100_decision_audit.shortfall_bps", ge=-FINITE, le=FINITE, nullable=True
    )
    audit_delay_bps: Series[float] = pa.Field(alias="l100_decision_audit.delay_bps", ge=-FINITE, le=FINITE, nullable=True)
    audit_fee_bps: Series[float] = pa.Field(alias="l100_decision_audit.fee_bps", ge=-FINITE, le=FINITE, nullable=True)
    audit_filled_notional: Series[float] = pa.Field(alias="l100_decision_audit.filled_notional", ge=0.0, le=FINITE)
    audit_refused: Series[float] = pa.Field(alias="l100_decision_audit.refused", ge=0.0, le=FINITE)
    audit_regime_changed: Series[int] = pa.Field(alias="l100_decision_audit.regime_changed", isin=FLAG)
    audit_anomaly: Series[int] = pa.Field(alias="l100_decision_audit.anomaly", isin=FLAG)
