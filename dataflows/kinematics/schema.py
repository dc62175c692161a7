"""What the kinematics domain promises the others: see `dataflows.boundary`."""

from __future__ import annotations

import sys
from typing import Any, ClassVar, Final

import pandera.pandas as pa
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule
from dataflows.kinematics.types import DOWN, SIDEWAYS, UP

FINITE: Final = sys.float_info.max
ANY: Final[dict[str, Any]] = {"ge": -FINITE, "le": FINITE}
SIZE: Final[dict[str, Any]] = {"ge": 0.0, "le": FINITE}
SCORE: Final[dict[str, Any]] = {"ge": -1.0, "le": 1.0}
UNIT: Final[dict[str, Any]] = {"ge": 0.0, "le": 1.0}
DIRECTIONS: Final = (DOWN, SIDEWAYS, UP)


class KinematicsBoundary(Boundary):
    """The fields of the kinematics layers that do not bring their range in types.py."""

    __rules__: ClassVar[tuple[Rule, ...]] = (
        Rule("ordered", ("l2_returns_volatility.sigma_floor", "l2_returns_volatility.sigma"), tolerance=0.0),
        Rule("ordered", ("l2_returns_volatility.sigma_floor", "l2_returns_volatility.sigma_slow"), tolerance=0.0),
    )

    r_1: Series[float] = pa.Field(alias="l2_returns_volatility.r_1", **ANY, nullable=True)
    r_5: Series[float] = pa.Field(alias="l2_returns_volatility.r_5", **ANY, nullable=True)
    r_15: Series[float] = pa.Field(alias="l2_returns_volatility.r_15", **ANY, nullable=True)
    r_60: Series[float] = pa.Field(alias="l2_returns_volatility.r_60", **ANY, nullable=True)
    sigma: Series[float] = pa.Field(alias="l2_returns_volatility.sigma", **SIZE, nullable=True)
    sigma_slow: Series[float] = pa.Field(alias="l2_returns_volatility.sigma_slow", **SIZE, nullable=True)
    parkinson: Series[float] = pa.Field(alias="l2_returns_volatility.parkinson", **SIZE, nullable=True)
    garman_klass: Series[float] = pa.Field(alias="l2_returns_volatility.garman_klass", **SIZE, nullable=True)
    yang_zhang: Series[float] = pa.Field(alias="l2_returns_volatility.yang_zhang", **SIZE, nullable=True)
    atr: Series[float] = pa.Field(alias="l2_returns_volatility.atr", **SIZE, nullable=True)
    atr_60: Series[float] = pa.Field(alias="l2_returns_volatility.atr_60", **SIZE, nullable=True)
    sigma_floor: Series[float] = pa.Field(alias="l2_returns_volatility.sigma_floor", **SIZE, nullable=True)
    z: Series[float] = pa.Field(alias="l2_returns_volatility.z", ge=-1000.0, le=1000.0, nullable=True)
    trend_short_score: Series[float] = pa.Field(alias="l11_ema_trend_short.score", **SCORE, nullable=True)
    trend_short_spread_atr: Series[float] = pa.Field(alias="l11_ema_trend_short.spread_atr", **ANY, nullable=True)
    trend_short_aligned: Series[float] = pa.Field(alias="l11_ema_trend_short.aligned", **SCORE, nullable=True)
    trend_medium_score: Series[float] = pa.Field(alias="l19_ema_trend_medium.score", **SCORE, nullable=True)
    trend_medium_spread_atr: Series[float] = pa.Field(alias="l19_ema_trend_medium.spread_atr", **ANY, nullable=True)
    trend_medium_aligned: Series[float] = pa.Field(alias="l19_ema_trend_medium.aligned", **SCORE, nullable=True)
    alignment_score: Series[float] = pa.Field(alias="l25_timeframe_alignment.score", **SCORE, nullable=True)
    alignment_agreement: Series[float] = pa.Field(alias="l25_timeframe_alignment.agreement", **UNIT, nullable=True)
    alignment_conflict: Series[float] = pa.Field(alias="l25_timeframe_alignment.conflict", **UNIT, nullable=True)
    state_direction: Series[int] = pa.Field(alias="l60_kinematic_state.direction", isin=DIRECTIONS)
    state_strength: Series[float] = pa.Field(alias="l60_kinematic_state.strength", **UNIT, nullable=True)
    state_persistence: Series[float] = pa.Field(alias="l60_kinematic_state.persistence", **UNIT, nullable=True)
    state_pullback: Series[float] = pa.Field(alias="l60_kinematic_state.pullback", **UNIT, nullable=True)
    state_breakout: Series[float] = pa.Field(alias="l60_kinematic_state.breakout", **UNIT, nullable=True)
    state_continuation_bias: Series[float] = pa.Field(alias="l60_kinematic_state.continuation_bias", **SCORE, nullable=True)
    state_trend_score: Series[float] = pa.Field(alias="l60_kinematic_state.trend_score", **SCORE, nullable=True)
    state_reversion_score: Series[float] = pa.Field(alias="l60_kinematic_state.reversion_score", **SCORE, nullable=True)
