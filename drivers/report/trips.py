"""Round trips: from a flat position to a flat position, put together from the fills.

A fill that turns a position over closes one trip and opens the next, its fee shared by quantity. The money of a trip is what
its fills paid and received; what funding its position paid stands beside it. So, to rounding:

    change of the account = trips' profit + what is open + (- funding)
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dataflows.execution.order_table import moved
from dataflows.runtime.compile import python_of
from drivers.report.account import Account
from drivers.report.scan import holds, panels
from drivers.store.contracts import Contracts
from drivers.store.reader import RecordedRun

_FILL: Final = ("order_id", "side", "price", "quantity", "fee", "liquidity", "reference_price")
_ORDER: Final = ("order_id", "type", "status", "reason", "end_reason")
_FUNDING: Final = "symbol_funding"
_FEE_BASE: Final = "fee_base"
_moved = python_of(moved)


@dataclass(slots=True)
class Fill:
    """One fill, with what its order says. quantity: signed, without what the fee took of a purchase; that is in `fee`."""

    symbol: int
    time: int  # UTC ns
    quantity: float
    price: float
    fee: float
    reference: float  # NaN: not known
    liquidity: str
    order: str
    decided: int  # UTC ns of the close that decided; 0: before this run
    type: str
    reason: str  # names of the gate's reasons, joined by |; "": approved as proposed
    unit: float  # notional of one unit
    value: float  # what one unit was booked at
    reference_value: float  # the same at the reference price
    after: float = math.nan  # the position then

    notional: float = field(init=False)
    """In the account's currency."""
    slippage: float = field(init=False)
    """What the fill cost against its reference price, in the account's currency; 0 where that is not known."""

    def __post_init__(self) -> None:
        cost = self.quantity * (self.value - self.reference_value)
        self.notional, self.slippage = abs(self.quantity) * self.unit, cost if math.isfinite(cost) else 0.0


@dataclass(slots=True)
class Trip:
    """One round trip, or a position that is still open. Money in the account's currency."""

    symbol: int
    side: int  # 1 long, -1 short
    entry_time: int  # UTC ns
    decided: int  # UTC ns of the close that decided to open it; 0: before this run
    exit_time: int = 0  # 0: still open
    entry_reason: str = ""
    exit_reason: str = ""
    exit_type: str = ""
    entry_order: str = ""  # the order whose fill opened it; "": before this run
    exit_order: str = ""  # the order whose fill closed it; "": still open
    bought: float = 0.0  # units that opened or added, positive
    sold: float = 0.0  # units that closed
    entry_notional: float = 0.0
    entry_sum: float = 0.0  # of quantity times price
    exit_sum: float = 0.0
    entry_value: float = 0.0  # of quantity times what a unit was booked at
    exit_value: float = 0.0
    fees: float = 0.0
    slippage: float = 0.0
    funding: float = 0.0  # paid while it was held; 0 too where the run did not keep it by symbol
    fills: int = 0
    adverse_bps: float = math.nan  # furthest against us while held, at most 0 (excursions.py)
    favourable_bps: float = math.nan  # furthest with us, at least 0

    @property
    def entry_price(self) -> float:
        """Mean of what opened it."""
        return self.entry_sum / self.bought if self.bought else math.nan

    @property
    def exit_price(self) -> float:
        """Mean of what closed it; NaN while nothing did."""
        return self.exit_sum / self.sold if self.sold else math.nan

    @property
    def gross(self) -> float:
        """Profit before fees of what was closed."""
        return self.side * (self.exit_value - self.sold * (self.entry_value / self.bought)) if self.sold else 0.0

    @property
    def profit(self) -> float:
        """After fees, before funding."""
        return self.gross - self.fees

    @property
    def bps(self) -> float:
        """Profit over what was paid to open it."""
        return self.profit / self.entry_notional * 1e4 if self.entry_notional > 0.0 else math.nan


