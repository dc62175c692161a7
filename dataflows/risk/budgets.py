"""Risk that adds up: what several symbols risk together, and how much of the new of it fits into a budget.

Hedges earn no credit: two positions add up as their correlation says where they lose together, and do not offset each other
where they do not. So no measure here falls when a weight grows, and a cut of one symbol never breaks another's cap.
"""

from __future__ import annotations

import math
from typing import Final

from dataflows.panel import Floats, Ints
from dataflows.risk.weights import held_part
from dataflows.runtime.compile import kernel

SLACK: Final = 1.0 + 1e-9
"""What rounding may add before a budget counts as exceeded: so that what was cut to it once is not cut again."""


@kernel
def together(correlation: Floats, weight: Floats, i: int, j: int) -> float:
    """How symbols i and j add up, in [0, 1]: their correlation where their sides lose together, else 0; unknown counts 1."""
    if i == j:
        return 1.0
    rho = correlation[i, j]
    if not -1.0 <= rho <= 1.0:
        return 1.0
    if (weight[i] > 0.0) != (weight[j] > 0.0):
        rho = -rho
    return rho if rho > 0.0 else 0.0


@kernel
def split(
    weight: Floats,
    current: Floats,
    fixed: Ints,
    unit: Floats,
    reasons: Ints,
    bit: int,
    kept: Floats,
    new: Floats,
    counted: Floats,
) -> None:
    """Splits |weight| into what is held and what is new, in place; an unknown unit of risk admits nothing new.

    unit: (N,) risk of a weight of 1. counted: the signed weight that a symbol counts with: its position where it is fixed, 0
    where its unit is not positive and finite (then the new part is taken from `weight`, with `bit`). kept, new: of `counted`.
    """
    for n in range(weight.shape[0]):
        w = current[n] if fixed[n] != 0 else weight[n]
        held = math.fabs(w) if fixed[n] != 0 else held_part(w, current[n])
        if not 0.0 < unit[n] < math.inf:
            if fixed[n] == 0 and math.fabs(w) > held:
                weight[n] = held if w > 0.0 else -held
                reasons[n] |= bit
            w = held = 0.0
        counted[n] = w
        kept[n] = held
        new[n] = math.fabs(w) - held


@kernel
def put_back(weight: Floats, fixed: Ints, counted: Floats, kept: Floats, new: Floats, reasons: Ints, bit: int) -> None:
    """What is left of kept and new, as weights; what was cut gets the bit. Nothing is raised."""
    for n in range(weight.shape[0]):
        if fixed[n] != 0 or counted[n] == 0.0:
            continue
        whole = math.fabs(weight[n])
        size = kept[n] + (new[n] if new[n] > (SLACK - 1.0) * whole else 0.0)  # a crumb of new risk is rounding
        if size < whole / SLACK or size == 0.0:
            weight[n] = size if counted[n] > 0.0 else -size
            reasons[n] |= bit


@kernel
def share_within(base: float, cross: float, square: float, budget: float) -> float:
    """The greatest share s in [0, 1] with base + 2 s cross + s^2 square <= budget; 0 where there is none. All >= 0."""
    room = budget - base
    if not room > 0.0:
        return 0.0
    slope = cross + math.sqrt(cross * cross + square * room)
    if slope <= room:
        return 1.0
    s = room / slope
    return s if s > 0.0 else 0.0


@kernel
def scale(part: Floats, fixed: Ints, s: float) -> None:
    """Multiplies a part of each symbol by s, in place; what cannot be traded stays."""
    for n in range(part.shape[0]):
        if fixed[n] == 0:
            part[n] *= s
