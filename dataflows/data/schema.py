"""What the data domain promises the others: see `dataflows.boundary`."""

from __future__ import annotations

import sys
from typing import ClassVar, Final

import pandera.pandas as pa
from pandera.typing import Series

from dataflows.boundary import Boundary, Rule

FINITE: Final = sys.float_info.max
FLAG: Final = (0, 1)


class DataBoundary(Boundary):
    """The recorded fields of L0. Book levels are not recorded."""

    __rules__: ClassVar[tuple[Rule, ...]] = (
        Rule("ordered", ("l0_market_feed.bars.low", "l0_market_feed.bars.vwap", "l0_market_feed.bars.high"), tolerance=0.0),
        Rule("ordered", ("l0_market_feed.bars_5.low", "l0_market_feed.bars_5.high"), tolerance=0.0),
        Rule("ordered", ("l0_market_feed.bars_15.low", "l0_market_feed.bars_15.high"), tolerance=0.0),
        Rule("ordered", ("l0_market_feed.bars_60.low", "l0_market_feed.bars_60.high"), tolerance=0.0),
        Rule("ordered", ("l0_market_feed.quality.valid", "l0_market_feed.quality.listed"), tolerance=0.0),
        Rule("ordered", ("l0_market_feed.quality.filled", "l0_market_feed.quality.missing"), tolerance=0.0),
    )

    time: Series[int] = pa.Field(alias="l0_market_feed.time", gt=0)
    session_id: Series[int] = pa.Field(alias="l0_market_feed.session.id", ge=0)
    bar_of_session: Series[int] = pa.Field(alias="l0_market_feed.session.bar_of_session", ge=0, lt=86400)
    is_open: Series[int] = pa.Field(alias="l0_market_feed.session.is_open", isin=FLAG)
    is_last: Series[int] = pa.Field(alias="l0_market_feed.session.is_last", isin=FLAG)
    session_vwap: Series[float] = pa.Field(alias="l0_market_feed.session.vwap", gt=0.0, le=FINITE, nullable=True)
    open: Series[float] = pa.Field(alias="l0_market_feed.bars.open", gt=0.0, le=FINITE, nullable=True)
    high: Series[float] = pa.Field(alias="l0_market_feed.bars.high", gt=0.0, le=FINITE, nullable=True)
    low: Series[float] = pa.Field(alias="l0_market_feed.bars.low", gt=0.0, le=FINITE, nullable=True)
    close: Series[float] = pa.Field(alias="l0_market_feed.bars.close", gt=0.0, le=FINITE, nullable=True)
    volume: Series[float] = pa.Field(alias="l0_market_feed.bars.volume", ge=0.0, le=FINITE, nullable=True)
    vwap: Series[float] = pa.Field(alias="l0_market_feed.bars.vwap", gt=0.0, le=FINITE, nullable=True)
    trade_count: Series[float] = pa.Field(alias="l0_market_feed.bars.trade_count", ge=0.0, le=FINITE, nullable=True)
    open_5: Series[float] = pa.Field(alias="l0_market_feed.bars_5.open", gt=0.0, le=FINITE, nullable=True)
    high_5: Series[float] = pa.Field(alias="l0_market_feed.bars_5.high", gt=0.0, le=FINITE, nullable=True)
    low_5: Series[float] = pa.Field(alias="l0_market_feed.bars_5.low", gt=0.0, le=FINITE, nullable=True)
    close_5: Series[float] = pa.Field(alias="l0_market_feed.bars_5.close", gt=0.0, le=FINITE, nullable=True)
    volume_5: Series[float] = pa.Field(alias="l0_market_feed.bars_5.volume", ge=0.0, le=FINITE, nullable=True)
    closed_5: Series[int] = pa.Field(alias="l0_market_feed.bars_5.closed", isin=FLAG)
    open_15: Series[float] = pa.Field(alias="l0_market_feed.bars_15.open", gt=0.0, le=FINITE, nullable=True)
    high_15: Series[float] = pa.Field(alias="l0_market_feed.bars_15.high", gt=0.0, le=FINITE, nullable=True)
    low_15: Series[float] = pa.Field(alias="l0_market_feed.bars_15.low", gt=0.0, le=FINITE, nullable=True)
    close_15: Series[float] = pa.Field(alias="l0_market_feed.bars_15.close", gt=0.0, le=FINITE, nullable=True)
    volume_15: Series[float] = pa.Field(alias="l0_market_feed.bars_15.volume", ge=0.0, le=FINITE, nullable=True)
    closed_15: Series[int] = pa.Field(alias="l0_market_feed.bars_15.closed", isin=FLAG)
    open_60: Series[float] = pa.Field(alias="l0_market_feed.bars_60.open", gt=0.0, le=FINITE, nullable=True)
    high_60: Series[float] = pa.Field(alias="l0_market_feed.bars_60.high", gt=0.0, le=FINITE, nullable=True)
    low_60: Series[float] = pa.Field(alias="l0_market_feed.bars_60.low", gt=0.0, le=FINITE, nullable=True)
    close_60: Series[float] = pa.Field(alias="l0_market_feed.bars_60.close", gt=0.0, le=FINITE, nullable=True)
    volume_60: Series[float] = pa.Field(alias="l0_market_feed.bars_60.volume", ge=0.0, le=FINITE, nullable=True)
    closed_60: Series[int] = pa.Field(alias="l0_market_feed.bars_60.closed", isin=FLAG)
    book_age: Series[float] = pa.Field(alias="l0_market_feed.book.age", ge=0.0, le=FINITE, nullable=True)
    has_feed: Series[int] = pa.Field(alias="l0_market_feed.book.has_feed", isin=FLAG)
    buy_volume: Series[float] = pa.Field(alias="l0_market_feed.flow.buy_volume", ge=0.0, le=FINITE, nullable=True)
    sell_volume: Series[float] = pa.Field(alias="l0_market_feed.flow.sell_volume", ge=0.0, le=FINITE, nullable=True)
    buy_count: Series[float] = pa.Field(alias="l0_market_feed.flow.buy_count", ge=0.0, le=FINITE, nullable=True)
    sell_count: Series[float] = pa.Field(alias="l0_market_feed.flow.sell_count", ge=0.0, le=FINITE, nullable=True)
    funding: Series[float] = pa.Field(alias="l0_market_feed.funding", ge=-1.0, le=1.0, nullable=True)
    valid: Series[int] = pa.Field(alias="l0_market_feed.quality.valid", isin=FLAG)
    filled: Series[int] = pa.Field(alias="l0_market_feed.quality.filled", isin=FLAG)
    listed: Series[int] = pa.Field(alias="l0_market_feed.quality.listed", isin=FLAG)
    missing: Series[int] = pa.Field(alias="l0_market_feed.quality.missing", isin=FLAG)
    stale: Series[float] = pa.Field(alias="l0_market_feed.quality.stale", ge=0.0, le=FINITE, nullable=True)
    frozen: Series[float] = pa.Field(alias="l0_market_feed.quality.frozen", ge=0.0, le=FINITE, nullable=True)
    outlier: Series[int] = pa.Field(alias="l0_market_feed.quality.outlier", isin=FLAG)
    crossed: Series[int] = pa.Field(alias="l0_market_feed.quality.crossed", isin=FLAG)
    duplicates: Series[int] = pa.Field(alias="l0_market_feed.quality.duplicates", ge=0)
    late: Series[int] = pa.Field(alias="l0_market_feed.quality.late", ge=0)
