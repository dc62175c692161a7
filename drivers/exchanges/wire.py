"""The wire to an account: one call, one outcome.

Whether an order exists is never guessed from an error that does not say so.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

import ccxt

from dataflows.execution.types import REJECTIONS
from drivers.exchanges.dialects import canceling, found, opened, placing
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.legs import Leg
from drivers.exchanges.limits import Used, used
from drivers.exchanges.seen import AccountSeen, FundingSeen, OrderSeen, TradeSeen, decimal, order_seen, trade_seen
from drivers.exchanges.swaps import funding_seen, held_of, margin_of

DONE: Final = "done"
REFUSED: Final = "refused"  # the exchange has not done it, and says why
LATER: Final = "later"  # likewise: a limit, or its clock; it may be asked for again
NOT_FOUND: Final = "not found"
UNKNOWN: Final = "unknown"  # it may have been done

_LATER: Final = (ccxt.DDoSProtection, ccxt.RateLimitExceeded, ccxt.InvalidNonce)
_TEXTS: Final = (
    ("NOTIONAL", "MIN_NOTIONAL"),
    ("LOT_SIZE", "BAD_QUANTITY"),
    ("lot size", "BAD_QUANTITY"),
    ("PRICE_FILTER", "BAD_PRICE"),
    ("price precision", "BAD_PRICE"),
    ("PERCENT_PRICE", "PRICE_BAND"),
    ("MAX_NUM", "MOST_ORDERS"),
    ("-2019", "NO_BALANCE"),  # codes of Binance's futures
    ("-5022", "WOULD_CROSS"),
    ("-2022", "REDUCE_ONLY"),
)
LIMIT: Final = 1_000


class Outcome(NamedTuple):
    """What came of a call. reason: a code of REJECTIONS. clock: the exchange says that our clock is wrong."""

    kind: str
    said: str = ""
    reason: int = 0
    orders: tuple[OrderSeen, ...] = ()
    trades: tuple[TradeSeen, ...] = ()
    funding: tuple[FundingSeen, ...] = ()
    account: AccountSeen | None = None
    price: float = 0.0
    retry_after: float = 0.0
    clock: bool = False
    immediate: bool = False  # a stop that would trigger at once, or a post-only order that would take
    used: Used = Used()  # of the exchange's limits


class Wire(Protocol):
    """Calls of one account. Each returns an Outcome and raises nothing that an exchange can cause."""

    can_pair: bool  # a stop and a target of which one cancels the other

    def place(self, leg: Leg, symbol: str) -> Outcome:
        """Sends an order."""

    def place_pair(self, stop: Leg, target: Leg, symbol: str) -> Outcome:
        """Sends a stop and a target of which one cancels the other."""

    def cancel(self, leg: Leg, symbol: str) -> Outcome:
        """Takes an order off."""

    def ask(self, client: str, venue_id: str, symbol: str, trigger: bool = False) -> Outcome:
        """Asks for an order, by our id where there is one. trigger: for a conditional one of swaps."""

    def trades(self, symbol: str, since: int) -> Outcome:
        """The account's trades from a time on, ms."""

    def account(self) -> Outcome:
        """Balances and open orders."""

    def price(self, symbol: str) -> Outcome:
        """The last price."""

    def funding(self, since: int) -> Outcome:
        """The payments of funding from a time on, ms."""

    def measure_clock(self) -> Outcome:
        """Reads the exchange's clock, so that requests bear its time."""


