"""What the patterns of a bar have been worth together: their votes, learned from what came after."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.arith import clip, logistic
from dataflows.kernels.ftrl import Ftrl, ftrl_update, margin
from dataflows.kernels.labels import Samples, barrier_labels, two_sided_label
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


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
    """Writes the votes (T, N, P) of P patterns where they are not 0, the id of the heaviest and how many have a side or a
    confidence, (T, N).

    A pattern at a time: to take one of a tuple of panels costs more than to read it.
    """
    bars, symbols = dominant.shape
    heaviest = np.zeros((bars, symbols))
    for k in range(len(sides)):
        side = sides[k]
        confidence = confidences[k]
        for t in range(bars):
            for n in range(symbols):
                if side[t, n] == 0 and not (confidence[t, n] > 0.0):
                    continue
                v = vote_of(side[t, n], confidence[t, n], weights[k])
                votes[t, n, k] = v
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
    votes = np.zeros((bars, symbols, width))
    gathered(sides, confidences, weights, first_id, votes, dominant, count)
    apart = distance * sigma
    here = samples.bars[0] % depth
    counts, rows, how, gain, uniqueness = barrier_labels(
        opened, high, low, close, valid, dominant, apart, apart, max_gap, samples
    )
    features, w = samples.features, state.w
    i = 0
    for t in range(bars):
        for n in range(symbols):
            for _ in range(counts[t, n]):
                up, weight = two_sided_label(how[i], gain[i])
                if weight > 0.0:
                    x = features[rows[i], n]
                    error = logistic(margin(x, w[n])) - up
                    ftrl_update(x, error * weight * uniqueness[i], n, alpha, beta, l1, l2, state)
                i += 1
            a = 0.0
            for k in range(width):
                a += w[n, k] * votes[t, n, k]
                features[here, n, k] = votes[t, n, k]
            p = logistic(a)
            chance[t, n] = p
            score[t, n] = 2.0 * p - 1.0
        here = here + 1 if here < depth - 1 else 0
    return chance, score, dominant, count, votes
