"""The order book of a stream as bars show it: the last state of each bar, its age, and the order flow within."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.data.aggregate import BookBars, add_snapshots, book_bars, carry_books
from dataflows.panel import Floats

REMEMBERED: Final = 128
"""Update ids of which the levels are remembered, to be compared with a snapshot of the same id."""
KEPT: Final = 8
_ROW: Final = np.zeros(1, np.int64)


class Levels(NamedTuple):
    """A book at the close of a bar: (D,) each, NaN where unknown. ofi: base units. age: bars."""

    bid_price: Floats
    bid_size: Floats
    ask_price: Floats
    ask_size: Floats
    ofi: Floats
    age: float


def unknown(depth: int) -> Levels:
    """A book of which nothing is known."""
    nothing = np.full(depth, np.nan)
    return Levels(nothing, nothing, nothing, nothing, nothing, math.nan)


Side = Sequence[Sequence[float]]
"""Levels, the best first: price and size of each."""


@dataclass
class SymbolBook:
    """One symbol's book from state to state. depth: levels that are shown. step: ns.

    Out of step means unknown: no level is shown until the book is whole again, and no order flow is measured across the gap.
    """

    depth: int
    step: int
    whole: bool = False
    crossed: int = 0  # states with the best bid at or above the best ask
    compared: int = 0  # snapshots that were compared
    _close: int = 0  # of the bar under construction
    _bars: BookBars = field(init=False)
    _done: dict[int, Levels] = field(default_factory=dict)
    _remembered: OrderedDict[int, tuple[Side, Side]] = field(default_factory=OrderedDict)
    _awaited: tuple[int, Side, Side] | None = None

    def __post_init__(self) -> None:
        self._bars = book_bars(1, 1, self.depth)

    def state(self, time: int, nonce: int | None, bids: Side, asks: Side) -> bool:
        """The book at a time (UTC ns), after the update `nonce`. False: it cannot be right, and is unknown from now on."""
        top_bids, top_asks = [tuple(x[:2]) for x in bids[: self.depth]], [tuple(x[:2]) for x in asks[: self.depth]]
        if not top_bids or not top_asks or not top_bids[0][0] < top_asks[0][0]:
            self.crossed += 1
            self.lost()
            return False
        if nonce is not None:
            self._remembered[nonce] = top_bids, top_asks
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        self._roll(-(-time // self.step) * self.step)
        time = max(time, int(self._bars.last_time[0]))
        levels = np.full((4, 1, self.depth), np.nan)
        for k, side in enumerate((top_bids, top_asks)):
            found = np.array(side)
            levels[2 * k, 0, : len(found)], levels[2 * k + 1, 0, : len(found)] = found[:, 0], found[:, 1]
        add_snapshots(np.array([time]), _ROW, _ROW, levels[0], levels[1], levels[2], levels[3], self._bars)
        self.whole = True
        if self._awaited is not None and nonce is not None and nonce >= self._awaited[0]:
            (wanted, theirs_bids, theirs_asks), self._awaited = self._awaited, None
            if nonce == wanted and not self._same(nonce, theirs_bids, theirs_asks):
                self.lost()
                return False
        return True

    def lost(self) -> None:
        """Out of step: unknown until the next state."""
        self.whole = False
        self._remembered.clear()
        self._awaited = None
        last = self._bars.last_time.copy()
        self._bars = book_bars(1, 1, self.depth)
        self._bars.last_time[:] = last

    def compare(self, nonce: int, bids: Side, asks: Side) -> bool | None:
        """Whether a snapshot by REST shows the same levels at the same update; None: that update is not known, or not yet."""
        if nonce in self._remembered:
            return self._same(nonce, bids, asks)
        if self._remembered and nonce > next(reversed(self._remembered)):
            self._awaited = nonce, bids, asks
        return None

    def _same(self, nonce: int, bids: Side, asks: Side) -> bool:
        self.compared += 1
        ours = self._remembered[nonce]
        return all(
            [tuple(x[:2]) for x in theirs[: self.depth]] == list(mine)[: len(theirs)]
            for theirs, mine in zip((bids, asks), ours, strict=True)
        )

    def at(self, close: int) -> Levels:
        """The book as of a close, UTC ns. What is older is forgotten."""
        if self._close <= close:
            self._roll(close)
            found = self._shown(close)
        else:
            found = self._done.get(close, unknown(self.depth))
        for old in [c for c in self._done if c <= close]:
            del self._done[old]
        return found

    def _roll(self, close: int) -> None:
        """The bar under construction is the one that closes then."""
        if close <= self._close:
            return
        if self._close:
            self._done[self._close] = self._shown(self._close)
            before = self._bars
            self._bars = book_bars(1, 1, self.depth)
            for name in ("previous", "seen", "last_time"):
                getattr(self._bars, name)[:] = getattr(before, name)
            if self.whole:
                last: Any = self._done[self._close]
                self._bars.before[:, 0, :] = np.stack(last[:4])
                self._bars.before_taken[0] = before.last_time[0]
            while len(self._done) > KEPT:
                del self._done[next(iter(self._done))]
        self._close = close

    def _shown(self, close: int) -> Levels:
        if not self.whole:
            return unknown(self.depth)
        bars = BookBars._make([panel.copy() for panel in self._bars])
        age = carry_books(np.array([close]), self.step, bars)
        bid_price, bid_size, ask_price, ask_size, ofi = (panel[0, 0] for panel in bars[:5])
        return Levels(bid_price, bid_size, ask_price, ask_size, ofi, float(age[0, 0]))
