"""Logistic regression that learns one sample at a time and starts by believing nothing: FTRL-proximal.

McMahan et al. (2013), "Ad click prediction: a view from the trenches", algorithm 1. Each feature has a learning rate of its
own, alpha / (beta + root of its summed squared gradients); l1 keeps a weight at 0 until its evidence exceeds it.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Axes
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


class Ftrl(NamedTuple):
    """One regression a symbol. w follows from z and n, and is kept so that a prediction costs no square roots."""

    w: Annotated[Floats, Axes("N", "F", start=0.0)]
    z: Annotated[Floats, Axes("N", "F", start=0.0)]  # gradients, less what the moves of w account for
    n: Annotated[Floats, Axes("N", "F", start=0.0)]  # sum of squared gradients
    root: Annotated[Floats, Axes("N", "F", start=0.0)]  # of n


class Rates(NamedTuple):
    """How fast a regression learns and how strongly it is held back."""

    alpha: float  # > 0, learning rate
    beta: float  # > 0, holds back the first steps
    l1: float  # >= 0, evidence below which a weight is 0
    l2: float  # >= 0, pull of every weight to 0


@kernel
def margin(x: Floats, w: Floats) -> float:
    """Sum of w * x, both (F,); an unknown x counts 0."""
    a = 0.0
    for k in range(x.shape[0]):
        v = x[k]
        if v == v:
            a += w[k] * v
    return a


@kernel
def ftrl_update(x: Floats, error: float, n: int, rates: Rates, state: Ftrl) -> None:
    """Learns from one sample of symbol n. x: its features (F,); error: (chance - outcome) times the sample's weight.

    The chance is that of the weights before this call. A feature that is 0 or unknown stays as it is. State is updated in
    place.
    """
    state_n, state_z, w, root = state.n, state.z, state.w, state.root
    alpha, beta, l1, l2 = rates
    for k in range(x.shape[0]):
        v = x[k]
        if v != v or v == 0.0:
            continue
        g = error * v
        squares = state_n[n, k] + g * g
        after = math.sqrt(squares)
        z = state_z[n, k] + (g - (after - root[n, k]) / alpha * w[n, k])
        state_n[n, k], root[n, k], state_z[n, k] = squares, after, z
        if z > l1:
            w[n, k] = (l1 - z) / ((beta + after) / alpha + l2)
        elif z < -l1:
            w[n, k] = (-l1 - z) / ((beta + after) / alpha + l2)
        else:
            w[n, k] = 0.0
