"""Configuration of the expectancy and fusion domain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, Final, NamedTuple

from dataflows.config import setting
from dataflows.fusion.types import SOURCES, K

MOST_HORIZONS: Final = 5


class FusionConfig(NamedTuple):
    """How sources become a score, the score an expected edge, and the edge a proposal."""

    signal_halflife_bars: Annotated[
        float, setting("bars", "L66, L7: half-life of the spreads of the sources and of their correlations", gt=0, least=60)
    ] = 1440.0
    external_max_age_bars: Annotated[
        int, setting("bars", "L66: how long an external value holds that nothing replaces", ge=0, least=1)
    ] = 1440
    source_weights: Annotated[
        tuple[float, ...],
        setting("relative", "L7, L67: weight of each source, in the order of SOURCES; 0 leaves it out", ge=0, le=1000),
    ] = (1.0,) * K
    horizons: Annotated[
        tuple[int, ...],
        setting(
            "bars",
            "L67: the horizons at which the sources' worth is learned, at most five, ascending",
            least=2,
            ladder=("15s", "1m", "15m", "1h", "4h", "1d", "5d", "2w", "4w", "12w", "24w"),
        ),
    ] = (15, 60, 240, 1440, 7200)
    prior_strength: Annotated[
        float,
        setting("observations", "L67: effective observations that the prior is worth; of slopes and residual variance", gt=0),
    ] = 100.0
    prior_source: Annotated[float, setting("score", "L67: size of a typical source before any is seen", gt=0, le=1)] = 0.3
    prior_slope_bps: Annotated[
        float,
        setting(
            "bps per unit of score",
            "L67: belief in the score at success_horizon_bars (shorter: by the square root of time); 0 claims nothing",
            ge=0,
        ),
    ] = 0.0
    symbol_strength: Annotated[
        float, setting("observations", "L67: effective observations by which a symbol's slopes are drawn to all symbols'", gt=0)
    ] = 400.0
    regime_strength: Annotated[
        float, setting("observations", "L67: effective observations by which a regime's factor is drawn to all regimes'", gt=0)
    ] = 100.0
    forget_halflife: Annotated[
        float, setting("observations", "L67, L68: half-life of a sample, in effective observations of its kind", gt=0)
    ] = 3000.0
    success_horizon_bars: Annotated[
        int,
        setting(
            "bars", "L68: time in which the target must come; one of horizons", ge=1, least=4, ladder=("1h", "4h", "1d", "5d")
        ),
    ] = 60
    success_alpha: Annotated[float, setting("log odds", "L68: learning rate of a weight", gt=0)] = 0.05
    success_beta: Annotated[float, setting("root of squared gradients", "L68: holds back the first steps", gt=0)] = 1.0
    success_l1: Annotated[float, setting("gradient", "L68: evidence below which a weight is 0", ge=0)] = 0.1
    success_l2: Annotated[float, setting("gradient per log odds", "L68: pull of every weight to 0", ge=0)] = 1.0
    cost_fee_bps: Annotated[float, setting("bps", "L71: taker fee where the instrument's is unknown", ge=0)] = 5.0
    cost_reference_notional: Annotated[
        float, setting("quote currency", "L71: order size that is costed", gt=0, of_account=True)
    ] = 10000.0
    cost_delta: Annotated[
        float, setting("exponent", "L71: exponent of impact; 0.5 the square-root law, 0.6 Almgren et al. (2005)", gt=0, le=1)
    ] = 0.5
    cost_halflife_bars: Annotated[
        float, setting("bars", "L71: half-life of the mean traded notional and of the mean funding", gt=0, least=20)
    ] = 1440.0
    cost_seed_bars: Annotated[int, setting("bars", "L71: bars whose simple mean starts both", ge=1, least=5)] = 60
    decay_halflife_bars: Annotated[float, setting("bars", "L73: time in which freshness halves", gt=0, least=3)] = 30.0
    decay_step: Annotated[
        float, setting("score", "L73: move of the sources' mean, to its side, that renews the signal", gt=0, le=1)
    ] = 0.14
    kelly_fraction: Annotated[float, setting("fraction", "L75: share of the Kelly bet that is suggested", gt=0, le=1)] = 0.25
    kelly_cap: Annotated[float, setting("fraction of equity", "L75: most that is ever suggested", gt=0, le=1)] = 0.2
    leave_cost: Annotated[
        float, setting("multiple", "L3: of the round trip's cost; an edge that much against a side ends it", ge=0)
    ] = 0.5
    leave_halflife: Annotated[
        float, setting("fraction", "L3: half-life of the mean edge that ends a side, of its horizon", gt=0)
    ] = 0.15
    entry_min_t: Annotated[float, setting("standard errors", "L3: net edge that an entry needs", ge=0)] = 1.3
    entry_min_observations: Annotated[
        float, setting("observations", "L3: effective observations that an entry needs", ge=0)
    ] = 100.0

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        rises = all(a < b for a, b in itertools.pairwise(self.horizons))
        if not 1 <= len(self.horizons) <= MOST_HORIZONS or self.horizons[0] < 1 or not rises:
            yield f"horizons is {list(self.horizons)}; write 1 to {MOST_HORIZONS} different numbers of bars, shortest first."
        if self.success_horizon_bars not in self.horizons:
            yield f"success_horizon_bars is {self.success_horizon_bars}; it must be one of horizons {list(self.horizons)}."
        if len(self.source_weights) != K:
            yield f"source_weights has {len(self.source_weights)} numbers; write {K}, one for each of {', '.join(SOURCES)}."
        elif not sum(self.source_weights) > 0.0:
            yield "source_weights are all 0; give at least one source a weight."
