"""What `data check` advises about data that a run takes: moves like splits, slipped decimal points, funding paid often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from drivers.feeds.dataset import Dataset
from drivers.text.times import duration, utc

SPLITS: Final = (2, 3, 4, 5, 7, 10, 20, 1.5)
"""New shares for an old one that splits are usual with."""
_NEAR: Final = 0.04
"""Of a decimal logarithm: a factor of ten is one of 9.1 to 11."""
_USUAL_FUNDING: Final = 4 * 3_600 * 10**9


def split_notes(data: Dataset) -> list[str]:
    """Moves between two sessions that a split would make: by one of SPLITS or its inverse, within a tenth of a log unit."""
    found = []
    rows = data.rows(0, len(data))
    for n, symbol in enumerate(data.symbols):
        close = rows.close[:, n]
        seen = np.flatnonzero(np.isfinite(close))
        move = -np.diff(np.log(close[seen]))
        usual = np.median(np.abs(move)) if len(move) else 0.0
        for i in np.flatnonzero((np.abs(move) > 0.35) & (np.abs(move) > 20.0 * usual) & (np.diff(rows.session[seen]) > 0)):
            near = min(SPLITS, key=lambda ratio: abs(math.log(ratio) - abs(move[i])))
            if abs(math.log(near) - abs(move[i])) < 0.1:
                ratio = near if move[i] > 0.0 else 1.0 / near
                at = utc(int(data.time[seen[i + 1]]) - data.step)
                found.append(f"{at},{symbol},{ratio:g}")
    if not found:
        return []
    return [f"prices move as by a split; if they are, write them into splits.csv (timestamp,symbol,ratio): {_some(found)}"]


def slip_notes(data: Dataset) -> list[str]:
    """Prices ten, a hundred ... times those beside them, or a tenth, for one bar: a decimal point slipped."""
    found = []
    rows = data.rows(0, len(data))
    for n, symbol in enumerate(data.symbols):
        seen = np.flatnonzero(np.isfinite(rows.close[:, n]))
        close = np.log10(rows.close[seen, n])
        odd = np.zeros(len(seen), bool)
        if len(seen) > 2:
            beside = 0.5 * (close[:-2] + close[2:])
            steady = np.abs(close[2:] - close[:-2]) < _NEAR
            odd[1:-1] = steady & _is_power(close[1:-1] - beside)
            found += [_slip(data, symbol, "close", seen[i], close[i] - beside[i - 1]) for i in np.flatnonzero(odd)]
        for name in ("open", "high", "low"):
            apart = np.log10(getattr(rows, name)[seen, n]) - close
            found += [_slip(data, symbol, name, seen[i], apart[i]) for i in np.flatnonzero(_is_power(apart) & ~odd)]
    if not found:
        return []
    return [f"decimal points may have slipped, correct or remove the rows: {_some(found)}"]


def funding_notes(data: Dataset, interval: str | None) -> list[str]:
    """Symbols whose funding is charged more often than every four hours, as a row is a payment. interval: dataset.yml's."""
    rates = data.rows(0, len(data)).funding_rate
    often = {}
    for n, symbol in enumerate(data.symbols) if interval is None else ():
        at = data.time[np.flatnonzero(np.abs(rates[:, n]) > 0.0)]
        if len(at) > 2 and (between := int(np.median(np.diff(at)))) < _USUAL_FUNDING:
            often[symbol] = between
    if not often:
        return []
    shown = _some([f"{symbol} every {duration(between)}" for symbol, between in often.items()])
    quotes = "if these are quotes of a rate that is paid less often, write `funding_interval: 8h` (the venue's) in dataset.yml"
    return [f"funding is charged on every row: {shown}; {quotes}"]


def _is_power(log10: Any) -> Any:
    """Where a decimal logarithm is near a whole number other than 0."""
    whole = np.rint(log10)
    return (whole != 0.0) & (np.abs(log10 - whole) < _NEAR)


def _slip(data: Dataset, symbol: str, name: str, row: Any, log10: float) -> str:
    times = 10.0 ** round(log10)
    of = f"{times:g} times" if times > 1.0 else f"1/{1.0 / times:g} of"
    return f"{symbol} {name}, {of} the prices beside it, in the bar that closes at {utc(int(data.time[int(row)]))}"


def _some(found: Sequence[str]) -> str:
    return "; ".join(found[:4]) + (f" and {len(found) - 4} more" if len(found) > 4 else "")
