"""The recursion of L60: direction with hysteresis, scores that cannot jump."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Zero
from dataflows.kernels.arith import clip, known
from dataflows.kernels.compile import kernel
from dataflows.kinematics.types import DOWN, SIDEWAYS, UP
from dataflows.panel import Floats, Ints


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
    full_t: float,
    regime_weight: float,
    enter: float,
    leave: float,
    max_step: float,
    state: KinematicCarry,
) -> tuple[Ints, Floats]:
    """Directions int64 (T, N) and float64 (7, T, N): the other fields of `KinematicState` in its order. See L60."""
    bars, symbols = score.shape
    direction = np.empty((bars, symbols), np.int64)
    y = np.full((7, bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            tilt = trend_up[t, n] - trend_down[t, n]
            short = clip(short_t[t, n] / full_t, -1.0, 1.0)
            seen = 0
            seen += 1 if score[t, n] == score[t, n] else 0
            seen += 2 if tilt == tilt else 0
            seen += 4 if tradeability[t, n] == tradeability[t, n] else 0
            seen += 8 if short == short else 0
            lost = state.seen[n] & ~seen
            state.seen[n] = seen
            trend = math.nan
            if seen & 3 != 0:
                trend = (1.0 - regime_weight) * known(score[t, n], 0.0) + regime_weight * known(tilt, 0.0)
                trend = clip(trend, -1.0, 1.0)
            state.direction[n] = next_direction(trend, state.direction[n], enter, leave)
            direction[t, n] = state.direction[n]
            if trend != trend:
                state.trend[n] = 0.0
                state.reversion[n] = 0.0
            else:
                size = math.fabs(trend)
                agreed = known(agreement[t, n], 0.0)
                along = known(short, 0.0) * trend  # the short move seen from the trend
                damping = known(tradeability[t, n], 0.0) * known(clip(1.0 - chaotic[t, n], 0.0, 1.0), 0.0)
                persistence = clip(agreed * known(trend_up[t, n] + trend_down[t, n], 0.0), 0.0, 1.0)
                free = lost != 0 or forced[t, n] != 0
                fade = known(-short, 0.0) * known(calm[t, n], 0.0) * (1.0 - agreed)
                for k in range(2):
                    held = state.trend[n] if k == 0 else state.reversion[n]
                    aim = damping * (trend if k == 0 else fade)
                    if not free:
                        aim = clip(aim, held - max_step, held + max_step)
                    if k == 0:
                        state.trend[n] = aim
                    else:
                        state.reversion[n] = aim
                y[0, t, n] = size
                y[1, t, n] = persistence
                y[2, t, n] = -along if along < 0.0 else 0.0
                y[3, t, n] = along * known(vol_percentile[t, n], 0.0) if along > 0.0 else 0.0
                y[4, t, n] = trend * persistence * (1.0 - known(conflict[t, n], 0.0))
                y[5, t, n] = state.trend[n]
                y[6, t, n] = state.reversion[n]
    return direction, y
