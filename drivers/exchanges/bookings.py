"""What an exchange says, booked: once, in whatever order it comes.

An answer, the user stream and a poll say the same things. A trade counts by its id; its order is found by our client id or by
the exchange's; one that is unknown is asked for.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from dataflows.execution.types import ACCEPT, CANCELED_EVENT, FILL, FUNDING, MAKER, REJECTIONS, TAKER
from drivers.exchanges import client_ids
from drivers.exchanges.legs import DONE, ENTRY, OPEN, SENT, STOP, TARGET, UNKNOWN, Book, Leg, text
from drivers.exchanges.seen import FundingSeen, OrderSeen, TradeSeen
from drivers.exchanges.swaps import why_closed
from drivers.exchanges.wire import DONE as WAS_DONE
from drivers.exchanges.wire import NOT_FOUND, Outcome

if TYPE_CHECKING:
    from drivers.exchanges.gateway import Gateway, Market

SECOND: Final = 1_000_000_000
FIRST_ASK: Final = SECOND // 5
NEXT_ASK: Final = 30 * SECOND
"""Until an order is asked for again that has trades, and that the exchange does not find."""
PAID: Final = "funding"
"""Under which `State.since` has the time of the last payment."""


class Bookings:
    """Of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.state = gateway, gateway.state
        self._by_venue: dict[tuple[str, str], str] = {}
        self._parked: dict[tuple[str, str], list[TradeSeen]] = {}
        self._ask_at: dict[tuple[str, str], int] = {}  # UTC ns at which it is asked again whose parked trades are
        self._own: set[str] = set()  # orders of the exchange's own, already reported

    def begin(self) -> None:
        """Knows the exchange's ids of what is remembered."""
        for leg in self.state.legs.values():
            self.knows(leg)

    def adopt_position(self, market: Market, held: Decimal, price: float) -> None:
        """What the account held at the start is ours, as if it had just been bought at the last price."""
        state, name = self.state, market.name
        state.position[name] = held
        state.cash -= held * Decimal(repr(price)) * market.multiplier
        self.gateway.say(
            FILL,
            name,
            0,
            "ADOPTED",
            fill_id=self._number(market),
            quantity=float(held),
            price=price,
            reference_price=price,
        )

    def _number(self, market: Market) -> int:
        """The next of a symbol's fills and payments, as reports bear it."""
        number = self.state.numbers[market.name] = self.state.numbers.get(market.name, 0) + 1
        return market.uid << 32 | number

    def knows(self, leg: Leg) -> None:
        """A leg is found by the exchange's id of it, once it has one."""
        if leg.venue_id:
            self._by_venue[leg.symbol, leg.venue_id] = leg.client

    def leg_of(self, seen: OrderSeen) -> Leg | None:
        """The leg that an order of the account is; None for a stranger's."""
        return self.state.legs.get(seen.client) or self.state.legs.get(
            self._by_venue.get((self._name(seen.symbol), seen.venue_id), "")
        )

    def saw(self, seen: OrderSeen | TradeSeen) -> None:
        """From wherever it comes: an answer, the user stream, a poll."""
        if seen.symbol not in self.gateway.by_symbol:
            return
        if isinstance(seen, TradeSeen):
            self._saw_trade(seen)
        else:
            leg = self._leg(seen.symbol, seen.client, seen.became if seen.algo else seen.venue_id)
            if leg is not None:
                self._saw_order(leg, seen)
            elif why_closed(seen.client) and seen.venue_id not in self._own:
                self._own.add(seen.venue_id)
                self.gateway.reconciler.again(trades=True)

    def _leg(self, symbol: str, client: str, venue_id: str) -> Leg | None:
        """The leg that an id names; of one that is ours and was forgotten, a new record; None for a stranger's."""
        found = self.state.legs.get(client) or self.state.legs.get(self._by_venue.get((self._name(symbol), venue_id), ""))
        if found is None and (said := client_ids.read(client)) is not None and said.nonce == self.state.nonce:
            market = self.gateway.by_symbol[symbol]
            owner = market.uid << 32 | said.sequence
            found = Leg(
                client, owner, market.name, "limit", "", "0", "", "", "GTC", self.gateway.now(), state=DONE, ended="closed"
            )
            self.state.touch(found)
        if found is not None and venue_id and found.venue_id != venue_id:
            found.venue_id = venue_id
            self._by_venue[found.symbol, venue_id] = found.client
            self.state.touch(found)
            for trade in self._parked.pop((symbol, venue_id), ()):
                self._book(found, trade)
        return found

    def _name(self, symbol: str) -> str:
        return self.gateway.by_symbol[symbol].name

    def _saw_order(self, leg: Leg, seen: OrderSeen) -> None:
        if seen.filled > Decimal(leg.stated):
            leg.stated = str(seen.filled)
            leg.ask = leg.ask or self.gateway.now() + SECOND  # by then its trades are here, or they are asked for
            self.state.touch(leg)
        if seen.algo and seen.status == "closed":  # it was reached: from now on the order that it became counts
            if leg.live:
                leg.state, leg.doubted, leg.ask = OPEN, True, leg.ask or self.gateway.now()
                self.state.touch(leg)
            return
        if leg.state == DONE:
            if leg.ended.strip("+") in ("lost", "later", "rejected") and seen.status == "open":
                self.gateway.notify(f"{leg.symbol}: an order that the exchange did not know is there after all; it is canceled")
                leg.state, leg.ended, leg.canceling, leg.ask = OPEN, "", False, 0
                self.state.touch(leg)
                self.gateway.steering.take_off(leg)
            return
        if seen.status == "open":
            if leg.state != OPEN:
                leg.state, leg.ask, leg.asks = OPEN, 0, 0
                self.state.touch(leg)
            book = self.state.books.get(leg.owner)
            if book is not None and book.live and not book.told:
                book.told = True
                self.gateway.say(ACCEPT, book.symbol, book.id)
                self.state.touch(book)
            return
        leg.state, leg.ended, leg.canceling = DONE, seen.status, False
        leg.ask = self.gateway.now() + FIRST_ASK if not leg.settled else 0
        self.gateway.moves += 1
        self.state.touch(leg)

    def _saw_trade(self, trade: TradeSeen) -> None:
        name = self._name(trade.symbol)
        if trade.trade_id in self.state.trades.get(name, {}):
            return
        leg = self._leg(trade.symbol, trade.client, trade.venue_id)
        if leg is not None or self._by_watchdog(trade.client):
            self._book(leg, trade)
            return
        key = trade.symbol, trade.venue_id
        waiting = self._parked.setdefault(key, [])
        if trade.trade_id not in [parked.trade_id for parked in waiting]:
            waiting.append(trade)
        if len(waiting) == 1:
            self._ask_whose(key)

    def due(self) -> None:
        """Asks again whose those trades are of which the answer did not tell."""
        now = self.gateway.now()
        for key in [key for key, at in self._ask_at.items() if now >= at]:
            del self._ask_at[key]
            if key in self._parked:
                self._ask_whose(key)

    def _ask_whose(self, key: tuple[str, str]) -> None:
        symbol, venue_id = key
        self.gateway.call(lambda wire: wire.ask("", venue_id, symbol), lambda outcome: self._whose(key, outcome), urgent=True)

    def _whose(self, key: tuple[str, str], outcome: Outcome) -> None:
        for seen in outcome.orders:
            self.saw(seen)
        client = outcome.orders[0].client if outcome.orders else ""
        reached = [
            leg for leg in self.state.legs.values() if leg.algo and not leg.venue_id and leg.symbol == self._name(key[0])
        ]
        if outcome.kind == WAS_DONE and reached and not (self._by_watchdog(client) or why_closed(client)):
            self._seek(key, reached, outcome)
        else:
            self._settle_whose(key, outcome, client)

    def _seek(self, key: tuple[str, str], legs: list[Leg], order: Outcome) -> None:
        """Asks whether one of our conditional orders has become the order of trades that nobody knows; legs: still to ask."""
        if key not in self._parked:
            return
        if not legs:
            self._settle_whose(key, order, order.orders[0].client if order.orders else "")
            return

        def answered(outcome: Outcome) -> None:
            for seen in outcome.orders:
                self.saw(seen)
            if outcome.kind in (WAS_DONE, NOT_FOUND):
                self._seek(key, legs[1:], order)
            else:
                self._ask_at[key] = self.gateway.now() + SECOND

        client = legs[0].client
        self.gateway.call(lambda wire: wire.ask(client, "", key[0], trigger=True), answered, urgent=True)

    def _settle_whose(self, key: tuple[str, str], outcome: Outcome, client: str) -> None:
        said, why = client_ids.read(client), why_closed(client)
        if outcome.kind != WAS_DONE:  # what is not known of a trade is no reason to forget it
            self._ask_at[key] = self.gateway.now() + (NEXT_ASK if outcome.kind == NOT_FOUND else SECOND)
            return
        for trade in self._parked.pop(key, ()):
            if why:
                self._book(None, trade, why)
                self.gateway.notify(f"{self._name(key[0])}: the exchange has closed {trade.quantity} at {trade.price} ({why})")
            elif self._by_watchdog(client):
                self._book(None, trade)
            elif said is None or said.nonce != self.state.nonce:
                self.state.is_new_trade(self._name(key[0]), trade.trade_id)  # a stranger's: reconciliation sees what it did
                self.gateway.notify(
                    f"A trade of {trade.symbol} ({trade.trade_id}) is not ours: {trade.quantity} at {trade.price}"
                )
                self.gateway.reconciler.again()

    def _by_watchdog(self, client: str) -> bool:
        """Whether the watchdog beside this stream sent an order."""
        said = client_ids.read(client, client_ids.WATCHDOG)
        return said is not None and said.nonce == self.state.nonce

    def _book(self, leg: Leg | None, trade: TradeSeen, own: str = "WATCHDOG") -> None:
        """A fill, once. leg: None: of the watchdog, or the exchange's own; own: which."""
        market = self.gateway.by_symbol[trade.symbol]
        name = market.name
        if not self.state.is_new_trade(name, trade.trade_id):
            return
        self.gateway.moves += 1
        state = self.state
        state.since[name] = max(state.since.get(name, 0), trade.time)
        fee, fee_base = self._fee(market, trade)
        if leg is not None:
            leg.filled = str(Decimal(leg.filled) + abs(trade.quantity))
            leg.stated = str(max(Decimal(leg.stated), Decimal(leg.filled)))
            if leg.state in (SENT, UNKNOWN):
                leg.state, leg.ask = OPEN, 0
            state.touch(leg)
        book = state.books.get(leg.owner) if leg is not None else None
        owner, why = (leg.owner, "NONE") if leg is not None else (0, own)
        if book is not None and book.adopted:
            owner, why = 0, "ADOPTED"
        before = state.position.get(name, Decimal(0))
        after = state.position[name] = before + trade.quantity - fee_base
        worth = trade.quantity * trade.price * market.multiplier
        state.cash -= worth + (trade.fee if trade.fee_asset == market.quote else 0)
        if book is not None:
            book.filled = str(Decimal(book.filled) + trade.quantity)
            state.touch(book)
        reference = float(trade.price)
        if book is not None:
            said = book.trigger if book.role == STOP else book.limit
            reference = float(said) if said else reference
        self.gateway.say(
            FILL, name, owner, why, fill_id=self._number(market), quantity=float(trade.quantity), price=float(trade.price),
            fee=fee, fee_base=float(fee_base), liquidity=MAKER if trade.maker else TAKER, reference_price=reference,
        )  # fmt: skip
        if before > 0 >= after or before < 0 <= after:
            self._closed(name)
        if before <= 0 < after or before >= 0 > after:  # perhaps on the other side, by one fill
            self._opened(name, owner, book, after)

    def saw_funding(self, paid: FundingSeen) -> None:
        """A payment of funding, once, for the ledger too."""
        market = self.gateway.by_symbol.get(paid.symbol)
        if market is None or not self.state.is_new_trade(market.name, f"funding {paid.id}"):
            return
        self.gateway.moves += 1
        self.state.cash += paid.amount
        self.state.since[PAID] = max(self.state.since.get(PAID, 0), paid.time)
        self.gateway.say(FUNDING, market.name, 0, fill_id=self._number(market), fee=-float(paid.amount))

    def _fee(self, market: Market, trade: TradeSeen) -> tuple[float, Decimal]:
        """(in quote currency, in base units)."""
        if trade.fee_asset == market.quote or not trade.fee_asset:
            return float(trade.fee), Decimal(0)
        if trade.fee_asset == market.base and trade.quantity > 0 and not market.swap:
            return 0.0, trade.fee
        price = float(trade.price) if trade.fee_asset == market.base else self.gateway.reconciler.price(trade.fee_asset)
        notional = float(abs(trade.quantity) * trade.price * market.multiplier)
        worth = float(trade.fee) * price if price > 0.0 else notional * market.fee
        paid, sum_ = self.state.fees.get(trade.fee_asset, ["0", "0"])
        self.state.fees[trade.fee_asset] = [str(Decimal(paid) + trade.fee), str(Decimal(sum_) + Decimal(repr(worth)))]
        return worth, Decimal(0)

    def _opened(self, name: str, owner: int, entry: Book | None, position: Decimal) -> None:
        """The bracket of the entry that opened a position comes to life."""
        self.state.opened_by[name] = owner
        if entry is None or entry.role != ENTRY:
            return
        for role, which in ((STOP, 1), (TARGET, 2)):
            price = entry.bracket_stop if role == STOP else entry.bracket_target
            if not price:
                continue
            before = self.state.books.get(owner + which)
            if before is not None:  # the rest of an entry has filled after its stop or target had
                before.ends = before.cancel = -1
                before.quantity, before.filled, before.silent = text(-position), "0", True
                before.told, before.market, before.trouble, before.wait = True, False, 0, 0
                self.state.touch(before)
                continue
            self.state.touch(
                Book(
                    id=owner + which, symbol=name, role=role, kind="limit", quantity=text(-position),
                    limit=entry.bracket_limit if role == STOP else price, trigger=price if role == STOP else "", tif="GTC",
                    parent=owner, decided=self.gateway.now(), expires=0, bracket_stop="", bracket_limit="", bracket_target="",
                    price=entry.price,
                )
            )  # fmt: skip

    def _closed(self, name: str) -> None:
        """The position is closed: its bracket, exits and the rest of its entry are not wanted any more."""
        opened_by = self.state.opened_by.pop(name, 0)
        for book in self.state.live_books(name):
            if book.role != ENTRY or book.id == opened_by:
                book.cancel, book.reason = CANCELED_EVENT, REJECTIONS.index("POSITION_CLOSED")
                self.state.touch(book)

    def give_up(self, market: Market, held: Decimal, price: float) -> None:
        """Dust leaves our books: see `Steering._sweep`."""
        state, name = self.state, market.name
        state.baseline[market.base] = str(Decimal(state.baseline.get(market.base, "0")) + held)
        state.position[name] = Decimal(0)
        self.gateway.moves += 1
        self.gateway.say(
            FILL, name, 0, "DUST_SWEPT", fill_id=self._number(market), quantity=-float(held), price=price,
            fee=float(held) * price, reference_price=price,
        )  # fmt: skip
        self._closed(name)
