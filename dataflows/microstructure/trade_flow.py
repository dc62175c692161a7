"""Aggressor flow: imbalance, intensity, toxicity, and the price that it moves."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Count, Ring, Unknown, Zero
from dataflows.kernels.window import Moments, moments_push, window_moments
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Pressure(NamedTuple):
    """State of `pressure`; W is the window of the z-score."""

    signed: Zero  # decayed sums of signed volume, of volume, of what was bought and sold
    traded: Zero
    bought: Zero
    sold: Zero
    usual: Unknown  # mean volume of a bar, over the same window
    window: Moments


class Buckets(NamedTuple):
    """State of `toxicity`; W is the number of buckets."""

    usual: Unknown  # mean volume of a bar
    ring: Ring  # imbalance of each full bucket, as a share of it
    pos: Count
    held: Count
    signed: Zero  # of the bucket that is being filled
    filled: Zero  # share of it


class Impact(NamedTuple):
    """State of `impact`: forgetting sums of x squared, x r, r squared and their weight, of |r| over notional and its."""

    xx: Zero
    xr: Zero
    rr: Zero
    weight: Zero
    illiquid: Zero
    bars: Zero  # weight of what illiquid was taught by
    result: Annotated[Floats, Axes(3, "N", start=NAN)]


@kernel
def bought_share(z: float) -> float:
    """Share of a bar's volume that buyers began, from its move in deviations: bulk classification by the normal law.

    Source: Easley, Lopez de Prado and O'Hara (2012).
    """
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


@kernel
def pressure(
    volume: Floats, buy: Floats, sell: Floats, z: Floats, on: Ints, decay: float, state: Pressure
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """(signed_volume, pressure, pressure_z, buy_intensity, sell_intensity), each (T, N).

    volume, buy, sell: base units; where buy is not known it is classified by z, the bar's move in deviations. decay in (0,
    1): what is left of a bar's volume after a bar. signed_volume: of this bar, NaN where it does not count. pressure:
    decayed signed volume over decayed volume, 0 where nothing traded. pressure_z: its distance from its mean over W bars,
    in their deviations, 0 where it did not vary. Intensities: decayed volume of a side, over what a usual bar's decays to.
    All but the first are held where `on` is 0.
    """
    signed, traded, bought, sold, state_usual = state.signed, state.traded, state.bought, state.sold, state.usual
    bars, symbols = volume.shape
    out = np.full((5, bars, symbols), np.nan)
    window = state.window  # taken apart once: inside the loop each mention would count references
    width = window.ring.shape[0]
    for t in range(bars):
        for n in range(symbols):
            v = volume[t, n]
            b = buy[t, n]
            s = sell[t, n]
            if not (b == b and s == s):
                b = v * bought_share(z[t, n])
                s = v - b
            if on[t, n] != 0 and math.isfinite(v) and math.isfinite(b):
                out[0, t, n] = b - s
                signed[n] = decay * signed[n] + (b - s)
                traded[n] = decay * traded[n] + (b + s)
                bought[n] = decay * bought[n] + b
                sold[n] = decay * sold[n] + s
                usual = state_usual[n]
                state_usual[n] = usual + (v - usual) / width if usual == usual else v
                lean = signed[n] / traded[n] if traded[n] > 0.0 else 0.0
                moments_push(lean, n, window)
            if state_usual[n] == state_usual[n]:
                lean = signed[n] / traded[n] if traded[n] > 0.0 else 0.0
                lean = lean if lean < 1.0 else 1.0
                lean = lean if lean > -1.0 else -1.0
                out[1, t, n] = lean
                mean, variance = window_moments(n, window)
                if variance > 0.0:
                    out[2, t, n] = (lean - mean) / math.sqrt(variance)
                else:
                    out[2, t, n] = 0.0 * variance
                steady = state_usual[n] / (1.0 - decay)
                out[3, t, n] = bought[n] / steady if steady > 0.0 else 0.0
                out[4, t, n] = sold[n] / steady if steady > 0.0 else 0.0
    return out[0], out[1], out[2], out[3], out[4]


@kernel
def toxicity(volume: Floats, signed: Floats, on: Ints, bars_per_bucket: float, memory: float, state: Buckets) -> Floats:
    """Volume-synchronised probability of informed trading in [0, 1], (T, N): mean |bought - sold| over the last W full buckets.

    A bucket holds `bars_per_bucket` usual bars' volume, the usual one a mean that forgets by 1 / `memory` a bar. A bar's
    volume and its signed part go into buckets in proportion. NaN until W are full; held where `on` is 0, nothing traded or
    a side is not known.
    Source: Easley, Lopez de Prado and O'Hara (2012).
    """
    state_usual, state_signed, filled, held, pos = state.usual, state.signed, state.filled, state.held, state.pos
    ring = state.ring
    bars, symbols = volume.shape
    width = ring.shape[0]
    y = np.full((bars, symbols), np.nan)
    mean = np.full(symbols, np.nan)  # of the buckets; NaN where one has become full since it was taken
    for t in range(bars):
        for n in range(symbols):
            v = volume[t, n]
            if on[t, n] != 0 and v > 0.0 and math.isfinite(v) and math.isfinite(signed[t, n]):
                usual = state_usual[n]
                state_usual[n] = usual + (v - usual) / memory if usual == usual else v
                size = bars_per_bucket * state_usual[n]
                left = v / size  # in buckets
                lean = signed[t, n] / v
                if left > 2.0 * width:
                    left = 2.0 * width  # so much volume fills them all with one side's share
                while filled[n] + left >= 1.0:
                    part = 1.0 - filled[n]
                    state_signed[n] += lean * part
                    left -= part
                    p = pos[n]
                    imbalance = math.fabs(state_signed[n])
                    ring[p, n] = imbalance if imbalance < 1.0 else 1.0
                    pos[n] = 0 if p == width - 1 else p + 1
                    if held[n] < width:
                        held[n] += 1
                    state_signed[n] = 0.0
                    filled[n] = 0.0
                    mean[n] = math.nan
                state_signed[n] += lean * left
                filled[n] += left
            if held[n] == width:
                if mean[n] != mean[n]:
                    total = 0.0
                    for i in range(width):
                        total += ring[i, n]
                    mean[n] = total / width
                y[t, n] = mean[n]
    return y


@kernel
def impact(
    r: Floats, notional: Floats, signed: Floats, on: Ints, forget: float, least: float, state: Impact
) -> tuple[Floats, Floats, Floats]:
    """(lambda_sqrt, amihud, r2), each (T, N): what a notional moves the price, by least squares that forget.

    r: log return; notional: traded, the account's currency; signed: of it, bought less sold. lambda_sqrt: slope, through the
    origin, of r on the signed root of signed notional. amihud: mean |r| over notional, with the same weights. r2 in [0, 1]:
    share of r squared that the slope explains. forget in (0, 1): weight that is left after a bar. A bar without volume
    neither teaches nor forgets, and one whose signed volume is unknown only amihud. NaN until the weights add up to `least`
    bars; held elsewhere. Source: Hasbrouck (2009); Amihud (2002).
    """
    illiquid, state_bars, result, xx, xr, rr = state.illiquid, state.bars, state.result, state.xx, state.xr, state.rr
    weight = state.weight
    bars, symbols = r.shape
    out = np.empty((3, bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            v = notional[t, n]
            y = r[t, n]
            if on[t, n] != 0 and v > 0.0 and math.isfinite(v) and math.isfinite(y):
                illiquid[n] = forget * illiquid[n] + math.fabs(y) / v
                state_bars[n] = forget * state_bars[n] + 1.0
                if state_bars[n] >= least:
                    result[1, n] = illiquid[n] / state_bars[n]
                if math.isfinite(signed[t, n]):
                    x = math.sqrt(math.fabs(signed[t, n]))
                    x = x if signed[t, n] >= 0.0 else -x
                    xx[n] = forget * xx[n] + x * x
                    xr[n] = forget * xr[n] + x * y
                    rr[n] = forget * rr[n] + y * y
                    weight[n] = forget * weight[n] + 1.0
                    if weight[n] >= least:
                        result[0, n] = xr[n] / xx[n] if xx[n] > 0.0 else 0.0
                        both = xx[n] * rr[n]
                        share = xr[n] * xr[n] / both if both > 0.0 else 0.0
                        result[2, n] = share if share < 1.0 else 1.0
            for k in range(3):
                out[k, t, n] = result[k, n]
    return out[0], out[1], out[2]
