"""The market as a run saw it: prices, regimes, and how good the data were."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES
from drivers.report.scan import BarTimes, holds, panels
from drivers.report.series import Candles
from drivers.store.kept import instead
from drivers.store.reader import RecordedError, RecordedRun
from drivers.text.suggestions import did_you_mean

Codes: TypeAlias = NDArray[np.int8]
"""Small integers, as many as a run has bars."""

QUALITY: Final = {
    "missing": "not observed",
    "filled": "filled flat",
    "outlier": "outlier",
    "crossed": "crossed book",
    "duplicates": "repeated rows dropped",
    "late": "came late",
}
"""What L0 flags, counted as run.json counts it: what is missing or filled only while the symbol is listed."""
STATES: Final = ("UNKNOWN", *REGIMES)
"""What a regime label from -1 on says."""
_BAR: Final = tuple(f"l0_market_feed.bars.{name}" for name in ("open", "high", "low", "close", "volume"))
STOP, TARGET = "l96_order_lifecycle.stop_price", "l96_order_lifecycle.target_price"
_QUALITY: Final = "l0_market_feed.quality."
_LABEL: Final = "l1_regime.label"


@dataclass(frozen=True)
class Quality:
    """Of each period and symbol (P, N): bars listed, bars flagged by kind, and the longest silence in bars."""

    listed: Ints
    flagged: dict[str, Ints] = field(default_factory=dict)
    silence: Floats = field(default_factory=lambda: np.zeros((0, 0)))


@dataclass(frozen=True)
class Prices:
    """Prices of every symbol: the candles that are drawn, first and last close (N,), and closes at every `stride`-th bar.

    fields: the columns that are drawn under the price: `candles.last` has them.
    """

    candles: Candles
    first: Floats
    last: Floats
    stride: int
    sampled: Floats  # (1 + (T - 1) // stride, N)
    fields: tuple[str, ...]


def read_prices(run: RecordedRun, clock: BarTimes, most: int, stride: int, fields: Sequence[str] = ()) -> Prices | None:
    """The prices of a run as at most so many candles a symbol; None where it did not record them.

    fields: `layer.field` of per-symbol columns of the features to draw under the price. Raises RecordedError for one that the
    run did not record.
    """
    if not holds(run, "features/data", _BAR):
        return None
    n = len(run.symbols)
    wanted = _tables_of(run, fields)
    if holds(run, "features/execution", (STOP, TARGET)):
        wanted["features/execution"] = [*dict.fromkeys((*wanted.get("features/execution", ()), STOP, TARGET))]
    candles = Candles(clock.bars, n, most, [name for names in wanted.values() for name in names])
    first, last = np.full(n, np.nan), np.full(n, np.nan)
    sampled = np.full((1 + (clock.bars - 1) // stride, n), np.nan)
    for begin, part in panels(run, "features/data", _BAR):
        open_, high, low, close, volume = (part[name] for name in _BAR)
        candles.add(begin, open_, high, low, close, volume)
        skip = -begin % stride
        sampled[(begin + skip) // stride :][: len(close[skip::stride])] = close[skip::stride]
        known = np.isfinite(close)
        some = known.any(axis=0)
        columns = np.arange(n)
        first = np.where(np.isnan(first) & some, close[known.argmax(axis=0), columns], first)
        last = np.where(some, close[len(close) - 1 - known[::-1].argmax(axis=0), columns], last)
    for table, names in wanted.items():
        for begin, part in panels(run, table, names):
            for name in names:
                candles.take(name, begin, np.asarray(part[name], np.float64))
    return Prices(candles, first, last, stride, sampled, tuple(fields))


def _tables_of(run: RecordedRun, fields: Sequence[str]) -> dict[str, list[str]]:
    """The tables that have these columns. Raises RecordedError for a column that none has."""
    tables = [name for name in run.tables() if name.startswith("features/")]
    found: dict[str, list[str]] = {}
    for field_name in fields:
        home = next((table for table in tables if field_name in run.columns(table)), None)
        if home is None:
            there = [name for table in tables for name in run.columns(table)]
            hint = did_you_mean(field_name, there) if run.kept == "all" else instead(run.kept)
            raise RecordedError(f"{run.folder} recorded no field {field_name}; {hint}")
        found.setdefault(home, []).append(field_name)
    return found


def read_quality(run: RecordedRun, clock: BarTimes) -> Quality | None:
    """What L0 found wrong with the data, by period; None where it was not recorded."""
    kinds = [kind for kind in QUALITY if holds(run, "features/data", [_QUALITY + kind])]
    needed = [_QUALITY + name for name in ("listed", "stale")]
    if not kinds or not holds(run, "features/data", needed):
        return None
    shape = (len(clock.period_starts), len(run.symbols))
    listed, silence = np.zeros(shape, np.int64), np.zeros(shape)
    flagged = {kind: np.zeros(shape, np.int64) for kind in kinds}
    for begin, part in panels(run, "features/data", [*needed, *(_QUALITY + kind for kind in kinds)]):
        there = part[_QUALITY + "listed"]
        period = clock.period_of(begin + np.arange(len(there)))
        cuts = np.flatnonzero(np.diff(period, prepend=-1))
        at = period[cuts]
        listed[at] += np.add.reduceat(there, cuts, axis=0)
        stale = np.where(there == 1, np.nan_to_num(part[_QUALITY + "stale"]), 0.0)
        silence[at] = np.maximum(silence[at], np.maximum.reduceat(stale, cuts, axis=0))
        for kind in kinds:
            found: Any = part[_QUALITY + kind]
            flagged[kind][at] += np.add.reduceat(found * there if kind in ("missing", "filled") else found, cuts, axis=0)
    return Quality(listed, flagged, silence)


def read_regimes(run: RecordedRun, clock: BarTimes) -> Codes | None:
    """The regime's label of every bar and symbol (T, N), -1 where unknown; None where it was not recorded."""
    if not holds(run, "features/regime", [_LABEL]):
        return None
    labels = np.empty((clock.bars, len(run.symbols)), np.int8)
    for begin, part in panels(run, "features/regime", [_LABEL]):
        labels[begin : begin + len(part[_LABEL])] = part[_LABEL]
    return labels


def read_halts(run: RecordedRun, clock: BarTimes) -> Codes | None:
    """The kill switch's overall level of every bar (T,); None where it was not recorded."""
    name = "l81_kill_switch.overall"
    if not holds(run, "features/risk", [name]):
        return None
    level = np.empty(clock.bars, np.int8)
    for begin, part in panels(run, "features/risk", [name]):
        level[begin : begin + len(part[name])] = part[name][:, 0]
    return level


def read_delay(run: RecordedRun) -> Floats | None:
    """What the way from decision to reference price cost each symbol, quote currency (N,), of L100; None: not recorded."""
    columns = ("l100_decision_audit.delay_bps", "l100_decision_audit.filled_notional")
    if not holds(run, "features/execution", columns):
        return None
    cost = np.zeros(len(run.symbols))
    for _, part in panels(run, "features/execution", columns):
        cost += np.nan_to_num(part[columns[0]] * part[columns[1]] * 1e-4).sum(axis=0)
    return cost
