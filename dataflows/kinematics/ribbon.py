"""Three averages of the close, and what their order says."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Unknown
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Ribbon(NamedTuple):
    """State of `ribbon`: fast, middle and slow average."""

    mean: Annotated[Floats, Axes(3, "N", start=NAN)]
    seed: Annotated[Floats, Axes(3, "N", start=0.0)]  # sum of the values that seed it
    seeded: Annotated[Ints, Axes(3, "N", start=0)]  # number of them
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
    state_aligned, mean, seeded, seed = state.aligned, state.mean, state.seeded, state.seed
    bars, symbols = close.shape
    score = np.empty((bars, symbols))
    spread_atr = np.empty((bars, symbols))
    aligned = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = close[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                rising = 0
                for k in range(3):  # `seeded_push`, written out
                    before = mean[k, n]
                    if seeded[k, n] < spans[k]:
                        seeded[k, n] += 1
                        seed[k, n] += v
                        if seeded[k, n] == spans[k]:
                            mean[k, n] = seed[k, n] / spans[k]
                    else:
                        mean[k, n] = before + 2.0 / (spans[k] + 1.0) * (v - before)
                        if mean[k, n] > before:
                            rising += 1
                        elif mean[k, n] < before:
                            rising -= 1
                        if k == 2:
                            f = mean[0, n]
                            m = mean[1, n]
                            s = mean[2, n]
                            if rising == 3 and f > m and m > s:
                                state_aligned[n] = 1.0
                            elif rising == -3 and f < m and m < s:
                                state_aligned[n] = -1.0
                            else:
                                state_aligned[n] = 0.0
            spread = mean[0, n] - mean[2, n]
            if spread == 0.0 and atr[t, n] == 0.0:
                x = 0.0  # a price that does not move has no trend
            elif atr[t, n] > 0.0:
                x = spread / atr[t, n]
            else:
                x = math.nan
            spread_atr[t, n] = x
            aligned[t, n] = state_aligned[n]
            score[t, n] = math.tanh(x / scale) * (1.0 if state_aligned[n] * x > 0.0 else mixed)
    return score, spread_atr, aligned
