"""Splits and dividends: prices that go on where a share became several, or paid out.

The files stay as the exchange quoted them, and the panels go on in the basis of the first bar: from the bar on in which an
action takes effect, prices are multiplied and sizes divided by a factor, so that a holder's wealth is continuous and no bar
knows of a later action. A split of ratio 7 (seven shares for one) multiplies by 7; a dividend d by p / (p - d), p the close
before: as if it were put back into the share on that day. Adjusting the past, as charts do, would tell it of the future.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from dataflows.panel import Ints
from drivers.feeds.errors import DataError
from drivers.feeds.reading import Axis, Reading, codes_of
from drivers.feeds.tables import Table
from drivers.text.suggestions import did_you_mean
from drivers.text.times import utc

PRICES: Final = ("open", "high", "low", "close", "vwap", "bid_price", "ask_price")
SIZES: Final = ("volume", "buy_volume", "bid_size", "ask_size", "ofi")


def apply_actions(reading: Reading, splits: Table | None, dividends: Table | None, axis: Axis) -> None:
    """Puts the panels on the basis of the first bar, in place. Raises DataError for a row that no action can be."""
    factor = axis.panel(1.0)
    if splits is not None:
        for row, n, ratio, where in _rows(reading, splits, "ratio", axis):
            if not 1e-6 <= ratio <= 1e6:
                raise DataError(
                    f"{where}: ratio is {ratio:g}; write new shares for each old one, 7 for a split of seven for one"
                )
            factor[row, n] *= ratio
    if dividends is not None:
        quoted = reading.panels["close"]
        for row, n, amount, where in _rows(reading, dividends, "dividend", axis):
            before = quoted[:row, n]
            known = np.flatnonzero(np.isfinite(before))
            if not len(known):
                continue  # nobody can have held it
            price = float(before[known[-1]])
            if not 0.0 <= amount < price:
                what = f"dividend is {amount:g} and the close before {price:g}"
                raise DataError(f"{where}: {what}; write the payment for a share, below its price")
            factor[row, n] *= price / (price - amount)
    if (factor == 1.0).all():
        return
    _adjust(reading, np.cumprod(factor, axis=0, dtype=np.float64))


def apply_column(reading: Reading) -> None:
    """The same from the bars' column `adjustment`, each bar's factor to any common basis; an unknown one is that before it."""
    level = reading.panels.pop("adjustment")
    level[~(level > 0.0)] = np.nan
    rows = np.arange(len(level))
    for n in range(level.shape[1]):
        known = np.isfinite(level[:, n])
        if known.any():
            first = int(np.argmax(known))
            level[:, n] = level[np.maximum.accumulate(np.where(known, rows, first)), n] / level[first, n]
    _adjust(reading, np.where(np.isfinite(level), level, 1.0))


def _adjust(reading: Reading, level: Any) -> None:
    for name in (*PRICES, *SIZES):
        if name in reading.panels:
            panel, by = reading.panels[name], level if name in PRICES else 1.0 / level
            panel *= by if panel.ndim == 2 else by[:, :, None]


def _rows(reading: Reading, table: Table, column: str, axis: Axis) -> list[tuple[int, int, float, str]]:
    """Row of the first bar after each action, column, number, place in the file; of the run's symbols, inside of its bars."""
    found: list[tuple[int, int, float, str]] = []
    seen: set[tuple[int, int]] = set()
    stated: set[str] = set()
    for start, batch in table.batches(["timestamp", "symbol", column]):
        time: Ints = table.times(batch.column("timestamp"), start)
        code = codes_of(table, batch, start, axis.column)
        stated.update(table.texts(batch, "symbol", start)[0])
        number = table.floats(batch, column)
        row = axis.rows(time + 1)  # an action at the open of a bar belongs to that bar
        for i in np.flatnonzero(code >= 0):
            where = f"{table.name}: {axis.symbols[code[i]]} {utc(int(time[i]))}"
            if (int(code[i]), int(time[i])) in seen:
                raise DataError(f"{where} is there twice; keep one of them")
            seen.add((int(code[i]), int(time[i])))
            if 0 < row[i] < axis.bars:
                found.append((int(row[i]), int(code[i]), float(number[i]), where))
    if stated and not stated & reading.names:
        name = min(stated)
        raise DataError(f"{table.name}: none of its symbols is in the data; {did_you_mean(name, sorted(reading.names))}")
    return found
