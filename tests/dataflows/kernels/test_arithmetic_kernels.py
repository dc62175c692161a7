"""The shared kernels against other people's arithmetic, cut anywhere, compiled and plain."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest
import talib
from scipy import stats

from dataflows.carry import Bind, start_state
from dataflows.kernels import arith, ols, order, resample, smooth, window
from dataflows.runtime.compile import python_of
from tests.dataflows.kernels.rolling import rolling_extremes, rolling_median

T, N = 400, 3


def _walk(seed: int = 1, bars: int = T) -> Any:
    rng = np.random.default_rng(seed)
    return np.exp(np.cumsum(rng.normal(0, 0.01, (bars, N)), axis=0)) * np.array([1e-3, 1.0, 5e4])


def _gaps(seed: int = 2, bars: int = T) -> Any:
    return (np.random.default_rng(seed).random((bars, N)) > 0.15).astype(np.int64)


def _state(kind: Any, width: int) -> Any:
    return start_state(Annotated[kind, Bind(W=width, F=width)], {"N": N}, {})


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _chunks(call: Callable[..., Any], panels: Sequence[Any], state: Any, cuts: Sequence[int], *, fn: Any) -> list[Any]:
    edges = [0, *cuts, panels[0].shape[0]]
    got = [_parts(call(fn, [p[a:b].copy() for p in panels], state)) for a, b in itertools.pairwise(edges)]
    return [np.concatenate(g) for g in zip(*got, strict=True)]


def _resampled(fn: Any, panels: Sequence[Any], state: Any) -> tuple[Any, ...]:
    bars, closed = fn(*panels, 60_000_000_000, (5, 15), state)
    return (*bars[0], *bars[1], *closed)


SPARSE = _walk()
SPARSE[50:57, 1] = np.nan
CASES: dict[str, tuple[Any, Any, Sequence[Any], Callable[..., Any]]] = {
    "seeded_ewm": (smooth.seeded_ewm, _state(smooth.SeededEwm, 1), [SPARSE, _gaps()], lambda f, p, s: f(*p, 0.1, 9, s)),
    "rolling_moments": (window.rolling_moments, _state(window.Moments, 20), [SPARSE, _gaps()], lambda f, p, s: f(*p, s)),
    "rolling_sum": (window.rolling_sum, _state(window.RollingSum, 20), [SPARSE, _gaps()], lambda f, p, s: f(*p, s)),
    "lagged": (window.lagged, _state(window.Lag, 7), [SPARSE, _gaps()], lambda f, p, s: f(*p, s)),
    "rolling_extremes": (
        rolling_extremes,
        _state(window.Extremes, 20),
        [SPARSE * 1.01, SPARSE, _gaps()],
        lambda f, p, s: f(*p, s),
    ),
    "rolling_ols": (ols.rolling_ols, _state(ols.RollingOls, 20), [SPARSE, _gaps()], lambda f, p, s: f(*p, s)),
    "rolling_rank": (order.rolling_rank, _state(order.RankWindow, 40), [SPARSE, _gaps()], lambda f, p, s: f(*p, s)),
    "rolling_median": (rolling_median, _state(order.SortedWindow, 40), [SPARSE, _gaps()], lambda f, p, s: f(*p, s)),
    "resample": (
        resample.resample,
        _state(resample.Resample, 2),
        [np.arange(1, T + 1) * 60_000_000_000, SPARSE, SPARSE * 1.01, SPARSE * 0.99, SPARSE, SPARSE, _gaps()],
        lambda f, p, s: _resampled(f, p, s),
    ),
    "tanh_panel": (arith.tanh_panel, None, [SPARSE], lambda f, p, s: f(*p)),
    "log_panel": (arith.log_panel, None, [SPARSE], lambda f, p, s: f(*p)),
}


def _copy(state: Any) -> Any:
    return None if state is None else type(state)(*[leaf.copy() for leaf in state])


@pytest.mark.parametrize("name", CASES)
def test_chunks_and_plain_python_give_the_same_bits(name: str) -> None:
    fn, state, panels, call = CASES[name]
    whole = _chunks(call, panels, _copy(state), [], fn=fn)
    ones = _chunks(call, panels, _copy(state), range(1, T), fn=fn)
    odd = _chunks(call, panels, _copy(state), [1, 2, 39, 40, 41, 180, 399], fn=fn)
    slow = _chunks(call, panels, _copy(state), [100], fn=python_of(fn))
    for a, *others in zip(whole, ones, odd, slow, strict=True):
        for b in others:
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a.view(np.int64), b.view(np.int64))


@pytest.mark.parametrize("name", [n for n in CASES if n != "resample"])
def test_symbols_do_not_touch_each_other(name: str) -> None:
    fn, state, panels, call = CASES[name]
    whole = _chunks(call, panels, _copy(state), [], fn=fn)
    turned = _chunks(call, [p[:, ::-1] for p in panels], _copy(state), [], fn=fn)
    for a, b in zip(whole, turned, strict=True):
        np.testing.assert_array_equal(a, b[:, ::-1])


def _each(on: Any, x: Any, n: int) -> Any:
    """The values of symbol n on the bars that count."""
    return pd.Series(x[:, n])[(on[:, n] != 0) & np.isfinite(x[:, n])]


def _held(values: Any, n_bars: int) -> Any:
    """A series on the bars that count, held over the others."""
    return values.reindex(range(n_bars)).ffill().to_numpy()


def test_seeded_ewm_is_talibs_ema_of_the_bars_that_count() -> None:
    x, on = SPARSE, _gaps()
    got = smooth.seeded_ewm(x, on, 2.0 / 13, 12, _state(smooth.SeededEwm, 1))
    for n in range(N):
        s = _each(on, x, n)
        np.testing.assert_allclose(got[:, n], _held(pd.Series(talib.EMA(s.to_numpy(), 12), s.index), T), rtol=1e-12)


def test_halflife_alpha_halves_the_weight() -> None:
    assert (1.0 - smooth.halflife_alpha(60.0)) ** 60 == pytest.approx(0.5, rel=1e-13)


@pytest.mark.parametrize("level", [0.0, 1e6])
def test_rolling_moments_and_sums_are_pandas_rolling(level: float) -> None:
    x, on = SPARSE + level, _gaps()
    mean, variance = window.rolling_moments(x, on, _state(window.Moments, 20))
    total = window.rolling_sum(x, on, _state(window.RollingSum, 20))
    for n in range(N):
        windows = _each(on, x, n).rolling(20)
        np.testing.assert_allclose(mean[:, n], _held(windows.mean(), T), rtol=1e-12)
        np.testing.assert_allclose(total[:, n], _held(windows.sum(), T), rtol=1e-12)
        exact = windows.apply(lambda w: np.var(w), raw=True)
        np.testing.assert_allclose(variance[:, n], _held(exact, T), rtol=1e-6 if level else 1e-9, atol=1e-18)


def test_moments_of_equal_values_are_exact_even_after_a_jump() -> None:
    x = np.full((60, N), 3.7)
    x[:25] = 1e9
    mean, variance = window.rolling_moments(x, np.ones((60, N), np.int64), _state(window.Moments, 20))
    assert (mean[44:] == 3.7).all()
    assert (variance[44:] == 0.0).all()
    assert (variance[25:44] > 0.0).all()


def test_lagged_is_shift_over_the_bars_that_count() -> None:
    x, on = SPARSE, _gaps()
    got = window.lagged(x, on, _state(window.Lag, 7))
    for n in range(N):
        np.testing.assert_array_equal(got[:, n], _each(on, x, n).shift(7).reindex(range(T)).to_numpy())


def test_rolling_extremes_are_pandas_max_and_min() -> None:
    x, on = np.round(SPARSE, 3), _gaps()
    high, low = rolling_extremes(x * 2, x, on, _state(window.Extremes, 20))
    for n in range(N):
        s = _each(on, x, n)
        np.testing.assert_array_equal(high[:, n], _held((s * 2).rolling(20).max(), T))
        np.testing.assert_array_equal(low[:, n], _held(s.rolling(20).min(), T))


def test_rolling_ols_is_scipys_linregress_on_every_window() -> None:
    x, on = np.log(SPARSE), _gaps()
    slope, t_stat, r2 = ols.rolling_ols(x, on, _state(ols.RollingOls, 20))
    for n in range(N):
        s = _each(on, x, n)
        for k in range(19, len(s)):
            fit = stats.linregress(range(20), s.to_numpy()[k - 19 : k + 1])
            t = s.index[k]
            assert slope[t, n] == pytest.approx(fit.slope, rel=1e-9, abs=1e-15)
            assert t_stat[t, n] == pytest.approx(fit.slope / fit.stderr, rel=1e-9, abs=1e-9)
            assert r2[t, n] == pytest.approx(fit.rvalue**2, rel=1e-9, abs=1e-12)


def test_ols_of_a_line_is_finite_and_of_a_constant_zero() -> None:
    x = np.concatenate([np.arange(50.0), np.full(50, 7.3)])[:, None] * np.ones((1, N)) + 11.0
    slope, t_stat, r2 = ols.rolling_ols(x, np.ones((100, N), np.int64), _state(ols.RollingOls, 20))
    np.testing.assert_allclose(slope[19:50], 1.0, rtol=1e-12)
    assert (t_stat[19:50] > 1e6).all() and np.isfinite(t_stat[19:50]).all()
    assert (r2[19:50] > 1.0 - 1e-12).all() and (r2[19:] <= 1.0).all()
    for panel in (slope, t_stat, r2):
        assert (panel[70:] == 0.0).all()


def test_rank_and_median_are_numpys_over_the_previous_values() -> None:
    x, on = np.round(SPARSE, 2), _gaps()
    rank = order.rolling_rank(x, on, _state(order.RankWindow, 40))
    median = rolling_median(x, on, _state(order.SortedWindow, 40))
    for n in range(N):
        s = _each(on, x, n)
        for t in range(T):
            before = s[s.index < t].to_numpy()[-40:]
            if len(before) < 30:
                assert math.isnan(median[t, n]) and math.isnan(rank[t, n])
                continue
            assert median[t, n] == pytest.approx(np.median(before), rel=1e-15)
            expected = stats.percentileofscore(before, x[t, n], kind="mean") / 100 if np.isfinite(x[t, n]) else math.nan
            assert rank[t, n] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("size", [1, 2, 5, 30, 41, order.FEW + 3])
def test_median_absolute_deviation_of_a_window_is_scipys(size: int) -> None:
    rng = np.random.default_rng(size)
    state = _state(order.SortedWindow, size)
    for _ in range(3 * size):
        v = float(np.round(rng.normal(), 1))
        order.window_push(v, order.count_below(state.sorted[1], state.held[1], v), 1, *state)
        held = state.ring[1, : state.held[1]]
        np.testing.assert_array_equal(np.sort(held), state.sorted[1, : state.held[1]])
        if state.held[1] < min(size, order.LEAST):
            continue
        m = order.sorted_median(state.held[1], state.sorted[1])
        assert m == pytest.approx(np.median(held), abs=1e-15)
        assert order.sorted_mad(m, state.held[1], state.sorted[1]) == pytest.approx(stats.median_abs_deviation(held), abs=1e-12)


def test_resample_is_pandas_closed_right_label_right() -> None:
    rng = np.random.default_rng(5)
    stamps = pd.date_range("2024-02-28 22:13", periods=T, freq="1min", tz="UTC")
    close = _walk(7)
    open_, high, low = close * 1.001, close * 1.01, close * 0.99
    volume = rng.random((T, N))
    times = stamps.as_unit("ns").asi8
    ones = np.ones((T, N), np.int64)
    state = _state(resample.Resample, 1)
    ((o, h, lo, c, q),), (closed,) = resample.resample(times, open_, high, low, close, volume, ones, 60 * 10**9, (15,), state)
    for n in range(N):
        frame = pd.DataFrame(
            {"o": open_[:, n], "h": high[:, n], "l": low[:, n], "c": close[:, n], "v": volume[:, n]}, index=stamps
        )
        rule = frame.resample("15min", closed="right", label="right")
        theirs = rule.agg({"o": "first", "h": "max", "l": "min", "c": "last", "v": "sum"})[rule["c"].count() == 15]
        at = closed[:, n] == 1
        np.testing.assert_array_equal(stamps[at], theirs.index)
        for mine, name in ((o, "o"), (h, "h"), (lo, "l"), (c, "c")):
            np.testing.assert_array_equal(mine[at, n], theirs[name])
        np.testing.assert_allclose(q[at, n], theirs["v"], rtol=1e-14)
        held = pd.Series(np.where(at, c[:, n], np.nan)).ffill()
        np.testing.assert_array_equal(c[:, n], held)


def test_a_higher_bar_with_a_hole_or_nothing_observed_does_not_close() -> None:
    times = np.arange(1, 21) * 60 * 10**9
    x = np.arange(1.0, 21.0)[:, None] * np.ones((1, N))
    x[6, 1] = np.nan
    valid = np.ones((20, N), np.int64)
    valid[5:10, 2] = 0
    bars, (closed,) = resample.resample(times, x, x, x, x, x, valid, 60 * 10**9, (5,), _state(resample.Resample, 1))
    assert [list(np.flatnonzero(closed[:, n])) for n in range(N)] == [[4, 9, 14, 19], [4, 14, 19], [4, 14, 19]]
    assert (bars[0, 3, 9:14, 1] == 5.0).all()


def test_scalars() -> None:
    assert arith.clip(3.0, 0.0, 1.0) == 1.0 and arith.clip(-3.0, 0.0, 1.0) == 0.0 and math.isnan(arith.clip(math.nan, 0.0, 1.0))
    assert [arith.sign(v) for v in (-2.0, 0.0, 0.1)] == [-1.0, 0.0, 1.0] and math.isnan(arith.sign(math.nan))
    for v in (-800.0, -1.0, 0.0, 2.0, 800.0):
        assert arith.logistic(v) == pytest.approx(0.5 * (1.0 + math.tanh(v / 2.0)), abs=1e-15)
    assert arith.known(math.nan, 0.0) == 0.0 and arith.known(2.0, 0.0) == 2.0
    assert math.isnan(arith.log_panel(np.array([[-1.0, 0.0, 1.0]]))[0, 1])
