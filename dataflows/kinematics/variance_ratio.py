"""Lo and MacKinlay's variance ratio in a trailing window."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Ring, Zero
from dataflows.kinematics.volatility import z_score
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class VarianceRatioWindow(NamedTuple):
    """State of `variance_ratio`; W is the window, Q the horizon."""

    ring: Ring
    spans: Ring  # sum of the Q returns that end at each place
    pos: Count
    held: Count
    squares: Zero  # of returns
    sums: Zero  # of squared sums of Q returns
    products: Annotated[Floats, Axes("Q", "N", start=0.0)]  # of squared returns k bars apart; k = 0 is not used
    result: Annotated[Floats, Axes(2, "N", start=NAN)]  # ratio and z as of the last bar that counted


@kernel
def _sum_back(ring: Floats, last: int, count: int, n: int) -> float:
    """Sum of the `count` returns that end at place `last` of symbol n's ring, latest first."""
    width = ring.shape[0]
    total = 0.0
    for k in range(count):
        total += ring[last - k if last >= k else last - k + width, n]
    return total


@kernel
def variance_ratio(r: Floats, on: Ints, state: VarianceRatioWindow) -> tuple[Floats, Floats]:
    """(ratio, z), each (T, N), of the last W returns that count, over Q of them; the mean return is taken as 0.

    ratio: variance of overlapping sums of Q returns over Q times that of one; z: its distance from 1 in standard errors
    that are robust against heteroskedasticity, within 1000. 1 and 0 where nothing moved. NaN until W are held; held where
    `on` is 0 or r is not finite. O(Q) a bar; sums are made anew when the ring wraps. Source: Lo and MacKinlay (1988),
    without small-sample terms.
    """
    result, pos, ring, state_squares, sums = state.result, state.pos, state.ring, state.squares, state.sums
    held, products, spans = state.held, state.products, state.spans
    bars, symbols = r.shape
    width = ring.shape[0]
    q = products.shape[0]
    weights = np.zeros(q)
    for k in range(1, q):
        weights[k] = 4.0 * (1.0 - k / q) * (1.0 - k / q)
    ratio = np.empty((bars, symbols))
    z = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = r[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                p = pos[n]
                if p == width - 1:  # the ring will be in time order: sum anew
                    ring[p, n] = v
                    state_squares[n] = 0.0
                    sums[n] = 0.0
                    for k in range(1, q):
                        products[k, n] = 0.0
                    for i in range(width):
                        a = ring[i, n] * ring[i, n]
                        state_squares[n] += a
                        for k in range(1, q):
                            if i >= k:
                                products[k, n] += a * (ring[i - k, n] * ring[i - k, n])
                        if i >= q - 1:
                            s = _sum_back(ring, i, q, n)
                            spans[i, n] = s
                            sums[n] += s * s
                    pos[n] = 0
                    held[n] = width
                else:
                    if held[n] == width:
                        old = ring[p, n] * ring[p, n]
                        ring[p, n] = v
                        a = v * v
                        state_squares[n] = state_squares[n] - old + a
                        for k in range(1, q):
                            after = ring[p + k if p + k < width else p + k - width, n]
                            before = ring[p - k if p >= k else p - k + width, n]
                            products[k, n] = products[k, n] - old * (after * after) + a * (before * before)
                        last = p + q - 1
                        s = spans[last if last < width else last - width, n]
                        sums[n] -= s * s
                        s = _sum_back(ring, p, q, n)
                        spans[p, n] = s
                        sums[n] += s * s
                    else:
                        ring[p, n] = v
                    pos[n] = p + 1
                if held[n] == width:
                    theta = 0.0
                    for k in range(1, q):
                        theta += weights[k] * products[k, n]
                    squares = state_squares[n]
                    if squares > 0.0:
                        value = sums[n] / (q * squares)
                        value = value if value > 0.0 else 0.0
                        error = math.sqrt(theta) / squares if theta > 0.0 else 0.0
                        result[0, n] = value
                        result[1, n] = z_score(value - 1.0, error)
                    else:
                        result[0, n] = 1.0
                        result[1, n] = 0.0
            ratio[t, n] = result[0, n]
            z[t, n] = result[1, n]
    return ratio, z
