"""What is to be explained: an order by its id, or what was decided of a symbol at a bar."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from dataflows.panel import Ints
from drivers.explain.trip import OrderTrip, trip_of
from drivers.files.json_values import json_values
from drivers.store.contracts import Contracts
from drivers.store.reader import Command, RecordedRun
from drivers.text.suggestions import did_you_mean
from drivers.text.times import SECOND_NS, parse_utc, stamp

ORDER_ROOT: Final = "l5_execution_bridge"
GATE: Final = "l4_risk_gate"


class ExplainError(ValueError):
    """What was asked for is not in the run. One sentence: what, and what there is."""


@dataclass(frozen=True)
class Target:
    """The bar and symbol whose decision is explained, and the order where there is one.

    bar: index into the run's bars. root: the layer at which the way back begins. order: its row of orders.parquet; entry: that
    of the entry whose bracket it is. fills: rows of fills.parquet. notes: what a reader must know beside. trip: the
    position that the order's fills belong to. sent: of a bar, the ids of the orders that were decided at it. clock: ns between
    two closes, 0 where the run does not say.
    """

    name: str
    symbol: str
    bar: int
    time: int  # UTC ns, the close of that bar
    root: str
    order: dict[str, Any] | None = None
    entry: dict[str, Any] | None = None
    fills: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    trip: OrderTrip | None = None
    sent: tuple[str, ...] = ()
    clock: int = 0


def target_of(run: RecordedRun, wanted: str) -> Target:
    """What `BTCUSDT-52` or `BTCUSDT 2026-03-01T12:00` means in a run. Raises ExplainError when it means nothing there."""
    wanted = wanted.strip()
    if not wanted:
        raise ExplainError('name an order, as BTCUSDT-52, or a symbol and a time, as "BTCUSDT 2026-03-01T12:00"')
    # a symbol's name may hold spaces, and so may its orders' ids
    if len(wanted.split()) == 1 or wanted.rpartition("-")[0] in run.symbols:
        return _of_an_order(run, wanted)
    symbol = max((s for s in run.symbols if wanted.startswith(f"{s} ")), key=len, default=wanted.split()[0])
    return _at_a_bar(run, symbol, " ".join(wanted.removeprefix(symbol).split()))


def _of_an_order(run: RecordedRun, wanted: str) -> Target:
    orders = _rows(run, "orders")
    ids = orders["order_id"].tolist()
    if wanted not in ids:
        raise ExplainError(_unknown_order(run, wanted, ids))
    order = _row(orders, wanted)
    notes, entry, decided = [], None, order
    if order["parent_id"] is not None and order["type"] in ("STOP_MARKET", "STOP_LIMIT", "TAKE_PROFIT") and _is_bracket(order):
        if order["parent_id"] in ids:
            entry = decided = _row(orders, order["parent_id"])
        else:
            notes.append(f"{wanted} belongs to {order['parent_id']}, which is from before this run.")
    fills = _rows(run, "fills")
    own = [json_values(row) for row in fills[fills["order_id"] == wanted].to_dict("records")]
    time = decided["timestamp"].value
    bar = _bar(run.times(), time)
    if bar < 0:
        raise ExplainError(f"{wanted} was decided before the first bar of {run.folder.name}; explain it in the run that did")
    if run.times()[bar] != time:
        notes.append(f"It was decided between two bars, at {stamp(time)}: the values are those of the last close before.")
    notes += [f"The {c.by} sent {c.said} at {c.time}." for c in run.operator_commands() if _concerns(c, order, stamp(time))]
    trip, at = trip_of(fills, order, _booked(run, order["symbol"])), int(run.times()[bar])
    return Target(wanted, order["symbol"], bar, at, ORDER_ROOT, order, entry, tuple(own), tuple(notes), trip, clock=_clock(run))


def _concerns(command: Command, order: dict[str, Any], decided: str) -> bool:
    """Whether a command came when an order was decided, or took the order off."""
    return command.time == decided or (command.said == f"CANCEL {order['order_id']}" and not command.refused)


def _is_bracket(order: dict[str, Any]) -> bool:
    """An entry takes every fourth number; the next two are its stop and its target."""
    return int(order["order_id"].rpartition("-")[2]) % 4 in (1, 2)


def _at_a_bar(run: RecordedRun, symbol: str, at: str) -> Target:
    if symbol not in run.symbols:
        raise ExplainError(f"{run.folder.name} has no symbol {symbol!r}; {did_you_mean(symbol, run.symbols)}")
    try:
        wanted = parse_utc(at)
    except ValueError as error:
        raise ExplainError(str(error)) from None
    times = run.times()
    if not len(times) or not times[0] <= wanted <= times[-1]:
        held = f"its bars close from {stamp(times[0])} to {stamp(times[-1])}" if len(times) else "it has no bars"
        raise ExplainError(f"{run.folder.name} has no bar at {at}; {held}")
    bar = _bar(times, wanted)
    notes = [f"No bar closes at {stamp(wanted)}; this is the last before."] if times[bar] != wanted else []
    name, at_ns = f"{symbol} {stamp(times[bar])}", int(times[bar])
    root = ORDER_ROOT if _approved(run, symbol, at_ns) else GATE
    return Target(name, symbol, bar, at_ns, root, notes=tuple(notes), sent=_sent(run, symbol, at_ns), clock=_clock(run))


def _approved(run: RecordedRun, symbol: str, at: int) -> bool:
    """Whether L4 wanted an order: then the way back begins where orders are sent, or dropped."""
    if "decisions" not in run.tables():
        return False
    verdicts = run.table("decisions", ["timestamp", "symbol", "verdict"], start=at - 1, end=at, symbols=[symbol])["verdict"]
    return any(verdict in ("APPROVED", "REDUCED", "EXIT") for verdict in verdicts.to_pylist())


def _sent(run: RecordedRun, symbol: str, at: int) -> tuple[str, ...]:
    """The ids of the orders that were decided at a close; stops and targets are placed later, by an entry's fill."""
    if "orders" not in run.tables():
        return ()
    rows = run.table("orders", ["timestamp", "symbol", "order_id"], start=at - 1, end=at, symbols=[symbol]).to_pylist()
    return tuple(row["order_id"] for row in rows if not _is_bracket(row))


