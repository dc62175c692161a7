"""Reads an alpha file: what a model outside of StratoQuant says of each symbol, and from when on.

A value stamped t is known from the first bar on that closes at or after t, never before. Of several in one bar the last counts.
What was stated before the first bar counts on it, with its age; how long a value holds, the layer that takes it says.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from dataflows.panel import Floats
from drivers.feeds.bounds import ALPHA
from drivers.feeds.errors import DataError
from drivers.feeds.reading import Axis, Reading, codes_of
from drivers.feeds.tables import Table
from drivers.text.suggestions import did_you_mean

_CURE: Final = "write a number, 0 for no view, or leave the row out"


def read_alpha(reading: Reading, table: Table, axis: Axis) -> None:
    """Fills the panels `alpha` (T, N), NaN where nothing was stated, and `alpha_age` (1, N), bars, of the first row.

    Refuses a value that is not finite or above 1e12 in size, two of one time and symbol that differ, times in the future, and
    symbols of which the folder has no data at all. Leaves out rows of symbols that were not asked for, and after the last bar.
    """
    value, age = axis.panel(), np.full((1, len(axis.column)), np.nan)
    stamp = np.full(value.shape, np.iinfo(np.int64).min)
    shown = axis.symbols
    strangers: set[str] = set()
    for start, batch in table.batches(["timestamp", "symbol", "value"]):
        time = table.times(batch.column("timestamp"), start)
        code = codes_of(table, batch, start, axis.column)
        strangers.update(table.texts(batch, "symbol", start)[0])
        stated = table.floats(batch, "value")
        wrong = (code >= 0) & (~np.isfinite(stated) | ALPHA.beyond(stated))

        def what(i: int, stated: Floats = stated) -> str:
            if np.isfinite(stated[i]):
                return f": value is {stated[i]:g}, above {ALPHA.most:g} in size; scale the signal: {_CURE}"
            return f": value is {stated[i]:g}; it must be finite: {_CURE}"

        reading.fault("bad value", table, wrong, start, shown, code, time, what)
        wrong |= reading.future(table, start, code >= 0, shown, code, time)
        row = np.maximum(axis.rows(time), 0)
        use = np.flatnonzero((code >= 0) & ~wrong & (row < axis.bars))
        use = use[np.lexsort((time[use], code[use]))]
        r, c = row[use], code[use]
        when, said = time[use], stated[use]
        again = (when == stamp[r, c]) & (said != value[r, c])
        same = (c[1:] == c[:-1]) & (when[1:] == when[:-1])
        again[1:] |= same & (said[1:] != said[:-1])
        double = np.zeros(len(code), bool)
        double[use[again]] = True
        twice = " is stated twice with different values; keep one of them"
        reading.fault("double", table, double, start, shown, code, time, lambda i, twice=twice: twice)
        later = when >= stamp[r, c]
        use, r, c = use[later], r[later], c[later]
        value[r, c], stamp[r, c] = stated[use], time[use]  # in order of time: the last of a bar stays
    known = reading.names
    if not strangers & known:
        name = sorted(strangers)[0]
        raise DataError(f"{table.name}: none of its symbols is in the data, e.g. {name}; {did_you_mean(name, sorted(known))}")
    there = ~np.isnan(value[0])
    age[0, there] = np.maximum(0, (axis.first - stamp[0, there]) // axis.step)
    reading.panels["alpha"], reading.panels["alpha_age"] = value, age
