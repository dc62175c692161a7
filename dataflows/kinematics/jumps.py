"""Jumps among the moves of ordinary volatility."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Unknown
from dataflows.kernels.arith import clip
from dataflows.kernels.window import RollingSum, rolling_sum, window_sum
from dataflows.kinematics.volatility import z_score
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Jumps(NamedTuple):
    """State of `jumps`; W is the window of both sums."""

    squares: RollingSum
    pairs: RollingSum
    before: Unknown  # size of the last return that counted


@kernel
def jump_threshold(bars: float, level: float) -> float:
    """Size in deviations that the largest of `bars` normal returns exceeds with probability `level`, by Gumbel's law."""
    root = math.sqrt(2.0 * math.log(bars))
    centre = root - (math.log(math.pi) + math.log(math.log(bars))) / (2.0 * root)
    return centre - math.log(-math.log(1.0 - level)) / root


@kernel
def jumps(r: Floats, floor: Floats, on: Ints, threshold: float, state: Jumps) -> tuple[Floats, Floats, Ints, Ints]:
    """(share, statistic, is_jump, side), each (T, N), over the bars that count.

    share in [0, 1]: part of the last W squared returns that their bipower variation leaves over, 0 where nothing moved;
    held. statistic: the return over the deviation that bipower variation gives for the W bars BEFORE it, at least `floor`;
    within 1000; NaN on bars that do not count. is_jump: 1 where its size is above `threshold`. side: the sign of a jump,
    else 0. Nothing is known until W are held. Source: Barndorff-Nielsen and Shephard (2004); Lee and Mykland (2008).
    """
    bars, symbols = r.shape
    width = state.pairs.ring.shape[0]
    share = np.empty((bars, symbols))
    statistic = np.full((bars, symbols), np.nan)
    is_jump = np.zeros((bars, symbols), np.int64)
    side = np.zeros((bars, symbols), np.int64)
    squares = np.full((bars, symbols), np.nan)
    pairs = np.full((bars, symbols), np.nan)
    before = state.before
    last = np.empty(symbols)  # bipower sum of the bars before
    for n in range(symbols):
        last[n] = window_sum(n, state.pairs)
    for t in range(bars):
        for n in range(symbols):
            v = r[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                squares[t, n] = v * v
                pairs[t, n] = math.fabs(v) * before[n]
                before[n] = math.fabs(v)
    wholes = rolling_sum(squares, on, state.squares)
    smooths = rolling_sum(pairs, on, state.pairs)
    for t in range(bars):
        for n in range(symbols):
            v = r[t, n]
            if on[t, n] != 0 and math.isfinite(v):
                usual = 0.5 * math.pi * last[n] / width
                if usual == usual:
                    sigma = math.sqrt(usual) if usual > 0.0 else 0.0
                    sigma = sigma if sigma > floor[t, n] else floor[t, n]
                    z = z_score(v, sigma)
                    statistic[t, n] = z
                    if math.fabs(z) > threshold:
                        is_jump[t, n] = 1
                        side[t, n] = 1 if z > 0.0 else -1
            last[n] = smooths[t, n]
            whole = wholes[t, n]
            smooth = 0.5 * math.pi * smooths[t, n]
            if whole > 0.0:
                share[t, n] = clip(1.0 - smooth / whole, 0.0, 1.0)
            else:
                share[t, n] = 0.0 * (whole + smooth)
    return share, statistic, is_jump, side
