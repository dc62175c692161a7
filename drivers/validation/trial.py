"""What the properties are tested on: a plan and a market, and stretches of them that can be run again in another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from dataflows.boundary import Boundary
from dataflows.data.types import Observations
from dataflows.panel import Ints
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk, Outputs
from drivers.engine.engine import DAY_NS, Engine
from drivers.engine.plan import Plan
from drivers.validation.compare import Record


class TestedMarket(Protocol):
    """Market data on a clock, as `drivers.feeds.aligned.Dataset` holds them."""

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def time(self) -> Ints:
        """(T,) closes, UTC ns."""

    @property
    def depth(self) -> int:
        """Book levels."""

    def __len__(self) -> int: ...

    def rows(self, a: int, b: int) -> Observations:
        """The observations of rows a to b."""

    def inputs(self, observations: Observations) -> dict[str, Any]:
        """What the engine is handed with these observations, by name."""

    def cuts(self, max_bars: int, *, epoch_ns: int = DAY_NS) -> Iterator[tuple[int, int]]:
        """The (first, end) rows of successive chunks of at most so many bars, none in two epochs."""


@dataclass(frozen=True)
class Trial:
    """A plan and the market that it is tested on.

    static: values without a time axis by name (`instruments`). boundaries: the model of each domain. seed: of what is drawn at
    random.
    """

    plan: Plan
    market: TestedMarket
    static: Mapping[str, Any]
    boundaries: Mapping[str, type[Boundary]] = field(default_factory=dict)
    epoch_ns: int = DAY_NS
    seed: int = 1

    def engine(self, *, compiled: bool = True) -> Engine:
        """An engine that has not seen a bar, without guards: what breaks a boundary is a finding, not the end."""
        return Engine(
            self.plan, self.market.symbols, self.static, depth=self.market.depth, compiled=compiled, epoch_ns=self.epoch_ns
        )


@dataclass(frozen=True)
class Stretch:
    """Successive bars of the run, with what the engine remembered before them and what it made of them.

    edges: rows of the market at which the run cut them, first and end included. state: the checkpoint before the first bar;
    None where that is the first of all.
    """

    trial: Trial
    edges: tuple[int, ...]
    state: bytes | None
    outputs: Sequence[Outputs]

    @property
    def first(self) -> int:
        """Row of the market at which it begins."""
        return self.edges[0]

    @property
    def end(self) -> int:
        """Row after its last."""
        return self.edges[-1]

    @cached_property
    def record(self) -> Record:
        """What the run made of it."""
        return Record.of(self.trial.plan, self.outputs)

    @cached_property
    def observations(self) -> Observations:
        """Its market data."""
        return self.trial.market.rows(self.first, self.end)

    def draw(self, count: int, purpose: str) -> list[int]:
        """Rows of the market within the stretch, drawn at random, in order; the same ones for a seed, stretch and purpose."""
        rng = np.random.default_rng([self.trial.seed, self.first, *purpose.encode()])
        return sorted({int(r) for r in rng.integers(self.first + 1, self.end, count)}) if self.end - self.first > 1 else []

    def begin(self) -> Engine:
        """An engine as it was before the first bar."""
        engine = self.trial.engine()
        if self.state is not None:
            restore(engine, self.state)
        return engine

    def again(
        self,
        cuts: Sequence[int] = (),
        *,
        end: int | None = None,
        restored_at: Sequence[int] = (),
        interpreted_from: int | None = None,
        rows: Callable[[int, int], Observations] | None = None,
    ) -> Record:
        """Runs it once more, cut at the run's own edges and at `cuts`, up to row `end`.

        restored_at: rows at which the engine is saved and a new one restored. interpreted_from: the row from which the step
        loop runs as plain Python. rows: other market data than the trial's.
        """
        last = self.end if end is None else end
        moved = {*restored_at, *(() if interpreted_from is None else (interpreted_from,))}
        within = [c for c in (*self.edges, *cuts, *moved, last) if self.first <= c <= last]
        engine, made = self.begin(), []
        for a, b in pairwise(sorted(set(within))):
            if a in moved:
                blob, engine = save(engine), self.trial.engine(compiled=a != interpreted_from)
                restore(engine, blob)
            observations = (rows or self.trial.market.rows)(a, b)
            made.append(engine.advance(Chunk(observations.time, self.trial.market.inputs(observations))))
        return Record.of(self.trial.plan, made)
