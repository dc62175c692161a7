"""From score and edge to a proposed side and size: L3's kernel."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

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
    Cost,
    Expectancy,
    Horizon,
)
from dataflows.kernels.arith import clip, logistic
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

LEAST_STD: Final = 1e-9
"""bps: a standard error below this is that of a score of 0."""


class Bounds(NamedTuple):
    """What limits a position, panels (T, N)."""

    sigma: Floats  # volatility a bar
    fraction: Floats  # of equity, that L75 suggests
    avoid: Ints  # 1: L63 says to stay out


class Backing(NamedTuple):
    """What speaks for a position on either side, panels (T, N)."""

    p_success: Floats  # of a position on the side of the edge
    freshness: Floats
    agreement: Floats
    direction: Ints  # of the kinematic state
    strength: Floats


class EntryRules(NamedTuple):
    """When there is a side, and when it may be entered."""

    enter: float  # |score| above which there is a side
    leave: float  # score for the side below which there is none
    min_t: float  # standard errors that the net edge needs
    min_observations: float
    multiplier: float  # of every size, in [0, 1]


class Proposed(NamedTuple):
    """What `propose` decides, panels (T, N); the meaning is that of the same fields of `Proposal`."""

    side: Ints
    may_enter: Ints
    edge_bps: Floats
    edge_std_bps: Floats
    risk_bps: Floats
    size_fraction: Floats
    confidence: Floats
    rank: Floats
    refusal: Ints


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
    learned: Expectancy,
    held: Horizon,
    cost: Cost,
    bounds: Bounds,
    backing: Backing,
    rules: EntryRules,
    sides: Ints,
) -> Proposed:
    """Side, size, confidence, rank and refusal of every bar and symbol.

    score: (T, N). learned: panels (T, N, H), read at the horizon that `held` has chosen. sides: (N,), latched side, updated in
    place. The rules are those of `l3_action_proposal`.
    """
    bars, symbols = score.shape
    # taken out of the records once: inside the loop each mention would count references
    edge_bps, edge_std_bps, observations = learned.edge_bps, learned.edge_std_bps, learned.effective_observations
    index, horizon = held.chosen, held.bars
    round_trip_bps, carry_bps_per_bar = cost.round_trip_bps, cost.carry_bps_per_bar
    sigma, fraction, avoid = bounds.sigma, bounds.fraction, bounds.avoid
    p_success, freshness, agreement = backing.p_success, backing.freshness, backing.agreement
    direction, strength = backing.direction, backing.strength
    enter, leave, multiplier = rules.enter, rules.leave, rules.multiplier
    min_t, min_observations = rules.min_t, rules.min_observations
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
            support = 0.0
            if taken:
                support = p
                if agreement[t, n] == agreement[t, n]:
                    support += agreement[t, n]
                if strength[t, n] == strength[t, n]:
                    support += 0.5 * (1.0 + s * direction[t, n] * strength[t, n])
            confidence[t, n] = clip(chance * support / 3.0, 0.0, 1.0)
            refusal[t, n] = bits
            merit[n] = -(net / r) if taken and r > 0.0 else math.inf
        order = np.argsort(merit, kind="mergesort")  # stable: ties go by column, and columns are sorted by name
        for place in range(symbols):
            rank[t, order[place]] = float(place)
    return Proposed(
        side=side,
        may_enter=may_enter,
        edge_bps=edge,
        edge_std_bps=std,
        risk_bps=risk,
        size_fraction=size,
        confidence=confidence,
        rank=rank,
        refusal=refusal,
    )
