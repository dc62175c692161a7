"""Flags: an impulse, a rest that keeps most of it, and a close beyond its end."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind, Count, Unknown
from dataflows.kernels.arith import clip, known
from dataflows.kernels.window import Lag, lag_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Flag(NamedTuple):
    """State of `flags`: the impulse that may rest. Side 0: none."""

    close: Annotated[Lag, Bind(W="flag_pole_bars")]
    atr: Annotated[Lag, Bind(W="flag_pole_bars")]
    side: Count
    rest: Count  # bars since the impulse last closed beyond its end
    base: Unknown
    end: Unknown
    floor: Unknown  # farthest price against the impulse since then


@kernel
def flags(
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    beyond: Ints,
    direction: Ints,
    strength: Floats,
    on: Ints,
    pole_atr: float,
    least: int,
    most: int,
    retrace: float,
    state: Flag,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, floor), each (T, N): the bars that resume an impulse after a rest.

    An impulse: a close beyond the channel (`beyond`), at least pole_atr ATR from the close `flag_pole_bars` before, by the ATR
    of then. Its end is the farthest price so far. It rests while no close is beyond the end and no price gives back more
    than `retrace` of the way from base to end. A close beyond the end after `least` to `most` bars of rest resumes, where
    direction is not against it; a sooner one lengthens the impulse. side 0, confidence and floor NaN elsewhere.
    """
    state_side, rest, state_base, end, state_floor = state.side, state.rest, state.base, state.end, state.floor
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    floor = np.full((bars, symbols), np.nan)
    closes, ranges = state.close, state.atr
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            base = lag_push(close[t, n], n, closes)
            quiet = lag_push(atr[t, n], n, ranges)
            s = state_side[n]
            if s != 0:
                rested = rest[n]
                rest[n] += 1
                forward = high[t, n] if s > 0 else low[t, n]
                backward = low[t, n] if s > 0 else high[t, n]
                if not (s * (backward - state_floor[n]) >= 0.0):  # NaN: the first bar of the rest
                    state_floor[n] = backward
                allowed = retrace * s * (end[n] - state_base[n])
                given_back = s * (end[n] - state_floor[n])
                if rested > most or given_back > allowed:
                    state_side[n] = 0
                elif s * (close[t, n] - end[n]) > 0.0 and rested >= least:
                    state_side[n] = 0
                    if s * direction[t, n] >= 0:
                        side[t, n] = s
                        agreed = known(strength[t, n], 0.0) if s * direction[t, n] > 0 else 0.0
                        confidence[t, n] = 0.5 * (1.0 - given_back / allowed) + 0.5 * clip(agreed, 0.0, 1.0)
                        floor[t, n] = state_floor[n]
                        continue
                elif s * (forward - end[n]) > 0.0:
                    if s * (close[t, n] - end[n]) > 0.0:
                        rest[n] = 0
                        state_floor[n] = math.nan
                    end[n] = forward
            b = beyond[t, n]
            if state_side[n] == 0 and b != 0 and quiet > 0.0 and b * (close[t, n] - base) >= pole_atr * quiet:
                state_side[n] = b
                rest[n] = 0
                state_base[n] = base
                end[n] = high[t, n] if b > 0 else low[t, n]
                state_floor[n] = math.nan
    return side, confidence, floor
