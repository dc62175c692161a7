"""L1: in which of five states the market is, on the base clock and on closed 15-bars."""

from __future__ import annotations

import functools
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.hmm import CrashState, FeatureState, FilterState, crash_flags, regime_filter
from dataflows.kernels.smooth import SeededEwm, halflife_alpha, seeded_ewm
from dataflows.kinematics.types import Returns, Slope
from dataflows.layer import layer
from dataflows.microstructure.types import SpreadDepth
from dataflows.panel import Floats
from dataflows.regime.config import Features, RegimeConfig
from dataflows.regime.types import Regime, RegimeThresholds


class RegimeCarry(NamedTuple):
    """Features and filter of both clocks."""

    features: Annotated[FeatureState, Bind(W="vol_window_bars")]
    crash: CrashState
    filter: FilterState
    variance_15: SeededEwm
    features_15: Annotated[FeatureState, Bind(W="vol_window_15")]
    filter_15: FilterState


@functools.lru_cache(maxsize=8)
def _tables(means: tuple[Features, ...], stds: tuple[Features, ...]) -> tuple[Floats, Floats, Floats]:
    """Means, deviations and their logarithms, (REGIMES, FEATURES) each; kept, since unpacking the tuples costs 8 us a bar."""
    return np.array(means, np.float64), np.array(stds, np.float64), np.log(np.array(stds, np.float64))


@layer("L1")
def l1_regime(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    l12_regression_slope_short: Slope,
    regime_thresholds: RegimeThresholds,
    regime: RegimeConfig,
    carry: RegimeCarry,
) -> Regime:
    """Hidden Markov filter with fixed Gaussian emissions; label by hysteresis; CHAOTIC by force in a crash.

    Returns panels (T, N): the five probabilities in [0, 1], which sum to 1; `label`, a REGIMES index, -1 while unknown;
    `confidence`, the label's probability; `vol_percentile` in [0, 1]; `trend_t`, the t-statistic of L12; `forced`, 0 or 1; the
    same with suffix _15. NaN until one feature is known (about 30 valid bars); held on filled and unknown bars.

    Features, each clipped at `feature_clip`: the normal quantile of sigma's rank among the last `vol_window_bars`; t of L12
    over `trend_scale`; and as log ratios to their usual size the mean move of log sigma (volatility of volatility), the quoted
    spread and the volume. An unknown feature is left out of the likelihood; so is a proxied spread, which is an average over
    hours and says nothing of this bar. A label follows a state that has led all others by `margin` for `dwell_bars` bars.

    Forced: a close further than `crash_sigma`, or a high or low further than `wick_sigma`, previous sigmas from the last valid
    close (after a gap: times the square root of its bars) is CHAOTIC on that bar and for `dwell_bars` valid bars more. The wick
    counts, so that a flash crash that is over within its bar is seen. Nothing is forced before L2 knows sigma.

    On closed 15-bars volatility is the range estimator of Parkinson (1980), exponentially weighted. Their trend is L20's and
    unknown without it: `trend_t_15` is NaN, and neither trend state can then lead the other or become the label.
    Source: Hamilton (1989); emissions are configured, not estimated.
    """
    m, quality, r = l0_market_feed, l0_market_feed.quality, l2_returns_volatility
    means, stds, log_stds = _tables(
        (regime.calm_mean, regime.trend_up_mean, regime.trend_down_mean, regime.high_vol_mean, regime.chaotic_mean),
        (regime.calm_std, regime.trend_up_std, regime.trend_down_std, regime.high_vol_std, regime.chaotic_std),
    )
    factor = float(regime_thresholds.crash_factor[0])
    spread, proxied = l8_spread_depth.spread_bps, l8_spread_depth.proxied
    trend = l12_regression_slope_short.t_stat

    crash = crash_flags(
        m.bars.close, m.bars.high, m.bars.low, quality.valid, r.z, r.sigma, r.sigma_floor,
        regime.crash_sigma * factor, regime.wick_sigma * factor, carry.crash,
    )  # fmt: skip
    calm, up, down, high_vol, chaotic, label, confidence, rank, forced = regime_filter(
        r.sigma, trend, regime.trend_scale, spread, proxied, m.bars.volume, quality.valid, crash,
        halflife_alpha(regime.vov_halflife_bars), halflife_alpha(regime.usual_halflife_bars), regime.relative_scale,
        regime.feature_clip, means, regime_thresholds.mean_shift, stds, log_stds, regime.stay, regime.margin, regime.dwell_bars,
        regime.forced_probability, carry.features, carry.filter,
    )  # fmt: skip

    closed = m.bars_15.closed
    span = np.log(m.bars_15.high / m.bars_15.low)
    variance = seeded_ewm(
        span * span, closed, halflife_alpha(regime.vol_halflife_15), regime.vol_seed_15, carry.variance_15
    )  # 4 log 2 times the estimate and not its root: no rank, and no ratio to the usual, sees the difference
    trend_15 = np.full(trend.shape, np.nan)
    calm_15, up_15, down_15, high_vol_15, chaotic_15, label_15, confidence_15, rank_15, _ = regime_filter(
        variance, trend_15, regime.trend_scale, spread, proxied, m.bars_15.volume, closed,
        np.zeros(closed.shape, np.int64), halflife_alpha(regime.vov_halflife_15), halflife_alpha(regime.usual_halflife_15),
        regime.relative_scale, regime.feature_clip, means, regime_thresholds.mean_shift_15, stds, log_stds,
        regime.stay_15, regime.margin, regime.dwell_15, regime.forced_probability, carry.features_15, carry.filter_15,
    )  # fmt: skip
    return Regime(
        calm, up, down, high_vol, chaotic, label, confidence, rank, trend, forced,
        calm_15, up_15, down_15, high_vol_15, chaotic_15, label_15, confidence_15, rank_15, trend_15,
    )  # fmt: skip
