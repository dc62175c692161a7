"""A whole run whose market side is computed by many processes, ahead of the account.

The account goes bar by bar, here. The workers run the layers that see neither it nor what an epoch has learned, whole epochs
ahead; those behind what was learned run here when the epoch before is closed, as in any run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from drivers.engine.chunk import Chunk, Outputs, cut
from drivers.engine.interrupts import deferred
from drivers.executors.protocol import Executor
from drivers.feeds.aligned import Dataset
from drivers.feeds.partitioned.read import frame_of
from drivers.feeds.source import Source
from drivers.run.assembly import PreparedRun
from drivers.run.recorder import Recorder
from drivers.scale import sweep as sweeping
from drivers.scale.shard import Setup, graph_of
from drivers.scale.sweep import Sweep, bytes_a_bar, require_parts, shards_of

Takers = Sequence[Callable[[Outputs], object]]


def market_side_on(executor: Executor, *, shard: int = sweeping.SHARD) -> Callable[[PreparedRun, Recorder, Takers], None]:
    """How `run_batch` advances when the market side is the workers'. shard: symbols that a task takes."""

    def advance(session: PreparedRun, recorder: Recorder, takers: Takers) -> None:
        _advance(session, takers, executor, shard)

    return advance


def _advance(session: PreparedRun, takers: Takers, executor: Executor, shard: int) -> None:
    request, engine, data = session.request, session.engine, session.data
    assert request.data is not None and isinstance(data, Dataset)  # `require_market_side` has seen to it
    ahead = frozenset(node.name for node in engine.plan.stage["columnar"] if node.name not in engine.plan.behind_epochs)
    shards = shards_of(data.symbols, shard)
    setup = Setup(
        data=request.data,
        out=None,
        frame=frame_of(data),
        clock=data.clock,
        project=request.project,
        overrides=request.overrides,
        spec=request.spec,
        chunk=1,
        learning=False,
        keep=ahead,
    )
    wide = bytes_a_bar(graph_of(setup), data) * max(b - a for a, b in shards)
    setup = dataclasses.replace(setup, chunk=max(1, sweeping.CHUNK_BYTES // wide))
    epochs = [a for a, _ in data.cuts(len(data), 0, engine.epoch_ns)]
    for block in Sweep(setup, data, shards, [*epochs, len(data)]).run(executor):
        for a, b in data.cuts(session.chunk_bars, block.a, engine.epoch_ns):
            if a >= block.b:
                break
            observations = data.rows(a, b)
            with deferred():
                begun = engine.begin(Chunk(observations.time, data.inputs(observations)))
                begun.values.update(
                    {n: cut(value, engine.plan.type_of(n), a - block.a, b - block.a) for n, value in block.values.items()}
                )
                outputs = engine.complete(begun)
                for taker in takers:
                    taker(outputs)


def require_market_side(data: Source | None) -> None:
    """Raises DataError for data that workers cannot read in parts."""
    require_parts(data if data is not None else Path("the sample market"))
