"""What the gateway knows of its orders: ours (`Book`), and what stands for them at the exchange (`Leg`).

One order of ours may be several at the exchange, one after another (a stop that was moved) or side by side (a stop for each
partial fill of its entry). All of it is plain values, so that a journal can hold it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final, TypeVar

ENTRY: Final = "entry"
EXIT: Final = "exit"
STOP: Final = "stop"
TARGET: Final = "target"

SENT: Final = "sent"  # it leaves, or has left
UNKNOWN: Final = "unknown"  # whether it arrived is not known, and is asked
OPEN: Final = "open"
DONE: Final = "done"

T = TypeVar("T", bound="Book | Leg")
_HAIR: Final = Decimal("1e-7")
"""Of a step: what floating point may have added or taken."""


@dataclass
class Book:
    """An order of ours. Quantities are signed decimals in text, prices text, empty where there is none; times UTC ns.

    ends: the code of EVENTS with which it ended, -1: it lives. cancel: what it is to be reported as once its legs are gone, and
    why. told: it was reported as accepted. changing: a change was asked for and is not in force yet.
    """

    id: int
    symbol: str
    role: str
    kind: str
    quantity: str
    limit: str
    trigger: str
    tif: str
    parent: int
    decided: int
    expires: int
    bracket_stop: str
    bracket_limit: str
    bracket_target: str
    price: float  # when it was decided
    filled: str = "0"
    attempts: int = 0
    told: bool = False
    ends: int = -1
    cancel: int = -1
    reason: int = 0
    changing: bool = False
    trouble: int = 0  # since when it has been refused, UTC ns
    wait: int = 0  # not before, UTC ns
    silent: bool = False  # a bracket that came back after it had ended; for the layers it has
    market: bool = False  # a stop or a target that goes to the market now
    adopted: bool = False  # it was there before the stream, and the layers do not know it

    @property
    def left(self) -> Decimal:
        """Signed quantity that is not filled."""
        return Decimal(self.quantity) - Decimal(self.filled)

    @property
    def live(self) -> bool:
        """Whether it may still fill."""
        return self.ends < 0


@dataclass
class Leg:
    """An order at the exchange. quantity: unsigned; price, trigger: empty where there is none. twin: client id of the other
    order of its list. filled: by trades; stated: as the exchange says."""

    client: str
    owner: int
    symbol: str
    kind: str  # market, limit, post_only, stop, stop_limit, target
    side: str
    quantity: str
    price: str
    trigger: str
    tif: str
    sent: int
    twin: str = ""
    state: str = SENT
    venue_id: str = ""
    filled: str = "0"
    stated: str = "0"
    ended: str = ""  # canceled, expired, closed, rejected, or lost: it never arrived
    said: str = ""
    reason: int = 0
    canceling: bool = False
    doubted: bool = False  # it may have ended without a word
    ask: int = 0  # when to ask for it, UTC ns
    asks: int = 0
    immediate: bool = False
    reduces: bool = False  # it may only lessen a position
    algo: bool = False  # a conditional order that rests apart; once it is reached, `venue_id` is that of what it became

    @property
    def left(self) -> Decimal:
        """What may still trade."""
        return Decimal(self.quantity) - Decimal(self.filled) if self.state != DONE else Decimal(0)

    @property
    def live(self) -> bool:
        """Whether it may be at the exchange."""
        return self.state != DONE

    @property
    def settled(self) -> bool:
        """Whether it has ended and all its trades are known."""
        return self.state == DONE and Decimal(self.filled) >= Decimal(self.stated)

    @property
    def done_with(self) -> bool:
        """Whether what its end means for its order has been drawn, too."""
        return self.settled and self.ended.startswith("+")


def as_values(record: Book | Leg) -> dict[str, Any]:
    """A record as JSON has it."""
    return asdict(record)


def from_values(kind: type[T], values: dict[str, Any]) -> T:
    """The record of `as_values`."""
    known = {field.name for field in fields(kind)}
    return kind(**{key: value for key, value in values.items() if key in known})


def stepped(value: float | Decimal, step: Decimal, up: bool) -> Decimal:
    """The multiple of a step at or above (`up`), else at or below a value; what floating point has added is not counted."""
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    if step <= 0:
        return exact
    count = exact / step
    near = count.to_integral_value()
    if abs(count - near) <= _HAIR:
        return near * step
    return count.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * step


def text(value: Decimal) -> str:
    """A decimal as exchanges take it: no exponent, no zeros at the end."""
    written = f"{value:f}"
    return written.rstrip("0").rstrip(".") if "." in written else written
