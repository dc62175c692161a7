"""What a watchdog must not forget: what it is about to do, and every order before it leaves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from drivers.files.atomic import sync, write_atomic


@dataclass
class Sale:
    """An order of the watchdog that closes a position. sent: UTC ns. journal: the position that the stream's journal told of
    then. filled: of it, as the exchange says. resolved: what became of it is known. fills: how many of the symbol the journal
    told of then; -1: not noted."""

    client: str
    name: str  # of the symbol, ours
    side: str
    quantity: str
    sent: int
    journal: str
    filled: str = "0"
    resolved: bool = False
    fills: int = -1


@dataclass
class Notebook:
    """path: its file; nonce: of the stream's client ids, another stream begins another page. action: under way, or empty; why:
    in words; halted: HALT stands in the operator file for it. number: of its next order; without a file that says it, the
    numbers begin at the time, UTC seconds, so that a file that is lost or damaged repeats no client id. say: told when the disk
    fails: it goes on then, for an exit is worth more than a record."""

    path: Path
    say: Callable[[str], None] = lambda text: None
    nonce: str = ""
    action: str = ""
    why: str = ""
    halted: bool = False
    number: int = field(default_factory=lambda: int(time.time()))
    sales: list[Sale] = field(default_factory=list)

    def recall(self) -> None:
        """What an earlier process has written."""
        try:
            found: dict[str, Any] = json.loads(self.path.read_text(encoding="utf-8"))
            sales = [Sale(**sale) for sale in found.pop("sales")]
            values = {name: found[name] for name in ("nonce", "action", "why", "halted", "number")}
        except FileNotFoundError:
            return
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            self.say(f"the notebook {self.path.name} cannot be read ({type(error).__name__}); it begins again")
            return
        for name, value in values.items():
            setattr(self, name, value)
        self.sales = sales

    def turn_to(self, nonce: str) -> None:
        """The page of a stream. The numbers go on, so that no client id is used twice."""
        if nonce != self.nonce:
            self.nonce, self.action, self.why, self.halted, self.sales = nonce, "", "", False, []
            self.write()

    def forget(self, booked: Callable[[Sale], bool]) -> None:
        """Drops the sales of which everything is known, and which the stream's journal tells of."""
        left = [sale for sale in self.sales if not (sale.resolved and booked(sale))]
        if len(left) < len(self.sales):
            self.sales = left
            self.write()

    def write(self) -> None:
        """On the disk when it returns, unless the disk fails."""
        about = {name: getattr(self, name) for name in ("nonce", "action", "why", "halted", "number")}
        try:
            write_atomic(self.path, json.dumps({**about, "sales": [asdict(sale) for sale in self.sales]}, indent=1) + "\n")
            sync(self.path)
            sync(self.path.parent)
        except OSError as error:
            self.say(f"the notebook {self.path.name} cannot be written ({(error.strerror or 'unknown reason').lower()})")
