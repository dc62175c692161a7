"""Every order's life, put together from what was told to the venue and what it reported.

The same rules as L96's, order by order instead of slot by slot, so that an order is still here after its slot was given away:
intents of an instant take effect at the next one, before its reports; the first fill of an order that opens a position brings
its stop (id + 1) and target (id + 2); both are for the whole position, whatever it becomes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataflows.execution import types as ex
from dataflows.execution.order_table import CONTRADICTION, LIVE, NEXT, closes_position, complete, is_stop, moved, same_side
from dataflows.panel import Ints
from dataflows.risk.types import REASONS
from dataflows.runtime.compile import python_of

_UNKNOWN_ORDER: Final = ex.REJECTIONS.index("UNKNOWN_ORDER")
_NEXT: Final[list[list[int]]] = NEXT.tolist()
_closes, _complete, _moved, _same_side = python_of(closes_position), python_of(complete), python_of(moved), python_of(same_side)
_is_stop = python_of(is_stop)


@dataclass(slots=True)
class Order:
    """One order as the results show it. Quantities signed base units, prices in quote currency, NaN where there is none."""

    id: int
    symbol: int
    parent: int  # 0: none
    time: int  # UTC ns of the close that decided; of the opening fill, for a stop or target
    type: int
    reduce_only: int
    quantity: float
    limit_price: float
    stop_price: float
    decision_price: float
    reason: int  # mask of REASONS
    bracket_stop: float = math.nan
    bracket_limit: float = math.nan
    bracket_target: float = math.nan
    status: int = ex.SUBMITTED
    filled: float = 0.0
    paid: float = 0.0  # sum of |quantity| * price
    fee: float = 0.0
    end_reason: int = 0  # REJECTIONS
    ended: int = 0  # UTC ns; 0: under way
    asked: float = 0.0  # the quantity to show: of a stop or target, that of the position while there was one
    traded: float = 0.0  # sum of |quantity| of its fills
    before: float = math.nan  # its quantity before a change that the venue has not confirmed
    changing: int = 0  # 1 while a change was sent that the venue has not answered

    def __post_init__(self) -> None:
        self.asked = self.quantity

    @property
    def average_price(self) -> float:
        """Of its fills; NaN without any."""
        return self.paid / self.traded if self.traded else math.nan


class OrderHistory:
    """The orders of a run.

    late: orders that ended longer ago than this (ns) can be taken out by `take_ended`; later reports of them change nothing.
    start: positions before the first bar.
    """

    def __init__(self, symbols: int, late: int = 86_400_000_000_000, start: Sequence[float] = ()) -> None:
        self.open: dict[int, Order] = {}
        self.late = late
        self.position = [float(q) for q in start] or [0.0] * symbols
        self._live: list[set[int]] = [set() for _ in range(symbols)]
        self._ended: list[int] = []  # ids in order of their end
        self._pending: list[tuple[Any, ...]] = []
        self._seen: set[int] = set()
        self._told: set[int] = set()  # ended before it was recalled, and in the results of then
        self._now = 0

    def memory(self) -> dict[str, Any]:
        """Everything as JSON has it, for `recall`."""
        return {
            "orders": [[getattr(o, f) for f in Order.__slots__] for o in self.open.values()],
            "position": self.position,
            "ended": self._ended,
            "pending": self._pending,
            "seen": sorted(self._seen),
            "told": sorted(self._told),
            "now": self._now,
        }

    def recall(self, memory: Mapping[str, Any], *, same_results: bool = False) -> None:
        """Goes on from the `memory` of another; orders that had ended by then are in its results, and are given again only if
        they change. same_results: the results are those of the other, which has not given them."""
        for values in memory["orders"]:
            given = dict(zip(Order.__slots__, values, strict=True))
            order = self.open[given["id"]] = Order(**{f: given[f] for f in _FIELDS})
            order.asked, order.traded = given["asked"], given["traded"]
            if order.status in LIVE:
                self._live[order.symbol].add(order.id)
        self.position[:] = memory["position"]
        self._ended = list(memory["ended"])
        self._pending = [tuple(entry) for entry in memory["pending"]]
        self._told = set(memory.get("told", ())) if same_results else set(self._ended)
        self._seen, self._now = set(memory["seen"]), memory["now"]

    def add(self, time: Ints, intents: Any, intents_at: Ints, reports: Any, reports_at: Ints) -> None:
        """Takes the logs of successive instants: L5's intents and L90's reports, each with (T + 1,) offsets."""
        busy = (np.diff(intents_at) > 0) | (np.diff(reports_at) > 0)
        wanted = [getattr(intents, f)[: intents_at[-1]].tolist() for f in _INTENT_FIELDS]
        told = [getattr(reports, f)[: reports_at[-1]].tolist() for f in _REPORT_FIELDS]
        starts, ends = intents_at.tolist(), reports_at.tolist()
        stamps = time.tolist()
        if self._pending and len(busy):
            busy[0] = True
        for t in np.flatnonzero(busy | np.concatenate([[False], busy[:-1]])).tolist():
            self._now = stamps[t]
            for entry in self._pending:
                self._register(*entry)
            for i in range(ends[t], ends[t + 1]):
                self._report(*[column[i] for column in told])
            self._pending = [tuple(column[i] for column in wanted) for i in range(starts[t], starts[t + 1])]
        if len(stamps):
            self._now = stamps[-1]

    def follow(self, outputs: Mapping[str, Any], time: Ints, offsets: Mapping[str, Ints]) -> list[Order]:
        """Takes what L5 and L90 said at successive instants, where both are there; returns what `take_ended` does then."""
        intents, reports = outputs.get("l5_execution_bridge"), outputs.get("l90_fills")
        if intents is None or reports is None:
            return []
        self.add(time, intents, offsets["l5_execution_bridge"], reports, offsets["l90_fills"])
        return self.take_ended()

    def take_ended(self) -> list[Order]:
        """Orders that ended longer than `late` ago, in order of their end; they are forgotten."""
        k = 0
        while k < len(self._ended) and self.open[self._ended[k]].ended < self._now - self.late:
            k += 1
        gone, self._ended = self._ended[:k], self._ended[k:]
        orders = [self.open.pop(i) for i in gone]
        return [o for o in orders if o.id not in self._told]

    def all(self) -> Iterator[Order]:
        """Every order that is still here, those of the last instant too, by time, symbol and id."""
        sent = [_order(*rest) for kind, *rest in self._pending if kind == ex.PLACE]
        orders = {o.id: o for o in sent} | self.open
        fresh = (o for o in orders.values() if o.id not in self._told)
        yield from sorted(fresh, key=lambda o: (o.time, o.symbol, o.id))

    def _register(self, kind: int, symbol: int, id_: int, *rest: Any) -> None:
        order = self.open.get(id_)
        if kind == ex.PLACE:
            if order is None:
                self._new(_order(symbol, id_, *rest))
        elif order is not None and order.status in LIVE:
            if kind == ex.CANCEL:
                order.status = ex.PENDING_CANCEL
            elif kind == ex.MODIFY:
                quantity, order.changing = rest[_QUANTITY], 1
                if order.status == ex.ACCEPTED:
                    order.status = ex.PENDING_MODIFY
                if abs(quantity) > 0.0 and not _closes(order.type):
                    order.before = order.quantity if math.isnan(order.before) else order.before
                    order.quantity = order.asked = quantity
                elif _is_stop(order.type):
                    order.stop_price = order.decision_price = rest[_STOP_PRICE]
                    if order.type == ex.STOP_LIMIT and rest[_LIMIT_PRICE] == rest[_LIMIT_PRICE]:
                        order.limit_price = rest[_LIMIT_PRICE]
                else:
                    order.limit_price = rest[_LIMIT_PRICE]

    def _new(self, order: Order) -> None:
        self.open[order.id] = order
        self._live[order.symbol].add(order.id)

    def _to(self, order: Order, status: int) -> None:
        if order.status in LIVE and status not in LIVE:
            order.ended = self._now
            self._live[order.symbol].discard(order.id)
            self._ended.append(order.id)
        order.status = status

    def _report(
        self,
        kind: int,
        symbol: int,
        id_: int,
        fill_id: int,
        quantity: float,
        price: float,
        fee: float,
        fee_base: float,
        reason: int,
    ) -> None:
        order = self.open.get(id_)
        self._told.discard(id_)
        if kind == ex.FILL:
            if fill_id not in self._seen and quantity != 0.0 and math.isfinite(quantity) and math.isfinite(price):
                self._seen.add(fill_id)
                self._fill(order, id_, symbol, quantity, price, fee, fee_base)
            return
        if order is None:
            return
        if kind == ex.CANCEL_REJECT and order.status != ex.PENDING_CANCEL:  # the change was refused
            if order.before == order.before:
                order.quantity = order.asked = order.before
            order.before, order.changing = math.nan, 0
        elif kind == ex.ACCEPT and order.status == ex.SUBMITTED and order.changing:
            order.status = ex.PENDING_MODIFY  # the order itself was accepted, and not yet its change
            return
        elif kind == ex.ACCEPT and order.status != ex.PENDING_CANCEL:
            order.before, order.changing = math.nan, 0
            if order.status == ex.PENDING_MODIFY and not _closes(order.type) and _complete(order.quantity, order.filled):
                self._to(order, ex.FILLED)  # it had filled that far before it was lessened
                return
        event = ex.CANCELED_EVENT if kind == ex.CANCEL_REJECT and reason == _UNKNOWN_ORDER else kind
        then = _NEXT[order.status][event]
        if then == CONTRADICTION:
            return
        if then not in LIVE and order.status in LIVE and reason:
            order.end_reason = reason
        self._to(order, then)

    def _fill(
        self, order: Order | None, id_: int, symbol: int, quantity: float, price: float, fee: float, fee_base: float
    ) -> None:
        before = self.position[symbol]
        after = self.position[symbol] = _moved(before, quantity - fee_base)
        closed = before > 0.0 >= after or before < 0.0 <= after
        opened = after > 0.0 >= before or after < 0.0 <= before
        if order is not None:
            order.paid += abs(quantity) * price
            order.fee += fee
            order.traded += abs(quantity)
            if _same_side(quantity, order.quantity):
                order.filled += quantity
            then = _NEXT[order.status][ex.FILL]
            if then != CONTRADICTION:
                done = (
                    closed
                    if _closes(order.type)
                    else _complete(order.before if order.before == order.before else order.quantity, order.filled)
                )
                self._to(order, ex.FILLED if done and then in LIVE else then)
        for k in self._live[symbol]:
            other = self.open[k]
            if _closes(other.type):
                other.quantity = other.filled - after
                other.asked = other.quantity if after != 0.0 else other.asked
        if opened and order is not None and not order.reduce_only:
            stop, limit, target = order.bracket_stop, order.bracket_limit, order.bracket_target
            stop_type = ex.STOP_LIMIT if limit == limit else ex.STOP_MARKET
            for offset, type_, prices, level, why in (
                (1, stop_type, (limit, stop), stop, "STOP"),
                (2, ex.TAKE_PROFIT, (target, math.nan), target, "TARGET"),
            ):
                if level == level and id_ + offset not in self.open:
                    bit = 1 << REASONS.index(why)
                    self._new(Order(id_ + offset, symbol, id_, self._now, type_, 1, -after, *prices, level, bit))


_FIELDS: Final = tuple(f for f in Order.__slots__ if f not in ("asked", "traded"))
_INTENT_FIELDS: Final = (
    "kind",
    "symbol",
    "id",
    "parent",
    "quantity",
    "type",
    "limit_price",
    "stop_price",
    "reduce_only",
    "bracket_stop",
    "bracket_limit",
    "bracket_target",
    "decision_time",
    "decision_price",
    "reason",
)
_REPORT_FIELDS: Final = ("kind", "symbol", "id", "fill_id", "quantity", "price", "fee", "fee_base", "reason")


_QUANTITY: Final = _INTENT_FIELDS.index("quantity") - 3
_STOP_PRICE: Final = _INTENT_FIELDS.index("stop_price") - 3
_LIMIT_PRICE: Final = _INTENT_FIELDS.index("limit_price") - 3


def _order(
    symbol: int,
    id_: int,
    parent: int,
    quantity: float,
    type_: int,
    limit: float,
    stop: float,
    reduce_only: int,
    bracket_stop: float,
    bracket_limit: float,
    bracket_target: float,
    time: int,
    price: float,
    reason: int,
) -> Order:
    """An order out of an intent's columns, as `_INTENT_FIELDS` lists them after the kind."""
    return Order(
        id_,
        symbol,
        parent,
        time,
        type_,
        reduce_only,
        quantity,
        limit,
        stop,
        price,
        reason,
        bracket_stop,
        bracket_limit,
        bracket_target,
    )


def order_name(symbols: Sequence[str], column: int, order: int) -> str:
    """An order's or a fill's id as people see it: symbol and sequence, `BTCUSDT-17`."""
    return f"{symbols[column]}-{order & 0xFFFFFFFF}"
