"""Learning what the sources are worth from what came after them, without looking ahead: L67's kernel.

A Bayesian linear regression of standardised returns on all sources, at several horizons. A sample is made at a close, waits in
a ring until its horizon has passed, and only then counts. O(K^2) a sample and symbol, however long the history.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dataflows.fusion.edge_calibration import (
    REGIME_COUNT,
    REGIME_PRIORS,
    VOLATILITY_COUNT,
    VOLATILITY_PRIORS,
    Usual,
    class_factors,
)
from dataflows.fusion.edge_equations import Equations, LearningRules, Solution, Sums, design_effect, solve_symbol
from dataflows.fusion.edge_predictions import Posterior, Predicted, predict_four, show_slopes
from dataflows.fusion.edge_samples import (
    LARGEST,
    ROWS,
    Outcomes,
    Pending,
    Predictors,
    Seen,
    Units,
    sample_step,
    see_bars,
    sources_heard,
    take_samples,
)
from dataflows.fusion.types import PARTS, Expectancy
from dataflows.kernels.arith import clip
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel

SOLVE_BARS: Final = 16
"""Bars between two solutions of the equations of a horizon; less where it is shorter, more where its samples are rarer."""


@kernel
def relative_weights(weights: Floats) -> Floats:
    """One weight a source (K,) in [0, 1], 1 for the greatest: the mean over the regimes of weights (R, K)."""
    rows, width = weights.shape
    y = np.zeros(width)
    most = 0.0
    for k in range(width):
        for r in range(rows):
            y[k] += weights[r, k]
        if y[k] > most:
            most = y[k]
    for k in range(width):
        y[k] = y[k] / most if most > 0.0 else 1.0
    return y


@kernel
def solve_step(horizon: int) -> int:
    """Bars between two solutions of a horizon's equations."""
    return max(sample_step(horizon), min(SOLVE_BARS, horizon))


