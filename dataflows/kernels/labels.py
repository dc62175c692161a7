"""What became of a sample: which of two barriers the price reached first, told when it is known and not before.

The triple-barrier method and average uniqueness of Lopez de Prado (2018), ch. 3 and 4, for a stream. How a layer uses it, at
each bar and symbol:

    count = resolve_samples(...)               # age what is pending; the samples that this bar resolves, oldest first
    for i in range(count): learn from features[rows[i]]
    predict
    samples.features[row, n, :] = ...          # row = samples.bars[0] % horizon
    store_sample(...)                          # may become a sample, if its entry does
    ... and samples.bars[0] += 1 once all symbols have had the bar
"""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

from dataflows.carry import Axes, Count, Ring, Unknown, Zero
from dataflows.kernels.compile import kernel
from dataflows.panel import Floats, Ints

UPPER: Final = 1
LOWER: Final = -1
BOTH: Final = 2
"""Both barriers lie in one bar: which came first cannot be known."""
TIMEOUT: Final = 0

_NONE: Final = 0
_WAITING: Final = 1
_LIVE: Final = 2


class Samples(NamedTuple):
    """The samples of the last W bars, W the horizon. Bar i is in row i % W."""

    features: Annotated[Floats, Axes("W", "N", "F", start=0.0)]
    stage: Annotated[Ints, Axes("W", "N", start=0)]  # none, waiting for its entry, live
    entry: Ring  # open of the bar after
    upper: Ring  # distance from the entry while waiting, then a price
    lower: Ring
    begun: Ring  # `shared` at the close of the sample's bar
    missed: Annotated[Ints, Axes("W", "N", start=0)]  # bars without data up to and including that one
    missed_now: Count
    live: Count  # samples under way
    shared: Zero  # sum over bars of 1 / live
    nearest_up: Unknown  # no live upper barrier is below it; NaN: none
    nearest_down: Unknown
    bars: Annotated[Ints, Axes(1, start=0)]  # seen so far


@kernel
def is_whole(opened: float, high: float, low: float, close: float, valid: int) -> bool:
    """True for a bar that was observed and whose prices are positive and finite."""
    return valid == 1 and math.isfinite(opened + high + low + close) and opened > 0.0 and low > 0.0 and close > 0.0


@kernel
def resolve_samples(
    opened: float,
    high: float,
    low: float,
    close: float,
    whole: bool,
    n: int,
    max_gap: int,
    samples: Samples,
    rows: Ints,
    how: Ints,
    gain: Floats,
    uniqueness: Floats,
) -> int:
    """How many samples of symbol n this bar resolves. Writes, oldest first, each one's row, outcome, gain and uniqueness.

    The bar's prices count if `whole`. rows, how, gain, uniqueness: scratch of at least W entries. how: UPPER, LOWER, BOTH or
    TIMEOUT (W bars after the sample, at the close); gain: close over entry less 1; uniqueness in (0, 1]: mean of 1 / live over
    its life. A price that jumps over a barrier has reached it.

    Void, and never told: where the bar of the entry or of the timeout is not whole, or more than `max_gap` bars of its life
    are not. O(1) a bar, but where a barrier is reached or a gap voids: then O(W), a comparison each.
    """
    depth = samples.stage.shape[0]
    i = samples.bars[0]
    here = i % depth
    before = (i - 1) % depth
    if not whole:
        samples.missed_now[n] += 1
    if samples.stage[before, n] == _WAITING:
        if whole:
            samples.stage[before, n] = _LIVE
            samples.live[n] += 1
            samples.entry[before, n] = opened
            up = opened * (1.0 + samples.upper[before, n])
            down = opened * (1.0 - samples.lower[before, n])
            samples.upper[before, n] = up
            samples.lower[before, n] = down
            if not up >= samples.nearest_up[n]:  # also where there was none
                samples.nearest_up[n] = up
            if not down <= samples.nearest_down[n]:
                samples.nearest_down[n] = down
        else:
            samples.stage[before, n] = _NONE
    if samples.live[n] == 0:
        return 0
    samples.shared[n] += 1.0 / samples.live[n]
    if not whole:
        for row in range(depth):
            late = row == here  # its time is up, and there is no close to tell how it ended
            if samples.stage[row, n] == _LIVE and (late or samples.missed_now[n] - samples.missed[row, n] > max_gap):
                samples.stage[row, n] = _NONE
                samples.live[n] -= 1
        return 0
    count = 0
    if high >= samples.nearest_up[n] or low <= samples.nearest_down[n]:
        nearest_up = math.nan
        nearest_down = math.nan
        for age in range(depth, 0, -1):
            row = (i - age) % depth
            if samples.stage[row, n] != _LIVE:
                continue
            above = high >= samples.upper[row, n]
            below = low <= samples.lower[row, n]
            if above or below or age == depth:
                rows[count] = row
                how[count] = BOTH if above and below else (UPPER if above else (LOWER if below else TIMEOUT))
                gain[count] = close / samples.entry[row, n] - 1.0
                uniqueness[count] = (samples.shared[n] - samples.begun[row, n]) / age
                samples.stage[row, n] = _NONE
                samples.live[n] -= 1
                count += 1
            else:
                if not samples.upper[row, n] >= nearest_up:
                    nearest_up = samples.upper[row, n]
                if not samples.lower[row, n] <= nearest_down:
                    nearest_down = samples.lower[row, n]
        samples.nearest_up[n] = nearest_up
        samples.nearest_down[n] = nearest_down
    elif samples.stage[here, n] == _LIVE:
        rows[0] = here
        how[0] = TIMEOUT
        gain[0] = close / samples.entry[here, n] - 1.0
        uniqueness[0] = (samples.shared[n] - samples.begun[here, n]) / depth
        samples.stage[here, n] = _NONE
        samples.live[n] -= 1
        count = 1
    return count


@kernel
def store_sample(n: int, told: bool, up: float, down: float, samples: Samples) -> None:
    """What symbol n's bar says becomes a sample, if it is `told` and both distances (fractions of the entry) are positive."""
    here = samples.bars[0] % samples.stage.shape[0]
    good = told and up > 0.0 and down > 0.0 and math.isfinite(up + down)
    samples.stage[here, n] = _WAITING if good else _NONE
    samples.upper[here, n] = up
    samples.lower[here, n] = down
    samples.entry[here, n] = math.nan
    samples.begun[here, n] = samples.shared[n]
    samples.missed[here, n] = samples.missed_now[n]


@kernel
def two_sided_label(how: int, gain: float) -> tuple[float, float]:
    """(1 up, 0 down; weight) of a sample that takes no side: half the weight on a timeout, none where nobody can tell."""
    if how == UPPER:
        return 1.0, 1.0
    if how == LOWER:
        return 0.0, 1.0
    if how == BOTH or gain == 0.0:
        return 0.0, 0.0
    return (1.0 if gain > 0.0 else 0.0), 0.5


@kernel
def target_label(how: int, gain: float, side: float) -> float:
    """1 if a position on `side` (1 or -1) came to its target before its stop, or timed out with a gain; else 0.

    The target is the barrier on its side. Both in one bar: the stop.
    """
    if how == BOTH:
        return 0.0
    if how == TIMEOUT:
        return 1.0 if side * gain > 0.0 else 0.0
    return 1.0 if side * how > 0.0 else 0.0
