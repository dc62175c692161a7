"""Settings of the regime domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple, TypeAlias

from dataflows.config import setting

Features: TypeAlias = tuple[float, float, float, float, float]
"""One number for each feature: volatility, trend, volatility of volatility, spread, volume."""


class RegimeConfig(NamedTuple):
    """How the five regimes are told apart: emissions, stickiness and hysteresis of the filter.

    The emissions are fixed, not estimated: the states keep their meaning for ever. Within a feature all states share one
    standard deviation (except trend, of which chaos says little), so that the further out a feature is, the more it speaks for
    the outermost state; but for volatility, the deviations are above those of the features, because successive bars say much
    the same twice.
    """

    stay_bars: Annotated[
        float, setting("bars", "mean time for which a state stays, before the features speak", ge=1.3, le=1e8, least=60)
    ] = 200.0
    margin: Annotated[
        float, setting("probability", "by which a state leads all others before the label follows", ge=0, lt=1)
    ] = 0.15
    dwell_bars: Annotated[
        int, setting("bars", "for which it leads before the label follows; and for which forced CHAOTIC lasts", ge=1, least=2)
    ] = 5
    crash_sigma: Annotated[float, setting("sigma", "move from close to close beyond which CHAOTIC is forced", gt=0)] = 8.0
    wick_sigma: Annotated[
        float, setting("sigma", "the same for the bar's high or low, which reach further more often", gt=0)
    ] = 12.0
    forced_probability: Annotated[float, setting("probability", "of CHAOTIC while it is forced", gt=0.2, lt=1)] = 0.99
    feature_clip: Annotated[float, setting("score", "no feature counts as further out than this", gt=0)] = 6.0

    vol_scale: Annotated[float, setting("log ratio", "volatility over its usual that is one score", gt=0)] = 0.3
    vol_usual_halflife_bars: Annotated[
        float,
        setting("bars", "half-life of what volatility usually is, and of its course over the session", gt=0, le=1e8, least=240),
    ] = 20160.0
    trend_scale: Annotated[float, setting("t", "t-statistic that is one score: a random walk's typical one", gt=0)] = 7.5
    vov_halflife_bars: Annotated[float, setting("bars", "half-life of the mean move of log volatility", gt=0, least=10)] = 30.0
    usual_halflife_bars: Annotated[
        float, setting("bars", "half-life of what is usual for spread, volume and volatility of volatility", gt=0, least=60)
    ] = 1440.0
    relative_scale: Annotated[float, setting("log ratio", "departure from the usual that is one score", gt=0)] = 0.7

    vol_halflife_15: Annotated[float, setting("15-bars", "half-life of the range volatility", gt=0, least=4)] = 8.0
    vol_seed_15: Annotated[int, setting("15-bars", "that seed it", ge=1, least=4)] = 8
    vol_usual_halflife_15: Annotated[
        float, setting("15-bars", "half-life of what it usually is, and of its course over the session", gt=0, least=96)
    ] = 1344.0
    vov_halflife_15: Annotated[float, setting("15-bars", "half-life of the mean move of its logarithm", gt=0, least=4)] = 8.0
    usual_halflife_15: Annotated[float, setting("15-bars", "half-life of what is usual", gt=0, least=24)] = 192.0
    stay_15: Annotated[float, setting("15-bars", "mean time for which a state stays", ge=1.3, le=1e8, least=20)] = 500 / 15
    dwell_15: Annotated[int, setting("15-bars", "for which a state leads before label_15 follows", ge=1, least=2)] = 2

    calm_mean: Annotated[Features, setting("score", "volatility, trend, vol of vol, spread, volume when calm")] = (
        -0.5, 0.0, -0.3, -0.2, -0.4,
    )  # fmt: skip
    trend_up_mean: Annotated[Features, setting("score", "the same in a trend up")] = (0.0, 1.8, 0.0, 0.0, 0.2)
    trend_down_mean: Annotated[Features, setting("score", "the same in a trend down")] = (0.0, -1.8, 0.0, 0.0, 0.2)
    high_vol_mean: Annotated[Features, setting("score", "the same in high volatility")] = (1.2, 0.0, 0.2, 0.5, 0.5)
    chaotic_mean: Annotated[Features, setting("score", "the same in chaos")] = (3.6, 0.0, 1.6, 2.0, 2.0)
    calm_std: Annotated[Features, setting("score", "their standard deviations when calm", ge=0.01)] = (0.8, 1.5, 2.0, 2.0, 2.0)
    trend_up_std: Annotated[Features, setting("score", "the same in a trend up", ge=0.01)] = (0.8, 1.5, 2.0, 2.0, 2.0)
    trend_down_std: Annotated[Features, setting("score", "the same in a trend down", ge=0.01)] = (0.8, 1.5, 2.0, 2.0, 2.0)
    high_vol_std: Annotated[Features, setting("score", "the same in high volatility", ge=0.01)] = (0.8, 1.5, 2.0, 2.0, 2.0)
    chaotic_std: Annotated[Features, setting("score", "the same in chaos", ge=0.01)] = (0.8, 2.0, 2.0, 2.0, 2.0)

    change_every_bars: Annotated[
        float, setting("bars", "L64: mean time between two changes of the returns' law", gt=1, le=1e8, least=100)
    ] = 500.0
    change_r_max: Annotated[
        int,
        setting("bars", "L64: longest run that is told apart, at any clock: what a bar costs grows with it", ge=60, le=5000),
    ] = 720
    change_recent: Annotated[
        int,
        setting("bars", "L64: a run up to this length is a recent change, at any clock: so few returns tell it", ge=1, le=30),
    ] = 10
    change_clip: Annotated[float, setting("sigma", "L64: no return counts as larger than this", gt=0)] = 4.0
    change_alpha: Annotated[float, setting("shape", "L64: of the prior of a new law's precision", gt=0)] = 0.5
    change_beta: Annotated[float, setting("rate", "L64: of the prior of a new law's precision", gt=0)] = 0.5
    change_kappa: Annotated[float, setting("bars", "L64: that the prior of a new law's mean is worth", gt=0)] = 1.0

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if self.change_recent >= self.change_r_max:
            yield f"change_recent is {self.change_recent}; it must be below change_r_max ({self.change_r_max}). Typical: 10."
        for key in ("calm_std", "trend_up_std", "trend_down_std", "high_vol_std", "chaotic_std"):
            if not all(s > 0.0 for s in getattr(self, key)):
                yield f"{key} is {getattr(self, key)}; every standard deviation must be above 0."
