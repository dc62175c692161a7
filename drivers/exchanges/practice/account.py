"""The practice exchange's account: balances, orders, and how they fill against the market's trades.

Rules are those of Binance's spot market: an order locks what it may need, a stop locks the coin that it would sell, the two
orders of a list (OCO) lock it once and cancel each other. A limit order fills when the market trades through its price, at the
market trade's size at most; a market order fills at once at the last price, in up to three parts. Amounts are exact decimals.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final, Protocol

from drivers.exchanges.practice.market import LOT, MINUTE, ORIGIN, TICK, PracticeMarket

ZERO: Final = Decimal(0)
STOPS: Final = ("STOP_LOSS", "STOP_LOSS_LIMIT")
TAKES: Final = ("TAKE_PROFIT", "TAKE_PROFIT_LIMIT")
LIMITS: Final = ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
TYPES: Final = ("LIMIT", "LIMIT_MAKER", "MARKET", *STOPS, *TAKES)
LEAST_NOTIONAL: Final = Decimal(5)
_EIGHT: Final = Decimal("0.00000001")


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
    """One order. list_id: of its OCO; -1: none. working: it is in the book, a stop only once it was triggered."""

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

    @property
    def left(self) -> Decimal:
        """What is still to be traded."""
        return self.quantity - self.executed

    @property
    def open(self) -> bool:
        """Whether it may still trade."""
        return self.status in ("NEW", "PARTIALLY_FILLED")


@dataclass(frozen=True)
class Trade:
    """One fill. fee: in `fee_asset`."""

    id: int
    order: Order
    price: Decimal
    quantity: Decimal
    fee: Decimal
    fee_asset: str
    time: int
    maker: bool


@dataclass
class PracticeAccount:
    """tape: the market. now: UTC ms. balances: free amounts by asset at the start. rate: fee as a fraction. fee_asset: a coin
    in which fees are paid while there is enough of it; empty: the coin that is received. withdraw: the key may withdraw."""

    tape: Tape
    now: Callable[[], int]
    balances: dict[str, str] = field(default_factory=lambda: {"USDT": "100000"})
    rate: Decimal = Decimal("0.001")
    fee_asset: str = ""
    withdraw: bool = False
    key: str = "practice-key"
    secret: str = "practice-secret"
    seed: int = 1
    quote_asset: str = "USDT"
    orders: list[Order] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    listeners: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    deferred: list[tuple[int, Callable[[], object]]] = field(default_factory=list)  # (ms, what comes late)
    broken_off: float = 0.0  # share of the market orders of which the exchange expires a part

    def __post_init__(self) -> None:
        self.free = {asset: Decimal(amount) for asset, amount in self.balances.items()}
        self.locked: dict[str, Decimal] = {}
        self.chance = random.Random(self.seed)
        self._lists = 0
        self._seen = self.now()

    def base(self, symbol: str) -> str:
        """The asset that a symbol trades."""
        return symbol.removesuffix(self.quote_asset)

    # -- requests ------------------------------------------------------------------------------------------------------------

    def place(self, symbol: str, about: dict[str, str]) -> Order:
        """A new order, matched at once where it crosses. Raises Refused."""
        order = self._checked(symbol, about)
        self._lock(order, order.quantity)
        self._enter(order)
        return order

    def place_list(self, symbol: str, about: dict[str, str]) -> tuple[int, list[Order]]:
        """Two orders of which one cancels the other: a target above (of a sale) and a stop below. Raises Refused."""
        self._lists += 1
        pair: list[Order] = []
        for part in ("above", "below"):
            given = {
                "side": about["side"], "quantity": about["quantity"], "type": about[f"{part}Type"],
                "newClientOrderId": about[f"{part}ClientOrderId"], "timeInForce": about.get(f"{part}TimeInForce", "GTC"),
                "price": about.get(f"{part}Price", "0"), "stopPrice": about.get(f"{part}StopPrice", "0"),
            }  # fmt: skip
            order = self._checked(symbol, given, pair[0].id + 1 if pair else 0)
            order.list_id = self._lists
            pair.append(order)
        self._lock(pair[0], pair[0].quantity)  # the two lock it once
        for order in pair:
            self._enter(order)
        return self._lists, pair

    def find(self, symbol: str, order_id: str | None, client: str | None) -> Order:
        """An order by the exchange's id or by ours. Raises Refused for one that is not there."""
        self.advance()
        for order in reversed(self.orders):
            if order.symbol == symbol and (order.client == client if client else str(order.id) == order_id):
                return order
        raise Refused(-2013, "Order does not exist.")

    def cancel(self, symbol: str, order_id: str | None, client: str | None) -> list[Order]:
        """Takes an order off, with the other of its list. Raises Refused where it is not open."""
        try:
            order = self.find(symbol, order_id, client)
        except Refused:
            raise Refused(-2011, "Unknown order sent.") from None
        if not order.open:
            raise Refused(-2011, "Unknown order sent.")
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
        for symbol in sorted({order.symbol for order in self.orders if order.open}):
            for time, price, size in self.tape.after(symbol, since, until):
                for order in [o for o in self.orders if o.symbol == symbol and o.open and o.time < time]:
                    if order.open:
                        self._meet(order, time, price, size)

    def _meet(self, order: Order, time: int, price: Decimal, size: Decimal) -> None:
        buys = order.side == "BUY"
        if not order.working:
            above = order.type in STOPS if buys else order.type in TAKES
            if (price >= order.stop) if above else (price <= order.stop):
                order.working, order.updated = True, time
                for twin in self._twins(order):
                    self._end(twin, "EXPIRED", time)
                if order.type not in LIMITS:
                    self._fill(order, price, order.left, time, False)
                    return
            else:
                return
        if (price < order.price) if buys else (price > order.price):
            self._fill(order, order.price, min(order.left, size), time, True)

    def _enter(self, order: Order) -> None:
        self.orders.append(order)
        self._tell(order, "NEW")
        if not order.working:
            return
        last = self.tape.last(order.symbol, self.now())
        buys = order.side == "BUY"
        if order.type == "MARKET":
            parts = self._parts(order.left)
            if len(parts) > 1 and self.chance.random() < self.broken_off:
                parts = parts[:-1]
            for i, part in enumerate(parts):
                slip = Decimal(repr(TICK)) * i
                self._fill(order, last + slip if buys else last - slip, part, self.now(), False)
            if order.open:
                self._end(order, "EXPIRED")
        elif (last <= order.price) if buys else (last >= order.price):
            parts = self._parts(order.left)
            for part in parts if order.tif == "FOK" or self.chance.random() < 0.5 else parts[:1]:
                self._fill(order, last, part, self.now(), False)
        if order.open and order.tif in ("IOC", "FOK"):
            self._end(order, "EXPIRED")

    def _parts(self, quantity: Decimal) -> list[Decimal]:
        """The quantity as one to three fills, whole lots each."""
        lot = Decimal(repr(LOT))
        count = self.chance.randint(1, 3)
        each = (quantity / count / lot).quantize(Decimal(1), ROUND_DOWN) * lot
        return [each] * (count - 1) + [quantity - each * (count - 1)] if each > 0 else [quantity]

    def _fill(self, order: Order, price: Decimal, quantity: Decimal, time: int, maker: bool) -> None:
        if quantity <= 0:
            return
        base, quote, buys = self.base(order.symbol), self.quote_asset, order.side == "BUY"
        cost = price * quantity
        gained, received = (base, quantity) if buys else (quote, cost)
        fee, asset = (received * self.rate).quantize(_EIGHT, ROUND_DOWN), gained
        if self.fee_asset:
            in_coin = (cost * self.rate / self.tape.last(self.fee_asset + quote, time)).quantize(_EIGHT)
            if self.free.get(self.fee_asset, ZERO) >= in_coin:
                fee, asset = in_coin, self.fee_asset
        if buys:
            self._unlock(quote, (order.price if order.type in LIMITS else price) * quantity, order)
            self._add(quote, -cost)
        else:
            self._unlock(base, quantity, order)
            self._add(base, -quantity)
        self._add(gained, received)
        self._add(asset, -fee)
        order.executed += quantity
        order.quote += cost
        order.status, order.updated = "FILLED" if order.left <= 0 else "PARTIALLY_FILLED", time
        trade = Trade(len(self.trades) + 1, order, price, quantity, fee, asset, time, maker)
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
            if order.side == "SELL":
                self._unlock(self.base(order.symbol), order.left, order)
            elif order.type in LIMITS:
                self._unlock(self.quote_asset, order.left * order.price, order)
        self._tell(order, status)

    # -- balances ------------------------------------------------------------------------------------------------------------

    def _add(self, asset: str, amount: Decimal) -> None:
        self.free[asset] = self.free.get(asset, ZERO) + amount

    def _lock(self, order: Order, quantity: Decimal) -> None:
        asset, amount = self.base(order.symbol), quantity
        if order.side == "BUY":
            asset = self.quote_asset
            price = order.price if order.type in LIMITS else self.tape.last(order.symbol, self.now()) * Decimal("1.0001")
            amount = quantity * price
        if self.free.get(asset, ZERO) < amount:
            raise Refused(-2010, "Account has insufficient balance for requested action.")
        if order.side == "SELL" or order.type in LIMITS:
            self._add(asset, -amount)
            self.locked[asset] = self.locked.get(asset, ZERO) + amount

    def _unlock(self, asset: str, amount: Decimal, order: Order) -> None:
        if order.side == "BUY" and order.type not in LIMITS:
            return
        self.locked[asset] = self.locked.get(asset, ZERO) - amount
        self._add(asset, amount)

    # -- what an order must be -----------------------------------------------------------------------------------------------

    def _checked(self, symbol: str, about: dict[str, str], number: int = 0) -> Order:
        self.advance()
        side, kind = about.get("side", ""), about.get("type", "")
        if side not in ("BUY", "SELL"):
            raise Refused(-1117, "Invalid side.")
        if kind not in TYPES:
            raise Refused(-1116, "Invalid orderType.")
        client = about.get("newClientOrderId", "")
        if not (client and len(client) <= 36 and client.replace("-", "").replace("_", "").isalnum()):
            raise Refused(-1100, "Illegal characters found in parameter 'newClientOrderId'.")
        if any(o.open and o.client == client for o in self.orders):
            raise Refused(-2010, "Duplicate order sent.")
        quantity, price, stop = (Decimal(about.get(k) or "0") for k in ("quantity", "price", "stopPrice"))
        if quantity <= 0 or quantity % Decimal(repr(LOT)):
            raise Refused(-1013, "Filter failure: LOT_SIZE")
        if any(x % Decimal(repr(TICK)) for x in (price, stop)) or (kind in LIMITS and price <= 0):
            raise Refused(-1013, "Filter failure: PRICE_FILTER")
        last = self.tape.last(symbol, self.now())
        if (price if kind in LIMITS else stop or last) * quantity < LEAST_NOTIONAL:
            raise Refused(-1013, "Filter failure: NOTIONAL")
        waits = kind in (*STOPS, *TAKES)
        if waits:
            above = (side == "BUY") == (kind in STOPS)
            if stop <= 0 or ((last >= stop) if above else (last <= stop)):
                raise Refused(-2010, "Stop price would trigger immediately.")
        if kind == "LIMIT_MAKER" and ((last <= price) if side == "BUY" else (last >= price)):
            raise Refused(-2010, "Order would immediately match and take.")
        now = self.now()
        return Order(
            symbol, number or len(self.orders) + 1, client, side, kind, about.get("timeInForce", "GTC"), quantity, price, stop,
            now, updated=now, working=not waits,
        )  # fmt: skip

    # -- the user stream -----------------------------------------------------------------------------------------------------

    def _tell(self, order: Order, what: str, trade: Trade | None = None) -> None:
        report = execution_report(order, what, trade, self.now())
        for listener in list(self.listeners):
            listener(report)