@kernel
def learn_horizon(
    j: int,
    outcomes: Outcomes,
    said: Predictors,
    weights: Floats,
    rules: LearningRules,
    seen: Seen,
    pending: Pending,
    sums: Sums,
    made: Solution,
    space: Equations,
    units: Units,
    out: Predicted,
    shown: bool,
) -> None:
    """Goes through the bars for horizon j, from one solution of its equations to the next, and writes its predictions.

    Their samples are older than the last solution, and none is made and taken between two of them. shown: whether the slopes
    are written, too.
    """
    opens, closes, valid, sources = outcomes.open, outcomes.close, outcomes.valid, seen.sources
    bars, symbols = closes.shape
    horizon, first_bar = rules.horizons[j], pending.bars[0]
    step = sample_step(horizon)
    turn = solve_step(horizon)
    place = first_bar % step  # bars since the last sample: counted, since a division takes longer
    wait = first_bar % turn  # bars since the last solution
    after, due = 1 % step, horizon % step  # places one bar after a sample, and a horizon after it
    root = math.sqrt(float(horizon))
    of = Posterior(
        slope=made.slope[j],
        factor=made.factor[j],
        variance=made.variance[j],
        seen=made.seen[j],
        volatility=made.volatility[j],
        regime=made.regime[j],
        prior=rules.prior_slope_bps * math.sqrt(min(horizon, rules.belief_horizon) / rules.belief_horizon),
        stated=rules.prior_strength if rules.prior_slope_bps > 0.0 else 0.0,
    )
    end = 0
    old_sources, old_regimes, old_classes = pending.sources, pending.regimes, pending.volatilities
    old_raw, old_claim, old_belief, old_scale = pending.raw, pending.claim, pending.belief, pending.scale
    old_entry, old_missed = pending.entry, pending.missed
    regimes, classes, told, good, missed = seen.regimes, seen.volatilities, seen.told, seen.good, seen.missed
    sigma, belief, raw, claim = said.sigma, out.belief, out.raw, out.claim
    together, apart, all_n = sums.together, sums.apart, sums.all_n
    raw_xx, raw_xy, claim_xx, claim_xy = sums.raw_xx, sums.raw_xy, sums.claim_xx, sums.claim_xy
    for t in range(bars):
        i = first_bar + t
        if i > 0 and place == after:
            entries = old_entry[j, (i - 1) // step % ROWS]
            for n in range(symbols):
                o = opens[t, n]
                whole = valid[t, n] == 1 and o > 0.0 and math.isfinite(o) and math.isfinite(closes[t, n])
                entries[n] = o if whole else math.nan
        if i >= horizon and place == due:
            row = (i - horizon) // step % ROWS
            take_samples(j, t, row, outcomes, seen, weights, rules, pending, sums=sums, units=units)
        if wait == 0:
            effect = design_effect(together[j], apart[j], symbols)
            shrunk, n_all = rules.regime_strength, all_n[j]
            class_factors(raw_xx[j], raw_xy[j], n_all, effect, shrunk, VOLATILITY_PRIORS, of.volatility)
            class_factors(claim_xx[j], claim_xy[j], n_all, effect, shrunk, REGIME_PRIORS, of.regime)
            for n in range(symbols):
                solve_symbol(j, n, effect, seen.heard, weights, rules, sums, made, space=space)
        if t == end:  # all bars until the next solution
            end = min(bars, t + turn - wait)
            for n in range(symbols):
                for first in range(t, end, 4):
                    predict_four(n, first, end, root, seen.heard, said, seen, of, out=out)
            if shown:
                show_slopes(t, end, root, said.sigma, seen.told, of.slope, out.slope)
        if place == 0:
            row = i // step % ROWS
            for n in range(symbols):
                for k in range(sources.shape[2]):
                    old_sources[j, row, n, k] = sources[t, n, k]
                for r in range(REGIME_COUNT):
                    old_regimes[j, row, n, r] = regimes[t, n, r]
                for c in range(VOLATILITY_COUNT):
                    old_classes[j, row, n, c] = classes[t, n, c]
                scale = sigma[t, n] * root
                believed = belief[t, n] / scale if scale > 0.0 else 0.0
                old_raw[j, row, n] = raw[t, n]
                old_claim[j, row, n] = claim[t, n]
                old_belief[j, row, n] = clip(believed, -LARGEST, LARGEST)
                old_scale[j, row, n] = scale if told[t, n] != 0 and good[t, n] != 0 else math.nan
                old_entry[j, row, n] = math.nan
                old_missed[j, row, n] = missed[t, n]
        place = place + 1 if place + 1 < step else 0
        wait = wait + 1 if wait + 1 < turn else 0


@kernel
def learn_edges(
    outcomes: Outcomes,
    said: Predictors,
    weights: Floats,
    rules: LearningRules,
    pending: Pending,
    sums: Sums,
    made: Solution,
    usual: Usual,
) -> Expectancy:
    """Edge, its standard deviation and effective observations (T, N, H); slopes by source (T, N, K) and parts of the edges.

    All in bps but the observations. weights: (K,) in [0, 1] of the sources. The samples' rules are those of `l67_expectancy`.
    States are updated in place: at each close first the samples whose time is up, then the equations, then the prediction,
    then the new sample. No horizon needs another one, so each goes through the bars alone.
    """
    sources = said.sources
    bars, symbols, width = sources.shape
    count = len(rules.horizons)
    edge = np.empty((bars, symbols, count))
    std = np.empty((bars, symbols, count))
    known = np.empty((bars, symbols, count))
    slope = np.empty((bars, symbols, width))
    parts = np.empty((bars, symbols, count * PARTS))
    raw, claim, belief = np.empty((bars, symbols)), np.empty((bars, symbols)), np.empty((bars, symbols))
    shown = 0
    seen = Seen(
        told=np.empty((bars, symbols), np.int64),
        good=np.empty((bars, symbols), np.int64),
        missed=np.empty((bars, symbols), np.int64),
        sources=np.empty((bars, symbols, width)),
        regimes=np.empty((bars, symbols, REGIME_COUNT)),
        volatilities=np.empty((bars, symbols, VOLATILITY_COUNT)),
        heard=sources_heard(sources, pending.heard),
    )
    spoken = len(seen.heard)
    space = Equations(
        scaled=np.empty((spoken, spoken)),
        own=np.empty((spoken, spoken)),
        factor=np.empty((spoken, spoken)),
        right=np.empty(spoken),
        solved=np.empty(spoken),
        drawn=np.empty(spoken),
    )
    units = Units(
        xx=np.empty(width * (width + 1) // 2, np.int64),
        xy=np.empty(width, np.int64),
        claim_xx=np.empty(REGIME_COUNT, np.int64),
        claim_xy=np.empty(REGIME_COUNT, np.int64),
        raw_xx=np.empty(VOLATILITY_COUNT, np.int64),
        raw_xy=np.empty(VOLATILITY_COUNT, np.int64),
        y=np.empty(symbols),
    )
    for j in range(count):
        if rules.horizons[j] == rules.belief_horizon:
            shown = j
    see_bars(outcomes, said, rules.usual_bars, pending.missed_now, usual, seen)
    for j in range(count):
        out = Predicted(
            edge=edge[:, :, j],
            std=std[:, :, j],
            known=known[:, :, j],
            parts=parts[:, :, j * PARTS : (j + 1) * PARTS],
            slope=slope,
            raw=raw,
            claim=claim,
            belief=belief,
        )
        learn_horizon(
            j, outcomes, said, weights, rules, seen,
            pending=pending, sums=sums, made=made, space=space, units=units, out=out,
            shown=j == shown,
        )  # fmt: skip
    pending.bars[0] += bars
    return Expectancy(edge_bps=edge, edge_std_bps=std, effective_observations=known, slope_by_source=slope, parts_bps=parts)
