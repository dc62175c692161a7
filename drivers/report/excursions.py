"""How far each round trip went against us and with us while it was held (Sweeney 1996: MAE and MFE)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from drivers.report.scan import BarTimes, holds, panels
from drivers.report.trips import Trip
from drivers.store.reader import RecordedRun

_RANGE: Final = ("l0_market_feed.bars.low", "l0_market_feed.bars.high")


def measure_excursions(run: RecordedRun, clock: BarTimes, trips: Sequence[Trip]) -> None:
    """Sets `adverse_bps` and `favourable_bps` of each closed trip, against its mean entry price.

    Counted are the highs and lows of the bars that lie wholly within the trip, and its mean exit price: a bar in which it was
    opened or closed was also traded outside of it. adverse_bps <= 0 <= favourable_bps. Both stay NaN where the run did not
    record highs and lows.
    """
    if not trips or not holds(run, "features/data", _RANGE):
        return
    entries = np.maximum(-1, clock.bar(np.array([t.entry_time for t in trips], np.int64)))
    exits = clock.bar(np.array([t.exit_time for t in trips], np.int64))
    lowest = np.array([t.exit_price for t in trips])
    highest = lowest.copy()
    for first, part in panels(run, "features/data", _RANGE):
        low, high = (part[name] for name in _RANGE)
        begins, ends = np.maximum(entries + 1 - first, 0), np.minimum(exits - first, len(low))
        for i in np.flatnonzero(begins < ends).tolist():
            held, n = slice(begins[i], ends[i]), trips[i].symbol
            lowest[i] = np.fmin(lowest[i], np.fmin.reduce(low[held, n]))
            highest[i] = np.fmax(highest[i], np.fmax.reduce(high[held, n]))
    for trip, bottom, top in zip(trips, lowest.tolist(), highest.tolist(), strict=True):
        worst, best = (bottom, top) if trip.side > 0 else (top, bottom)
        scale = trip.side * 1e4 / trip.entry_price
        trip.adverse_bps = min(0.0, scale * (worst - trip.entry_price))
        trip.favourable_bps = max(0.0, scale * (best - trip.entry_price))
