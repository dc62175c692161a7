"""What the patterns of a bar have been worth together: their votes, learned from what came after."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.arith import clip, logistic
from dataflows.kernels.compile import kernel
from dataflows.kernels.ftrl import Ftrl, ftrl_margin, ftrl_update
from dataflows.kernels.labels import Samples, is_whole, resolve_samples, store_sample, two_sided_label
from dataflows.panel import Floats, Ints


@kernel
def vote_of(side: int, confidence: float, weight: float) -> float:
    """side * confidence * weight within [-1, 1]; 0 where anything is not known."""
    v = side * confidence * weight
    return clip(v, -1.0, 1.0) if v == v else 0.0


@kernel
def agree(
    sides: tuple[Ints, ...],
    confidences: tuple[Floats, ...],
    weights: Floats,
    first_id: int,
    opened: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    valid: Ints,
    sigma: Floats,
    max_gap: int,
    distance: float,
    alpha: float,
    beta: float,
    l1: float,
    l2: float,
    samples: Samples,
    state: Ftrl,
) -> tuple[Floats, Floats, Ints, Ints, Floats]:
    """(p_up, score, dominant, active_count), each (T, N), and votes (T, N, P). The rules are those of `l50_pattern_consensus`.

    sides, confidences: of each of P patterns, (T, N); weights: (P,). distance: of both barriers from the entry, in sigma.
    """
    bars, symbols = close.shape
    width = len(sides)
    depth = samples.stage.shape[0]
    chance = np.empty((bars, symbols))
    score = np.empty((bars, symbols))
    dominant = np.zeros((bars, symbols), np.int64)
    count = np.zeros((bars, symbols), np.int64)
    votes = np.empty((bars, symbols, width))
    rows = np.empty(depth, np.int64)
    how = np.empty(depth, np.int64)
    gain = np.empty(depth)
    uniqueness = np.empty(depth)
    for t in range(bars):
        here = samples.bars[0] % depth
        for n in range(symbols):
            o = opened[t, n]
            h = high[t, n]
            low_ = low[t, n]
            c = close[t, n]
            whole = is_whole(o, h, low_, c, valid[t, n])
            told = resolve_samples(o, h, low_, c, whole, n, max_gap, samples, rows, how, gain, uniqueness)
            for i in range(told):
                up, weight = two_sided_label(how[i], gain[i])
                if weight > 0.0:
                    x = samples.features[rows[i], n]
                    error = logistic(ftrl_margin(x, n, state)) - up
                    ftrl_update(x, error * weight * uniqueness[i], n, alpha, beta, l1, l2, state)
            heaviest = 0.0
            for k in range(width):
                side = sides[k][t, n]
                v = vote_of(side, confidences[k][t, n], weights[k])
                votes[t, n, k] = v
                samples.features[here, n, k] = v
                if side != 0 or confidences[k][t, n] > 0.0:
                    count[t, n] += 1
                if math.fabs(v) > heaviest:
                    heaviest = math.fabs(v)
                    dominant[t, n] = first_id + k
            p = logistic(ftrl_margin(votes[t, n], n, state))
            chance[t, n] = p
            score[t, n] = 2.0 * p - 1.0
            apart = distance * sigma[t, n]
            store_sample(n, whole and heaviest > 0.0, apart, apart, samples)
        samples.bars[0] += 1
    return chance, score, dominant, count, votes
