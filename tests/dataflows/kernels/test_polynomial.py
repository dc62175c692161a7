"""Polynomials against the C library in extended precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dataflows.kernels.polynomial import LEAST, MOST, exp_of_each, log_of_each
from dataflows.panel import Floats
from dataflows.runtime.compile import python_of

RNG = np.random.default_rng(4)
LOGS = np.concatenate([np.exp(RNG.uniform(-700, 700, 50_000)), RNG.uniform(0.5, 2.0, 50_000), [1.0, 0.5, 2.0, 1e-300, 1e300]])
EXPS = np.concatenate([RNG.uniform(LEAST, MOST, 50_000), RNG.uniform(-1.0, 1.0, 50_000), [0.0, -0.0, 1.0, LEAST, MOST]])
EXACT = np.finfo(np.longdouble).nmant > np.finfo(float).nmant


@pytest.mark.skipif(not EXACT, reason="long double has no more digits here")
@pytest.mark.parametrize(("kernel", "exact", "x"), [(log_of_each, np.log, LOGS), (exp_of_each, np.exp, EXPS)])
def test_each_value_is_within_one_unit_in_the_last_place(
    kernel: Callable[[Floats], None], exact: Callable[[Floats], Floats], x: Floats
) -> None:
    y = x.copy()
    kernel(y)
    off = np.abs(y - exact(x.astype(np.longdouble))) / np.spacing(np.abs(y))
    assert off.max() < 1.0


@pytest.mark.parametrize(("kernel", "x"), [(log_of_each, LOGS[::50]), (exp_of_each, EXPS[::50])])
def test_compiled_and_plain_give_the_same_bits(kernel: Callable[[Floats], None], x: Floats) -> None:
    compiled, plain = x.copy(), x.copy()
    kernel(compiled)
    python_of(kernel)(plain)
    np.testing.assert_array_equal(compiled, plain)


def test_one_is_exact_and_what_is_out_of_range_is_held_at_its_end() -> None:
    x = np.array([1.0])
    log_of_each(x)
    assert x[0] == 0.0
    x = np.array([0.0, -1e9, LEAST, 1e9, MOST])
    exp_of_each(x)
    assert x[0] == 1.0 and x[1] == x[2] > 0.0 and x[3] == x[4] < np.inf
