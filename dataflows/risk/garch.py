"""The GARCH(1,1) variance recursion and its forecasts over many bars."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


class Garch(NamedTuple):
    """Per symbol (N,): what the next bar's variance depends on."""

    variance: Unknown  # forecast for the next bar; NaN until seeded
    omega: Unknown  # as last known
    floor: Unknown  # least volatility of a bar, as last known


class Observed(NamedTuple):
    """What the recursion is fed, (T, N): volatilities of a bar of log price, and the returns."""

    r: Floats  # NaN holds the state
    seed: Floats
    level: Floats
    floor: Floats


class GarchLaw(NamedTuple):
    """Coefficients of the recursion; alpha + beta < 1."""

    omega: float  # 0: (1 - alpha - beta) level^2 of each bar
    alpha: float
    beta: float


class Spans(NamedTuple):
    """The two longer spans that are forecast, in bars."""

    mid: int
    long: int


class Together(NamedTuple):
    """Forecast volatility of the next bar, of the next `mid` bars together, and of the next `long`, (T, N) each."""

    one: Floats
    mid: Floats
    far: Floats


@kernel
def garch_volatility(x: Observed, law: GarchLaw, spans: Spans, state: Garch) -> Together:
    """Forecast volatility of the next bar, of the next `mid` and of the next `long` bars together; each (T, N).

    h[t+1] = omega + alpha r[t]^2 + beta h[t]; the first h = omega + (alpha + beta) seed^2, as `arch` starts from a backcast.
    E h[t+k+1] = omega + (alpha + beta) E h[t+k]; the forecast over K bars is the root of the sum of K of them, in closed form.
    NaN until r, seed and omega are known at one bar, and where the volatility is not positive (no movement and no floor).
    Source: Bollerslev (1986).
    """
    variance, state_floor, state_omega = state.variance, state.floor, state.omega
    x_floor, r, level, seed = x.floor, x.r, x.level, x.seed
    omega, alpha, beta = law
    bars_mid, bars_long = spans
    bars, symbols = r.shape
    one, mid, far = np.empty((bars, symbols)), np.empty((bars, symbols)), np.empty((bars, symbols))
    p = alpha + beta
    decay_mid = math.exp(bars_mid * math.log(p)) if p > 0.0 else 0.0
    decay_long = math.exp(bars_long * math.log(p)) if p > 0.0 else 0.0
    for t in range(bars):
        for n in range(symbols):
            if x_floor[t, n] >= 0.0:
                state_floor[n] = x_floor[t, n]
            if omega > 0.0:
                state_omega[n] = omega
            elif level[t, n] >= 0.0:
                state_omega[n] = (1.0 - p) * level[t, n] * level[t, n]
            square = r[t, n] * r[t, n]
            if square < math.inf:  # also: r is known
                if not variance[n] >= 0.0:
                    variance[n] = state_omega[n] + p * seed[t, n] * seed[t, n]
                variance[n] = state_omega[n] + alpha * square + beta * variance[n]
            h = variance[n]
            if h >= 0.0:
                mean = state_omega[n] / (1.0 - p)
                least = state_floor[n] if state_floor[n] >= 0.0 else 0.0
                one[t, n] = _above(h, least)
                mid[t, n] = _above(bars_mid * mean + (h - mean) * (1.0 - decay_mid) / (1.0 - p), math.sqrt(bars_mid) * least)
                far[t, n] = _above(bars_long * mean + (h - mean) * (1.0 - decay_long) / (1.0 - p), math.sqrt(bars_long) * least)
            else:
                one[t, n] = mid[t, n] = far[t, n] = math.nan
    return Together(one, mid, far)


@kernel
def with_har(made: Together, har_mid: Floats, har_long: Floats, p_change: Floats, spans: Spans, widen: float) -> None:
    """Joins the forecasts of `garch_volatility` with those of a HAR, in place, and widens them where the law may have changed.

    har_mid, har_long: volatility of a bar over the next bars. The mean of both where both are known, else the one that is; of
    one bar, of which a HAR says nothing, GARCH's, and har_mid only where that is unknown. All times 1 + (widen - 1) p_change,
    1 where p_change is NaN. A longer span is never below a shorter one. All (T, N), > 0, or NaN together.
    """
    one, mid, far = made
    bars_mid, bars_long = spans
    bars, symbols = one.shape
    for t in range(bars):
        for n in range(symbols):
            short, long = har_mid[t, n] * math.sqrt(bars_mid), har_long[t, n] * math.sqrt(bars_long)
            if not one[t, n] > 0.0 and 0.0 < har_mid[t, n] < math.inf:
                one[t, n] = har_mid[t, n]
            if 0.0 < short < math.inf:
                mid[t, n] = 0.5 * (mid[t, n] + short) if mid[t, n] > 0.0 else short
            if 0.0 < long < math.inf:
                far[t, n] = 0.5 * (far[t, n] + long) if far[t, n] > 0.0 else long
            if not far[t, n] > 0.0 and mid[t, n] > 0.0:
                far[t, n] = mid[t, n] * math.sqrt(bars_long / bars_mid)
            if p_change[t, n] > 0.0:
                factor = 1.0 + (widen - 1.0) * p_change[t, n]
                one[t, n] *= factor
                mid[t, n] *= factor
                far[t, n] *= factor
            if mid[t, n] < one[t, n]:
                mid[t, n] = one[t, n]
            if bars_long >= bars_mid and far[t, n] < mid[t, n]:
                far[t, n] = mid[t, n]
            if far[t, n] < one[t, n]:
                far[t, n] = one[t, n]
            if not (one[t, n] > 0.0 and mid[t, n] < math.inf and far[t, n] < math.inf):
                one[t, n] = mid[t, n] = far[t, n] = math.nan


@kernel
def _above(variance: float, least: float) -> float:
    """Root of a variance, at least `least`; NaN where it is not positive."""
    sigma = math.sqrt(variance) if variance > 0.0 else 0.0
    if sigma < least:
        sigma = least
    return sigma if 0.0 < sigma < math.inf else math.nan
