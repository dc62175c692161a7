"""What a unit of an instrument is worth in the account's currency: a linear contract, or an inverse one.

A linear contract of `multiplier` base units is worth multiplier * price. An inverse one is worth `multiplier` of the quote
currency, which are multiplier / price of the currency that it settles in; buying q of them at p and selling them at x gains
q * multiplier * (1/p - 1/x). Shares, coins and pairs are linear with a multiplier of 1.

Where prices may be zero or negative, layers see them with the instrument's `price_shift` added, all positive. Differences, and
so profits, are the same; returns, weights, margins and caps are relative to the shifted price. Cash and fees are of the price
as quoted.
"""

from __future__ import annotations

import math

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


@kernel
def notional_of(price: float, multiplier: float, inverse: int) -> float:
    """The notional of one unit at a positive price, >= 0."""
    return multiplier / price if inverse != 0 else multiplier * price


@kernel
def notionals(price: Floats, multiplier: Floats, inverse: Ints) -> Floats:
    """The notional of one unit at each price (T, N), facts (N,); NaN where the price is not positive."""
    worth = np.full(price.shape, np.nan)
    for t in range(price.shape[0]):
        for n in range(price.shape[1]):
            if price[t, n] > 0.0:
                worth[t, n] = notional_of(price[t, n], multiplier[n], inverse[n])
    return worth


@kernel
def booked(price: float, multiplier: float, inverse: int) -> float:
    """What one unit is booked at: it rises with the price, so that quantity * (booked(exit) - booked(entry)) is the profit.

    A purchase takes it from cash, and equity is cash and what is held at the mark: -multiplier / price for an inverse contract.
    """
    return -multiplier / price if inverse != 0 else multiplier * price


@kernel
def average_of(held: float, average: float, quantity: float, price: float, inverse: int) -> float:
    """The average price of `held` units at `average` and `quantity` more at `price`: harmonic for an inverse contract."""
    if inverse != 0:
        return (held + quantity) / (held / average + quantity / price)
    return (held * average + quantity * price) / (held + quantity)


@kernel
def loss_of(distance: float, side: float, inverse: int) -> float:
    """What a unit loses, as a fraction of its notional, where the price goes `distance` (a fraction of it) against `side`.

    An inverse contract loses more than the distance when long, less when short: its notional rises as the price falls. Infinite
    for a long one whose price goes to 0.
    """
    if inverse == 0:
        return distance
    if side > 0.0:
        return distance / (1.0 - distance) if distance < 1.0 else math.inf
    return distance / (1.0 + distance)
