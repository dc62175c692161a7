"""Barrier labels against a plain walk over each sample's future, and FTRL against its definition."""

from __future__ import annotations

import math
from typing import Annotated, Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dataflows.carry import Bind, start_state
from dataflows.kernels.ftrl import Ftrl, Rates, ftrl_update, margin
from dataflows.kernels.labels import (
    BOTH,
    LOWER,
    TIMEOUT,
    UPPER,
    PricePath,
    Samples,
    barrier_labels,
    payoff_label,
    two_sided_label,
)
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from tests.dataflows.kernels.barriers import drawn, walked

H = 7
MAX_GAP = 2


@kernel
def every_outcome(
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    valid: Ints,
    told: Ints,
    up: Floats,
    down: Floats,
    max_gap: int,
    samples: Samples,
    out: Floats,
) -> None:
    """Writes to out (T, N, 4) of each resolved sample's bar: bar of the resolution, how, gain, uniqueness."""
    bars, symbols = opens.shape
    depth = samples.stage.shape[0]
    first = samples.bars[0]
    counts, rows, how, gain, uniqueness = barrier_labels(
        PricePath(opens, highs, lows, closes, valid), told, up, down, max_gap, samples
    )
    i = 0
    for t in range(bars):
        for n in range(symbols):
            for _ in range(counts[t, n]):
                s = int(samples.features[rows[i], n, 0])
                out[s, n, 0] = float(first + t)
                out[s, n, 1] = float(how[i])
                out[s, n, 2] = gain[i]
                out[s, n, 3] = uniqueness[i]
                i += 1
            samples.features[(first + t) % depth, n, 0] = float(first + t)


def full(symbols: int, horizon: int = H) -> Any:
    return start_state(Annotated[Samples, Bind(W=horizon, F=1)], {"N": symbols}, {})


def test_every_sample_ends_as_a_walk_over_its_future_says() -> None:
    world = drawn(1, 600, 2)
    opens, highs, lows, closes, valid, told, up, down = world
    out = np.full((600, 2, 4), np.nan)
    samples = full(2)
    every_outcome(*world, MAX_GAP, samples, out)
    whole = ((valid == 1) & np.isfinite(opens)).astype(np.int64)
    for n in range(2):
        want = walked(*(x[:, n] for x in (opens, highs, lows, closes, whole, told, up, down)), H, MAX_GAP)
        want[-H - 1 :][want[-H - 1 :, 0] >= 600] = np.nan
        np.testing.assert_allclose(out[:, n], want, rtol=1e-9)
        found = set(out[:, n, 1][np.isfinite(out[:, n, 1])].astype(int))
        assert found == {UPPER, LOWER, BOTH, TIMEOUT}
    resolved = np.isfinite(out[..., 0])
    assert (out[..., 0] > np.arange(600)[:, None])[resolved].all()  # no label before its barrier


def test_compiled_and_plain_resolve_alike_to_the_bit() -> None:
    world = drawn(2, 150, 2)
    results = []
    for run in (every_outcome, every_outcome.py_func):
        out = np.full((150, 2, 4), np.nan)
        samples = full(2)
        run(*world, MAX_GAP, samples, out)
        results.append((out, *samples))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_uniqueness_of_samples_that_never_touch_is_one_over_the_horizon() -> None:
    bars = 60
    flat = np.full((bars, 1), 50.0)
    ones = np.ones((bars, 1), np.int64)
    far = np.full((bars, 1), 0.1)
    out = np.full((bars, 1, 4), np.nan)
    every_outcome(flat, flat, flat, flat, ones, ones, far, far, MAX_GAP, full(1), out)
    assert (out[: bars - H, 0, 1] == TIMEOUT).all()
    np.testing.assert_allclose(out[H : bars - H, 0, 3], 1.0 / H)
    assert np.isnan(out[bars - H :]).all()
    # a lone sample is wholly unique
    ones[1:] = 0
    alone = np.full((bars, 1, 4), np.nan)
    every_outcome(flat, flat, flat, flat, np.ones_like(ones), ones, far, far, MAX_GAP, full(1), alone)
    assert alone[0, 0, 3] == 1.0


def test_a_price_that_jumps_over_a_barrier_has_reached_it() -> None:
    prices = np.array([100.0, 100.0, 100.0, 120.0, 120.0])[:, None]
    ones = np.ones((5, 1), np.int64)
    far = np.full((5, 1), 0.1)
    out = np.full((5, 1, 4), np.nan)
    every_outcome(prices, prices, prices, prices, ones, ones, far, far, MAX_GAP, full(1), out)
    np.testing.assert_allclose(out[0, 0, :3], [3.0, UPPER, 0.2])


