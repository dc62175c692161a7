"""The port to a venue: what a run tells it, and what it hears from it.

A venue that is simulated is a layer (L90) and needs no port. Under `variants: {venue: live}` the reports come from outside: a
driver fulfils `Venue`, and the stream that runs the graph sends the orders of each instant to it and hands its reports to the
layers.

Times are UTC ns, quantities signed base units (+ buys), prices and money in quote currency. NaN: there is none, or it is not
known. Codes are those of `dataflows.execution.types`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from dataflows.execution.types import TAKER

NAN = float("nan")


class VenueRefusal(ValueError):
    """The venue cannot be used as asked. The message names the cure."""


class NewOrder(NamedTuple):
    """An order to place. The venue keeps its bracket: the first fill of an entry brings the stop (id + 1) and the target (id +
    2) to life, each for the whole position."""

    symbol: str
    id: int  # ours; reports name it
    parent: int  # the entry whose position this order closes; 0: none
    type: int  # MARKET, LIMIT, POST_ONLY, STOP_MARKET, STOP_LIMIT or TAKE_PROFIT
    quantity: float
    limit_price: float
    stop_price: float  # trigger of STOP_MARKET and STOP_LIMIT
    reduce_only: bool
    time_in_force: int  # GTC, IOC or FOK
    lifetime: float  # bars until it expires (GTD); 0: good till canceled
    bracket_stop: float  # price of the stop that goes live with the first fill
    bracket_limit: float  # limit of that stop, which is then a STOP_LIMIT; NaN: a STOP_MARKET
    bracket_target: float
    decision_time: int  # of the close that decided
    decision_price: float = NAN  # mark then


class ExecutionReport(NamedTuple):
    """What the venue says of an order, or (order 0) of a position that it has closed by itself, or of funding.

    fill_id: of each symbol's fills and payments of funding, numbered 1, 2, 3 … as the driver first sees them; one that is
    reported twice has one number.
    """

    time: int
    kind: int  # ACCEPT, REJECT, CANCELED_EVENT, EXPIRE, FILL, CANCEL_REJECT or FUNDING
    symbol: str
    id: int  # of the order; 0: the venue's own
    fill_id: int = 0
    quantity: float = 0.0
    price: float = NAN
    fee: float = 0.0  # of FUNDING what was paid, negative: received
    liquidity: int = TAKER  # or MAKER
    reference_price: float = NAN  # open, limit or trigger: what the price would be without slippage
    touch_price: float = NAN  # the reference, moved by half the spread
    reason: int = 0  # an index of REJECTIONS
    fee_base: float = 0.0  # base units that the fee took from what was bought
    venue_position: float = NAN  # after the report, as the venue counts it
    venue_cash: float = NAN


class Snapshot(NamedTuple):
    """The account as the venue states it. A symbol that is not named is flat and has no order."""

    time: int  # as of when
    position: Mapping[str, float]
    open_orders: Mapping[str, int]  # ours that may still fill, resting stops and targets included
    cash: float
    unknown_orders: Mapping[str, int] = {}  # there, with an id of ours, and not known to us
    missing_orders: Mapping[str, int] = {}  # ours, and not there


class Venue(Protocol):
    """A connection to one account at one venue.

    Calls come from one thread and return without waiting for the outcome: that comes as reports. What cannot be told (a
    connection that breaks while an order leaves) is neither a refusal nor a fill: the driver asks until it knows, and reports
    then.
    """

    def submit(self, order: NewOrder) -> None:
        """Places an order. One whose id was submitted before is the same order."""

    def cancel(self, symbol: str, order_id: int) -> None:
        """Asks for an order to be canceled; CANCEL_REJECT reports that it cannot."""

    def modify(self, symbol: str, order_id: int, *, limit_price: float, stop_price: float, quantity: float) -> None:
        """Changes a resting order: of a STOP_MARKET its trigger, of a STOP_LIMIT its trigger and its limit, of any other its
        limit (NaN: as it is), and the quantity of the whole order, signed (0: as it is; never more than it was).
        CANCEL_REJECT reports that it cannot."""

    def events(self, until: int) -> Iterable[ExecutionReport]:
        """The reports up to a time that were not handed over before, by time."""

    def snapshot(self, at: int) -> Snapshot | None:
        """The latest statement of the account up to a time; None before the first. Never waits for one."""

    def close(self) -> None:
        """Ends the connection. Orders and positions stay as they are."""


class KeptVenue(Venue, Protocol):
    """A venue that keeps what it must not forget in the stream's journal.

    note: writes a record to the journal and says whether it could; the second argument asks for it to be on the disk.
    """

    note: Callable[[Mapping[str, Any], bool], bool]

    @property
    def sent(self) -> int:
        """Orders, cancels and changes that it has been told so far."""

    def flush(self) -> None:
        """What it was told since the last call leaves, once that is in the journal."""

    def memory(self) -> dict[str, Any]:
        """All that it knows, as JSON has it, for the beginning of a segment of the journal, or a checkpoint."""

    def recover(self, change: Mapping[str, Any]) -> None:
        """Takes a memory, or a record that it wrote since."""

    def acted(self, count: int) -> None:
        """So many of the reports that were recovered have acted before."""

    def begin(self) -> None:
        """Once, when the journal is there: what was under way is resolved, and the account is read. Raises VenueRefusal."""

    def stop(self) -> bool:
        """The stream is about to end: entries are canceled. True: positions are to be closed first."""

    @property
    def at_rest(self) -> bool:
        """Whether nothing is under way; after a `stop` that closes positions, whether they are closed."""
