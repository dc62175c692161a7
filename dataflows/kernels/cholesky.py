"""Symmetric positive definite systems of a few unknowns, by the inverse of the Cholesky factor."""

from __future__ import annotations

import math
from typing import Final

from dataflows.panel import Floats
from dataflows.runtime.compile import kernel

LEAST_PIVOT: Final = 1e-12
"""Of the diagonal: what rounding leaves of a pivot that is 0 counts as this much."""


@kernel
def inverse_factor(a: Floats, out: Floats) -> None:
    """The lower triangular G = L^-1 of a = L L', so that a^-1 = G'G. Only the lower triangle of a (K, K) is read.

    out: (K, K), overwritten, 0 above the diagonal. a must be positive definite; a pivot below 1e-12 of its diagonal is raised
    to that, so that rounding never makes a result infinite. NaN where a is NaN.
    Source: Golub and Van Loan, Matrix Computations (2013), ch. 4.2 and 3.1.
    """
    width = a.shape[0]
    for i in range(width):
        for j in range(i + 1):
            s = a[i, j]
            for k in range(j):
                s -= out[i, k] * out[j, k]
            if i == j:
                least = LEAST_PIVOT * a[i, i]
                out[i, i] = math.sqrt(least if s < least else s)
            else:
                out[i, j] = s / out[j, j]
                out[j, i] = 0.0
    for j in range(width):  # in place: column j of L^-1 needs the columns of L from j on
        out[j, j] = 1.0 / out[j, j]
        for i in range(j + 1, width):
            s = 0.0
            for k in range(j, i):
                s -= out[i, k] * out[k, j]
            out[i, j] = s / out[i, i]


@kernel
def solve(factor: Floats, b: Floats, out: Floats) -> None:
    """a^-1 b for the a whose `inverse_factor` is `factor` (K, K). b and out: (K,); out must not be b."""
    width = factor.shape[0]
    for k in range(width):
        out[k] = 0.0
    for i in range(width):
        s = 0.0
        for k in range(i + 1):
            s += factor[i, k] * b[k]
        for k in range(i + 1):
            out[k] += factor[i, k] * s


@kernel
def inverse_form(factor: Floats, x: Floats) -> float:
    """x' a^-1 x, never negative, for the a whose `inverse_factor` is `factor` (K, K). x: (K,)."""
    whole = 0.0
    for i in range(factor.shape[0]):
        s = 0.0
        for k in range(i + 1):
            s += factor[i, k] * x[k]
        whole += s * s
    return whole
