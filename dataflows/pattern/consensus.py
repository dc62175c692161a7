"""What the patterns of a bar have been worth together: their votes, learned from what came after."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.kernels.arith import clip, finite_or_zero, logistic
from dataflows.kernels.ftrl import Ftrl, Rates, ftrl_update, margin
from dataflows.kernels.labels import PricePath, Samples, barrier_labels, two_sided_label
from dataflows.panel import Floats, Ints
from dataflows.pattern.types import FIRST_PATTERN, PatternConsensus
from dataflows.runtime.compile import kernel


class Voices(NamedTuple):
    """What each of P patterns says, and how much of it counts."""

    sides: tuple[Ints, ...]  # P panels (T, N)
    confidences: tuple[Floats, ...]  # P panels (T, N)
    weights: Floats  # (P,)


class OutcomeRules(NamedTuple):
    """Which samples are learned from, and how."""

    distance: float  # of both barriers from the entry, in sigma
    max_gap: int  # bars without data that a sample survives
    rates: Rates


@kernel
def vote_of(side: int, confidence: float) -> float:
    """side * confidence within [-1, 1]; 0 where anything is not known."""
    v = side * confidence
    return clip(v, -1.0, 1.0) if v == v else 0.0


@kernel
def gathered(
    sides: tuple[Ints, ...],
    confidences: tuple[Floats, ...],
    weights: Floats,
    votes: Floats,
    dominant: Ints,
    count: Ints,
) -> None:
    """Writes the votes (T, N, P) of P patterns where they are not 0, the id of the one that counts most and how many have a
    side or a confidence, (T, N).

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
                v = vote_of(side[t, n], confidence[t, n])
                votes[t, n, k] = v
                count[t, n] += 1
                if math.fabs(weights[k] * v) > heaviest[t, n]:
                    heaviest[t, n] = math.fabs(weights[k] * v)
                    dominant[t, n] = FIRST_PATTERN + k


@kernel
def agree(
    voices: Voices, path: PricePath, sigma: Floats, rules: OutcomeRules, samples: Samples, state: Ftrl
) -> PatternConsensus:
    """Chance, score, heaviest pattern, how many are active, and votes. The rules are those of `l50_pattern_consensus`."""
    bars, symbols = sigma.shape
    width = len(voices.sides)
    rates = rules.rates
    weights = voices.weights
    depth = samples.stage.shape[0]
    chance = np.empty((bars, symbols))
    score = np.empty((bars, symbols))
    dominant = np.zeros((bars, symbols), np.int64)
    count = np.zeros((bars, symbols), np.int64)
    votes = np.zeros((bars, symbols, width))
    gathered(voices.sides, voices.confidences, voices.weights, votes, dominant, count)
    apart = rules.distance * sigma
    here = samples.bars[0] % depth
    counts, rows, how, gain, uniqueness = barrier_labels(path, dominant, apart, apart, rules.max_gap, samples)
    features, w = samples.features, state.w
    i = 0
    for t in range(bars):
        for n in range(symbols):
            for _ in range(counts[t, n]):
                up, weight = two_sided_label(how[i], gain[i])
                if weight > 0.0:
                    x = features[rows[i], n]
                    error = logistic(margin(x, w[n])) - up
                    ftrl_update(x, error * weight * uniqueness[i], n, rates, state)
                i += 1
            a = 0.0
            for k in range(width):
                counted = finite_or_zero(weights[k] * votes[t, n, k])
                a += w[n, k] * counted
                features[here, n, k] = counted
            p = logistic(a)
            chance[t, n] = p
            score[t, n] = 2.0 * p - 1.0
        here = here + 1 if here < depth - 1 else 0
    return PatternConsensus(p_up=chance, score=score, dominant=dominant, active_count=count, votes=votes)
