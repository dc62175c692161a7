"""What the same symbols would have made without any decision: bought at the start and held."""

from __future__ import annotations

from typing import Final

import numpy as np

from dataflows.panel import Floats
from drivers.report.account import Daily, daily_returns
from drivers.report.scan import BarTimes, holds, panels
from drivers.store.reader import RecordedRun

_CLOSE: Final = "l0_market_feed.bars.close"


def read_hold(run: RecordedRun, clock: BarTimes) -> Floats | None:
    """Wealth (T,) of buy and hold, 1 at the start: an equal part in every symbol, bought at its first known close.

    A part waits as cash until its symbol has a close. A bar without a close keeps the last one. No costs, no funding, no
    rebalancing. None where the run did not record closes.
    """
    if not holds(run, "features/data", [_CLOSE]):
        return None
    n = len(run.symbols)
    wealth = np.empty(clock.bars)
    bought, last = np.full(n, np.nan), np.full(n, np.nan)
    for begin, part in panels(run, "features/data", [_CLOSE]):
        close = np.vstack([last, part[_CLOSE]])
        known = np.isfinite(close)
        latest = np.maximum.accumulate(np.where(known, np.arange(len(close))[:, None], 0), axis=0)
        close = np.take_along_axis(close, latest, axis=0)[1:]
        first = np.isnan(bought) & np.isfinite(close[-1])
        columns = np.flatnonzero(first)
        bought[columns] = close[np.isfinite(close[:, columns]).argmax(axis=0), columns]
        with np.errstate(divide="ignore", invalid="ignore"):
            grown = close / bought
        wealth[begin : begin + len(close)] = np.where(np.isfinite(grown), grown, 1.0).mean(axis=1)
        last = close[-1]
    return wealth


def hold_daily(clock: BarTimes, hold: Floats) -> Daily:
    """The returns of buy and hold by UTC day. hold: its wealth (T,), 1 at the start."""
    return daily_returns(clock, hold / np.concatenate([[1.0], hold[:-1]]) - 1.0)
