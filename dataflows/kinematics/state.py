"""The recursion of L60: direction with hysteresis, scores that cannot jump."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dataflows.carry import Count, Zero
from dataflows.kernels.arith import clip, known, sign
from dataflows.kinematics.types import DOWN, SIDEWAYS, UP
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

VOTES: Final = 9
FIELDS: Final = 7
STRENGTH, PERSISTENCE, PULLBACK, BREAKOUT, CONTINUATION_BIAS, TREND_SCORE, REVERSION_SCORE = range(FIELDS)
"""Rows of what `kinematic_state` gives beside the direction."""


class KinematicCarry(NamedTuple):
    """What L60 needs of the past."""

    direction: Count
    trend: Zero  # scores as handed on; 0 while unknown, so that they rise from there
    reversion: Zero
    seen: Count  # bit mask of the inputs that were known


@kernel
def next_direction(trend: float, held: int, enter: float, leave: float) -> int:
    """UP above `enter` until below `leave`, DOWN the other way round; an unknown trend holds."""
    if trend > enter:
        return UP
    if trend < -enter:
        return DOWN
    if (held == UP and trend < leave) or (held == DOWN and trend > -leave):
        return SIDEWAYS
    return held


@kernel
def _stepped(aim: float, held: float, free: bool, max_step: float) -> float:
    """aim, at most max_step from what is held unless free."""
    return aim if free else clip(aim, held - max_step, held + max_step)


@kernel
def kinematic_state(
    score: Floats,
    agreement: Floats,
    conflict: Floats,
    calm: Floats,
    trend_up: Floats,
    trend_down: Floats,
    chaotic: Floats,
    short_t: Floats,
    vol_percentile: Floats,
    forced: Ints,
    tradeability: Floats,
    velocity_t: Floats,
    rsi: Floats,
    macd: Floats,
    position: Floats,
    side: Ints,
    percent_b: Floats,
    keltner: Floats,
    ratio_bias: Floats,
    velocity: Floats,
    persistent: Floats,
    fraction_z: Floats,
    sine: Floats,
    lead_sine: Floats,
    in_cycle: Ints,
    straight: Floats,
    reversion_z: Floats,
    reverts: Floats,
    jump_share: Floats,
    vol_ratio: Floats,
    weights: tuple[float, ...],
    full_t: float,
    full: tuple[float, float, float, float],
    enter: float,
    leave: float,
    max_step: float,
    state: KinematicCarry,
) -> tuple[Ints, Floats]:
    """Directions int64 (T, N) and float64 (FIELDS, T, N), rows STRENGTH to REVERSION_SCORE. See L60."""
    state_seen, state_direction, state_trend, reversion = state.seen, state.direction, state.trend, state.reversion
    bars, symbols = score.shape
    direction = np.empty((bars, symbols), np.int64)
    y = np.full((FIELDS, bars, symbols), np.nan)
    vote = np.empty(VOTES)
    whole = 0.0
    for k in range(VOTES):
        whole += weights[k]
    for t in range(bars):
        for n in range(symbols):
            vote[0] = score[t, n]
            vote[1] = trend_up[t, n] - trend_down[t, n]
            vote[2] = velocity_t[t, n] / full[0]
            vote[3] = rsi[t, n]
            vote[4] = macd[t, n] / full[1]
            vote[5] = 2.0 * position[t, n] - 1.0
            vote[6] = 2.0 * percent_b[t, n] - 1.0
            vote[7] = velocity[t, n] / full[2]
            vote[8] = fraction_z[t, n] / full[3]
            seen = 0
            trend = 0.0
            for k in range(VOTES):
                if vote[k] == vote[k]:
                    seen |= 1 << k
                    trend += weights[k] / whole * clip(vote[k], -1.0, 1.0)
            trend = clip(trend, -1.0, 1.0) if seen & 3 != 0 else math.nan
            short = clip(short_t[t, n] / full_t, -1.0, 1.0)
            stretch = clip(reversion_z[t, n] / full[3], -1.0, 1.0)
            band = clip(keltner[t, n], -1.0, 1.0)
            seen |= (1 << VOTES) if tradeability[t, n] == tradeability[t, n] else 0
            seen |= (2 << VOTES) if short == short else 0
            seen |= (4 << VOTES) if stretch == stretch else 0
            seen |= (8 << VOTES) if band == band else 0
            seen |= (16 << VOTES) if calm[t, n] == calm[t, n] else 0
            free = (state_seen[n] & ~seen) != 0 or forced[t, n] != 0
            state_seen[n] = seen
            state_direction[n] = next_direction(trend, state_direction[n], enter, leave)
            direction[t, n] = state_direction[n]
            if trend != trend:
                state_trend[n] = 0.0
                reversion[n] = 0.0
                continue
            short = known(short, 0.0)
            size = math.fabs(trend)
            agreed = known(agreement[t, n], 0.0)
            along = short * trend  # the short move seen from the trend
            memory = 0.5 * known(ratio_bias[t, n], 0.0) + 0.5 * known(persistent[t, n], 0.0)
            trending = clip(agreed * known(trend_up[t, n] + trend_down[t, n], 0.0), 0.0, 1.0)
            lasting = memory if memory > 0.0 else 0.0
            persistence = 0.5 * trending + 0.25 * known(straight[t, n], 0.0) + 0.25 * lasting
            energy = 0.5 * known(vol_percentile[t, n], 0.0) + 0.25 * clip(known(vol_ratio[t, n], 0.0), 0.0, 2.0)
            beyond = 1.0 if side[t, n] * sign(trend) > 0.0 else 0.0
            ahead = along if along > 0.0 else 0.0
            smooth = known(1.0 - jump_share[t, n], 0.0) * (1.0 - known(conflict[t, n], 0.0))
            stretched = (short + known(stretch, 0.0) + known(band, 0.0)) / 3.0
            pull = 0.5 + 0.25 * known(reverts[t, n], 0.0) + (-0.25 * memory if memory < 0.0 else 0.0)
            turn = known(lead_sine[t, n] - sine[t, n], 0.0) if in_cycle[t, n] != 0 else 0.0
            fade = 0.25 * clip(turn, -1.0, 1.0) - 0.75 * stretched * pull
            room = known(calm[t, n], 0.0) * (1.0 - agreed)
            damping = known(tradeability[t, n], 0.0) * known(clip(1.0 - chaotic[t, n], 0.0, 1.0), 0.0)
            state_trend[n] = _stepped(damping * trend, state_trend[n], free, max_step)
            reversion[n] = _stepped(damping * room * fade, reversion[n], free, max_step)
            y[STRENGTH, t, n] = size
            y[PERSISTENCE, t, n] = persistence
            y[PULLBACK, t, n] = -along if along < 0.0 else 0.0
            y[BREAKOUT, t, n] = 0.5 * (ahead + size * beyond) * energy
            y[CONTINUATION_BIAS, t, n] = trend * persistence * smooth
            y[TREND_SCORE, t, n] = state_trend[n]
            y[REVERSION_SCORE, t, n] = reversion[n]
    return direction, y
