"""Learning the worth of a score from what came after it, without looking ahead.

A sample is made at a close, waits in a ring until its horizon has passed, and only then counts. Everything is a running sum:
O(1) a bar, symbol and horizon, however long the history.
"""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Ring
from dataflows.fusion.types import Expectancy
from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES
from dataflows.runtime.compile import kernel

REGIME_COUNT: Final = len(REGIMES)
SOURCE_HORIZON: Final = 2
"""Index of the horizon at which the sources are looked at one by one, and to which the prior slope refers."""


class Pending(NamedTuple):
    """The last W bars' samples, oldest overwritten; W is the longest horizon. Bar i is in row i % W."""

    score: Ring
    sources: Annotated[Floats, Axes("W", "N", "S", start=NAN)]
    regime: Annotated[Ints, Axes("W", "N", start=-1)]  # -1: void
    entry: Ring  # open of the next bar; NaN: void
    missed: Annotated[Ints, Axes("W", "N", start=0)]  # bars without data up to and including that one
    missed_now: Count
    bars: Annotated[Ints, Axes(1, start=0)]  # seen so far


class Sums(NamedTuple):
    """Weighted sums of resolved samples (x, y), older ones faded, per regime, column (horizon or source) and symbol."""

    n: Annotated[Floats, Axes(REGIME_COUNT, "C", "N", start=0.0)]  # effective observations
    xx: Annotated[Floats, Axes(REGIME_COUNT, "C", "N", start=0.0)]
    xy: Annotated[Floats, Axes(REGIME_COUNT, "C", "N", start=0.0)]
    yy: Annotated[Floats, Axes(REGIME_COUNT, "C", "N", start=0.0)]


class Outcomes(NamedTuple):
    """The prices from which the worth of a score follows, panels (T, N)."""

    open: Floats
    close: Floats
    valid: Ints  # 1: observed


class Predictors(NamedTuple):
    """What is known at each close and may turn out to be worth something."""

    score: Floats  # (T, N)
    sources: Floats  # (T, N, K)
    regime: Ints  # (T, N), -1: unknown
    sigma: Floats  # (T, N), volatility a bar


class LearningRules(NamedTuple):
    """How samples become an edge: the keys of the fusion configuration that L67 reads."""

    horizons: tuple[int, ...]  # bars
    max_gap: int  # bars without data that a sample survives
    prior_strength: float  # effective observations
    prior_slope_bps: float
    prior_score: float
    forget_halflife: float  # effective observations


@kernel
def slope_posterior(
    n: float, xx: float, xy: float, yy: float, prior: float, strength: float, prior_xx: float, prior_yy: float
) -> tuple[float, float]:
    """Posterior mean and variance of b in y = b x + e, from weighted sums over n effective observations.

    The prior of b has mean `prior` and is worth `strength` (> 0) effective observations of the mean x^2, which itself is
    shrunk to `prior_xx` (> 0) by as many. So b = (strength * prior + n * b_ols) / (strength + n) once n is large. The variance
    of e is the posterior mean of a variance whose prior is worth `strength` observations of `prior_yy` (normal-inverse-gamma
    model; Gelman et al., Bayesian Data Analysis, ch. 14, with the scale of Zellner's 1986 g-prior).
    """
    share = 1.0 / (strength + n)
    ridge = strength * (strength * prior_xx + xx) * share  # strength times the mean of x^2
    spread = 1.0 / (ridge + xx)
    b = (ridge * prior + xy) * spread
    misfit = yy - 2.0 * b * xy + b * b * xx
    if misfit < 0.0:
        misfit = 0.0  # rounding, where the fit is exact
    residual = (strength * prior_yy + misfit + ridge * (b - prior) * (b - prior)) * share
    return b, residual * spread


@kernel
def slope_shrunk(n: float, xx: float, xy: float, strength: float, prior_xx: float) -> float:
    """The mean alone of `slope_posterior`, where the prior's is 0."""
    return xy / (strength * (strength * prior_xx + xx) / (strength + n) + xx)


