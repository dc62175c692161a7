"""Risk that adds up: what several symbols risk together, and how much of the new of it fits into a budget.

Hedges earn no credit: two positions add up as their correlation says where they lose together, and do not offset each other
where they do not. So no measure here falls when a weight grows, and a cut of one symbol never breaks another's cap.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from dataflows.panel import Floats, Ints
from dataflows.risk.types import WHY_CLOSE_FIRST, TargetWeights
from dataflows.risk.weights import held_part, opposed
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

SLACK: Final = 1.0 + 1e-9
"""What rounding may add before a budget counts as exceeded: so that what was cut to it once is not cut again."""


@kernel
def joint_sign_correlation(correlation: Floats, weight: Floats, i: int, j: int) -> float:
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
def joint(a: Floats, b: Floats, unit: Floats, correlation: Floats, counted: Floats) -> float:
    """Sum over pairs of a_i u_i rho_ij u_j b_j without credit for hedges; symbols that do not count are left out."""
    total = 0.0
    for i in range(a.shape[0]):
        if not a[i] > 0.0:
            continue
        for j in range(b.shape[0]):
            if b[j] > 0.0:
                rho = joint_sign_correlation(correlation, counted, i, j)
                if rho > 0.0:
                    total += rho * (a[i] * unit[i]) * (b[j] * unit[j])
    return total


class Parts(NamedTuple):
    """Targets apart into what is held and what is new, (N,)."""

    kept: Floats  # |weight| that is held and stays
    new: Floats  # |weight| beyond what is held
    held: Floats  # |weight| that is held: new risk is counted beside all of it until it has been sold
    counted: Floats  # signed weight whose side the symbol counts with; 0: it counts for nothing


@kernel
def split(made: TargetWeights, unit: Floats, bit: int) -> Parts:
    """Splits |weight| into what is held and what is new; an unknown unit of risk admits nothing new.

    unit: (N,) risk of a weight of 1. An untradeable symbol counts with its position. A change of side closes first. A symbol
    whose unit is not positive and finite counts for nothing, and its new part is taken from `made` in place, with `bit`.
    """
    symbols = made.weight.shape[0]
    parts = Parts(full(symbols, 0.0), full(symbols, 0.0), full(symbols, 0.0), full(symbols, 0.0))
    for n in range(symbols):
        fixed, current = made.untradeable[n] != 0, made.held[n]
        w = current if fixed else made.weight[n]
        held = math.fabs(w) if fixed else held_part(w, current)
        if not fixed and opposed(w, current):
            made.weight[n] = w = 0.0
            made.reasons[n] |= WHY_CLOSE_FIRST
        if not 0.0 < unit[n] < math.inf:
            if not fixed and math.fabs(w) > held:
                made.weight[n] = held if w > 0.0 else -held
                made.reasons[n] |= bit
            w = held = current = 0.0
        parts.counted[n] = w if w != 0.0 else current
        parts.kept[n] = held
        parts.new[n] = math.fabs(w) - held
        parts.held[n] = math.fabs(current)
    return parts


@kernel
def put_back(made: TargetWeights, parts: Parts, bit: int) -> None:
    """Lowers the targets in place to what is left of kept and new; what was cut gets the bit. Nothing is raised."""
    for n in range(made.weight.shape[0]):
        if made.untradeable[n] != 0 or parts.counted[n] == 0.0 or made.weight[n] == 0.0:
            continue
        whole = math.fabs(made.weight[n])
        new = parts.new[n]
        size = parts.kept[n] + (new if new > (SLACK - 1.0) * whole else 0.0)  # a crumb of new risk is rounding
        if size < whole / SLACK or size == 0.0:
            made.weight[n] = size if parts.counted[n] > 0.0 else -size
            made.reasons[n] |= bit


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
def keep_joint(parts: Parts, unit: Floats, correlation: Floats, fixed: Ints, budget: float, fill: float) -> None:
    """Scales new risk in place until all together is `fill` of a budget of squares beside all that is held, and what stays of
    held risk until it is the budget itself; what cannot be traded (fixed) stays. unit: (N,) risk of a weight of 1."""
    kept, new, held, counted = parts
    base, cross = joint(held, held, unit, correlation, counted), joint(held, new, unit, correlation, counted)
    square = joint(new, new, unit, correlation, counted)
    if not base + 2.0 * cross + square <= budget * fill * SLACK:
        scale(new, fixed, share_within(base, cross, square, budget * fill))
    if not joint(kept, kept, unit, correlation, counted) <= budget * SLACK:
        fast, free = full(kept.shape[0], 0.0), full(kept.shape[0], 0.0)
        for n in range(kept.shape[0]):
            if fixed[n] != 0:
                fast[n] = kept[n]
            else:
                free[n] = kept[n]
        base, cross = joint(fast, fast, unit, correlation, counted), joint(fast, free, unit, correlation, counted)
        scale(kept, fixed, share_within(base, cross, joint(free, free, unit, correlation, counted), budget))


@kernel
def scale(part: Floats, fixed: Ints, s: float) -> None:
    """Multiplies a part of each symbol by s, in place; what cannot be traded stays."""
    for n in range(part.shape[0]):
        if fixed[n] == 0:
            part[n] *= s
