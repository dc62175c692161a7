"""What the charts of returns and of round trips draw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats
from drivers.report.account import Account, Daily
from drivers.report.benchmark import hold_daily
from drivers.report.scan import DAY
from drivers.report.series import floats
from drivers.report.trips import Trip

ROLLING_DAYS: Final = 30
"""Daily returns in a window of the rolling ratio and volatility."""
LEAST_ROLLING: Final = 2 * ROLLING_DAYS
"""Fewer days draw no rolling chart."""
LEAST_MONTHS: Final = 2
MOST_POINTS: Final = 5_000
"""Round trips in the scatter of excursions; of more, the latest."""


def drawn_returns(account: Account, hold: Floats | None, trips: Sequence[Trip]) -> dict[str, Any]:
    """The parts of the page's data on returns: `days`, `months`, `rolling` and `trips`, each only where there is enough."""
    made: dict[str, Any] = {}
    daily = account.daily
    if len(daily.day) > 1:
        made["days"] = [
            [int(day) * DAY // 1_000_000, round(float(x), 8)] for day, x in zip(daily.day, daily.returns, strict=True)
        ]
    found = months(daily)
    if len(found) >= LEAST_MONTHS:
        made["months"] = found
    if len(daily.day) >= LEAST_ROLLING:
        made["rolling"] = _rolling(daily, None if hold is None else hold_daily(account.clock, hold))
    if trips:
        made["trips"] = _trips(trips)
    return made


def months(daily: Daily) -> list[tuple[int, int, float]]:
    """(year, month, return) of each month that has a day."""
    month = (daily.day.astype("datetime64[D]")).astype("datetime64[M]").astype(np.int64)
    begins = np.flatnonzero(np.diff(month, prepend=-1))
    if not len(begins):
        return []
    grown = np.multiply.reduceat(1.0 + daily.returns, begins) - 1.0
    return [(1970 + int(m) // 12, 1 + int(m) % 12, round(float(x), 8)) for m, x in zip(month[begins], grown, strict=True)]


def rolling(daily: Daily) -> tuple[Floats, Floats]:
    """(volatility a year, Sharpe ratio) over the ROLLING_DAYS daily returns that end with each day from the first whole window
    on; a ratio is NaN where nothing moved."""
    windows = np.lib.stride_tricks.sliding_window_view(daily.returns, ROLLING_DAYS)
    deviation = windows.std(axis=1, ddof=1)
    scale = math.sqrt(daily.a_year)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(deviation > 0.0, windows.mean(axis=1) / deviation * scale, np.nan)
    return deviation * scale, ratio


def _rolling(daily: Daily, hold: Daily | None) -> dict[str, Any]:
    volatility, ratio = rolling(daily)
    made: dict[str, Any] = {
        "day": (daily.day[ROLLING_DAYS - 1 :] * (DAY // 1_000_000)).tolist(),
        "days": ROLLING_DAYS,
        "volatility": floats(volatility),
        "sharpe": floats(ratio),
    }
    if hold is not None and np.array_equal(hold.day, daily.day):
        made["hold_volatility"] = floats(rolling(hold)[0])
    return made


def _trips(trips: Sequence[Trip]) -> dict[str, Any]:
    kept = trips[-MOST_POINTS:]
    return {
        "n": len(trips),
        "bps": floats(np.array([t.bps for t in kept])),
        "adverse": floats(np.array([t.adverse_bps for t in kept])),
        "favourable": floats(np.array([t.favourable_bps for t in kept])),
        "side": [t.side for t in kept],
    }
