"""L65: patterns that lose are switched off, thresholds follow the market: within bounds, recorded, or only advised."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.data.types import Clock
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.meta.config import MetaConfig
from dataflows.meta.selection import ReturnMoments, add_returns, chances, switch
from dataflows.meta.thresholds import (
    CALM_VOLATILITY,
    CRASH,
    HIGH_VOLATILITY,
    LEVELS,
    TREND_SIZE,
    Trail,
    changes,
    follow,
    mean_shifts,
    measured,
)
from dataflows.meta.types import FIRST_VOTE, Adaptation, Advice, Performance
from dataflows.panel import Floats
from dataflows.pattern.types import PATTERNS, PatternWeights
from dataflows.regime.types import FEATURES, REGIMES, TREND, VOLATILITY, Regime, RegimeConfig, RegimeThresholds


class AdaptationCarry(NamedTuple):
    """The record of the patterns, what is advised of them, the trailing quantiles, and what is in force."""

    moments: ReturnMoments
    on: Annotated[Floats, Axes(PATTERNS, start=1.0)]
    trail: Trail
    pattern_weights: Annotated[Floats, Axes(PATTERNS, start="meta.pattern_weights")]
    shifts: Annotated[Floats, Axes(LEVELS, start="meta.threshold_shifts")]


@layer("L65", schedule="epoch", cross_sectional=True)
def l65_adaptation(
    l1_regime: Regime,
    l2_returns_volatility: Returns,
    l6_performance_monitor: Performance,
    clock: Clock,
    meta: MetaConfig,
    regime: RegimeConfig,
    carry: AdaptationCarry,
) -> Adaptation:
    """What is in force in the next epoch, pattern_weights (24,) in [0, 1] and the regimes' thresholds, and what is advised.

    Patterns: pattern_sharpe_chance is the probabilistic Sharpe ratio PSR(0) of a pattern's gross paper returns, by epochs in
    which it took a position; NaN before `least_epochs` of them. A pattern is switched off where the hypothesis that it does not
    lose is rejected at a false discovery rate of `pattern_off` over all patterns, and on again once its chance is above
    `pattern_on`; off, its record goes on. A weight is the configured one of `pattern_weights`, or 0.

    Thresholds: the means of calm, high volatility and both trends follow the trailing median (`least_epochs` epochs) of the
    quantile at which a normal law has them; crash_sigma follows the greatest move of nine in ten epochs. By at most
    `threshold_step` an epoch, and never further than `threshold_most` from the configured value (crash_sigma: as a factor).

    With `adapt_patterns` or `adapt_thresholds` 0 the configured values hold (of thresholds: regime.yml's, moved by
    `threshold_shifts`), and advice is all there is. changed: how many of
    the numbers in force are others than before. Sources: Bailey and Lopez de Prado (2012); Benjamini and Hochberg (1995).
    """
    bars = clock.bars
    returns = l6_performance_monitor.paper.epoch_return_bps[FIRST_VOTE : FIRST_VOTE + PATTERNS]
    add_returns(returns, carry.moments)
    chance = chances(carry.moments, float(meta.least_epochs))
    switch(chance, meta.pattern_off, meta.pattern_on, carry.on)
    configured = np.array(
        (regime.calm_mean[VOLATILITY], regime.high_vol_mean[VOLATILITY], regime.trend_up_mean[TREND], regime.crash_sigma)
    )
    levels = measured(
        l1_regime.vol_percentile[bars].reshape(-1),
        l1_regime.trend_t[bars].reshape(-1),
        regime.trend_scale,
        l2_returns_volatility.z[bars].reshape(-1),
        configured,
    )
    follow(levels, configured, meta.threshold_step, meta.threshold_most, carry.trail)
    base = np.array(meta.pattern_weights)
    weights = base * carry.on if meta.adapt_patterns else base
    shifts: Floats = carry.trail.shifts.copy() if meta.adapt_thresholds else np.array(meta.threshold_shifts)
    changed = changes(carry.pattern_weights, weights) + changes(carry.shifts, shifts)
    carry.pattern_weights[:], carry.shifts[:] = weights, shifts
    advised = configured + carry.trail.shifts
    return Adaptation(
        pattern_weights=PatternWeights(weights),
        regime_thresholds=RegimeThresholds(
            mean_shift=np.array(mean_shifts(shifts), np.float64),
            mean_shift_15=np.zeros((len(REGIMES), len(FEATURES))),
            crash_factor=np.array([1.0 + shifts[CRASH]]),
        ),
        advice=Advice(
            pattern_sharpe_chance=chance,
            pattern_weights=base * carry.on,
            calm_volatility=advised[CALM_VOLATILITY : CALM_VOLATILITY + 1],
            high_volatility=advised[HIGH_VOLATILITY : HIGH_VOLATILITY + 1],
            trend=advised[TREND_SIZE : TREND_SIZE + 1],
            crash_sigma=np.array([regime.crash_sigma * (1.0 + carry.trail.shifts[CRASH])]),
        ),
        changed=changed,
    )
