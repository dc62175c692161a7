"""What the regime domain promises the others: see `dataflows.boundary`."""

from __future__ import annotations

from typing import ClassVar, Final

import pandera.pandas as pa
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule

FLAG: Final = (0, 1)
LABEL: Final = (-1, 0, 1, 2, 3, 4)


class RegimeBoundary(Boundary):
    """The recorded fields of L1."""

    __rules__: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "sum",
            ("l1_regime.calm", "l1_regime.trend_up", "l1_regime.trend_down", "l1_regime.high_vol", "l1_regime.chaotic"),
            value=1.0,
        ),
        Rule(
            "sum",
            (
                "l1_regime.calm_15",
                "l1_regime.trend_up_15",
                "l1_regime.trend_down_15",
                "l1_regime.high_vol_15",
                "l1_regime.chaotic_15",
            ),
            value=1.0,
        ),
    )

    calm: Series[float] = pa.Field(alias="l1_regime.calm", ge=0.0, le=1.0, nullable=True)
    trend_up: Series[float] = pa.Field(alias="l1_regime.trend_up", ge=0.0, le=1.0, nullable=True)
    trend_down: Series[float] = pa.Field(alias="l1_regime.trend_down", ge=0.0, le=1.0, nullable=True)
    high_vol: Series[float] = pa.Field(alias="l1_regime.high_vol", ge=0.0, le=1.0, nullable=True)
    chaotic: Series[float] = pa.Field(alias="l1_regime.chaotic", ge=0.0, le=1.0, nullable=True)
    label: Series[int] = pa.Field(alias="l1_regime.label", isin=LABEL)
    confidence: Series[float] = pa.Field(alias="l1_regime.confidence", ge=0.0, le=1.0, nullable=True)
    vol_percentile: Series[float] = pa.Field(alias="l1_regime.vol_percentile", ge=0.0, le=1.0, nullable=True)
    trend_t: Series[float] = pa.Field(alias="l1_regime.trend_t", nullable=True)
    forced: Series[int] = pa.Field(alias="l1_regime.forced", isin=FLAG)
    calm_15: Series[float] = pa.Field(alias="l1_regime.calm_15", ge=0.0, le=1.0, nullable=True)
    trend_up_15: Series[float] = pa.Field(alias="l1_regime.trend_up_15", ge=0.0, le=1.0, nullable=True)
    trend_down_15: Series[float] = pa.Field(alias="l1_regime.trend_down_15", ge=0.0, le=1.0, nullable=True)
    high_vol_15: Series[float] = pa.Field(alias="l1_regime.high_vol_15", ge=0.0, le=1.0, nullable=True)
    chaotic_15: Series[float] = pa.Field(alias="l1_regime.chaotic_15", ge=0.0, le=1.0, nullable=True)
    label_15: Series[int] = pa.Field(alias="l1_regime.label_15", isin=LABEL)
    confidence_15: Series[float] = pa.Field(alias="l1_regime.confidence_15", ge=0.0, le=1.0, nullable=True)
    vol_percentile_15: Series[float] = pa.Field(alias="l1_regime.vol_percentile_15", ge=0.0, le=1.0, nullable=True)
    trend_t_15: Series[float] = pa.Field(alias="l1_regime.trend_t_15", nullable=True)
