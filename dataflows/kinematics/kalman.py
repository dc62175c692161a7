"""The local linear trend model of log price, filtered."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Unknown
from dataflows.kinematics.volatility import z_score
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from dataflows.runtime.made import made_once

DIFFUSE: Final = 1e6
"""Variance of the first velocity, in units of the observation's: nothing is known of it."""


class LocalTrend(NamedTuple):
    """State of `local_trend`; variances in units of the observation's."""

    level: Unknown
    velocity: Unknown
    p_level: Unknown
    p_cross: Unknown
    p_velocity: Unknown
    sigma: Unknown  # of the bar before
    held: Count
    surprise: Annotated[Floats, Axes("N", start=NAN)]  # as of the last bar that counted


@made_once
def walk_deviations(q_level: float, q_velocity: float) -> tuple[float, float]:
    """What the model's own t of the velocity and z of the innovation deviate by on a random walk, in the long run.

    The model takes a price for a trend seen through noise; on a walk, which has neither, both are larger than 1. From the
    filter's steady gains, and from the stationary variance of the linear system that it is on a walk (Harvey 1989, ch. 3).
    """
    p_level, p_cross, p_velocity, f = 1.0, 0.0, DIFFUSE, 1.0
    for _ in range(1_000_000):
        last = p_velocity
        p_level += 2.0 * p_cross + p_velocity + q_level
        p_cross += p_velocity
        p_velocity += q_velocity
        f = p_level + 1.0
        p_velocity -= p_cross / f * p_cross
        p_cross /= f
        p_level /= f
        if abs(p_velocity - last) <= 1e-14 * p_velocity:
            break
    # what the level lacks of the price, and the velocity, after a return of 1
    step = np.array([[1.0 - p_level, p_level - 1.0], [p_cross, 1.0 - p_cross]])
    shock = np.array([1.0 - p_level, p_cross])
    squares = np.linalg.solve(np.eye(4) - np.kron(step, step), np.kron(shock, shock)).reshape(2, 2)
    surprise = squares[0, 0] - 2.0 * squares[0, 1] + squares[1, 1] + 1.0
    root = 2.0 + q_level
    return math.sqrt(squares[1, 1] * root / p_velocity), math.sqrt(surprise * root / f)


@kernel
def local_trend(
    y: Floats,
    sigma: Floats,
    on: Ints,
    q_level: float,
    q_velocity: float,
    deviations: tuple[float, float],
    state: LocalTrend,
) -> tuple[Floats, Floats, Floats, Floats]:
    """(level, velocity, t_stat, innovation_z), each (T, N), of a Kalman filter over the bars that count.

    y: log price; level: log price; velocity: log price per bar. q_level, q_velocity: variances of what moves level and velocity
    in a bar, over the observation's. The gains depend on these ratios alone; the scale comes from sigma, whose square is
    2 + q_level observation variances. innovation_z is over the sigma of the bar BEFORE. Both statistics are over `deviations`
    (`walk_deviations`) and lie within 1000. NaN until two bars are held; held where `on` is 0 or y is not finite. Source:
    Harvey (1989), section 2.3.
    """
    held, state_sigma, state_level, state_velocity = state.held, state.sigma, state.level, state.velocity
    state_surprise, state_p_level, state_p_cross = state.surprise, state.p_level, state.p_cross
    state_p_velocity = state.p_velocity
    bars, symbols = y.shape
    level = np.full((bars, symbols), np.nan)
    velocity = np.full((bars, symbols), np.nan)
    t_stat = np.full((bars, symbols), np.nan)
    surprise = np.full((bars, symbols), np.nan)
    root = math.sqrt(2.0 + q_level)
    for t in range(bars):
        for n in range(symbols):
            v = y[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                if held[n] == 0:
                    state_level[n] = v
                    state_velocity[n] = 0.0
                    state_p_level[n] = 1.0
                    state_p_cross[n] = 0.0
                    state_p_velocity[n] = DIFFUSE
                else:
                    ahead = state_level[n] + state_velocity[n]
                    p_level = state_p_level[n] + 2.0 * state_p_cross[n] + state_p_velocity[n] + q_level
                    p_cross = state_p_cross[n] + state_p_velocity[n]
                    p_velocity = state_p_velocity[n] + q_velocity
                    f = p_level + 1.0
                    error = v - ahead
                    state_level[n] = ahead + p_level / f * error
                    state_velocity[n] += p_cross / f * error
                    state_p_level[n] = p_level / f
                    state_p_cross[n] = p_cross / f
                    state_p_velocity[n] = p_velocity - p_cross / f * p_cross
                    state_surprise[n] = z_score(error, math.sqrt(f) * state_sigma[n] / root * deviations[1])
                held[n] = 2 if held[n] > 0 else 1
                state_sigma[n] = sigma[t, n]
            if held[n] == 2:
                level[t, n] = state_level[n]
                velocity[t, n] = state_velocity[n]
                t_stat[t, n] = z_score(state_velocity[n], math.sqrt(state_p_velocity[n]) * sigma[t, n] / root * deviations[0])
                surprise[t, n] = state_surprise[n]
    return level, velocity, t_stat, surprise
