"""L8: the spread and the depth of the market, from the book where there is one, else as bars betray them."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import DataConfig, Instruments, Market
from dataflows.layer import layer
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.spread import SpreadProxy, spread_depth
from dataflows.microstructure.types import SpreadDepth


class SpreadDepthCarry(NamedTuple):
    """The bars behind the proxies; a symbol with a book needs no past."""

    proxy: Annotated[SpreadProxy, Bind(W="proxy_window_bars")]


@layer("L8")
def l8_spread_depth(
    l0_market_feed: Market,
    instruments: Instruments,
    data: DataConfig,
    microstructure: MicrostructureConfig,
    carry: SpreadDepthCarry,
) -> SpreadDepth:
    """Quoted spread, size-weighted microprice and depth of the book; spread and depth proxies where the data set has no book.

    Returns panels (T, N): `mid` and `microprice` in quote currency, `spread_bps` >= 0, `bid_depth` and `ask_depth` the
    notional in the account's currency within `depth_levels` levels and `depth_band_bps` of mid, `slope` the mean of both
    sides' depth per bp out to their last counted level; `proxied` is 1 for a symbol without a book feed.

    With a book feed: every panel is NaN while the book is empty, one-sided, crossed or locked, and never a proxy. A touch wider
    than the band has depth 0.

    Without one: spread is 2 sqrt(mean((c - eta)(c - eta_next))), c the log close and eta the middle of the log range, over the
    last `proxy_window_bars` pairs of bars (known when the later bar closes, so eta_next is this bar's), at least one tick, or
    `proxy_floor_bps` where the tick is unknown. `proxy_errors` standard errors of the mean are taken off it first: what the
    price's own moves explain is no spread, and they are large where bars are long. Depth of each side is `proxy_depth_share` of
    the mean notional of a minute, whatever the bars. Both are NaN until their window is full, and are held on
    filled and unknown bars; mid and microprice are the close. Bars of one price count, as published, and pull
    the estimate down.
    Source: Abdi and Ranaldo (2017), averaged before the negative is set to zero; microprice: the touch weighted by the opposite
    sizes.
    """
    bars, book = l0_market_feed.bars, l0_market_feed.book
    return SpreadDepth(
        *spread_depth(
            high=bars.high,
            low=bars.low,
            close=bars.close,
            volume=bars.volume,
            valid=l0_market_feed.quality.valid,
            bid_price=book.bid_price,
            bid_size=book.bid_size,
            ask_price=book.ask_price,
            ask_size=book.ask_size,
            book_feed=instruments.book_feed,
            tick_size=instruments.tick_size,
            multiplier=instruments.multiplier,
            inverse=instruments.inverse,
            levels=microstructure.depth_levels,
            band_bps=microstructure.depth_band_bps,
            floor_bps=microstructure.proxy_floor_bps,
            errors=microstructure.proxy_errors,
            share=microstructure.proxy_depth_share / data.minutes_a_bar,
            state=carry.proxy,
        )
    )
