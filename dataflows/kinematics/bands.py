"""Bollinger's and Keltner's bands around one average price."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes
from dataflows.kernels.arith import clip
from dataflows.kernels.smooth import SeededEwm, seeded_push
from dataflows.kernels.window import Moments, moments_push, window_moments
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

FAR = 1000.0
"""Widths of a band beyond which a distance is not told apart."""


class Bands(NamedTuple):
    """State of `bands`; W is the window of both."""

    closes: Moments
    middle: SeededEwm
    result: Annotated[Floats, Axes(4, "N", start=NAN)]  # as of the last bar that counted


@kernel
def bands(
    close: Floats, atr: Floats, on: Ints, wide: float, narrow: float, state: Bands
) -> tuple[Floats, Floats, Floats, Floats]:
    """(percent_b, bandwidth, keltner_position, squeeze), each (T, N), over the bars that count.

    Bollinger: the mean of the last W closes and `wide` of their population deviations to each side. Keltner: the
    exponential average of span W and `narrow` ATR to each side. percent_b: 0 on the lower, 1 on the upper Bollinger band,
    0.5 where they meet. bandwidth: their distance over the mean. keltner_position: -1 and 1 on Keltner's bands, 0 where
    they meet. squeeze: 1 where Bollinger's bands lie within Keltner's. Positions lie within `FAR`. NaN until both are
    whole; held where `on` is 0 or the close is not finite. Source: Bollinger (2001); Keltner (1960) with Linda Raschke's
    average and range; Carter (2005).
    """
    result = state.result
    bars, symbols = close.shape
    closes, average = state.closes, state.middle
    average_mean = average.mean
    width = closes.ring.shape[0]
    out = np.empty((4, bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            c = close[t, n]
            if on[t, n] != 0 and math.isfinite(c):
                moments_push(c, n, closes)
                seeded_push(c, n, 2.0 / (width + 1.0), width, average)
                mean, variance = window_moments(n, closes)
                reach = wide * math.sqrt(variance)
                result[0, n] = clip(0.5 + 0.5 * ((c - mean) / reach), -FAR, FAR) if reach > 0.0 else 0.5 + 0.0 * reach
                result[1, n] = 2.0 * reach / mean if mean > 0.0 else math.nan
                middle = average_mean[n]
                room = narrow * atr[t, n]
                result[2, n] = clip((c - middle) / room, -FAR, FAR) if room > 0.0 else 0.0 * room
                inside = mean + reach < middle + room and mean - reach > middle - room
                result[3, n] = 1.0 if inside else 0.0 * (reach + room + middle)
            for k in range(4):
                out[k, t, n] = result[k, n]
    return out[0], out[1], out[2], out[3]
