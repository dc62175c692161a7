"""A channel's extreme in a calm market."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.carry import Count
from dataflows.kernels.arith import clip, known
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class CalmExtreme(NamedTuple):
    """State of `calm_extremes`: the side that the bar before called for, 0: none."""

    side: Count


@kernel
def calm_extremes(
    high: Floats,
    low: Floats,
    last_high: Floats,
    last_low: Floats,
    percent_b: Floats,
    calm: Floats,
    ratio: Floats,
    z: Floats,
    speed: Floats,
    on: Ints,
    edge: float,
    least_calm: float,
    most_ratio: float,
    least_z: float,
    room: float,
    state: CalmExtreme,
) -> tuple[Ints, Floats, Floats, Ints]:
    """(side, confidence, refuted_at, beyond), each (T, N).

    A bar calls for a way back where percent_b lies within `edge` of an edge of the channel or beyond it, P(calm) is at least
    `least_calm`, the variance ratio at most `most_ratio`, and z at least `least_z` on the channel's side of the mean. side:
    towards the mean, on the first bar that calls for it, else 0. confidence in [0, 1]: thirds of P(calm), of how far the ratio
    is below 1, and of the speed of the way back; what is unknown counts 0. refuted_at: `room` heights of the last higher bar
    beyond the farther of its edge and this bar's. Both NaN where side is 0. beyond: sign of z: the side whose occurrences
    have arrived.
    """
    state_side = state.side
    bars, symbols = z.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    refuted_at = np.full((bars, symbols), np.nan)
    beyond = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            if z[t, n] > 0.0:
                beyond[t, n] = 1
            elif z[t, n] < 0.0:
                beyond[t, n] = -1
            s = 0
            if calm[t, n] >= least_calm and ratio[t, n] <= most_ratio:
                if percent_b[t, n] >= 1.0 - edge and z[t, n] >= least_z:
                    s = -1
                elif percent_b[t, n] <= edge and z[t, n] <= -least_z:
                    s = 1
            if s != 0 and s != state_side[n]:
                side[t, n] = s
                below = clip(1.0 - ratio[t, n], 0.0, 1.0)
                confidence[t, n] = (calm[t, n] + below + known(speed[t, n], 0.0)) / 3.0
                height = room * (last_high[t, n] - last_low[t, n])
                if s > 0:
                    refuted_at[t, n] = (low[t, n] if low[t, n] < last_low[t, n] else last_low[t, n]) - height
                else:
                    refuted_at[t, n] = (high[t, n] if high[t, n] > last_high[t, n] else last_high[t, n]) + height
            state_side[n] = s
    return side, confidence, refuted_at, beyond
