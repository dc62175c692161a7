"""The market side of a wide universe: tasks in waves, and the cross-sectional layers between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from drivers.engine.chunk import narrowed
from drivers.engine.engine import Engine
from drivers.engine.interrupts import deferred
from drivers.executors.protocol import Executor, Task
from drivers.feeds.aligned import Dataset
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.place import Place
from drivers.feeds.partitioned.read import frame_of, is_partitioned
from drivers.feeds.source import Source
from drivers.scale.panels import of_symbols, side_by_side
from drivers.scale.passes import Pass
from drivers.scale.shard import SCRATCH, Answer, Graph, Setup, Work, advance, engine_of, graph_of, write
from drivers.text.times import utc

SHARD: Final = 20
"""Symbols of a shard, unless another number is asked for."""
TASK_BYTES: Final = 256 << 20
"""What the outputs of one task may take."""
CHUNK_BYTES: Final = 48 << 20
"""What the outputs of one chunk may take."""


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


class Block(NamedTuple):
    """A stretch of bars of which all passes are done. a, b: its rows. values: what was to be kept, by layer."""

    a: int
    b: int
    values: dict[str, Any]


def require_parts(data: Source) -> None:
    """Raises DataError for data that are read whole."""
    if not is_partitioned(data):
        raise DataError(f"{data}: is no partitioned data set; make one with: stratoquant data partition {data} --out PLACE")


@dataclass
class Sweep:
    """A sweep over a data set. blocks: the rows at which a stretch begins, whole epochs each, and the end."""

    setup: Setup
    data: Dataset
    shards: list[tuple[int, int]]
    blocks: list[int]
    files: dict[str, int] = field(default_factory=dict)
    _states: dict[tuple[str, int], bytes] = field(default_factory=dict)
    _given: dict[int, dict[str, Any]] = field(default_factory=dict)  # by block and layer: what the shards gave
    _across: dict[int, dict[str, Any]] = field(default_factory=dict)  # and the cross-sectional layers
    _engines: dict[str, Engine] = field(default_factory=dict)

    @classmethod
    def over(cls, data: Dataset, request: Asked, shard: int, *, task_bytes: int = 0, **more: Any) -> Sweep:
        """A sweep over a data set with the settings of a request. shard: symbols of each. task_bytes: what the outputs of a
        block of a shard may take, an epoch at least. more: fields of Setup."""
        assert request.data is not None
        setup = Setup(
            data=request.data,
            frame=frame_of(data),
            clock=data.clock,
            project=request.project,
            overrides=request.overrides,
            spec=request.spec,
            chunk=1,
            **more,
        )
        shards = [(a, min(a + shard, len(data.symbols))) for a in range(0, len(data.symbols), shard)]
        graph = graph_of(setup)
        wide = 8 * graph.plan.width({"N": 1, "D": data.depth, "table": 0}) * max(b - a for a, b in shards)
        epochs = [a for a, _ in data.cuts(len(data), 0, graph.wiring.epoch_ns)]
        several = max(1, task_bytes // (wide * -(-len(data) // len(epochs))))
        chunked = replace(setup, chunk=max(1, CHUNK_BYTES // wide))
        return cls(chunked, data, shards, [*epochs[::several], len(data)])

    @property
    def graph(self) -> Graph:
        """The passes that it runs."""
        return graph_of(self.setup)

    def run(self, executor: Executor, progress: Callable[[float], None] = lambda share: None) -> Iterator[Block]:
        """Every block, in order of time, when all passes are done with it. progress: told how much is done, 0 to 1.

        In wave w pass i is at block w - i, so that no task of a wave waits for another. Raises ScaleError for a task that
        failed. What was handed on from pass to pass is removed at the end.
        """
        steps, count = self.graph.passes, len(self.blocks) - 1
        waves = count + len(steps) - 1
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="across") as pool:
                for wave in range(waves):
                    due = [(step, wave - i) for i, step in enumerate(steps) if 0 <= wave - i < count]
                    with deferred():  # a thread that Ctrl-C interrupts while it starts is never joined
                        beside = [pool.submit(self._run_across, step, block) for step, block in due if step.across]
                    answers = self._run_shards(executor, due, lambda share, wave=wave: progress((wave + share) / waves))  # type: ignore[misc]
                    for future in beside:
                        block, gives, files = future.result()
                        self._across.setdefault(block, {}).update(gives)
                        self.files |= files
                    for (name, block), found in answers.items():
                        self._take(name, block, [found[k] for k in sorted(found)])
                    done = wave - len(steps) + 1
                    if done >= 0:
                        yield self._finished(done)
        finally:
            if self.setup.out is not None:
                Place(self.setup.out).remove(SCRATCH)

    def _run_shards(
        self, executor: Executor, due: Sequence[tuple[Pass, int]], progress: Callable[[float], None]
    ) -> dict[tuple[str, int], dict[int, Answer]]:
        """The answers of a wave by pass and block, then by shard."""
        tasks = {t.name: (t, step, b, k) for step, b in due if not step.across for t, k in self._tasks(step, b)}
        answers: dict[tuple[str, int], dict[int, Answer]] = {}
        for i, done in enumerate(executor.run([task for task, *_ in tasks.values()])):
            if done.error:
                raise ScaleError(f"{done.task.name}: {done.error}")
            _, step, block, k = tasks[done.task.name]
            answers.setdefault((step.name, block), {})[k] = done.value
            progress((i + 1) / len(tasks))
        return answers

    def _tasks(self, step: Pass, block: int) -> Iterator[tuple[Task, int]]:
        a, b = self.blocks[block], self.blocks[block + 1]
        kept = {name: value for name, value in self._given.get(block, {}).items() if name in self.setup.keep}
        sources, type_of = {**kept, **self._across.get(block, {})}, self.graph.plan.type_of
        for k, (first, end) in enumerate(self.shards):
            before = {
                name: of_symbols(narrowed(sources[name], type_of(name), paths), type_of(name), first, end)
                for name, paths in step.takes.items()
                if name in sources
            }
            symbols, state = self.data.symbols[first:end], self._states.get((step.name, k))
            work = Work(self.setup, symbols, k, step.name, a, b, block, state, before)
            what = f"pass {step.name} of {symbols[0]} to {symbols[-1]}, {utc(int(self.data.time[a]))}"
            yield Task(what, "drivers.scale.shard:run_pass", work), k

    def _take(self, name: str, block: int, answers: Sequence[Answer]) -> None:
        """What the shards gave of one pass and block."""
        for k, answer in enumerate(answers):
            self._states[name, k] = answer.state
            self.files |= answer.files
        given = self._given.setdefault(block, {})
        for layer in answers[0].gives:
            given[layer] = side_by_side([answer.gives[layer] for answer in answers], self.graph.plan.type_of(layer))

    def _run_across(self, step: Pass, block: int) -> tuple[int, dict[str, Any], Mapping[str, int]]:
        """Runs cross-sectional layers over all symbols: the block, what they gave, the files that were written."""
        if step.name not in self._engines:
            self._engines[step.name] = engine_of(self.graph, step, self.data)
        sources = {**self._given[block], **self._across.get(block, {})}
        rows = self.blocks[block], self.blocks[block + 1]
        before = {name: sources[name] for name in step.takes}
        made = advance(self._engines[step.name], step, self.graph, self.data, rows, before, self.setup)
        out = self.setup.out
        return block, made.gives, {} if out is None else write(Place(out), made.tables, f"{block:06}-all")

    def _finished(self, block: int) -> Block:
        found = {**self._given.pop(block, {}), **self._across.pop(block, {})}
        return Block(self.blocks[block], self.blocks[block + 1], {n: v for n, v in found.items() if n in self.setup.keep})
