"""Patterns that one symbol shows beside the others: it follows a leader, or stands out of the ranks."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Unknown, Zero
from dataflows.kernels.arith import clip, sign
from dataflows.kernels.order import FEW, count_below, count_up_to
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

_COLLINEAR: Final = 1e-9
"""Share of a determinant below which two regressors are one."""
_SKIPPED: Final = 15
"""Bars of L2's r_15."""


class Response(NamedTuple):
    """State of `leader_responses`: last bar's moves, and forgetting sums over pairs of bars.

    l: the leader's move the bar before; o: the symbol's own; y: the symbol's move.
    """

    led: Annotated[Floats, Axes(1, start=NAN)]
    own: Unknown
    ll: Zero
    lo: Zero
    oo: Zero
    ly: Zero
    oy: Zero
    yy: Zero
    weight: Zero
    squared: Zero  # sum of squared weights


class Standing(NamedTuple):
    """State of `standings`: the side that a symbol stands out on, 0 none, and since when."""

    side: Count
    age: Unknown


@kernel
def learn_response(led: float, own: float, y: float, n: int, forget: float, state: Response) -> None:
    """One more pair of bars of symbol n; what is there fades by `forget` first."""
    state.ll[n] = forget * state.ll[n] + led * led
    state.lo[n] = forget * state.lo[n] + led * own
    state.oo[n] = forget * state.oo[n] + own * own
    state.ly[n] = forget * state.ly[n] + led * y
    state.oy[n] = forget * state.oy[n] + own * y
    state.yy[n] = forget * state.yy[n] + y * y
    state.weight[n] = forget * state.weight[n] + 1.0
    state.squared[n] = forget * forget * state.squared[n] + 1.0


@kernel
def response_t(n: int, state: Response) -> float:
    """t-statistic of the leader's coefficient in y = b l + c o + e; NaN where it is not determined.

    Its variance is the residual's times that of weights that forget: sum of their squares over their sum.
    """
    det = state.ll[n] * state.oo[n] - state.lo[n] * state.lo[n]
    if not det > _COLLINEAR * state.ll[n] * state.oo[n]:
        return math.nan
    b = (state.ly[n] * state.oo[n] - state.oy[n] * state.lo[n]) / det
    c = (state.oy[n] * state.ll[n] - state.ly[n] * state.lo[n]) / det
    misfit = state.yy[n] - b * state.ly[n] - c * state.oy[n]
    least = _COLLINEAR * state.yy[n]  # rounding, where the fit is exact
    if misfit < least:
        misfit = least
    if not misfit > 0.0:
        return math.nan
    variance = misfit / state.weight[n] * (state.squared[n] / state.weight[n]) * state.oo[n] / det
    return float(b / math.sqrt(variance))


@kernel
def leader_responses(
    z: Floats,
    on: Ints,
    leader: Ints,
    forget: float,
    most: float,
    least_weight: float,
    least_t: float,
    least_move: float,
    state: Response,
) -> tuple[Ints, Ints, Floats, Floats]:
    """(active, side, confidence, age), each (T, N). The rules are those of `l48_lead_lag`.

    z: moves in deviations, clipped at `most`; leader: (N,), 1 for the one that leads, if any.
    """
    state_led, state_own, weight = state.led, state.own, state.weight
    bars, symbols = z.shape
    active = np.zeros((bars, symbols), np.int64)
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.zeros((bars, symbols))
    age = np.full((bars, symbols), np.nan)
    first = -1
    for n in range(symbols):
        if leader[n] != 0:
            first = n
    if first < 0:
        return active, side, confidence, age
    for t in range(bars):
        led = clip(z[t, first], -most, most) if on[t, first] != 0 else math.nan
        before = state_led[0]
        state_led[0] = led
        for n in range(symbols):
            if n == first:
                continue
            y = clip(z[t, n], -most, most) if on[t, n] != 0 else math.nan
            own = state_own[n]
            state_own[n] = y
            if before + own + y == before + own + y:  # all known, on two bars in a row
                learn_response(before, own, y, n, forget, state)
            if y != y or not (math.fabs(led) >= least_move and weight[n] >= least_weight):
                continue
            sure = response_t(n, state)
            if math.fabs(sure) >= least_t:
                active[t, n] = 1
                side[t, n] = int(sign(sure * led))
                x = math.fabs(sure)
                v = math.fabs(led)
                confidence[t, n] = 0.5 * x / (1.0 + x) + 0.5 * v / (1.0 + v)
                age[t, n] = 0.0
    return active, side, confidence, age


