"""The inverse Cholesky factor against NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from dataflows.kernels.cholesky import inverse_factor, solve
from dataflows.panel import Floats


def positive_definite(seed: int, width: int) -> Floats:
    rows = np.random.default_rng(seed).normal(size=(3 * width, width))
    made: Floats = rows.T @ rows
    return made


@pytest.mark.parametrize("width", [1, 2, 5, 12])
def test_factor_and_solution_are_those_of_numpy(width: int) -> None:
    a = positive_definite(width, width)
    b = np.random.default_rng(99).normal(size=width)
    factor, x = np.full((width, width), np.nan), np.full(width, np.nan)
    inverse_factor(np.tril(a), factor)  # the upper triangle is not read
    np.testing.assert_allclose(factor, np.linalg.inv(np.linalg.cholesky(a)), rtol=1e-9, atol=1e-12)
    solve(factor, b, x)
    np.testing.assert_allclose(x, np.linalg.solve(a, b), rtol=1e-9)


def test_a_matrix_that_rounding_made_singular_gives_no_infinity() -> None:
    row = np.array([0.1, 0.2, 0.3])
    factor, x = np.empty((3, 3)), np.empty(3)
    inverse_factor(np.outer(row, row), factor)
    solve(factor, row, x)
    assert np.isfinite(factor).all()
    assert np.isfinite(x).all()
