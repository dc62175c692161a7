"""Trailing windows of the last W bars that count: moments, sums, lags and extremes in O(1) a bar, whatever W.

W is the length of the state's ring. Every symbol has its own position, since each counts its own bars. Running sums are made
anew whenever the ring wraps, which bounds their drift and depends on the count of bars only, never on the chunks.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Ring, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Moments(NamedTuple):
    """State of `rolling_moments`. Sums are of the distance from `anchor`, so that a far level costs no digits."""

    ring: Ring
    pos: Count
    held: Count  # values held, up to W
    anchor: Zero
    first: Zero  # sum of x - anchor
    second: Zero  # sum of (x - anchor) squared
    run: Count  # how many of the latest values are equal


class RollingSum(NamedTuple):
    """State of `rolling_sum`."""

    ring: Ring
    pos: Count
    held: Count
    total: Zero


class Lag(NamedTuple):
    """State of `lagged`."""

    ring: Ring
    pos: Count


class Extremes(NamedTuple):
    """State of `extremes_push`. Bars are taken in blocks of W. Each ring holds the values of the block so far; behind them, for
    each place of the block before, the extreme from there to its end."""

    high: Ring
    high_at: Annotated[Ints, Axes("W", "N", start=0)]  # number of the bar that each entry is from
    low: Ring
    low_at: Annotated[Ints, Axes("W", "N", start=0)]
    block_high: Zero  # extremes of the block so far, and their bars
    block_high_at: Count
    block_low: Zero
    block_low_at: Count
    highest: Zero  # extremes of the window, and their bars; of equal ones the latest
    highest_at: Count
    lowest: Zero
    lowest_at: Count
    pos: Count
    seen: Count  # bars counted so far


@kernel
def moments_push(v: float, n: int, state: Moments) -> None:
    """Puts the finite value v into symbol n's window; the oldest leaves when it is full."""
    ring = state.ring
    width = ring.shape[0]
    p = state.pos[n]
    old = ring[p, n]
    newest = ring[p - 1 if p > 0 else width - 1, n]
    state.run[n] = state.run[n] + 1 if v == newest else 1
    ring[p, n] = v
    if p == width - 1:  # the ring is in time order now: sum anew, about its newest value
        first = 0.0
        second = 0.0
        for i in range(width):
            d = ring[i, n] - v
            first += d
            second += d * d
        state.anchor[n] = v
        state.first[n] = first
        state.second[n] = second
        state.pos[n] = 0
    else:
        if state.held[n] == width:
            d = v - state.anchor[n]
            o = old - state.anchor[n]
            state.first[n] += d - o
            state.second[n] += d * d - o * o
        state.pos[n] = p + 1
    if state.held[n] < width:
        state.held[n] += 1


@kernel
def window_moments(n: int, state: Moments) -> tuple[float, float]:
    """Mean and population variance of symbol n's window, never negative and 0 for equal values; NaN until it is full."""
    width = state.ring.shape[0]
    if state.held[n] < width:
        return math.nan, math.nan
    if state.run[n] >= width:
        return state.ring[0, n], 0.0
    m = state.first[n] / width
    s = state.second[n] / width - m * m
    return state.anchor[n] + m, s if s > 0.0 else 0.0


