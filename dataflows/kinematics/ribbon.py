"""Three averages of the close, and what their order says."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.kernels.compile import kernel
from dataflows.kernels.smooth import SeededEwm, seeded_push
from dataflows.panel import Floats, Ints


class Ribbon(NamedTuple):
    """State of `ribbon`."""

    fast: SeededEwm
    middle: SeededEwm
    slow: SeededEwm
    aligned: Unknown  # as of the last bar that counted


@kernel
def ribbon(
    close: Floats, atr: Floats, on: Ints, spans: tuple[int, int, int], scale: float, mixed: float, state: Ribbon
) -> tuple[Floats, Floats, Floats]:
    """(score, spread_atr, aligned) of three exponential averages, each (T, N).

    close, atr: float64 (T, N), quote currency; on: 1 where the bar counts. spans: fast, middle, slow, in bars that count.
    spread_atr = (fast - slow) / atr; aligned = 1 where fast > middle > slow and all three rise, -1 where all of it is the other
    way round, else 0; score = tanh(spread_atr / scale), times `mixed` unless aligned with the spread. NaN until the slow
    average is known (aligned: one bar more), and where atr is not; held otherwise where `on` is 0.
    """
    bars, symbols = close.shape
    score = np.empty((bars, symbols))
    spread_atr = np.empty((bars, symbols))
    aligned = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = close[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                fast = state.fast.mean[n]
                middle = state.middle.mean[n]
                slow = state.slow.mean[n]
                seeded_push(v, n, 2.0 / (spans[0] + 1.0), spans[0], state.fast)
                seeded_push(v, n, 2.0 / (spans[1] + 1.0), spans[1], state.middle)
                seeded_push(v, n, 2.0 / (spans[2] + 1.0), spans[2], state.slow)
                if slow == slow:
                    f = state.fast.mean[n]
                    m = state.middle.mean[n]
                    s = state.slow.mean[n]
                    if f > m and m > s and f > fast and m > middle and s > slow:
                        state.aligned[n] = 1.0
                    elif f < m and m < s and f < fast and m < middle and s < slow:
                        state.aligned[n] = -1.0
                    else:
                        state.aligned[n] = 0.0
            spread = state.fast.mean[n] - state.slow.mean[n]
            if spread == 0.0 and atr[t, n] == 0.0:
                x = 0.0  # a price that does not move has no trend
            elif atr[t, n] > 0.0:
                x = spread / atr[t, n]
            else:
                x = math.nan
            spread_atr[t, n] = x
            aligned[t, n] = state.aligned[n]
            score[t, n] = math.tanh(x / scale) * (1.0 if state.aligned[n] * x > 0.0 else mixed)
    return score, spread_atr, aligned
