"""The largest values of a trailing window, and what they say of the tail: Hill's index, quantiles, expected shortfall.

Only the top of the window is kept sorted: the `need` largest values and up to three times as many below them. What enters or
leaves below those costs a comparison; when too many of them have left, the window is looked through once. That pass is paid for
by the 2 `need` departures that it takes to make it necessary, whatever the data: O(W / need) a bar at worst, and a few ns on
average.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count, Unknown
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

LARGEST_Z = 1000.0
"""Where a standardised return is clipped, as L2 does."""


class TopWindow(NamedTuple):
    """State of `top_push`: the last W values as they came, and the largest of them, the largest first."""

    ring: Annotated[Floats, Axes("N", "W", start=0.0)]
    top: Annotated[Floats, Axes("N", "W", start=0.0)]  # the first `size` count
    pos: Count
    held: Count
    size: Count


class HillTail(NamedTuple):
    """State of `hill`: the window and the last estimate."""

    window: TopWindow
    alpha: Unknown
    threshold: Unknown


class TailQuantiles(NamedTuple):
    """State of `tail_risk`: the window, the last estimates, and the forecast that the next return is measured by."""

    window: TopWindow
    quantile: Unknown
    shortfall: Unknown
    sigma: Unknown


@kernel
def _partition(x: Floats, size: int, first: int) -> None:
    """Reorders x[:size] so that its `first` largest values come first, in any order (Hoare's selection, median of three)."""
    low, high = 0, size - 1
    while low < high:
        a, b, c = x[low], x[(low + high) >> 1], x[high]
        if (a <= b) == (b <= c):
            pivot = b
        elif (b <= a) == (a <= c):
            pivot = a
        else:
            pivot = c
        i, j = low, high
        while i <= j:
            while x[i] > pivot:
                i += 1
            while x[j] < pivot:
                j -= 1
            if i <= j:
                v = x[i]
                x[i] = x[j]
                x[j] = v
                i += 1
                j -= 1
        if first - 1 <= j:
            high = j
        elif first - 1 >= i:
            low = i
        else:
            return


@kernel
def _refill(n: int, kept: int, state: TopWindow) -> None:
    """Finds the `kept` largest values of symbol n's window anew."""
    ring = state.ring
    top, size = state.top[n], state.held[n]
    for i in range(size):
        top[i] = ring[n, i]
    if kept < size:
        _partition(top, size, kept)
    for i in range(1, kept):
        v = top[i]
        j = i
        while j > 0 and top[j - 1] < v:
            top[j] = top[j - 1]
            j -= 1
        top[j] = v
    state.size[n] = kept


@kernel
def top_push(v: float, n: int, need: int, state: TopWindow) -> bool:
    """Puts the finite value v into symbol n's window; the oldest leaves when it is full.

    Afterwards the first min(need, values held) entries of `state.top[n]` are the largest, in falling order. Returns whether
    they, or the number of values held, may have changed.
    """
    width = state.ring.shape[1]
    top = state.top[n]
    most = 4 * need if 4 * need < width else width
    p, held, size = state.pos[n], state.held[n], state.size[n]
    changed = bool(held < width)
    whole = size == held
    if held == width:
        old = state.ring[n, p]
        if size > 0 and old >= top[size - 1]:
            a, b = 0, size - 1
            while a < b:  # the first that is not above it
                m = (a + b) >> 1
                if top[m] > old:
                    a = m + 1
                else:
                    b = m
            changed = changed or bool(a < need)
            for i in range(a, size - 1):
                top[i] = top[i + 1]
            size -= 1
    else:
        state.held[n] = held + 1
    state.ring[n, p] = v
    state.pos[n] = 0 if p == width - 1 else p + 1
    if (whole and size < most) or (size > 0 and v >= top[size - 1]):
        if size < most:
            size += 1  # else the least of them is let go
        i = size - 1
        while i > 0 and top[i - 1] < v:
            top[i] = top[i - 1]
            i -= 1
        top[i] = v
        changed = changed or bool(i < need)
    state.size[n] = size
    if size < need and size < state.held[n]:
        kept = 3 * need
        _refill(n, kept if kept < state.held[n] else state.held[n], state)
        changed = True
    return changed


@kernel
def hill(z: Floats, heavy: float, count: int, state: HillTail) -> tuple[Floats, Floats, Ints]:
    """Tail index of |z|, the value beyond which the tail is counted, and 1 where the index is below `heavy`; each (T, N).

    The index is count / sum of log(x_i / x_(count + 1)) over the `count` largest of the last W known |z|, clipped at 1000. NaN
    until W are held and where that is no number (all of them equal, or the threshold 0); held where z is NaN.
    Source: Hill (1975).
    """
    alpha, state_threshold = state.alpha, state.threshold
    bars, symbols = z.shape
    index, threshold = np.empty((bars, symbols)), np.empty((bars, symbols))
    extreme = np.zeros((bars, symbols), np.int64)
    window = state.window
    top, held = window.top, window.held
    width = window.ring.shape[1]
    for t in range(bars):
        for n in range(symbols):
            v = math.fabs(z[t, n])
            if v == v and top_push(v if v < LARGEST_Z else LARGEST_Z, n, count + 1, window) and held[n] == width:
                alpha[n] = state_threshold[n] = math.nan
                x = top[n]
                least = x[count]
                if least > 0.0:
                    total = 0.0
                    for i in range(count):
                        total += math.log(x[i] / least)
                    state_threshold[n] = least
                    if total > 1e-9:
                        alpha[n] = count / total
            index[t, n] = alpha[n]
            threshold[t, n] = state_threshold[n]
            if alpha[n] < heavy:
                extreme[t, n] = 1
    return index, threshold, extreme


@kernel
def student_4(level: float) -> tuple[float, float]:
    """Quantile of |x| at `level` and the mean of |x| beyond it, x Student-t with 4 degrees of freedom scaled to variance 1.

    In closed form (Shaw 2006). level in (0, 1).
    """
    p = 0.5 * (1.0 + level)
    alpha = math.sqrt(4.0 * p * (1.0 - p))
    q = 2.0 * math.sqrt(math.cos(math.acos(alpha) / 3.0) / alpha - 1.0)
    w = 1.0 + 0.25 * q * q
    density = 0.375 / (w * w * math.sqrt(w))
    shortfall = density * (4.0 + q * q) / (3.0 * (1.0 - p))
    return q / math.sqrt(2.0), shortfall / math.sqrt(2.0)


class TailRule(NamedTuple):
    """How the losses that are exceeded rarely are estimated."""

    level: float  # share of returns that stay within
    least_bars: int  # returns from which their own quantiles count
    least_index: float  # least tail index in the mean loss beyond, > 1
    floor: float  # least of both, as a share of a Student-t(4)'s, once their own count


@kernel
def tail_risk(
    r: Floats,
    sigma: Floats,
    sigma_day: Floats,
    index: Floats,
    rule: TailRule,
    state: TailQuantiles,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Loss quantile and mean loss beyond it for the next bar and the next day, as log returns; each (T, N).

    r: return of the bar; sigma, sigma_day: its forecasts, made at the close. z = |r| over the sigma of the bar before, clipped
    at 1000, the last W of them. Quantile at `level`: interpolated as NumPy does by default; the mean beyond it: of the largest
    (1 - level) of the window, the last of them in part (Acerbi and Tasche 2002), and not below quantile * a / (a - 1), a the
    tail index, at least `least_index` (NaN: not known, then not asked). Student-t(4)'s count alone until `least_bars` are held,
    from then on `floor` of them is the least. NaN where a forecast is.
    """
    quantile, shortfall, state_sigma = state.quantile, state.shortfall, state.sigma
    bars, symbols = r.shape
    var_bar, es_bar = np.empty((bars, symbols)), np.empty((bars, symbols))
    var_day, es_day = np.empty((bars, symbols)), np.empty((bars, symbols))
    level = rule.level
    prior, prior_beyond = student_4(level)
    window = state.window
    held, top = window.held, window.top
    need = int((1.0 - level) * window.ring.shape[1]) + 2
    for t in range(bars):
        for n in range(symbols):
            z = math.fabs(r[t, n]) / state_sigma[n] if state_sigma[n] > 0.0 else math.nan
            if z == z and top_push(z if z < LARGEST_Z else LARGEST_Z, n, need, window) and held[n] >= rule.least_bars:
                x, size = top[n], held[n]
                place = (size - 1) * (1.0 - level)
                k = int(place)
                quantile[n] = x[k] + (place - k) * ((x[k + 1] if k + 1 < size else x[k]) - x[k])
                mass = size * (1.0 - level)
                k = int(mass)
                total = 0.0
                for i in range(k):
                    total += x[i]
                if k < size:
                    total += (mass - k) * x[k]
                shortfall[n] = total / mass
            q, beyond = prior, prior_beyond
            if quantile[n] == quantile[n]:
                q = max(quantile[n], rule.floor * prior)
                beyond = max(shortfall[n], rule.floor * prior_beyond)
            a = index[t, n]
            if a == a:
                if a < rule.least_index:
                    a = rule.least_index
                if q * a / (a - 1.0) > beyond:
                    beyond = q * a / (a - 1.0)
            if sigma[t, n] > 0.0:
                state_sigma[n] = sigma[t, n]
            var_bar[t, n], es_bar[t, n] = _loss(q, sigma[t, n]), _loss(beyond, sigma[t, n])
            var_day[t, n], es_day[t, n] = _loss(q, sigma_day[t, n]), _loss(beyond, sigma_day[t, n])
    return var_bar, es_bar, var_day, es_day


@kernel
def _loss(z: float, sigma: float) -> float:
    """z times a volatility; NaN where it is not positive and finite."""
    x = z * sigma
    return x if 0.0 < x < math.inf else math.nan
