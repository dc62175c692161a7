"""L7: one score out of all sources, weighted by what worked in each regime."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.fusion.config import FusionConfig
from dataflows.fusion.ensemble import Overlap, tilted_weights, weighted_score
from dataflows.fusion.types import Ensemble, Policy, Signals, SourceWeights
from dataflows.kernels.smooth import halflife_alpha
from dataflows.layer import layer
from dataflows.regime.types import Regime


class EnsembleCarry(NamedTuple):
    """What the sources have had in common so far."""

    overlap: Overlap


@layer("L7")
def l7_ensemble(
    l1_regime: Regime,
    l66_signal_matrix: Signals,
    source_weights: SourceWeights,
    policy: Policy,
    fusion: FusionConfig,
    carry: EnsembleCarry,
) -> Ensemble:
    """Score (T, N) in [-1, 1] and each source's part of it (T, N, K); the parts add up to the score.

    A source's weight is the mean of its weights in the five regimes by their PROBABILITIES, so that the score does not jump
    when the label does. It is L6's weight times the configuration's `source_weights` times the policy's tilt, over the sum of
    the source's squared correlations with all sources that have a weight, itself included: three sources that say the same
    count as one. Correlations are uncentred, over the bars before this one, with half-life `signal_halflife_bars`; an unknown
    value counts 0. The weights of the sources that have ever been known are not negative and sum to 1, so a data set without a
    book has the same scale. The score rises with every source that has a weight. One that is unknown now gives 0 and the rest
    are not renormalised; NaN where the regime or every source is unknown. Source: linear opinion pool (Stone 1961).
    """
    return Ensemble(
        *weighted_score(
            l66_signal_matrix.values,
            (l1_regime.calm, l1_regime.trend_up, l1_regime.trend_down, l1_regime.high_vol, l1_regime.chaotic),
            tilted_weights(source_weights.weights, policy.tilt * np.array(fusion.source_weights)),
            halflife_alpha(fusion.signal_halflife_bars),
            carry.overlap,
        )
    )