@dataclass
class CcxtWire:
    """Through ccxt's client, which has keys. secrets: never shown. window: ms for which a request is good."""

    client: Any = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    window: int = 3_000

    def __post_init__(self) -> None:
        self.client.options["recvWindow"] = self.window
        self.client.options["warnOnFetchOpenOrdersWithoutSymbol"] = False
        self.swap = self.client.options.get("defaultType") == "swap"
        self.can_pair = self.client.id in ("binance", "binanceus") and not self.swap
        self.can_pair = self.can_pair and hasattr(self.client, "privatePostOrderListOco")

    def _outcome(self, call: Callable[[], Outcome]) -> Outcome:
        return self._made_of(call)._replace(used=used(self.client.last_response_headers or {}))

    def _made_of(self, call: Callable[[], Outcome]) -> Outcome:
        try:
            return call()
        except ccxt.OrderNotFound as error:
            return Outcome(NOT_FOUND, self._said(error))
        except _LATER as error:
            return Outcome(
                LATER, self._said(error), _code("RATE"), retry_after=self._retry_after(),
                clock=isinstance(error, ccxt.InvalidNonce),
            )  # fmt: skip
        except ccxt.OperationFailed as error:
            return Outcome(UNKNOWN, self._said(error))
        except ccxt.BaseError as error:
            immediate = isinstance(error, ccxt.OrderImmediatelyFillable) or "-2021" in str(error)
            return Outcome(REFUSED, self._said(error), _reason(error), immediate=immediate)
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # an answer that cannot be read says nothing
            return Outcome(UNKNOWN, self._said(error))

    def _said(self, error: Exception) -> str:
        return hidden(" ".join(str(error).split()), self.secrets)[:200]

    def _retry_after(self) -> float:
        headers: Mapping[str, str] = self.client.last_response_headers or {}
        asked = next((value for key, value in headers.items() if key.lower() == "retry-after"), "0")
        return float(asked) if asked.isdecimal() else 0.0

    def place(self, leg: Leg, symbol: str) -> Outcome:
        """See `Wire.place`."""
        kind = "limit" if leg.kind in ("limit", "post_only", "stop_limit", "target") else "market"
        extra = placing(self.client.id, leg)
        if leg.reduces and self.swap:
            extra["reduceOnly"] = True

        def call() -> Outcome:
            made = self.client.create_order(symbol, kind, leg.side, leg.quantity, leg.price or None, extra)
            return self._made([made], symbol, leg.client)

        return self._outcome(call)

    def place_pair(self, stop: Leg, target: Leg, symbol: str) -> Outcome:
        """See `Wire.place_pair`. Binance's order list: the target above, the stop below; of a purchase the other way round."""
        sells = stop.side == "sell"
        of_target = {"Type": "LIMIT_MAKER", "ClientOrderId": target.client, "Price": target.price}
        of_stop = {"Type": "STOP_LOSS", "ClientOrderId": stop.client, "StopPrice": stop.trigger}
        if stop.price:
            of_stop |= {"Type": "STOP_LOSS_LIMIT", "Price": stop.price, "TimeInForce": "GTC"}
        above, below = (of_target, of_stop) if sells else (of_stop, of_target)
        asked = {
            "symbol": self.client.market(symbol)["id"], "side": stop.side.upper(), "quantity": stop.quantity,
            "listClientOrderId": f"l{stop.client[1:]}", "newOrderRespType": "FULL",
            **{f"above{key}": value for key, value in above.items()},
            **{f"below{key}": value for key, value in below.items()},
        }  # fmt: skip

        def call() -> Outcome:
            made = self.client.privatePostOrderListOco(asked)
            orders = [self.client.parse_order(each, self.client.market(symbol)) for each in made["orderReports"]]
            return self._made(orders, symbol, "")

        return self._outcome(call)

    def _made(self, orders: list[Any], symbol: str, client: str) -> Outcome:
        seen = tuple(found for order in orders if (found := order_seen(order)) is not None)
        trades = tuple(
            trade_seen({**trade, "side": order["side"], "order": order["id"]}, symbol, client)
            for order in orders
            for trade in order.get("trades") or ()
        )
        return Outcome(DONE if seen else UNKNOWN, orders=seen, trades=trades)

    def cancel(self, leg: Leg, symbol: str) -> Outcome:
        """See `Wire.cancel`."""
        named, extra = canceling(self.client.id, leg)

        def call() -> Outcome:
            made = self.client.cancel_order(named, symbol, extra)
            seen = order_seen(made)
            return Outcome(DONE, orders=(seen._replace(client=leg.client),) if seen is not None else ())

        return self._outcome(call)

    def ask(self, client: str, venue_id: str, symbol: str, trigger: bool = False) -> Outcome:
        """See `Wire.ask`."""

        def call() -> Outcome:
            return self._made([found(self.client, client, venue_id, symbol, trigger)], symbol, client)

        return self._outcome(call)

    def trades(self, symbol: str, since: int) -> Outcome:
        """See `Wire.trades`."""

        def call() -> Outcome:
            found: list[TradeSeen] = []
            at = since
            while True:
                page = self.client.fetch_my_trades(symbol, at, LIMIT)
                found += [trade_seen(trade, symbol) for trade in page]
                last = max((trade.time for trade in found), default=at)
                if len(page) < LIMIT or last <= at:
                    return Outcome(DONE, trades=tuple(found))
                at = last

        return self._outcome(call)

    def account(self) -> Outcome:
        """See `Wire.account`."""

        def call() -> Outcome:
            before = self.client.fetch_open_orders(None, None, None, {"trigger": True}) if self.swap else []
            before += self.client.fetch_open_orders() if self.swap else opened(self.client)
            balance = self.client.fetch_balance()
            total = held_of(self.client, balance) if self.swap else _amounts(balance["total"])
            seen = [found for order in before if (found := order_seen(order)) is not None]
            if len(seen) < len(before):
                return Outcome(UNKNOWN, "an open order cannot be read")  # one that cannot be read is not gone
            return Outcome(DONE, account=AccountSeen(total, seen, margin_of(balance) if self.swap else None))

        return self._outcome(call)

    def price(self, symbol: str) -> Outcome:
        """See `Wire.price`."""
        return self._outcome(lambda: Outcome(DONE, price=float(self.client.fetch_ticker(symbol)["last"])))

    def funding(self, since: int) -> Outcome:
        """See `Wire.funding`."""

        def call() -> Outcome:
            rows = self.client.fetch_funding_history(None, since, LIMIT)
            return Outcome(DONE, funding=tuple(funding_seen(row) for row in rows))

        return self._outcome(call)

    def measure_clock(self) -> Outcome:
        """See `Wire.measure_clock`."""

        def call() -> Outcome:
            begun = self.client.milliseconds()
            theirs = int(self.client.fetch_time())
            self.client.options["timeDifference"] = (begun + self.client.milliseconds()) // 2 - theirs
            return Outcome(DONE)

        return self._outcome(call)


