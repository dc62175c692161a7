"""What every account of the practice exchange has: orders, how they fill against the market's trades, and what they must be.

A limit order fills when the market trades through its price, at the market trade's size at most; a market order fills at once
at the last price, in up to three parts. Amounts are exact decimals.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, ClassVar, Final, Protocol

from drivers.exchanges.practice.market import LOT, MINUTE, ORIGIN, TICK, PracticeMarket

ZERO: Final = Decimal(0)
LEAST_NOTIONAL: Final = Decimal(5)
EIGHT: Final = Decimal("0.00000001")


class Refused(Exception):
    """What the exchange answers instead. status: of HTTP."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Tape(Protocol):
    """The trades of the market."""

    def last(self, symbol: str, ms: int) -> Decimal:
        """The price of the last trade up to a time."""

    def after(self, symbol: str, since: int, until: int) -> Iterator[tuple[int, Decimal, Decimal]]:
        """(ms, price, base units) of the trades in (since, until]."""


class MarketTape:
    """The trades of a `PracticeMarket`."""

    def __init__(self, market: PracticeMarket) -> None:
        self.market = market

    def last(self, symbol: str, ms: int) -> Decimal:
        """See `Tape.last`."""
        at = ms
        while at >= ORIGIN:
            prices = self.market.until(symbol, at).price
            if len(prices):
                return _exact(float(prices[-1]), TICK)
            at = (at - ORIGIN) // MINUTE * MINUTE + ORIGIN - 1
        return _exact(self.market.prices[symbol], TICK)

    def after(self, symbol: str, since: int, until: int) -> Iterator[tuple[int, Decimal, Decimal]]:
        """See `Tape.after`."""
        for minute in range((max(since, ORIGIN) - ORIGIN) // MINUTE, (until - ORIGIN) // MINUTE + 1):
            made = self.market.trades(symbol, minute)
            for time, price, size in zip(made.time.tolist(), made.price.tolist(), made.size.tolist(), strict=True):
                if since < time <= until:
                    yield time, _exact(price, TICK), _exact(size, LOT)


def _exact(value: float, step: float) -> Decimal:
    unit = Decimal(repr(step))
    return (Decimal(repr(value)) / unit).quantize(Decimal(1)) * unit


@dataclass
class Order:
    """One order. list_id: of its OCO; -1: none. working: it is in the book, a stop only once it was triggered. reduces: it may
    only lessen a position. closes: all of the position, whatever it is then. became: of a conditional order of futures, the id
    of the ordinary one that it has become; 0: none."""

    symbol: str
    id: int
    client: str
    side: str
    type: str
    tif: str
    quantity: Decimal
    price: Decimal
    stop: Decimal
    time: int
    list_id: int = -1
    status: str = "NEW"
    executed: Decimal = ZERO
    quote: Decimal = ZERO
    updated: int = 0
    working: bool = True
    maker: bool = False
    reduces: bool = False
    closes: bool = False
    became: int = 0
    origin: str = ""  # the type of the conditional order that it was

    @property
    def left(self) -> Decimal:
        """What is still to be traded."""
        return self.quantity - self.executed

    @property
    def open(self) -> bool:
        """Whether it may still trade."""
        return self.status in ("NEW", "PARTIALLY_FILLED")

    @property
    def sign(self) -> int:
        """+1: it buys."""
        return 1 if self.side == "BUY" else -1


@dataclass(frozen=True)
class Trade:
    """One fill. fee: in `fee_asset`. realized: what it made of the position that it closed."""

    id: int
    order: Order
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    time: int
    maker: bool
    realized: Decimal = ZERO


@dataclass
class AccountCore:
    """tape: the market. now: UTC ms. balances: free amounts by asset at the start. rate: fee as a fraction. broken_off: share
    of the market orders of which the exchange expires a part. deferred: (ms, what comes late)."""

    types: ClassVar[tuple[str, ...]]
    stops: ClassVar[tuple[str, ...]]
    takes: ClassVar[tuple[str, ...]]
    limits: ClassVar[tuple[str, ...]]
    refusals: ClassVar[dict[str, tuple[int, str]]]
    """What is answered where a rule is broken: lot, price, notional, client, twice, trigger, taker."""

    tape: Tape
    now: Callable[[], int]
    balances: dict[str, str] = field(default_factory=lambda: {"USDT": "100000"})
    rate: Decimal = Decimal("0.001")
    key: str = "practice-key"
    secret: str = "practice-secret"
    seed: int = 1
    quote_asset: str = "USDT"
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    listeners: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    deferred: list[tuple[int, Callable[[], object]]] = field(default_factory=list)
    broken_off: float = 0.0

    def __post_init__(self) -> None:
        self.free = {asset: Decimal(amount) for asset, amount in self.balances.items()}
        self.chance = random.Random(self.seed)
        self._seen = self.now()

    def base(self, symbol: str) -> str:
        """The asset that a symbol trades."""
        return symbol.removesuffix(self.quote_asset)

    def refused(self, what: str) -> Refused:
        """What is answered where a rule is broken."""
        return Refused(*self.refusals[what])

    # -- what an account does in its own way ---------------------------------------------------------------------------------

    def _settle(self, order: Order, price: Decimal, quantity: Decimal, time: int) -> tuple[Decimal, str, Decimal]:
        """Moves the money of a fill. Returns the fee, its asset, and what the fill has realized."""
        raise NotImplementedError

    def _released(self, order: Order) -> None:
        """Gives back what an order that has ended had locked."""

    def _most(self, order: Order) -> Decimal:
        """How much of an order may fill."""
        return order.left

    def _tell(self, order: Order, what: str, trade: Trade | None = None) -> None:
        """Reports to the user stream. what: NEW, TRADE, CANCELED, EXPIRED or REJECTED."""
        raise NotImplementedError

    def _watched(self) -> set[str]:
        """Symbols whose trades matter."""
        return {order.symbol for order in self.orders if order.open}

    def _before(self, symbol: str, time: int, price: Decimal) -> None:
        """Just before a trade of the market meets the orders."""

    def _after(self, symbol: str, time: int, price: Decimal) -> None:
        """Just after."""

    def _reached(self, time: int) -> None:
        """All trades up to a time have met the orders."""

    # -- requests ------------------------------------------------------------------------------------------------------------

    def find(self, symbol: str, order_id: str | None, client: str | None) -> Order:
        """An order by the exchange's id or by ours. Raises Refused for one that is not there."""
        self.advance()
        return self._among(self.orders, symbol, order_id, client)

    @staticmethod
    def _among(orders: list[Order], symbol: str | None, order_id: str | None, client: str | None) -> Order:
        for order in reversed(orders):
            if symbol in (None, order.symbol) and (order.client == client if client else str(order.id) == order_id):
                return order
        raise Refused(-2013, "Order does not exist.")

    def _open_among(self, orders: list[Order], symbol: str | None, order_id: str | None, client: str | None) -> Order:
        self.advance()
        try:
            order = self._among(orders, symbol, order_id, client)
        except Refused:
            raise Refused(-2011, "Unknown order sent.") from None
        if not order.open:
            raise Refused(-2011, "Unknown order sent.")
        return order

    def cancel(self, symbol: str, order_id: str | None, client: str | None) -> list[Order]:
        """Takes an order off, with the other of its list. Raises Refused where it is not open."""
        order = self._open_among(self.orders, symbol, order_id, client)
        pair = [order, *self._twins(order)]
        for each in pair:
            self._end(each, "CANCELED")
        return pair

    # -- the market ----------------------------------------------------------------------------------------------------------

    def advance(self, to: int | None = None) -> None:
        """The market's trades up to now (or `to`, UTC ms) meet the orders."""
        until = self.now() if to is None else to
        due, self.deferred = ([each for each in self.deferred if (each[0] <= until) is now] for now in (True, False))
        clock = self.now
        for time, do in due:
            self.now = time.__int__  # it is done at its own time
            do()
        self.now = clock
        since, self._seen = self._seen, max(self._seen, until)
        if until <= since:
            return
        watched = sorted(self._watched())
        for time, symbol, price, size in heapq.merge(*(self._ticks(symbol, since, until) for symbol in watched)):
            self._before(symbol, time, price)
            for order in [o for o in self.orders if o.symbol == symbol and o.open and o.time < time]:
                if order.open:
                    self._meet(order, time, price, size)
            self._after(symbol, time, price)
        self._reached(until)

    def _ticks(self, symbol: str, since: int, until: int) -> Iterator[tuple[int, str, Decimal, Decimal]]:
        for time, price, size in self.tape.after(symbol, since, until):
            yield time, symbol, price, size

    def triggers(self, order: Order, price: Decimal) -> bool:
        """Whether a conditional order is reached at a price."""
        above = (order.side == "BUY") == (order.type in self.stops)
        return price >= order.stop if above else price <= order.stop

    def _meet(self, order: Order, time: int, price: Decimal, size: Decimal) -> None:
        buys = order.side == "BUY"
        if not order.working:
            if not self.triggers(order, price):
                return
            order.working, order.updated = True, time
            for twin in self._twins(order):
                self._end(twin, "EXPIRED", time)
            if order.type not in self.limits:
                self._fill(order, price, order.left, time, False)
                return
        if (price < order.price) if buys else (price > order.price):
            self._fill(order, order.price, min(order.left, size), time, True)

    def _enter(self, order: Order, at: tuple[int, Decimal] | None = None) -> None:
        """Takes an order, which trades at once where it can. at: (ms, last price); None: now's."""
        self.orders.append(order)
        self._tell(order, "NEW")
        if not order.working:
            return
        time, last = at if at is not None else (self.now(), self.tape.last(order.symbol, self.now()))
        buys = order.side == "BUY"
        if order.type == "MARKET":
            parts = self._parts(min(order.left, self._most(order)))
            if len(parts) > 1 and self.chance.random() < self.broken_off:
                parts = parts[:-1]
            for i, part in enumerate(parts):
                slip = Decimal(repr(TICK)) * i
                self._fill(order, last + slip if buys else last - slip, part, time, False)
            if order.open:
                self._end(order, "EXPIRED", time)
        elif (last <= order.price) if buys else (last >= order.price):
            parts = self._parts(min(order.left, self._most(order)))
            for part in parts if order.tif == "FOK" or self.chance.random() < 0.5 else parts[:1]:
                self._fill(order, last, part, time, False)
        if order.open and order.tif in ("IOC", "FOK"):
            self._end(order, "EXPIRED", time)

    def _parts(self, quantity: Decimal) -> list[Decimal]:
        """The quantity as one to three fills, whole lots each."""
        lot = Decimal(repr(LOT))
        count = self.chance.randint(1, 3)
        each = (quantity / count / lot).quantize(Decimal(1), ROUND_DOWN) * lot
        return [each] * (count - 1) + [quantity - each * (count - 1)] if each > 0 else [quantity]

    def _fill(self, order: Order, price: Decimal, quantity: Decimal, time: int, maker: bool) -> None:
        quantity = min(quantity, self._most(order))
        if quantity <= 0 or not order.open:
            return
        fee, asset, realized = self._settle(order, price, quantity, time)
        order.executed += quantity
        order.quote += price * quantity
        order.status, order.updated = "FILLED" if order.left <= 0 else "PARTIALLY_FILLED", time
        trade = Trade(len(self.trades) + 1, order, price, quantity, fee, asset, time, maker, realized)
        self.trades.append(trade)
        self._tell(order, "TRADE", trade)
        for twin in self._twins(order):
            self._end(twin, "EXPIRED", time, keep=True)

    def _twins(self, order: Order) -> list[Order]:
        """The other open orders of its list."""
        if order.list_id < 0:
            return []
        return [o for o in self.orders if o.list_id == order.list_id and o is not order and o.open]

    def _end(self, order: Order, status: str, time: int | None = None, keep: bool = False) -> None:
        """keep: what it locked belongs to the other order of its list."""
        order.status, order.updated = status, self.now() if time is None else time
        if not keep and not self._twins(order):
            self._released(order)
        self._tell(order, status)

    # -- what an order must be -----------------------------------------------------------------------------------------------

    def _checked(self, symbol: str, about: dict[str, str], number: int = 0) -> Order:
        """The order that a request asks for. Raises Refused."""
        self.advance()
        side, kind = about.get("side", ""), about.get("type", "")
        if side not in ("BUY", "SELL"):
            raise Refused(-1117, "Invalid side.")
        if kind not in self.types:
            raise Refused(-1116, "Invalid orderType.")
        client = about.get("newClientOrderId", "")
        if not (client and len(client) <= 36 and client.replace("-", "").replace("_", "").isalnum()):
            raise self.refused("client")
        if any(o.open and o.client == client for o in self.orders):
            raise self.refused("twice")
        quantity, price, stop = (Decimal(about.get(k) or "0") for k in ("quantity", "price", "stopPrice"))
        closes, reduces = about.get("closePosition") == "true", about.get("reduceOnly") == "true"
        if (quantity <= 0 and not closes) or quantity % Decimal(repr(LOT)):
            raise self.refused("lot")
        if any(x % Decimal(repr(TICK)) for x in (price, stop)) or (kind in self.limits and price <= 0):
            raise self.refused("price")
        last = self.tape.last(symbol, self.now())
        notional = (price if kind in self.limits else stop or last) * quantity
        if notional < LEAST_NOTIONAL and not (closes or reduces):
            raise self.refused("notional")
        now = self.now()
        order = Order(
            symbol, number or len(self.orders) + 1, client, side, kind, about.get("timeInForce", "GTC"), quantity, price, stop,
            now, updated=now, working=kind not in (*self.stops, *self.takes), reduces=reduces or closes, closes=closes,
        )  # fmt: skip
        if not order.working and (stop <= 0 or self.triggers(order, last)):
            raise self.refused("trigger")
        post_only = kind == "LIMIT_MAKER" or order.tif == "GTX"
        if post_only and ((last <= price) if side == "BUY" else (last >= price)):
            raise self.refused("taker")
        return order
