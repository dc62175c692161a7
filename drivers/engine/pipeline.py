"""The market side of one chunk beside the account side of the chunk before, on two cores.

The market does not see the account: columnar layers need nothing of the step stage but what an epoch layer has learned. Those
that are not behind such an edge run in a thread, over bars of several epochs at once, which saves calls. Meanwhile this thread
completes the chunk before, an epoch at a time: the end of the epoch before it, the other columnar layers, the steps, the guards
and whatever is done with the outputs. Each side moves its own memory, in order, so that the bits are those of one chunk after
the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dataflows.runtime.scratch import takes_rows
from drivers.engine.chunk import Begun, Chunk, Outputs, cut, epochs_in, piece_of
from drivers.engine.engine import Engine
from drivers.engine.interrupts import deferred
from drivers.engine.parallel import LEAST, cores


class Pipeline:
    """An engine that is one chunk ahead on its market side. `put` and `drain` give the outputs in order,
    one epoch at a time."""

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor | None) -> None:
        self._engine, self._pool = engine, pool
        self._ahead: tuple[list[Begun], Begun, Future[Any]] | None = None

    def put(self, chunk: Chunk) -> Iterator[Outputs]:
        """Takes the next bars, of several epochs perhaps, and gives what is complete.

        Raises what `Engine.advance` raises, for these bars or the last.
        """
        pieces = [piece_of(chunk, a, b) for a, b in epochs_in(chunk.time, self._engine.epoch_ns)]
        if len(chunk.time) * self._engine.dims["N"] < LEAST:
            yield from self.drain()
            yield from map(self._engine.advance, pieces)
            return
        parts = [self._engine.begin(piece) for piece in pieces]
        whole = self._engine.begun_as_one(chunk, parts)
        if self._pool is None:
            yield from self._complete(parts, whole, within=self._engine.run_market(whole))
            return
        with deferred():  # a thread that Ctrl-C interrupts while it starts is never joined
            before, self._ahead = self._ahead, (parts, whole, self._pool.submit(self._engine.run_market, whole))
        if before is not None:
            yield from self._complete(*before[:2], within=before[2].result())

    def drain(self) -> Iterator[Outputs]:
        """Completes the chunk that is ahead, if one is: before an instant between two bars, and at the end."""
        before, self._ahead = self._ahead, None
        if before is not None:
            yield from self._complete(*before[:2], within=before[2].result())

    def _complete(self, parts: list[Begun], whole: Begun, *, within: bool) -> Iterator[Outputs]:
        engine, first = self._engine, 0
        for part in parts:
            end = first + len(part.time)
            if part is not whole:
                made = {node.name: whole.values[node.name] for node in engine.free}
                part.values.update({name: cut(value, engine.plan.type_of(name), first, end) for name, value in made.items()})
            yield engine.complete(part, within=within)
            first = end


@contextmanager
def pipeline(engine: Engine) -> Iterator[Pipeline]:
    """A pipeline over an engine; one that is never ahead on a single core, or where a columnar layer takes its rows off the
    block of the account loop. Of the threads of columnar layers one is that which is ahead: with two cores no side has a
    helper, for which it would wait more than it gains."""
    if cores() == 1 or not engine.plan.stage["step"] or any(takes_rows(n.fn) for n in engine.plan.stage["columnar"]):
        yield Pipeline(engine, None)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="market") as pool:
        engine.threads = cores() - 1
        try:
            yield Pipeline(engine, pool)
        finally:
            engine.threads = None
