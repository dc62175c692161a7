"""Weights of the finite filters, made once for a configuration."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from dataflows.panel import Floats
from dataflows.runtime.made import made_once


@made_once
def savitzky_golay(width: int, degree: int) -> Floats:
    """Derivatives 1 to 3, at the last of `width` bars, of the polynomial of that degree that fits them best: (3, width),
    latest first.

    degree >= 3, width > degree. Solved in whole numbers, so that only the last step rounds. Source: Savitzky and Golay (1964).
    """
    size = degree + 1
    moments = [[Fraction(sum((-k) ** (i + j) for k in range(width))) for j in range(size)] for i in range(size)]
    table = [row + [Fraction(int(i == j)) for j in range(size)] for i, row in enumerate(moments)]
    for i in range(size):  # Gauss and Jordan; the moments of distinct points are never singular
        table[i] = [x / table[i][i] for x in table[i]]
        for j in range(size):
            if j != i:
                table[j] = [a - table[j][i] * b for a, b in zip(table[j], table[i], strict=True)]
    inverse = [row[size:] for row in table]
    weights = np.empty((3, width))
    for order in (1, 2, 3):
        for k in range(width):
            fitted = sum((inverse[order][j] * (-k) ** j for j in range(size)), Fraction(0))
            weights[order - 1, k] = float(fitted * math.factorial(order))
    return weights


@made_once
def fractional_difference(order: float, width: int) -> Floats:
    """The first `width` weights of (1 - B)^order, latest first: (1, width). Source: Hosking (1981)."""
    weights = np.empty((1, width))
    weight = 1.0
    for k in range(width):
        weights[0, k] = weight
        weight *= (k - order) / (k + 1.0)
    return weights
