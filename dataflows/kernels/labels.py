"""What became of a sample: which of two barriers the price reached first, told when it is known and not before.

The triple-barrier method and average uniqueness of Lopez de Prado (2018), ch. 3 and 4, for a stream. How a layer uses it:

    at = samples.bars[0]
    counts, rows, how, gain, uniqueness = barrier_labels(...)   # ages what is pending, resolves it, takes what is new
    at each bar t and symbol n: for the next counts[t, n] of them: learn from features[rows[i]]
        predict
        samples.features[(at + t) % horizon, n, :] = ...
"""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Ring, Unknown, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

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


class PricePath(NamedTuple):
    """The bars that resolve samples, panels (T, N)."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    valid: Ints  # 1: observed


@kernel
def is_complete(opened: float, high: float, low: float, close: float, valid: int) -> bool:
    """True for a bar that was observed and whose prices are positive and finite."""
    return valid == 1 and math.isfinite(opened + high + low + close) and opened > 0.0 and low > 0.0 and close > 0.0


@kernel
def barrier_labels(
    path: PricePath, told: Ints, up: Floats, down: Floats, max_gap: int, samples: Samples
) -> tuple[Ints, Ints, Ints, Floats, Floats]:
    """Of each bar and symbol (T, N) how many samples it resolves; and of all these samples row, outcome, gain and uniqueness.

    The samples (any number,) come bar by bar, symbol by symbol, oldest first. how: UPPER, LOWER, BOTH or TIMEOUT (W bars after
    the sample, at the close); gain: close over entry less 1; uniqueness in (0, 1]: mean of 1 / live over its life. A price that
    jumps over a barrier has reached it. What a bar says becomes a sample if it is `told`, the bar is whole and both distances
    `up` and `down` (fractions of the entry) are positive.

    Void, and never told: where the bar of the entry or of the timeout is not whole, or more than `max_gap` bars of its life
    are not. O(1) a bar, but where a barrier is reached or a gap voids: then O(W), a comparison each.
    """
    # taken out of the records once: inside the loop each mention would count references
    opened, high, low, close, valid = path.open, path.high, path.low, path.close, path.valid
    bars, symbols = close.shape
    depth = samples.stage.shape[0]
    counts = np.zeros((bars, symbols), np.int64)
    most = (bars + depth) * symbols
    rows = np.empty(most, np.int64)
    how = np.empty(most, np.int64)
    gain = np.empty(most)
    uniqueness = np.empty(most)
    stage, entry, upper, lower, begun, missed = (
        samples.stage, samples.entry, samples.upper, samples.lower, samples.begun, samples.missed,
    )  # fmt: skip
    missed_now, live, shared = samples.missed_now, samples.live, samples.shared
    nearest_up, nearest_down = samples.nearest_up, samples.nearest_down
    end = 0
    here = samples.bars[0] % depth
    for t in range(bars):
        before = here - 1 if here > 0 else depth - 1
        for n in range(symbols):
            c = close[t, n]
            whole = is_complete(opened[t, n], high[t, n], low[t, n], c, valid[t, n])
            if not whole:
                missed_now[n] += 1
            if stage[before, n] == _WAITING:
                if whole:
                    stage[before, n] = _LIVE
                    live[n] += 1
                    entry[before, n] = opened[t, n]
                    upper[before, n] = opened[t, n] * (1.0 + upper[before, n])
                    lower[before, n] = opened[t, n] * (1.0 - lower[before, n])
                    if not upper[before, n] >= nearest_up[n]:  # also where there was none
                        nearest_up[n] = upper[before, n]
                    if not lower[before, n] <= nearest_down[n]:
                        nearest_down[n] = lower[before, n]
                else:
                    stage[before, n] = _NONE
            if live[n] > 0:
                shared[n] += 1.0 / live[n]
                first = end
                reached = whole and (high[t, n] >= nearest_up[n] or low[t, n] <= nearest_down[n])
                if not whole:
                    for row in range(depth):
                        late = row == here  # its time is up, and there is no close to tell how it ended
                        if stage[row, n] == _LIVE and (late or missed_now[n] - missed[row, n] > max_gap):
                            stage[row, n] = _NONE
                            live[n] -= 1
                elif reached or stage[here, n] == _LIVE:
                    if reached:
                        nearest_up[n] = math.nan
                        nearest_down[n] = math.nan
                    row = here
                    for age in range(depth, 0 if reached else depth - 1, -1):  # the oldest alone where only its time is up
                        if stage[row, n] == _LIVE:
                            above = high[t, n] >= upper[row, n]
                            below = low[t, n] <= lower[row, n]
                            if above or below or age == depth:
                                rows[end] = row
                                how[end] = BOTH if above and below else (UPPER if above else (LOWER if below else TIMEOUT))
                                gain[end] = c / entry[row, n] - 1.0
                                uniqueness[end] = (shared[n] - begun[row, n]) / age
                                stage[row, n] = _NONE
                                live[n] -= 1
                                end += 1
                            else:
                                if not upper[row, n] >= nearest_up[n]:
                                    nearest_up[n] = upper[row, n]
                                if not lower[row, n] <= nearest_down[n]:
                                    nearest_down[n] = lower[row, n]
                        row = row + 1 if row < depth - 1 else 0
                counts[t, n] = end - first
            rise, fall = up[t, n], down[t, n]
            good = whole and told[t, n] != 0 and rise > 0.0 and fall > 0.0 and math.isfinite(rise + fall)
            stage[here, n] = _WAITING if good else _NONE
            upper[here, n] = rise
            lower[here, n] = fall
            entry[here, n] = math.nan
            begun[here, n] = shared[n]
            missed[here, n] = missed_now[n]
        here = here + 1 if here < depth - 1 else 0
    samples.bars[0] += bars
    return counts, rows[:end], how[:end], gain[:end], uniqueness[:end]


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
def payoff_label(how: int, gain: float, side: float, stop: float, reward_risk: float) -> float:
    """What a position on `side` (1 or -1) was paid, on a scale from 0, its stop, to 1, its target.

    stop: distance of the stop as a fraction of the entry; reward_risk: that of the target over it. A position that reaches a
    barrier is paid that barrier, and the stop where both lie in one bar; one that runs out of time is paid its gain, held
    between the two. The mean payoff in stops is (1 + reward_risk) * (mean label) - 1, whatever the three outcomes' shares.
    """
    if how == BOTH:
        return 0.0
    if how == TIMEOUT:
        y = (1.0 + side * gain / stop) / (1.0 + reward_risk)
        return 0.0 if y < 0.0 else (1.0 if y > 1.0 else y)
    return 1.0 if side * how > 0.0 else 0.0
