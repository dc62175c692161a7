"""One account on a recorded market: an epoch a step, the risk multiplier chosen from outside, the gate in force as always."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.panel import Floats
from dataflows.risk.l81_kill_switch import LATCH_FLATTENS
from dataflows.risk.types import FLATTEN
from dataflows.rl.observed import realised_variance
from dataflows.rl.wealth import account_growth
from drivers.engine.shadow import LAYER, LEDGER, SHADOW
from drivers.episodes.market import Market, Observed, begin_epoch, observed_of

KILL_SWITCH: Final = "l81_kill_switch"
RUINED: Final = -10.0
"""Log growth of an epoch that leaves nothing, in place of minus infinity."""


class Step(NamedTuple):
    """What an epoch gave. growth: log of what a unit of the account became, cash flows taken out. variance: sum of the squared
    log returns from instant to instant."""

    observed: Observed  # (2 F,): finite numbers, then 1 where each is known
    growth: float
    variance: float
    shadow_growth: float
    equity: float
    multiplier: float  # as it was in force
    flattened: bool  # the kill switch is latched at FLATTEN: nothing is traded any more
    ended: bool  # there is no further epoch
    time: int  # UTC ns of the last bar


class Episode:
    """Epochs `first` to `last` (exclusive; None: the end) of a market, from the state that the untouched account has there."""

    def __init__(self, market: Market, first: int = 0, last: int | None = None) -> None:
        self.market = market
        self.epoch, self.last = first, len(market.epochs) if last is None else min(last, len(market.epochs))
        self.engine = market.engine()
        start = market.epochs[first].start
        start.put_into(self.engine)
        self.observed, self.done = start.observed, False
        self._ends = np.full((2, 2), np.nan)  # equity and cash that came in at the last epoch's end: ours, the shadow's
        if first:
            shadow = market.epochs[first - 1].chunks[-1].inputs[SHADOW]
            self._ends[:] = shadow.equity[-1], shadow.cash_flows[-1]

    def step(self, multiplier: float) -> Step:
        """Runs one epoch with so much of the size that the gate allows, in [0, 1]; more or less is cut, NaN counts 0."""
        epoch = self.market.epochs[self.epoch]
        begin_epoch(self.engine, epoch.delayed, multiplier)
        held = float(self.engine.arena.values["policy"].risk_multiplier[0])
        parts: list[Any] = [self.engine.advance(chunk).values for chunk in epoch.chunks]
        equity, growth = _growth([part[LEDGER] for part in parts], self._ends[0])
        _, shadow_growth = _growth([chunk.inputs[SHADOW] for chunk in epoch.chunks], self._ends[1])
        self.observed = observed_of(self.engine.end_epoch()[LAYER])
        kill = parts[-1][KILL_SWITCH]
        flattened = int(kill.overall[-1]) == FLATTEN and int(kill.overall_reason[-1]) & LATCH_FLATTENS != 0
        self.epoch += 1
        self.done = flattened or self.epoch >= self.last
        return Step(
            self.observed,
            growth,
            realised_variance(equity),
            shadow_growth,
            float(equity[-1]),
            held,
            flattened,
            self.epoch >= self.last,
            int(epoch.chunks[-1].time[-1]),
        )


def _growth(parts: Sequence[Any], before: Floats) -> tuple[Floats, float]:
    """Equity over an epoch, and its log growth, RUINED at least; `before` (2,) is set to its end. parts: chunk by chunk."""
    equity, flows = (np.concatenate([np.asarray(getattr(x, name)) for x in parts]) for name in ("equity", "cash_flows"))
    growth = account_growth(equity, flows, before)
    return equity, RUINED if math.isnan(growth) else max(RUINED, growth)
