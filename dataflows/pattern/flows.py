"""What order flow and the book draw: a book that empties, flow that is absorbed, flow that goes on, impact that fades."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Bind, Unknown, Zero
from dataflows.kernels.arith import clip, known, sign
from dataflows.kernels.window import Moments, RollingSum, previous_moments, rolling_sum, window_sum
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

_RUN: Final = 5
"""Bars of L2's r_5."""


class Vacuum(NamedTuple):
    """State of `vacuums`; W is the window of what is usual."""

    bids: Moments
    asks: Moments
    spread: Moments


class Absorption(NamedTuple):
    """State of `absorptions`: sums over K bars, and the volume of W bars, which is what is usual."""

    signed: Annotated[RollingSum, Bind(W="K")]
    traded: Annotated[RollingSum, Bind(W="K")]
    moved: Annotated[RollingSum, Bind(W="K")]
    usual: RollingSum


class Persistence(NamedTuple):
    """State of `continuations`; W is the window of the flow's signs."""

    signs: RollingSum


class Transient(NamedTuple):
    """State of `fading_impacts`: what is left of the impact of past flow, its peak, and the farthest close of its swing."""

    impact: Zero
    peak: Zero
    extreme: Unknown


@kernel
def vacuums(
    bid_depth: Floats,
    ask_depth: Floats,
    spread: Floats,
    proxied: Ints,
    r_5: Floats,
    sigma: Floats,
    score: Floats,
    close: Floats,
    on: Ints,
    most_depth: float,
    least_spread: float,
    least_move: float,
    state: Vacuum,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, start), each (T, N): price runs into a side of the book that has emptied.

    side: of the run; else 0. confidence: half for how much of the usual depth is gone, half for 1 - score (L63's). start: the
    price before the run. Both NaN where side is 0. Usual: mean over the W known books before this one.
    """
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    start = np.full((bars, symbols), np.nan)
    whole = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0 and proxied[t, n] == 0 and math.isfinite(bid_depth[t, n] + ask_depth[t, n] + spread[t, n]):
                whole[t, n] = 1
    usual_bid, _ = previous_moments(bid_depth, whole, state.bids)
    usual_ask, _ = previous_moments(ask_depth, whole, state.asks)
    usual_spread, _ = previous_moments(spread, whole, state.spread)
    for t in range(bars):
        for n in range(symbols):
            if whole[t, n] == 0:
                continue
            b = bid_depth[t, n]
            a = ask_depth[t, n]
            s = spread[t, n]
            bids = usual_bid[t, n]
            asks = usual_ask[t, n]
            usual = usual_spread[t, n]
            move = least_move * sigma[t, n] * math.sqrt(_RUN)
            if not (s >= least_spread * usual and move > 0.0):
                continue
            if r_5[t, n] >= move and a <= most_depth * asks:
                side[t, n] = 1
                gone = 1.0 - (a / asks if asks > 0.0 else 0.0)
            elif r_5[t, n] <= -move and b <= most_depth * bids:
                side[t, n] = -1
                gone = 1.0 - (b / bids if bids > 0.0 else 0.0)
            else:
                continue
            confidence[t, n] = 0.5 * gone + 0.5 * (1.0 - known(score[t, n], 1.0))
            start[t, n] = close[t, n] * math.exp(-r_5[t, n])
    return side, confidence, start


@kernel
def absorptions(
    volume: Floats,
    signed: Floats,
    r: Floats,
    sigma: Floats,
    atr: Floats,
    close: Floats,
    on: Ints,
    least_volume: float,
    least_lean: float,
    most_progress: float,
    refuted_atr: float,
    state: Absorption,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, refuted_at), each (T, N): much is traded on one side over K bars, and the price stays.

    side: against the aggressor; else 0. confidence: half the lean (|bought - sold| over both), half for how little of
    `most_progress` was made. refuted_at: the close and `refuted_atr` ATR further on the aggressor's side. Both NaN where
    side is 0.
    """
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    refuted_at = np.full((bars, symbols), np.nan)
    run = state.traded.ring.shape[0]
    long = state.usual.ring.shape[0]
    whole = np.zeros((bars, symbols), np.int64)
    last = np.empty(symbols)  # sum of the usual volume over the bars before
    for n in range(symbols):
        last[n] = window_sum(n, state.usual)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0 and math.isfinite(volume[t, n] + signed[t, n] + r[t, n]):
                whole[t, n] = 1
    usual_sum = rolling_sum(volume, whole, state.usual)
    traded_sum = rolling_sum(volume, whole, state.traded)
    signed_sum = rolling_sum(signed, whole, state.signed)
    moved_sum = rolling_sum(r, whole, state.moved)
    for t in range(bars):
        for n in range(symbols):
            if whole[t, n] == 0:
                continue
            usual = last[n] * run / long
            last[n] = usual_sum[t, n]
            traded = traded_sum[t, n]
            if not (usual > 0.0 and traded >= least_volume * usual and sigma[t, n] > 0.0):
                continue
            lean = signed_sum[t, n] / traded
            aggressor = sign(lean)
            progress = aggressor * moved_sum[t, n] / (sigma[t, n] * math.sqrt(run))
            if not (math.fabs(lean) >= least_lean and progress <= most_progress):
                continue
            side[t, n] = -int(aggressor)
            confidence[t, n] = 0.5 * clip(math.fabs(lean), 0.0, 1.0) + 0.5 * (1.0 - clip(progress / most_progress, 0.0, 1.0))
            refuted_at[t, n] = close[t, n] + aggressor * refuted_atr * atr[t, n]
    return side, confidence, refuted_at


@kernel
def continuations(
    ofi_z: Floats,
    pressure: Floats,
    smoothed: Floats,
    slope: Floats,
    t_stat: Floats,
    close: Floats,
    on: Ints,
    least_share: float,
    least_pressure: float,
    least_t: float,
    state: Persistence,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, start), each (T, N): flow keeps to one side for W bars and the price goes with it.

    side: of the flow; else 0. confidence: mean of the excess of bars on the side over the others, |pressure|, the book's
    lean to the side (0 where it leans the other way or is not known) and t / (1 + t). start: where the regression line was W
    bars ago. Both NaN where side is 0.
    """
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    start = np.full((bars, symbols), np.nan)
    width = state.signs.ring.shape[0]
    signs = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            signs[t, n] = known(sign(ofi_z[t, n]), 0.0)
    excess = rolling_sum(signs, on, state.signs)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] == 0:
                continue
            share = excess[t, n] / width
            s = sign(share)
            lean = s * pressure[t, n]
            steep = s * t_stat[t, n]
            if not (s * share >= least_share and lean >= least_pressure and steep >= least_t):
                continue
            side[t, n] = int(s)
            book = clip(known(s * smoothed[t, n], 0.0), 0.0, 1.0)
            confidence[t, n] = 0.25 * (s * share + clip(lean, 0.0, 1.0) + book + steep / (1.0 + steep))
            start[t, n] = close[t, n] * math.exp(-slope[t, n] * width)
    return side, confidence, start


@kernel
def fading_impacts(
    signed: Floats,
    strength: Floats,
    r2: Floats,
    sigma: Floats,
    close: Floats,
    unit: Floats,
    on: Ints,
    decay: float,
    least_peak: float,
    most_left: float,
    state: Transient,
) -> tuple[Ints, Floats, Floats]:
    """(side, confidence, extreme), each (T, N): a large impact of past flow has begun to fade.

    The impact is what is left (`decay` a bar) of the move that each bar's signed notional makes by the square-root law with
    L59's `strength`; unit: notional of one, as L59 counts it. Its peak is large where it is `least_peak` of the deviations
    that it would have if every move were an impact. side: against the flow, on the bar at which no more than `most_left` of
    a large peak is left; what is left is the next peak; else 0. confidence: half L59's r2, half p / (1 + p) of the peak p.
    extreme: the farthest close on the flow's side since its swing began. Both NaN where side is 0.
    """
    impact, state_peak, state_extreme = state.impact, state.peak, state.extreme
    bars, symbols = close.shape
    side = np.zeros((bars, symbols), np.int64)
    confidence = np.full((bars, symbols), np.nan)
    extreme = np.full((bars, symbols), np.nan)
    spread = math.sqrt(1.0 - decay * decay)
    for t in range(bars):
        for n in range(symbols):
            c = close[t, n]
            q = signed[t, n] * unit[t, n]
            if on[t, n] == 0 or not (math.isfinite(q) and strength[t, n] >= 0.0 and sigma[t, n] > 0.0):
                continue
            before = impact[n]
            now = decay * before + sign(q) * strength[t, n] * math.sqrt(math.fabs(q))
            impact[n] = now
            s = sign(now)
            size = math.fabs(now)
            if before * now <= 0.0:
                state_peak[n] = 0.0
                state_extreme[n] = c
            if size > state_peak[n]:
                state_peak[n] = size
            if s * (c - state_extreme[n]) > 0.0:
                state_extreme[n] = c
            peak = state_peak[n] * spread / sigma[t, n]
            if s != 0.0 and peak >= least_peak and size <= most_left * state_peak[n]:
                side[t, n] = -int(s)
                confidence[t, n] = 0.5 * known(r2[t, n], 0.0) + 0.5 * peak / (1.0 + peak)
                extreme[t, n] = state_extreme[n]
                state_peak[n] = size
    return side, confidence, extreme
