"""The weighted score of all sources: L7's kernel."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.fusion.types import K
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
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


class Overlap(NamedTuple):
    """What the sources have in common: forgetting sums of the products of their values, an unknown one counting 0."""

    products: Annotated[Floats, Axes("N", K, K, start=0.0)]  # lower triangle
    spoke: Annotated[Ints, Axes("N", K, start=0)]  # 1 once a source was known


@kernel
def shared_weights(products: Floats, weights: Floats, shared: Floats) -> None:
    """Writes weight / sum of the squared correlations with all sources that have a weight, itself included, into shared (K,).

    products: (K, K), sums of products, of which the lower triangle is read. So m copies of one source count together as one; a
    source that has nothing in common with the others keeps its weight, and so does one that has been 0 so far.
    """
    width = weights.shape[0]
    for k in range(width):
        shared[k] = 0.0
    for k in range(width):  # a pair at a time; every source still adds up the others in their order
        row = products[k]
        own = row[k]
        if not own > 0.0:
            continue
        heavy = weights[k] > 0.0
        mine = 0.0
        for j in range(k):
            common = row[j]
            if common != 0.0:  # else they add nothing
                both = own * products[j, j]
                common = common * common / both if both > 0.0 else 0.0
                if weights[j] > 0.0:
                    mine += common
                if heavy:
                    shared[j] += common
        shared[k] = mine + own * own / (own * own) if heavy and own * own > 0.0 else mine
    for k in range(width):
        shared[k] = weights[k] / shared[k] if shared[k] > 1.0 else weights[k]


@kernel
def weigh_bars(
    values: Floats,
    probabilities: tuple[Floats, ...],
    weights: Floats,
    alpha: float,
    state: Overlap,
    score: Floats,
    given: Floats,
) -> None:
    """Writes `weighted_score` of every bar into score (T, N) and given (T, N, K)."""
    bars, symbols, width = values.shape
    calm, up, down, high, chaotic = probabilities
    mixed = np.empty(width)
    shared = np.empty(width)
    value = np.empty(width)
    keep = 1.0 - alpha
    all_products, all_spoke = state.products, state.spoke
    for t in range(bars):
        for n in range(symbols):
            a, b, c, d, e = calm[t, n], up[t, n], down[t, n], high[t, n], chaotic[t, n]
            products, spoke = all_products[n], all_spoke[n]
            said, parts = values[t, n], given[t, n]
            known = 0
            for k in range(width):
                v = said[k]
                value[k] = 0.0
                if v == v:
                    known += 1
                    spoke[k] = 1
                    value[k] = v
                w = a * weights[CALM, k] + b * weights[TREND_UP, k] + c * weights[TREND_DOWN, k]
                w = w + d * weights[HIGH_VOL, k] + e * weights[CHAOTIC, k]
                mixed[k] = w if spoke[k] == 1 else 0.0 * w
            shared_weights(products, mixed, shared)
            total = 0.0
            whole = 0.0
            for k in range(width):
                v = shared[k] * value[k] if said[k] == said[k] else 0.0
                parts[k] = v
                whole += v
                total += shared[k]
            if known > 0 and math.isfinite(total):
                score[t, n] = clip(whole / total, -1.0, 1.0) if total > 0.0 else 0.0  # clipped: rounding
                for k in range(width):
                    parts[k] = parts[k] / total if total > 0.0 else 0.0
            else:
                score[t, n] = math.nan
                for k in range(width):
                    parts[k] = math.nan
            if known > 0:
                for k in range(width):
                    if spoke[k] == 1:  # the products of all others are 0, and stay so
                        x = value[k]
                        row = products[k]
                        for j in range(k + 1):
                            row[j] = keep * row[j] + x * value[j]


@kernel
def weighted_score(
    values: Floats, probabilities: tuple[Floats, ...], weights: Floats, alpha: float, state: Overlap
) -> tuple[Floats, Floats]:
    """Score (T, N) in [-1, 1] and what each source gives to it (T, N, K).

    values (T, N, K); probabilities: of each regime, five (T, N); weights (5, K), rows summing to 1. A source's weight is the
    mean of its weights by the probabilities, shared by what it had in common with the others up to the bar before
    (`shared_weights`); those of all sources that have ever been known are made to sum to 1. One that is unknown now gives 0 and
    keeps its weight, so missing data only weakens. NaN where a probability or every source is unknown. alpha: what the sums of
    products forget in a bar. State is updated in place.
    """
    bars, symbols, width = values.shape
    score = np.empty((bars, symbols))
    given = np.empty((bars, symbols, width))
    weigh_bars(values, probabilities, weights, alpha, state, score, given)
    return score, given
