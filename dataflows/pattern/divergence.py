"""Divergences: price goes beyond its last extreme, and what drives it does not."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind, Count, Ring, Unknown
from dataflows.kernels.smooth import Ewm
from dataflows.kernels.window import Extremes, extremes_push
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Peak(NamedTuple):
    """The last extreme of one side. Price NaN: there was none yet."""

    price: Unknown
    rsi: Unknown
    flow: Unknown
    at: Count  # number of its bar


class Divergence(NamedTuple):
    """State of `divergences`."""

    window: Annotated[Extremes, Bind(W="divergence_window_bars")]
    rsi: Annotated[Ring, Bind(W="divergence_window_bars")]
    flow: Annotated[Ring, Bind(W="divergence_window_bars")]
    smooth: Ewm
    high: Peak
    low: Peak


@kernel
def _compared(
    s: int, price: float, then: int, n: int, most: int, rsi_points: float, flow_least: float, state: Divergence
) -> float:
    """Confidence that the extreme of side s (1 high, -1 low) at bar `then` diverges from the one before, 0 where it does not.
    It then is the one before."""
    last = state.high if s > 0 else state.low
    width = state.rsi.shape[0]
    rsi, flow = state.rsi[then % width, n], state.flow[then % width, n]
    sure = 0.0
    if s * (price - last.price[n]) > 0.0 and then - last.at[n] <= most:
        tired, faded = s * (last.rsi[n] - rsi), s * (last.flow[n] - flow)
        if tired >= rsi_points or faded >= flow_least:
            if tired > 0.0:
                sure += 0.5 * tired / (tired + rsi_points)
            if faded > 0.0:
                sure += 0.5 * faded / (faded + flow_least)
    last.price[n] = price
    last.rsi[n] = rsi
    last.flow[n] = flow
    last.at[n] = then
    return sure


@kernel
def divergences(
    high: Floats,
    low: Floats,
    rsi: Floats,
    flow_z: Floats,
    on: Ints,
    most: int,
    rsi_points: float,
    flow_least: float,
    alpha: float,
    state: Divergence,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): the bars that confirm a new extreme of price on weaker momentum.

    An extreme is the highest high, or lowest low, of the window with half of the window's bars after it: known only then, and
    compared with the extreme of its side before, at most `most` bars older. It diverges where price went beyond that one
    while the oscillator fell short of it by rsi_points, or the mean flow (weight alpha on each new bar) by flow_least. side:
    against the extreme. confidence in [0, 1]: the mean of x / (x + least) over oscillator and flow, x the shortfall, an unknown
    or missing one 0. extreme: its price. 0, NaN and NaN elsewhere, and where a high and a low are confirmed together.
    """
    bars, symbols = high.shape
    width = state.window.high.shape[0]
    half = width // 2
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    window, rsis, flows, smooth = state.window, state.rsi, state.flow, state.smooth.mean
    seen, highest, highest_at = window.seen, window.highest, window.highest_at
    lowest, lowest_at = window.lowest, window.lowest_at
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            z = flow_z[t, n]
            if math.isfinite(z):
                m = smooth[n]
                smooth[n] = m + alpha * (z - m) if m == m else z
            now = seen[n]
            extremes_push(high[t, n], low[t, n], n, window)
            rsis[now % width, n] = rsi[t, n]
            flows[now % width, n] = smooth[n]
            if now + 1 < width:
                continue
            then = now - half
            top = highest_at[n] == then
            bottom = lowest_at[n] == then
            sure = 0.0
            price = math.nan
            if top:
                price = highest[n]
                sure = _compared(1, price, then, n, most, rsi_points, flow_least, state)
            if bottom:
                price = lowest[n]
                sure = _compared(-1, price, then, n, most, rsi_points, flow_least, state)
            if sure > 0.0 and top != bottom:
                side[t, n] = -1 if top else 1
                confidence[t, n] = sure
                extreme[t, n] = price
    return side, confidence, extreme
