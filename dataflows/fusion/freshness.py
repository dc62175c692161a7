"""How recent the news behind a score is: L73's kernel."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.carry import Count, Zero
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class News(NamedTuple):
    """State of `freshness_of`."""

    side: Count  # of the signal when it was last renewed; 0: never yet
    least: Zero  # the weakest that the signal, on that side, has been since
    dominant: Count
    fresh: Zero


@kernel
def freshness_of(values: Floats, dominant: Ints, step: float, halflife: float, state: News) -> Floats:
    """Freshness (T, N) in [0, 1]: 1 on renewal, halved every `halflife` bars from then on. The rules are those of `l73`.

    values (T, N, K); dominant (T, N), 0 none. State is updated in place; it is held where every source is unknown, NaN there.
    """
    state_side, state_dominant, fresh, least = state.side, state.dominant, state.fresh, state.least
    bars, symbols, width = values.shape
    y = np.empty((bars, symbols))
    fade = math.exp(-math.log(2.0) / halflife)
    for t in range(bars):
        for n in range(symbols):
            known = 0
            whole = 0.0
            for k in range(width):
                v = values[t, n, k]
                if v == v:
                    whole += v
                    known += 1
            if known == 0:
                y[t, n] = math.nan
                continue
            x = whole / width
            side = state_side[n]
            led = dominant[t, n]
            new = led != 0 and led != state_dominant[n]
            state_dominant[n] = led
            if side == 0 or side * x <= -step:
                if math.fabs(x) >= step:
                    state_side[n] = 1 if x > 0.0 else -1
                    new = True
            elif side * x >= least[n] + step:
                new = True
            if new:
                least[n] = state_side[n] * x
                fresh[n] = 1.0
            else:
                if state_side[n] * x < least[n]:
                    least[n] = state_side[n] * x
                fresh[n] *= fade
            y[t, n] = fresh[n]
    return y
