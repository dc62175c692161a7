"""Order-flow imbalance of the book's levels, joined into one, and what it says of the next bar."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Unknown, Zero
from dataflows.kernels.window import Moments, moments_push, window_moments
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

ROWS: Final = 4
OFI, INTEGRATED, Z, PREDICTED = range(ROWS)


class OrderFlow(NamedTuple):
    """State of `order_flow`; W is the window of the z-score."""

    products: Annotated[Floats, Axes("D", "D", "N", start=0.0)]  # forgetting sums of products of levels
    weights: Annotated[Floats, Axes("D", "N", start=0.0)]  # of the levels; all 0 before the first bar
    window: Moments
    before: Unknown  # z of the last bar that counted
    zz: Zero
    zr: Zero
    taught: Zero  # weight of what the slope was taught by


@kernel
def _joined(ofi: Floats, t: int, n: int, levels: int, forget: float, state: OrderFlow) -> float:
    """The levels' imbalances of a bar as one, after one step towards the first principal component."""
    products, weights = state.products, state.weights
    whole = 0.0
    for i in range(levels):
        for j in range(levels):
            products[i, j, n] = forget * products[i, j, n] + ofi[t, n, i] * ofi[t, n, j]
        whole += weights[i, n]
    if whole == 0.0:
        for i in range(levels):
            weights[i, n] = 1.0 / levels
    step = np.empty(levels)
    total = 0.0
    for i in range(levels):
        s = 0.0
        for j in range(levels):
            s += products[i, j, n] * weights[j, n]
        step[i] = s if s > 0.0 else 0.0
        total += step[i]
    joined = 0.0
    for i in range(levels):
        if total > 0.0:
            weights[i, n] = step[i] / total
        joined += weights[i, n] * ofi[t, n, i]
    return joined


@kernel
def order_flow(
    ofi: Floats, has_feed: Ints, signed: Floats, r: Floats, on: Ints, most: int, forget: float, least: float, state: OrderFlow
) -> tuple[Floats, Floats, Floats, Floats]:
    """(ofi, ofi_integrated, ofi_z, predicted_bps), each (T, N).

    ofi: (T, N, D), base units; signed: the bar's signed volume, which stands in where the data set has no book feed; r: log
    return. ofi_integrated: the first `most` levels with weights that are not negative and add up to 1, which take one step
    of a power iteration a bar on forgetting products. ofi_z: its distance from its mean over W bars, in their deviations.
    predicted_bps: least squares, with forgetting, of a bar's return on the z before it, times this z; NaN until taught by
    `least` bars. All NaN where `on` is 0 or the level's flow is not known. Source: Cont, Kukanov and Stoikov (2014); Cont,
    Cucuringu and Zhang (2023).
    """
    before, zz, zr, taught = state.before, state.zz, state.zr, state.taught
    bars, symbols = r.shape
    levels = ofi.shape[2] if ofi.shape[2] < most else most
    out = np.full((ROWS, bars, symbols), np.nan)
    window = state.window  # taken apart once: inside the loop each mention would count references
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            if math.isfinite(before[n]) and math.isfinite(r[t, n]):
                zz[n] = forget * zz[n] + before[n] * before[n]
                zr[n] = forget * zr[n] + before[n] * r[t, n]
                taught[n] = forget * taught[n] + 1.0
            known = True
            top = signed[t, n]
            if has_feed[t, n] != 0:
                top = ofi[t, n, 0]
                for i in range(levels):
                    known = known and math.isfinite(ofi[t, n, i])
            z = math.nan
            if known and math.isfinite(top):
                joined = _joined(ofi, t, n, levels, forget, state) if has_feed[t, n] != 0 else top
                moments_push(joined, n, window)
                mean, variance = window_moments(n, window)
                z = (joined - mean) / math.sqrt(variance) if variance > 0.0 else 0.0 * variance
                out[OFI, t, n] = top
                out[INTEGRATED, t, n] = joined
                out[Z, t, n] = z
                if taught[n] >= least and zz[n] > 0.0:
                    out[PREDICTED, t, n] = 1e4 * (zr[n] / zz[n]) * z
            before[n] = z
    return out[OFI], out[INTEGRATED], out[Z], out[PREDICTED]
