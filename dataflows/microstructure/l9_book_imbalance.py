"""L9: which side of the book is heavier."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kernels.smooth import halflife_alpha
from dataflows.layer import layer
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.imbalance import Imbalance, book_imbalance
from dataflows.microstructure.types import BookImbalance, SpreadDepth


class BookImbalanceCarry(NamedTuple):
    """What L9 needs of the past."""

    average: Imbalance


@layer("L9")
def l9_book_imbalance(
    l0_market_feed: Market, l8_spread_depth: SpreadDepth, microstructure: MicrostructureConfig, carry: BookImbalanceCarry
) -> BookImbalance:
    """Queue imbalance at the touch and over the levels of the book. Panels (T, N).

    top, weighted, smoothed in [-1, 1], positive where bids are heavier: at the touch; over all levels, each
    `imbalance_decay` of the one before; and that averaged with half-life `imbalance_halflife_bars`. microprice_offset_bps:
    of the microprice from mid. NaN where the book is empty, one-sided, crossed or not there; smoothed holds through it. Bid
    and ask exchanged, the sign flips.
    Source: Gould and Bonart (2016).
    """
    book, seen = l0_market_feed.book, l8_spread_depth
    alpha = halflife_alpha(microstructure.imbalance_halflife_bars)
    top, weighted, smoothed, offset = book_imbalance(
        book.bid_size,
        book.ask_size,
        seen.mid,
        seen.microprice,
        seen.proxied,
        microstructure.imbalance_decay,
        alpha,
        carry.average,
    )
    return BookImbalance(top, weighted, smoothed, offset)
