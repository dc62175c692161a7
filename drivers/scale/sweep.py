"""The market side of a wide universe as tasks, each begun as soon as what it takes is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from dataflows.panel import walk
from drivers.engine.chunk import narrowed
from drivers.engine.plan import STACK, Plan
from drivers.executors.protocol import Done, Executor, Task
from drivers.feeds.aligned import Dataset
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.place import Place
from drivers.feeds.partitioned.read import frame_of, is_partitioned
from drivers.feeds.source import Source
from drivers.scale.panels import of_symbols, side_by_side
from drivers.scale.passes import Panels, Pass
from drivers.scale.shard import SCRATCH, Answer, Graph, Settings, Setup, Work, graph_of, handed_to
from drivers.text.times import utc

SHARD: Final = 20
"""Symbols of a shard, unless another number is asked for."""
TASK_BYTES: Final = 256 << 20
"""What the outputs of one task may take, and what a cross-sectional pass takes of the others."""


class ScaleError(RuntimeError):
    """A sweep cannot go on. One sentence."""


class Asked(Protocol):
    """What a sweep takes of a request."""

    @property
    def data(self) -> Source | None: ...
    @property
    def project(self) -> Path | None: ...
    @property
    def overrides(self) -> tuple[str, ...]: ...
    @property
    def spec(self) -> str | None: ...


class Lane(NamedTuple):
    """A pass over the same symbols: its blocks come one after another. step: place of the pass. shard: None: all symbols."""

    step: int
    shard: int | None


class Block(NamedTuple):
    """A stretch of bars of which all passes are done. a, b: its rows. values: what was to be kept, by layer."""

    a: int
    b: int
    values: dict[str, Any]


def require_parts(data: Source) -> None:
    """Raises DataError for data that are read whole."""
    if not is_partitioned(data):
        if isinstance(data, Path) and not data.exists():
            raise DataError(f"{data}: does not exist; check the path")
        raise DataError(f"{data}: is no partitioned data set; make one with: stratoquant data partition {data} --out PLACE")


def _width(panels: Panels, plan: Plan, depth: int) -> int:
    """How many numbers a symbol and bar some leaves are."""
    lengths = {"N": 1, "D": depth, "K": STACK}
    kinds = (kind for name, paths in panels.items() for path, kind in walk(plan.type_of(name)) if path in paths)
    return sum(math.prod(lengths.get(axis, 1) for axis in kind.axes) for kind in kinds)


@dataclass
class Sweep:
    """A sweep over a data set. blocks: the rows at which a stretch begins, whole epochs each, and the end."""

    setup: Setup
    data: Dataset
    blocks: list[int]
    files: dict[str, int] = field(default_factory=dict)
    _done: dict[Lane, int] = field(default_factory=dict)  # blocks that a lane is done with
    _busy: set[Lane] = field(default_factory=set)
    _states: dict[Lane, bytes] = field(default_factory=dict)
    _given: dict[int, dict[str, dict[int | None, Any]]] = field(
        default_factory=dict
    )  # by block, layer and shard: what was kept
    _closed: int = 0  # blocks of which all passes are done

    @classmethod
    def over(
        cls, data: Dataset, request: Asked, shard: int, *, task_bytes: int = 0, learning: bool = True, **more: Any
    ) -> Sweep:
        """A sweep over a data set with the settings of a request. shard: symbols of each. task_bytes: what a block may take in
        memory, an epoch at least. learning: see Settings. more: fields of Setup."""
        assert request.data is not None
        settings = Settings(data.clock, request.project, request.overrides, request.spec, learning)
        graph, width = graph_of(settings), min(shard, len(data.symbols))
        wide = 8 * width * graph.plan.width({"N": 1, "D": data.depth, "table": 0})
        across = 8 * len(data.symbols) * max(_width(step.takes, graph.plan, data.depth) for step in graph.passes)
        epochs = [a for a, _ in data.cuts(len(data), 0, graph.wiring.epoch_ns)]
        several = max(1, task_bytes // (max(wide, across) * -(-len(data) // len(epochs))))
        setup = Setup(
            data=request.data,
            frame=frame_of(data),
            shards=tuple(data.symbols[a : a + width] for a in range(0, len(data.symbols), width)),
            settings=settings,
            **more,
        )
        return cls(setup, data, [*epochs[::several], len(data)])

    @property
    def graph(self) -> Graph:
        """The passes that it runs."""
        return graph_of(self.setup.settings)

    def run(self, executor: Executor, progress: Callable[[float], None] = lambda share: None) -> Iterator[Block]:
        """Every block, in order of time, when all passes are done with it. progress: told how much is done, 0 to 1.

        A task is begun when those are done whose values or memory it takes, and the first block is at most as many blocks
        behind as there are passes. Raises ScaleError for a task that failed. What was handed on to a task is removed when it
        is done.
        """
        self._done = dict.fromkeys(self._lanes(), 0)
        count = len(self.blocks) - 1
        try:
            for i, done in enumerate(executor.run(self._ready(), self._then), 1):
                if done.error:
                    raise ScaleError(f"{done.task.name}: {done.error}")
                self._remove_taken(done.task.argument)
                progress(i / (len(self._done) * count))
                while self._closed < min(self._done.values()):
                    yield self._close()
        finally:
            self._remove(SCRATCH)

    def _lanes(self) -> Iterator[Lane]:
        for i, step in enumerate(self.graph.passes):
            for shard in [None] if step.across else range(len(self.setup.shards)):
                yield Lane(i, shard)

    def _then(self, done: Done) -> list[Task]:
        """Takes what a task gave; the tasks that it makes possible."""
        if done.error:
            return []
        work: Work = done.task.argument
        answer: Answer = done.value
        lane = Lane(next(i for i, step in enumerate(self.graph.passes) if step.name == work.step), work.shard)
        self._busy.remove(lane)
        self._done[lane] += 1
        self._states[lane] = answer.state
        self.files |= answer.files
        given = self._given.setdefault(work.block, {})
        for layer, value in answer.gives.items():
            given.setdefault(layer, {})[work.shard] = value
        return self._ready()

    def _ready(self) -> list[Task]:
        """The tasks that can be begun now and are not yet."""
        passes, slowest = self.graph.passes, min(self._done.values())
        least = [min(n for lane, n in self._done.items() if lane.step == i) for i in range(len(passes))]
        tasks = []
        for lane, block in self._done.items():
            if lane in self._busy or block == len(self.blocks) - 1 or block >= slowest + len(passes):
                continue
            step = passes[lane.step]
            givers = [i for i, each in enumerate(passes) if i != lane.step and not step.takes.keys().isdisjoint(each.layers)]
            # one over all symbols waits for every shard; a shard for its own
            if all(self._done.get(Lane(i, lane.shard), least[i]) > block for i in givers):
                self._busy.add(lane)
                tasks.append(self._task(lane, step, block))
        return tasks

    def _task(self, lane: Lane, step: Pass, block: int) -> Task:
        a, b = self.blocks[block], self.blocks[block + 1]
        symbols = self.setup.symbols(lane.shard)
        work = Work(self.setup, step.name, lane.shard, block, a, b, self._states.get(lane), self._before(lane, step, block))
        what = f"pass {step.name} of {symbols[0]} to {symbols[-1]}, {utc(int(self.data.time[a]))}"
        return Task(what, "drivers.scale.shard:run_pass", work, block + lane.step)

    def _before(self, lane: Lane, step: Pass, block: int) -> dict[str, Any]:
        """What a task takes of others, where that is kept here."""
        type_of, kept = self.graph.plan.type_of, self._given.get(block, {})
        found = {}
        for name, paths in step.takes.items():
            if name not in kept:
                continue
            own = kept[name].get(lane.shard)
            if own is None and lane.shard is None:
                own = self._whole(block, name)
            elif own is None:
                assert lane.shard is not None
                first = sum(map(len, self.setup.shards[: lane.shard]))
                own = of_symbols(kept[name][None], type_of(name), first, first + len(self.setup.shards[lane.shard]))
            found[name] = narrowed(own, type_of(name), paths)
        return found

    def _whole(self, block: int, name: str) -> Any:
        """A layer's values over all symbols."""
        parts = self._given[block][name]
        if None not in parts:
            parts[None] = side_by_side([parts[k] for k in range(len(self.setup.shards))], self.graph.plan.type_of(name))
        return parts[None]

    def _close(self) -> Block:
        """A block that all passes are done with."""
        block, self._closed = self._closed, self._closed + 1
        made = Block(self.blocks[block], self.blocks[block + 1], {n: self._whole(block, n) for n in self._given.get(block, {})})
        self._given.pop(block, None)
        return made

    def _remove_taken(self, work: Work) -> None:
        """Removes what was handed on to a task."""
        if any(step.name == work.step and step.takes for step in self.graph.passes):
            self._remove(handed_to(work.step, work.shard, work.block))

    def _remove(self, folder: str) -> None:
        if self.setup.out is not None:
            Place(self.setup.out).remove(folder)
