"""What the account made in an epoch."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from dataflows.meta.types import DOMAIN_OF, DOMAINS
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Made(NamedTuple):
    """An epoch of the account, (1,) each, or of G parts of it, (G,): fractions of the equity at its start."""

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


@kernel
def account_parts(
    start: float,
    profit: Floats,
    traded: Floats,
    paid: Floats,
    by_source: Floats,
    probabilities: tuple[Floats, ...],
    before: Floats,
) -> tuple[Made, Made, Made, Made]:
    """The same epoch by symbol, regime, source and domain.

    start: equity at its start; where that is not positive nothing counts. profit, traded: (T, N) of every instant. paid: (T, N)
    fees and funding since the run began; `before` (N,) is set to what the next epoch needs. by_source: (T, N, P) profit by what
    the edge was made of, sources first. probabilities: R of (T, N); what a symbol made at an instant belongs to the regimes by
    them. Of sources and domains turnover and cost are not known, and 0.
    """
    instants, symbols = profit.shape
    regimes, parts, domains = len(probabilities), by_source.shape[2], len(DOMAINS)
    symbol = Made(np.zeros(symbols), np.zeros(symbols), np.zeros(symbols), np.zeros(symbols, np.int64))
    regime = Made(np.zeros(regimes), np.zeros(regimes), np.zeros(regimes), np.zeros(regimes, np.int64))
    source = Made(np.zeros(parts), np.zeros(parts), np.zeros(parts), np.zeros(parts, np.int64))
    domain = Made(np.zeros(domains), np.zeros(domains), np.zeros(domains), np.zeros(domains, np.int64))
    known = start > 0.0
    counts, costs = np.zeros(instants, np.bool_), np.zeros(instants)
    for n in range(symbols):
        last = before[n] if math.isfinite(before[n]) else paid[0, n]
        active, returns, turnover, spent = 0, 0.0, 0.0, 0.0
        for t in range(instants):
            cost = max(0.0, paid[t, n] - last)
            last = paid[t, n]
            notional = traded[t, n] if math.isfinite(traded[t, n]) else 0.0
            costs[t] = cost
            counts[t] = known and (profit[t, n] != 0.0 or notional > 0.0 or cost > 0.0)
            if counts[t]:
                active = 1
                returns += profit[t, n] / start
                turnover += notional / start
                spent += cost / start
        before[n] = last
        symbol.active[n], symbol.returns[n], symbol.turnover[n], symbol.cost[n] = active, returns, turnover, spent
        if active == 0:
            continue
        for r in range(regimes):
            shares = probabilities[r]
            active, returns, turnover, spent = regime.active[r], regime.returns[r], regime.turnover[r], regime.cost[r]
            for t in range(instants):
                share = shares[t, n]
                if counts[t] and share > 0.0:
                    notional = traded[t, n] if math.isfinite(traded[t, n]) else 0.0
                    active = 1
                    returns += share * profit[t, n] / start
                    turnover += share * notional / start
                    spent += share * costs[t] / start
            regime.active[r], regime.returns[r], regime.turnover[r], regime.cost[r] = active, returns, turnover, spent
        made, by, made_by, domains_by = source.returns, source.active, domain.returns, domain.active
        for t in range(instants):
            if not counts[t]:
                continue
            for k in range(parts):
                if by_source[t, n, k] != 0.0:
                    won = by_source[t, n, k] / start
                    by[k] = 1
                    made[k] += won
                    if k < len(DOMAIN_OF):
                        domains_by[DOMAIN_OF[k]] = 1
                        made_by[DOMAIN_OF[k]] += won
    return symbol, regime, source, domain


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
