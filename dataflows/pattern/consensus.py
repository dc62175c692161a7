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
def gathered(
    sides: tuple[Ints, ...],
    confidences: tuple[Floats, ...],
    weights: Floats,
    first_id: int,
    votes: Floats,
    dominant: Ints,
    count: Ints,
) -> None:
    """Writes the votes (T, N, P) of P patterns, the id of the heaviest and how many have a side or a confidence, (T, N).

    A pattern at a time: to take one of a tuple of panels costs more than to read it.
    """
    bars, symbols = dominant.shape
    heaviest = np.zeros((bars, symbols))
    for k in range(len(sides)):
        side = sides[k]
        confidence = confidences[k]
        for t in range(bars):
            for n in range(symbols):
                v = vote_of(side[t, n], confidence[t, n], weights[k])
                votes[t, n, k] = v
                if side[t, n] != 0 or confidence[t, n] > 0.0:
                    count[t, n] += 1
                if math.fabs(v) > heaviest[t, n]:
                    heaviest[t, n] = math.fabs(v)
                    dominant[t, n] = first_id + k


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
    gathered(sides, confidences, weights, first_id, votes, dominant, count)
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
            x = samples.features[here, n]
            for k in range(width):
                x[k] = votes[t, n, k]
            p = logistic(ftrl_margin(x, n, state))
            chance[t, n] = p
            score[t, n] = 2.0 * p - 1.0
            apart = distance * sigma[t, n]
            store_sample(n, whole and dominant[t, n] != 0, apart, apart, samples)
        samples.bars[0] += 1
    return chance, score, dominant, count, votes
