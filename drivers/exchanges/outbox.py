"""What became of what was sent: answers, questions where there was none, and what the end of an order means.

A call that may have been done is asked for by its client id until it is known. `Not found` is believed only after the request
can no longer arrive: the exchange refuses it by its time stamp then.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from dataflows.execution.types import CANCELED_EVENT, EXPIRE, FILL, REJECT, REJECTIONS
from drivers.exchanges.legs import DONE, EXIT, OPEN, SENT, STOP, TARGET, UNKNOWN, Book, Leg
from drivers.exchanges.wire import DONE as WAS_DONE
from drivers.exchanges.wire import LATER, NOT_FOUND, REFUSED, Outcome

if TYPE_CHECKING:
    from drivers.exchanges.gateway import Gateway

SECOND: Final = 1_000_000_000
FIRST_ASK: Final = SECOND // 5
LAST_ASK: Final = 5 * SECOND
MARGIN: Final = 4 * SECOND
"""After the time for which a request is good, before `not found` means that it never arrived: more than clocks may jump."""


FIRST_EXIT: Final = SECOND // 2
LAST_EXIT: Final = 30 * SECOND
PASSING: Final = tuple(REJECTIONS.index(name) for name in ("NO_BALANCE", "RATE"))
"""Refusals of an exit that pass by themselves (a race with a stop, coins that are still locked, a limit): it is sent again,
less and less often, for as long as it is wanted. Others are told, and the layers decide anew."""


class Outbox:
    """Of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.state = gateway, gateway.state
        self._asking: set[str] = set()

    def sent_leg(self, leg: Leg, outcome: Outcome) -> None:
        """The outcome of placing a leg."""
        self._take(outcome)
        if not leg.live or outcome.kind == WAS_DONE:
            if leg.state in (SENT, UNKNOWN) and outcome.kind == WAS_DONE:  # the answer does not speak of it
                leg.state, leg.ask = UNKNOWN, self.gateway.now()
                self.state.touch(leg)
            return
        if outcome.kind in (REFUSED, LATER):
            leg.state = DONE
            leg.ended = "rejected" if outcome.kind == REFUSED else "later"
            leg.said, leg.reason, leg.immediate = outcome.said, outcome.reason, outcome.immediate
            if outcome.kind == REFUSED:
                self.gateway.notify(f"{leg.symbol}: the exchange refuses an order ({outcome.said})")
                if REJECTIONS[outcome.reason] == "REDUCE_ONLY":
                    self._doubt(leg.symbol)
            if outcome.kind == LATER and not leg.reduces:
                market = self.gateway.by_name[leg.symbol]
                self.gateway.gate.not_sent(market.symbol, leg.side, Decimal(leg.quantity) * market.multiplier)
        elif leg.state == SENT:
            leg.state, leg.ask = UNKNOWN, self.gateway.now() + FIRST_ASK
        self.state.touch(leg)

    def _doubt(self, name: str) -> None:
        """The exchange says that there is less to close than we know: a stop may have been reached without a word."""
        for leg in self.state.live(name):
            if leg.state == OPEN and leg.algo and not leg.canceling:
                leg.ask, leg.doubted = leg.ask or self.gateway.now(), True
                self.state.touch(leg)
        self.gateway.reconciler.again(trades=True)

    def canceled_leg(self, leg: Leg, outcome: Outcome) -> None:
        """The outcome of canceling a leg. Whatever it is, the leg is asked for until it is known to have ended."""
        self._take(outcome)
        for each in (leg, self.state.legs.get(leg.twin)):
            if each is not None and each.live:
                each.ask = self.gateway.now() + (FIRST_ASK if outcome.kind in (LATER, REFUSED) else 0)
                each.doubted = True
                if outcome.kind in (LATER, REFUSED):
                    each.canceling = False
                self.state.touch(each)

    def _take(self, outcome: Outcome) -> None:
        self.gateway.moves += 1
        for trade in outcome.trades:
            self.gateway.bookings.saw(trade)
        for order in outcome.orders:
            self.gateway.bookings.saw(order)

    def ask(self) -> None:
        """Asks for the legs of which something is not known."""
        now = self.gateway.now()
        for leg in self.state.under_way():
            if not leg.ask or now < leg.ask or leg.client in self._asking or not self.gateway.may_call(urgent=True):
                continue
            known = leg.state == OPEN and not leg.canceling and Decimal(leg.filled) >= Decimal(leg.stated)
            if leg.settled or (known and not leg.doubted):
                leg.ask = 0
                self.state.touch(leg)
                continue
            self._ask_for(leg, now)

    def _ask_for(self, leg: Leg, now: int) -> None:
        symbol, client, venue_id = self.gateway.by_name[leg.symbol].symbol, leg.client, leg.venue_id
        rests = leg.algo and not venue_id
        self._asking.add(client)
        self.gateway.call(
            lambda wire: wire.ask("" if venue_id else client, venue_id, symbol, trigger=rests),
            lambda outcome: self._asked(leg, outcome, now),
            urgent=True,
        )
        if leg.state == DONE or Decimal(leg.stated) > Decimal(leg.filled):  # it has filled, and trades are missing
            since = max(0, min(self.state.since.get(leg.symbol, 1 << 62), leg.sent // 1_000_000) - 60_000)
            self.gateway.call(lambda wire: wire.trades(symbol, since), self._take, urgent=True)

    def _asked(self, leg: Leg, outcome: Outcome, asked: int) -> None:
        self._asking.discard(leg.client)
        self._take(outcome)
        if any(seen.algo and seen.status == "closed" for seen in outcome.orders) and leg.live:
            leg.asks += 0 if leg.venue_id else 1  # what it became is asked for, once that is known
            leg.ask = self.gateway.now() + (0 if leg.venue_id else min(LAST_ASK, FIRST_ASK << min(leg.asks, 8)))
        elif outcome.kind == WAS_DONE and leg.state == OPEN and Decimal(leg.filled) >= Decimal(leg.stated):
            leg.ask, leg.asks, leg.canceling, leg.doubted = 0, 0, False, False  # a cancel that was under way is sent again
        elif outcome.kind == NOT_FOUND and leg.state == UNKNOWN and asked >= leg.sent + self.gateway.window + MARGIN:
            leg.state, leg.ended, leg.ask = DONE, "lost", 0
        elif leg.settled:
            leg.ask = 0
        else:
            leg.asks += 1
            leg.ask = self.gateway.now() + min(LAST_ASK, FIRST_ASK << min(leg.asks, 8))
        self.state.touch(leg)

    def settle(self) -> None:
        """What the end of a leg means for the order that it stands for."""
        for leg in self.state.under_way():
            if not leg.settled or leg.ended.startswith("+"):
                continue
            ended, leg.ended = leg.ended, f"+{leg.ended}"
            self.state.touch(leg)
            book = self.state.books.get(leg.owner)
            if book is None or not book.live or book.cancel >= 0:
                continue
            self.state.touch(book)
            if book.role in (STOP, TARGET):
                self.gateway.steering.bracket_ended(book, leg, ended)
                continue
            if ended in ("closed", "canceled"):
                book.trouble = 0  # it was accepted: a later refusal is another
            if ended == "closed":
                if book.left == 0:
                    book.ends = FILL
                elif abs(book.left) < self.gateway.by_name[book.symbol].lot:
                    self.end(book, CANCELED_EVENT)  # what is left is no order
            elif ended == "canceled":
                if not book.changing:
                    self.end(book, CANCELED_EVENT)
            elif ended == "expired":
                at_once = leg.kind == "market" or leg.tif != "GTC"
                self.end(book, EXPIRE, "IMMEDIATE" if at_once else "LIFETIME")
            elif ended == "rejected" and book.role == EXIT and leg.reason in PASSING:
                now = self.gateway.now()
                book.trouble = book.trouble or now
                book.wait = now + min(LAST_EXIT, max(FIRST_EXIT, now - book.trouble))
            elif ended == "rejected":
                self.end(book, REJECT, REJECTIONS[leg.reason])
            # lost or later: it is placed anew while it is wanted

    def end(self, book: Book, kind: int, reason: str = "NONE") -> None:
        """An order of ours has ended, and the engine is told."""
        book.ends = kind
        if not book.silent:
            self.gateway.say(kind, book.symbol, book.id, reason)
        self.state.touch(book)
