"""From what is wanted to what the exchange must hold, symbol by symbol: entries, exits, and the bracket of a position.

Each look compares the two and does the next step; it may come at any time and as often as one likes. A spot market locks the
coin that a resting stop would sell: an exit takes the bracket off first, waits for the confirmation, sells, and the bracket
comes back for what is left.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from dataflows.execution.types import ACCEPT, CANCELED_EVENT, EXPIRE, REJECT, REJECTIONS
from drivers.exchanges import client_ids
from drivers.exchanges.legs import ENTRY, EXIT, OPEN, STOP, TARGET, Book, Leg, stepped, text
from drivers.exchanges.swap_bracket import SwapBracket

if TYPE_CHECKING:
    from drivers.exchanges.gateway import Gateway, Market

SECOND: Final = 1_000_000_000
PATIENCE: Final = 2 * SECOND
"""For which a stop that is refused is tried again; then what it protects goes to the market."""
RETRY: Final = SECOND // 2
MOST_STOPS: Final = 3
"""Stops side by side before they become one."""


class Steering:
    """Of one gateway. ending: nothing is to be protected any more."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.state = gateway, gateway.state
        self.ending = False
        self.of_swap = SwapBracket(gateway, self, MOST_STOPS)

    def steer(self, market: Market) -> None:
        """The next step of one symbol."""
        now = self.gateway.now()
        books = self.state.live_books(market.name)
        if not books:
            return
        for book in books:
            if book.expires and now >= book.expires and book.cancel < 0:
                book.cancel, book.reason = EXPIRE, REJECTIONS.index("LIFETIME")
                self.state.touch(book)
        for book in books:
            if book.cancel >= 0:
                self._cancel(book)
        if self.gateway.stands_back:
            return
        for book in books:
            if book.live and book.cancel < 0 and book.changing and book.role in (ENTRY, EXIT):
                self._change(book)
        for book in books:
            if book.live and book.cancel < 0 and now >= book.wait and not self._at_work(book):
                if book.role == EXIT:
                    self._exit(book, market, now)
                elif book.role == ENTRY:
                    self._enter(book, market, now)
        self._protect(market, now)

    def _at_work(self, book: Book) -> bool:
        return any(not leg.done_with for leg in self.state.legs_of(book))

    # -- taking off ----------------------------------------------------------------------------------------------------------

    def _cancel(self, book: Book) -> None:
        legs = self.state.legs_of(book)
        for leg in legs:
            self.take_off(leg)
        if all(leg.settled for leg in legs):
            if book.left == 0 and book.role in (ENTRY, EXIT):
                book.ends = book.cancel  # it was filled before it could be canceled, as its fills have told
                self.state.touch(book)
            else:
                self.gateway.outbox.end(book, book.cancel, REJECTIONS[book.reason])

    def take_off(self, leg: Leg) -> None:
        """Cancels a leg that is known to rest; with it goes the other of its list."""
        twin = self.state.legs.get(leg.twin)
        if leg.state != OPEN or leg.canceling or leg.ask or (twin is not None and twin.live and twin.canceling):
            return
        if not self.gateway.may_call(urgent=True):
            return
        leg.canceling = True
        if twin is not None and twin.live:
            twin.canceling = True
            self.state.touch(twin)
        self.state.touch(leg)
        symbol = self.gateway.by_name[leg.symbol].symbol
        self.gateway.call(
            lambda wire: wire.cancel(leg, symbol), lambda outcome: self.gateway.outbox.canceled_leg(leg, outcome), urgent=True
        )

    def _change(self, book: Book) -> None:
        """An entry or exit at another price, or less of it: taken off, and placed anew once that is confirmed."""
        legs = [leg for leg in self.state.legs_of(book) if leg.live]
        as_wanted = [
            leg for leg in legs if leg.price == book.limit and Decimal(leg.quantity) == abs(book.left) + Decimal(leg.filled)
        ]
        if legs and len(as_wanted) == len(legs):
            if all(leg.state == OPEN for leg in legs):
                book.changing = False
                self.gateway.say(ACCEPT, book.symbol, book.id)
                self.state.touch(book)
            return
        for leg in legs:
            self.take_off(leg)

    # -- placing -------------------------------------------------------------------------------------------------------------

    def _leg(self, book: Book, market: Market, kind: str, size: Decimal, price: str, trigger: str = "") -> Leg:
        buys = not book.quantity.startswith("-")
        client = client_ids.written(self.gateway.places[book.symbol], book.id, book.attempts, self.state.nonce)
        book.attempts += 1
        leg = Leg(
            client,
            book.id,
            market.name,
            kind,
            "buy" if buys else "sell",
            text(size),
            price,
            trigger,
            book.tif,
            self.gateway.now(),
            reduces=book.role != ENTRY,
            algo=(market.swap or market.apart) and kind in ("stop", "stop_limit"),
        )
        self.state.touch(leg, book)
        return leg

    def place(self, book: Book, market: Market, kind: str, size: Decimal, urgent: bool) -> None:
        """Sends an order that stands for so much of one of ours."""
        trigger = book.trigger if kind in ("stop", "stop_limit") else ""
        leg = self._leg(book, market, kind, size, "" if kind == "market" else book.limit, trigger)
        self.gateway.call(
            lambda wire: wire.place(leg, market.symbol),
            lambda outcome: self.gateway.outbox.sent_leg(leg, outcome),
            urgent=urgent,
            opens=not urgent,
        )

    def _enter(self, book: Book, market: Market, now: int) -> None:
        gateway = self.gateway
        left = stepped(abs(book.left), market.lot, up=False)
        if left <= 0:
            gateway.outbox.end(book, REJECT, "BAD_QUANTITY")
            return
        if now - book.decided > gateway.step // 2:
            gateway.outbox.end(book, REJECT, "STALE")
            return
        if not gateway.may_call(urgent=False) or gateway.skewed:
            return  # it waits until it is too old
        last = gateway.reconciler.price(market.base)
        if not last > 0.0:
            return  # likewise: the last gate needs a price
        price = float(book.limit) if book.limit else book.price
        side = "sell" if book.quantity.startswith("-") else "buy"
        why = "" if gateway.entries_allowed else "the journal cannot be written"
        size = left * market.multiplier
        why = why or ("the account is near its liquidation" if gateway.reconciler.thin else "")
        why = why or gateway.gate.refuses(market.symbol, side, size, price, last, now, self._exposure())
        if why:
            gateway.notify(f"{market.name}: an entry is refused: {why}")
            gateway.outbox.end(book, REJECT, "LAST_GATE")
            return
        self.place(book, market, book.kind, left, urgent=False)

    def _exposure(self) -> float:
        """Notional of all positions, and of the entries that may fill; NaN where a price is not known."""
        total = 0.0
        for market in self.gateway.markets:
            entries = [leg.left for leg in self.state.live(market.name) if self._role(leg) == ENTRY]
            size = abs(self.state.position.get(market.name, Decimal(0))) + sum(entries, Decimal(0))
            if size:
                total += float(size * market.multiplier) * self.gateway.reconciler.price(market.base)
        return total

    def _exit(self, book: Book, market: Market, now: int) -> None:
        held = abs(self.state.position.get(market.name, Decimal(0)))
        legs = self.state.live(market.name)
        exiting = sum((leg.left for leg in legs if self._role(leg) == EXIT), Decimal(0))
        need = stepped(min(abs(book.left), held - exiting), market.lot, up=False)
        if need <= 0:
            kind = REJECT if Decimal(book.filled) == 0 else CANCELED_EVENT
            self.gateway.outbox.end(book, kind, "REDUCE_ONLY" if kind == REJECT else "POSITION_CLOSED")
            return
        guards = [leg for leg in legs if self._role(leg) in (STOP, TARGET)]
        if not market.swap and held - exiting - locked(guards) < need:
            for leg in guards:
                self.take_off(leg)
            return
        if self.gateway.may_call(urgent=True):
            self.place(book, market, book.kind, need, urgent=True)

    def _role(self, leg: Leg) -> str:
        book = self.state.books.get(leg.owner)
        return book.role if book is not None else ""

    # -- the bracket ---------------------------------------------------------------------------------------------------------

    def top(self, name: str, role: str) -> Book | None:
        """The stop or the target that counts: the youngest, before those that were adopted."""
        found = [book for book in self.state.live_books(name) if book.role == role and book.cancel < 0]
        return max(found, key=lambda book: (not book.adopted, book.id), default=None)

    def _protect(self, market: Market, now: int) -> None:
        self._sweep(market)
        stop, target = self.top(market.name, STOP), self.top(market.name, TARGET)
        guards = [leg for leg in self.state.live(market.name) if self._role(leg) in (STOP, TARGET)]
        if self.ending:
            for leg in guards:
                self.take_off(leg)
            return
        if stop is None:
            return
        if any(leg.state != OPEN or leg.canceling or leg.ask for leg in guards) or now < stop.wait:
            return  # until it is known
        legs = self.state.live(market.name)
        held = abs(self.state.position.get(market.name, Decimal(0)))
        working = {leg.owner: leg.left for leg in legs if self._role(leg) == EXIT}
        asked = sum(
            (abs(book.left) for book in self.state.live_books(market.name) if book.role == EXIT and book.id not in working),
            Decimal(0),
        )
        want = stepped(max(Decimal(0), held - sum(working.values(), Decimal(0)) - asked), market.lot, up=False)
        if market.swap:
            self.of_swap.hold(stop, target, guards, stepped(held, market.lot, up=False), want, market)
            return
        if stop.market:
            self._to_market(stop, guards, want, market)
            return
        if target is not None and not self.gateway.can_pair:
            target = self._held_target(target, market)
            if target is not None and target.market:
                self._to_market(target, guards, want, market)
                return
            target = None
        stops = [leg for leg in guards if leg.kind in ("stop", "stop_limit")]
        wrong = [leg for leg in guards if not self._as_wanted(leg, stop, target)]
        gap = want - sum((leg.left for leg in stops), Decimal(0))
        price = Decimal(stop.trigger)
        small = gap * price < market.least
        if wrong or gap < 0 or (gap > 0 and stops and (len(stops) >= MOST_STOPS or (small and want * price >= market.least))):
            for leg in wrong or guards:
                self.take_off(leg)
            return
        if gap > 0 and not small and self.gateway.may_call(urgent=True):
            if target is None:
                self.place(stop, market, "stop_limit" if stop.limit else "stop", gap, urgent=True)
            else:
                self._pair(stop, target, market, gap)
            return
        for book in (stop, target):
            if book is not None and book.changing:  # of dust nothing rests, whatever its price
                book.changing = False
                self.gateway.say(ACCEPT, book.symbol, book.id)
                self.state.touch(book)

    def _sweep(self, market: Market) -> None:
        """What is too little for any order leaves our books, paid for with its worth: no money moves, and the coins stay on the
        account without being ours."""
        held = self.state.position.get(market.name, Decimal(0))
        if held == 0 or market.swap:  # a position of whole contracts can always be closed
            return
        price = self.gateway.reconciler.price(market.base)
        small = abs(held) < market.lot or abs(float(held)) * price < float(market.least)
        at_work = any(book.role in (ENTRY, EXIT) for book in self.state.live_books(market.name)) or any(
            not leg.settled for leg in self.state.under_way() if leg.symbol == market.name
        )
        if small and price > 0.0 and not at_work:
            self.gateway.bookings.give_up(market, held, price)

    def _as_wanted(self, leg: Leg, stop: Book, target: Book | None) -> bool:
        if leg.kind in ("stop", "stop_limit"):
            twin = self.state.legs.get(leg.twin)
            paired = (twin is not None and twin.live) if target is not None else not leg.twin
            return leg.owner == stop.id and leg.trigger == stop.trigger and leg.price == stop.limit and paired
        if leg.kind == "target":
            twin = self.state.legs.get(leg.twin)
            return (
                target is not None and leg.owner == target.id and leg.price == target.limit and twin is not None and twin.live
            )
        return True  # on its way to the market

    def _pair(self, stop: Book, target: Book, market: Market, size: Decimal) -> None:
        """A stop for so much, with its target beside it."""
        first = self._leg(stop, market, "stop_limit" if stop.limit else "stop", size, stop.limit, stop.trigger)
        second = self._leg(target, market, "target", size, target.limit)
        first.twin, second.twin = second.client, first.client

        def both(outcome: object) -> None:
            for leg in (first, second):
                self.gateway.outbox.sent_leg(leg, outcome)  # type: ignore[arg-type]

        self.gateway.call(lambda wire: wire.place_pair(first, second, market.symbol), both, urgent=True)

    def _to_market(self, book: Book, guards: list[Leg], want: Decimal, market: Market) -> None:
        """What a stop can no longer protect is sold (bought back) now."""
        resting = [leg for leg in guards if leg.kind != "market"]
        for leg in resting:
            self.take_off(leg)
        gap = want - sum((leg.left for leg in guards), Decimal(0))
        if not resting and gap > 0 and self.gateway.may_call(urgent=True):
            self.place(book, market, "market", gap, urgent=True)

    def _held_target(self, target: Book, market: Market) -> Book | None:
        """A target that the exchange cannot hold beside a stop: kept here, and reached when the last price is."""
        if not target.told:
            target.told = True
            self.gateway.notify(f"{market.name}: the target at {target.limit} is held by this program, not by the exchange")
            self.gateway.say(ACCEPT, target.symbol, target.id)
            self.state.touch(target)
        if target.changing:
            target.changing = False
            self.gateway.say(ACCEPT, target.symbol, target.id)
            self.state.touch(target)
        last = self.gateway.reconciler.price(market.base)
        sells = target.quantity.startswith("-")
        if not target.market and ((last >= float(target.limit)) if sells else (last <= float(target.limit))):
            target.market = True
            self.state.touch(target)
        return target

    def bracket_ended(self, book: Book, leg: Leg, ended: str) -> None:
        """A stop or a target has ended at the exchange while it is wanted: it comes back at the next look, or, where it was
        refused for too long or would trigger at once, what it protects goes to the market."""
        now = self.gateway.now()
        if ended != "rejected":
            book.trouble = 0 if ended in ("canceled", "expired", "closed") else book.trouble
            return
        book.trouble = book.trouble or now
        book.wait = now + RETRY
        stop = self.top(book.symbol, STOP)
        if book.role == TARGET and self.gateway.by_name[book.symbol].swap:
            book.wait = now + PATIENCE  # its stop stands by itself
            return
        if stop is not None and (leg.immediate or now - book.trouble >= PATIENCE):
            stop.market, stop.wait = True, 0
            self.gateway.notify(f"{book.symbol}: the stop cannot rest at the exchange ({leg.said}); the position is closed")
            self.state.touch(stop)


def locked(guards: list[Leg]) -> Decimal:
    """Coins that the legs of a bracket lock: the two of a list lock them once."""
    total, counted = Decimal(0), set[str]()
    for leg in guards:
        if leg.client not in counted:
            total += leg.left
            counted.add(leg.twin)
    return total