def _clock(run: RecordedRun) -> int:
    return int(run.about.get("clock_seconds", 0)) * SECOND_NS


def _bar(times: Ints, at: int) -> int:
    """The bar that closes at a time, or last before it; -1: none."""
    return int(np.searchsorted(times, at, side="right")) - 1


def _booked(run: RecordedRun, symbol: str) -> Callable[[float], float]:
    contracts, n = Contracts.of(run.about, len(run.symbols)), run.symbols.index(symbol)
    return lambda price: contracts.booked(n, price)


def _rows(run: RecordedRun, name: str) -> pd.DataFrame:
    if name not in run.tables():
        raise ExplainError(
            f"{run.folder.name} holds no {name}.parquet: no layer of it gave orders, so there is none to explain"
        )
    return run.frame(name)


def _row(orders: pd.DataFrame, name: str) -> dict[str, Any]:
    row = orders[orders["order_id"] == name].iloc[0].to_dict()
    return {str(k): None if _missing(v) else v for k, v in row.items()}


def _missing(value: Any) -> bool:
    return value is None or value is pd.NaT or (isinstance(value, float) and value != value)


def _unknown_order(run: RecordedRun, wanted: str, ids: list[str]) -> str:
    symbol, _, number = wanted.rpartition("-")
    same = sorted((int(i.rpartition("-")[2]), i) for i in ids if i.rpartition("-")[0] == symbol)
    if same and number.isdigit():
        near = min(same, key=lambda each: abs(each[0] - int(number)))[1]
        hint = f"{symbol} has {len(same)} orders, from {same[0][1]} to {same[-1][1]}; the nearest is {near}"
    elif not ids:
        hint = f"it has no orders at all; `stratoquant logs {run.folder} --event refusal` shows what was refused, and why"
    else:
        hint = did_you_mean(wanted, ids, f"`stratoquant logs {run.folder} --event order` lists them")
    return f"{run.folder.name} has no order {wanted!r}; {hint}"
