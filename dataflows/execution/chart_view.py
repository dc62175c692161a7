"""What a chart can say of the market by itself: a regime and a side from returns, volatility and trend alone."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Bind, Count, Unknown
from dataflows.execution.config import ExecutionConfig
from dataflows.kernels.arith import clip
from dataflows.kernels.window import RollingSum
from dataflows.kinematics.types import KinematicsConfig
from dataflows.panel import Floats, Ints
from dataflows.regime.types import CHAOTIC, REGIMES, TREND, VOLATILITY, RegimeConfig
from dataflows.runtime.compile import kernel
from dataflows.runtime.made import made_once

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


def laws_of(execution: ExecutionConfig, kinematics: KinematicsConfig, regime: RegimeConfig) -> tuple[Emissions, Hysteresis]:
    """How the chart's regime and side are told: L1's emissions of volatility and trend, and its hysteresis."""
    centres, stds, log_stds = _tables(
        (regime.calm_mean, regime.trend_up_mean, regime.trend_down_mean, regime.high_vol_mean, regime.chaotic_mean),
        (regime.calm_std, regime.trend_up_std, regime.trend_down_std, regime.high_vol_std, regime.chaotic_std),
    )
    law = Emissions(
        centres=centres,
        stds=stds,
        log_stds=log_stds,
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


@made_once
def _tables(means: tuple[tuple[float, ...], ...], stds: tuple[tuple[float, ...], ...]) -> tuple[Floats, Floats, Floats]:
    """The two features' means, deviations and logarithms of the deviations, (STATES, PARTS) each."""
    deviations = np.array([(row[VOLATILITY], row[TREND]) for row in stds])
    return np.array([(row[VOLATILITY], row[TREND]) for row in means]), deviations, np.log(deviations)


@kernel
def all_known(on: Ints, regime: Ints, close: Floats, atr: Floats, r_1: Floats, sigma: Floats, trend_z: Floats) -> Ints:
    """1 where a bar (T, N) was observed, its regime is known and its numbers are finite."""
    known = np.zeros(on.shape, np.int64)
    for t in range(on.shape[0]):
        for n in range(on.shape[1]):
            numbers = math.fabs(close[t, n]) < math.inf and math.fabs(atr[t, n]) < math.inf
            moves = math.fabs(r_1[t, n]) < math.inf and math.fabs(sigma[t, n]) < math.inf
            if on[t, n] != 0 and regime[t, n] >= 0 and numbers and moves and math.fabs(trend_z[t, n]) < math.inf:
                known[t, n] = 1
    return known


@kernel
def sides_of(weight: Floats) -> Ints:
    """The sign of each weight (T, N)."""
    side = np.zeros(weight.shape, np.int64)
    for t in range(weight.shape[0]):
        for n in range(weight.shape[1]):
            side[t, n] = 1 if weight[t, n] > 0.0 else -1 if weight[t, n] < 0.0 else 0
    return side


@kernel
def held_weights(position: Floats, unit_value: Floats, equity: Floats) -> Floats:
    """What is held, as a fraction of equity (T,); 0 where equity is not positive, or nothing is held. Panels (T, N)."""
    weight = np.zeros(position.shape)
    for t in range(position.shape[0]):
        for n in range(position.shape[1]):
            if position[t, n] != 0.0 and equity[t] > 0.0:
                weight[t, n] = position[t, n] * unit_value[t, n] / equity[t]
    return weight


