"""What the microstructure domain hands on."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.microstructure.config import MicrostructureConfig as MicrostructureConfig  # other domains read its settings
from dataflows.panel import Finite, Flag, Floats, IntPanel, Ints, Members, Panel, Score, Size, Stack, Unit

UNKNOWN: Final = -1
THIN: Final = 0
NORMAL: Final = 1
DEEP: Final = 2
LIQUIDITY: Final = ("THIN", "NORMAL", "DEEP")


class SpreadDepth(NamedTuple):
    """L8: the touch and the depth of the book, or their proxies."""

    mid: Panel  # quote currency
    spread_bps: Panel  # quoted (or proxied) spread over mid
    microprice: Panel  # quote currency
    bid_depth: Panel  # notional within `levels` and `band_bps`, the account's currency
    ask_depth: Panel
    slope: Panel  # depth gained per bp from mid, the account's currency per bp
    proxied: IntPanel  # 1: from bars, the data set has no book feed


ORDER_SIZES: Final = ("small", "middle", "large")
"""Of `order_notionals`, ascending."""


class Tradeability(NamedTuple):
    """L63: is it safe to trade now, and what would it cost."""

    score: Panel  # [0, 1]
    liquidity_class: IntPanel  # a LIQUIDITY index, -1 unknown
    avoid: IntPanel  # 1: do not enter. 1 until everything it needs is known
    slippage_bps: Annotated[Stack, Members(ORDER_SIZES)]  # (T, N, 3), by ORDER_SIZES
    max_safe_notional: Panel  # the account's currency


class BookImbalance(NamedTuple):
    """L9: which side of the book is heavier; > 0: the bids."""

    top: Score
    weighted: Score
    smoothed: Score
    microprice_offset_bps: Finite


class TradePressure(NamedTuple):
    """L10: who is in a hurry; > 0: buyers. Where it is proxied it is the bar's return in other words: see `by_sides`."""

    signed_volume: Finite  # base units
    pressure: Score
    pressure_z: Finite
    buy_intensity: Size  # 0.5 is usual
    sell_intensity: Size
    proxied: Flag  # 1: the data do not say who began the bar's trades, so its move stands for it


def by_sides(flow: Floats, proxied: Ints) -> Floats:
    """Flow (T, N) where the data say who began the trades, NaN where L10 is proxied: there it would confirm itself."""
    return np.where(proxied == 0, flow, np.nan)


class PriceImpact(NamedTuple):
    """L59: what a trade moves the price."""

    lambda_sqrt: Finite  # log return per root of notional, the account's currency
    amihud: Size  # |log return| per notional, the account's currency
    r2: Unit


class FlowToxicity(NamedTuple):
    """L61: how one-sided flow is."""

    vpin: Unit
    vpin_percentile: Unit


class OrderFlowImbalance(NamedTuple):
    """L62: what was added to and taken from the book; > 0: bids added, asks taken."""

    ofi: Finite  # base units, at the touch
    ofi_integrated: Finite  # base units, over the levels
    ofi_z: Finite
    predicted_bps: Finite  # of the next bar
