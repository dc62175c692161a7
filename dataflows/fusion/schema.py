"""What the fusion domain promises the others: see `dataflows.boundary`."""

from __future__ import annotations

import sys
from typing import ClassVar, Final

import pandera.pandas as pa
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule
from dataflows.fusion.config import MOST_HORIZONS
from dataflows.fusion.types import EDGE_PARTS, FLAT, LONG, REFUSALS, SHORT, SOURCES, UNKNOWN_SIDE, K

FINITE: Final = sys.float_info.max
FLAG: Final = (0, 1)
SIDES: Final = (SHORT, FLAT, LONG, UNKNOWN_SIDE)


class FusionBoundary(Boundary):
    """The recorded fields of L7, L70, L71, L72, L75 and L3 whose range their types do not say."""

    __rules__: ClassVar[tuple[Rule, ...]] = (
        Rule("total", (*(f"l7_ensemble.contributions.{name}" for name in SOURCES), "l7_ensemble.score")),
        Rule(
            "total",
            (*(f"l3_action_proposal.parts_bps.{name}" for name in EDGE_PARTS), "l3_action_proposal.edge_bps"),
            tolerance=1e-6,
        ),
    )

    score: Series[float] = pa.Field(alias="l7_ensemble.score", ge=-1.0, le=1.0, nullable=True)
    cost_round_trip_bps: Series[float] = pa.Field(alias="l71_trading_cost.round_trip_bps", ge=0.0, le=FINITE, nullable=True)
    cost_spread_bps: Series[float] = pa.Field(alias="l71_trading_cost.spread_bps", ge=0.0, le=FINITE, nullable=True)
    cost_impact_bps: Series[float] = pa.Field(alias="l71_trading_cost.impact_bps", ge=0.0, le=FINITE, nullable=True)
    cost_fee_bps: Series[float] = pa.Field(alias="l71_trading_cost.fee_bps", ge=0.0, le=FINITE, nullable=True)
    cost_carry_bps_per_bar: Series[float] = pa.Field(
        alias="l71_trading_cost.carry_bps_per_bar", ge=-10000.0, le=10000.0, nullable=True
    )
    horizon_bars: Series[float] = pa.Field(alias="l70_horizon.bars", ge=1.0, le=FINITE, nullable=True)
    horizon_net_edge_bps: Series[float] = pa.Field(alias="l70_horizon.net_edge_bps", ge=-FINITE, le=FINITE, nullable=True)
    horizon_chosen: Series[int] = pa.Field(alias="l70_horizon.chosen", ge=-1, lt=MOST_HORIZONS)
    agreement: Series[float] = pa.Field(alias="l72_agreement.agreement", ge=0.0, le=1.0, nullable=True)
    agreement_entropy: Series[float] = pa.Field(alias="l72_agreement.entropy", ge=0.0, le=1.0, nullable=True)
    agreement_dominant: Series[int] = pa.Field(alias="l72_agreement.dominant", ge=-1, le=K - 1)
    size_fraction: Series[float] = pa.Field(alias="l75_size_suggestion.fraction", ge=0.0, le=1.0, nullable=True)
    side: Series[int] = pa.Field(alias="l3_action_proposal.side", isin=SIDES)
    may_enter: Series[int] = pa.Field(alias="l3_action_proposal.may_enter", isin=FLAG)
    proposal_score: Series[float] = pa.Field(alias="l3_action_proposal.score", ge=-1.0, le=1.0, nullable=True)
    proposal_edge_bps: Series[float] = pa.Field(alias="l3_action_proposal.edge_bps", ge=-FINITE, le=FINITE, nullable=True)
    proposal_edge_std_bps: Series[float] = pa.Field(alias="l3_action_proposal.edge_std_bps", ge=0.0, le=FINITE, nullable=True)
    proposal_risk_bps: Series[float] = pa.Field(alias="l3_action_proposal.risk_bps", ge=0.0, le=FINITE, nullable=True)
    proposal_p_success: Series[float] = pa.Field(alias="l3_action_proposal.p_success", ge=0.0, le=1.0, nullable=True)
    proposal_horizon: Series[float] = pa.Field(alias="l3_action_proposal.horizon", ge=1.0, le=FINITE, nullable=True)
    proposal_size_fraction: Series[float] = pa.Field(alias="l3_action_proposal.size_fraction", ge=0.0, le=1.0, nullable=True)
    proposal_confidence: Series[float] = pa.Field(alias="l3_action_proposal.confidence", ge=0.0, le=1.0, nullable=True)
    proposal_rank: Series[float] = pa.Field(alias="l3_action_proposal.rank", ge=0.0, le=FINITE, nullable=True)
    proposal_freshness: Series[float] = pa.Field(alias="l3_action_proposal.freshness", ge=0.0, le=1.0, nullable=True)
    proposal_refusal: Series[int] = pa.Field(alias="l3_action_proposal.refusal", ge=0, lt=2 ** len(REFUSALS))
