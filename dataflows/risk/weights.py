"""Arithmetic that several step layers of the risk domain share."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.panel import Floats, Ints
from dataflows.risk.types import STOP, TIME, WHY_STOP, WHY_UNKNOWN_INPUT, TargetWeights
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import copied, full

TENTHS = 10.0
RUN = 16


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
def weight_of(position: float, unit: float, equity: float) -> float:
    """Signed fraction of equity that a position is; unit: notional of one. 0 when flat; NaN unless equity and unit are finite
    and positive."""
    if position == 0.0:
        return 0.0
    if 0.0 < equity < math.inf and 0.0 < unit < math.inf and math.isfinite(position):
        w = position * unit / equity
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
def within_cap(weight: float, current: float, cap: float, band: float) -> float:
    """A weight within a cap: new risk up to cap * (1 - band), held risk up to the cap. cap >= 0."""
    most = larger(cap * (1.0 - band), smaller(held_part(weight, current), cap))
    if math.fabs(weight) <= most:
        return weight
    return most if weight > 0.0 else -most


@kernel
def larger(a: float, b: float) -> float:
    """The larger of two numbers."""
    return a if a > b else b


@kernel
def smaller(a: float, b: float) -> float:
    """The smaller of two numbers."""
    return a if a < b else b


@kernel
def shrink(made: TargetWeights, order: Ints, side: float, excess: float, held_too: bool, bit: int) -> None:
    """Takes `excess` out of |weight| in place, in the order given from its end; out of new risk only, or of all of it.

    order: (N,) columns. side: 1.0 or -1.0 takes from that side only, 0.0 from both. bit: set in the reasons of what was cut. An
    untradeable symbol is left alone. What cannot be found stays.
    """
    symbols = made.weight.shape[0]
    for k in range(symbols):
        n = order[symbols - 1 - k]
        w = made.weight[n]
        if not excess > 0.0 or made.untradeable[n] != 0 or w == 0.0 or side * w < 0.0:
            continue
        size = math.fabs(w)
        room = size if held_too else size - held_part(w, made.held[n])
        if not room > 0.0:
            continue
        left = size - (room if room < excess else excess)
        if not left > 0.0:
            left = 0.0
        excess -= room
        made.weight[n] = left if w > 0.0 else -left
        made.reasons[n] |= bit


@kernel
def gross_at_worst(made: TargetWeights) -> tuple[float, float]:
    """Sum of |weight| on the way to the targets, where each symbol may be at what is held or at its target; and once there."""
    way, there = 0.0, 0.0
    for n in range(made.weight.shape[0]):
        held = math.fabs(made.held[n])
        aim = held if made.untradeable[n] != 0 else math.fabs(made.weight[n])
        way += larger(held, aim)
        there += aim
    return way, there


@kernel
def net_at_worst(made: TargetWeights, side: float) -> tuple[float, float]:
    """Net weight towards `side` (1.0 or -1.0) on the way to the targets, and once there.

    On `side` the larger of what is held and the target counts on the way; on the other side always the smaller: a hedge that
    has not happened hedges nothing.
    """
    way, there = 0.0, 0.0
    for n in range(made.weight.shape[0]):
        held = side * made.held[n]
        aim = held if made.untradeable[n] != 0 else side * made.weight[n]
        if aim > 0.0:
            there += aim
        way += larger(larger(held, aim), 0.0)
        hedge = smaller(larger(-held, 0.0), larger(-aim, 0.0))
        way -= hedge
        there -= hedge
    return way, there


@kernel
def keep_gross(made: TargetWeights, order: Ints, most: float, band: float, bit: int) -> None:
    """Cuts new risk in place until gross stays below `most` less the band on the way, and held risk until it is `most`."""
    way, _ = gross_at_worst(made)
    if not way <= most * (1.0 - band):
        shrink(made, order, 0.0, way - most * (1.0 - band), False, bit)
    _, there = gross_at_worst(made)
    if not there <= most:
        shrink(made, order, 0.0, there - most, True, bit)


@kernel
def keep_net(made: TargetWeights, order: Ints, most: float, band: float, bit: int) -> None:
    """Cuts new risk in place until net stays below `most` less the band on the way, and held risk until it is `most`.

    New risk is looked at once more afterwards: held risk that was cut hedges less.
    """
    for step in range(3):
        for side in (1.0, -1.0):
            way, there = net_at_worst(made, side)
            if step == 1:
                if not there <= most:
                    shrink(made, order, side, there - most, True, bit)
            elif not way <= most * (1.0 - band):
                shrink(made, order, side, way - most * (1.0 - band), False, bit)


@kernel
def by_rank(rank: Floats) -> Ints:
    """Columns from the best rank to the worst; an unknown rank is the worst, ties go by column."""
    symbols = rank.shape[0]
    key, order, merged = full(symbols, math.nan), full(symbols, 0), full(symbols, 0)
    for n in range(symbols):  # np.argsort would take from the heap: here short runs are sorted by insertion, then merged
        key[n], k = sort_key(rank[n]), n
        while k % RUN > 0 and key[order[k - 1]] > key[n]:
            order[k] = order[k - 1]
            k -= 1
        order[k] = n
    run = RUN
    while run < symbols:
        end = 0
        while end < symbols:
            left, first = end, end
            middle, end = min(first + run, symbols), min(first + 2 * run, symbols)
            right = middle
            for k in range(first, end):
                if left < middle and (right >= end or key[order[left]] <= key[order[right]]):
                    merged[k] = order[left]
                    left += 1
                else:
                    merged[k] = order[right]
                    right += 1
        order, merged = merged, order
        run *= 2
    return order


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
def holdings(position: Floats, unit: Floats, equity: float) -> Holdings:
    """Every position as a weight; position, and the notional of one unit, (N,)."""
    symbols = position.shape[0]
    weight, untold = full(symbols, 0.0), full(symbols, 0)
    blind = False
    for n in range(symbols):
        w = weight_of(position[n], unit[n], equity)
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
