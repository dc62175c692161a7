"""Arithmetic that several step layers of the risk domain share."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.risk.types import STOP, TIME, WHY_STOP, WHY_UNKNOWN_INPUT, TargetWeights
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import copied, fresh

TENTHS = 10.0


@kernel
def tenths_below(x: float) -> float:
    """The greatest whole number of tenths that is at most x (but for the last bits), held within [0, 10]; x finite."""
    y = x * TENTHS + 1e-9  # a half of the way down, (0.15 - 0.1) / (0.15 - 0.05), is 0.49999999999999994
    if not y >= 0.0:
        return 0.0
    if y >= TENTHS:
        return TENTHS
    return float(math.floor(y))


@kernel
def weight_of(position: float, mark: float, equity: float) -> float:
    """Signed fraction of equity that a position is. 0 when flat; NaN unless equity and mark are finite and positive."""
    if position == 0.0:
        return 0.0
    if 0.0 < equity < math.inf and 0.0 < mark < math.inf and math.isfinite(position):
        w = position * mark / equity
        if math.isfinite(w):
            return w
    return math.nan


@kernel
def grows(target: float, current: float) -> bool:
    """Whether `target` is more risk than `current` holds: larger on the same side, or on the other side. NaN grows."""
    if target == 0.0:
        return False
    if target > 0.0:
        return not target <= current
    return not target >= current


@kernel
def opposed(weight: float, position: float) -> bool:
    """Whether a weight is on the other side than a position."""
    return (weight > 0.0 and position < 0.0) or (weight < 0.0 and position > 0.0)


@kernel
def is_distance(x: float) -> bool:
    """Whether x is a distance from a price as a fraction of it: in (0, 1)."""
    return 0.0 < x < 1.0


@kernel
def held_part(weight: float, current: float) -> float:
    """The part of |weight| that is already held: the rest is new risk."""
    if (weight > 0.0 and current > 0.0) or (weight < 0.0 and current < 0.0):
        return min(math.fabs(weight), math.fabs(current))
    return 0.0


@kernel
def shrink(made: TargetWeights, order: Ints, side: float, excess: float, bit: int) -> None:
    """Takes `excess` out of |weight| in place: all new risk in the order given from its end, then held risk likewise.

    order: (N,) columns. side: 1.0 or -1.0 takes from that side only, 0.0 from both. bit: set in the reasons of what was cut. An
    untradeable symbol is left alone. What cannot be found stays.
    """
    symbols = made.weight.shape[0]
    for held_too in range(2):
        for k in range(symbols):
            n = order[symbols - 1 - k]
            w = made.weight[n]
            if not excess > 0.0 or made.untradeable[n] != 0 or w == 0.0 or side * w < 0.0:
                continue
            size = math.fabs(w)
            room = size if held_too == 1 else size - held_part(w, made.held[n])
            if not room > 0.0:
                continue
            left = size - (room if room < excess else excess)
            if not left > 0.0:
                left = 0.0
            excess -= room
            made.weight[n] = left if w > 0.0 else -left
            made.reasons[n] |= bit


@kernel
def exposure(made: TargetWeights) -> tuple[float, float]:
    """(gross, net): sums of |weight| and of weight; an untradeable symbol counts at what it holds. In symbol order."""
    gross, net = 0.0, 0.0
    for n in range(made.weight.shape[0]):
        w = made.held[n] if made.untradeable[n] != 0 else made.weight[n]
        gross += math.fabs(w)
        net += w
    return gross, net


@kernel
def by_rank(rank: Floats) -> Ints:
    """Columns from the best rank to the worst; an unknown rank is the worst, ties go by column."""
    key = fresh(rank.shape[0], math.nan)
    for n in range(rank.shape[0]):
        key[n] = sort_key(rank[n])
    return np.argsort(key, kind="mergesort")


@kernel
def lowered(by: TargetWeights) -> TargetWeights:
    """A copy of targets that the next cap may lower in place; what is held and what cannot be traded stay shared."""
    return TargetWeights(copied(by.weight), copied(by.reasons), by.untradeable, by.held)


class Holdings(NamedTuple):
    """The positions as weights."""

    weight: Floats  # (N,) signed fractions of equity; 0 where it cannot be told
    untold: Ints  # 1: the weight of this position cannot be told
    blind: bool  # one of them cannot


@kernel
def holdings(position: Floats, mark: Floats, equity: float) -> Holdings:
    """Every position as a weight; position, mark (N,)."""
    symbols = position.shape[0]
    weight, untold = fresh(symbols, 0.0), fresh(symbols, 0)
    blind = False
    for n in range(symbols):
        w = weight_of(position[n], mark[n], equity)
        if math.isfinite(w):
            weight[n] = w
        else:
            untold[n] = 1
            blind = True
    return Holdings(weight, untold, blind)


@kernel
def sort_key(rank: float) -> float:
    """A rank to sort by: the unknown is the worst."""
    return rank if math.isfinite(rank) else math.inf


@kernel
def exit_bit(reason: int) -> int:
    """The bit of REASONS for a reason of EXITS; an exit without one counts as asked for by an unknown input."""
    if STOP <= reason <= TIME:
        return WHY_STOP << (reason - STOP)
    return WHY_UNKNOWN_INPUT
