"""Does log price come back to its mean, and how fast: a first-order autoregression in a trailing window."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Ring, Zero
from dataflows.kernels.arith import clip
from dataflows.kinematics.volatility import z_score
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

TEN_PERCENT: Final = -2.57
ONE_PERCENT: Final = -3.43
"""Asymptotic points of the Dickey-Fuller t with a constant (Fuller 1976, table 8.5.2)."""


class Autoregression(NamedTuple):
    """State of `autoregression`; W values are held, W - 1 pairs of neighbours. Sums are of x - anchor."""

    ring: Ring
    pos: Count
    held: Count
    anchor: Zero
    first: Zero  # sum of x
    second: Zero  # of x squared
    cross: Zero  # of x times the move that follows it
    moves: Zero  # of squared moves
    result: Annotated[Floats, Axes(3, "N", start=NAN)]  # z, half-life and score as of the last bar that counted


@kernel
def _sum_anew(n: int, state: Autoregression) -> None:
    """All sums over symbol n's ring, which is in time order and full, about its last value."""
    ring = state.ring
    width = ring.shape[0]
    anchor = ring[width - 1, n]
    first = 0.0
    second = 0.0
    cross = 0.0
    moves = 0.0
    for i in range(width):
        d = ring[i, n] - anchor
        first += d
        second += d * d
        if i + 1 < width:
            m = ring[i + 1, n] - ring[i, n]
            cross += d * m
            moves += m * m
    state.anchor[n] = anchor
    state.first[n] = first
    state.second[n] = second
    state.cross[n] = cross
    state.moves[n] = moves


@kernel
def _fit(n: int, newest: int, oldest: int, state: Autoregression) -> None:
    """Puts z, half-life and score of symbol n's window into the state."""
    width = state.ring.shape[0]
    pairs = width - 1
    last = state.ring[newest, n] - state.anchor[n]
    sum_x = state.first[n] - last  # of the earlier of each pair
    sum_m = state.ring[newest, n] - state.ring[oldest, n]
    c_xx = state.second[n] - last * last - sum_x * sum_x / pairs
    c_xm = state.cross[n] - sum_x * sum_m / pairs
    c_mm = state.moves[n] - sum_m * sum_m / pairs
    mean = state.first[n] / width
    spread = state.second[n] / width - mean * mean
    state.result[0, n] = z_score(last - mean, math.sqrt(spread)) if spread > 0.0 else 0.0
    state.result[1, n] = math.inf
    state.result[2, n] = 0.0
    if not (c_xx > 0.0):
        return
    slope = c_xm / c_xx  # phi - 1
    left = c_mm - slope * c_xm
    phi = (pairs * (1.0 + slope) + 1.0) / (pairs - 3.0)
    if phi < 1.0:
        state.result[1, n] = math.log(0.5) / math.log(phi) if phi > 0.0 else 0.0
    error = math.sqrt(left / ((pairs - 2.0) * c_xx)) if left > 0.0 else 0.0
    if slope < TEN_PERCENT * error:
        t = slope / error if error > 0.0 else ONE_PERCENT
        state.result[2, n] = clip((TEN_PERCENT - t) / (TEN_PERCENT - ONE_PERCENT), 0.0, 1.0)


@kernel
def autoregression(x: Floats, on: Ints, state: Autoregression) -> tuple[Floats, Floats, Floats]:
    """(z, half_life, score), each (T, N), of a first-order autoregression with intercept over the last W values that count.

    z: distance of x from the window's mean in its deviations, within 1000. half_life: bars, from the coefficient with its
    bias taken off; 0 where that is not positive, infinite where it is 1 or more: x does not come back. score in [0, 1]: 0
    where the Dickey-Fuller t is above its 10 per cent point, 1 from its 1 per cent point on. NaN until W are held; held
    where `on` is 0 or x is not finite. Source: Dickey and Fuller (1979); Kendall (1954) for the bias.
    """
    pos, ring, result, held, first, second = state.pos, state.ring, state.result, state.held, state.first, state.second
    cross, moves, anchor = state.cross, state.moves, state.anchor
    bars, symbols = x.shape
    width = ring.shape[0]
    out = np.empty((3, bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = x[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                p = pos[n]
                before = ring[p - 1 if p > 0 else width - 1, n]
                old = ring[p, n]
                follows = ring[(p + 1) % width, n]
                ring[p, n] = v
                if p == width - 1:
                    _sum_anew(n, state)
                    held[n] = width
                elif held[n] == width:
                    d = v - anchor[n]
                    o = old - anchor[n]
                    m = v - before
                    gone = follows - old
                    first[n] += d - o
                    second[n] += d * d - o * o
                    cross[n] += (before - anchor[n]) * m - o * gone
                    moves[n] += m * m - gone * gone
                pos[n] = 0 if p == width - 1 else p + 1
                if held[n] == width:
                    _fit(n, p, pos[n], state)
            for k in range(3):
                out[k, t, n] = result[k, n]
    return out[0], out[1], out[2]
