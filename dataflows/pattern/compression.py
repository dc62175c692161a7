"""Volatility that is compressed, and its release."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Unknown, Zero
from dataflows.kernels.arith import clip, known
from dataflows.kernels.order import SortedWindow, count_below, sorted_rank, window_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Compression(NamedTuple):
    """State of `compressions`; W values of the bandwidth are ranked."""

    widths: SortedWindow
    width: Unknown  # as of the last change
    rank: Annotated[Floats, Axes("N", start=NAN)]  # of that among those before it
    inside: Count  # 1 while volatility is compressed


class Release(NamedTuple):
    """State of `releases`: the compression that may still be released."""

    waits: Count  # 1 while one does
    held: Count  # bars that counted since it began
    since: Count  # bars that counted since it was last active
    quiet: Unknown  # least volatility while it was
    sure: Zero  # its confidence
    path: Zero  # sum of all returns: log price, less that of the first bar


@kernel
def compressions(
    squeeze: Floats,
    bandwidth: Floats,
    ratio: Floats,
    on: Ints,
    share: float,
    enter: float,
    leave: float,
    state: Compression,
) -> tuple[Ints, Floats, Ints]:
    """(begins, confidence, ends), each (T, N).

    Bands are narrow where `squeeze` is 1, or the bandwidth's rank among the W values before it is at most `share`; each new
    value of the bandwidth is one, however long it is held. Volatility is compressed from the bar on which bands are narrow and
    ratio <= enter (begins: 1) to the one on which they are not, or ratio > leave (ends: 1). confidence in [0, 1]: half 1 -
    rank, half 1 - ratio; NaN where begins is 0. What is unknown neither begins nor ends; an unknown rank counts 1. O(log W)
    where the bandwidth changes, else O(1).
    """
    state_rank, state_width, inside = state.rank, state.width, state.inside
    bars, symbols = ratio.shape
    begins = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    ends = np.zeros((bars, symbols), np.int64)
    ring, widths, pos, held = state.widths.ring, state.widths.sorted, state.widths.pos, state.widths.held
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            width = bandwidth[t, n]
            if math.isfinite(width) and width != state_width[n]:
                below = count_below(widths[n], held[n], width)
                state_rank[n] = sorted_rank(width, below, held[n], widths[n])
                window_push(width, below, n, ring, widths, pos, held)
                state_width[n] = width
            rank = known(state_rank[n], 1.0)
            narrow = squeeze[t, n] == 1.0 or rank <= share
            if inside[n] == 0:
                if narrow and ratio[t, n] <= enter:
                    inside[n] = 1
                    begins[t, n] = 1
                    confidence[t, n] = 0.5 * (1.0 - rank) + 0.5 * clip(1.0 - ratio[t, n], 0.0, 1.0)
            elif not narrow or ratio[t, n] > leave:
                inside[n] = 0
                ends[t, n] = 1
    return begins, confidence, ends


@kernel
def releases(
    active: Ints,
    age: Floats,
    sure: Floats,
    sigma: Floats,
    r_1: Floats,
    r_5: Floats,
    slope: Floats,
    least: float,
    within: int,
    state: Release,
) -> tuple[Ints, Floats, Floats, Floats]:
    """(side, confidence, refuted_at, path), each (T, N).

    active, age, sure: of the compression's occurrences. One waits to be released from five bars after it begins until `within`
    bars after it ended. side: of the last five bars' return, on the first bar on which that is `least` or more of sqrt(5) times
    the compression's least volatility, and `slope` has the same sign; else 0. confidence in [0, 1]: half for the move x in
    those deviations, 1 - least / (2 * x), half the compression's. path: log price from the first bar on. refuted_at: where it
    was before the five bars. Both in log price; confidence and refuted_at NaN where side is 0. A bar whose r_1 is NaN does not
    count.
    """
    state_path, since, held, waits, quiet = state.path, state.since, state.held, state.waits, state.quiet
    state_sure = state.sure
    bars, symbols = r_1.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    refuted_at = np.full((bars, symbols), np.nan)
    path = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            if math.isfinite(r_1[t, n]):
                state_path[n] += r_1[t, n]
                since[n] += 1
                held[n] += 1
                if waits[n] != 0 and active[t, n] == 0 and since[n] > within:
                    waits[n] = 0
                unit = quiet[n] * math.sqrt(5.0)
                if waits[n] != 0 and held[n] >= 5 and unit > 0.0:
                    move = r_5[t, n] / unit
                    s = 1 if move > 0.0 else -1
                    if s * move >= least and s * slope[t, n] > 0.0:
                        side[t, n] = s
                        confidence[t, n] = 0.5 * (1.0 - 0.5 * least / (s * move)) + 0.5 * state_sure[n]
                        refuted_at[t, n] = state_path[n] - r_5[t, n]
                        waits[n] = 0
                if active[t, n] != 0:
                    since[n] = 0
                    if age[t, n] == 0.0:
                        waits[n] = 1
                        held[n] = 0
                        quiet[n] = sigma[t, n]
                        state_sure[n] = sure[t, n]
                    elif not (quiet[n] <= sigma[t, n]):
                        quiet[n] = sigma[t, n]
            path[t, n] = state_path[n]
    return side, confidence, refuted_at, path
