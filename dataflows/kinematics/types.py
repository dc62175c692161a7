"""What the kinematics domain hands on."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple, TypeAlias

from dataflows.kinematics.config import KinematicsConfig as KinematicsConfig  # other domains read its settings
from dataflows.panel import Finite, Flag, IntPanel, Panel, Score, Size, Unit, Within

DOWN: Final = -1
SIDEWAYS: Final = 0
UP: Final = 1

Percent: TypeAlias = Annotated[Panel, Within(0.0, 100.0)]
Distance: TypeAlias = Annotated[Panel, Within(-1000.0, 1000.0)]
Side: TypeAlias = Annotated[IntPanel, Within(DOWN, UP)]


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

    slope: Finite  # log price per bar of its clock
    t_stat: Finite
    r2: Unit


class Momentum(NamedTuple):
    """Volatility-scaled time-series momentum."""

    score: Score
    horizon_1: Distance  # scaled return over each horizon, shortest first
    horizon_2: Distance
    horizon_3: Distance


class Oscillator(NamedTuple):
    """L15: a bounded oscillator."""

    value: Percent  # 50 is neutral
    centred: Score  # of two clocks
    slope: Annotated[Panel, Within(-100.0, 100.0)]  # points a bar


class Macd(NamedTuple):
    """L16: two averages' distance, in ATR."""

    line: Finite
    signal: Finite
    histogram: Finite
    bars_since_cross: Size  # bars


class Directional(NamedTuple):
    """Wilder's directional movement."""

    adx: Percent
    plus_di: Percent
    minus_di: Percent
    score: Score


class Breakout(NamedTuple):
    """L18: the close against the channel of the bars before."""

    position: Distance  # 0 at the channel's low, 1 at its high
    distance_atr: Distance  # beyond the nearer edge, negative below; 0 inside
    side: Side
    bars_since: Size  # bars


class Channel(NamedTuple):
    """L23: where the close lies between two pairs of bands."""

    percent_b: Distance  # 0 on the lower, 1 on the upper Bollinger band
    bandwidth: Size  # of the mean
    keltner_position: Distance  # -1 and 1 on the bands
    squeeze: Unit


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


class Velocity(NamedTuple):
    """L13: a local linear trend of log price."""

    level: Finite  # log price
    velocity: Finite  # log price per bar
    t_stat: Distance  # of the velocity
    innovation_z: Distance


class VarianceRatio(NamedTuple):
    """L24: do moves add up."""

    ratio: Size  # 1 on a random walk
    z: Distance
    bias: Score  # > 0 persistent, < 0 reverting


class Derivatives(NamedTuple):
    """L51: derivatives of log price over ATR as a share of price."""

    velocity: Finite
    acceleration: Finite
    jerk: Finite


class Hurst(NamedTuple):
    """L52: how the size of a move grows with time."""

    h: Finite  # 0.5 on a random walk
    persistent: Score


class FractionalDifference(NamedTuple):
    """L53: log price, differenced by a fraction."""

    value: Finite  # depends on the unit of price
    z: Finite


class Cycle(NamedTuple):
    """L54: the dominant cycle."""

    period: Annotated[Panel, Within(0.0, 50.0)]  # bars
    phase: Annotated[Panel, Within(-90.0, 360.0)]  # degrees
    sine: Score
    lead_sine: Score
    in_cycle: Flag


class Efficiency(NamedTuple):
    """L55: how straight the way was."""

    ratio: Unit
    kama: Size  # quote currency
    distance_atr: Finite


class Reversion(NamedTuple):
    """L56: does log price come back."""

    z: Distance
    half_life: Annotated[Panel, Within(0.0, math.inf)]  # bars
    score: Unit


class Jump(NamedTuple):
    """L57: jumps among ordinary moves."""

    share: Unit  # of the variance
    statistic: Distance
    is_jump: Flag
    side: Side


class VolTerm(NamedTuple):
    """L58: volatility now against volatility usual, and to come."""

    ratio: Size  # short over long; above 1: more than usual
    har_60: Size  # of a bar over the next `term_short_bars`, log price per square root of a bar
    har_day: Size  # of a bar over the next `term_medium_bars`, log price per square root of a bar
    vol_of_vol: Size  # deviation of log volatility
