"""What an order would cost, and whether the market bears it."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.kernels.arith import logistic
from dataflows.kernels.contract import notional_of
from dataflows.microstructure.types import DEEP, NORMAL, THIN
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Guard(NamedTuple):
    """State of `tradeability`: what hysteresis remembers."""

    avoid: Annotated[Ints, Axes("N", start=1)]
    grade: Annotated[Ints, Axes("N", start=-1)]  # a LIQUIDITY index


@kernel
def walk_side(
    price: Floats,
    size: Floats,
    t: int,
    n: int,
    mid: float,
    sign: float,
    band_bps: float,
    impact_bps: float,
    notional: float,
    multiplier: float,
    inverse: int,
) -> float:
    """Average distance from mid, bps, at which an order of `notional` fills against one side of the book.

    price, size: (T, N, D), best first, of units of `multiplier` and `inverse`; sign: 1 asks, -1 bids. The touch counts
    wherever it is, other levels within band_bps of mid. What these do not hold, the rest, fills beyond them by the dearer
    of two laws of the square root, of which e = max(band, touch) is where both begin: e times the root of the notional so
    far over the notional shown, and e plus impact_bps times the root of the part of the rest so far. So no thinner and no
    wider book is ever cheaper. NaN where no level counts.
    """
    shown = 0.0
    cost = 0.0
    edge = band_bps
    for k in range(price.shape[2]):
        p = price[t, n, k]
        q = size[t, n, k]
        if p > 0.0 and q > 0.0:
            away = 1e4 * sign * (p - mid) / mid
            if shown == 0.0 or away <= band_bps:
                room = notional - shown
                here = notional_of(p, multiplier, inverse) * q
                if room > 0.0:
                    cost += (room if room < here else here) * away
                shown += here
                edge = away if away > edge else edge
    if not (shown > 0.0):
        return math.nan
    rest = notional - shown
    if rest > 0.0:
        unseen = edge * (2.0 / 3.0) * (notional * math.sqrt(notional / shown) - shown)
        moved = edge * rest + impact_bps * (2.0 / 3.0) * rest * math.sqrt(rest)
        cost += moved if moved > unseen else unseen
    return cost / notional


@kernel
def safe_side(
    price: Floats,
    size: Floats,
    t: int,
    n: int,
    mid: float,
    sign: float,
    band_bps: float,
    limit_bps: float,
    multiplier: float,
    inverse: int,
) -> float:
    """The largest notional within what one side of the book shows whose average distance from mid stays within limit_bps."""
    shown = 0.0
    cost = 0.0
    for k in range(price.shape[2]):
        p = price[t, n, k]
        q = size[t, n, k]
        if p > 0.0 and q > 0.0:
            away = 1e4 * sign * (p - mid) / mid
            if shown == 0.0 or away <= band_bps:
                here = notional_of(p, multiplier, inverse) * q
                if cost + here * away > limit_bps * (shown + here):
                    part = limit_bps * shown - cost
                    return shown + (part / (away - limit_bps) if part > 0.0 and away > limit_bps else 0.0)
                cost += here * away
                shown += here
    return shown


@kernel
def costs(
    t: int,
    n: int,
    mid: float,
    spread_bps: float,
    depth: float,
    proxied: int,
    bid_price: Floats,
    bid_size: Floats,
    ask_price: Floats,
    ask_size: Floats,
    band_bps: float,
    impact_bps: float,
    sizes: tuple[float, float, float],
    safe_bps: float,
    multiplier: float,
    inverse: int,
    slippage: Floats,
) -> float:
    """Slippage of each size, bps, into slippage[t, n], and the largest safe notional; both of the worse side.

    impact_bps: what the root of a unit of notional moves the price. Without a book: half the spread, and two thirds of the
    dearer of impact_bps times the root of the order and the band times the root of the order over `depth` (Torre 1997).
    """
    safe = math.nan
    worst = 0.0
    per_root = band_bps / math.sqrt(depth) if depth > 0.0 else math.nan
    per_root = impact_bps if impact_bps > per_root else per_root
    for i in range(len(sizes)):
        if proxied != 0:
            cost = 0.5 * spread_bps + per_root * (2.0 / 3.0) * math.sqrt(sizes[i])
        else:
            cost = walk_side(
                price=ask_price,
                size=ask_size,
                t=t,
                n=n,
                mid=mid,
                sign=1.0,
                band_bps=band_bps,
                impact_bps=impact_bps,
                notional=sizes[i],
                multiplier=multiplier,
                inverse=inverse,
            )
            sell = walk_side(
                price=bid_price,
                size=bid_size,
                t=t,
                n=n,
                mid=mid,
                sign=-1.0,
                band_bps=band_bps,
                impact_bps=impact_bps,
                notional=sizes[i],
                multiplier=multiplier,
                inverse=inverse,
            )
            cost = sell if not (sell <= cost) else cost
        worst = worst if cost < worst else cost  # a larger order is no cheaper, also to the last bit
        slippage[t, n, i] = worst
    if worst == worst:
        if proxied != 0:
            x = 1.5 * (safe_bps - 0.5 * spread_bps) / per_root
            safe = 0.0 if x <= 0.0 else (depth if x * x >= depth else x * x)
        else:
            safe = safe_side(
                price=ask_price,
                size=ask_size,
                t=t,
                n=n,
                mid=mid,
                sign=1.0,
                band_bps=band_bps,
                limit_bps=safe_bps,
                multiplier=multiplier,
                inverse=inverse,
            )
            sell = safe_side(
                price=bid_price,
                size=bid_size,
                t=t,
                n=n,
                mid=mid,
                sign=-1.0,
                band_bps=band_bps,
                limit_bps=safe_bps,
                multiplier=multiplier,
                inverse=inverse,
            )
            safe = sell if sell < safe else safe
    return safe


@kernel
def one_sided(x: float) -> float:
    """|x| within [0, 1]; 1 where x is unknown: what is not known counts as the worst."""
    size = math.fabs(x)
    return size if size < 1.0 else 1.0


@kernel
def grade_of(score: float, before: int, marks: tuple[float, float, float, float, float, float]) -> int:
    """THIN, NORMAL or DEEP by a score and the grade before (-1: none), with hysteresis.

    marks: avoid_below, resume_above, thin_below, thin_until, deep_until, deep_above.
    """
    if score < (marks[3] if before == THIN else marks[2]):
        return THIN
    if score > (marks[4] if before == DEEP else marks[5]):
        return DEEP
    return NORMAL


@kernel
def tradeability(
    listed: Ints,
    is_open: Ints,
    stale: Floats,
    book_age: Floats,
    chaotic: Floats,
    mid: Floats,
    spread_bps: Floats,
    bid_depth: Floats,
    ask_depth: Floats,
    proxied: Ints,
    bid_price: Floats,
    bid_size: Floats,
    ask_price: Floats,
    ask_size: Floats,
    lambda_sqrt: Floats,
    vpin_rank: Floats,
    imbalance: Floats,
    pressure: Floats,
    flow_z: Floats,
    multiplier: Floats,
    inverse: Ints,
    longer: Floats,
    band_bps: float,
    sizes: tuple[float, float, float],
    safe_bps: float,
    stale_bars: float,
    base: float,
    spread_scale: float,
    depth_scale: float,
    slippage_scale: float,
    stale_weight: float,
    chaotic_weight: float,
    toxic_weight: float,
    lean_weight: float,
    flow_full_z: float,
    marks: tuple[float, float, float, float, float, float],
    state: Guard,
) -> tuple[Floats, Ints, Ints, Floats, Floats]:
    """Score, liquidity class, avoid, slippage (T, N, 3) in bps, and the largest safe notional; see L63.

    The score is logistic(base - spread / scale - scale / depth - slippage / scale - staleness - chaos - toxicity - lean): each
    term only takes away, and none can be bought back by another. longer: (T, N), at least 1, by which the scales in bps are
    larger. NaN, class -1 and avoid where the market, its costs or the
    regime are unknown.
    """
    state_avoid, state_grade = state.avoid, state.grade
    bars, symbols = mid.shape
    score = np.full((bars, symbols), np.nan)
    grade = np.full((bars, symbols), -1, np.int64)
    avoid = np.ones((bars, symbols), np.int64)
    slippage = np.full((bars, symbols, len(sizes)), np.nan)
    safe = np.full((bars, symbols), np.nan)
    for t in range(bars):
        for n in range(symbols):
            s = math.nan
            old = stale[t, n]
            if proxied[t, n] == 0 and not (book_age[t, n] <= old):
                old = book_age[t, n]
            depth = bid_depth[t, n]
            if not (depth <= ask_depth[t, n]):
                depth = ask_depth[t, n]
            if mid[t, n] > 0.0 and spread_bps[t, n] >= 0.0 and depth >= 0.0:
                impact_bps = 1e4 * lambda_sqrt[t, n] if lambda_sqrt[t, n] > 0.0 else 0.0
                safe[t, n] = costs(
                    t=t,
                    n=n,
                    mid=mid[t, n],
                    spread_bps=spread_bps[t, n],
                    depth=depth,
                    proxied=proxied[t, n],
                    bid_price=bid_price,
                    bid_size=bid_size,
                    ask_price=ask_price,
                    ask_size=ask_size,
                    band_bps=band_bps,
                    impact_bps=impact_bps,
                    sizes=sizes,
                    safe_bps=safe_bps * longer[t, n],
                    multiplier=multiplier[n],
                    inverse=inverse[n],
                    slippage=slippage,
                )
                lean = one_sided(pressure[t, n]) + one_sided(flow_z[t, n] / flow_full_z)
                lean += one_sided(imbalance[t, n]) if proxied[t, n] == 0 else 0.0
                x = base - spread_bps[t, n] / (spread_scale * longer[t, n])
                x -= slippage[t, n, 1] / (slippage_scale * longer[t, n])
                x -= stale_weight * old / stale_bars + chaotic_weight * chaotic[t, n]
                x -= toxic_weight * one_sided(vpin_rank[t, n]) + lean_weight * (lean / 3.0)
                x -= depth_scale / depth if depth > 0.0 else math.inf
                s = logistic(x)
            score[t, n] = s
            fit = listed[t, n] != 0 and is_open[t, n] != 0 and old <= stale_bars
            if fit and s == s:
                state_avoid[n] = 1 if s < (marks[1] if state_avoid[n] != 0 else marks[0]) else 0
            else:
                state_avoid[n] = 1
            avoid[t, n] = state_avoid[n]
            if s == s:
                state_grade[n] = grade_of(s, state_grade[n], marks)
                grade[t, n] = state_grade[n]
    return score, grade, avoid, slippage, safe
