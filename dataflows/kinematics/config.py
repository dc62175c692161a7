"""Configuration of the kinematics domain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting


class KinematicsConfig(NamedTuple):
    """Windows and scales of the kinematics domain. Bars are of the base clock unless the key says otherwise."""

    volatility_halflife: Annotated[int, setting("bars", "half-life and seed of L2's volatility", ge=2, least=20)] = 60
    volatility_halflife_slow: Annotated[int, setting("bars", "half-life and seed of L2's slow volatility", ge=2, least=60)] = (
        1440
    )
    volatility_range_window: Annotated[int, setting("bars", "window of the range volatilities", ge=3, least=20)] = 60
    volatility_atr: Annotated[int, setting("bars", "period of L2's average true ranges", ge=2)] = 14
    volatility_floor_ticks: Annotated[float, setting("ticks", "the least volatility of a bar", ge=0)] = 0.25
    volatility_outlier_most: Annotated[
        float, setting("sigmas", "most of the volatility so far that a return which L0 flags counts for in L2's averages", ge=1)
    ] = 10.0
    trend_short_spans: Annotated[
        tuple[int, int, int], setting("bars", "spans of L11's three averages, fastest first", ge=2)
    ] = (8, 21, 55)
    trend_medium_spans: Annotated[
        tuple[int, int, int], setting("15-bars", "spans of L19's three averages, fastest first", ge=2)
    ] = (8, 21, 55)
    trend_medium_atr: Annotated[int, setting("15-bars", "period of L19's average true range", ge=2)] = 14
    trend_scale_atr: Annotated[float, setting("ATR", "spread of the averages that scores tanh(1)", gt=0)] = 2.0
    trend_mixed: Annotated[
        float, setting("fraction", "part of the score that is left when the averages disagree", ge=0, le=1)
    ] = 0.5
    slope_short_bars: Annotated[int, setting("bars", "window of L12's regression", ge=3, least=10)] = 30
    slope_medium_bars: Annotated[int, setting("15-bars", "window of L20's regression", ge=3, least=10)] = 32
    slope_medium_lags: Annotated[int, setting("15-bars", "lags that L20's errors allow for", ge=0)] = 4
    momentum_short_horizons: Annotated[
        tuple[int, int, int],
        setting(
            "bars",
            "horizons of L14, shortest first",
            ge=1,
            least=2,
            ladder=("5m", "15m", "30m", "1h", "2h", "4h", "12h", "1d", "2d", "1w", "2w"),
        ),
    ] = (
        5,
        15,
        30,
    )
    momentum_medium_horizons: Annotated[
        tuple[int, int, int],
        setting(
            "bars",
            "horizons of L21, shortest first",
            ge=2,
            least=10,
            ladder=("4h", "12h", "1d", "2d", "1w", "4w", "12w", "24w"),
        ),
    ] = (
        240,
        720,
        1440,
    )
    momentum_medium_skip: Annotated[int, setting("bars", "latest bars that L21 leaves out", ge=0, least=1)] = 15
    momentum_scale: Annotated[float, setting("deviations", "scaled return that scores tanh(1)", gt=0)] = 1.0
    rsi_short_period: Annotated[int, setting("bars", "period of L15, on each of its clocks", ge=2)] = 14
    macd_spans: Annotated[tuple[int, int, int], setting("bars", "L16's fast and slow average, and its signal's", ge=2)] = (
        12,
        26,
        9,
    )
    directional_short_period: Annotated[int, setting("5-bars", "period of L17", ge=2)] = 14
    directional_medium_period: Annotated[int, setting("60-bars", "period of L22", ge=2)] = 14
    directional_full_adx: Annotated[
        float, setting("points", "ADX from which L17 and L22 score with full strength", gt=0, le=100)
    ] = 40.0
    breakout_short_bars: Annotated[int, setting("bars", "window of L18's channel", ge=2, least=20)] = 60
    channel_bars: Annotated[int, setting("60-bars", "window of L23's bands", ge=2)] = 20
    channel_bollinger: Annotated[float, setting("deviations", "half width of Bollinger's bands", gt=0)] = 2.0
    channel_keltner: Annotated[float, setting("ATR", "half width of Keltner's bands", gt=0)] = 1.5
    kalman_q_level: Annotated[
        float, setting("ratio", "variance that moves L13's level in a bar, over the observation's", ge=0)
    ] = 0.1
    kalman_q_velocity: Annotated[
        float, setting("ratio", "variance that moves L13's velocity in a bar, over the observation's", gt=0)
    ] = 0.001
    ratio_window_bars: Annotated[int, setting("bars", "window of L24's variance ratio", ge=20, least=100)] = 480
    ratio_horizon_bars: Annotated[int, setting("bars", "moves that L24 holds against those of one bar", ge=2, least=5)] = 15
    derivative_bars: Annotated[int, setting("bars", "bars that L51's polynomial fits", ge=5, le=101)] = 21
    derivative_degree: Annotated[int, setting("degree", "of L51's polynomial", ge=3, le=5)] = 3
    hurst_lags: Annotated[
        tuple[int, int, int, int, int, int], setting("bars", "lags of L52's structure function, ascending", ge=1)
    ] = (1, 2, 4, 8, 16, 32)
    hurst_window_bars: Annotated[int, setting("bars", "moves that L52 averages", ge=30, least=200)] = 720
    hurst_scale: Annotated[float, setting("exponent", "distance from 0.5 that scores tanh(1)", gt=0)] = 0.1
    fraction_order: Annotated[
        float, setting("order", "of L53's difference; 0 the series, 1 its first difference", ge=0, le=2)
    ] = 0.4
    fraction_taps: Annotated[int, setting("bars", "taps of L53's difference", ge=2)] = 200
    fraction_window_bars: Annotated[int, setting("bars", "window of L53's z", ge=30, least=120)] = 720
    efficiency_bars: Annotated[int, setting("bars", "window of L55's ratio", ge=2, least=10)] = 30
    efficiency_spans: Annotated[tuple[int, int], setting("bars", "L55's fastest and slowest average", ge=1)] = (2, 30)
    reversion_window_bars: Annotated[int, setting("bars", "window of L56's autoregression", ge=20, least=100)] = 480
    jump_window_bars: Annotated[int, setting("bars", "window of L57's variations", ge=20, least=60)] = 120
    jump_level: Annotated[float, setting("probability", "of one false alarm in a day of normal returns", gt=0, lt=1)] = 0.1
    term_short_bars: Annotated[int, setting("bars", "L58: short span, and nearer target", ge=10, least=10)] = 60
    term_medium_bars: Annotated[int, setting("bars", "L58: medium span, and farther target", ge=20, least=22)] = 1440
    term_long_bars: Annotated[int, setting("bars", "L58: long span", ge=30, least=66)] = 7200
    term_forget: Annotated[float, setting("ratio", "L58: weight that is left after one effective observation", gt=0, lt=1)] = (
        0.9995
    )
    term_prior: Annotated[float, setting("observations", "L58: that the prior of equal weights is worth", gt=0)] = 10.0
    alignment_weights: Annotated[
        tuple[float, float, float, float], setting("weight", "of the votes of 1, 5, 15 and 60 bars", ge=0)
    ] = (1.0, 1.0, 2.0, 2.0)
    alignment_full_t: Annotated[float, setting("t-statistic", "of a slope that votes with full strength", gt=0)] = 6.0
    state_enter: Annotated[float, setting("score", "trend above which L60 takes a direction", gt=0, lt=1)] = 0.3
    state_leave: Annotated[float, setting("score", "trend below which L60 leaves it", ge=0, lt=1)] = 0.15
    state_max_step: Annotated[float, setting("score", "most that an L60 score moves in a bar", gt=0, le=2)] = 0.25
    state_weights: Annotated[
        tuple[float, float, float, float, float, float, float, float, float],
        setting("weight", "L60: of L25, the regime, L13, L15, L16, L18, L23, L51 and L53 in the trend", ge=0),
    ] = (0.4, 0.25, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05)
    state_full: Annotated[
        tuple[float, float, float, float],
        setting(
            "t, ATR, ATR a bar, z", "L60: L13's t, L16's line, L51's velocity and L53's and L56's z that count in full", gt=0
        ),
    ] = (1.3, 2.0, 0.3, 3.0)

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        for key in (
            "trend_short_spans",
            "trend_medium_spans",
            "momentum_short_horizons",
            "momentum_medium_horizons",
            "hurst_lags",
            "efficiency_spans",
        ):
            values = getattr(self, key)
            if not all(a < b for a, b in itertools.pairwise(values)):
                yield f"{key} is {list(values)}; it must rise. Typical: {list(self._field_defaults[key])}."
        if self.momentum_medium_skip >= self.momentum_medium_horizons[0]:
            yield (
                f"momentum_medium_skip is {self.momentum_medium_skip}; it must be below the shortest horizon "
                f"({self.momentum_medium_horizons[0]}). Typical: 15."
            )
        if self.ratio_horizon_bars * 2 > self.ratio_window_bars:
            yield (
                f"ratio_horizon_bars is {self.ratio_horizon_bars}; it must be at most half of ratio_window_bars "
                f"({self.ratio_window_bars}). Typical: 15 of 480."
            )
        if self.derivative_degree >= self.derivative_bars:
            yield (
                f"derivative_degree is {self.derivative_degree}; it must be below derivative_bars ({self.derivative_bars}). "
                "Typical: 3 of 21."
            )
        if not self.term_short_bars < self.term_medium_bars < self.term_long_bars:
            yield (
                f"term_short_bars, term_medium_bars and term_long_bars are {self.term_short_bars}, {self.term_medium_bars} and "
                f"{self.term_long_bars}; they must rise. Typical: 60, 1440 and 7200."
            )
        if self.macd_spans[0] >= self.macd_spans[1]:
            yield f"macd_spans is {list(self.macd_spans)}; the first must be below the second. Typical: [12, 26, 9]."
        if self.slope_medium_lags >= self.slope_medium_bars:
            yield (
                f"slope_medium_lags is {self.slope_medium_lags}; it must be below slope_medium_bars "
                f"({self.slope_medium_bars}). Typical: 4."
            )
        if self.volatility_halflife > self.volatility_halflife_slow:
            yield (
                f"volatility_halflife is {self.volatility_halflife}; it must not be above volatility_halflife_slow "
                f"({self.volatility_halflife_slow})."
            )
        if not sum(self.alignment_weights) > 0.0:
            yield "alignment_weights are all 0; one at least must be positive. Typical: [1, 1, 2, 2]."
        if not sum(self.state_weights) > 0.0:
            yield "state_weights are all 0; one at least must be positive."
        if self.state_leave > self.state_enter:
            yield f"state_leave is {self.state_leave}; it must not be above state_enter ({self.state_enter}). Typical: 0.15."
