"""The weighted score of all sources: L7's kernel."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.arith import clip
from dataflows.panel import Floats
from dataflows.regime.types import CALM, CHAOTIC, HIGH_VOL, TREND_DOWN, TREND_UP
from dataflows.runtime.compile import kernel


@kernel
def tilted_weights(weights: Floats, tilt: Floats) -> Floats:
    """Weights (R, K) times tilt (K,), every row made to sum to 1 again. What is negative or unknown counts 0.

    A row that has nothing left is spread evenly: a broken tilt or weight must not silence the ensemble.
    """
    rows, width = weights.shape
    y = np.empty((rows, width))
    for r in range(rows):
        whole = 0.0
        for k in range(width):
            w = weights[r, k] * tilt[k]
            y[r, k] = w if w > 0.0 and math.isfinite(w) else 0.0
            whole += y[r, k]
        for k in range(width):
            y[r, k] = y[r, k] / whole if whole > 0.0 and math.isfinite(whole) else 1.0 / width
    return y


@kernel
def weighted_score(
    values: Floats, calm: Floats, up: Floats, down: Floats, high: Floats, chaotic: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Score (T, N) in [-1, 1] and what each source gives to it (T, N, K).

    values (T, N, K); calm .. chaotic: regime probabilities (T, N); weights (5, K), rows summing to 1. An unknown source gives
    0 and the others keep their weights, so missing data only weakens. NaN where a probability or every source is unknown.
    """
    bars, symbols, width = values.shape
    score = np.empty((bars, symbols))
    given = np.empty((bars, symbols, width))
    for t in range(bars):
        for n in range(symbols):
            a, b, c, d, e = calm[t, n], up[t, n], down[t, n], high[t, n], chaotic[t, n]
            regimes_known = math.isfinite(a + b + c + d + e)
            known = 0
            whole = 0.0
            for k in range(width):
                v = values[t, n, k]
                if v == v and regimes_known:
                    w = a * weights[CALM, k] + b * weights[TREND_UP, k] + c * weights[TREND_DOWN, k]
                    w = w + d * weights[HIGH_VOL, k] + e * weights[CHAOTIC, k]
                    given[t, n, k] = w * v
                    whole += w * v
                    known += 1
                else:
                    given[t, n, k] = 0.0
            if known == 0:
                score[t, n] = math.nan
                for k in range(width):
                    given[t, n, k] = math.nan
            else:
                score[t, n] = clip(whole, -1.0, 1.0)  # probabilities may sum to 1 + 1e-16
    return score, given