def test_labels_of_each_end() -> None:
    assert two_sided_label(UPPER, 0.1) == (1.0, 1.0)
    assert two_sided_label(LOWER, -0.1) == (0.0, 1.0)
    assert two_sided_label(BOTH, 0.1) == (0.0, 0.0)
    assert two_sided_label(TIMEOUT, 0.1) == (1.0, 0.5)
    assert two_sided_label(TIMEOUT, -0.1) == (0.0, 0.5)
    assert two_sided_label(TIMEOUT, 0.0) == (0.0, 0.0)
    for side in (1.0, -1.0):
        assert (
            payoff_label(int(side) * UPPER, side * 0.2, side, 0.1, 1.5) == 1.0
        )  # paid the target, though the bar closes beyond
        assert payoff_label(int(side) * LOWER, side * -0.2, side, 0.1, 1.5) == 0.0
        assert payoff_label(BOTH, side * 0.1, side, 0.1, 1.5) == 0.0
        for gain in (-0.1, -0.05, 0.0, 0.02, 0.15):  # out of time: paid the gain, in stops 2.5 * label - 1
            label = payoff_label(TIMEOUT, side * gain, side, 0.1, 1.5)
            assert 2.5 * label - 1.0 == pytest.approx(gain / 0.1, abs=1e-12)
        assert (
            payoff_label(TIMEOUT, side * 0.3, side, 0.1, 1.5) == 1.0
        )  # a close beyond a barrier that was not reached: rounding


ALPHA, BETA, L1, L2 = 0.3, 1.0, 0.05, 0.5
RATES = Rates(alpha=ALPHA, beta=BETA, l1=L1, l2=L2)


def test_ftrl_weights_minimise_the_objective_that_defines_them() -> None:
    """McMahan et al. (2013), eq. 2: argmin of g.w + sum of sigma (w - w_s)^2 / 2 + l1 |w|, over all past gradients, + l2 / 2 w^2."""
    rng = np.random.default_rng(3)
    x = np.where(rng.random((60, 3)) < 0.3, 0.0, rng.uniform(-1.0, 1.0, (60, 3)))
    x[5, 1] = np.nan
    y = (rng.random(60) < 1.0 / (1.0 + np.exp(-2.0 * x[:, 0]))).astype(float)
    weight = rng.uniform(0.1, 1.0, 60)
    state = start_state(Annotated[Ftrl, Bind(F=3)], {"N": 2}, {})
    seen = np.nan_to_num(x)
    gradients, at, rates = [], [], []
    for i in range(60):
        w = state.w[1].copy()
        m = margin(x[i], state.w[1])
        assert m == pytest.approx(w @ seen[i])
        error = (1.0 / (1.0 + math.exp(-m)) - y[i]) * weight[i]
        ftrl_update(x[i], error, 1, RATES, state)
        gradients.append(error * seen[i])
        at.append(w)
        squares = np.cumsum(np.square(gradients), axis=0)
        rates.append((np.sqrt(squares[-1]) - np.sqrt(squares[-1] - np.square(gradients[-1]))) / ALPHA)
        if i % 10 == 9:
            for k in range(3):
                g = sum(v[k] for v in gradients)

                def objective(v: float, k: int = k, g: float = g) -> float:
                    pull = sum(r[k] * (v - a[k]) ** 2 for r, a in zip(rates, at, strict=True))
                    return float(g * v + 0.5 * pull + L1 * abs(v) + 0.5 * (L2 + BETA / ALPHA) * v * v)

                best = minimize_scalar(objective, bounds=(-5.0, 5.0), method="bounded", options={"xatol": 1e-10}).x
                assert state.w[1, k] == pytest.approx(best, abs=2e-6)
    assert (state.w[1] != 0.0).any()
    assert all((part[0] == 0.0).all() for part in state)  # the other symbol has learned nothing


def test_ftrl_keeps_a_feature_without_evidence_at_zero() -> None:
    state = start_state(Annotated[Ftrl, Bind(F=1)], {"N": 1}, {})
    ftrl_update(np.array([0.1]), 0.5 * L1, 0, RATES, state)
    assert state.w[0, 0] == 0.0
    ftrl_update(np.array([1.0]), -1.0, 0, RATES, state)
    assert state.w[0, 0] > 0.0
    assert margin(np.array([np.nan]), state.w[0]) == 0.0