def execution_report(order: Order, what: str, trade: Trade | None, now: int) -> dict[str, Any]:
    """The user stream's message of an order. what: NEW, TRADE, CANCELED, EXPIRED or REJECTED."""
    last, quantity = (trade.price, trade.quantity) if trade is not None else (ZERO, ZERO)
    return {
        "e": "executionReport", "E": now, "s": order.symbol,
        "c": order.client if what != "CANCELED" else f"x{order.client}"[:36],
        "S": order.side, "o": order.type, "f": order.tif, "q": f"{order.quantity:.8f}", "p": f"{order.price:.8f}",
        "P": f"{order.stop:.8f}", "F": "0.00000000", "g": order.list_id, "C": order.client if what == "CANCELED" else "",
        "x": what, "X": order.status, "r": "NONE", "i": order.id, "l": f"{quantity:.8f}", "z": f"{order.executed:.8f}",
        "L": f"{last:.8f}", "n": f"{trade.fee:.8f}" if trade is not None else "0",
        "N": trade.fee_asset if trade is not None else None, "T": order.updated, "t": trade.id if trade is not None else -1,
        "w": order.working and order.open, "m": trade.maker if trade is not None else False, "O": order.time,
        "Z": f"{order.quote:.8f}", "Y": f"{last * quantity:.8f}", "Q": "0.00000000",
    }  # fmt: skip
