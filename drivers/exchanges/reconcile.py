"""Our books against the account: at the start, after every reconnect, and by timer.

Assets are compared with what our fills make of what was there at the start; orders by their ids. An answer that crossed a fill
says nothing: the account is read again. What still differs when nothing is under way is stated to the layers as it is, and L98
halts. Strangers' orders are named and left alone.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from drivers.exchanges import client_ids
from drivers.exchanges.adopt import adopt_orders
from drivers.exchanges.bookings import PAID
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.legs import OPEN, UNKNOWN, text
from drivers.exchanges.seen import MARGIN_RESERVE, AccountSeen, Margin
from drivers.exchanges.wire import DONE, Outcome
from drivers.venues.base import Snapshot

if TYPE_CHECKING:
    from drivers.exchanges.gateway import Gateway

SECOND: Final = 1_000_000_000
POLL: Final = 30 * SECOND
POLL_BLIND: Final = 3 * SECOND
"""Without a user stream."""
AGAIN: Final = SECOND
CLOCK_EVERY: Final = 60 * SECOND
PRICES_EVERY: Final = 10 * SECOND
OLD_PRICE: Final = 60 * SECOND
DOUBTS: Final = 3
"""Readings in a row that differ while nothing is under way, before they are believed."""
NEW_ORDER: Final = 2 * SECOND
"""A younger order may not be in the exchange's list yet."""
HOUR: Final = 3_600 * SECOND
ROUNDED: Final = Decimal("0.001")
ROUNDED_SHARE: Final = Decimal("1e-7")
"""Quote currency, and share of what is held, that an exchange's rounding of a swap account's money may make."""
_DUST: Final = Decimal("1e-8")


