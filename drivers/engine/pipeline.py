"""The market side of one chunk beside the account side of the chunk before, on two cores.

The market does not see the account: columnar layers need nothing of the step stage but what an epoch layer has learned. Those
that are not behind such an edge run in a thread, while this one completes the chunk before: the end of its epoch, the other
columnar layers, the steps, the guards and whatever is done with the outputs. Each side moves its own memory, in order, so that
the bits are those of one chunk after the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from dataflows.runtime.scratch import takes_rows
from drivers.engine.chunk import Begun, Chunk, Outputs
from drivers.engine.engine import Engine
from drivers.engine.interrupts import deferred
from drivers.engine.parallel import LEAST, cores


class Pipeline:
    """An engine that is one chunk ahead on its market side. `put` and `drain` give the outputs, in order."""

    def __init__(self, engine: Engine, pool: ThreadPoolExecutor | None) -> None:
        self._engine, self._pool = engine, pool
        self._ahead: tuple[Begun, Future[Any]] | None = None

    def put(self, chunk: Chunk) -> Iterator[Outputs]:
        """Takes the next chunk and gives what is complete. Raises what `Engine.advance` raises, for this chunk or the last."""
        if self._pool is None or len(chunk.time) * self._engine.dims["N"] < LEAST:
            yield from self.drain()
            yield self._engine.advance(chunk)
            return
        begun = self._engine.begin(chunk)
        with deferred():  # a thread that Ctrl-C interrupts while it starts is never joined
            before, self._ahead = self._ahead, (begun, self._pool.submit(self._engine.run_market, begun))
        if before is not None:
            yield self._complete(*before)

    def drain(self) -> Iterator[Outputs]:
        """Completes the chunk that is ahead, if one is: before an instant between two bars, and at the end."""
        before, self._ahead = self._ahead, None
        if before is not None:
            yield self._complete(*before)

    def _complete(self, begun: Begun, market: Future[Any]) -> Outputs:
        market.result()
        return self._engine.complete(begun)


@contextmanager
def pipeline(engine: Engine) -> Iterator[Pipeline]:
    """A pipeline over an engine; one that is never ahead on a single core, or where a columnar layer takes its rows off the
    block of the account loop."""
    if cores() == 1 or not engine.plan.stage["step"] or any(takes_rows(n.fn) for n in engine.plan.stage["columnar"]):
        yield Pipeline(engine, None)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="market") as pool:
        yield Pipeline(engine, pool)
