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
    if a.shape[1] != width or out.shape[0] != width or out.shape[1] != width:  # said once, it need not be checked in the loops
        raise ValueError("inverse_factor: both matrices must be square and of one size")
    for j in range(width):  # L, below, a column at a time: what is left of each entry is added up before it is written
        left = out[j]
        pivot = a[j, j]
        for k in range(j):
            pivot -= left[k] * left[k]
        least = LEAST_PIVOT * a[j, j]
        root = math.sqrt(least if pivot < least else pivot)
        left[j] = root
        for i in range(j + 1, width):
            row = out[i]
            rest = a[i, j]
            for k in range(j):
                rest -= left[k] * row[k]
            row[j] = rest / root
    for i in range(width):  # L^-1, above as its transpose, so that both factors of a sum are read along a row
        row = out[i]
        root = row[i]
        for j in range(i):
            above, low = out[j, j:i], out[i, j:i]
            rest = 0.0
            for k in range(len(low)):
                rest -= low[k] * above[k]
            out[j, i] = rest / root
        row[i] = 1.0 / root
    for i in range(width):
        row = out[i]
        for j in range(i):
            row[j] = out[j, i]
            out[j, i] = 0.0


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
