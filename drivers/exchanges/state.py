"""All that a gateway must not forget, with what has changed since it was last written."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from drivers.exchanges.legs import Book, Leg, as_values, from_values
from drivers.venues.base import ExecutionReport

KEPT_TRADES: Final = 2_000
"""Trade ids of each symbol that are remembered; what is older is not asked for."""
KEPT_ENDED: Final = 200
"""Orders, ours and the exchange's, that have ended and are found by name; late reports find older ones by their client id."""


class State:
    """Plain values. `change` is what was touched since the last call, for the journal; `take` applies it to another.

    nonce: of the client ids. sent: intents that were taken. position: signed base units. cash: quote currency that the fills
    have moved. opened_by: the entry that opened a position. numbers: fills of each symbol. trades: ids that were booked. since:
    time of the last, ms. fees: of coins that are neither base nor quote: [amount, its worth]. baseline: what of each asset was
    on the account before, and is not ours. reports: not yet acted upon.
    """

    def __init__(self, nonce: str) -> None:
        self.nonce, self.sent = nonce, 0
        self.books: dict[int, Book] = {}
        self.legs: dict[str, Leg] = {}
        # of each symbol, those that something may still come of: each look goes through them, and through no others
        self._live_books: dict[str, dict[int, Book]] = {}
        self._under_way: dict[str, dict[str, Leg]] = {}
        self.position: dict[str, Decimal] = {}
        self.cash = Decimal(0)
        self.opened_by: dict[str, int] = {}
        self.numbers: dict[str, int] = {}
        self.trades: dict[str, dict[str, None]] = {}
        self.since: dict[str, int] = {}
        self.fees: dict[str, list[str]] = {}
        self.baseline: dict[str, str] = {}
        self.reports: list[ExecutionReport] = []
        self.last_report = 0
        self._touched: dict[int | str, None] = {}
        self._new_reports: list[ExecutionReport] = []
        self._new_trades: list[tuple[str, str]] = []
        self.dirty = False

    def touch(self, *records: Book | Leg) -> None:
        """They have changed, or are new."""
        for record in records:
            self._keep(record)
            self._touched[record.id if isinstance(record, Book) else record.client] = None
        self.dirty = True

    def _keep(self, record: Book | Leg) -> None:
        if isinstance(record, Book):
            self.books[record.id] = record
            books = self._live_books.setdefault(record.symbol, {})
            if record.live:
                books[record.id] = record
            else:
                books.pop(record.id, None)
        else:
            self.legs[record.client] = record
            legs = self._under_way.setdefault(record.symbol, {})
            if record.ask or not record.done_with:
                legs[record.client] = record
            else:
                legs.pop(record.client, None)

    def report(self, report: ExecutionReport) -> None:
        """For the engine to act upon."""
        self.reports.append(report)
        self._new_reports.append(report)
        self.last_report = report.time
        self.dirty = True

    def is_new_trade(self, symbol: str, trade_id: str) -> bool:
        """Whether it was not booked before; from now on it was."""
        known = self.trades.setdefault(symbol, {})
        if trade_id in known:
            return False
        known[trade_id] = None
        if len(known) > KEPT_TRADES:
            del known[next(iter(known))]
        self._new_trades.append((symbol, trade_id))
        self.dirty = True
        return True

    def acted(self, count: int) -> None:
        """So many of the reports have acted."""
        del self.reports[:count]

    def change(self) -> dict[str, Any]:
        """What has changed, as JSON has it."""
        found = {
            **self._sums(),
            "books": [as_values(self.books[key]) for key in self._touched if isinstance(key, int)],
            "legs": [as_values(self.legs[key]) for key in self._touched if isinstance(key, str)],
            "trades": [list(trade) for trade in self._new_trades],
            "reports": [list(report) for report in self._new_reports],
        }
        self._touched, self._new_reports, self._new_trades, self.dirty = {}, [], [], False
        return found

    def memory(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        self.prune()
        return {
            **self._sums(),
            "books": [as_values(book) for book in self.books.values()],
            "legs": [as_values(leg) for leg in self.legs.values()],
            "trades": [[symbol, trade] for symbol, known in self.trades.items() for trade in known],
            "reports": [list(report) for report in self.reports],
        }

    def take(self, found: dict[str, Any]) -> None:
        """Applies a change, or a memory."""
        self.nonce, self.sent, self.cash = found["nonce"], found["sent"], Decimal(found["cash"])
        self.position = {key: Decimal(value) for key, value in found["position"].items()}
        for name in ("opened_by", "numbers", "since", "fees", "baseline"):
            setattr(self, name, dict(found[name]))
        self.last_report = found["last_report"]
        for values in found["books"]:
            self._keep(from_values(Book, values))
        for values in found["legs"]:
            self._keep(from_values(Leg, values))
        for symbol, trade in found["trades"]:
            self.trades.setdefault(symbol, {})[trade] = None
        self.reports += [ExecutionReport(*values) for values in found["reports"]]

    def live(self, symbol: str) -> list[Leg]:
        """The legs of a symbol that may be at the exchange."""
        return [leg for leg in self._under_way.get(symbol, {}).values() if leg.live]

    def live_books(self, symbol: str) -> list[Book]:
        """Our orders of a symbol that may still fill."""
        return [book for book in self._live_books.get(symbol, {}).values() if book.live]

    def under_way(self) -> list[Leg]:
        """The legs that are not done with, or are to be asked for."""
        return [leg for legs in self._under_way.values() for leg in legs.values()]

    def legs_of(self, book: Book) -> list[Leg]:
        """The legs of an order of ours that are not done with."""
        return [leg for leg in self._under_way.get(book.symbol, {}).values() if leg.owner == book.id]

    def prune(self) -> None:
        """Forgets what ended long ago."""
        under_way = {leg.owner for leg in self.legs.values() if not leg.done_with}
        ended = [book.id for book in self.books.values() if not book.live and book.id not in under_way]
        for order_id in ended[:-KEPT_ENDED]:
            del self.books[order_id]
        for client in [leg.client for leg in self.legs.values() if leg.done_with][:-KEPT_ENDED]:
            del self.legs[client]

    def _sums(self) -> dict[str, Any]:
        return {
            "nonce": self.nonce, "sent": self.sent, "cash": str(self.cash), "opened_by": self.opened_by,
            "position": {key: str(value) for key, value in self.position.items()}, "numbers": self.numbers,
            "since": self.since, "fees": self.fees, "baseline": self.baseline, "last_report": self.last_report,
        }  # fmt: skip
