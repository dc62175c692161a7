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
    for i in range(width):
        for j in range(i + 1):
            out[j, i] = a[i, j]
    for k in range(width):  # L', above: a row at a time is taken from those below it, which do not wait for each other
        least = LEAST_PIVOT * a[k, k]
        root = math.sqrt(least if out[k, k] < least else out[k, k])
        out[k, k] = root
        for i in range(k + 1, width):
            out[k, i] /= root
        for j in range(k + 1, width):
            much = out[k, j]
            for i in range(j, width):
                out[j, i] -= much * out[k, i]
    for i in range(width):  # row i of L^-1, below, needs the rows before it
        root = out[i, i]
        for j in range(i):
            out[i, j] = 0.0
        for k in range(i):
            much = out[k, i]
            out[k, i] = 0.0
            for j in range(k + 1):
                out[i, j] -= much * out[k, j]
        for j in range(i):
            out[i, j] /= root
        out[i, i] = 1.0 / root


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
