"""Ehlers' homodyne discriminator: the period and phase of the cycle that dominates the price."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import Axes, Count
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

WARM_UP: Final = 63
"""Bars until the recursions have forgotten their start, as TA-Lib has it for the phase."""
LONGEST: Final = 50
"""Bars of the longest period that is looked for."""

_PRICE, _SMOOTH, _DETREND, _IN_PHASE, _QUADRATURE = 0, 1, 2, 3, 4
_I2, _Q2, _RE, _IM, _PERIOD, _SMOOTH_PERIOD, _PHASE, _SINE, _LEAD, _SINCE = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9


def _waves() -> Floats:
    """Cosine and sine at each bar of a wave of every period, (LONGEST + 1, LONGEST, 2), by rotation of a unit vector."""
    made = np.zeros((LONGEST + 1, LONGEST, 2))
    for whole in range(1, LONGEST + 1):
        step = 2.0 * math.pi / whole
        c1, s1 = math.cos(step), math.sin(step)
        c, s = 1.0, 0.0
        for k in range(whole):
            made[whole, k] = c, s
            c, s = c * c1 - s * s1, s * c1 + c * s1
    return made


_WAVES: Final = _waves()


class CycleState(NamedTuple):
    """State of `cycle`."""

    series: Annotated[Floats, Axes(5, 64, "N", start=0.0)]  # the last values of price, its average, and the three filters
    now: Annotated[Floats, Axes(10, "N", start=0.0)]  # the scalars of the recursion
    in_cycle: Count
    seen: Count


@kernel
def _back(series: Floats, which: int, at: int, k: int, n: int) -> float:
    """The value of a series k bars before place `at`."""
    return float(series[which, (at - k) & 63, n])


@kernel
def _hilbert(series: Floats, which: int, at: int, n: int, adjust: float) -> float:
    """Ehlers' discrete Hilbert transform of a series at place `at`."""
    a = 0.0962 * (_back(series, which, at, 0, n) - _back(series, which, at, 6, n))
    b = 0.5769 * (_back(series, which, at, 2, n) - _back(series, which, at, 4, n))
    return (a + b) * adjust


@kernel
def _next_period(re: float, im: float, before: float) -> float:
    """The period that the phasor's turn of one bar gives, near the period before it and within 6 and 50 bars."""
    period = before
    if im != 0.0 and re != 0.0:
        period = 2.0 * math.pi / math.atan(im / re)
    period = period if period < 1.5 * before else 1.5 * before
    period = period if period > 0.67 * before else 0.67 * before
    period = period if period > 6.0 else 6.0
    period = period if period < LONGEST else 1.0 * LONGEST
    return 0.2 * period + 0.8 * before


@kernel
def _phase(series: Floats, at: int, n: int, smooth_period: float, before: float) -> float:
    """Phase in degrees, in (-45, 315], of the averaged price against a wave of that period."""
    whole = int(smooth_period + 0.5)
    real = 0.0
    imaginary = 0.0
    wave = _WAVES[whole]
    for k in range(whole):
        v = _back(series, _SMOOTH, at, k, n)
        real += wave[k, 1] * v
        imaginary += wave[k, 0] * v
    phase = before
    if math.fabs(imaginary) > 0.0:
        phase = math.degrees(math.atan(real / imaginary))
    elif real != 0.0:
        phase = before + (90.0 if real > 0.0 else -90.0)
    phase += 90.0
    if smooth_period > 0.0:
        phase += 360.0 / smooth_period  # the average lags by a bar
    if imaginary < 0.0:
        phase += 180.0
    if phase > 315.0:
        phase -= 360.0
    return phase


