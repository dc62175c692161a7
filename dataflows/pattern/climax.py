"""Climaxes: the loudest bar of a move, and the move that then fails to hold its speed."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind, Count, Unknown
from dataflows.kernels.window import Moments
from dataflows.panel import Floats, Ints
from dataflows.pattern.activity import previous_z
from dataflows.runtime.compile import kernel


class Climax(NamedTuple):
    """State of `climaxes`: the climax that the move may not survive. Side 0: none."""

    volume: Annotated[Moments, Bind(W="climax_bars")]
    side: Count  # of the move
    age: Count
    loudness: Unknown
    extreme: Unknown


@kernel
def climaxes(
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    atr: Floats,
    velocity: Floats,
    acceleration: Floats,
    on: Ints,
    range_atr: float,
    volume_z: float,
    fast: float,
    within: int,
    state: Climax,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): the bars on which a move decelerates after its climax.

    A climax: a range of range_atr ATR or more (the ATR of this bar, which it raises itself), volume at least volume_z
    deviations above that of the bars before, velocity of `fast` or more, and a close on the velocity's side of the open. side:
    against the move, on the first bar, 0 to `within` bars after the climax, whose acceleration is against it; else 0.
    confidence in [0, 1]: the mean of x / (1 + x) over range in ATR and volume in deviations. extreme: the farthest price of
    the move since the climax. Both NaN where side is 0. A new climax takes the place of an older one.
    """
    state_side, age, loudness, state_extreme = state.side, state.age, state.loudness, state.extreme
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    busyness = previous_z(volume, on, state.volume)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            busy = busyness[t, n]
            s = state_side[n]
            if s != 0:
                age[n] += 1
                farthest = high[t, n] if s > 0 else low[t, n]
                if s * (farthest - state_extreme[n]) > 0.0:
                    state_extreme[n] = farthest
                if age[n] > within:
                    state_side[n] = 0
            v = velocity[t, n]
            s = 1 if v > 0.0 else -1
            wide = (high[t, n] - low[t, n]) / atr[t, n] if atr[t, n] > 0.0 else math.nan
            loud = wide >= range_atr and busy >= volume_z
            if loud and math.fabs(v) >= fast and s * (close[t, n] - open_[t, n]) > 0.0:
                state_side[n] = s
                age[n] = 0
                loudness[n] = 0.5 * wide / (1.0 + wide) + 0.5 * busy / (1.0 + busy)
                state_extreme[n] = high[t, n] if s > 0 else low[t, n]
            if state_side[n] != 0 and state_side[n] * acceleration[t, n] < 0.0:
                side[t, n] = -state_side[n]
                confidence[t, n] = loudness[n]
                extreme[t, n] = state_extreme[n]
                state_side[n] = 0
    return side, confidence, extreme
