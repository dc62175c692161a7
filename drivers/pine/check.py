"""The data that a user exported from a chart, against the run, bar by bar."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from dataflows.panel import Floats, Ints
from drivers.pine.recorded import Recorded
from drivers.text.suggestions import did_you_mean
from drivers.text.times import SECOND_NS, parse_utc, stamp

TOLERANCE: Final = 1e-6
"""Relative: how many digits TradingView writes is not documented."""
SERIES: Final = {
    "close": "close", "Return": "return_1", "ATR": "atr", "Volatility": "sigma", "Trend": "trend_z", "Stop": "stop",
    "Target": "target",
}  # fmt: skip
CODES: Final = {"Chart regime": "chart_regime", "Chart side": "chart_side"}
_NEEDED: Final = ("close", "Return", "ATR", "Volatility", "Trend", *CODES)


class ChartError(ValueError):
    """A file is not what TradingView exports with the mirror on the chart. One sentence."""


@dataclass(frozen=True)
class Difference:
    """The first bar on which a series differs. time: the bar's open, seconds since 1970."""

    time: int
    chart: float
    python: float


@dataclass(frozen=True)
class Compared:
    """One series of the chart. error: the largest, relative; of codes 0 or 1."""

    title: str
    bars: int
    differ: int
    error: float
    first: Difference | None


@dataclass(frozen=True)
class Verdict:
    """What a file came to. bars: on both; only_chart, only_run: between the first and the last of these."""

    series: tuple[Compared, ...]
    bars: int
    only_chart: int
    only_run: int

    @property
    def compared(self) -> int:
        """Bars on which the chart had computed something."""
        return max((each.bars for each in self.series if each.title != "close"), default=0)

    @property
    def equal(self) -> bool:
        """Whether anything was compared and nothing differs."""
        return self.compared > 0 and not any(each.differ for each in self.series)

    @property
    def words(self) -> str:
        """The verdict as a sentence."""
        if not self.bars:
            return "The file has no bar of the run; is it the same symbol and clock?"
        if not self.compared:
            return "The chart had too little history, so nothing was compared; load more bars and export again."
        if self.equal:
            return f"The chart agrees with the run on {self.compared:,} bars."
        first = min((each.first for each in self.series if each.first), key=lambda at: at.time)
        of = ", ".join(each.title for each in self.series if each.first and each.first.time == first.time)
        prices = any(each.title == "close" and each.differ for each in self.series)
        why = " Its prices differ, so it is another market or exchange." if prices else ""
        return f"The chart differs from the run, first at {stamp(first.time * SECOND_NS)} in {of}.{why}"


def check(path: Path, recorded: Recorded, tolerance: float = TOLERANCE) -> Verdict:
    """Compares an export with a symbol of a run. tolerance: relative, of what is measured; codes must be equal.

    Raises ChartError for a file that lacks what the mirror plots.
    """
    frame = _read(path)
    times = frame["time"].to_numpy()
    comparable = recorded.opened[recorded.comparable]
    both, at, row = np.intersect1d(times, comparable, return_indices=True)
    rows = recorded.comparable[row]

    def within(t: Ints) -> int:
        return int(((t >= both[0]) & (t <= both[-1])).sum()) - len(both) if len(both) else 0

    found = [
        _compared(title, both, frame[title].to_numpy()[at], recorded.column[field][rows], tolerance if title in SERIES else 0.0)
        for title, field in (SERIES | CODES).items()
        if title in frame
    ]
    return Verdict(tuple(found), len(both), within(times), within(comparable))


def _compared(title: str, times: Ints, chart: Floats, column: Any, tolerance: float) -> Compared:
    python = np.asarray(column, np.float64)
    known = np.isfinite(chart) & np.isfinite(python)
    # the trend is a difference of two averages and the return may be 0: near 0 few digits are left, so their unit counts
    least = {"Trend": 1.0, "Return": 1e-4}.get(title, np.finfo(float).tiny) if tolerance else 1.0
    size = np.maximum(np.abs(python), least) if tolerance else np.ones_like(python)
    error = np.abs(np.where(known, chart - python, 0.0)) / np.where(known, size, 1.0)
    bad = np.flatnonzero(error > tolerance)
    first = Difference(int(times[bad[0]]), float(chart[bad[0]]), float(python[bad[0]])) if len(bad) else None
    return Compared(title, int(known.sum()), len(bad), float(error.max(initial=0.0)), first)


def _read(path: Path) -> pd.DataFrame:
    try:
        raw = pd.read_csv(path, dtype=str, keep_default_na=False, header=None)  # pandas would rename titles given twice
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ChartError(f"{path} is no table of comma-separated values: {str(error).splitlines()[0]}") from None
    raw = raw.iloc[1:].set_axis([str(title).strip() for title in raw.iloc[0]], axis=1)
    lacking = [name for name in ("time", *_NEEDED) if name not in raw]
    if lacking:
        hint = did_you_mean(lacking[0], list(raw.columns))
        raise ChartError(
            f"{path} has no column {lacking[0]!r}; {hint}. Export the chart's data while StratoQuant's mirror is on the chart"
        )
    doubled = [title for title in (*SERIES, *CODES) if list(raw.columns).count(title) > 1]
    if doubled:
        raise ChartError(f"{path} has the column {doubled[0]!r} twice; leave one mirror on the chart and export again")
    frame = pd.DataFrame({"time": _seconds(path, raw["time"])})
    for name in (*SERIES, *CODES):
        if name in raw:
            frame[name] = _numbers(path, name, raw[name].tolist())
    twice = frame["time"].duplicated()
    if twice.any():
        raise ChartError(f"{path} has the bar of {stamp(int(frame['time'][twice].iloc[0]) * SECOND_NS)} twice")
    return frame


def _seconds(path: Path, texts: Iterable[str]) -> list[int]:
    found = []
    for row, text in enumerate(texts, 2):
        try:
            found.append(int(text) if text.strip().lstrip("-").isdigit() else parse_utc(text.strip()) // SECOND_NS)
        except ValueError:
            raise ChartError(f"{path}, row {row}: {text!r} is no time; export UNIX or ISO times") from None
    return found


def _numbers(path: Path, name: str, texts: Sequence[str]) -> list[float]:
    found = []
    for row, text in enumerate(texts, 2):
        bare = text.strip()
        try:
            found.append(math.nan if bare in ("", "na", "∅") else float(bare))
        except ValueError:
            raise ChartError(f"{path}, row {row}: {name} is {text!r}, which is no number") from None
    return found
