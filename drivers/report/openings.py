"""What was known at the close that decided to open a round trip, in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from drivers.report.scan import holds
from drivers.report.text import fixed, in_unit, moment, percent, signed
from drivers.report.trips import Trip
from drivers.report.words import REASONS, in_words_all
from drivers.store.reader import RecordedRun

_COLUMNS: Final = (
    "timestamp", "symbol", "side", "reasons", "score", "edge_bps", "edge_std_bps", "size_fraction", "target_weight", "stop",
    "take_profit",
)  # fmt: skip

Opening = dict[str, Any]
"""A row of the decisions, by column."""


def read_openings(run: RecordedRun, trips: Sequence[Trip]) -> dict[tuple[int, int], Opening]:
    """The decisions that opened these trips, by (UTC ns of the close, column of the symbol). Trips decided before the run, and
    runs without decisions, have none."""
    wanted = {(trip.decided, trip.symbol) for trip in trips if trip.decided}
    if not wanted or not holds(run, "decisions", _COLUMNS):
        return {}
    times = np.array(sorted({time for time, _ in wanted}), np.int64)
    column = {name: n for n, name in enumerate(run.symbols)}
    found: dict[tuple[int, int], Opening] = {}
    for table in run.groups("decisions", _COLUMNS):
        stamp = table["timestamp"].cast("int64").to_numpy()
        rows = np.flatnonzero(np.isin(stamp, times))
        if len(rows):
            for time, row in zip(stamp[rows].tolist(), table.take(rows).to_pylist(), strict=True):
                if (key := (time, column[row["symbol"]])) in wanted:
                    found[key] = row
    return found


def in_words(time: int, opening: Opening, *, seconds: bool) -> str:
    """Why a round trip was opened and how its size came about. time: UTC ns of the close that decided."""
    error = opening["edge_std_bps"]
    about = f" ± {fixed(error, 1)}" if _known(error) else ""
    asked, given = opening["size_fraction"], abs(opening["target_weight"])
    smaller = in_words_all(opening["reasons"] or "", REASONS, "")
    size = f"{percent(given)} of equity" + (
        f" instead of {percent(asked)}, made smaller by {smaller}" if smaller and given < asked else ""
    )
    levels = [
        f"{what} {percent(opening[key])} away"
        for what, key in (("stop", "stop"), ("target", "take_profit"))
        if _known(opening[key])
    ]
    return (
        f"Decided at {moment(time, seconds=seconds)}: score {signed(opening['score'])}, edge "
        f"{in_unit(opening['edge_bps'], 'bps', sign=True)}{about}; {'; '.join((size, *levels))}."
    )


def _known(x: Any) -> bool:
    return x is not None and math.isfinite(x)
