"""From an edge to a proposed side and size: L3's kernel."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count
from dataflows.fusion.costs import Waiting, expected_trip
from dataflows.fusion.types import (
    AVOID,
    EDGE_BELOW_COST,
    EDGE_UNCERTAIN,
    NO_SIGNAL,
    NO_SIZE,
    NOT_LEARNED,
    PARTS,
    UNKNOWN_INPUT,
    UNKNOWN_SIDE,
    Cost,
    Expectancy,
    Horizon,
)
from dataflows.kernels.arith import clip, logistic, sign
from dataflows.kernels.smooth import halflife_alpha
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

LEAST_STD: Final = 1e-9
"""bps: a standard error below this is that of sources that are all 0."""


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

    horizons: tuple[int, ...]  # bars
    leave_cost: float  # of the round trip: an edge that much against a side ends it
    leave_halflife: float  # of the mean of that edge, as a part of its horizon
    min_t: float  # standard errors that the net edge needs
    min_observations: float
    multiplier: float  # of every size, in [0, 1]
    waiting: Waiting


class Course(NamedTuple):
    """What L3 remembers of each symbol."""

    side: Count
    smooth: Annotated[Floats, Axes("C", "N", start=NAN)]  # mean edge of a long position at each horizon, bps; NaN: none yet


class Proposed(NamedTuple):
    """What `propose` decides, panels (T, N); the meaning is that of the same fields of `Proposal`."""

    side: Ints
    may_enter: Ints
    edge_bps: Floats
    parts_bps: Floats  # (T, N, PARTS)
    edge_std_bps: Floats
    risk_bps: Floats
    size_fraction: Floats
    confidence: Floats
    rank: Floats
    refusal: Ints


@kernel
def case_against(edge: float, std: float, net: float, seen: float, rules: EntryRules) -> int:
    """The REFUSALS bits that keep a position on a side from being entered, of what is known; 0: none of these.

    edge: gross, of a position on the side, bps; std: its standard deviation; net: after its cost; seen: effective observations.
    """
    bits = 0 if seen >= rules.min_observations else NOT_LEARNED
    if not (net > 0.0 and edge > 0.0):
        bits |= EDGE_BELOW_COST
    elif not net > rules.min_t * std:
        bits |= EDGE_UNCERTAIN
    return bits


@kernel
def smoothed(edge_bps: Floats, alphas: Floats, t: int, n: int, smooth: Floats) -> None:
    """Takes the edges (T, N, H) of bar t and symbol n, where they are known, into their exponential means; the first seeds."""
    for j in range(edge_bps.shape[2]):
        e = edge_bps[t, n, j]
        if e == e:
            was = smooth[j, n]
            smooth[j, n] = was + alphas[j] * (e - was) if was == was else e


@kernel
def ranked(merit: Floats, order: Ints) -> None:
    """Writes the places of merit (N,), none NaN, into order (N,), least first; equal ones go by place, that is by name.

    Most are infinite and in order already, which costs a comparison each; no memory is taken for it.
    """
    for n in range(len(merit)):
        place = n
        while place > 0 and merit[order[place - 1]] > merit[n]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = n


@kernel
def propose(
    learned: Expectancy,
    held: Horizon,
    cost: Cost,
    bounds: Bounds,
    backing: Backing,
    rules: EntryRules,
    course: Course,
) -> Proposed:
    """Side, size, confidence, rank and refusal of every bar and symbol.

    learned: panels (T, N, H), read at the horizon that `held` has chosen. course: updated in place. The rules are those of
    `l3_action_proposal`.
    """
    horizons = rules.horizons
    # taken out of the records once: inside the loop each mention would count references
    edge_bps, edge_std_bps, observations = learned.edge_bps, learned.edge_std_bps, learned.effective_observations
    learned_parts = learned.parts_bps
    index, horizon = held.chosen, held.bars
    round_trip_bps, entry_saving_bps, carry_bps_per_bar = cost.round_trip_bps, cost.entry_saving_bps, cost.carry_bps_per_bar
    sigma, fraction, avoid = bounds.sigma, bounds.fraction, bounds.avoid
    p_success, freshness, agreement = backing.p_success, backing.freshness, backing.agreement
    direction, strength = backing.direction, backing.strength
    sides, smooth = course.side, course.smooth
    bars, symbols, width = edge_bps.shape
    alphas = np.empty(width)
    for j in range(width):
        alphas[j] = halflife_alpha(rules.leave_halflife * horizons[j])
    side = np.empty((bars, symbols), np.int64)
    may_enter = np.empty((bars, symbols), np.int64)
    edge = np.empty((bars, symbols))
    parts = np.empty((bars, symbols, PARTS))
    std = np.empty((bars, symbols))
    risk = np.empty((bars, symbols))
    size = np.empty((bars, symbols))
    confidence = np.empty((bars, symbols))
    rank = np.empty((bars, symbols))
    refusal = np.empty((bars, symbols), np.int64)
    merit = np.empty(symbols)
    order = np.empty(symbols, np.int64)
    for t in range(bars):
        for n in range(symbols):
            smoothed(edge_bps, alphas, t, n, smooth)
            j = index[t, n]
            e = math.nan
            sd = math.nan
            seen = math.nan
            mean = math.nan
            if j >= 0:
                e = edge_bps[t, n, j]
                sd = edge_std_bps[t, n, j]
                seen = observations[t, n, j]
                mean = smooth[j, n]
            share = fraction[t, n] * rules.multiplier
            h = horizon[t, n] if horizon[t, n] > 0.0 else math.nan
            r = 1e4 * sigma[t, n] * math.sqrt(h)
            paid = carry_bps_per_bar[t, n] * h if h == h else 0.0  # by a long
            whole = round_trip_bps[t, n]
            trip = expected_trip(e, whole, entry_saving_bps[t, n], h, rules.waiting)
            told = math.isfinite(e + trip + paid + sd + seen + sigma[t, n] + fraction[t, n] + p_success[t, n] + freshness[t, n])
            s = sides[n]
            bits = AVOID if avoid[t, n] != 0 else 0
            chance = 0.0
            net = math.nan
            if not told:
                s = UNKNOWN_SIDE
                bits |= UNKNOWN_INPUT
            else:
                if s * mean < -rules.leave_cost * whole:
                    s = 0
                way = s if s != 0 else int(sign(e))
                own = way * paid
                net = way * e - trip - (own if own > 0.0 else 0.0)  # of a position on that side
                case = case_against(way * e, sd, net, seen, rules)
                if s == 0 and case == 0:
                    s = way
                sides[n] = s
                bits |= case if way != 0 else NO_SIGNAL
                if not share > 0.0:
                    bits |= NO_SIZE
                if s != 0 and sd > LEAST_STD:
                    chance = logistic(clip(1.702 * net / sd, -30.0, 30.0))
            taken = told and s != 0
            side[t, n] = s
            may_enter[t, n] = 1 if bits == 0 else 0
            way = s if s != 0 else int(sign(e))
            edge[t, n] = way * e + 0.0 if told else math.nan  # + 0.0: no minus zero
            for k in range(PARTS):
                parts[t, n, k] = way * learned_parts[t, n, j * PARTS + k] + 0.0 if told else math.nan
            std[t, n] = sd
            risk[t, n] = r
            size[t, n] = share if taken and share > 0.0 and s * e > 0.0 else 0.0
            support = 0.0
            if taken:
                support = p_success[t, n]
                if agreement[t, n] == agreement[t, n]:
                    support += agreement[t, n]
                if strength[t, n] == strength[t, n]:
                    support += 0.5 * (1.0 + s * direction[t, n] * strength[t, n])
            confidence[t, n] = clip(chance * support / 3.0, 0.0, 1.0)
            refusal[t, n] = bits
            merit[n] = -(net / r) if taken and r > 0.0 else math.inf
        ranked(merit, order)
        for place in range(symbols):
            rank[t, order[place]] = float(place)
    return Proposed(
        side=side,
        may_enter=may_enter,
        edge_bps=edge,
        parts_bps=parts,
        edge_std_bps=std,
        risk_bps=risk,
        size_fraction=size,
        confidence=confidence,
        rank=rank,
        refusal=refusal,
    )
