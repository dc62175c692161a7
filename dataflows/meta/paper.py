"""Paper accounts: what a position at the signal would have earned over the next bar, gross."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes
from dataflows.fusion.types import K
from dataflows.kernels.arith import finite_or_zero
from dataflows.meta.types import (
    DOMAIN_OF,
    DOMAINS,
    FIRST_DOMAIN,
    FIRST_REGIME,
    FIRST_TIMEFRAME,
    FIRST_VOTE,
    ROWS,
    SCORE,
)
from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES
from dataflows.runtime.compile import kernel

BEHIND: Final = 2
"""Bars from a signal until its paper return is known: in at the next open, out at the one after."""


class Unsettled(NamedTuple):
    """The last bars of the epoch before: their returns come in this one."""

    positions: Annotated[Floats, Axes(BEHIND, "N", ROWS)]
    regimes: Annotated[Floats, Axes(BEHIND, "N", len(REGIMES))]
    open: Annotated[Floats, Axes("N", start=NAN)]  # of the last bar


class Epoch(NamedTuple):
    """What the paper accounts have made in an epoch so far. Rows as TRACKED; returns and costs are fractions of a unit of
    notional."""

    returns: Annotated[Floats, Axes(ROWS)]
    turnover: Annotated[Floats, Axes(ROWS)]
    cost: Annotated[Floats, Axes(ROWS)]
    active: Annotated[Ints, Axes(ROWS)]  # 1 where there was a position
    source_returns: Annotated[Floats, Axes(len(REGIMES), K)]  # of each source, by the probability of each regime at the signal
    present: Annotated[Floats, Axes(len(REGIMES))]  # sum of the probabilities over bars and symbols
    symbol_returns: Annotated[Floats, Axes("N")]  # of the score
    symbol_turnover: Annotated[Floats, Axes("N")]
    symbol_cost: Annotated[Floats, Axes("N")]
    symbol_active: Annotated[Ints, Axes("N")]
    bars: Annotated[Ints, Axes(1)]


class Said(NamedTuple):
    """What the bars of an epoch said."""

    sources: Floats  # (T, N, K)
    votes: Floats  # (T, N, P)
    score: Floats  # (T, N)
    closed: tuple[Ints, Ints, Ints]  # (T, N): 1 where a bar of each higher timeframe closes
    probabilities: tuple[Floats, ...]  # R of (T, N)


@kernel
def take_positions(said: Said, t: int, before: Floats, now: Floats, chances: Floats) -> None:
    """The position of every paper account at bar t, into now (N, ROWS); before: at the bar before. chances: (N, R), too.

    A source's is its value, a pattern's its vote, a domain's the mean of those of its sources that are known. That of a higher
    timeframe is the score at its last close. The score's part in a regime is the score times the regime's probability.
    """
    probabilities, closed = said.probabilities, said.closed
    sources, votes, score = said.sources[t], said.votes[t], said.score[t]
    count = np.empty(len(DOMAINS))
    for r in range(len(probabilities)):
        p = probabilities[r][t]
        for n in range(len(score)):
            chances[n, r] = finite_or_zero(p[n])
    for n in range(len(score)):
        row, last = now[n], before[n]
        row[:] = 0.0
        count[:] = 0.0
        for k in range(K):
            said_now = sources[n, k]
            if math.isfinite(said_now):
                row[k] = said_now
                row[FIRST_DOMAIN + DOMAIN_OF[k]] += said_now
                count[DOMAIN_OF[k]] += 1.0
        for d in range(len(DOMAINS)):
            if count[d] > 0.0:
                row[FIRST_DOMAIN + d] /= count[d]
        for v in range(votes.shape[1]):
            row[FIRST_VOTE + v] = finite_or_zero(votes[n, v])
        row[SCORE] = finite_or_zero(score[n])
        for f in range(3):
            row[FIRST_TIMEFRAME + f] = row[SCORE] if closed[f][t, n] != 0 else last[FIRST_TIMEFRAME + f]
        for r in range(len(probabilities)):
            row[FIRST_REGIME + r] = row[SCORE] * chances[n, r]


@kernel
def take_bars(said: Said, open_: Floats, round_trip_bps: Floats, unsettled: Unsettled, epoch: Epoch) -> None:
    """Adds to `epoch` what the accounts made of its next bars, each symbol alike; `unsettled` is set to what later bars need.

    A position at close t is taken at the open of t + 1 and left at that of t + 2; it earns the simple return between the two,
    which is known at bar t + 2 and counts there. open_: (T, N) of the bars. A symbol whose open is unknown on either side is
    left out of that bar's mean. round_trip_bps: L71's; an unknown one counts 0.
    """
    unsettled_open = unsettled.open
    bars, symbols = open_.shape
    if bars == 0:
        return
    regimes = len(said.probabilities)
    positions, chances = np.empty((BEHIND + 1, symbols, ROWS)), np.empty((BEHIND + 1, symbols, regimes))  # a ring
    positions[:BEHIND] = unsettled.positions
    chances[:BEHIND] = unsettled.regimes
    returns, turnover, cost, active = epoch.returns, epoch.turnover, epoch.cost, epoch.active
    source_returns, present = epoch.source_returns, epoch.present
    symbol_returns, symbol_turnover, symbol_cost = epoch.symbol_returns, epoch.symbol_turnover, epoch.symbol_cost
    symbol_active = epoch.symbol_active
    moves = np.empty(symbols)
    for t in range(bars):
        oldest, before, now = t % (BEHIND + 1), (t + BEHIND - 1) % (BEHIND + 1), (t + BEHIND) % (BEHIND + 1)
        take_positions(said, t, positions[before], positions[now], chances[now])
        seen = 0.0
        for n in range(symbols):
            entered = open_[t - 1, n] if t > 0 else unsettled_open[n]
            moves[n] = open_[t, n] / entered - 1.0 if entered > 0.0 else math.nan
            if math.isfinite(moves[n]):
                seen += 1.0
        for n in range(symbols):
            here, last = positions[now, n], positions[before, n]
            half = finite_or_zero(0.5e-4 * round_trip_bps[t, n])
            for g in range(ROWS):
                traded = math.fabs(here[g] - last[g])
                turnover[g] += traded / symbols
                cost[g] += traded * half / symbols
            symbol_turnover[n] += math.fabs(here[SCORE] - last[SCORE])
            symbol_cost[n] += math.fabs(here[SCORE] - last[SCORE]) * half
            for r in range(regimes):
                present[r] += chances[now, n, r]
            if not math.isfinite(moves[n]):
                continue
            held = positions[oldest, n]
            part = moves[n] / seen
            for g in range(ROWS):
                if held[g] != 0.0:
                    active[g] = 1
                    returns[g] += held[g] * part
            for r in range(regimes):
                for k in range(K):
                    source_returns[r, k] += chances[oldest, n, r] * held[k] * part
            if held[SCORE] != 0.0:
                symbol_active[n] = 1
                symbol_returns[n] += held[SCORE] * moves[n]
    for b in range(BEHIND):
        unsettled.positions[b] = positions[(bars + b) % (BEHIND + 1)]
        unsettled.regimes[b] = chances[(bars + b) % (BEHIND + 1)]
    unsettled_open[:] = open_[bars - 1]
    epoch.bars[0] += bars


@kernel
def begin_epoch(epoch: Epoch) -> None:
    """Forgets what the accounts have made."""
    for x in (epoch.returns, epoch.turnover, epoch.cost, epoch.present):
        x[:] = 0.0
    for x in (epoch.symbol_returns, epoch.symbol_turnover, epoch.symbol_cost):
        x[:] = 0.0
    epoch.source_returns[:] = 0.0
    epoch.active[:] = 0
    epoch.symbol_active[:] = 0
    epoch.bars[0] = 0
