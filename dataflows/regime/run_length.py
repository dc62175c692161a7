"""How long the law of a series has been the same: the run lengths of Adams and MacKay, in bins that widen with age."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count
from dataflows.kernels.polynomial import exp_of_each, log_of_each
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

BINS: Final = 80
"""Room for bins. A run of 720 bars takes 37 of them; the bounds of the configuration keep within."""
TIDY: Final = 8
"""Bars between two rounds of joining bins. By the count of bars alone, so that no cut of the input moves it."""
FINENESS: Final = 2
"""A bin that begins r bars behind `recent` is at most 1 + r / FINENESS run lengths wide."""

MASS, SUM, SQUARES, LOG_BETA, DENSITY = 0, 1, 2, 3, 4
RUN, YOUNG = 0, 1
TOTAL, TOTAL_SQUARES, SCALE, AGE = 0, 1, 2, 3
CONSTANT, SHRINK, YOUTH = 0, 1, 2  # rows of `run_length_table`
RESULTS: Final = 3
P_CHANGE, RUN_LENGTH, INSTABILITY = range(RESULTS)


class RunLengths(NamedTuple):
    """State of `run_lengths`. Between two rounds nothing of a bin moves but its mass: run lengths and sums are as of the last
    round, and what came since is added on reading."""

    bins: Annotated[Floats, Axes(5, "N", BINS, start=0.0)]  # mass, sum, sum of squares, log beta, 1 / run lengths in it
    runs: Annotated[Ints, Axes(2, "N", BINS, start=0)]  # run length it stands for, and the shortest in it
    held: Count  # bins
    since: Annotated[Floats, Axes(4, "N", start=0.0)]  # the last round: sum, sum of squares, factor of all masses, bars
    gap: Count  # bars since the last value
    result: Annotated[Floats, Axes(RESULTS, "N", start=NAN)]


class Law(NamedTuple):
    """What is believed before any value: P(a run ends on a bar), bars that count as recent, shape and rate of the precision's
    gamma, and the logarithm of the rate."""

    hazard: float
    recent: int
    alpha: float
    beta: float
    log_beta: float


def run_length_table(r_max: int, recent: int, alpha: float, kappa: float) -> Floats:
    """(3, r_max + TIDY + 2): by run length r, the log of the predictive density's constant; 1 / (kappa + r); and
    recent / (recent + r)."""
    r = np.arange(r_max + TIDY + 2.0)
    a = alpha + 0.5 * r
    k = kappa + r
    gammas = np.array([math.lgamma(v + 0.5) - math.lgamma(v) for v in a])
    return np.stack([gammas + 0.5 * np.log(k / (k + 1.0)) - 0.5 * math.log(2.0 * math.pi), 1.0 / k, recent / (recent + r)])


@kernel
def _tidy(n: int, r_max: int, recent: int, beta: float, table: Floats, state: RunLengths) -> None:
    """Brings symbol n's bins up to date and joins neighbours, oldest first, as far as FINENESS and r_max let it.

    Joined bins have the sum of the masses, and the sufficient statistics weighted by them.
    """
    mass, sums, squares = state.bins[MASS, n], state.bins[SUM, n], state.bins[SQUARES, n]
    log_beta, density = state.bins[LOG_BETA, n], state.bins[DENSITY, n]
    runs, young = state.runs[RUN, n], state.runs[YOUNG, n]
    since = state.since[:, n]
    bars = int(since[AGE])
    kept = 0
    end = 0  # one past the longest run length of the bin that was kept last
    for i in range(state.held[n]):
        w = mass[i] * since[SCALE]
        r = runs[i] + bars
        s = sums[i] + since[TOTAL]
        q = squares[i] + since[TOTAL_SQUARES]
        y = young[i] + bars
        if r > r_max:  # no run counts as longer: it forgets instead
            s *= r_max / r
            q *= r_max / r
            r = r_max
        k = kept - 1
        if kept > 0 and (y >= r_max if kept == 1 else (end - y - 1) * FINENESS <= y - recent):
            whole = mass[k] + w
            if whole > 0.0:
                part = w / whole
                mean = runs[k] + part * (r - runs[k])
                nearest = int(mean + 0.5)
                sums[k] = (sums[k] + part * (s - sums[k])) * (nearest / mean)
                squares[k] = (squares[k] + part * (q - squares[k])) * (nearest / mean)
                runs[k] = nearest
            mass[k] = whole
            if kept > 1:
                young[k] = y
        else:
            if kept > 0:
                end = young[k]
            k = kept
            mass[k] = w
            runs[k] = r
            sums[k] = s
            squares[k] = q
            young[k] = y if y < r_max else r_max
            kept += 1
        log_beta[k] = beta + 0.5 * (squares[k] - sums[k] * sums[k] * table[SHRINK, runs[k]])
        density[k] = 1.0 / (end - young[k]) if k > 0 else 1.0
    log_of_each(log_beta[:kept])
    state.held[n] = kept
    since[TOTAL] = 0.0
    since[TOTAL_SQUARES] = 0.0
    since[SCALE] = 1.0
    since[AGE] = 0.0


@kernel
def _observe(x: float, n: int, law: Law, table: Floats, work: Floats, state: RunLengths) -> None:
    """One value for symbol n: every run goes on or ends here; puts the results into the state. work: (2, BINS), any content."""
    hazard, recent, alpha, beta, log_beta_of_none = law
    mass, sums, squares = state.bins[MASS, n], state.bins[SUM, n], state.bins[SQUARES, n]
    log_beta, density, runs = state.bins[LOG_BETA, n], state.bins[DENSITY, n], state.runs[RUN, n]
    since = state.since[:, n]
    held = state.held[n]
    bars = int(since[AGE])
    total = since[TOTAL] + x
    total_squares = since[TOTAL_SQUARES] + x * x
    grow = since[SCALE] * (1.0 - hazard)
    after, weight = work[0, :held], work[1, :held]
    for i in range(held):
        s = sums[i] + total
        after[i] = beta + 0.5 * (squares[i] + total_squares - s * s * table[SHRINK, runs[i] + bars + 1])
    log_of_each(after)
    for i in range(held):
        r = runs[i] + bars
        a = alpha + 0.5 * r
        weight[i] = table[CONSTANT, r] + a * log_beta[i] - (a + 0.5) * after[i]
    exp_of_each(weight)
    whole = 0.0
    near = 0.0
    unsettled = 0.0
    most = -1.0
    mode = 0
    for i in range(held):
        r = runs[i] + bars
        w = grow * mass[i] * weight[i]
        mass[i] = w
        log_beta[i] = after[i]
        whole += w
        unsettled += w * table[YOUTH, r + 1]
        if r < recent:
            near += w
        if w * density[i] > most:
            most = w * density[i]
            mode = r + 1
    scale = (1.0 - hazard) / whole
    since[TOTAL] = total
    since[TOTAL_SQUARES] = total_squares
    since[SCALE] = scale
    since[AGE] = bars + 1.0
    mass[held] = hazard / scale
    log_beta[held] = log_beta_of_none
    sums[held] = -total
    squares[held] = -total_squares
    density[held] = 1.0
    runs[held] = -bars - 1
    state.runs[YOUNG, n, held] = -bars - 1
    state.held[n] = held + 1
    last = table.shape[1] - TIDY - 2
    p = hazard + scale * near
    u = hazard + scale * unsettled
    state.result[P_CHANGE, n] = p if p < 1.0 else 1.0
    state.result[RUN_LENGTH, n] = float(mode if mode < last else last) if scale * most > hazard else 0.0
    state.result[INSTABILITY, n] = u if u < 1.0 else 1.0


@kernel
def run_lengths(
    r: Floats,
    sigma: Floats,
    most: float,
    hazard: float,
    recent: int,
    alpha: float,
    beta: float,
    table: Floats,
    state: RunLengths,
) -> tuple[Floats, Floats, Floats]:
    """(p_change, run_length, instability), each (T, N), of x = r / sigma held within +-most.

    r: float64 (T, N), NaN: no value, everything holds; after k such bars x is r / (sigma * sqrt(k + 1)). A run ends on each bar
    with probability `hazard`, and what follows is normal of unknown mean and variance: precision gamma with shape `alpha` and
    rate `beta`, mean normal about 0. table: see `run_length_table`; its length says the longest run, whose last bin keeps all
    that is longer. p_change: P(run length <= recent). run_length: the most probable. instability: mean of
    recent / (recent + run length). NaN before the first value. Source: Adams and MacKay (2007).

    Exact are the run lengths up to `recent`. Older ones share bins: the number of these grows with the logarithm of the
    longest run, and so does the work, one logarithm and one exponential each a bar.
    """
    gap, result, held, bins, since = state.gap, state.result, state.held, state.bins, state.since
    bars, symbols = r.shape
    out = np.empty((RESULTS, bars, symbols))
    longest = table.shape[1] - TIDY - 2
    work = np.empty((2, BINS))
    work[0, 0] = beta
    log_of_each(work[0, :1])
    law = Law(hazard, recent, alpha, beta, work[0, 0])
    for t in range(bars):
        for n in range(symbols):
            gap[n] += 1
            s = sigma[t, n]
            v = r[t, n]
            if math.isfinite(v) and s > 0.0 and math.isfinite(s):
                x = v / (s * math.sqrt(gap[n]))
                x = x if x < most else most
                x = x if x > -most else -most
                gap[n] = 0
                if held[n] == 0:  # one run, of no length yet, is all there is
                    held[n] = 1
                    bins[MASS, n, 0] = 1.0
                    bins[DENSITY, n, 0] = 1.0
                    bins[LOG_BETA, n, 0] = law.log_beta
                    since[SCALE, n] = 1.0
                elif since[AGE, n] >= TIDY:
                    _tidy(n, longest, recent, beta, table, state)
                _observe(x, n, law, table, work, state)
            for k in range(RESULTS):
                out[k, t, n] = result[k, n]
    return out[P_CHANGE], out[RUN_LENGTH], out[INSTABILITY]
