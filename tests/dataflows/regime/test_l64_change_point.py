"""L64: against the recursion of Adams and MacKay written out, on planted changes, and on noise where nothing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats

from dataflows.kinematics.types import Returns
from dataflows.panel import Floats
from dataflows.regime import run_length
from dataflows.regime.config import RegimeConfig
from dataflows.regime.l64_change_point import l64_change_point
from dataflows.regime.run_length import BINS, MASS, SCALE, run_length_table
from dataflows.regime.types import ChangePoint
from dataflows.runtime.compile import python_of
from tests.support import carry_of, filled, run_columnar

C = RegimeConfig()
DAY = 1440


def run(r: Floats, sigma: float = 1.0, c: RegimeConfig = C, **more: Any) -> ChangePoint:
    """L64 over returns (T, N) whose usual volatility is sigma."""
    returns = filled(Returns, r.shape, sigma, r_1=r)
    made: ChangePoint = run_columnar(l64_change_point, {"l2_returns_volatility": returns}, {"regime": c}, **more)
    return made


def posterior(x: Floats, c: RegimeConfig = C) -> Floats:
    """(bars, run lengths): P(run length | data), every run length by itself, by the update of the normal-gamma law."""
    mu, kappa, alpha, beta = np.zeros(1), np.full(1, c.change_kappa), np.full(1, c.change_alpha), np.full(1, c.change_beta)
    p = np.ones(1)
    out = np.zeros((len(x), len(x) + 1))
    for t, v in enumerate(x):
        scale = np.sqrt(beta * (kappa + 1.0) / (alpha * kappa))
        joint = p * scipy.stats.t.pdf(v, 2.0 * alpha, mu, scale)
        p = np.append(1.0 / c.change_every_bars * joint.sum(), (1.0 - 1.0 / c.change_every_bars) * joint)
        p /= p.sum()
        beta = np.append(c.change_beta, beta + kappa * (v - mu) ** 2 / (2.0 * (kappa + 1.0)))
        mu = np.append(0.0, (kappa * mu + v) / (kappa + 1.0))
        kappa = np.append(c.change_kappa, kappa + 1.0)
        alpha = np.append(c.change_alpha, alpha + 0.5)
        out[t, : t + 2] = p
    return out


def planted(seed: int = 0) -> Floats:
    """700 bars, shorter than any run that is cut off, with volatility up, down and a drift."""
    x = np.random.default_rng(seed).standard_normal(700)
    x[200:320] *= 3.0
    x[420:520] *= 0.4
    x[600:] += 1.0
    return x


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_result_is_that_of_every_run_length_by_itself(seed: int) -> None:
    x = planted(seed)
    got = run(x[:, None])
    full = posterior(np.clip(x, -C.change_clip, C.change_clip))
    recent, lengths = C.change_recent, np.arange(full.shape[1])
    error = np.abs(got.p_change[:, 0] - full[:, : recent + 1].sum(axis=1))
    assert error.mean() < 5e-4 and error.max() < 0.05
    error = np.abs(got.instability[:, 0] - full @ (recent / (recent + lengths)))
    assert error.mean() < 2e-3 and error.max() < 0.05


@pytest.mark.parametrize("seed", range(4))
def test_the_run_length_is_the_mode_of_the_full_recursion_but_for_a_few_bars_after_a_change(seed: int) -> None:
    x = planted(seed)
    got = run(x[:, None]).run_length[:, 0]
    exact = posterior(np.clip(x, -C.change_clip, C.change_clip)).argmax(axis=1)
    off = np.abs(got - exact)
    near = off <= np.maximum(2.0, 0.2 * exact)
    assert near.mean() > 0.94
    assert (got[~near] < exact[~near]).mean() > 0.9  # it names the young run
    assert np.median(off) <= 1.0


def test_the_first_bars_have_no_bin_that_is_shared_and_are_exact() -> None:
    x = planted()[190:202]  # as many as stay single
    got = run(x[:, None])
    full = posterior(np.clip(x, -C.change_clip, C.change_clip))
    np.testing.assert_allclose(got.p_change[:, 0], full[:, : C.change_recent + 1].sum(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(got.run_length[:, 0], full.argmax(axis=1))


@pytest.mark.parametrize(("r_max", "recent"), [(720, 10), (5000, 30), (60, 10)])
def test_the_posterior_sums_to_one_and_keeps_within_its_room(r_max: int, recent: int) -> None:
    c = C._replace(change_r_max=r_max, change_recent=recent)
    rng = np.random.default_rng(3)
    x = rng.standard_normal((12_000, 2)) * np.where(np.arange(12_000) // 2500 % 2 == 1, 3.0, 1.0)[:, None]
    carry = carry_of(l64_change_point, 2, {"regime": c})
    got = run(x, c=c, carry=carry)
    for n in range(2):
        held = carry.runs.held[n]
        assert held <= BINS - run_length.TIDY
        assert carry.runs.bins[MASS, n, :held].sum() * carry.runs.since[SCALE, n] == pytest.approx(1.0, abs=1e-12)
    assert min(c.change_r_max, 2400) <= got.run_length.max() <= c.change_r_max
    assert got.p_change.min() >= 1.0 / c.change_every_bars


def test_three_times_the_volatility_is_seen_within_30_bars_in_nine_of_ten_trials() -> None:
    x = np.random.default_rng(4).standard_normal((1030, 1000))
    x[1000:] *= 3.0
    p = run(x).p_change
    assert (p[1000:] > 0.5).any(axis=0).mean() > 0.9
    assert (p[999] > 0.5).mean() < 0.01


@pytest.mark.parametrize(("degrees", "least", "most"), [(np.inf, 0.0, 0.5), (4.0, 3.0, 10.0)])
def test_false_alarms_a_day_are_as_stated(degrees: float, least: float, most: float) -> None:
    rng = np.random.default_rng(5)
    x = rng.standard_normal((5 * DAY, 8)) if degrees == np.inf else rng.standard_t(degrees, (5 * DAY, 8)) / np.sqrt(2.0)
    alarm = run(x).p_change[DAY:] > 0.5
    a_day = (alarm[1:] & ~alarm[:-1]).sum() / (4 * 8)
    assert least <= a_day < most


def test_after_a_change_the_run_is_as_old_as_the_change() -> None:
    x = np.random.default_rng(6).standard_normal((600, 50))
    x[500:] *= 3.0
    age = run(x).run_length[-1]
    assert np.mean(np.abs(age - 100.0) <= 15.0) > 0.8


def test_only_the_ratio_to_the_usual_counts_and_no_further_than_the_clip() -> None:
    x = planted()[:, None]
    near = run(x)
    for a, b in zip(near, run(x * 1e-4, 1e-4), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)
    clipped = np.clip(x, -C.change_clip, C.change_clip)
    for a, b in zip(near, run(clipped), strict=True):
        np.testing.assert_array_equal(a, b)


def test_unknown_bars_hold_and_a_gap_s_return_counts_as_one_of_its_bars() -> None:
    x = planted()[:400, None]
    gone = x.copy()
    gone[100:103] = np.nan
    got = run(gone)
    for field in got:
        np.testing.assert_array_equal(field[100:103], np.broadcast_to(field[99], (3, 1)))
    short = np.delete(gone, [100, 101, 102], axis=0)
    short[100] /= 2.0
    for a, b in zip(got, run(short), strict=True):
        np.testing.assert_array_equal(np.delete(a, [100, 101, 102], axis=0), b)
    assert np.isnan(run(x, np.nan).p_change).all()
    assert np.isnan(run(x, 0.0).p_change).all()


def test_any_cut_gives_the_same_bits() -> None:
    x = np.column_stack([planted(7), planted(8)])
    for cuts in (range(1, 700), (3, 100, 101, 333)):
        for a, b in zip(run(x), run(x, cuts=cuts), strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_compiled_kernel_is_the_plain_one_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.column_stack([planted(9), planted(10)])
    x[50, 1] = np.nan
    c = C._replace(change_r_max=60)
    table = run_length_table(60, c.change_recent, c.change_alpha, c.change_kappa)
    rest = (c.change_clip, 1.0 / c.change_every_bars, c.change_recent, c.change_alpha, c.change_beta, table)
    states = [carry_of(l64_change_point, 2, {"regime": c}).runs for _ in range(2)]
    fast = run_length.run_lengths(x, np.ones(x.shape), *rest, states[0])
    for name, value in list(vars(run_length).items()):
        if hasattr(value, "py_func"):
            monkeypatch.setattr(run_length, name, python_of(value))
    slow = python_of(run_length.run_lengths)(x, np.ones(x.shape), *rest, states[1])
    for a, b in zip((*fast, *states[0]), (*slow, *states[1]), strict=True):
        np.testing.assert_array_equal(a.view(np.int64), b.view(np.int64))
