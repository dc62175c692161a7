"""L0: the market as every other layer sees it: aligned, checked, gaps filled a little and no further."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind
from dataflows.data import alignment as at
from dataflows.data.alignment import LastSeen, align
from dataflows.data.config import DataConfig
from dataflows.data.types import Bars, Book, Flow, HigherBars, Instruments, Market, Observations, Quality, Session
from dataflows.kernels.order import SortedWindow
from dataflows.kernels.resample import CLOSE, HIGH, LOW, OPEN, VOLUME, Resample, resample
from dataflows.layer import layer
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class MarketFeedCarry(NamedTuple):
    """What L0 needs of the past."""

    seen: LastSeen
    returns: Annotated[SortedWindow, Bind(W="hampel_window")]  # log returns that an outlier is told by
    higher: Annotated[Resample, Bind(F=3)]


@layer("L0")
def l0_market_feed(observations: Observations, instruments: Instruments, data: DataConfig, carry: MarketFeedCarry) -> Market:
    """Market data on the clock, with its quality. All panels (T, N), levels (T, N, D); prices in quote currency, sizes in base.

    A bar is valid when it was observed, its prices are finite and positive, high is not below low and its volume is not
    negative; any other counts as not observed. Unknown volume is NaN, and its bar is valid by its prices. The first `max_gap`
    bars of a gap are filled: flat at the last close, no volume (unknown where it was); from then on NaN. Nothing is filled
    before the first observation, while a symbol is not listed, or across a new listing.

    session: as the observations say: the exchange's, or the UTC day, of which the bar stamped 00:00 is the last. Bars are of
    trading time: a closed market has none, and is no gap. Its vwap is of the valid bars
    so far, NaN before any volume. bars.vwap: the typical price where none, or one outside [low, high], was given.
    bars_5/15/60: the last closed bar of the three `timeframes` (5, 15 and 60 base bars at a clock of a minute), of trading
    time, on UTC multiples where the market never closes; `closed` is 1 where one closes that has no unknown part and is not
    filled throughout; NaN before the first.
    book: as observed, also when crossed (flagged); `age` goes on counting where there is no snapshot. flow: NaN where the side
    is unknown, the counts do not add up, or the bar is not valid. funding: as observed, 0 while not listed.
    quality.outlier: |log return - median| above `hampel_k` times 1.4826 median absolute deviations (at least a tick) of the
    PREVIOUS `hampel_window` returns; needs 30. It flags, and changes nothing.
    Source: Hampel (1974), made causal.
    """
    x, k = align(
        observations,
        instruments.tick_size,
        instruments.book_feed,
        data.max_gap,
        data.hampel_k,
        carry.seen,
        carry.returns,
    )
    bars = Bars(
        open=x[at.OPEN],
        high=x[at.HIGH],
        low=x[at.LOW],
        close=x[at.CLOSE],
        volume=x[at.VOLUME],
        vwap=x[at.VWAP],
        trade_count=x[at.TRADE_COUNT],
    )
    valid = k[at.VALID]
    higher, closed = resample(
        time=observations.ordinal + 1,
        open_=bars.open,
        high=bars.high,
        low=bars.low,
        close=bars.close,
        volume=bars.volume,
        valid=valid,
        clock=1,
        lengths=data.timeframes,
        state=carry.higher,
    )
    return Market(
        time=observations.time,
        session=Session(
            id=k[at.SESSION],
            bar_of_session=k[at.BAR_OF_SESSION],
            is_open=k[at.IS_OPEN],
            is_last=k[at.IS_LAST],
            vwap=x[at.SESSION_VWAP],
        ),
        bars=bars,
        bars_5=_held(higher[0], closed[0]),
        bars_15=_held(higher[1], closed[1]),
        bars_60=_held(higher[2], closed[2]),
        book=_book(observations, x[at.BOOK_AGE], k[at.HAS_FEED]),
        flow=Flow(
            buy_volume=x[at.BUY_VOLUME],
            sell_volume=x[at.SELL_VOLUME],
            buy_count=x[at.BUY_COUNT],
            sell_count=x[at.SELL_COUNT],
        ),
        funding=x[at.FUNDING],
        quality=Quality(
            valid=valid,
            filled=k[at.FILLED],
            listed=observations.listed,
            missing=k[at.MISSING],
            stale=x[at.STALE],
            frozen=x[at.FROZEN],
            outlier=k[at.OUTLIER],
            crossed=k[at.CROSSED],
            duplicates=observations.duplicates,
            late=observations.late,
        ),
    )


def _held(bars: Floats, closed: Ints) -> HigherBars:
    """A timeframe's five panels and its flag as the record."""
    return HigherBars(open=bars[OPEN], high=bars[HIGH], low=bars[LOW], close=bars[CLOSE], volume=bars[VOLUME], closed=closed)


@kernel
def while_listed(levels: Floats, listed: Ints) -> Floats:
    """Levels (T, N, D), NaN where a symbol is not listed, (T, N)."""
    made = levels.copy()
    for t in range(listed.shape[0]):
        for n in range(listed.shape[1]):
            if listed[t, n] == 0:
                made[t, n, :] = np.nan
    return made


def _book(seen: Observations, age: Floats, has_feed: Ints) -> Book:
    """The book as observed, unknown for symbols that are not listed."""
    bid_price, bid_size, ask_price, ask_size, ofi = seen.bid_price, seen.bid_size, seen.ask_price, seen.ask_size, seen.ofi
    if not seen.listed.all():
        bid_price, bid_size = while_listed(bid_price, seen.listed), while_listed(bid_size, seen.listed)
        ask_price, ask_size = while_listed(ask_price, seen.listed), while_listed(ask_size, seen.listed)
        ofi = while_listed(ofi, seen.listed)
    return Book(
        bid_price=bid_price,
        bid_size=bid_size,
        ask_price=ask_price,
        ask_size=ask_size,
        age=age,
        has_feed=has_feed,
        ofi=ofi,
    )
