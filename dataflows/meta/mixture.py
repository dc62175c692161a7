"""Weights by wealth: a mixture of paper accounts in which each bet's part grows as it earns."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.fusion.types import K
from dataflows.kernels.arith import clip
from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES
from dataflows.runtime.compile import kernel

MOST_MOVES: Final = 4.0
"""Volatilities beyond which an epoch's return counts no more: one epoch decides nothing, and wealth stays positive."""


class Mixture(NamedTuple):
    """The weights so far, over all regimes and in each, and what they are learned with."""

    pooled: Annotated[Floats, Axes(K, start=1.0 / K)]
    by_regime: Annotated[Floats, Axes(len(REGIMES), K, start=1.0 / K)]
    square: Annotated[Floats, Axes(K)]  # mean squared return
    epochs: Annotated[Ints, Axes(K)]  # in which the source spoke
    regime_epochs: Annotated[Floats, Axes(len(REGIMES))]  # epochs' worth of bars in each regime
    log_wealth: Annotated[Floats, Axes(K)]
    peak: Annotated[Floats, Axes(K)]


@kernel
def wealth_step(weights: Floats, moves: Floats, awake: Ints, share: float) -> None:
    """One epoch of the log-wealth mixture with fixed share: weights (K,), which sum to 1, are updated in place.

    moves: (K,) return of each bet, above -1. A weight is multiplied by 1 + move, all are made to sum to 1, and `share` of the
    whole is spread evenly. A bet that is not awake earns what the others do together: it keeps its weight (specialists: Freund
    et al. 1997). So the wealth of the mixture is at least (1 - share)^T / K times that of each bet, on every path.
    Sources: Cover (1991); fixed share: Herbster and Warmuth (1998).
    """
    width = len(weights)
    held = 0.0
    gained = 0.0
    for k in range(width):
        if awake[k] != 0:
            held += weights[k]
            gained += weights[k] * moves[k]
    if not held > 0.0:
        return
    whole = 0.0
    for k in range(width):
        weights[k] *= 1.0 + (moves[k] if awake[k] != 0 else gained / held)
        whole += weights[k]
    for k in range(width):
        weights[k] = (1.0 - share) * weights[k] / whole + share / width


@kernel
def learn_weights(
    returns: Floats, present: Floats, spoke: Ints, volatility: float, share: float, least: int, strength: float, state: Mixture
) -> Floats:
    """Takes an epoch into the mixture; returns the weights (R, K) of the sources in each regime, rows summing to 1.

    returns: (R, K) paper return of each source in each regime, which add up to the epoch's. present: (R,) share of the epoch
    spent in each. spoke: (K,) 1 where the source took a position. A source bets once `least` epochs of it are known, with
    `volatility` over the root mean square of its epochs before this one. A regime's own weights learn from what came in it at
    the same scale, so what is seldom there learns slowly; they are drawn to the pooled ones as `strength` epochs would.
    """
    regimes, width = returns.shape
    moves = np.zeros(width)
    own = np.zeros(width)
    scale = np.zeros(width)
    awake = np.zeros(width, np.int64)
    for k in range(width):
        total = 0.0
        for r in range(regimes):
            total += returns[r, k]
        if spoke[k] != 0 and state.epochs[k] >= least and state.square[k] > 0.0:
            awake[k] = 1
            scale[k] = volatility / math.sqrt(state.square[k])
            moves[k] = clip(scale[k] * total, -MOST_MOVES * volatility, MOST_MOVES * volatility)
            state.log_wealth[k] += math.log(1.0 + moves[k])
            state.peak[k] = max(state.peak[k], state.log_wealth[k])
        if spoke[k] != 0:
            state.epochs[k] += 1
            state.square[k] += (total * total - state.square[k]) / state.epochs[k]
    wealth_step(state.pooled, moves, awake, share)
    weights = np.empty((regimes, width))
    for r in range(regimes):
        for k in range(width):
            own[k] = clip(scale[k] * returns[r, k], -MOST_MOVES * volatility, MOST_MOVES * volatility)
        wealth_step(state.by_regime[r], own, awake, share)
        state.regime_epochs[r] += present[r]
        belief = state.regime_epochs[r] / (state.regime_epochs[r] + strength)
        for k in range(width):
            weights[r, k] = belief * state.by_regime[r, k] + (1.0 - belief) * state.pooled[k]
    return weights
