"""What a run recorded of one symbol, as the chart's mirror needs it: L99's columns, its positions and its fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataflows.execution.types import ORDER_TYPES, STOP_MARKET, TAKE_PROFIT, Mirror
from dataflows.panel import Floats, Ints
from drivers.runlog.events import order_name
from drivers.store.reader import RecordedError, RecordedRun
from drivers.text.suggestions import did_you_mean
from drivers.text.times import SECOND_NS

_AT_LEVEL: Final = (ORDER_TYPES[STOP_MARKET], ORDER_TYPES[TAKE_PROFIT])


@dataclass(frozen=True)
class Trip:
    """A position from the bar in which it began. Times are opens of bars, seconds since 1970; ends is 0 while it is open.

    distance: of its stop, a fraction of the price at the decision; NaN where no order of this run opened it.
    """

    began: int
    decided: int
    side: int
    distance: float
    ends: int
    at_level: bool
    weight: float


@dataclass(frozen=True)
class Recorded:
    """L99 of one symbol: a column for each field, (T,); and the open of each bar in seconds since 1970."""

    symbol: str
    clock: int  # seconds
    opened: Ints
    column: dict[str, Any]
    trips: tuple[Trip, ...]
    fills: tuple[tuple[int, int, float], ...]  # open of the bar, 1 bought or -1 sold, mean price
    tick: float  # NaN: not known

    @property
    def comparable(self) -> Ints:
        """The bars that a chart must have too."""
        return np.flatnonzero(self.column["comparable"] == 1)


def symbol_of(run: RecordedRun, name: str | None) -> str:
    """The symbol that was asked for, or the only one. Raises RecordedError naming those that there are."""
    if name is None and len(run.symbols) == 1:
        return run.symbols[0]
    if name in run.symbols:
        return str(name)
    if name is None:
        raise RecordedError(f"{run.folder.name} has {len(run.symbols)} symbols; give --symbol, {', '.join(run.symbols[:8])}")
    raise RecordedError(f"{run.folder.name}: there is no symbol {name!r}; {did_you_mean(name, run.symbols)}")


def read_symbol(run: RecordedRun, symbol: str) -> Recorded:
    """One symbol of a run. Raises RecordedError where the run does not hold L99, or an older form of it, or shifted prices."""
    n, clock = run.symbols.index(symbol), int(run.about["clock_seconds"])
    if shift := ((run.about.get("instruments") or {}).get("price_shift") or [0.0] * len(run.symbols))[n]:
        raise RecordedError(
            f"{run.folder.name}: prices of {symbol} have its price_shift of {shift:g} added, and a chart shows them as quoted: "
            "they cannot be compared; take another symbol"
        )
    prefix = "l99_pine_mirror."
    if run.kept != "all":
        raise RecordedError(
            f"{run.folder.name} was run with --features {run.kept}, so it holds no mirror; run it with --features all"
        )
    if "execution" not in run.domains():
        raise RecordedError(f"{run.folder.name} has no features/execution.parquet, so it holds no mirror; run it again")
    there = run.columns("features/execution")
    lacking = [field for field in Mirror._fields if prefix + field not in there]
    if lacking:
        raise RecordedError(f"{run.folder.name} does not hold {prefix}{lacking[0]}: an older version made it; run it again")
    names = [prefix + field for field in Mirror._fields]
    opener, levels = "l96_order_lifecycle.opened_by", "l4_risk_gate.stop"
    table = run.table("features/execution", [*names, opener], symbols=[symbol])
    column = {field: table[prefix + field].to_numpy() for field in Mirror._fields}
    closed = column["time"] // SECOND_NS
    distance = run.table("features/risk", [levels], symbols=[symbol])[levels].to_numpy()
    fills = run.frame("fills", ["order_id", "side", "price", "quantity"], symbols=[symbol])
    orders = run.frame("orders", ["order_id", "type"], symbols=[symbol]).set_index("order_id")
    when = fills["timestamp"].astype("int64").to_numpy() // SECOND_NS - clock
    kinds = orders["type"].reindex(fills["order_id"]).astype(str).to_numpy()
    sums: dict[tuple[int, int], tuple[float, float]] = {}
    for t, name, price, quantity in zip(when, fills["side"].astype(str), fills["price"], fills["quantity"], strict=True):
        key = int(t), 1 if name == "BUY" else -1
        value, size = sums.get(key, (0.0, 0.0))
        sums[key] = value + price * quantity, size + quantity
    marks = [(t, sign, value / size) for (t, sign), (value, size) in sorted(sums.items())]
    decided = _decisions(run, symbol)
    at_level = {int(t) for t, kind in zip(when, kinds, strict=True) if kind in _AT_LEVEL}
    found = _trips(closed - clock, closed, clock, column, table[opener].to_numpy(), distance, decided, at_level, run.symbols, n)
    ticks = (run.about.get("instruments") or {}).get("tick_size") or []
    tick = float(ticks[n]) if len(ticks) > n and ticks[n] is not None else float("nan")
    return Recorded(symbol, clock, closed - clock, column, found, tuple(marks), tick)


def _decisions(run: RecordedRun, symbol: str) -> dict[str, int]:
    """The close that decided each order, seconds since 1970."""
    orders = run.frame("orders", ["order_id"], symbols=[symbol])
    return dict(zip(orders["order_id"].astype(str), orders["timestamp"].astype("int64") // SECOND_NS, strict=True))


def _trips(
    opened: Ints,
    closed: Ints,
    clock: int,
    column: dict[str, Any],
    opener: Ints,
    distance: Floats,
    decided: dict[str, int],
    at_level: set[int],
    symbols: tuple[str, ...],
    n: int,
) -> tuple[Trip, ...]:
    """Runs of bars with the same side, opened by the same order."""
    side = np.where(np.isfinite(column["stop"]), np.sign(column["position"]), 0.0).astype(np.int64)
    row_of = {int(t): i for i, t in enumerate(closed)}
    edges = np.flatnonzero(np.diff(side, prepend=0) | np.diff(np.where(side != 0, opener, 0), prepend=0))
    found = []
    for i, t in enumerate(edges):
        if side[t] == 0:
            continue
        end = int(edges[i + 1]) if i + 1 < len(edges) else len(side)
        decision = decided.get(order_name(symbols, n, int(opener[t])), 0) if opener[t] else 0
        row = row_of.get(decision, -1)
        known = row >= 0 and np.isfinite(distance[row])
        found.append(
            Trip(
                began=int(opened[t]),
                decided=decision - clock if known else int(opened[t]) - clock,
                side=int(side[t]),
                distance=float(distance[row]) if known else float("nan"),
                ends=int(opened[end]) if end < len(side) else 0,
                at_level=end < len(side) and int(opened[end]) in at_level,
                weight=abs(float(column["weight"][t])),
            )
        )
    return tuple(found)
