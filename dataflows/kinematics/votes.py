"""How much signed votes agree."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.arith import clip, sign
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


@kernel
def count_votes(
    votes: tuple[Floats, ...], full: tuple[float, ...], weights: tuple[float, ...]
) -> tuple[Floats, Floats, Floats]:
    """(score, agreement, conflict) of K weighted votes, each (T, N).

    votes: K panels; one votes with full strength (+-1) from `full` on. weights: K, >= 0, one positive. An unknown vote counts 0
    and the others' weights stay as they are; NaN where none is known. score: the weighted mean in [-1, 1]; agreement: size of
    the weighted mean of the signs, in [0, 1]; conflict: twice the smaller of the two sides' weighted strength, in [0, 1].
    """
    bars, symbols = votes[0].shape
    score = np.empty((bars, symbols))
    agreement = np.empty((bars, symbols))
    conflict = np.empty((bars, symbols))
    whole = 0.0
    for k in range(len(weights)):
        whole += weights[k]
    for t in range(bars):
        for n in range(symbols):
            known = 0
            up = 0.0
            down = 0.0
            signs = 0.0
            for k in range(len(votes)):
                v = clip(votes[k][t, n] / full[k], -1.0, 1.0)
                if v == v:
                    known += 1
                    signs += weights[k] * sign(v)
                    if v > 0.0:
                        up += weights[k] * v
                    else:
                        down -= weights[k] * v
            if known == 0:
                score[t, n] = math.nan
                agreement[t, n] = math.nan
                conflict[t, n] = math.nan
            else:
                score[t, n] = clip((up - down) / whole, -1.0, 1.0)
                agreement[t, n] = clip(math.fabs(signs) / whole, 0.0, 1.0)
                conflict[t, n] = clip(2.0 * (down if down < up else up) / whole, 0.0, 1.0)
    return score, agreement, conflict
