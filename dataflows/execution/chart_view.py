"""What a chart can say of the market by itself: a regime and a side from returns, volatility and trend alone."""

from __future__ import annotations

import functools
import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Bind, Count, Unknown
from dataflows.execution.config import ExecutionConfig
from dataflows.kernels.window import RollingSum, sum_push, window_sum
from dataflows.kinematics.types import KinematicsConfig
from dataflows.panel import Floats, Ints
from dataflows.regime.types import CHAOTIC, REGIMES, TREND, VOLATILITY, RegimeConfig
from dataflows.runtime.compile import kernel

STATES: Final = len(REGIMES)
PARTS: Final = 2
"""Features of a bar: volatility and trend."""
REGIME, SIDE = 0, 1
"""Rows of what `chart_view` gives."""


class ChartCarry(NamedTuple):
    """What the regime and the side of the chart need of the past."""

    usual: Annotated[RollingSum, Bind(W="mirror_usual_bars")]  # of log sigma
    sigma: Unknown  # of the last bar that counted
    p: Annotated[Floats, Axes("N", STATES, start=1.0 / STATES)]  # of each state, given all so far
    label: Annotated[Ints, Axes("N", start=-1)]
    challenger: Annotated[Ints, Axes("N", start=-1)]
    streak: Count  # bars for which the challenger has led
    hold: Count  # bars for which CHAOTIC stays forced
    side: Count


class Emissions(NamedTuple):
    """The two features of the five states, and how they are read."""

    centres: Floats  # (STATES, PARTS)
    stds: Floats
    log_stds: Floats
    vol_scale: float
    trend_scale: float  # ATR
    clip: float


class Hysteresis(NamedTuple):
    """When the label and the side follow."""

    stay: float
    margin: float
    dwell: int
    crash_sigma: float
    forced: float  # probability of CHAOTIC while it is forced
    enter: float  # ATR
    leave: float  # ATR


@functools.lru_cache(maxsize=8)
def laws_of(execution: ExecutionConfig, kinematics: KinematicsConfig, regime: RegimeConfig) -> tuple[Emissions, Hysteresis]:
    """How the chart's regime and side are told: L1's emissions of volatility and trend, and its hysteresis."""
    means = (regime.calm_mean, regime.trend_up_mean, regime.trend_down_mean, regime.high_vol_mean, regime.chaotic_mean)
    stds = (regime.calm_std, regime.trend_up_std, regime.trend_down_std, regime.high_vol_std, regime.chaotic_std)
    deviations = np.array([(row[VOLATILITY], row[TREND]) for row in stds])
    law = Emissions(
        centres=np.array([(row[VOLATILITY], row[TREND]) for row in means]),
        stds=deviations,
        log_stds=np.log(deviations),
        vol_scale=regime.vol_scale,
        trend_scale=kinematics.trend_scale_atr,
        clip=regime.feature_clip,
    )
    rule = Hysteresis(
        stay=1.0 - 1.0 / regime.stay_bars,
        margin=regime.margin,
        dwell=regime.dwell_bars,
        crash_sigma=regime.crash_sigma,
        forced=regime.forced_probability,
        enter=execution.mirror_enter_atr,
        leave=execution.mirror_leave_atr,
    )
    return law, rule


@kernel
def weigh(volatility: float, trend: float, law: Emissions, stay: float, room: Floats, p: Floats) -> bool:
    """One bar of the filter: predict, weigh by the known features, normalise p (STATES,). True if a feature was known.

    A NaN feature is left out. room: (STATES,) to work in. Source: Hamilton (1989).
    """
    move = (1.0 - stay) / (STATES - 1.0)
    known, top = False, -math.inf
    for s in range(STATES):
        room[s] = 0.0
        for f in range(PARTS):
            x = volatility if f == 0 else trend
            if x == x:
                known = True
                x = law.clip if x > law.clip else (-law.clip if x < -law.clip else x)
                d = (x - law.centres[s, f]) / law.stds[s, f]
                room[s] -= 0.5 * d * d + law.log_stds[s, f]
        if room[s] > top:
            top = room[s]
    total = 0.0
    for s in range(STATES):
        p[s] = (stay * p[s] + move * (1.0 - p[s])) * math.exp(room[s] - top)
        total += p[s]
    for s in range(STATES):
        p[s] /= total
    return known


