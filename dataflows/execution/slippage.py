"""What it costs to take liquidity at once: the book of the previous close, and the square-root law beyond it."""

from __future__ import annotations

import math

from dataflows.execution.venue_books import (
    ASK_PRICE,
    ASK_SIZE,
    BID_PRICE,
    BID_SIZE,
    MID,
    SIGMA,
    SPREAD_BPS,
    VOLUME,
    VenueCarry,
)
from dataflows.runtime.compile import kernel


@kernel
def slippage(carry: VenueCarry, s: int, quantity: float, use_book: int, impact: float, default_bps: float) -> float:
    """Fraction of price that taking `quantity` (signed) at once costs, by what was known at the previous close; in [0, 0.5].

    The levels of the book against its mid; what they do not hold pays the square-root law on top of the last level. Without a
    book: half the spread plus that law, sigma * sqrt(quantity / volume of a bar) (Torre 1997).
    """
    size = math.fabs(quantity)
    law = default_bps / 1e4
    known = carry.quoted[SIGMA, s] >= 0.0 and carry.quoted[VOLUME, s] > 0.0
    if known:
        law = impact * carry.quoted[SIGMA, s] * math.sqrt(size / carry.quoted[VOLUME, s])
    half = carry.quoted[SPREAD_BPS, s] / 2e4 if carry.quoted[SPREAD_BPS, s] >= 0.0 else (default_bps / 1e4 if known else 0.0)
    cost = half + law
    if use_book != 0 and carry.quoted[MID, s] > 0.0:
        side = 1.0 if quantity > 0.0 else -1.0
        taken, paid, last = 0.0, 0.0, 0.0
        for d in range(carry.book.shape[2]):
            price = carry.book[ASK_PRICE, s, d] if quantity > 0.0 else carry.book[BID_PRICE, s, d]
            held = carry.book[ASK_SIZE, s, d] if quantity > 0.0 else carry.book[BID_SIZE, s, d]
            if not (price > 0.0 and held > 0.0):
                break
            part = held if held < size - taken else size - taken
            taken += part
            paid += part * price
            last = price
            if not (taken < size):
                break
        if taken > 0.0:
            rest = size - taken
            if rest > 0.0:
                beyond = (
                    impact * carry.quoted[SIGMA, s] * math.sqrt(rest / carry.quoted[VOLUME, s]) if known else default_bps / 1e4
                )
                paid += rest * last * (1.0 + side * (beyond if beyond < 0.5 else 0.5))
            cost = side * (paid / size / carry.quoted[MID, s] - 1.0)
    if not (cost > 0.0):
        return 0.0
    return cost if cost < 0.5 else 0.5


@kernel
def touch_of(carry: VenueCarry, s: int, side: float, reference: float, price: float) -> float:
    """The reference moved by half the spread of the previous close, never beyond the fill's price; NaN: no spread is known."""
    half = carry.quoted[SPREAD_BPS, s] / 2e4
    if not (half >= 0.0):
        return math.nan
    touch = reference * (1.0 + side * half)
    return price if side * (touch - price) > 0.0 else touch
