"""What the data domain takes from the world and hands on."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np

from dataflows.data.config import DataConfig as DataConfig  # other domains read its settings
from dataflows.panel import (
    Floats,
    IntPanel,
    IntPerSymbol,
    Ints,
    IntSeries,
    Kind,
    Levels,
    Panel,
    PerSymbol,
    Series,
    fields_of,
    kind_of,
)

BookLevels: TypeAlias = Annotated[Floats, Kind("f8", ("N", "D"), recorded=False)]
"""(T, N, D): handed on, not recorded: they are the observations themselves, and as wide as the data set's book."""


class Observations(NamedTuple):
    """Market data aligned to the clock by a driver: one row a bar, NaN where nothing was observed.

    Prices in quote currency, all positive: where an instrument's may be zero or negative, with its `price_shift` added. Sizes
    and volumes in base units.
    """

    time: IntSeries  # close of the bar, UTC ns
    session: IntSeries  # days since 1970-01-01 of the session that the bar belongs to
    bar_of_session: IntSeries  # 0 on its first bar
    is_last: IntSeries  # 1 on its last bar
    ordinal: IntSeries  # bars of trading time before this one since a fixed instant: what higher timeframes are counted by
    open: Panel
    high: Panel
    low: Panel
    close: Panel
    volume: Panel  # base units
    vwap: Panel  # NaN where the data set has none
    trade_count: Panel  # NaN where unknown
    buy_volume: Panel  # taker buys, base units; NaN where unknown
    buy_count: Panel  # taker buy trades; NaN where unknown
    bid_price: Levels  # as of the close; NaN where a level is absent; all NaN where no snapshot
    bid_size: Levels
    ask_price: Levels
    ask_size: Levels
    book_age: Panel  # bars (may be fractional) since the snapshot; NaN before the first
    ofi: Levels  # order-flow events of all snapshots inside the bar (Cont, Kukanov, Stoikov 2014), base units; NaN: none
    funding_rate: Panel  # rate paid at an instant inside this bar by longs to shorts; 0 where none
    listed: IntPanel  # 1 while the symbol is listed (between its first and last observation, or as the data set says)
    duplicates: IntPanel  # repeated observations of this bar that were dropped
    late: IntPanel  # observations that came after their bar had been handed on: counted here, never inserted


class ExternalAlpha(NamedTuple):
    """What a model outside of the graph said of each symbol, handed in by the engine: panels (T, N)."""

    value: Panel  # stated since the last bar, in any unit, positive for up; NaN: nothing was
    age: Panel  # bars from the statement to this bar: 0, more only on the first bar of the data; NaN where value is


class Instruments(NamedTuple):
    """Facts of each symbol, in column order. Symbols are sorted by name, so that ties go by name."""

    uid: IntPerSymbol  # stable id of the name
    tick_size: PerSymbol  # quote currency; 0: unknown, no rounding
    lot_size: PerSymbol  # base units; 0: unknown, no rounding
    min_notional: PerSymbol  # quote currency; 0: none
    taker_fee_bps: PerSymbol
    maker_fee_bps: PerSymbol
    reduce_only_exempt: IntPerSymbol  # 1: the venue's minimum notional does not apply to reduce-only orders
    book_feed: IntPerSymbol  # 1: the data set has a book feed for this symbol, so the proxy is never used
    trade_side_feed: IntPerSymbol  # 1: aggressor side is known
    price_band_bps: PerSymbol  # most that a limit price may lie from the last close; 0: no band
    long_only: IntPerSymbol  # 1: no position below 0, as at a spot venue
    margin: PerSymbol  # equity that a position needs, as a fraction of its notional; 0: the venue asks for none
    most_orders: IntPerSymbol  # orders of the symbol that may be open at once; 0: no limit
    orders_per_bar: IntPerSymbol  # order messages of all symbols together that the venue takes in one bar; 0: no limit
    delivery_price: PerSymbol  # at which a position is settled when the symbol is delisted; 0: the last known close
    maintenance_margin: PerSymbol  # equity, as a fraction of notional, below which the venue liquidates; 0: it does not
    liquidation_fee_bps: PerSymbol  # fee of a liquidation, beside the taker's
    multiplier: PerSymbol  # of a linear contract: base units; of an inverse one: quote currency; times the conversion rate
    price_shift: PerSymbol  # quote currency: what the feed has added to every price, so that all are positive; 0: nothing
    inverse: IntPerSymbol  # 1: a unit is worth multiplier / price instead of multiplier * price
    borrow_rate: PerSymbol  # paid on the value of a short position, fraction a year
    base_fee: IntPerSymbol  # 1: the fee of a purchase is taken from what is bought
    start_position: PerSymbol  # held before the first bar, signed
    start_price: PerSymbol  # its average price; 0: the first mark
    leader: IntPerSymbol  # 1: the symbol whose moves the others may follow; at most one