def hidden(text: str, secrets: tuple[str, ...]) -> str:
    """A text without the secrets in it."""
    for secret in secrets:
        text = text.replace(secret, "…") if secret else text
    return text


def _amounts(total: Mapping[str, Any]) -> dict[str, Decimal]:
    return {asset: decimal(amount) for asset, amount in total.items()}


def _code(name: str) -> int:
    return REJECTIONS.index(name)


def _reason(error: ccxt.BaseError) -> int:
    if isinstance(error, ccxt.InsufficientFunds):
        return _code("NO_BALANCE")
    if isinstance(error, ccxt.OrderImmediatelyFillable):
        return _code("WOULD_CROSS")
    if isinstance(error, ccxt.AuthenticationError):
        return _code("PERMISSION")
    text = str(error)
    return next((_code(name) for part, name in _TEXTS if part in text), _code("VENUE"))


BURST: Final = 10.0
"""Requests that may go at once."""


def with_bursts(client: Any, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep) -> Any:
    """The same client, whose requests go at ccxt's own rate on average, and at once while there are few. ccxt spaces them
    evenly: at Binance the second order of a bar would wait 50 ms for the first. clock: seconds; sleep: waits for so many."""
    left, at, lock = BURST, clock(), threading.Lock()

    def throttle(cost: float | None = None) -> None:
        nonlocal left, at
        with lock:  # several clients may share it
            now = clock()
            left, at = min(BURST, left + (now - at) * 1e3 / client.rateLimit), now
            left -= 1.0 if cost is None else cost
            wait = -left * client.rateLimit / 1e3
        if wait > 0.0:
            sleep(wait)

    client.throttle = throttle
    return client


