"""What a watchdog does at each look: it judges the stream and its account, and cancels or flattens where its file says so.

It works by state, not by steps: each look compares what must not be there with what is there. So it may be killed anywhere and
go on, and a look that finds nothing to do does nothing. Stops and targets of an open position are canceled only by a flatten,
which sells in the same look. Orders and coins that are not the stream's are never touched.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from drivers.exchanges import client_ids
from drivers.exchanges.gateway import Market
from drivers.exchanges.legs import ENTRY, OPEN, Leg, stepped, text
from drivers.exchanges.outbox import MARGIN
from drivers.exchanges.seen import AccountSeen, OrderSeen
from drivers.exchanges.state import State
from drivers.exchanges.watchdog_hold import Hold
from drivers.exchanges.wire import DONE, LATER, NOT_FOUND, REFUSED, Outcome, Wire
from drivers.watchdog.notebook import Notebook, Sale
from drivers.watchdog.rules import STRENGTH, Action, WatchdogRules
from drivers.watchdog.watched import Watched

SECOND: Final = 1_000_000_000
WINDOW: Final = 3 * SECOND
"""For which a request is good, as the wire sends it."""
NEW_ORDER: Final = 5 * SECOND
"""A younger order may not be in the exchange's list yet."""


@dataclass
class Guard:
    """One stream's account under watch. wire: to the account; the watchdog's own. markets: of the stream, in its order. halt:
    latches HALT through the operator's channel, with a reason, once; raises OSError. say: told everything. now: UTC ns."""

    watched: Watched
    wire: Wire
    markets: tuple[Market, ...]
    rules: WatchdogRules
    notebook: Notebook
    hold: Hold
    halt: Callable[[str], None]
    say: Callable[[str], None]
    now: Callable[[], int]
    _said: set[str] = field(default_factory=set)
    _high: tuple[int, float] = (0, 0.0)  # (number of the bar, highest equity since its open)
    _last: float = 0.0  # equity at the last reading; 0: none
    _differs: dict[str, int] = field(default_factory=dict)  # since when, UTC ns
    _clock: int = 0

    def __post_init__(self) -> None:
        self.notebook.recall()

    @property
    def acting(self) -> bool:
        """Whether something is under way: the next look should come soon."""
        return bool(self.notebook.action)

    def look(self) -> bool:
        """One look. False: the stream has ended normally, and nothing is left to do."""
        self.watched.look()
        if self.watched.over and not self.acting:
            return False
        if self.watched.state is not None:
            self.notebook.turn_to(self.watched.state.nonce)
            self.notebook.forget(self._booked(self.watched.state))
        if self.now() - self._clock > 60 * SECOND:
            self._clock = self.now()
            self.wire.measure_clock()
        account = self._account()
        wrong = self._judged(account)
        for name, sentence in wrong.items():
            self._once(name, sentence)
        self._said -= {"silent", "loss", "mismatch"} - set(wrong)
        if not wrong and not self.acting and self.watched.lives:
            self.notebook.halted = False  # the next time is another
        by_name: dict[str, Action] = {
            "silent": self.rules.on_stale, "loss": self.rules.on_loss, "mismatch": self.rules.on_mismatch
        }  # fmt: skip
        wanted = [by_name[name] for name in wrong] + [action for action in STRENGTH if action == self.notebook.action]
        action: Action = max(wanted, key=STRENGTH.index, default="alert")
        if action != "alert":
            self._act(action, "; ".join(wrong.values()) or self.notebook.why, account)
        return True

    def _once(self, name: str, sentence: str) -> None:
        """Says it, once until it is over."""
        if name not in self._said:
            self._said.add(name)
            self.say(sentence)

    def _account(self) -> AccountSeen | None:
        outcome = self.wire.account()
        if outcome.kind != DONE or outcome.account is None:
            self._once("account", f"the account cannot be read ({outcome.said or outcome.kind}); it is asked for again")
            return None
        if "account" in self._said:
            self._said.discard("account")
            self.say("the account can be read again")
        return outcome.account

    # -- judging -------------------------------------------------------------------------------------------------------------

    def _judged(self, account: AccountSeen | None) -> dict[str, str]:
        """What is wrong, as a sentence, by kind."""
        found = {}
        silent = self.watched.silent_for
        if silent > self.rules.stale_after:
            found["silent"] = f"the stream has given no sign of life for more than {self.rules.stale_after:g} s"
        if self.watched.damaged:
            self._once("damaged", f"the stream's journal cannot be read any further: {self.watched.damaged}")
        state = self.watched.state
        if account is None or state is None or not state.baseline:
            return found
        if self.rules.loss is not None and self._lost(account, state) > self.rules.loss:
            found["loss"] = f"the account lost more than {self.rules.loss:g} within one bar"
        if silent > self.rules.stale_after:
            self._differs = {}  # a journal that stands still cannot tell
        elif said := self._mismatch(account, state):
            found["mismatch"] = said
        return found

    def _lost(self, account: AccountSeen, state: State) -> float:
        """Equity below its highest reading since the bar's open, the last one before it included; quote currency."""
        equity = float(account.total.get(self.markets[0].quote, Decimal(0)))
        for market in self.markets:
            held = float(self._held(account, state, market) * market.multiplier)
            price = self._price(market) if held else 0.0
            if not price >= 0.0:
                return 0.0  # unknown now: the next look tells
            equity += held * price
        bar = self.now() // self.watched.step
        if bar != self._high[0]:
            self._high = bar, max(equity, self._last)
        self._high, self._last = (bar, max(self._high[1], equity)), equity
        return self._high[1] - equity

    def _price(self, market: Market) -> float:
        outcome = self.wire.price(market.symbol)
        return outcome.price if outcome.kind == DONE and outcome.price > 0.0 else float("nan")

    @staticmethod
    def _held(account: AccountSeen, state: State, market: Market) -> Decimal:
        """What the account has beyond what was there before the stream: base units, or signed contracts of a swap."""
        return account.total.get(market.asset, Decimal(0)) - Decimal(state.baseline.get(market.asset, "0"))

    def _ours(self, account: AccountSeen, state: State) -> list[OrderSeen]:
        """The open orders of the stream, and of the watchdog."""
        names = {market.symbol for market in self.markets}
        return [
            seen for seen in account.orders
            if seen.symbol in names and any(
                (said := client_ids.read(seen.client, by)) is not None and said.nonce == state.nonce
                for by in (client_ids.STREAM, client_ids.WATCHDOG)
            )
        ]  # fmt: skip

    def _mismatch(self, account: AccountSeen, state: State) -> str:
        """How the account differs from the journal, where it has for long enough; the journal is written before an order
        leaves, and may be behind a fill for a moment."""
        now, found = self.now(), {}
        for market in self.markets:
            gap = self._held(account, state, market) - state.position.get(market.name, Decimal(0))
            if abs(gap) >= max(market.lot, Decimal("1e-8")):
                found[f"{text(gap)} {market.asset}"] = market.asset
        there = {seen.client for seen in self._ours(account, state)}
        for client in there - set(state.legs):
            if client.startswith(client_ids.STREAM):
                found[f"an order that it does not know ({client})"] = client
        for leg in state.legs.values():
            if leg.state == OPEN and leg.client not in there and leg.sent < now - NEW_ORDER:
                found[f"an order that is not there ({leg.client})"] = leg.client
        self._differs = {key: self._differs.get(key, now) for key in found.values()}
        lasting = [what for what, key in found.items() if now - self._differs[key] >= self.rules.mismatch_after * SECOND]
        return f"the account differs from the stream's journal by {', '.join(lasting)}" if lasting else ""

    # -- acting --------------------------------------------------------------------------------------------------------------

    def _act(self, action: Action, why: str, account: AccountSeen | None) -> None:
        if not self.notebook.halted:
            self._latch(why)
        if self._waiting() or (account is None and self.acting):
            self._hold_stream()  # what is under way may still change the account
        state = self.watched.state
        if account is None or state is None or not state.baseline:
            return  # it is asked for again; without a journal of orders there are none
        due = [seen for seen in self._ours(account, state) if action == "flatten" or self._opens(seen, account, state)]
        closing = action == "flatten" and any(self._to_close(market, account, state) for market in self.markets)
        if not due and not closing and not self._waiting():
            self._done()
            return
        if self.notebook.action != action:
            self.notebook.action, self.notebook.why = action, why
            self.notebook.write()
        self._cancel(due)
        if action == "flatten":
            after = self._account() if due else account
            for market in self.markets if after is not None else ():
                self._close(market, after, state)  # type: ignore[arg-type]

    def _latch(self, why: str) -> None:
        try:
            self.halt(why)
            self.notebook.halted = True
            self.notebook.write()
            self.say("HALT stands in the operator file")
        except OSError as error:
            self._once("halt", f"HALT cannot be written to the operator file ({(error.strerror or 'unknown reason').lower()})")

    def _done(self) -> None:
        """Nothing is left of what was to be done."""
        self.hold.lift()
        if self.notebook.action and self.notebook.halted:
            did = "entries are canceled" if self.notebook.action == "cancel" else "orders are canceled and positions closed"
            self.notebook.action = ""
            self.notebook.write()
            self.say(f"done: {did}")

    def _hold_stream(self) -> None:
        """The stream beside it places nothing while this lasts."""
        try:
            self.hold.renew()
        except OSError as error:
            self._once("hold", f"the stream cannot be told to stand back ({(error.strerror or 'unknown reason').lower()})")

    def _cancel(self, due: list[OrderSeen]) -> None:
        for seen in due:
            self._hold_stream()
            name = next(market.name for market in self.markets if market.symbol == seen.symbol)
            leg = Leg(
                seen.client, 0, name, "stop" if seen.trigger else "limit", "", "0", "", "", "GTC", self.now(),
                venue_id="" if seen.algo else seen.venue_id, algo=seen.algo,  # what rests apart goes by our id
            )  # fmt: skip
            outcome = self.wire.cancel(leg, seen.symbol)
            if outcome.kind in (DONE, NOT_FOUND):
                self.say(f"canceled {seen.client} of {name}")
            else:
                said = outcome.said or outcome.kind
                self._once(f"cancel {seen.client}", f"{seen.client} of {name} is not canceled yet ({said})")

    def _opens(self, seen: OrderSeen, account: AccountSeen, state: State) -> bool:
        """Whether an order may open or add to a position. One that the journal does not know is taken for a stop while there is
        a position that it may protect."""
        leg = state.legs.get(seen.client)
        book = state.books.get(leg.owner) if leg is not None else None
        if book is not None:
            return book.role == ENTRY
        market = next(market for market in self.markets if market.symbol == seen.symbol)
        return abs(self._held(account, state, market)) < market.lot

    def _waiting(self) -> list[Sale]:
        """Sales of which it is not known what became of them."""
        return [sale for sale in self.notebook.sales if not sale.resolved]

    @staticmethod
    def _booked(state: State) -> Callable[[Sale], bool]:
        """Whether the journal has moved on since a sale: it tells of the sale then."""

        def booked(sale: Sale) -> bool:
            moved = Decimal(sale.journal) != state.position.get(sale.name, Decimal(0))
            return moved or sale.fills not in (-1, state.numbers.get(sale.name, 0))  # the position may have come back

        return booked

    def _to_close(self, market: Market, account: AccountSeen, state: State) -> Decimal:
        """What the stream holds of a symbol, signed, as an order can close it: no more than the account has gained, and no more
        than the stream can have entered."""
        held, position = self._held(account, state, market), state.position.get(market.name, Decimal(0))
        sign = 1 if held > 0 else -1
        entries = [
            leg for leg in state.live(market.name)
            if (book := state.books.get(leg.owner)) is not None and book.role == ENTRY and (leg.side == "buy") == (held > 0)
        ]  # fmt: skip
        closed = sum(  # and the journal does not tell of it
            (Decimal(sale.filled) for sale in self.notebook.sales
             if sale.name == market.name and Decimal(sale.journal) == position), Decimal(0)
        )  # fmt: skip
        most = position * sign + sum((leg.left for leg in entries), Decimal(0)) - closed
        size = stepped(min(abs(held), most), market.lot, up=False)
        if size <= 0 or (held < 0 and not market.swap):
            return Decimal(0)
        if not market.swap and market.least > 0:  # a swap takes what closes, however small
            worth = float(size * market.multiplier) * self._price(market)
            if worth < float(market.least):
                return Decimal(0)
        return size * sign

    def _close(self, market: Market, account: AccountSeen, state: State) -> None:
        """Closes what the stream holds of a symbol; one order at a time, and the next only once the account has been read after
        it."""
        waiting = [sale for sale in self._waiting() if sale.name == market.name]
        for sale in waiting:
            self._resolve(sale, market)
        size = Decimal(0) if waiting else self._to_close(market, account, state)
        if size == 0:
            return
        self._hold_stream()
        number, self.notebook.number = self.notebook.number, self.notebook.number + 1
        place = self.markets.index(market)
        client = client_ids.written(place, number, 0, state.nonce, client_ids.WATCHDOG)
        journal, fills = str(state.position.get(market.name, Decimal(0))), state.numbers.get(market.name, 0)
        sale = Sale(client, market.name, "sell" if size > 0 else "buy", text(abs(size)), self.now(), journal, fills=fills)
        self.notebook.sales.append(sale)
        self.notebook.write()
        leg = Leg(client, 0, market.name, "market", sale.side, sale.quantity, "", "", "GTC", sale.sent, reduces=True)
        self._weigh(sale, self.wire.place(leg, market.symbol))

    def _weigh(self, sale: Sale, outcome: Outcome) -> None:
        if outcome.kind in (REFUSED, LATER):
            sale.resolved = True
            self._once(
                f"sale {sale.name} {outcome.said}",
                f"{sale.name}: the exchange takes no sale ({outcome.said}); it is tried again",
            )
        for seen in outcome.orders:
            if seen.client == sale.client:
                sale.filled, sale.resolved = text(seen.filled), seen.status != "open"
        if sale.resolved and outcome.kind == DONE:
            self.say(f"{'sold' if sale.side == 'sell' else 'bought'} {sale.filled} of {sale.name} ({sale.client})")
        self._note_resolved()

    def _note_resolved(self) -> None:
        """Writes what is known of the sales. One that has ended without a fill is forgotten."""
        self.notebook.sales = [sale for sale in self.notebook.sales if not sale.resolved or Decimal(sale.filled)]
        self.notebook.write()

    def _resolve(self, sale: Sale, market: Market) -> None:
        """Asks what became of an order. `Not found` counts once the request can no longer arrive."""
        outcome = self.wire.ask(sale.client, "", market.symbol)
        if outcome.kind == NOT_FOUND and self.now() >= sale.sent + WINDOW + MARGIN:
            sale.resolved = True
            self._note_resolved()
        elif outcome.kind == DONE:
            self._weigh(sale, outcome)
