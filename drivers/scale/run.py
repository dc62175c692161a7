"""A whole run whose market side is computed by many processes, ahead of the account.

The account goes bar by bar, here. The workers run the layers that see neither it nor what an epoch has learned, whole epochs
ahead; those behind what was learned run here when the epoch before is closed, as in any run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from drivers.engine.chunk import Chunk, Outputs, cut
from drivers.engine.interrupts import deferred
from drivers.executors.protocol import Executor
from drivers.feeds.aligned import Dataset
from drivers.feeds.errors import DataError
from drivers.feeds.source import Source
from drivers.run.assembly import PreparedRun
from drivers.run.batch import TakesBetween
from drivers.scale.sweep import SHARD, Sweep, require_parts

Takers = Sequence[Callable[[Outputs], object]]


def market_side_on(executor: Executor, *, shard: int = SHARD) -> Callable[[PreparedRun, TakesBetween, Takers], None]:
    """How `run_batch` advances when the market side is the workers'. shard: symbols that a task takes."""

    def advance(session: PreparedRun, recorder: TakesBetween, takers: Takers) -> None:
        _advance(session, takers, executor, shard)

    return advance


def _advance(session: PreparedRun, takers: Takers, executor: Executor, shard: int) -> None:
    engine, data = session.engine, session.data
    assert isinstance(data, Dataset)  # `require_market_side` has seen to it
    ahead = frozenset(node.name for node in engine.plan.stage["columnar"] if node.name not in engine.plan.behind_epochs)
    for block in Sweep.over(data, session.request, shard, out=None, learning=False, keep=ahead).run(executor):
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
    if data is None:
        raise DataError("--cluster needs data in parts: --data PLACE, made with: stratoquant data partition DIR --out PLACE")
    require_parts(data)
