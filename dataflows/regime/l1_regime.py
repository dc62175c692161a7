"""L1: in which of five states the market is, on the base clock and on closed 15-bars."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.data.types import DataConfig, Market
from dataflows.kernels.arith import log_panel
from dataflows.kernels.smooth import SeededEwm, halflife_alpha, seeded_ewm
from dataflows.kinematics.types import Returns, Slope
from dataflows.layer import layer
from dataflows.microstructure.types import SpreadDepth
from dataflows.panel import Floats, Ints
from dataflows.regime.config import Features, RegimeConfig
from dataflows.regime.hidden_markov import (
    CONFIDENCE,
    FORCED,
    LABEL,
    PARTS,
    VOL_PERCENTILE,
    RegimeState,
    SessionClock,
    regime_filter,
)
from dataflows.regime.types import CALM, CHAOTIC, HIGH_VOL, TREND_DOWN, TREND_UP, Regime, RegimeThresholds
from dataflows.runtime.made import made_once


class RegimeCarry(NamedTuple):
    """The filters of both clocks, and the volatility of 15-bars."""

    base: RegimeState
    variance_15: SeededEwm
    higher: RegimeState


@made_once
def _tables(means: tuple[Features, ...], stds: tuple[Features, ...]) -> tuple[Floats, Floats, Floats]:
    """Means, deviations and their logarithms, (REGIMES, FEATURES) each; kept, since unpacking the tuples costs 8 us a bar."""
    return np.array(means, np.float64), np.array(stds, np.float64), np.log(np.array(stds, np.float64))


def _session(bar: Ints, bars_a_day: int, frame: int, halflife: float) -> SessionClock:
    """The clock of the filter on bars of `frame` base bars. bar: (T, N), base bars since the session's start."""
    parts = min(PARTS, bars_a_day // frame)
    if parts < 2:
        parts = 0
    return SessionClock(
        place=(bar + 0.5) / bars_a_day,
        parts=parts,
        bars_a_part=bars_a_day / frame / max(parts, 1),
        alpha=halflife_alpha(halflife),
        alpha_part=halflife_alpha(halflife / max(parts, 1)),
    )


@layer("L1")
def l1_regime(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l8_spread_depth: SpreadDepth,
    l12_regression_slope_short: Slope,
    l20_regression_slope_medium: Slope,
    regime_thresholds: RegimeThresholds,
    data: DataConfig,
    regime: RegimeConfig,
    carry: RegimeCarry,
) -> Regime:
    """Hidden Markov filter with fixed Gaussian emissions; label by hysteresis; CHAOTIC by force in a crash.

    Returns panels (T, N): the five probabilities in [0, 1], which sum to 1; `label`, a REGIMES index, -1 while unknown;
    `confidence`, the label's probability; `vol_percentile` in [0, 1]; `trend_t`, the t-statistic of L12; `forced`, 0 or 1; the
    same with suffix _15. NaN until one feature is known (about 30 valid bars); held on filled and unknown bars.

    Features, each clipped at `feature_clip`: log sigma less its usual, over `vol_scale`; t of L12 over `trend_scale`; and as
    log ratios to their usual size the mean move of log sigma (volatility of volatility), the quoted spread and the volume. The
    usual log sigma is a mean of weeks (`vol_usual_halflife_bars`) and a profile over the session in up to 24 parts, both
    learned from the bars before: a regime is not the hour of the day, and a wild week stays wild on its second day. An unknown
    feature is left out of the likelihood; so is a proxied spread, which is an average over hours and says nothing of this bar.
    A label follows a state that has led all others by `margin` for `dwell_bars` bars. vol_percentile: about the share of usual
    bars that are calmer, the logistic function of the first feature.

    Forced: a close further than `crash_sigma`, or a high or low further than `wick_sigma`, previous sigmas from the last valid
    close (after a gap: times the square root of its bars) is CHAOTIC on that bar and for `dwell_bars` valid bars more. The wick
    counts, so that a flash crash that is over within its bar is seen. Nothing is forced before L2 knows sigma.

    On closed 15-bars volatility is the range estimator of Parkinson (1980), exponentially weighted, and the trend is L20's.
    Source: Hamilton (1989); emissions are configured, not estimated.
    """
    bars, higher, r = l0_market_feed.bars, l0_market_feed.bars_15, l2_returns_volatility
    bar = l0_market_feed.session.bar_of_session
    spread, proxied, trend = l8_spread_depth.spread_bps, l8_spread_depth.proxied, l12_regression_slope_short.t_stat
    factor = float(regime_thresholds.crash_factor[0])
    means, stds, log_stds = _tables(
        (regime.calm_mean, regime.trend_up_mean, regime.trend_down_mean, regime.high_vol_mean, regime.chaotic_mean),
        (regime.calm_std, regime.trend_up_std, regime.trend_down_std, regime.high_vol_std, regime.chaotic_std),
    )
    p, code = regime_filter(
        close=bars.close,
        high=bars.high,
        low=bars.low,
        volume=bars.volume,
        on=l0_market_feed.quality.valid,
        z=r.z,
        sigma=r.sigma,
        floor=r.sigma_floor,
        trend=trend,
        spread=spread,
        proxied=proxied,
        limit=regime.crash_sigma * factor,
        wick=regime.wick_sigma * factor,
        clock=_session(bar, data.bars_a_day, 1, regime.vol_usual_halflife_bars),
        vol_scale=regime.vol_scale,
        vov_alpha=halflife_alpha(regime.vov_halflife_bars),
        usual_alpha=halflife_alpha(regime.usual_halflife_bars),
        relative_scale=regime.relative_scale,
        trend_scale=regime.trend_scale,
        clip=regime.feature_clip,
        means=means,
        shift=regime_thresholds.mean_shift,
        stds=stds,
        log_stds=log_stds,
        stay=1.0 - 1.0 / regime.stay_bars,
        margin=regime.margin,
        dwell=regime.dwell_bars,
        forced_probability=regime.forced_probability,
        state=carry.base,
    )

    span = log_panel(higher.high / higher.low)
    variance = seeded_ewm(
        span * span, higher.closed, halflife_alpha(regime.vol_halflife_15), regime.vol_seed_15, carry.variance_15
    )  # 4 log 2 times the estimate: no ratio to the usual sees the difference
    unknown = np.full(trend.shape, np.nan)
    trend_15 = l20_regression_slope_medium.t_stat
    p_15, code_15 = regime_filter(
        close=higher.close,
        high=higher.high,
        low=higher.low,
        volume=higher.volume,
        on=higher.closed,
        z=unknown,
        sigma=np.sqrt(variance),
        floor=unknown,
        trend=trend_15,
        spread=spread,
        proxied=proxied,
        limit=math.inf,
        wick=math.inf,
        clock=_session(bar, data.bars_a_day, data.timeframes[1], regime.vol_usual_halflife_15),
        vol_scale=regime.vol_scale,
        vov_alpha=halflife_alpha(regime.vov_halflife_15),
        usual_alpha=halflife_alpha(regime.usual_halflife_15),
        relative_scale=regime.relative_scale,
        trend_scale=regime.trend_scale,
        clip=regime.feature_clip,
        means=means,
        shift=regime_thresholds.mean_shift_15,
        stds=stds,
        log_stds=log_stds,
        stay=1.0 - 1.0 / regime.stay_15,
        margin=regime.margin,
        dwell=regime.dwell_15,
        forced_probability=regime.forced_probability,
        state=carry.higher,
    )
    return Regime(
        calm=p[CALM],
        trend_up=p[TREND_UP],
        trend_down=p[TREND_DOWN],
        high_vol=p[HIGH_VOL],
        chaotic=p[CHAOTIC],
        label=code[LABEL],
        confidence=p[CONFIDENCE],
        vol_percentile=p[VOL_PERCENTILE],
        trend_t=trend,
        forced=code[FORCED],
        calm_15=p_15[CALM],
        trend_up_15=p_15[TREND_UP],
        trend_down_15=p_15[TREND_DOWN],
        high_vol_15=p_15[HIGH_VOL],
        chaotic_15=p_15[CHAOTIC],
        label_15=code_15[LABEL],
        confidence_15=p_15[CONFIDENCE],
        vol_percentile_15=p_15[VOL_PERCENTILE],
        trend_t_15=trend_15,
    )