# -- who makes the calls -----------------------------------------------------------------------------------------------------

Call = Callable[[Wire], Outcome]
Then = Callable[[Outcome], None]


class Runner(Protocol):
    """Makes calls, not in the caller's time. Their outcomes are fetched by the thread that trades."""

    def run(self, call: Call, then: Then, urgent: bool) -> None:
        """Makes a call. urgent: exits, stops and cancels, which wait for no other call."""

    def finished(self) -> list[tuple[Then, Outcome]]:
        """What is done."""

    def close(self) -> None:
        """Ends it; what is under way is finished."""


class Threads:
    """Threads for what is urgent and others for the rest, each with a wire of its own. wake: is called at each outcome."""

    def __init__(self, urgent: Sequence[Wire], usual: Sequence[Wire], wake: Callable[[], None] = lambda: None) -> None:
        self._free: tuple[queue.SimpleQueue[Wire], ...] = (queue.SimpleQueue(), queue.SimpleQueue())
        for free, wires in zip(self._free, (usual, urgent), strict=True):
            for wire in wires:
                free.put(wire)
        self._pools = (
            ThreadPoolExecutor(len(usual), thread_name_prefix="usual"),
            ThreadPoolExecutor(len(urgent), thread_name_prefix="urgent"),
        )
        self._done: queue.SimpleQueue[tuple[Then, Outcome]] = queue.SimpleQueue()
        self._wake = wake

    def run(self, call: Call, then: Then, urgent: bool) -> None:
        """See `Runner.run`."""
        free = self._free[urgent]

        def make() -> None:
            wire = free.get()  # there are as many as threads
            try:
                outcome = call(wire)
            except Exception as error:  # a fault of ours must not leave an order unresolved: it is asked for
                outcome = Outcome(UNKNOWN, f"{type(error).__name__} in this program")
            free.put(wire)
            self._done.put((then, outcome))
            self._wake()

        self._pools[urgent].submit(make)

    def finished(self) -> list[tuple[Then, Outcome]]:
        """See `Runner.finished`."""
        found = []
        while not self._done.empty():
            found.append(self._done.get())
        return found

    def close(self) -> None:
        """See `Runner.close`."""
        for pool in self._pools:
            pool.shutdown()


@dataclass
class AtOnce:
    """Makes each call when it is asked for: for virtual time."""

    wire: Wire
    done: list[tuple[Then, Outcome]] = field(default_factory=list)

    def run(self, call: Call, then: Then, urgent: bool) -> None:
        """See `Runner.run`."""
        self.done.append((then, call(self.wire)))

    def finished(self) -> list[tuple[Then, Outcome]]:
        """See `Runner.finished`."""
        found, self.done = self.done, []
        return found

    def close(self) -> None:
        """See `Runner.close`."""


def refuse_withdrawals(client: Any, name: str, allowed: bool) -> None:
    """Raises ExchangeFault for a key that may withdraw, where the exchange tells."""
    if allowed or not hasattr(client, "sapiGetAccountApiRestrictions"):
        return
    try:
        said = client.sapiGetAccountApiRestrictions()
    except ccxt.NotSupported:  # a test net
        return
    if client.safe_bool(said, "enableWithdrawals", False):
        raise ExchangeFault(
            f"the key of {name} may withdraw, and this program has no use for that; make a key that may only trade, or write "
            f"`may_withdraw: true` into {name}.yml"
        )