@kernel
def weigh(
    volatility: float, trend: float, centres: Floats, rates: Floats, logs: Floats, stay: float, room: Floats, p: Floats
) -> bool:
    """One bar of the filter: predict, weigh by the known features, normalise p (STATES,). True if a feature was known.

    A NaN feature is left out. centres, rates, logs: (STATES, PARTS) means, reciprocals of the deviations, their logarithms.
    room: (STATES,) to work in. Source: Hamilton (1989).
    """
    move = (1.0 - stay) / (STATES - 1.0)
    with_volatility, with_trend = volatility == volatility, trend == trend
    top = -math.inf
    for s in range(STATES):
        weight = 0.0
        if with_volatility:
            d = (volatility - centres[s, 0]) * rates[s, 0]
            weight -= 0.5 * d * d + logs[s, 0]
        if with_trend:
            d = (trend - centres[s, 1]) * rates[s, 1]
            weight -= 0.5 * d * d + logs[s, 1]
        room[s] = weight
        if weight > top:
            top = weight
    total = 0.0
    for s in range(STATES):
        p[s] = (stay * p[s] + move * (1.0 - p[s])) * math.exp(room[s] - top)
        total += p[s]
    for s in range(STATES):
        p[s] /= total
    return bool(with_volatility or with_trend)


@kernel
def leader(p: Floats) -> tuple[int, float]:
    """The most probable state, and by how much it leads the next."""
    best, second = 0, -1.0
    for s in range(1, STATES):
        if p[s] > p[best]:
            second = p[best]
            best = s
        elif p[s] > second:
            second = p[s]
    return best, p[best] - second


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
    before, over `vol_scale`, NaN until that is full; trend_z over `trend_scale`. The regime follows a state that has led all
    others by `margin` for `dwell` bars; the first is whichever leads. A return beyond `crash_sigma` times the sigma before
    forces CHAOTIC on that bar and `dwell` more. The side is 0 in CHAOTIC.
    """
    bars, symbols = on.shape
    out, room = np.empty((2, bars, symbols), np.int64), np.empty(STATES)
    # what the loop reads of the records, taken out once: a record is costly to hand to a function
    centres, rates, logs, most = law.centres, 1.0 / law.stds, law.log_stds, law.clip
    usual, pos, held, total = carry.usual.ring, carry.usual.pos, carry.usual.held, carry.usual.total
    before, chance, label, side = carry.sigma, carry.p, carry.label, carry.side
    challenger, streak, hold = carry.challenger, carry.streak, carry.hold
    width = usual.shape[0]
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0:
                s, z = sigma[t, n], trend_z[t, n]
                if math.fabs(r_1[t, n]) > rule.crash_sigma * before[n]:
                    hold[n] = rule.dwell + 1
                volatility = math.nan
                if s > 0.0:
                    logged = math.log(s)
                    full = held[n] == width
                    if full:
                        volatility = clip((logged - total[n] / width) / law.vol_scale, -most, most)
                    at = pos[n]
                    old = usual[at, n]
                    usual[at, n] = logged
                    if at == width - 1:  # `sum_push`, written out: summed anew once a round
                        a = 0.0
                        for i in range(width):
                            a += usual[i, n]
                        total[n] = a
                        pos[n] = 0
                    else:
                        if full:
                            total[n] += logged - old
                        pos[n] = at + 1
                    if not full:
                        held[n] += 1
                    before[n] = s
                p = chance[n]
                known = weigh(volatility, clip(z / law.trend_scale, -most, most), centres, rates, logs, rule.stay, room, p)
                if hold[n] > 0:
                    hold[n] -= 1
                    for k in range(CHAOTIC):
                        p[k] = (1.0 - rule.forced) / CHAOTIC
                    p[CHAOTIC] = rule.forced
                    label[n], challenger[n], streak[n] = CHAOTIC, -1, 0
                elif known or label[n] >= 0:
                    best, lead = leader(p)
                    if label[n] < 0 and lead > 0.0:
                        label[n] = best
                    challenges = label[n] >= 0 and best != label[n] and lead > rule.margin
                    streak[n] = (streak[n] + 1 if challenger[n] == best else 1) if challenges else 0
                    challenger[n] = best if challenges else -1
                    if challenges and streak[n] >= rule.dwell:
                        label[n], challenger[n], streak[n] = best, -1, 0
                side[n] = 0 if label[n] == CHAOTIC else next_side(z, side[n], rule.enter, rule.leave)
            out[REGIME, t, n] = label[n]
            out[SIDE, t, n] = side[n]
    return out
