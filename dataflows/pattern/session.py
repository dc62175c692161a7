"""What a session begins with, and how far price strays from what it has traded at."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class OpeningRange(NamedTuple):
    """State of `opening_range`: the session and the range of its first bars."""

    session: Count  # id + 1; 0 before the first bar
    held: Count  # valid bars in the range; -1: the session's beginning was not seen
    top: Unknown
    bottom: Unknown


class SessionSpread(NamedTuple):
    """State of `session_spread`: volume-weighted moments of the session's prices."""

    session: Count  # id + 1; 0 before the first bar
    held: Count  # valid bars
    volume: Zero
    mean: Zero
    squares: Zero  # sum of volume times squared distance from the mean


@kernel
def opening_range(
    session: Ints, bar_of_session: Ints, high: Floats, low: Floats, on: Ints, length: int, state: OpeningRange
) -> tuple[Ints, Floats, Floats]:
    """(whole, top, bottom), each (T, N): the range of the first `length` bars of the session that count.

    session: its id; bar_of_session: 0 on its first bar. whole: 1 on the bar that completes the range, else 0. top, bottom: of
    the bars so far, of the whole range from then on to the end of the session; NaN where the session's beginning was not
    seen: it was under way at the start of data, and no bar of it was the first.
    """
    state_top, state_bottom, state_session, held = state.top, state.bottom, state.session, state.held
    bars, symbols = high.shape
    whole = np.zeros((bars, symbols), np.int64)
    top = np.empty((bars, symbols))
    bottom = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            if session[t, n] + 1 != state_session[n]:
                seen = state_session[n] != 0 or bar_of_session[t, n] == 0
                state_session[n] = session[t, n] + 1
                held[n] = 0 if seen else -1
                state_top[n] = math.nan
                state_bottom[n] = math.nan
            if on[t, n] != 0 and 0 <= held[n] < length:
                if held[n] == 0 or high[t, n] > state_top[n]:
                    state_top[n] = high[t, n]
                if held[n] == 0 or low[t, n] < state_bottom[n]:
                    state_bottom[n] = low[t, n]
                held[n] += 1
                if held[n] == length:
                    whole[t, n] = 1
            top[t, n] = state_top[n]
            bottom[t, n] = state_bottom[n]
    return whole, top, bottom


@kernel
def session_spread(session: Ints, price: Floats, volume: Floats, on: Ints, least: int, state: SessionSpread) -> Floats:
    """Volume-weighted standard deviation of the session's prices about their volume-weighted mean, (T, N), in their unit.

    NaN until `least` bars of the session that count are held and where nothing was traded; held on bars that do not count.
    The mean is the session's VWAP where `price` is each bar's. Source: West (1979) for the weighted update.
    """
    state_session, held, state_volume, mean, squares = state.session, state.held, state.volume, state.mean, state.squares
    bars, symbols = price.shape
    y = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            if session[t, n] + 1 != state_session[n]:
                state_session[n] = session[t, n] + 1
                held[n] = 0
                state_volume[n] = 0.0
                mean[n] = 0.0
                squares[n] = 0.0
            p = price[t, n]
            v = volume[t, n]
            if on[t, n] != 0 and math.isfinite(p) and v >= 0.0 and v < math.inf:
                held[n] += 1
                if v > 0.0:
                    state_volume[n] += v
                    d = p - mean[n]
                    r = d * (v / state_volume[n])
                    squares[n] += (state_volume[n] - v) * d * r
                    mean[n] += r
            if held[n] >= least and state_volume[n] > 0.0:
                y[t, n] = math.sqrt(squares[n] / state_volume[n])
    return y