@kernel
def rolling_moments(x: Floats, on: Ints, state: Moments) -> tuple[Floats, Floats]:
    """Mean and population variance of the last W values, W the length of the state's ring.

    x: float64 (T, N); on: int64 (T, N), 1 where the bar counts. Returns (mean, variance), each (T, N): NaN until W values are
    held; the last result where `on` is 0 or x is not finite. Variance is never negative, and exactly 0 for W equal values.
    """
    bars, symbols = x.shape
    mean = np.empty((bars, symbols))
    variance = np.empty((bars, symbols))
    ring, pos, held, run = state.ring, state.pos, state.held, state.run
    anchor, first, second = state.anchor, state.first, state.second
    width = ring.shape[0]
    for t in range(bars):
        for n in range(symbols):  # the two above, written out: to hand them the state costs ten times the work
            v = x[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                p = pos[n]
                old = ring[p, n]
                run[n] = run[n] + 1 if v == ring[p - 1 if p > 0 else width - 1, n] else 1
                ring[p, n] = v
                if p == width - 1:
                    a = 0.0
                    b = 0.0
                    for i in range(width):
                        d = ring[i, n] - v
                        a += d
                        b += d * d
                    anchor[n] = v
                    first[n] = a
                    second[n] = b
                    pos[n] = 0
                else:
                    if held[n] == width:
                        d = v - anchor[n]
                        o = old - anchor[n]
                        first[n] += d - o
                        second[n] += d * d - o * o
                    pos[n] = p + 1
                if held[n] < width:
                    held[n] += 1
            if held[n] < width:
                mean[t, n] = math.nan
                variance[t, n] = math.nan
            elif run[n] >= width:
                mean[t, n] = ring[0, n]
                variance[t, n] = 0.0
            else:
                m = first[n] / width
                s = second[n] / width - m * m
                mean[t, n] = anchor[n] + m
                variance[t, n] = s if s > 0.0 else 0.0
    return mean, variance


@kernel
def previous_moments(x: Floats, on: Ints, state: Moments) -> tuple[Floats, Floats]:
    """`rolling_moments` as they were before each bar: of the W values that counted before it."""
    bars, symbols = x.shape
    mean = np.empty((bars, symbols))
    variance = np.empty((bars, symbols))
    for n in range(symbols):
        mean[0, n], variance[0, n] = window_moments(n, state)
    means, variances = rolling_moments(x, on, state)
    for t in range(1, bars):
        for n in range(symbols):
            mean[t, n] = means[t - 1, n]
            variance[t, n] = variances[t - 1, n]
    return mean, variance


@kernel
def sum_push(v: float, n: int, state: RollingSum) -> None:
    """Puts the finite value v into symbol n's window; the oldest leaves when it is full."""
    ring = state.ring
    width = ring.shape[0]
    p = state.pos[n]
    old = ring[p, n]
    ring[p, n] = v
    if p == width - 1:
        a = 0.0
        for i in range(width):
            a += ring[i, n]
        state.total[n] = a
        state.pos[n] = 0
    else:
        if state.held[n] == width:
            state.total[n] += v - old
        state.pos[n] = p + 1
    if state.held[n] < width:
        state.held[n] += 1


@kernel
def window_sum(n: int, state: RollingSum) -> float:
    """Sum of symbol n's window; NaN until it is full."""
    if state.held[n] < state.ring.shape[0]:
        return math.nan
    return float(state.total[n])


@kernel
def rolling_sum(x: Floats, on: Ints, state: RollingSum) -> Floats:
    """Sum of the last W values; NaN until W are held; the last sum where `on` is 0 or x is not finite."""
    bars, symbols = x.shape
    y = np.empty((bars, symbols))
    ring, pos, held, total = state.ring, state.pos, state.held, state.total
    width = ring.shape[0]
    for t in range(bars):
        for n in range(symbols):  # the two above, written out: to hand them the state costs ten times the work
            v = x[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                p = pos[n]
                old = ring[p, n]
                ring[p, n] = v
                if p == width - 1:
                    a = 0.0
                    for i in range(width):
                        a += ring[i, n]
                    total[n] = a
                    pos[n] = 0
                else:
                    if held[n] == width:
                        total[n] += v - old
                    pos[n] = p + 1
                if held[n] < width:
                    held[n] += 1
            y[t, n] = total[n] if held[n] == width else math.nan
    return y


@kernel
def lag_push(v: float, n: int, state: Lag) -> float:
    """The value that symbol n's window took W values ago, NaN where there is none; then it takes v."""
    p = state.pos[n]
    old = state.ring[p, n]
    state.ring[p, n] = v
    state.pos[n] = 0 if p == state.ring.shape[0] - 1 else p + 1
    return float(old)


@kernel
def lagged(x: Floats, on: Ints, state: Lag) -> Floats:
    """The value W counted bars before this one. NaN until there is one, where `on` is 0 and where x is not finite."""
    bars, symbols = x.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = x[t, n]
            y[t, n] = math.nan
            if on[t, n] != 0 and math.isfinite(v):
                y[t, n] = lag_push(v, n, state)
    return y


@kernel
def extremes_push(high: float, low: float, n: int, state: Extremes) -> None:
    """Takes the finite high and low of a bar into symbol n's window. O(1) a bar in the mean, and hardly a branch that prices
    decide: a processor cannot guess those.

    Source: van Herk (1992); Gil and Werman (1993).
    """
    highs, high_at, lows, low_at = state.high, state.high_at, state.low, state.low_at
    width = highs.shape[0]
    now, p = state.seen[n], state.pos[n]
    top, bottom = state.block_high[n], state.block_low[n]
    top_at, bottom_at = state.block_high_at[n], state.block_low_at[n]
    above, below = p == 0 or high >= top, p == 0 or low <= bottom
    top, top_at = high if above else top, now if above else top_at
    bottom, bottom_at = low if below else bottom, now if below else bottom_at
    state.block_high[n], state.block_high_at[n] = top, top_at
    state.block_low[n], state.block_low_at[n] = bottom, bottom_at
    highs[p, n], high_at[p, n] = high, now
    lows[p, n], low_at[p, n] = low, now
    state.seen[n] = now + 1
    if p < width - 1:
        state.pos[n] = p + 1
        if now >= width:  # the block before has values in the window
            higher, lower = highs[p + 1, n] > top, lows[p + 1, n] < bottom
            top, top_at = highs[p + 1, n] if higher else top, high_at[p + 1, n] if higher else top_at
            bottom, bottom_at = lows[p + 1, n] if lower else bottom, low_at[p + 1, n] if lower else bottom_at
    else:
        state.pos[n] = 0
        for i in range(width - 2, -1, -1):
            if highs[i + 1, n] >= highs[i, n]:
                highs[i, n], high_at[i, n] = highs[i + 1, n], high_at[i + 1, n]
            if lows[i + 1, n] <= lows[i, n]:
                lows[i, n], low_at[i, n] = lows[i + 1, n], low_at[i + 1, n]
    state.highest[n], state.highest_at[n] = top, top_at
    state.lowest[n], state.lowest_at[n] = bottom, bottom_at
