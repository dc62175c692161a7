"""L67: what the score has been worth so far, and how sure we are of it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import DataConfig, Market
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.edge_learning import LearningRules, Outcomes, Pending, Predictors, Sums, learn_edges
from dataflows.fusion.types import Ensemble, Expectancy, K, Signals
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.regime.types import Regime


class ExpectancyCarry(NamedTuple):
    """Samples whose time is not up, and what the others added up to."""

    pending: Annotated[Pending, Bind(W="max(horizons)", S=K)]
    by_score: Annotated[Sums, Bind(C="len(horizons)")]
    by_source: Annotated[Sums, Bind(C=K)]


@layer("L67")
def l67_expectancy(
    l0_market_feed: Market,
    l1_regime: Regime,
    l2_returns_volatility: Returns,
    l7_ensemble: Ensemble,
    l66_signal_matrix: Signals,
    data: DataConfig,
    fusion: FusionConfig,
    carry: ExpectancyCarry,
) -> Expectancy:
    """Expected return of a long position at four horizons: edge = b * score, b learned per symbol, regime and horizon.

    Returns edge_bps and edge_std_bps (T, N, 4), in bps, the sign of the score; effective_observations (T, N, 4);
    slope_by_source (T, N, K sources), bps per unit of the source at the third horizon. NaN while the score or the regime's
    label is unknown (edge_std_bps also while volatility is).

    A sample is the score at close s and the simple return from the OPEN of bar s+1 to the close of s+h: what an order decided
    at s could have had. It counts at s+h, before that bar's prediction, for the regime of s. It is void if the score or the
    label is unknown, if bar s, s+1 or s+h is filled or unknown, or if more than `max_gap` bars of its life are.
    Samples of h bars overlap, so each weighs 1/h; the sum of weights is the number of effective observations. They fade with a
    half-life of `forget_halflife` effective observations of their regime and horizon: an outage forgets nothing.

    b is the posterior mean of a regression through 0, clipped at b >= 0: a score that was wrong is no reason to bet against it.
    Its prior has mean `prior_slope_bps` (at the third horizon; at others in proportion to the square root of time) and is worth
    `prior_strength` effective observations. edge_std_bps is |score| times the posterior standard deviation of the unclipped b,
    by the samples' residual variance, shrunk to today's volatility, so that it is finite and large before anything is learned.
    A positive prior slope is a stated belief: then the prior counts as `prior_strength` effective observations too, so that
    L3's least experience is met at once. With the default of 0 a cold start has no edge and no experience, and refuses.

    slope_by_source is the same regression of each source by itself, unclipped and with no belief. A diagnostic: sources are
    correlated, so these slopes must not be summed.
    Sources: Bayesian linear regression (Gelman et al. 2013, ch. 14; Zellner 1986 for the prior's scale); average uniqueness of
    overlapping labels (Lopez de Prado 2018, ch. 4).
    """
    bars = l0_market_feed.bars
    return learn_edges(
        Outcomes(open=bars.open, close=bars.close, valid=l0_market_feed.quality.valid),
        Predictors(
            score=l7_ensemble.score,
            sources=l66_signal_matrix.values,
            regime=l1_regime.label,
            sigma=l2_returns_volatility.sigma,
        ),
        LearningRules(
            horizons=fusion.horizons,
            max_gap=data.max_gap,
            prior_strength=fusion.prior_strength,
            prior_slope_bps=fusion.prior_slope_bps,
            prior_score=fusion.prior_score,
            forget_halflife=fusion.forget_halflife,
        ),
        carry.pending,
        carry.by_score,
        carry.by_source,
    )
