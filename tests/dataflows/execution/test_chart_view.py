"""The chart's regime and side, against the same filter written with scipy's normal law and planted states."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from dataflows.carry import start_state
from dataflows.execution.chart_view import REGIME, SIDE, ChartCarry, Emissions, Hysteresis, chart_view, laws_of, next_side
from dataflows.execution.config import ExecutionConfig
from dataflows.kinematics.config import KinematicsConfig
from dataflows.regime.config import RegimeConfig
from dataflows.regime.types import CALM, CHAOTIC, HIGH_VOL, TREND_DOWN, TREND_UP
from dataflows.runtime.compile import python_of

USUAL = 60
LAW, RULE = laws_of(ExecutionConfig(), KinematicsConfig(), RegimeConfig())


def carry(symbols: int) -> ChartCarry:
    found: ChartCarry = start_state(ChartCarry, {"N": symbols}, {"execution": ExecutionConfig(mirror_usual_bars=USUAL)})
    return found


def planted(seed: int = 3, bars: int = 900) -> dict[str, np.ndarray]:
    """Calm, then a trend up, then down, then high volatility; two symbols, bars missing here and there."""
    rng = np.random.default_rng(seed)
    phase = np.repeat([0.0, 0.0, 0.0, 0.6, 0.0], bars // 5)[:, None]
    lean = np.repeat([0.0, 3.5, -3.5, 0.0, 0.0], bars // 5)[:, None]
    sigma = 1e-3 * np.exp(phase + 0.1 * rng.normal(size=(bars, 2)))
    return {
        "on": (rng.random((bars, 2)) > 0.02).astype(np.int64),
        "r_1": sigma * rng.normal(size=(bars, 2)),
        "sigma": sigma,
        "trend_z": lean + 0.8 * rng.normal(size=(bars, 2)),
    }


def oracle(on: Any, r_1: Any, sigma: Any, trend_z: Any, law: Emissions, rule: Hysteresis) -> np.ndarray:
    """One symbol, bars that count only: pandas for the mean, scipy for the densities, the recursion of Hamilton in linear space."""
    logged = pd.Series(np.log(sigma))
    vol = ((logged - logged.rolling(USUAL).mean().shift(1)) / law.vol_scale).clip(-law.clip, law.clip).to_numpy()
    trend = np.clip(trend_z / law.trend_scale, -law.clip, law.clip)
    stay = np.full((5, 5), (1.0 - rule.stay) / 4.0) + np.eye(5) * (rule.stay - (1.0 - rule.stay) / 4.0)
    p, label, challenger, streak, hold, labels = np.full(5, 0.2), -1, -1, 0, 0, []
    for t in range(len(sigma)):
        density = norm.pdf(trend[t], law.centres[:, 1], law.stds[:, 1])
        if np.isfinite(vol[t]):
            density = density * norm.pdf(vol[t], law.centres[:, 0], law.stds[:, 0])
        p = (stay @ p) * density
        p /= p.sum()
        if t and abs(r_1[t]) > rule.crash_sigma * sigma[t - 1]:
            hold = rule.dwell + 1
        order = np.argsort(p)
        if hold:
            hold -= 1
            p = np.full(5, (1.0 - rule.forced) / 4.0)
            p[CHAOTIC] = rule.forced
            label, challenger, streak = CHAOTIC, -1, 0
        else:
            best, lead = int(order[-1]), p[order[-1]] - p[order[-2]]
            label = best if label < 0 and lead > 1e-12 else label
            if label >= 0 and best != label and lead > rule.margin:
                streak = streak + 1 if challenger == best else 1
                challenger = best
                if streak >= rule.dwell:
                    label, challenger, streak = best, -1, 0
            else:
                challenger, streak = -1, 0
        labels.append(label)
    return np.array(labels)


def test_the_regime_is_that_of_the_filter_written_anew() -> None:
    data = planted()
    data["r_1"][500, 0] = 0.05
    found = chart_view(**data, law=LAW, rule=RULE, carry=carry(2))
    for n in range(2):
        on = data["on"][:, n] == 1
        expected = oracle(*(data[name][on, n] for name in ("on", "r_1", "sigma", "trend_z")), LAW, RULE)
        np.testing.assert_array_equal(found[REGIME][on, n], expected)
    assert (found[REGIME, 500:506, 0] == CHAOTIC).sum() >= 5


def test_planted_states_are_found() -> None:
    found = chart_view(**planted(), law=LAW, rule=RULE, carry=carry(2))[REGIME]
    part = found.shape[0] // 5
    for k, state in enumerate((CALM, TREND_UP, TREND_DOWN, HIGH_VOL)):
        soon = found[k * part + (70 if k == 0 else 20) : k * part + (120 if k == 0 else 50)]
        assert (soon == state).mean() > 0.8, state


def test_a_side_is_taken_late_and_left_later() -> None:
    course = [0.5, 0.7, 0.4, 0.29, 0.5, -0.5, -0.61, -0.3, -0.2, np.nan, 0.9, np.nan, -0.7]
    held, found = 0, []
    for z in course:
        held = next_side(z, held, 0.6, 0.3)
        found.append(held)
    assert found == [0, 1, 1, 0, 0, 0, -1, -1, 0, 0, 1, 1, -1]


def test_the_side_is_flat_in_chaos() -> None:
    data = planted()
    data["r_1"][600, 0] = -0.06
    found = chart_view(**data, law=LAW, rule=RULE, carry=carry(2))
    assert (found[SIDE][found[REGIME] == CHAOTIC] == 0).all()
    assert set(np.unique(found[SIDE])) == {-1, 0, 1}


@pytest.mark.parametrize("cuts", [(1, 2, 3), (450,), tuple(range(1, 900, 7))])
def test_it_is_the_same_however_the_bars_are_cut_and_compiled_or_not(cuts: tuple[int, ...]) -> None:
    data, whole = planted(), carry(2)
    expected = chart_view(**data, law=LAW, rule=RULE, carry=whole)
    state, parts = carry(2), []
    for a, b in zip((0, *cuts), (*cuts, 900), strict=True):
        parts.append(python_of(chart_view)(**{k: v[a:b] for k, v in data.items()}, law=LAW, rule=RULE, carry=state))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), expected)
    np.testing.assert_array_equal(state.p, whole.p)