@dataclass(frozen=True)
class TradeHistory:
    """All fills of a run in order, the trips that were closed and those still open, and orders by type and last status."""

    fills: list[Fill] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    open: list[Trip] = field(default_factory=list)
    orders: Counter[tuple[str, str]] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)  # the venue's reasons

    @cached_property
    def by_symbol(self) -> dict[int, list[Fill]]:
        """The fills of each symbol that was traded, by column."""
        found: dict[int, list[Fill]] = {}
        for fill in self.fills:
            found.setdefault(fill.symbol, []).append(fill)
        return found

    @cached_property
    def notional(self) -> float:
        """Traded."""
        return sum((f.notional for f in self.fills), 0.0)

    @cached_property
    def fees(self) -> float:
        """Paid on fills."""
        return sum((f.fee for f in self.fills), 0.0)

    @cached_property
    def slippage(self) -> float:
        """Against reference prices."""
        return sum((f.slippage for f in self.fills), 0.0)


def read_book(run: RecordedRun, account: Account | None) -> TradeHistory:
    """The fills of a run as trips. account: for positions from before the run (a stream that was gone on with)."""
    if not holds(run, "fills", _FILL) or not holds(run, "orders", _ORDER):
        return TradeHistory()
    table = run.table("orders", _ORDER)
    orders = _lists(table)
    told = {
        name: (stamp, kind, reason or "")
        for name, stamp, kind, reason in zip(*(orders[c] for c in ("order_id", "timestamp", "type", "reason")), strict=True)
    }
    counts = Counter(zip(orders["type"], orders["status"], strict=True))
    ends = Counter(reason for reason in orders["end_reason"] if reason)
    contracts = Contracts.of(run.about, len(run.symbols))
    fills = list(_fills(run, told, contracts))
    first_bar = account.clock.first if account is not None else 0
    trips: list[Trip] = []
    under_way: dict[int, Trip] = {}
    position = [0.0] * len(run.symbols)
    if account is not None:
        under_way, position = _carried(contracts, account, [f for f in fills if f.time <= first_bar])
    for fill in fills:
        before = position[fill.symbol]
        after = position[fill.symbol] = _moved(before, fill.quantity)
        fill.after = after
        if before != 0.0 and fill.quantity * before < 0.0:
            closed = abs(fill.quantity) if after * before > 0.0 or after == 0.0 else abs(before)
            trip = under_way[fill.symbol]
            _close(trip, fill, closed)
            if after * before <= 0.0:
                trip.exit_time, trip.exit_reason, trip.exit_type = fill.time, fill.reason, fill.type
                trip.exit_order = fill.order
                trips.append(under_way.pop(fill.symbol))
            if after * before < 0.0:
                under_way[fill.symbol] = _opened(fill, abs(after))
        elif before == 0.0:
            under_way[fill.symbol] = _opened(fill, abs(fill.quantity))
        else:
            _add(under_way[fill.symbol], fill, abs(fill.quantity))
    if account is not None and holds(run, "ledger", (_FUNDING,)):
        _share_funding(run, account, [*trips, *under_way.values()])
    return TradeHistory(fills, trips, list(under_way.values()), counts, ends)


def _share_funding(run: RecordedRun, account: Account, trips: Sequence[Trip]) -> None:
    """Funding is paid on what a bar is entered with: a trip pays from the bar after its entry to that of its exit."""
    clock = account.clock
    entries = np.maximum(0, clock.bar(np.array([t.entry_time for t in trips], np.int64)))  # 0: held since before the run
    exits = clock.bar_of_fill(np.array([t.exit_time or clock.last for t in trips], np.int64))
    symbols = np.array([t.symbol for t in trips], np.int64)
    for first, part in panels(run, "ledger", (_FUNDING,)):
        paid = part[_FUNDING]
        for bars, sign in ((exits, 1.0), (entries, -1.0)):
            here = np.flatnonzero((bars >= first) & (bars < first + len(paid)))
            for i in here.tolist():
                trips[i].funding += sign * float(paid[bars[i] - first, symbols[i]])


