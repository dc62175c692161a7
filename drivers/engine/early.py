"""The early forms of epoch layers: they take the bars of an epoch as it goes on, so that its end does not wait for all of them.

They run over `EARLY_BARS` bars of the records at a time, wherever chunks were cut: what a layer remembers depends on how many
bars have been, and on nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from dataflows.panel import Ints, is_log
from drivers.engine.chunk import cut
from drivers.graph.layers import PlanError

if TYPE_CHECKING:
    from drivers.engine.engine import Engine

EARLY_BARS: Final = 128
"""Few enough that a bar can wait for them, and so many that one bar in a hundred has to."""
CLOCK: Final = "clock"


class EarlyBars:
    """Which bars of an engine's epoch the early forms have taken."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._forms = [node.early for node in engine.plan.stage["epoch"] if node.early is not None]
        self._types: dict[str, Any] = {}
        for p in dict.fromkeys(p for form in self._forms for p in form.params):
            if p in engine.plan.epoch_needs:
                self._types[p] = engine.plan.type_of(p)
                if is_log(self._types[p]):
                    raise PlanError(f"an early form takes {p}, which is a log; logs are for the layer itself")
        self.begin()

    def begin(self) -> None:
        """Starts with the engine's records as they are: those of an epoch that has begun, or none."""
        self._bars = self._taken = self._part = self._row = 0
        if self._forms and self._engine.records[CLOCK]:
            self._bars = sum(int(np.count_nonzero(part.is_bar)) for part in self._engine.records[CLOCK])
            for _ in self._next(self._bars - self._bars % EARLY_BARS):
                pass  # these were taken before

    def saw(self, bars: int) -> None:
        """So many bars more are in the records, or will be when these are settled."""
        if not self._forms:
            return
        self._bars += bars
        due = self._bars - self._bars % EARLY_BARS - self._taken
        if due == 0:
            return
        self._engine.settle()
        for part, a, b in self._next(due):
            records = self._engine.records
            values = {p: cut(records[p][part], annotation, a, b) for p, annotation in self._types.items()}
            for form in self._forms:
                form.fn(*[values[p] if p in values else self._engine._fixed[p] for p in form.params])

    def _next(self, bars: int) -> list[tuple[int, int, int]]:
        """Where the next bars are, by part of the records: its number, first and end row. They count as taken."""
        found = []
        while bars:
            rows: Ints = np.flatnonzero(self._engine.records[CLOCK][self._part].is_bar[self._row :])[:bars]
            if len(rows):
                end = self._row + int(rows[-1]) + 1
                found.append((self._part, self._row, end))
                self._row, self._taken, bars = end, self._taken + len(rows), bars - len(rows)
            if bars:
                self._part, self._row = self._part + 1, 0
        return found