@kernel
def _push(price: float, n: int, state: CycleState) -> None:
    """Takes the finite price of a bar into symbol n's recursion."""
    at = state.seen[n] & 63
    series = state.series
    series[_PRICE, at, n] = price
    back = 0.0
    for k in range(4):
        back += (4 - k) * _back(series, _PRICE, at, k, n)
    series[_SMOOTH, at, n] = back / 10.0
    now = state.now
    adjust = 0.075 * now[_PERIOD, n] + 0.54
    series[_DETREND, at, n] = _hilbert(series, _SMOOTH, at, n, adjust)
    series[_QUADRATURE, at, n] = _hilbert(series, _DETREND, at, n, adjust)
    series[_IN_PHASE, at, n] = _back(series, _DETREND, at, 3, n)
    i2 = 0.2 * (series[_IN_PHASE, at, n] - _hilbert(series, _QUADRATURE, at, n, adjust)) + 0.8 * now[_I2, n]
    q2 = 0.2 * (series[_QUADRATURE, at, n] + _hilbert(series, _IN_PHASE, at, n, adjust)) + 0.8 * now[_Q2, n]
    now[_RE, n] = 0.2 * (i2 * now[_I2, n] + q2 * now[_Q2, n]) + 0.8 * now[_RE, n]
    now[_IM, n] = 0.2 * (i2 * now[_Q2, n] - q2 * now[_I2, n]) + 0.8 * now[_IM, n]
    now[_I2, n] = i2
    now[_Q2, n] = q2
    now[_PERIOD, n] = _next_period(now[_RE, n], now[_IM, n], now[_PERIOD, n])
    smooth_period = 0.33 * now[_PERIOD, n] + 0.67 * now[_SMOOTH_PERIOD, n]
    now[_SMOOTH_PERIOD, n] = smooth_period
    before = now[_PHASE, n]
    phase = _phase(series, at, n, smooth_period, before)
    sine = math.sin(math.radians(phase))
    lead = math.sin(math.radians(phase + 45.0))
    cycling = 0
    now[_SINCE, n] += 1.0
    if (sine > lead) != (now[_SINE, n] > now[_LEAD, n]):
        now[_SINCE, n] = 0.0
    if now[_SINCE, n] + 1.0 < 0.5 * smooth_period:
        cycling = 1
    turn = phase - before
    rate = 360.0 / smooth_period if smooth_period > 0.0 else 0.0
    if smooth_period > 0.0 and 0.67 * rate < turn < 1.5 * rate:
        cycling = 1
    now[_PHASE, n] = phase
    now[_SINE, n] = sine
    now[_LEAD, n] = lead
    state.in_cycle[n] = cycling
    state.seen[n] += 1


@kernel
def cycle(price: Floats, on: Ints, state: CycleState) -> tuple[Floats, Floats, Floats, Floats, Ints]:
    """(period, phase, sine, lead_sine, in_cycle), each (T, N), over the bars that count.

    period: bars, within 6 and 50 and averaged. phase: degrees, within -45 and 315. sine, lead_sine in [-1, 1]: of the
    phase, and of the phase 45 degrees on; they cross at the turns of a cycle. in_cycle: 1 where they crossed less than half
    a period ago, or the phase turns at the period's rate. NaN, and 0, for the first `WARM_UP` bars; held where `on` is 0 or
    the price is not finite. O(period) a bar. Source: Ehlers (2001), chapters 7 and 9, and his trend mode without its rule
    on the size of a trend.
    """
    seen, now, state_in_cycle = state.seen, state.now, state.in_cycle
    bars, symbols = price.shape
    out = np.full((4, bars, symbols), np.nan)
    in_cycle = np.zeros((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            if on[t, n] != 0 and math.isfinite(price[t, n]):
                _push(price[t, n], n, state)
            if seen[n] > WARM_UP:
                out[0, t, n] = now[_SMOOTH_PERIOD, n]
                out[1, t, n] = now[_PHASE, n]
                out[2, t, n] = now[_SINE, n]
                out[3, t, n] = now[_LEAD, n]
                in_cycle[t, n] = state_in_cycle[n]
    return out[0], out[1], out[2], out[3], in_cycle