@kernel
def _known(x: Floats, t: int, known: Ints, row: Floats) -> int:
    """How many values of bar t are known; they are put into `row`, in order where they are more than `FEW`."""
    in_order = x.shape[1] > FEW
    size = 0
    for n in range(x.shape[1]):
        if known[n] == 0:
            continue
        v = x[t, n]
        place = size
        while in_order and place > 0 and row[place - 1] > v:
            row[place] = row[place - 1]
            place -= 1
        row[place] = v
        size += 1
    return size


@kernel
def _lead(row: Floats, size: int, v: float) -> int:
    """How many of the first `size` values are below v, less how many are above; row: as `_known` leaves it."""
    if len(row) > FEW:
        return count_below(row, size, v) + count_up_to(row, size, v) - size
    lead = 0
    others = row[:size]
    for i in range(len(others)):
        lead += (1 if others[i] < v else 0) - (1 if others[i] > v else 0)
    return lead


@kernel
def standings(
    momentum: Floats,
    r_15: Floats,
    sigma: Floats,
    on: Ints,
    least_known: int,
    share: float,
    enter: float,
    leave: float,
    state: Standing,
) -> tuple[Ints, Ints, Floats, Floats]:
    """(active, side, confidence, age), each (T, N). The rules are those of `l49_relative_strength`.

    Up to `FEW` symbols are all compared with each other at each bar. More are sorted: O(N log N) where their order is that of
    their columns, O(N^2) at worst.
    """
    side, state_age = state.side, state.age
    bars, symbols = r_15.shape
    active = np.zeros((bars, symbols), np.int64)
    sides = np.zeros((bars, symbols), np.int64)
    confidence = np.zeros((bars, symbols))
    age = np.full((bars, symbols), np.nan)
    known = np.zeros(symbols, np.int64)
    strong = np.zeros(symbols)
    stretched = np.zeros(symbols)
    scaled = np.zeros((1, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = r_15[t, n] / (sigma[t, n] * math.sqrt(_SKIPPED)) if sigma[t, n] > 0.0 else math.nan
            scaled[0, n] = v
            known[n] = 1 if on[t, n] != 0 and math.isfinite(v + momentum[t, n]) else 0
        size = _known(momentum, t, known, strong)
        _known(scaled, 0, known, stretched)
        for n in range(symbols):
            if known[n] == 0 or size < least_known:
                side[n] = 0
                state_age[n] = math.nan
                continue
            m = momentum[t, n]
            v = scaled[0, n]
            # symbols below less symbols above: those that tie or are unknown count for neither
            up = _lead(strong, size, m)
            down = _lead(stretched, size, v)
            rank = (share * up - (1.0 - share) * down) / (symbols - 1)
            if side[n] != 0:
                state_age[n] += 1.0
                if side[n] * rank < leave:
                    side[n] = 0
                    state_age[n] = math.nan
            if side[n] == 0 and math.fabs(rank) >= enter:
                side[n] = 1 if rank > 0.0 else -1
                state_age[n] = 0.0
            if side[n] != 0:
                active[t, n] = 1
                sides[t, n] = side[n]
                confidence[t, n] = clip(math.fabs(rank), 0.0, 1.0)
                age[t, n] = state_age[n]
    return active, sides, confidence, age
