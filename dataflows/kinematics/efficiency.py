"""Kaufman's efficiency ratio and the average that adapts to it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Ring, Unknown, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Efficient(NamedTuple):
    """State of `efficiency`; W is the window."""

    ring: Ring  # closes
    pos: Count
    held: Count
    path: Zero  # sum of the sizes of the W - 1 moves between the closes held
    ratio: Unknown
    kama: Unknown


@kernel
def efficiency(close: Floats, on: Ints, fast: int, slow: int, state: Efficient) -> tuple[Floats, Floats]:
    """(ratio, kama), each (T, N), over the bars that count.

    ratio in [0, 1]: how far the close came in W bars over the way it went, 0 where it did not move. kama, quote currency:
    moves to the close by the square of a share between 2 / (slow + 1) and 2 / (fast + 1), in the ratio's proportion; begins
    at the close before the window is whole. NaN until W + 1 closes were seen; held where `on` is 0 or the close is not
    finite.
    Source: Kaufman (1995).
    """
    state_ratio, state_kama, pos, ring, held = state.ratio, state.kama, state.pos, state.ring, state.held
    state_path = state.path
    bars, symbols = close.shape
    width = ring.shape[0]
    ratio = np.empty((bars, symbols))
    kama = np.empty((bars, symbols))
    least = 2.0 / (slow + 1.0)
    most = 2.0 / (fast + 1.0)
    for t in range(bars):
        for n in range(symbols):
            c = close[t, n]
            if on[t, n] != 0 and math.isfinite(c):
                p = pos[n]
                last = ring[p - 1 if p > 0 else width - 1, n]
                if held[n] == width:
                    path = state_path[n] + math.fabs(c - last)
                    e = math.fabs(c - ring[p, n]) / path if path > 0.0 else 0.0
                    e = e if e < 1.0 else 1.0
                    share = least + e * (most - least)
                    before = state_kama[n] if state_kama[n] == state_kama[n] else last
                    state_kama[n] = before + share * share * (c - before)
                    state_ratio[n] = e
                    state_path[n] = path - math.fabs(ring[(p + 1) % width, n] - ring[p, n])
                ring[p, n] = c
                if p == width - 1:  # in time order now: the path is summed anew
                    total = 0.0
                    for i in range(1, width):
                        total += math.fabs(ring[i, n] - ring[i - 1, n])
                    state_path[n] = total
                    held[n] = width
                pos[n] = 0 if p == width - 1 else p + 1
            ratio[t, n] = state_ratio[n]
            kama[t, n] = state_kama[n]
    return ratio, kama