@kernel
def follow(p: Floats, n: int, rule: Hysteresis, carry: ChartCarry) -> None:
    """Moves symbol n's label: to a state that has led all others by `margin` for `dwell` bars; the first is whichever leads."""
    best, second = 0, -1.0
    for s in range(1, STATES):
        if p[s] > p[best]:
            second = p[best]
            best = s
        elif p[s] > second:
            second = p[s]
    lead = p[best] - second
    if carry.label[n] < 0 and lead > 0.0:
        carry.label[n] = best
    challenges = carry.label[n] >= 0 and best != carry.label[n] and lead > rule.margin
    if not challenges:
        carry.challenger[n], carry.streak[n] = -1, 0
        return
    carry.streak[n] = carry.streak[n] + 1 if carry.challenger[n] == best else 1
    carry.challenger[n] = best
    if carry.streak[n] >= rule.dwell:
        carry.label[n], carry.challenger[n], carry.streak[n] = best, -1, 0


@kernel
def next_side(trend_z: float, held: int, enter: float, leave: float) -> int:
    """A side with hysteresis: 1 beyond `enter` until below `leave`, -1 mirrored; NaN holds. Source: Schmitt (1938)."""
    if trend_z != trend_z:
        return held
    if trend_z > enter or (held == 1 and trend_z >= leave):
        return 1
    if trend_z < -enter or (held == -1 and trend_z <= -leave):
        return -1
    return 0


@kernel
def chart_view(
    on: Ints, r_1: Floats, sigma: Floats, trend_z: Floats, law: Emissions, rule: Hysteresis, carry: ChartCarry
) -> Ints:
    """(2, T, N): REGIME, an index of REGIMES, -1 unknown, and SIDE in -1, 0, 1. Bars count where `on` (T, N) is not 0.

    r_1, sigma: log price; trend_z: ATR. Elsewhere all holds. The features: log sigma less its mean over the window of bars
    before, over `vol_scale`, NaN until that is full; trend_z over `trend_scale`. A return beyond `crash_sigma` times the
    sigma before forces CHAOTIC on that bar and `dwell` more. The side is 0 in CHAOTIC.
    """
    bars, symbols = on.shape
    out, room = np.empty((2, bars, symbols), np.int64), np.empty(STATES)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0:
                r, s, z = r_1[t, n], sigma[t, n], trend_z[t, n]
                if math.fabs(r) > rule.crash_sigma * carry.sigma[n]:
                    carry.hold[n] = rule.dwell + 1
                volatility = math.nan
                if s > 0.0:
                    logged = math.log(s)
                    width = carry.usual.ring.shape[0]
                    volatility = (logged - window_sum(n, carry.usual) / width) / law.vol_scale
                    sum_push(logged, n, carry.usual)
                    carry.sigma[n] = s
                known = weigh(volatility, z / law.trend_scale, law, rule.stay, room, carry.p[n])
                if carry.hold[n] > 0:
                    carry.hold[n] -= 1
                    for k in range(CHAOTIC):
                        carry.p[n, k] = (1.0 - rule.forced) / CHAOTIC
                    carry.p[n, CHAOTIC] = rule.forced
                    carry.label[n], carry.challenger[n], carry.streak[n] = CHAOTIC, -1, 0
                elif known or carry.label[n] >= 0:
                    follow(carry.p[n], n, rule, carry)
                carry.side[n] = 0 if carry.label[n] == CHAOTIC else next_side(z, carry.side[n], rule.enter, rule.leave)
            out[REGIME, t, n] = carry.label[n]
            out[SIDE, t, n] = carry.side[n]
    return out
