"""Sweeps: a wick through a swing point that closes back."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind, Unknown
from dataflows.kernels.arith import clip
from dataflows.kernels.window import Moments
from dataflows.panel import Floats, Ints
from dataflows.pattern.activity import previous_z
from dataflows.pattern.swings import Swings, swing_push
from dataflows.runtime.compile import kernel

BPS = 1e-4


class Sweep(NamedTuple):
    """State of `sweeps`: the latest swing points that nothing has traded through since; NaN: there is none."""

    volume: Annotated[Moments, Bind(W="sweep_volume_bars")]
    swings: Swings
    above: Unknown
    below: Unknown


@kernel
def sweeps(
    high: Floats,
    low: Floats,
    close: Floats,
    volume: Floats,
    atr: Floats,
    spread_bps: Floats,
    on: Ints,
    reversal: float,
    pierce_atr: float,
    least_z: float,
    state: Sweep,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): the bars that trade through a swing point and close back.

    side: against the wick, which must reach pierce_atr ATR and one spread beyond the point, on volume of least_z deviations or
    more; 0 for a bar that does so on both sides. confidence in [0, 1]: half z / (1 + z) of the volume, half how far back,
    up to one ATR.
    extreme: the end of the wick. Both NaN where side is 0. A point that was traded through, swept or not, is spent.
    """
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    traded = previous_z(volume, on, state.volume)
    swings, above, below = state.swings, state.above, state.below
    price = swings.price
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            z = traded[t, n]
            for s in (1, -1):
                wick = high[t, n] if s > 0 else low[t, n]
                point = above[n] if s > 0 else below[n]
                beyond = s * (wick - point)
                if not (beyond > 0.0):
                    continue
                if s > 0:
                    above[n] = math.nan
                else:
                    below[n] = math.nan
                back = s * (point - close[t, n])
                far = beyond >= pierce_atr * atr[t, n] and beyond >= spread_bps[t, n] * BPS * close[t, n]
                if far and back > 0.0 and z >= least_z:
                    side[t, n] -= s
                    confidence[t, n] = 0.5 * z / (1.0 + z) + 0.5 * clip(back / atr[t, n], 0.0, 1.0)
                    extreme[t, n] = wick
            found = swing_push(high[t, n], low[t, n], close[t, n], reversal * atr[t, n], n, swings)
            if found > 0:
                above[n] = price[0, n]
            elif found < 0:
                below[n] = price[0, n]
    return side, confidence, extreme
