"""Imbalance of the standing book."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Imbalance(NamedTuple):
    """State of `book_imbalance`."""

    smoothed: Unknown


@kernel
def book_imbalance(
    bid_size: Floats,
    ask_size: Floats,
    mid: Floats,
    microprice: Floats,
    proxied: Ints,
    decay: float,
    alpha: float,
    state: Imbalance,
) -> tuple[Floats, Floats, Floats, Floats]:
    """(top, weighted, smoothed, microprice_offset_bps), each (T, N), of book sizes (T, N, D).

    top in [-1, 1]: bid less ask size over their sum, at the touch; weighted: the same over all levels that both sides show,
    level k with weight decay^k; smoothed: its exponential average. NaN where the book is not whole (mid is NaN, or a
    proxy); smoothed holds there.
    """
    smoothed = state.smoothed
    bars, symbols = mid.shape
    out = np.full((4, bars, symbols), np.nan)
    levels = bid_size.shape[2]
    for t in range(bars):
        for n in range(symbols):
            if proxied[t, n] == 0 and mid[t, n] > 0.0:
                bids = 0.0
                asks = 0.0
                weight = 1.0
                for k in range(levels):
                    b = bid_size[t, n, k]
                    a = ask_size[t, n, k]
                    if not (b >= 0.0 and a >= 0.0):
                        break
                    bids += weight * b
                    asks += weight * a
                    if k == 0 and b + a > 0.0:
                        out[0, t, n] = (b - a) / (b + a)
                    weight *= decay
                if bids + asks > 0.0:
                    lean = (bids - asks) / (bids + asks)
                    out[1, t, n] = lean
                    before = smoothed[n]
                    smoothed[n] = before + alpha * (lean - before) if before == before else lean
                out[3, t, n] = 1e4 * ((microprice[t, n] - mid[t, n]) / mid[t, n])
            out[2, t, n] = smoothed[n]
    return out[0], out[1], out[2], out[3]