def _lists(table: pa.Table) -> dict[str, list[Any]]:
    """The columns as lists, times in UTC ns; None where a text is missing, NaN where a number is.

    Arrow's own way to lists makes a scalar of every cell, which takes thirty times as long.
    """
    lists: dict[str, list[Any]] = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_dictionary(column.type):
            column = column.cast(pa.string())
        elif pa.types.is_timestamp(column.type):
            column = column.cast(pa.int64())
        lists[name] = column.to_numpy().tolist()
    return lists


def _fills(run: RecordedRun, orders: dict[str, tuple[int, str, str]], contracts: Contracts) -> Iterator[Fill]:
    with_base = holds(run, "fills", (_FEE_BASE,))
    table = run.table("fills", (*_FILL, _FEE_BASE) if with_base else _FILL)
    column = {name: i for i, name in enumerate(run.symbols)}
    rows = _lists(table)
    base = rows.get(_FEE_BASE) or [0.0] * table.num_rows
    for stamp, symbol, fee_base, order, side, price, quantity, fee, liquidity, reference in zip(
        rows["timestamp"], rows["symbol"], base, *(rows[name] for name in _FILL), strict=True
    ):
        decided, kind, reason = orders.get(order, (0, "", ""))
        n, at = column[symbol], reference
        unit = contracts.notional(n, price)
        yield Fill(
            symbol=n,
            time=stamp,
            quantity=(quantity if side == "BUY" else -quantity) - fee_base,
            price=price,
            fee=fee + fee_base * unit,
            reference=at,
            liquidity=liquidity,
            order=order,
            decided=decided,
            type=kind,
            reason=reason,
            unit=unit,
            value=contracts.booked(n, price),
            reference_value=contracts.booked(n, at),
        )


def _carried(contracts: Contracts, account: Account, first: list[Fill]) -> tuple[dict[int, Trip], list[float]]:
    """Positions from before the run, at their average cost: what the ledger holds after the first bar, its fills undone.

    A fill that added moved the average (of an inverse contract the harmonic one); one that reduced did not. Where a fill turned
    the side over, the average before it is not known, and that of the new side stands for it.
    """
    position, average = np.array(account.first_position), np.array(account.first_average)
    for fill in reversed(first):
        k, after = fill.symbol, float(position[fill.symbol])
        before = after - fill.quantity
        position[k] = before if abs(before) > 1e-9 * abs(after) else 0.0
        if position[k] * after > 0.0 and abs(before) < abs(after):
            inverse = contracts.inverse[k]
            held, added = (1.0 / x if inverse else x for x in (float(average[k]), fill.price))
            was = (held * after - fill.quantity * added) / before
            average[k] = 1.0 / was if inverse else was
    trips = {}
    for n in np.flatnonzero(position):
        size, price = abs(float(position[n])), float(average[n])
        trip = Trip(int(n), 1 if position[n] > 0 else -1, account.clock.first - account.clock.step, 0)
        trip.bought, trip.entry_sum = size, size * price
        trip.entry_notional, trip.entry_value = size * contracts.notional(int(n), price), size * contracts.booked(int(n), price)
        trips[int(n)] = trip
    return trips, [float(p) for p in position]


def _opened(fill: Fill, quantity: float) -> Trip:
    trip = Trip(fill.symbol, 1 if fill.quantity > 0 else -1, fill.time, fill.decided, entry_reason=fill.reason)
    trip.entry_order = fill.order
    _add(trip, fill, quantity)
    return trip


def _add(trip: Trip, fill: Fill, quantity: float) -> None:
    trip.bought += quantity
    trip.entry_notional += quantity * fill.unit
    trip.entry_sum += quantity * fill.price
    trip.entry_value += quantity * fill.value
    _charge(trip, fill, quantity)


def _close(trip: Trip, fill: Fill, quantity: float) -> None:
    trip.sold += quantity
    trip.exit_sum += quantity * fill.price
    trip.exit_value += quantity * fill.value
    _charge(trip, fill, quantity)


def _charge(trip: Trip, fill: Fill, quantity: float) -> None:
    share = quantity / abs(fill.quantity)
    trip.fees += fill.fee * share
    trip.slippage += fill.slippage * share
    trip.fills += 1
