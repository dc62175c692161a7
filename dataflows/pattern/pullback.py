"""A trend that comes back to its average and goes on."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown
from dataflows.kernels.arith import clip, known
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Pullback(NamedTuple):
    """State of `pullbacks`: the trend's side, its extreme, and the retrace that is under way."""

    side: Count
    top: Unknown  # farthest price with the trend
    fresh: Count  # 1: it is later than the last retrace
    atr: Unknown  # as of that bar: the retrace itself is in those after
    bottom: Unknown  # farthest price of the retrace; NaN: none under way
    age: Count  # bars that counted since the retrace came to the average
    high: Unknown  # of the bar before
    low: Unknown


@kernel
def pullbacks(
    trend: Ints,
    aligned: Floats,
    strength: Floats,
    short: Floats,
    average: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    on: Ints,
    shallow: float,
    deep: float,
    within: int,
    state: Pullback,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, farthest), each (T, N): a retrace to the average, and the close that ends it.

    The trend is intact while `trend` and `aligned` name the same side. A retrace is under way from the bar that comes to the
    average, `shallow` ATR or more from the trend's farthest price, in the ATR of that price's bar; more than `deep` ATR, or
    more than `within` bars later, it is none. side: the trend's, on the first later bar that closes beyond both the average and
    the bar before, with `short` on the same side. confidence in [0, 1]: half |strength|, half for how little was given back.
    farthest: price of the retrace. Both NaN where side is 0. After either end a new retrace wants a new farthest price.
    """
    state_high, state_low, state_side, top, state_atr = state.high, state.low, state.side, state.top, state.atr
    fresh, bottom, age = state.fresh, state.bottom, state.age
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    farthest = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            s = trend[t, n] if trend[t, n] == aligned[t, n] else 0
            ahead = high[t, n] if s > 0 else low[t, n]
            behind = low[t, n] if s > 0 else high[t, n]
            before = state_high[n] if s > 0 else state_low[n]
            state_high[n] = high[t, n]
            state_low[n] = low[t, n]
            if s != state_side[n]:
                state_side[n] = s
                top[n] = ahead
                state_atr[n] = atr[t, n]
                fresh[n] = 1
                bottom[n] = math.nan
            elif s != 0 and bottom[n] != bottom[n]:  # no retrace
                if s * (ahead - top[n]) > 0.0:
                    top[n] = ahead
                    state_atr[n] = atr[t, n]
                    fresh[n] = 1
                elif fresh[n] != 0 and s * (behind - average[t, n]) <= 0.0 and s * (top[n] - behind) >= shallow * state_atr[n]:
                    bottom[n] = behind
                    age[n] = 0
                    fresh[n] = 0
            elif s != 0:
                age[n] += 1
                if s * (behind - bottom[n]) < 0.0:
                    bottom[n] = behind
                most = deep * state_atr[n]
                given = s * (top[n] - bottom[n])
                if age[n] > within or given > most:
                    bottom[n] = math.nan
                elif s * (close[t, n] - before) > 0.0 and s * (close[t, n] - average[t, n]) > 0.0 and s * short[t, n] > 0.0:
                    side[t, n] = s
                    kept = 1.0 - given / most if most > 0.0 else 0.0
                    confidence[t, n] = 0.5 * clip(math.fabs(known(strength[t, n], 0.0)), 0.0, 1.0) + 0.5 * clip(kept, 0.0, 1.0)
                    farthest[t, n] = bottom[n]
                    bottom[n] = math.nan
    return side, confidence, farthest
