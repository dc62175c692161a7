"""A venue that answers from a script: what the simulated venue of a recorded run reported, to those who send the same orders."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataflows.execution.types import CANCEL, MODIFY, PLACE, Executions, OrderIntents
from dataflows.panel import fields_of
from drivers.venues.base import ExecutionReport, NewOrder, Snapshot

HALF_A_MINUTE = 30_000_000_000
BRACKET = 3
"""Bits of an order's id that tell an entry (0) from its stop (1) and target (2)."""


def log_of(out: Path, node: str, record: Any) -> tuple[Any, list[dict[str, Any]]]:
    """The times and the entries of a recorded log."""
    table = pq.read_table(out / "logs" / f"{node}.parquet")
    columns = {name: table[name].to_numpy().tolist() for name in fields_of(record) if name != "n"}
    return table["timestamp"].cast(pa.int64()).to_numpy(), [
        dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
    ]


class ScriptedVenue:
    """Fulfils the port `Venue`. It reports of an order only when that order was sent, just as the recorded run sent it.

    out: results of the run that made the script. early: how many instants, from the first on, at which something is reported come
    half a minute before the close that the recorded run had them at.
    """

    def __init__(self, out: Path, symbols: tuple[str, ...], early: int = 0) -> None:
        self.symbols = symbols
        times, entries = log_of(out, "l90_fills", Executions)
        self.early = set(np.unique(times)[:early].tolist())
        self.reports = [
            ExecutionReport(**{**x, "time": int(t) - HALF_A_MINUTE * (t in self.early), "symbol": symbols[x["symbol"]]})
            for t, x in zip(times.tolist(), entries, strict=True)
        ]
        _, self.orders = log_of(out, "l5_execution_bridge", OrderIntents)
        ledger = pq.read_table(out / "ledger.parquet")
        self.closes = ledger["timestamp"].cast(pa.int64()).to_numpy()[:: len(symbols)]
        features = pq.read_table(out / "features" / "execution.parquet", columns=["l96_order_lifecycle.open_orders"])
        self.position, self.cash = (ledger[name].to_numpy().reshape(-1, len(symbols)) for name in ("position", "cash"))
        self.open_orders = features[0].to_numpy().reshape(-1, len(symbols))
        self.told = self.handed = 0
        self.placed: set[int] = set()
        self.closed = False

    def _next(self, **sent: Any) -> None:
        """What is sent must be the next that the recorded run sent, to the bit."""
        wanted = self.orders[self.told]
        self.told += 1
        sent["symbol"] = self.symbols.index(sent["symbol"])
        for name, value in sent.items():
            same = value == wanted[name] or (value != value and wanted[name] != wanted[name])
            assert same, f"order {self.told}: {name} is {value}, the recorded run sent {wanted[name]}"

    def submit(self, order: NewOrder) -> None:
        self._next(kind=PLACE, **order._asdict())
        self.placed.add(order.id)

    def cancel(self, symbol: str, order_id: int) -> None:
        self._next(kind=CANCEL, symbol=symbol, id=order_id)

    def modify(self, symbol: str, order_id: int, *, limit_price: float, stop_price: float, quantity: float) -> None:
        self._next(kind=MODIFY, symbol=symbol, id=order_id, limit_price=limit_price, stop_price=stop_price, quantity=quantity)

    def events(self, until: int) -> Iterable[ExecutionReport]:
        while self.handed < len(self.reports) and self.reports[self.handed].time <= until:
            report = self.reports[self.handed]
            assert report.id == 0 or report.id & ~BRACKET in self.placed, f"{report} answers an order that was never sent"
            self.handed += 1
            yield report

    def snapshot(self, at: int) -> Snapshot | None:
        row = int(np.searchsorted(self.closes, at, side="right")) - 1
        if row < 0:
            return None
        position = dict(zip(self.symbols, self.position[row].tolist(), strict=True))
        orders = dict(zip(self.symbols, self.open_orders[row].astype(int).tolist(), strict=True))
        return Snapshot(int(self.closes[row]), position, orders, float(self.cash[row, 0]))

    def close(self) -> None:
        self.closed = True
