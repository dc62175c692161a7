"""What the account made in an epoch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Made(NamedTuple):
    """An epoch of the account, (1,) each: fractions of the equity at its start."""

    returns: Floats
    turnover: Floats
    cost: Floats
    active: Ints  # 0: the equity at its start is not known, or there was none


@kernel
def account_epoch(equity: Floats, flows: Floats, costs: Floats, traded: Floats, before: Floats) -> Made:
    """Return, turnover and costs of the account over an epoch; `before` (3,) is set to what the next needs.

    equity, flows, costs: (T,) equity, cash that has come in, and fees and funding paid since the start, of every instant.
    traded: (T, N) notional of the fills. The return is of the equity at the epoch's start, without the cash that came in. The
    first epoch starts at its first instant.
    """
    last = len(equity) - 1
    if not math.isfinite(before[0]):
        before[0], before[1], before[2] = equity[0], flows[0], costs[0]
    notional = 0.0
    for t in range(traded.shape[0]):
        for n in range(traded.shape[1]):
            notional += traded[t, n] if math.isfinite(traded[t, n]) else 0.0
    made = Made(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1, np.int64))
    if before[0] > 0.0 and math.isfinite(equity[last]):
        made.returns[0] = (equity[last] - (flows[last] - before[1])) / before[0] - 1.0
        made.turnover[0] = notional / before[0]
        made.cost[0] = max(0.0, costs[last] - before[2]) / before[0]
        made.active[0] = 1 if made.returns[0] != 0.0 or notional > 0.0 else 0
    before[0], before[1], before[2] = equity[last], flows[last], costs[last]
    return made


def summed(x: Floats) -> Floats:
    """The sum over the first axis, row by row: the same bits however many symbols there are."""
    return _summed(np.ascontiguousarray(x).reshape(len(x), -1)).reshape(x.shape[1:])


@kernel
def _summed(x: Floats) -> Floats:
    rows, width = x.shape
    total = np.zeros(width)
    for t in range(rows):
        for i in range(width):
            total[i] += x[t, i]
    return total
