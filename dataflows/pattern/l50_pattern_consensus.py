"""L50: what the patterns say together, each by what it has been worth."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import DataConfig, Market
from dataflows.kernels.ftrl import Ftrl, Rates
from dataflows.kernels.labels import PricePath, Samples
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.consensus import OutcomeRules, Voices, agree
from dataflows.pattern.types import PATTERNS, PatternConsensus, PatternSignal, PatternWeights


class PatternConsensusCarry(NamedTuple):
    """Votes whose outcome is not known yet, and a regression on those whose is."""

    samples: Annotated[Samples, Bind(W="consensus_horizon_bars", F=PATTERNS)]
    regression: Annotated[Ftrl, Bind(F=PATTERNS)]


@layer("L50")
def l50_pattern_consensus(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l26_breakout_confirmed: PatternSignal,
    l27_failed_breakout: PatternSignal,
    l28_pullback_in_trend: PatternSignal,
    l29_flag_continuation: PatternSignal,
    l30_volatility_compression: PatternSignal,
    l31_volatility_expansion: PatternSignal,
    l32_range_reversion: PatternSignal,
    l33_liquidity_sweep: PatternSignal,
    l34_liquidity_vacuum: PatternSignal,
    l35_exhaustion_climax: PatternSignal,
    l36_momentum_divergence: PatternSignal,
    l37_double_extreme: PatternSignal,
    l38_structure_break: PatternSignal,
    l39_gap_reversion: PatternSignal,
    l40_opening_range_break: PatternSignal,
    l41_vwap_reversion: PatternSignal,
    l42_vwap_hold: PatternSignal,
    l43_narrow_range_break: PatternSignal,
    l44_reversal_bar: PatternSignal,
    l45_absorption: PatternSignal,
    l46_flow_continuation: PatternSignal,
    l47_impact_reversal: PatternSignal,
    l48_lead_lag: PatternSignal,
    l49_relative_strength: PatternSignal,
    pattern_weights: PatternWeights,
    data: DataConfig,
    pattern: PatternConfig,
    carry: PatternConsensusCarry,
) -> PatternConsensus:
    """Chance that the upper of two barriers comes first, by logistic regression on the patterns' votes. Panels (T, N).

    A vote is side * confidence, in [-1, 1]; votes (T, N, 24), L26 to L49. It counts times its `pattern_weights`. p_up =
    logistic(w . what counts), w learned per symbol and with no intercept: 0.5 with no vote or before any label. score = 2
    p_up - 1. dominant: id of the layer whose vote counts most, the first of equals, 0 without one. active_count: patterns
    with a side or a confidence.

    The bar at close s is a sample if any of its votes has a weight and is not 0 and it was observed. Entry: the OPEN of
    s+1. Barriers: `consensus_barrier_sigma` * sigma(s) * sqrt(`consensus_horizon_bars`) of the entry above and below. The
    first that a later bar reaches decides; both in one bar: no label; neither within the horizon: the sign of the return,
    at half the weight. A sample is void if the bar of its entry or of its time-out was not observed, if more than `max_gap`
    bars of its life were not, or if sigma is not known. Each weighs its average uniqueness, the mean of 1 over the samples
    alive with it. At each close the samples that it resolves are learned from, oldest first, with the votes as they were
    stored, the weights of that day included; then p_up is told; then the new sample is stored. A weight of 0 deactivates a
    pattern: its vote counts for nothing then, and what is learned meanwhile does not touch it. O(1) a bar, but O(horizon)
    where a barrier is reached.
    Source: FTRL-proximal, McMahan et al. (2013); barriers and uniqueness: Lopez de Prado (2018), ch. 3 and 4.
    """
    bars = l0_market_feed.bars
    return agree(
        Voices(
            sides=(
                l26_breakout_confirmed.side,
                l27_failed_breakout.side,
                l28_pullback_in_trend.side,
                l29_flag_continuation.side,
                l30_volatility_compression.side,
                l31_volatility_expansion.side,
                l32_range_reversion.side,
                l33_liquidity_sweep.side,
                l34_liquidity_vacuum.side,
                l35_exhaustion_climax.side,
                l36_momentum_divergence.side,
                l37_double_extreme.side,
                l38_structure_break.side,
                l39_gap_reversion.side,
                l40_opening_range_break.side,
                l41_vwap_reversion.side,
                l42_vwap_hold.side,
                l43_narrow_range_break.side,
                l44_reversal_bar.side,
                l45_absorption.side,
                l46_flow_continuation.side,
                l47_impact_reversal.side,
                l48_lead_lag.side,
                l49_relative_strength.side,
            ),
            confidences=(
                l26_breakout_confirmed.confidence,
                l27_failed_breakout.confidence,
                l28_pullback_in_trend.confidence,
                l29_flag_continuation.confidence,
                l30_volatility_compression.confidence,
                l31_volatility_expansion.confidence,
                l32_range_reversion.confidence,
                l33_liquidity_sweep.confidence,
                l34_liquidity_vacuum.confidence,
                l35_exhaustion_climax.confidence,
                l36_momentum_divergence.confidence,
                l37_double_extreme.confidence,
                l38_structure_break.confidence,
                l39_gap_reversion.confidence,
                l40_opening_range_break.confidence,
                l41_vwap_reversion.confidence,
                l42_vwap_hold.confidence,
                l43_narrow_range_break.confidence,
                l44_reversal_bar.confidence,
                l45_absorption.confidence,
                l46_flow_continuation.confidence,
                l47_impact_reversal.confidence,
                l48_lead_lag.confidence,
                l49_relative_strength.confidence,
            ),
            weights=pattern_weights.weights,
        ),
        PricePath(open=bars.open, high=bars.high, low=bars.low, close=bars.close, valid=l0_market_feed.quality.valid),
        l2_returns_volatility.sigma,
        OutcomeRules(
            distance=pattern.consensus_barrier_sigma * math.sqrt(pattern.consensus_horizon_bars),
            max_gap=data.max_gap,
            rates=Rates(
                alpha=pattern.consensus_alpha,
                beta=pattern.consensus_beta,
                l1=pattern.consensus_l1,
                l2=pattern.consensus_l2,
            ),
        ),
        carry.samples,
        carry.regression,
    )
