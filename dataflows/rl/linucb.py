"""LinUCB: the arm whose reward may be highest, by a ridge regression of each arm's rewards on what was seen before."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


class LinUcb(NamedTuple):
    """What the arms (G) have shown: of each the sums of x x' and of x times reward, x the C numbers that were seen."""

    products: Annotated[Floats, Axes("G", "C", "C")]
    rewards: Annotated[Floats, Axes("G", "C")]


@kernel
def upper_bounds(x: Floats, alpha: float, state: LinUcb) -> Floats:
    """x' beta + alpha sqrt(x' A^-1 x) of each arm, (G,): A = I + sum of x x', beta = A^-1 sum of x times reward.

    x: (C,). Source: Li, Chu, Langford and Schapire (2010), algorithm 1 (disjoint), ridge 1.
    """
    arms, width = state.rewards.shape
    y = np.empty(arms)
    for g in range(arms):
        root = cholesky(state.products[g])
        solved = solve(root, x)
        beta = solve(root, state.rewards[g])
        spread = 0.0
        value = 0.0
        for i in range(width):
            spread += x[i] * solved[i]
            value += x[i] * beta[i]
        y[g] = value + alpha * math.sqrt(spread)
    return y


@kernel
def learn(x: Floats, arm: int, reward: float, state: LinUcb) -> None:
    """Takes what an arm brought after x (C,) was seen."""
    for i in range(len(x)):
        state.rewards[arm, i] += x[i] * reward
        for j in range(len(x)):
            state.products[arm, i, j] += x[i] * x[j]


@kernel
def first_of_highest(values: Floats) -> int:
    """Place of the highest value; of several the first, which is the one of least risk."""
    best = 0
    for g in range(1, len(values)):
        if values[g] > values[best]:
            best = g
    return best


@kernel
def cholesky(products: Floats) -> Floats:
    """Lower triangular L with L L' = I + products (C, C), which are symmetric and not negative."""
    width = len(products)
    root = np.zeros((width, width))
    for i in range(width):
        for j in range(i + 1):
            left = products[i, j] + (1.0 if i == j else 0.0)
            for k in range(j):
                left -= root[i, k] * root[j, k]
            root[i, j] = math.sqrt(left) if i == j else left / root[j, j]
    return root


@kernel
def solve(root: Floats, y: Floats) -> Floats:
    """x with L L' x = y, by forward and backward substitution; root: L (C, C), y: (C,)."""
    width = len(y)
    x = np.empty(width)
    for i in range(width):
        left = y[i]
        for k in range(i):
            left -= root[i, k] * x[k]
        x[i] = left / root[i, i]
    for back in range(width):
        i = width - 1 - back
        left = x[i]
        for k in range(i + 1, width):
            left -= root[k, i] * x[k]
        x[i] = left / root[i, i]
    return x
