"""The port to market data: what a run asks of whatever its bars come from.

Recorded data (`Dataset`), the simulator (`simulated_feed`) and a journal (`JournalFeed`) fulfil it, and so can a live
connection: a run reads forward only, and need not know how much is to come.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol, TypeAlias

from dataflows.data.types import Instruments
from dataflows.spans import BarClock
from drivers.engine.chunk import Chunk, Instant

DAY: int = 86_400_000_000_000


class Quiet(NamedTuple):
    """Nothing has come until a time (UTC ns), and nothing will that is of an earlier one: the market is open, or closed, and
    says nothing. A live feed hands it out while it waits, so that a run can act on the operator's word and on silence."""

    until: int


Delivered: TypeAlias = Chunk | Instant | Quiet


class Feed(Protocol):
    """Market data of a fixed list of symbols, delivered in order of time."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the columns, sorted."""

    @property
    def instruments(self) -> Instruments:
        """Facts of the instruments, which hold for the whole run."""

    @property
    def clock(self) -> BarClock:
        """How long a bar is, and how many there are in a day and a week."""

    @property
    def depth(self) -> int:
        """Book levels; 1 where there is no book."""

    @property
    def digest(self) -> str:
        """SHA-256 of what it delivers; empty where that is not known beforehand."""

    def deliver(self, *, after: int = 0, most: int = 1, epoch_ns: int = DAY) -> Iterator[Delivered]:
        """What comes after a time (UTC ns): chunks of at most `most` bars of which none straddles an epoch, in the form in
        which the engine takes them, and instants between them. It ends where there is no more; a live feed's does not."""

    def remaining(self, after: int = 0) -> int | None:
        """How many bars come after a time; None where nobody knows."""

    def about(self) -> dict[str, Any]:
        """What a run's `run.json` says of it, as JSON has it: at least `data`, its name, and `source`."""

    def notes(self) -> list[str]:
        """What a reader of the results must know of the data, a sentence each."""

    def close(self) -> None:
        """Gives back what it holds. Nothing is delivered after that."""


def step_of(feed: Feed) -> int:
    """The length of a bar, ns."""
    return feed.clock.seconds * 1_000_000_000
