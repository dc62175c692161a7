"""The Donchian channel of the bars before this one."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.kernels.arith import clip
from dataflows.kernels.window import Extremes, extremes_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

FAR = 1000.0
"""Heights of the channel, and ATR, beyond which a distance is not told apart."""


class Donchian(NamedTuple):
    """State of `donchian`."""

    channel: Extremes
    position: Unknown  # as of the last bar that counted
    since: Unknown


@kernel
def donchian(
    high: Floats, low: Floats, close: Floats, atr: Floats, on: Ints, state: Donchian
) -> tuple[Floats, Floats, Ints, Floats]:
    """(position, distance_atr, side, bars_since), each (T, N), of the close and the channel of the PREVIOUS W bars that count.

    position: 0 at its lowest low, 1 at its highest high, 0.5 where it has no height; held on bars that do not count.
    distance_atr: how far the close is beyond the nearer edge, in ATR, below it negative, 0 inside; NaN on bars that do not
    count. side: 1 above, -1 below, 0 inside or not known. bars_since: bars that counted since the last close outside, 0 on it;
    NaN before the first. Nothing is known until W bars are held. Position and distance lie within `FAR`.
    """
    state_position, state_since = state.position, state.since
    channel = state.channel
    seen, highest, lowest = channel.seen, channel.highest, channel.lowest
    bars, symbols = close.shape
    width = channel.high.shape[0]
    position = np.empty((bars, symbols))
    distance = np.empty((bars, symbols))
    side = np.zeros((bars, symbols), np.int64)
    since = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            c = close[t, n]
            distance[t, n] = math.nan
            if on[t, n] != 0 and math.isfinite(high[t, n]) and math.isfinite(low[t, n]) and math.isfinite(c):
                if seen[n] >= width:
                    top = highest[n]
                    bottom = lowest[n]
                    state_since[n] += 1.0
                    beyond = 0.0
                    if c > top:
                        side[t, n] = 1
                        beyond = c - top
                    elif c < bottom:
                        side[t, n] = -1
                        beyond = c - bottom
                    if side[t, n] != 0:
                        state_since[n] = 0.0
                    height = top - bottom
                    state_position[n] = clip((c - bottom) / height, -FAR, FAR) if height > 0.0 else 0.5 + 0.5 * side[t, n]
                    if beyond == 0.0:
                        distance[t, n] = 0.0
                    elif atr[t, n] > 0.0:
                        distance[t, n] = clip(beyond / atr[t, n], -FAR, FAR)
                extremes_push(high[t, n], low[t, n], n, channel)
            position[t, n] = state_position[n]
            since[t, n] = state_since[n]
    return position, distance, side, since