def unknown_instruments(symbols: int) -> Instruments:
    """The facts of symbols of which nothing is known: no steps, no fees, no rules; a unit is worth its price."""
    columns: list[Any] = [np.zeros(symbols, kind_of(hint).numpy) for hint in fields_of(Instruments).values()]
    return Instruments(*columns)._replace(multiplier=np.ones(symbols))


class Clock(NamedTuple):
    """The instant at which a step runs."""

    ts: IntSeries  # UTC ns
    is_bar: IntSeries  # 1 at the close of a bar, 0 between two bars
    operator: IntSeries  # one of OPERATOR_*
    amount: Series  # quote currency: the cash that flows in (+) or out (-) with OPERATOR_CASH_FLOW, else 0
    symbol: IntSeries  # column that OPERATOR_HALT, _FLATTEN, _RELEASE or _CANCEL is about; -1: all
    subject: IntSeries  # OPERATOR_CANCEL: the order's number within its symbol; OPERATOR_RELEASE: LATCHES, 0 all; else 0

    @property
    def bars(self) -> slice | Ints:
        """The rows of an epoch that are closes: a slice where all are, so that no panel is copied."""
        return self.bars_from(0)

    def bars_from(self, first: int) -> slice | Ints:
        """The same without the first so many."""
        return slice(first, None) if np.all(self.is_bar != 0) else np.flatnonzero(self.is_bar)[first:]


OPERATOR_NONE, OPERATOR_HALT, OPERATOR_FLATTEN, OPERATOR_RELEASE, OPERATOR_REBASE, OPERATOR_CASH_FLOW = 0, 1, 2, 3, 4, 5
OPERATOR_CANCEL = 6


class Session(NamedTuple):
    """Trading session: the UTC day on a 24/7 calendar, else the exchange calendar's."""

    id: IntPanel  # days since 1970-01-01 of the session's start
    bar_of_session: IntPanel  # 0 on the first bar
    is_open: IntPanel  # 1 while the session is open
    is_last: IntPanel  # 1 on the session's last bar
    vwap: Panel  # of the session so far, quote currency


class Bars(NamedTuple):
    """Bars of the base clock after gap filling: NaN where unknown."""

    open: Panel
    high: Panel
    low: Panel
    close: Panel
    volume: Panel  # base units
    vwap: Panel  # quote currency; typical price where the data set has none
    trade_count: Panel


class HigherBars(NamedTuple):
    """The last CLOSED bar of a higher timeframe, held until the next closes."""

    open: Panel
    high: Panel
    low: Panel
    close: Panel
    volume: Panel
    closed: IntPanel  # 1 on the base bar at which a higher bar with no missing part closes


class Book(NamedTuple):
    """The order book as of the close."""

    bid_price: BookLevels
    bid_size: BookLevels
    ask_price: BookLevels
    ask_size: BookLevels
    age: Panel  # bars since the snapshot
    has_feed: IntPanel  # 1 where the data set has a book feed for the symbol
    ofi: BookLevels


class Flow(NamedTuple):
    """Aggressor-side volumes of the bar, base units; NaN where the side is unknown."""

    buy_volume: Panel
    sell_volume: Panel
    buy_count: Panel
    sell_count: Panel


class Quality(NamedTuple):
    """What is known about each bar's data."""

    valid: IntPanel  # 1: observed and sane; estimators learn from these only
    filled: IntPanel  # 1: one of the first max_gap bars of a gap, filled flat with zero volume
    listed: IntPanel
    missing: IntPanel  # 1: not observed (filled or not)
    stale: Panel  # bars since the last observation; NaN before the first
    frozen: Panel  # bars since the close last CHANGED; NaN before the first
    outlier: IntPanel  # causal Hampel filter on log returns; flagged, never altered
    crossed: IntPanel  # 1: best bid >= best ask
    duplicates: IntPanel
    late: IntPanel


class Market(NamedTuple):
    """L0: everything that the other layers know of the market."""

    time: IntSeries  # close of the bar, UTC ns
    session: Session
    bars: Bars
    bars_5: HigherBars
    bars_15: HigherBars
    bars_60: HigherBars
    book: Book
    flow: Flow
    funding: Panel  # rate paid in this bar
    quality: Quality
