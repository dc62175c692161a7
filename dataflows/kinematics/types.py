"""What the kinematics domain hands on."""

from __future__ import annotations

from typing import Final, NamedTuple

from dataflows.panel import IntPanel, Panel

DOWN: Final = -1
SIDEWAYS: Final = 0
UP: Final = 1


class Returns(NamedTuple):
    """L2: log returns and volatilities of the base bar (log price per square root of a bar)."""

    r_1: Panel
    r_5: Panel
    r_15: Panel
    r_60: Panel
    sigma: Panel
    sigma_slow: Panel
    parkinson: Panel
    garman_klass: Panel
    yang_zhang: Panel
    atr: Panel  # quote currency
    atr_60: Panel  # of closed 60-bars, quote currency
    sigma_floor: Panel  # the least volatility a tick allows
    z: Panel  # r_1 over the PREVIOUS sigma


class Trend(NamedTuple):
    """An EMA ribbon over ATR."""

    score: Panel  # [-1, 1]
    spread_atr: Panel  # fast less slow average, in ATR
    aligned: Panel  # 1 all rising in order, -1 all falling, 0 mixed


class Slope(NamedTuple):
    """A rolling regression of log price on time."""

    slope: Panel  # log price per bar
    t_stat: Panel
    r2: Panel  # [0, 1]


class Momentum(NamedTuple):
    """Volatility-scaled time-series momentum."""

    score: Panel  # [-1, 1]
    horizon_1: Panel  # scaled return over each horizon, shortest first
    horizon_2: Panel
    horizon_3: Panel


class Alignment(NamedTuple):
    """L25: do the timeframes agree."""

    score: Panel  # [-1, 1]
    agreement: Panel  # [0, 1]
    conflict: Panel  # [0, 1]


class KinematicState(NamedTuple):
    """L60: what the market is doing."""

    direction: IntPanel  # DOWN, SIDEWAYS, UP
    strength: Panel  # [0, 1]
    persistence: Panel  # [0, 1]
    pullback: Panel  # [0, 1]
    breakout: Panel  # [0, 1]
    continuation_bias: Panel  # [-1, 1]
    trend_score: Panel  # [-1, 1]
    reversion_score: Panel  # [-1, 1]
