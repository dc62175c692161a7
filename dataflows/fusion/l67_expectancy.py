"""L67: what the sources have been worth so far, and how sure we are of it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind
from dataflows.data.types import DataConfig, Market
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.edge_calibration import USUAL_DAYS, Usual
from dataflows.fusion.edge_equations import LearningRules, Solution, Sums
from dataflows.fusion.edge_regression import learn_edges, relative_weights
from dataflows.fusion.edge_samples import Outcomes, Pending, Predictors
from dataflows.fusion.ensemble import tilted_weights
from dataflows.fusion.types import Ensemble, Expectancy, K, Policy, Signals, SourceWeights
from dataflows.layer import layer
from dataflows.regime.types import Regime
from dataflows.risk.types import VolForecast


class ExpectancyCarry(NamedTuple):
    """Samples whose time is not up, what the others added up to, and what follows from these."""

    pending: Annotated[Pending, Bind(C="len(horizons)", S=K)]
    sums: Annotated[Sums, Bind(C="len(horizons)", S=K, P=K * (K + 1) // 2)]
    solution: Annotated[Solution, Bind(C="len(horizons)", S=K)]
    usual: Usual


@layer("L67", cross_sectional=True)
def l67_expectancy(
    l0_market_feed: Market,
    l1_regime: Regime,
    l7_ensemble: Ensemble,
    l66_signal_matrix: Signals,
    l76_volatility_forecast: VolForecast,
    source_weights: SourceWeights,
    policy: Policy,
    data: DataConfig,
    fusion: FusionConfig,
    carry: ExpectancyCarry,
) -> Expectancy:
    """Expected return of a long position at each of `horizons`: the layer that L3 acts on. L7's score is for reading.

    Returns edge_bps and edge_std_bps (T, N, H), signed and in bps; effective_observations (T, N, H); slope_by_source
    (T, N, K), bps per unit of the source at `success_horizon_bars` before the factors below; parts_bps, what each source and a
    stated belief give to each edge, which is their sum. NaN while L7's score, a regime's probability or L76's volatility is
    unknown. An unknown source counts 0.

    A sample is the sources at close s and the simple return from the OPEN of bar s+1 to the close of s+h, over sigma * sqrt(h)
    and cut off at 4: what an order decided at s could have had. One is made every max(1, h // 5) bars and weighs that over h,
    so that the weights of overlapping ones sum to 1. It counts at s+h, before that bar's prediction. It is void if what it
    needs is unknown, if bar s, s+1 or s+h is filled or unknown, or if more than `max_gap` bars of its life are. Samples fade
    with a half-life of `forget_halflife` effective observations of time; while no symbol has one, nothing fades.

    Slopes are the posterior mean of a linear regression on all sources at once, of any sign. The prior of each is 0, worth
    `prior_strength` observations of the source's typical square (`prior_source`^2, then its mean), over the square of its
    weight. The weight is L6's times `source_weights` times the policy's tilt, 1 for the heaviest; 0 leaves a source out. All
    symbols share slopes from which each one's own differ as a prior of `symbol_strength` observations allows: a symbol's prior
    is the posterior of the others, whose samples are divided by Kish's design effect, since symbols move together. The
    equations are solved every max(step, min(16, h)) bars.

    What they claim is multiplied with two factors in [0, 2], each the slope of what came on what was claimed before: by how
    volatile the market was (1/2, 1, 2 or 4 times the symbol's usual volatility, the geometric mean so far), then by regime.
    They are drawn (`regime_strength`) to the slope of all, and that to 1; beyond the usual volatility to what keeps the edge
    from growing with it. Both are mixed, by distance and by the regimes' PROBABILITIES: no label that changes moves anything.

    edge_std_bps is the posterior standard deviation, by the symbol's residual variance, whose prior is sigma^2 h. A positive
    `prior_slope_bps` is a stated belief, that much a unit of L7's score at `success_horizon_bars` and beyond, less at shorter
    horizons by the square root of time: samples are what came beside it, and `prior_strength` observations count as made.
    Sources: hierarchical linear model (Lindley and Smith 1972; Gelman et al. 2013, ch. 14 and 15); average uniqueness of
    overlapping labels (Lopez de Prado 2018, ch. 4); design effect (Kish 1965); slope of outcomes on forecasts (Mincer and
    Zarnowitz 1969); edges and volatility (Moreira and Muir 2017).
    """
    weights = tilted_weights(source_weights.weights, policy.tilt * np.array(fusion.source_weights))
    return learn_edges(
        Outcomes(open=l0_market_feed.bars.open, close=l0_market_feed.bars.close, valid=l0_market_feed.quality.valid),
        Predictors(
            sources=l66_signal_matrix.values,
            regimes=(l1_regime.calm, l1_regime.trend_up, l1_regime.trend_down, l1_regime.high_vol, l1_regime.chaotic),
            score=l7_ensemble.score,
            sigma=l76_volatility_forecast.sigma_bar,
        ),
        relative_weights(weights),
        LearningRules(
            horizons=fusion.horizons,
            belief_horizon=fusion.success_horizon_bars,
            max_gap=data.max_gap,
            prior_strength=fusion.prior_strength,
            prior_source=fusion.prior_source,
            prior_slope_bps=fusion.prior_slope_bps,
            symbol_strength=fusion.symbol_strength,
            regime_strength=fusion.regime_strength,
            forget_halflife=fusion.forget_halflife,
            usual_bars=USUAL_DAYS * data.bars_a_day,
        ),
        carry.pending,
        carry.sums,
        carry.solution,
        carry.usual,
    )