@kernel
def learn_edges(
    outcomes: Outcomes,
    samples: Predictors,
    rules: LearningRules,
    pending: Pending,
    by_score: Sums,
    by_source: Sums,
) -> Expectancy:
    """Edge and its standard deviation in bps and effective observations (T, N, H); slopes by source (T, N, K).

    The samples' rules are those of `l67_expectancy`. States are updated in place: at each close first the samples whose time is
    up, then the prediction, then the new sample.
    """
    # taken out of the records once: inside the loop each mention would count references
    opens, closes, valid = outcomes.open, outcomes.close, outcomes.valid
    score, sources, regime, sigma = samples.score, samples.sources, samples.regime, samples.sigma
    horizons, max_gap, strength = rules.horizons, rules.max_gap, rules.prior_strength
    bars, symbols = score.shape
    width = len(horizons)
    count = sources.shape[2]
    depth = pending.score.shape[0]
    edge = np.empty((bars, symbols, width))
    std = np.empty((bars, symbols, width))
    known = np.empty((bars, symbols, width))
    slope = np.empty((bars, symbols, count))
    fade = math.exp(-math.log(2.0) / rules.forget_halflife)  # of one effective observation
    weights = np.empty(width)
    fades = np.empty(width)
    priors = np.empty(width)
    for j in range(width):
        weights[j] = 1.0 / horizons[j]
        fades[j] = math.exp(weights[j] * math.log(fade))
        priors[j] = rules.prior_slope_bps * math.sqrt(horizons[j] / horizons[SOURCE_HORIZON])
    stated = strength if rules.prior_slope_bps > 0.0 else 0.0
    typical = rules.prior_score * rules.prior_score
    n_h, xx_h, xy_h, yy_h = by_score.n, by_score.xx, by_score.xy, by_score.yy
    n_k, xx_k, xy_k, yy_k = by_source.n, by_source.xx, by_source.xy, by_source.yy
    scores, regimes, entries, missed = pending.score, pending.regime, pending.entry, pending.missed
    stored, missed_now = pending.sources, pending.missed_now
    for t in range(bars):
        i = pending.bars[0]
        here = i % depth
        before = (i - 1) % depth
        for n in range(symbols):
            o = opens[t, n]
            c = closes[t, n]
            good = valid[t, n] == 1 and o > 0.0 and c > 0.0 and math.isfinite(o) and math.isfinite(c)
            if not good:
                missed_now[n] += 1
            if i > 0:
                entries[before, n] = o if good else math.nan
            if good:
                for j in range(width):
                    if i < horizons[j]:
                        continue
                    s = here - horizons[j]
                    s = s if s >= 0 else s + depth
                    r = regimes[s, n]
                    e = entries[s, n]
                    if r < 0 or e != e or missed_now[n] - missed[s, n] > max_gap:
                        continue
                    y = 1e4 * (c / e - 1.0)
                    x = scores[s, n]
                    w = weights[j]
                    fade = fades[j]
                    n_h[r, j, n] = fade * n_h[r, j, n] + w
                    xx_h[r, j, n] = fade * xx_h[r, j, n] + w * x * x
                    xy_h[r, j, n] = fade * xy_h[r, j, n] + w * x * y
                    yy_h[r, j, n] = fade * yy_h[r, j, n] + w * y * y
                    if j == SOURCE_HORIZON:
                        for k in range(count):
                            x = stored[s, n, k]
                            if x == x:
                                n_k[r, k, n] = fade * n_k[r, k, n] + w
                                xx_k[r, k, n] = fade * xx_k[r, k, n] + w * x * x
                                xy_k[r, k, n] = fade * xy_k[r, k, n] + w * x * y
                                yy_k[r, k, n] = fade * yy_k[r, k, n] + w * y * y
            x = score[t, n]
            r = regime[t, n]
            told = x == x and r >= 0
            scale = 1e4 * sigma[t, n]
            for j in range(width):
                if told:
                    b, v = slope_posterior(
                        n_h[r, j, n], xx_h[r, j, n], xy_h[r, j, n], yy_h[r, j, n],
                        priors[j], strength, typical, scale * scale * horizons[j],
                    )  # fmt: skip
                    edge[t, n, j] = b * x if b > 0.0 else 0.0
                    std[t, n, j] = math.fabs(x) * math.sqrt(v)
                    known[t, n, j] = n_h[r, j, n] + stated
                else:
                    edge[t, n, j] = math.nan
                    std[t, n, j] = math.nan
                    known[t, n, j] = math.nan
            for k in range(count):
                slope[t, n, k] = (
                    slope_shrunk(n_k[r, k, n], xx_k[r, k, n], xy_k[r, k, n], strength, typical) if r >= 0 else math.nan
                )
                stored[here, n, k] = sources[t, n, k]
            scores[here, n] = x
            regimes[here, n] = r if told and good else -1
            entries[here, n] = math.nan
            missed[here, n] = missed_now[n]
        pending.bars[0] = i + 1
    return Expectancy(edge_bps=edge, edge_std_bps=std, effective_observations=known, slope_by_source=slope)
