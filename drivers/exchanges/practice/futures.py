"""The practice exchange's futures account, by the rules of Binance's USD-M futures: USDT margin, cross, one-way positions.

Conditional orders (algo orders) rest beside the book; one that is reached becomes an ordinary order with ids of the exchange's
own. Funding is paid every `funding_every`. An account whose equity is down to the maintenance margin loses its orders and its
positions, by orders whose client ids begin with `autoclose-`. Amounts are exact decimals; one contract is one base unit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, ClassVar, Final, NamedTuple

from drivers.exchanges.practice.core import EIGHT, ZERO, AccountCore, Order, Refused, Trade
from drivers.exchanges.practice.futures_events import LIQUIDATED, account_update, algo_update, margin_call, order_update
from drivers.exchanges.practice.market import HOUR, funding_rate

STOPS: Final = ("STOP_MARKET", "STOP")
TAKES: Final = ("TAKE_PROFIT_MARKET", "TAKE_PROFIT")
TYPES: Final = ("LIMIT", "MARKET", *STOPS, *TAKES)
FIRST_ALGO: Final = 2_000_000_001
MOST_LEVERAGE: Final = 125
WARNED: Final = Decimal("1.5")
"""Equity over maintenance margin below which a margin call is sent."""
DELEVERAGED: Final = "adl_autoclose"


@dataclass
class Position:
    """amount: signed contracts. cost: what they were entered at, signed. warned: a margin call was sent."""

    amount: Decimal = ZERO
    cost: Decimal = ZERO
    warned: bool = False

    @property
    def entry(self) -> Decimal:
        """Mean price."""
        return self.cost / self.amount if self.amount else ZERO


class Income(NamedTuple):
    """A payment of funding; negative: paid."""

    id: int
    symbol: str
    amount: Decimal
    time: int


@dataclass
class FuturesAccount(AccountCore):
    """maintenance: margin, as a fraction of the notional. liquidation_rate: fee of a liquidation beside the taker's, as a
    fraction. hedged: long and short are held apart, which takes no order of ours. named: a conditional order that was reached
    keeps its client id. See `AccountCore`."""

    types: ClassVar = TYPES
    stops: ClassVar = STOPS
    takes: ClassVar = TAKES
    limits: ClassVar = ("LIMIT", "STOP", "TAKE_PROFIT")
    refusals: ClassVar = {
        "lot": (-1111, "Precision is over the maximum defined for this asset."),
        "price": (-4014, "Price not increased by tick size."),
        "notional": (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
        "client": (-1100, "Illegal characters found in a parameter."),
        "twice": (-4116, "ClientOrderId is duplicated."),
        "trigger": (-2021, "Order would immediately trigger."),
        "taker": (
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be rejected.",
        ),
    }

    rate: Decimal = Decimal("0.0005")
    maintenance: Decimal = Decimal("0.004")
    liquidation_rate: Decimal = Decimal("0.0125")
    funding_every: int = 8 * HOUR
    hedged: bool = False
    multi_assets: bool = False
    named: bool = False
    leverage: dict[str, int] = field(default_factory=dict)
    margin: dict[str, str] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)
    algos: list[Order] = field(default_factory=list)
    income: list[Income] = field(default_factory=list)
    listen_key: str = ""
    listens_until: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._funded = self._seen
        self._last: dict[str, Decimal] = {}  # while time passes: the last prices

    @property
    def wallet(self) -> Decimal:
        """USDT, without what positions are worth."""
        return self.free.get(self.quote_asset, ZERO)

    def position(self, symbol: str) -> Position:
        """Of a symbol."""
        return self.positions.setdefault(symbol, Position())

    def leverage_of(self, symbol: str) -> int:
        """As it was set; 20 at first."""
        return self.leverage.get(symbol, 20)

    def mark(self, symbol: str, time: int | None = None) -> Decimal:
        """The mark price: that of the last trade."""
        if time is None:
            return self.tape.last(symbol, self.now())
        if symbol not in self._last:
            self._last[symbol] = self.tape.last(symbol, time)
        return self._last[symbol]

    def unrealized(self, symbol: str, time: int | None = None) -> Decimal:
        """What closing a position at its mark would bring."""
        held = self.position(symbol)
        return held.amount * self.mark(symbol, time) - held.cost if held.amount else ZERO

    def equity(self, time: int | None = None) -> Decimal:
        """The wallet, and what closing all positions would bring."""
        return self.wallet + sum((self.unrealized(symbol, time) for symbol in self.positions), ZERO)

    def maintained(self, symbol: str, time: int | None = None) -> Decimal:
        """The maintenance margin of a position."""
        held = self.position(symbol)
        return abs(held.amount) * self.mark(symbol, time) * self.maintenance if held.amount else ZERO

    def initial(self, symbol: str) -> Decimal:
        """The margin that a position and the orders which would add to it take."""
        resting = sum((o.left * o.price for o in self.orders if o.symbol == symbol and o.open and not o.reduces), ZERO)
        held = abs(self.position(symbol).amount)
        return (held * self.mark(symbol) + resting) / self.leverage_of(symbol) if held or resting else ZERO

    @property
    def available(self) -> Decimal:
        """What new orders may take as margin."""
        return max(ZERO, self.equity() - sum((self.initial(symbol) for symbol in {*self.positions}), ZERO))

    def liquidation_price(self, symbol: str) -> Decimal:
        """At which the account is liquidated while all other prices stand; 0: at none."""
        held = self.position(symbol)
        if not held.amount:
            return ZERO
        others = sum((self.maintained(s) for s in self.positions if s != symbol), ZERO)
        rest = self.equity() - self.unrealized(symbol) - others - held.cost
        return max(ZERO, rest / (abs(held.amount) * self.maintenance - held.amount))

    # -- requests ------------------------------------------------------------------------------------------------------------

    def place(self, symbol: str, about: dict[str, str]) -> Order:
        """A new order, matched at once where it crosses. Raises Refused."""
        if about.get("type") in (*STOPS, *TAKES):
            raise Refused(-4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead.")
        order = self._admitted(symbol, about)
        if order.reduces:
            if self._most(order) <= 0:
                raise Refused(-2022, "ReduceOnly Order is rejected.")
        else:
            held = self.position(symbol).amount
            more = max(ZERO, abs(held + order.sign * order.quantity) - abs(held))
            price = order.price or self.mark(symbol)
            if more * price / self.leverage_of(symbol) + order.quantity * price * self.rate > self.available:
                raise Refused(-2019, "Margin is insufficient.")
        self._enter(order)
        return order

    def place_algo(self, symbol: str, about: dict[str, str]) -> Order:
        """A new conditional order. Raises Refused."""
        if about.get("algoType") != "CONDITIONAL" or about.get("type") not in (*STOPS, *TAKES):
            raise Refused(-1116, "Invalid orderType.")
        given = {**about, "newClientOrderId": about.get("clientAlgoId", ""), "stopPrice": about.get("triggerPrice", "0")}
        algo = self._admitted(symbol, given, FIRST_ALGO + len(self.algos))
        if any(o.open and o.client == algo.client for o in self.algos):
            raise self.refused("twice")
        if algo.closes and any(o.open and o.closes and (o.symbol, o.side) == (symbol, algo.side) and
                               (o.type in STOPS) == (algo.type in STOPS) for o in self.algos):  # fmt: skip
            raise Refused(-4130, "An open stop or take profit order with GTE and closePosition in the direction is existing.")
        self.algos.append(algo)
        self._say(algo_update(algo, None, self.now()))
        return algo

    def _admitted(self, symbol: str, about: dict[str, str], number: int = 0) -> Order:
        if self.hedged or about.get("positionSide", "BOTH") != "BOTH":
            raise Refused(-4061, "Order's position side does not match user's setting.")
        return self._checked(symbol, about, number)

    def find_algo(self, symbol: str | None, algo_id: str | None, client: str | None) -> Order:
        """A conditional order by the exchange's id or by ours. Raises Refused for one that is not there."""
        self.advance()
        return self._among(self.algos, symbol, algo_id, client)

    def cancel_algo(self, symbol: str | None, algo_id: str | None, client: str | None) -> Order:
        """Takes a conditional order off. Raises Refused where it is not open."""
        algo = self._open_among(self.algos, symbol, algo_id, client)
        self._end_algo(algo, "CANCELED", self.now())
        return algo

    def became(self, algo: Order) -> Order | None:
        """The ordinary order that a conditional one has become."""
        return self.orders[algo.became - 1] if algo.became else None

    def deleverage(self, symbol: str, quantity: Decimal) -> None:
        """The exchange takes so much of a position at its mark, as it does when others cannot pay."""
        self.advance()
        self._close(symbol, quantity, self.mark(symbol), self.now(), DELEVERAGED)

    # -- what is its own way -------------------------------------------------------------------------------------------------

    def _watched(self) -> set[str]:
        """See `AccountCore._watched`."""
        held = {symbol for symbol, position in self.positions.items() if position.amount}
        return super()._watched() | held | {algo.symbol for algo in self.algos if algo.open}

    def _most(self, order: Order) -> Decimal:
        """See `AccountCore._most`."""
        return min(order.left, max(ZERO, -order.sign * self.position(order.symbol).amount)) if order.reduces else order.left

    def _settle(self, order: Order, price: Decimal, quantity: Decimal, time: int) -> tuple[Decimal, str, Decimal]:
        """See `AccountCore._settle`."""
        held = self.position(order.symbol)
        closing = min(quantity, max(ZERO, -order.sign * held.amount))
        realized = ZERO
        if closing:
            part = held.cost * closing / abs(held.amount)
            realized = (-order.sign * closing * price - part).quantize(EIGHT)
            held.amount, held.cost = held.amount + order.sign * closing, held.cost - part
        held.amount += order.sign * (quantity - closing)
        held.cost += order.sign * (quantity - closing) * price
        if not held.amount:
            held.cost, held.warned = ZERO, False
        rate = self.rate + (self.liquidation_rate if order.client.startswith(LIQUIDATED) else ZERO)
        fee = (price * quantity * rate).quantize(EIGHT)
        self.free[self.quote_asset] = self.wallet + realized - fee
        return fee, self.quote_asset, realized

    def _fill(self, order: Order, price: Decimal, quantity: Decimal, time: int, maker: bool) -> None:
        count = len(self.trades)
        super()._fill(order, price, quantity, time, maker)
        if len(self.trades) == count:
            return
        self._say(account_update(self, "ORDER", order.symbol, time))
        for other in [o for o in self.orders if o.symbol == order.symbol and o.open and o.reduces]:
            if self._most(other) <= 0:
                self._end(other, "EXPIRED", time)
        if not self.position(order.symbol).amount:
            for algo in [o for o in self.algos if o.symbol == order.symbol and o.open and o.closes]:
                self._end_algo(algo, "EXPIRED", time)

    def _tell(self, order: Order, what: str, trade: Trade | None = None) -> None:
        """See `AccountCore._tell`."""
        self._say(order_update(order, what, trade, self.now()))

    def _say(self, message: dict[str, Any]) -> None:
        for listener in list(self.listeners):
            listener(message)

    def _end_algo(self, algo: Order, status: str, time: int) -> None:
        algo.status, algo.updated = status, time
        self._say(algo_update(algo, None, time))

    # -- as time passes ------------------------------------------------------------------------------------------------------

    def advance(self, to: int | None = None) -> None:
        """See `AccountCore.advance`."""
        self._last.clear()
        super().advance(to)

    def _before(self, symbol: str, time: int, price: Decimal) -> None:
        """See `AccountCore._before`: funding, and conditional orders that are reached."""
        self._fund(time)
        self._last[symbol] = price
        for algo in [o for o in self.algos if o.symbol == symbol and o.open and o.time < time]:
            if algo.open and self.triggers(algo, price):
                self._trigger(algo, time, price)

    def _after(self, symbol: str, time: int, price: Decimal) -> None:
        """See `AccountCore._after`: margin."""
        held = {name: position for name, position in self.positions.items() if position.amount}
        if not held:
            return
        equity, least = self.equity(time), sum((self.maintained(name, time) for name in held), ZERO)
        if equity <= least:
            self._liquidate(time)
        elif equity <= least * WARNED and not held[min(held)].warned:
            for name in held:
                held[name].warned = True
            self._say(margin_call(self, sorted(held), time))

    def _reached(self, time: int) -> None:
        """See `AccountCore._reached`."""
        self._fund(time)

    def _fund(self, until: int) -> None:
        while (at := (self._funded // self.funding_every + 1) * self.funding_every) <= until:
            self._funded = at
            for symbol, held in self.positions.items():
                if held.amount:
                    paid = -(held.amount * self.tape.last(symbol, at) * funding_rate(symbol, at)).quantize(EIGHT)
                    self.free[self.quote_asset] = self.wallet + paid
                    self.income.append(Income(len(self.income) + 1, symbol, paid, at))
                    self._say(account_update(self, "FUNDING_FEE", symbol, at))

    def _trigger(self, algo: Order, time: int, price: Decimal) -> None:
        quantity = abs(self.position(algo.symbol).amount) if algo.closes else algo.quantity
        if self._most(algo) <= 0 and not algo.closes:
            self._end_algo(algo, "EXPIRED", time)
            return
        number = len(self.orders) + 1
        kind = "LIMIT" if algo.type in self.limits else "MARKET"
        order = Order(
            algo.symbol, number, algo.client if self.named else f"reached{algo.id}", algo.side, kind, algo.tif, quantity,
            algo.price, algo.stop, time, updated=time, reduces=algo.reduces, origin=algo.type,
        )  # fmt: skip
        algo.status, algo.updated, algo.became = "TRIGGERED", time, number
        told = self.chance.random() < 0.5
        if told:
            self._say(algo_update(algo, order, time))
        self._enter(order, (time, price))
        if not told:  # its fills came first
            self._say(algo_update(algo, order, time))

    def _liquidate(self, time: int) -> None:
        for order in [o for o in self.orders if o.open]:
            self._end(order, "CANCELED", time)
        for algo in [o for o in self.algos if o.open]:
            self._end_algo(algo, "CANCELED", time)
        for symbol, held in self.positions.items():
            if held.amount:
                self._close(symbol, abs(held.amount), self.mark(symbol, time), time, f"{LIQUIDATED}{time}")

    def _close(self, symbol: str, quantity: Decimal, price: Decimal, time: int, client: str) -> None:
        """An order of the exchange's own."""
        side = "SELL" if self.position(symbol).amount > 0 else "BUY"
        order = Order(
            symbol, len(self.orders) + 1, client, side, "LIMIT", "IOC", quantity, price, ZERO, time, updated=time, reduces=True
        )
        self.orders.append(order)
        self._tell(order, "NEW")
        self._fill(order, price, quantity, time, False)
