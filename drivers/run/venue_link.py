"""Between the engine and a venue: the orders of an instant go out, reports come in as the layers take them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from dataflows.data.types import Instruments
from dataflows.execution.types import CANCEL, PLACE, Executions, OrderIntents, VenueSnapshot
from drivers.engine.chunk import Outputs
from drivers.engine.plan import Plan
from drivers.venues.base import ExecutionReport, KeptVenue, NewOrder, Venue, VenueRefusal

SNAPSHOT = "venue_snapshot"


class VenueLink:
    """A venue as a stream uses it. symbols: names of the columns. step: of the clock, ns. kept: the same venue, where it keeps
    something in the journal."""

    def __init__(self, venue: Venue | KeptVenue, plan: Plan, symbols: Sequence[str], step: int) -> None:
        self.venue, self.symbols, self.step = venue, tuple(symbols), step
        self.kept: Any = venue if hasattr(venue, "recover") else None
        self._again: list[Outputs] = []
        self._orders = plan.delayed["orders"].source
        self._columns = {symbol: n for n, symbol in enumerate(symbols)}

    def before(self, now: int) -> list[tuple[int, Executions]]:
        """(time, reports) of each instant before `now` at which something was reported."""
        due = sorted(self.venue.events(now - 1), key=lambda report: report.time)  # of one time: in the venue's order
        grouped = groupby(due, key=lambda report: min(report.time, now - 1))  # later ones: the stream is behind
        return [(time, self._log(list(reports))) for time, reports in grouped]

    def at(self, now: int) -> Executions:
        """All reports up to `now`, for a bar that closes then."""
        return self._log(sorted(self.venue.events(now), key=lambda report: report.time))

    def inputs(self, at: int) -> dict[str, Any]:
        """The venue's statement of the account as layers take it: one row; nothing before the first."""
        said = self.venue.snapshot(at)
        if said is None:
            return {}
        position = np.array([[said.position.get(symbol, 0.0) for symbol in self.symbols]])
        orders, unknown, missing = (
            np.array([[float(counts.get(symbol, 0)) for symbol in self.symbols]])
            for counts in (said.open_orders, said.unknown_orders, said.missing_orders)
        )
        age: Any = np.array([(at - said.time) / self.step])
        cash: Any = np.array([said.cash])
        return {SNAPSHOT: VenueSnapshot(age, position, orders, cash, unknown, missing)}

    def send(self, outputs: Outputs) -> None:
        """Tells the venue what the outputs of an instant ask for, in their order."""
        self._tell(outputs, 0)
        if self.kept is not None:
            self.kept.flush()

    def ran_again(self, outputs: Outputs, events: Executions | None) -> None:
        """An instant of before a restart was run again. The venue was told what it asks for, but perhaps not all of it."""
        self._again.append(outputs)
        if self.kept is not None and events is not None:
            self.kept.acted(int(events.n))

    def catch_up(self, told: int) -> None:
        """Tells the venue what it was not told before a restart. told: how much it had been told when the segment began."""
        done = self.kept.sent if self.kept is not None else 0
        for outputs in self._again:
            count = int(outputs.values[self._orders].n)
            if told + count > done:
                self._tell(outputs, max(0, done - told))
            told += count
        self._again = []

    def _tell(self, outputs: Outputs, first: int) -> None:
        log: OrderIntents = outputs.values[self._orders]
        for i in range(first, int(log.n)):
            symbol, order_id = self.symbols[log.symbol[i]], int(log.id[i])
            if log.kind[i] == PLACE:
                self.venue.submit(self._order(log, i, symbol))
            elif log.kind[i] == CANCEL:
                self.venue.cancel(symbol, order_id)
            else:
                limit, stop = float(log.limit_price[i]), float(log.stop_price[i])
                quantity = float(log.quantity[i])
                self.venue.modify(symbol, order_id, limit_price=limit, stop_price=stop, quantity=quantity)

    @staticmethod
    def _order(log: OrderIntents, i: int, symbol: str) -> NewOrder:
        return NewOrder(
            symbol=symbol,
            id=int(log.id[i]),
            parent=int(log.parent[i]),
            type=int(log.type[i]),
            quantity=float(log.quantity[i]),
            limit_price=float(log.limit_price[i]),
            stop_price=float(log.stop_price[i]),
            reduce_only=bool(log.reduce_only[i]),
            time_in_force=int(log.time_in_force[i]),
            lifetime=float(log.lifetime[i]),
            bracket_stop=float(log.bracket_stop[i]),
            bracket_limit=float(log.bracket_limit[i]),
            bracket_target=float(log.bracket_target[i]),
            decision_time=int(log.decision_time[i]),
            decision_price=float(log.decision_price[i]),
        )

    def _log(self, reports: Sequence[ExecutionReport]) -> Executions:
        for report in reports:
            if report.symbol not in self._columns:
                raise VenueRefusal(f"the venue reports of {report.symbol}, which is none of {', '.join(self.symbols)}")

        def column(name: str, dtype: Any) -> Any:
            return np.array([getattr(report, name) for report in reports], dtype)

        whole = ("kind", "id", "fill_id", "liquidity", "reason")
        other = ("quantity", "price", "fee", "reference_price", "touch_price", "fee_base", "venue_position", "venue_cash")
        return Executions(
            n=len(reports),
            symbol=np.array([self._columns[report.symbol] for report in reports], np.int64),
            **{name: column(name, np.int64) for name in whole},
            **{name: column(name, np.float64) for name in other},
        )


def check_venue(plan: Plan, connected: bool, instruments: Instruments | None = None) -> None:
    """Raises VenueRefusal where the graph takes its reports from a venue and none is connected, or the other way round; and
    where prices have a `price_shift`, which a venue knows nothing of."""
    live = "venue_events" in plan.hints
    if live and not connected:
        raise VenueRefusal(
            "the wiring chooses `venue: live`, so orders would go to a venue, and none is connected; choose `venue: sim` in "
            "wiring_master.yaml to run on recorded data"
        )
    if connected and instruments is not None and instruments.price_shift.any():
        raise VenueRefusal(
            "prices have a price_shift, and a venue takes orders at quoted ones; trade such symbols in simulation only"
        )
    if connected and not live:
        raise VenueRefusal(
            "a venue is connected, but the wiring chooses `venue: sim`, so no order would reach it; choose `venue: live` in "
            "wiring_master.yaml"
        )