class Reconciler:
    """Of one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.state = gateway, gateway.state
        self.ready = False
        self.thin = False  # the account is near its liquidation
        self.gaps: dict[str, Decimal] = {}  # of an asset, the account's less ours
        self.unknown: dict[str, int] = {}
        self.missing: dict[str, int] = {}
        self.strangers: set[str] = set()
        self._at = 0
        self._next = self._next_clock = self._next_prices = 0
        self._doubts = self._hour = 0
        self._reading = False
        self._prices: dict[str, tuple[int, float]] = {}
        self.fault: ExchangeFault | None = None

    def begin(self) -> None:
        """The first reading, and all trades since the last that is known."""
        self.measure_clock()
        self.again(trades=True)
        self.due()

    def again(self, *, trades: bool = False) -> None:
        """The account is read at the next look; trades: and all trades since the last known one."""
        self._next = 0
        if trades:
            for market in self.gateway.markets:
                self._trades(market.name)

    def _trades(self, name: str) -> None:
        since = self.state.since.get(name)
        if since is None:
            return  # there is none of ours
        symbol = self.gateway.by_name[name].symbol
        self.gateway.call(lambda wire: wire.trades(symbol, since), self._took, urgent=False)

    def _took(self, outcome: Outcome) -> None:
        for trade in outcome.trades:
            self.gateway.bookings.saw(trade)
        for paid in outcome.funding:
            self.gateway.bookings.saw_funding(paid)

    def due(self) -> None:
        """What timers ask for."""
        gateway, now = self.gateway, self.gateway.now()
        if not gateway.may_call(urgent=False):
            return
        gateway.bookings.due()
        if now >= self._next_clock:
            self.measure_clock()
        if now >= self._next_prices and (self._calm(now) or not self._prices):
            self._next_prices = now + PRICES_EVERY
            quote = gateway.markets[0].quote
            pairs = {asset: f"{asset}/{quote}{f':{quote}' if gateway.markets[0].swap else ''}" for asset in self.state.fees}
            pairs |= {market.base: market.symbol for market in gateway.markets}
            for asset, symbol in sorted(pairs.items()):
                self._ask_price(asset, symbol)
        if gateway.markets[0].swap and now // HOUR != self._hour:
            self._hour = now // HOUR
            self._funding()
        if now >= self._next and not self._reading:
            self._reading = True
            moves = gateway.moves
            gateway.call(lambda wire: wire.account(), lambda outcome: self._read(outcome, moves, now), urgent=False)

    def _calm(self, now: int) -> bool:
        return self.calm_from(now) == now

    def calm_from(self, at: int) -> int:
        """The next moment at which no bar is about to close, or has just closed: its orders would wait behind what is asked
        then. At the exchange's limits a reading of all open orders alone takes a second and a half of requests."""
        step = self.gateway.step
        into = at % step
        if step < 2 * PRICES_EVERY or 2 * SECOND <= into < step - 5 * SECOND:
            return at
        return at - into + (0 if into < 2 * SECOND else step) + 2 * SECOND

    def _funding(self) -> None:
        since = self.state.since.get(PAID)
        if since is not None:
            self.gateway.call(lambda wire: wire.funding(since), self._took, urgent=False)

    def measure_clock(self) -> None:
        """Both clients learn the exchange's time."""
        self._next_clock = self.gateway.now() + CLOCK_EVERY
        for urgent in (True, False):
            self.gateway.call(lambda wire: wire.measure_clock(), lambda outcome: None, urgent=urgent)

    def _ask_price(self, asset: str, symbol: str) -> None:
        self.gateway.call(lambda wire: wire.price(symbol), lambda outcome: self._priced(asset, outcome), urgent=False)

    def _priced(self, asset: str, outcome: Outcome) -> None:
        if outcome.kind == DONE and 0.0 < outcome.price < math.inf:
            self._prices[asset] = self.gateway.now(), outcome.price
        else:
            self._next_prices = min(self._next_prices, self.gateway.now() + AGAIN)

    def price(self, asset: str) -> float:
        """The last price in quote currency; NaN where none is known, or it is older than a minute."""
        at, price = self._prices.get(asset, (-OLD_PRICE, math.nan))
        return price if self.gateway.now() - at < OLD_PRICE else math.nan

    # -- the account ---------------------------------------------------------------------------------------------------------

    def _read(self, outcome: Outcome, moves: int, asked: int) -> None:
        self._reading = False
        gateway, now = self.gateway, self.gateway.now()
        self._next = now + AGAIN
        if outcome.kind != DONE or outcome.account is None:
            return
        account = outcome.account
        self._see_margin(account.margin)
        if not self.state.baseline and not self._take_over(account):
            return
        crossed = gateway.moves != moves
        self._orders(account, asked, crossed)
        gaps = self._gaps(account)
        differs = {asset for asset, gap in gaps.items() if abs(gap) > _DUST}
        under_way = any(
            leg.state == UNKNOWN
            or leg.ask
            or (leg.live and leg.state != OPEN)
            or leg.canceling
            or (not leg.live and not leg.settled)
            for leg in self.state.under_way()
        )
        if differs and (crossed or under_way):
            return
        if differs:
            for market in gateway.markets:
                if market.asset in differs or market.quote in differs:
                    self._trades_since_start(market.name)
            if gateway.markets[0].swap:
                self._funding()
            self._doubts += 1
            if self._doubts < DOUBTS:
                return
            if self._doubts == DOUBTS:
                said = ", ".join(f"{text(gaps[asset])} {asset}" for asset in sorted(differs))
                gateway.notify(f"The account differs from our books by {said}; entries are halted until that is settled")
        else:
            self._doubts = 0
        alive = gateway.stream is not None and gateway.stream.alive()
        self._next = self.calm_from(now + POLL) if alive else now + POLL_BLIND
        self.gaps, self._at, self.ready = gaps, asked, True

    def _see_margin(self, margin: Margin | None) -> None:
        if margin is not None and margin.thin and not self.thin:
            self.gateway.notify(
                f"The account's equity, {text(margin.equity)}, is less than {MARGIN_RESERVE} times the maintenance margin, "
                f"{text(margin.maintenance)}, below which the exchange liquidates: no entry leaves until it is more"
            )
        self.thin = margin is not None and margin.thin

    def _trades_since_start(self, name: str) -> None:
        since = min([leg.sent for leg in self.state.legs.values() if leg.symbol == name], default=self.gateway.now())
        known = self.state.since.get(name, since // 1_000_000)
        symbol, at = self.gateway.by_name[name].symbol, min(known, since // 1_000_000) - 60_000
        self.gateway.call(lambda wire: wire.trades(symbol, at), self._took, urgent=False)

    def _take_over(self, account: AccountSeen) -> bool:
        """What is there at the start. False where it is too little."""
        gateway = self.gateway
        quote, cash = gateway.markets[0].quote, Decimal(repr(gateway.cash))
        there = account.total.get(quote, Decimal(0))
        held = {m: account.total.get(m.asset, Decimal(0)) for m in gateway.markets}
        held = {market: amount for market, amount in held.items() if abs(amount) >= market.lot}
        if not gateway.adopt:
            if swaps := [market for market in held if market.swap]:
                self.fault = ExchangeFault(
                    f"the account has a position of {text(held[swaps[0]])} in {swaps[0].symbol}, which is not of this run; "
                    "close it, or write `adopt: true` into the venue's file to take it in"
                )
                return False
            held = {}
        if not all(self.price(market.base) > 0.0 for market in held):
            return False  # until their prices are known
        cash -= sum(
            (amount * Decimal(repr(self.price(market.base))) * market.multiplier for market, amount in held.items()), Decimal(0)
        )
        if there < cash:
            self.fault = ExchangeFault(
                f"the account holds {text(there)} {quote}, and the run is to trade with {gateway.cash:g}; write "
                f"--set execution.start_cash={math.floor(there + Decimal(repr(gateway.cash)) - cash)}"
            )
            return False
        for asset, amount in account.total.items():
            self.state.baseline[asset] = str(amount)
        self.state.baseline[quote] = str(there - cash)
        for market, amount in held.items():
            self.state.baseline[market.asset] = "0"
            gateway.bookings.adopt_position(market, amount, self.price(market.base))
        if gateway.adopt:
            adopt_orders(gateway, account.orders)
        for market in gateway.markets:
            self.state.since[market.name] = self.state.since[PAID] = gateway.now() // 1_000_000
        self.state.dirty = True
        return True

    def _orders(self, account: AccountSeen, asked: int, crossed: bool) -> None:
        gateway, state = self.gateway, self.state
        self.unknown, self.missing, there = {}, {}, set[str]()
        for seen in account.orders:
            said = client_ids.read(seen.client)
            mine = said is not None and said.nonce == state.nonce
            leg = gateway.bookings.leg_of(seen) if seen.symbol in gateway.by_symbol else None
            if leg is not None:
                there.add(leg.client)
                gateway.bookings.saw(seen)
            elif seen.symbol in gateway.by_symbol and client_ids.read(seen.client, client_ids.WATCHDOG) is None:
                name = gateway.by_symbol[seen.symbol].name
                if mine:
                    self.unknown[name] = self.unknown.get(name, 0) + 1
                if seen.venue_id not in self.strangers:
                    self.strangers.add(seen.venue_id)
                    gateway.notify(f"An order of {name} ({seen.venue_id}) is not of this stream; it is left alone")
        for leg in state.under_way():
            if leg.state == OPEN and not leg.canceling and leg.client not in there and leg.sent < asked - NEW_ORDER:
                if leg.doubted and (leg.asks or not leg.algo):  # one that was reached is asked for what it became
                    self.missing[leg.symbol] = self.missing.get(leg.symbol, 0) + 1
                if not crossed:
                    leg.ask, leg.doubted = leg.ask or gateway.now(), True  # asked for by its id before it is called lost
                    state.touch(leg)

    def _gaps(self, account: AccountSeen) -> dict[str, Decimal]:
        state = self.state
        expected = {asset: Decimal(amount) for asset, amount in state.baseline.items()}
        quote = self.gateway.markets[0].quote
        expected[quote] = expected.get(quote, Decimal(0)) + Decimal(repr(self.gateway.cash)) + state.cash
        for market in self.gateway.markets:
            held = state.position.get(market.name, Decimal(0))
            expected[market.asset] = expected.get(market.asset, Decimal(0)) + held
        for asset, (paid, _) in state.fees.items():
            expected[asset] = expected.get(asset, Decimal(0)) - Decimal(paid)
        ours = {quote, *(market.asset for market in self.gateway.markets)}
        gaps = {asset: account.total.get(asset, Decimal(0)) - amount for asset, amount in expected.items() if asset in ours}
        if self.gateway.markets[0].swap and abs(gaps[quote]) <= ROUNDED + ROUNDED_SHARE * abs(
            account.total.get(quote, Decimal(0))
        ):
            gaps[quote] = Decimal(0)  # the exchange rounds what fills realize, and mean prices
        return gaps

    def statement(self, at: int) -> Snapshot | None:
        """The account as of now, as its last reading has it: our books, and what it differed by then. Orders are compared by
        their ids."""
        state, gateway = self.state, self.gateway
        history = at < gateway.begins
        if not history and not self.ready:
            return None
        gaps = {} if history else self.gaps
        quote = gateway.markets[0].quote
        fees = sum((Decimal(worth) for _, worth in state.fees.values()), Decimal(0))
        open_orders: dict[str, int] = {}
        for book in state.books.values():
            if book.live and not book.silent:
                open_orders[book.symbol] = open_orders.get(book.symbol, 0) + 1
        return Snapshot(
            time=at if history else min(at, self._at),
            position={
                market.name: float(state.position.get(market.name, Decimal(0)) + gaps.get(market.asset, Decimal(0)))
                for market in gateway.markets
            },
            open_orders=open_orders,
            cash=gateway.cash + float(state.cash - fees + gaps.get(quote, Decimal(0))),
            unknown_orders=self.unknown,
            missing_orders=self.missing,
        )
