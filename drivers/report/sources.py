"""What each source gave: to the edges, to the trades, and of what came after.

Three measures, since none of them alone is the worth of a source:

1. Share of the edge: mean |part| over the sum of all parts', where L3's edge is known; of all bars, and of those that decided
   to open a trade. It says how loud a source is, not whether it is right.
2. Profit by share: a round trip's profit after fees is shared out by part / edge at the bar that decided to open it. The parts
   add up to the edge, so the shares add up to the profit. It is book-keeping, not a cause: take a source away and other trades
   would have been made.
3. Rank correlation of what the source said (L66) with the log return of the next `horizon` bars, over all symbols at every
   `horizon`-th bar, so that no two returns of a symbol overlap. Its standard error counts the times, not the symbols, which
   move together: 1 / sqrt(times). It knows nothing of costs. A stated belief is about L7's score and has the score's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from dataflows.fusion.types import EDGE_PARTS, K, Proposal, Signals
from dataflows.panel import Floats, fields_of, kind_of
from drivers.graph.columns import wide_columns
from drivers.report.market import Prices
from drivers.report.scan import BarTimes, holds, panels
from drivers.report.trips import Trip
from drivers.store.reader import RecordedRun

LEAST_TIMES: Final = 20
"""Fewer times than this make no correlation."""
_TABLE: Final = "features/fusion"
_VALUE, _SCORE = "l66_signal_matrix.values", "l7_ensemble.score"
_PART, _EDGE = "l3_action_proposal.parts_bps", "l3_action_proposal.edge_bps"


@dataclass(frozen=True)
class Source:
    """What one source gave; NaN: not known."""

    name: str
    share: float  # of the edge, all bars
    share_of_entries: float  # of the edge, at the bars that decided to open a trade
    with_trade: float  # share of those bars at which its part spoke for the trade
    profit: float  # its part of the round trips' profit, quote currency
    correlation: float


@dataclass(frozen=True)
class Contribution:
    """Of all sources. entries: round trips whose deciding bar lies in the run. times: of the correlation. horizon: bars."""

    sources: list[Source]
    entries: int
    left_out: int
    horizon: int
    times: int
    score_correlation: float

    @property
    def error(self) -> float:
        """Standard error of the correlations."""
        return 1.0 / math.sqrt(self.times) if self.times else math.nan


def read_contribution(run: RecordedRun, clock: BarTimes, trips: Sequence[Trip], prices: Prices | None) -> Contribution | None:
    """What each source gave in this run; None where the parts of the edge were not recorded. Only closed trips count."""
    there = run.columns(_TABLE) if holds(run, _TABLE) else []
    values = [*wide_columns(_VALUE, kind_of(fields_of(Signals)["values"]), there), _SCORE]
    parts = [*wide_columns(_PART, kind_of(fields_of(Proposal)["parts_bps"]), there), _EDGE]
    if len(values) != 1 + K or len(parts) != 1 + len(EDGE_PARTS) or not {_SCORE, _EDGE} <= set(there):
        return None
    deciding = clock.bar(np.array([t.decided for t in trips], np.int64))
    inside = (deciding >= 0) & np.array([t.decided > 0 for t in trips], bool)
    column = np.array([t.symbol for t in trips], np.int64)
    stride = prices.stride if prices is not None else clock.bars
    said = np.full((1 + (clock.bars - 1) // stride, len(run.symbols), len(values)), np.nan)
    at_entry = np.full((len(trips), len(parts)), np.nan)
    loud = np.zeros(len(EDGE_PARTS))
    for first, part in panels(run, _TABLE, (*values, *parts)):
        known = np.isfinite(part[_EDGE])
        loud += [float(np.abs(part[name][known]).sum()) for name in parts[:-1]]
        bars = len(part[_EDGE])
        here = np.flatnonzero(inside & (deciding >= first) & (deciding < first + bars))
        skip = -first % stride
        for k, name in enumerate(parts):
            at_entry[here, k] = part[name][deciding[here] - first, column[here]]
        for k, name in enumerate(values):
            said[(first + skip) // stride :, :, k][: len(part[name][skip::stride])] = part[name][skip::stride]
    usable = np.isfinite(at_entry).all(axis=1) & (at_entry[:, -1] != 0.0)
    profit = np.array([t.profit for t in trips])[usable]
    share = at_entry[usable, :-1] / at_entry[usable, -1:]
    correlations, times = _correlations(said, prices, stride)
    entry_loud = np.abs(at_entry[usable, :-1]).sum(axis=0)
    sources = [
        Source(
            name,
            _over(loud[k], loud.sum()),
            _over(entry_loud[k], entry_loud.sum()),
            float(np.mean(share[:, k] > 0.0)) if len(share) else math.nan,
            float((profit * share[:, k]).sum()),
            correlations[k],
        )
        for k, name in enumerate(EDGE_PARTS)
    ]
    return Contribution(sources, int(usable.sum()), len(trips) - int(usable.sum()), stride, times, correlations[-1])


def _correlations(said: Floats, prices: Prices | None, stride: int) -> tuple[list[float], int]:
    """Rank correlation of every column of `said` (S, N, K) with the log return to the next sample; how many samples count."""
    width = said.shape[2]
    if prices is None:
        return [math.nan] * width, 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ahead = np.diff(np.log(prices.sampled), axis=0)
    both = np.isfinite(ahead) & np.isfinite(said[:-1]).any(axis=2)
    times = int(both.any(axis=1).sum())
    if times < LEAST_TIMES:
        return [math.nan] * width, times
    return [_spearman(said[:-1, :, k][both], ahead[both]) for k in range(width)], times


def _spearman(x: Floats, y: Floats) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3 or np.ptp(x[known]) == 0.0 or np.ptp(y[known]) == 0.0:
        return math.nan
    return float(np.corrcoef(_ranks(x[known]), _ranks(y[known]))[0, 1])


def _ranks(x: Floats) -> Floats:
    """From 1; equal values have the mean of theirs."""
    _, place, times = np.unique(x, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(times) - (times - 1) / 2)[place]
    return ranks


def _over(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0.0 else math.nan
