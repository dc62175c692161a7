"""The order gateway: fulfils `KeptVenue` at one account of an exchange, of spot or of perpetual swaps.

What the layers ask for is written to the stream's journal, on the disk, before it leaves; so is what the exchange answers,
before it acts. A call whose outcome is not known is resolved by asking for its client id, and nothing is sent twice. What the
exchange must hold (`steering`) is compared with what it holds again and again, so that no lost message leaves anything undone.

One thread touches it. Calls are made by a `Runner`, and fetched here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from dataflows.execution.types import (
    CANCEL_REJECT,
    CANCELED_EVENT,
    FOK,
    GTC,
    IOC,
    MARKET,
    POST_ONLY,
    REJECTIONS,
    STOP_LIMIT,
    STOP_MARKET,
    TAKE_PROFIT,
)
from drivers.exchanges.bookings import Bookings
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.last_gate import LastGate
from drivers.exchanges.legs import ENTRY, EXIT, OPEN, SENT, STOP, TARGET, UNKNOWN, Book, stepped, text
from drivers.exchanges.limits import Limits
from drivers.exchanges.outbox import Outbox
from drivers.exchanges.reconcile import Reconciler
from drivers.exchanges.seen import OrderSeen, TradeSeen
from drivers.exchanges.state import State
from drivers.exchanges.steering import Steering
from drivers.exchanges.wire import LATER, Call, Outcome, Runner, Then
from drivers.venues.base import ExecutionReport, NewOrder, Snapshot

SECOND: Final = 1_000_000_000
MOST_TURNS: Final = 64
MOST_LEGS: Final = 1_000
FIRST_READING: Final = 120.0
"""Seconds for which the first reading of the account may take."""
_TIF: Final = {GTC: "GTC", IOC: "IOC", FOK: "FOK"}


class Market(NamedTuple):
    """What an order of a symbol must be. symbol: as the exchange writes it; name, uid: ours."""

    symbol: str
    name: str
    uid: int
    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    least: Decimal  # notional
    fee: float  # of a taker, as a fraction
    swap: bool = False
    multiplier: Decimal = Decimal(1)  # base units of one contract
    apart: bool = False  # stops rest apart from other orders, also at a spot market

    @property
    def asset(self) -> str:
        """What the account holds of it: the coin, or the contracts, under the symbol."""
        return self.symbol if self.swap else self.base


class _Due(NamedTuple):
    """A call that is to be made."""

    call: Call
    then: Then
    urgent: bool
    opens: bool


class Private(Protocol):
    """The exchange's stream of the account's own events."""

    def take(self) -> tuple[list[OrderSeen | TradeSeen], bool]:
        """What has come, and whether something may have been missed before it (a connection anew)."""

    def alive(self) -> bool:
        """Whether it is connected."""

    def close(self) -> None:
        """Ends it."""


@dataclass
class Gateway:
    """now: UTC ns by the exchange's clock. note: writes to the journal; False: it could not. step: of a bar, ns. begins: UTC
    ns; before, the account is as it was taken over. cash: quote currency that is ours to trade with. weight: most request
    weight in a minute. most_orders: entries in ten seconds, 0: no limit. window: ns for which a request is good. skew: of the
    exchange's clock, ns; beyond `most_skew` no entry leaves. wait: sleeps for so many seconds. watchdog_acts: the watchdog
    beside the stream works on the account: nothing is placed meanwhile."""

    runner: Runner
    markets: tuple[Market, ...]
    gate: LastGate
    now: Callable[[], int]
    step: int
    begins: int
    cash: float
    state: State
    stream: Private | None = None
    can_pair: bool = True
    adopt: bool = False
    on_stop: str = "keep"
    weight: int = 6_000
    most_orders: int = 0
    window: int = 3 * SECOND
    wait: Callable[[float], None] = time.sleep
    skew: Callable[[], int] = lambda: 0
    most_skew: int = SECOND
    note: Callable[[Mapping[str, Any], bool], bool] = lambda about, sync: True
    notify: Callable[[str], None] = lambda text: None
    watchdog_acts: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.by_name = {market.name: market for market in self.markets}
        self.places = {market.name: place for place, market in enumerate(self.markets)}
        self.by_symbol = {market.symbol: market for market in self.markets}
        self.steering = Steering(self)
        self.reconciler = Reconciler(self)
        self.entries_allowed = True
        self.stands_back = False  # for the watchdog
        self.pause_until = 0  # the exchange has asked us to wait
        self._closing = False
        self.bookings, self.outbox = Bookings(self), Outbox(self)
        self._calls: list[_Due] = []
        self.limits = Limits(self.weight, self.most_orders)
        self._starting = False
        self.moves = 0  # counts whatever changes the account

    # -- the port ------------------------------------------------------------------------------------------------------------

    def submit(self, order: NewOrder) -> None:
        """See `Venue.submit`."""
        self.state.sent += 1
        self.state.dirty = True
        if order.id in self.state.books:
            return
        market = self.by_name[order.symbol]
        stop = order.type in (STOP_MARKET, STOP_LIMIT)
        buys = order.quantity > 0.0
        role = STOP if stop else TARGET if order.type == TAKE_PROFIT else EXIT if order.reduce_only else ENTRY
        expires = order.decision_time + int(order.lifetime * self.step) if order.lifetime > 0.0 else 0
        quantity = stepped(abs(order.quantity), market.lot, up=False)
        self.state.touch(
            Book(
                id=order.id,
                symbol=order.symbol,
                role=role,
                kind="market" if order.type == MARKET else "post_only" if order.type == POST_ONLY else "limit",
                quantity=text(quantity if buys else -quantity),
                limit=self._price(order.limit_price, market, up=not buys),
                trigger=self._price(order.stop_price, market, up=not buys),
                tif=_TIF[order.time_in_force],
                parent=order.parent,
                decided=order.decision_time,
                expires=expires,
                bracket_stop=self._price(order.bracket_stop, market, up=buys),
                bracket_limit=self._price(order.bracket_limit, market, up=not buys),
                bracket_target=self._price(order.bracket_target, market, up=not buys),
                price=order.decision_price,
            )
        )

    @staticmethod
    def _price(value: float, market: Market, up: bool) -> str:
        return text(stepped(value, market.tick, up)) if math.isfinite(value) else ""

    def cancel(self, symbol: str, order_id: int) -> None:
        """See `Venue.cancel`."""
        self.state.sent += 1
        self.state.dirty = True
        book = self.state.books.get(order_id)
        if book is None or not book.live:
            self.say(CANCEL_REJECT, symbol, order_id, reason="UNKNOWN_ORDER")
        elif book.cancel < 0:
            book.cancel = CANCELED_EVENT
            self.state.touch(book)

    def modify(self, symbol: str, order_id: int, *, limit_price: float, stop_price: float, quantity: float) -> None:
        """See `Venue.modify`."""
        self.state.sent += 1
        self.state.dirty = True
        book = self.state.books.get(order_id)
        if book is None or not book.live or book.cancel >= 0:
            self.say(CANCEL_REJECT, symbol, order_id, reason="UNKNOWN_ORDER")
            return
        market, buys = self.by_name[symbol], not book.quantity.startswith("-")
        book.limit = self._price(limit_price, market, up=not buys) or book.limit
        book.trigger = self._price(stop_price, market, up=not buys) or book.trigger
        if quantity:
            size = stepped(abs(quantity), market.lot, up=False)
            book.quantity = text(size if quantity > 0.0 else -size)
        book.changing = True
        self.state.touch(book)

    def flush(self) -> None:
        """See `KeptVenue.flush`."""
        self._work()

    def events(self, until: int) -> Iterable[ExecutionReport]:
        """See `Venue.events`. A stream that is more than a bar behind, after a pause or an outage, is told all that is known:
        what it asks of the account is answered by the account as it is now."""
        self._look()
        behind = until >= self.begins and self.now() - until > self.step
        count = len(self.state.reports) if behind else sum(1 for report in self.state.reports if report.time <= until)
        handed = self.state.reports[:count]
        self.state.acted(count)
        return handed

    def _look(self) -> None:
        self.reconciler.due()
        self._work()
        if len(self.state.legs) > MOST_LEGS:
            self.state.prune()

    def snapshot(self, at: int) -> Snapshot | None:
        """See `Venue.snapshot`. Before the beginning: what was taken over."""
        return self.reconciler.statement(at)

    def memory(self) -> dict[str, Any]:
        """See `KeptVenue.memory`."""
        return self.state.memory()

    def recover(self, change: Mapping[str, Any]) -> None:
        """See `KeptVenue.recover`."""
        self.state.take(dict(change))

    def acted(self, count: int) -> None:
        """See `KeptVenue.acted`."""
        self.state.acted(count)

    @property
    def sent(self) -> int:
        """See `KeptVenue.sent`."""
        return self.state.sent

    def begin(self) -> None:
        """See `KeptVenue.begin`."""
        self._starting = True  # nothing is placed or canceled before the account is known
        self.bookings.begin()
        for leg in self.state.legs.values():
            if leg.state == SENT:
                leg.state, leg.ask = UNKNOWN, self.now()
                self.state.touch(leg)
            leg.canceling = False
        self.reconciler.begin()
        until = time.monotonic() + FIRST_READING
        while not self.reconciler.ready:
            self._look()
            if self.reconciler.fault is not None:
                raise self.reconciler.fault
            if time.monotonic() > until:
                raise ExchangeFault(
                    f"the account could not be read within {FIRST_READING:g} s; try again when the exchange answers"
                )
            self.wait(0.02)
        self._starting = False
        self._work()

    def stop(self) -> bool:
        """See `KeptVenue.stop`. `cancel_all`: stops and targets are canceled too."""
        for book in self.state.books.values():
            if book.live and book.cancel < 0 and (book.role == ENTRY or self.on_stop == "cancel_all"):
                book.cancel = CANCELED_EVENT
                self.state.touch(book)
        self.steering.ending = self.on_stop == "cancel_all"
        self._closing = self.on_stop == "flatten"
        self._work()
        return self._closing

    @property
    def at_rest(self) -> bool:
        """See `KeptVenue.at_rest`."""
        if any(leg.live and (leg.state != OPEN or leg.canceling) for leg in self.state.legs.values()):
            return False
        if any(book.live and book.cancel >= 0 for book in self.state.books.values()):
            return False
        held = {name: abs(position) for name, position in self.state.position.items()}
        return not (self._closing and any(size >= self.by_name[name].lot for name, size in held.items()))

    def close(self) -> None:
        """See `Venue.close`."""
        if self.stream is not None:
            self.stream.close()
        self.runner.close()

    # -- what happens --------------------------------------------------------------------------------------------------------

    @property
    def skewed(self) -> bool:
        """Whether the clocks differ by too much for an entry."""
        return abs(self.skew()) > self.most_skew

    def say(self, kind: int, symbol: str, order_id: int, reason: str = "NONE", **more: Any) -> None:
        """A report for the engine."""
        at = max(self.now(), self.state.last_report)
        self.state.report(ExecutionReport(at, kind, symbol, order_id, reason=REJECTIONS.index(reason), **more))

    def call(self, call: Call, then: Then, urgent: bool, opens: bool = False) -> None:
        """To be made once what has changed is on the disk. opens: an entry, which leaves with a record or not at all."""
        self._calls.append(_Due(call, then, urgent, opens))

    def _work(self) -> None:
        self._see_watchdog()
        for _ in range(MOST_TURNS):
            if self.stream is not None:
                seen, missed = self.stream.take()
                for each in seen:
                    self.bookings.saw(each)
                if missed:
                    self.reconciler.again(trades=True)
            for then, outcome in self.runner.finished():
                self._weigh(outcome)
                then(outcome)
            self.outbox.settle()
            for market in self.markets if not self._starting else ():
                self.steering.steer(market)
            self.outbox.ask()
            calls, self._calls = self._calls, []
            written = not self.state.dirty or self.note({"kind": "venue", **self.state.change()}, bool(calls))
            self.entries_allowed = self.entries_allowed and written
            for due in calls:
                if due.opens and not written:
                    due.then(Outcome(LATER, "the journal cannot be written"))
                else:
                    self.limits.called(self.now(), due.opens)
                    self.runner.run(due.call, due.then, due.urgent)
            if not calls:
                return

    def _see_watchdog(self) -> None:
        acts = self.watchdog_acts()
        if acts and not self.stands_back:
            self.notify("The watchdog acts on the account: this stream places nothing until it has finished")
        self.stands_back = acts

    def _weigh(self, outcome: Outcome) -> None:
        self.limits.learn(self.now(), outcome.used)
        if outcome.kind == LATER:
            self.pause_until = max(self.pause_until, self.now() + int(max(1.0, outcome.retry_after) * SECOND))
            if outcome.clock:
                self.reconciler.measure_clock()

    def may_call(self, urgent: bool) -> bool:
        """Whether the exchange's limits leave room for a call; for one that is not urgent a reserve is left."""
        return self.now() >= self.pause_until and self.limits.may_order(self.now(), urgent)
