"""From score and edge to a proposed side and size: L3's kernel."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from dataflows.fusion.types import (
    AVOID,
    EDGE_BELOW_COST,
    EDGE_UNCERTAIN,
    NO_SIGNAL,
    NO_SIZE,
    NOT_LEARNED,
    UNKNOWN_INPUT,
    UNKNOWN_SIDE,
)
from dataflows.kernels.arith import clip, logistic
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

LEAST_STD: Final = 1e-9
"""bps: a standard error below this is that of a score of 0."""


@kernel
def latched_side(score: float, enter: float, leave: float, side: int) -> int:
    """Side with hysteresis: taken beyond +-enter, kept until the score for it falls below leave. NaN keeps it."""
    if score > enter:
        return 1
    if score < -enter:
        return -1
    if side * score < leave:
        return 0
    return side


@kernel
def propose(
    score: Floats,
    edge_bps: Floats,
    edge_std_bps: Floats,
    observations: Floats,
    index: Ints,
    horizon: Floats,
    round_trip_bps: Floats,
    carry_bps_per_bar: Floats,
    p_success: Floats,
    freshness: Floats,
    sigma: Floats,
    fraction: Floats,
    avoid: Ints,
    agreement: Floats,
    direction: Ints,
    strength: Floats,
    multiplier: float,
    enter: float,
    leave: float,
    min_t: float,
    min_observations: float,
    sides: Ints,
) -> tuple[Ints, Ints, Floats, Floats, Floats, Floats, Floats, Floats, Ints]:
    """The proposal's side, may_enter, edge, its std, risk, size, confidence, rank and refusal; each (T, N).

    edge_bps, edge_std_bps, observations: (T, N, H), read at `index`. sides: (N,), latched side, updated in place. The rules are
    those of `l3_action_proposal`.
    """
    bars, symbols = score.shape
    side = np.empty((bars, symbols), np.int64)
    may_enter = np.empty((bars, symbols), np.int64)
    edge = np.empty((bars, symbols))
    std = np.empty((bars, symbols))
    risk = np.empty((bars, symbols))
    size = np.empty((bars, symbols))
    confidence = np.empty((bars, symbols))
    rank = np.empty((bars, symbols))
    refusal = np.empty((bars, symbols), np.int64)
    merit = np.empty(symbols)
    for t in range(bars):
        for n in range(symbols):
            x = score[t, n]
            j = index[t, n]
            if x == x:
                sides[n] = latched_side(x, enter, leave, sides[n])
            s = sides[n]
            e = math.nan
            sd = math.nan
            seen = math.nan
            if j >= 0:
                e = edge_bps[t, n, j]
                sd = edge_std_bps[t, n, j]
                seen = observations[t, n, j]
            share = fraction[t, n] * multiplier
            r = 1e4 * sigma[t, n] * math.sqrt(horizon[t, n]) if horizon[t, n] > 0.0 else math.nan
            bits = AVOID if avoid[t, n] != 0 else 0
            bars_held = horizon[t, n] if horizon[t, n] > 0.0 else 0.0
            paid = s * carry_bps_per_bar[t, n] * bars_held
            net = s * e - round_trip_bps[t, n] - (0.0 if paid < 0.0 else paid)  # of a position on this side
            p = p_success[t, n]
            told = math.isfinite(x + net + sd + seen + sigma[t, n] + fraction[t, n] + p + freshness[t, n])
            chance = 0.0
            if not told:
                s = UNKNOWN_SIDE
                bits |= UNKNOWN_INPUT
            elif s == 0:
                bits |= NO_SIGNAL
            else:
                if not seen >= min_observations:
                    bits |= NOT_LEARNED
                if not (net > 0.0 and s * e > 0.0):
                    bits |= EDGE_BELOW_COST
                elif not net > min_t * sd:
                    bits |= EDGE_UNCERTAIN
                if not share > 0.0:
                    bits |= NO_SIZE
                if sd > LEAST_STD:
                    chance = logistic(clip(1.702 * net / sd, -30.0, 30.0))
            taken = told and s != 0
            side[t, n] = s
            may_enter[t, n] = 1 if bits == 0 else 0
            edge[t, n] = s * e + 0.0 if told else math.nan  # + 0.0: no minus zero
            std[t, n] = sd
            risk[t, n] = r
            size[t, n] = share if taken and share > 0.0 else 0.0
            backing = 0.0
            if taken:
                backing = p
                if agreement[t, n] == agreement[t, n]:
                    backing += agreement[t, n]
                if strength[t, n] == strength[t, n]:
                    backing += 0.5 * (1.0 + s * direction[t, n] * strength[t, n])
            confidence[t, n] = clip(chance * backing / 3.0, 0.0, 1.0)
            refusal[t, n] = bits
            merit[n] = -(net / r) if taken and r > 0.0 else math.inf
        order = np.argsort(merit, kind="mergesort")  # stable: ties go by column, and columns are sorted by name
        for place in range(symbols):
            rank[t, order[place]] = float(place)
    return side, may_enter, edge, std, risk, size, confidence, rank, refusal
