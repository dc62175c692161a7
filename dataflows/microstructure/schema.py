"""What the microstructure domain promises the others: see `dataflows.boundary`.

That the microprice lies within the touch is a property test: the touch belongs to the data domain.
"""

from __future__ import annotations

import sys
from typing import ClassVar, Final

import pandera.pandas as pa
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule

FINITE: Final = sys.float_info.max
FLAG: Final = (0, 1)


class MicrostructureBoundary(Boundary):
    """The recorded fields of L8 and L63."""

    __rules__: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "ordered",
            (
                "l63_tradeability.slippage_bps.small",
                "l63_tradeability.slippage_bps.middle",
                "l63_tradeability.slippage_bps.large",
            ),
            tolerance=0.0,
        ),
    )

    mid: Series[float] = pa.Field(alias="l8_spread_depth.mid", gt=0.0, le=FINITE, nullable=True)
    spread_bps: Series[float] = pa.Field(alias="l8_spread_depth.spread_bps", gt=0.0, le=FINITE, nullable=True)
    microprice: Series[float] = pa.Field(alias="l8_spread_depth.microprice", gt=0.0, le=FINITE, nullable=True)
    bid_depth: Series[float] = pa.Field(alias="l8_spread_depth.bid_depth", ge=0.0, le=FINITE, nullable=True)
    ask_depth: Series[float] = pa.Field(alias="l8_spread_depth.ask_depth", ge=0.0, le=FINITE, nullable=True)
    slope: Series[float] = pa.Field(alias="l8_spread_depth.slope", ge=0.0, le=FINITE, nullable=True)
    proxied: Series[int] = pa.Field(alias="l8_spread_depth.proxied", isin=FLAG)
    score: Series[float] = pa.Field(alias="l63_tradeability.score", ge=0.0, le=1.0, nullable=True)
    liquidity_class: Series[int] = pa.Field(alias="l63_tradeability.liquidity_class", isin=(-1, 0, 1, 2))
    avoid: Series[int] = pa.Field(alias="l63_tradeability.avoid", isin=FLAG)
    slippage_small: Series[float] = pa.Field(alias="l63_tradeability.slippage_bps.small", ge=0.0, le=FINITE, nullable=True)
    slippage_middle: Series[float] = pa.Field(alias="l63_tradeability.slippage_bps.middle", ge=0.0, le=FINITE, nullable=True)
    slippage_large: Series[float] = pa.Field(alias="l63_tradeability.slippage_bps.large", ge=0.0, le=FINITE, nullable=True)
    max_safe_notional: Series[float] = pa.Field(alias="l63_tradeability.max_safe_notional", ge=0.0, le=FINITE, nullable=True)
