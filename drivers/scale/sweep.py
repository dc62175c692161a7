"""The market side of a wide universe: tasks in waves, and the cross-sectional layers between them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from drivers.engine.engine import Engine
from drivers.executors.protocol import Executor, Task
from drivers.feeds.aligned import Dataset
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.place import Place
from drivers.feeds.partitioned.read import frame_of, is_partitioned, open_partitioned
from drivers.feeds.source import Source
from drivers.project.configs import load_configs
from drivers.project.locate import locate
from drivers.run.provenance import versions
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
ABOUT: Final = "features.json"
"""Written last: where it is, the results are whole."""


class ScaleError(RuntimeError):
    """A sweep cannot go on. One sentence."""


@dataclass(frozen=True)
class FeaturesRequest:
    """What `stratoquant features` was asked for. data, out: places. start, end: UTC ns. shard: symbols of each."""

    data: Source
    out: Source
    symbols: tuple[str, ...] | None = None
    start: int | None = None
    end: int | None = None
    overrides: tuple[str, ...] = ()
    spec: str | None = None
    project: Path | None = None
    shard: int = SHARD


class Swept(NamedTuple):
    """What a sweep has made. layers: the table of each."""

    bars: int
    symbols: tuple[str, ...]
    layers: dict[str, str]
    files: int
    bytes: int


@dataclass
class _Sweep:
    """A sweep under way. blocks: the rows at which a stretch begins, and the end."""

    setup: Setup
    graph: Graph
    data: Dataset
    shards: list[tuple[int, int]]
    blocks: list[int]
    states: dict[tuple[str, int], bytes] = field(default_factory=dict)
    given: dict[int, dict[str, Any]] = field(default_factory=dict)  # by block and layer: what cross-sectional layers read
    across: dict[int, dict[str, Any]] = field(default_factory=dict)  # and what they gave
    engines: dict[str, Engine] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)


def features(request: FeaturesRequest, executor: Executor, progress: Callable[[float], None] = lambda share: None) -> Swept:
    """Runs the market side of the graph over a partitioned data set, without an account, and writes what every layer gave.

    What is learned from the account is not learned here: weights of sources and patterns, thresholds and the policy stay what
    they are at the start of a run. progress: told how much is done, 0 to 1.
    Raises DataError, ConfigError, ProjectError; ScaleError for a task that failed. `features.json` is written last.
    """
    place = Place(request.out)
    if place.read(ABOUT) is not None:
        raise ScaleError(f"{request.out} holds features already; name another place with --out")
    sweep = _prepared(request)
    count = len(sweep.graph.passes)
    waves = len(sweep.blocks) - 1 + count - 1
    with ThreadPoolExecutor(1, thread_name_prefix="across") as pool:
        for wave in range(waves):
            due = [(step, wave - i) for i, step in enumerate(sweep.graph.passes) if 0 <= wave - i < len(sweep.blocks) - 1]
            beside = [pool.submit(_across, sweep, step, block) for step, block in due if step.across]
            tasks = {
                t.name: (t, step, block, k) for step, block in due if not step.across for t, k in _tasks(sweep, step, block)
            }
            answers: dict[tuple[str, int], dict[int, Answer]] = {}
            for done in executor.run([t for t, *_ in tasks.values()]):
                if done.error:
                    raise ScaleError(f"{done.task.name}: {done.error}")
                _, step, block, k = tasks[done.task.name]
                answers.setdefault((step.name, block), {})[k] = done.value
                progress((wave + len([a for each in answers.values() for a in each]) / len(tasks)) / waves)
            for future in beside:
                _merge(sweep, *future.result())
            for (name, block), found in answers.items():
                _keep(sweep, name, block, [found[k] for k in sorted(found)])
            for store in (sweep.given, sweep.across):
                store.pop(wave - count + 1, None)
    return _finished(sweep, place)


def _prepared(request: FeaturesRequest) -> _Sweep:
    if not is_partitioned(request.data):
        raise DataError(
            f"{request.data}: is no partitioned data set; make one with: stratoquant data partition {request.data} --out PLACE"
        )
    project = locate(request.project)
    load_configs(project, request.overrides, None, clock=None)  # a slip is told before the data are read
    data = open_partitioned(request.data, symbols=request.symbols, start=request.start, end=request.end)
    shards = [(a, min(a + request.shard, len(data.symbols))) for a in range(0, len(data.symbols), request.shard)]
    common: dict[str, Any] = {
        "data": request.data,
        "out": request.out,
        "frame": frame_of(data),
        "clock": data.clock,
        "project": request.project,
        "overrides": request.overrides,
        "spec": request.spec,
    }
    plan = graph_of(Setup(**common, chunk=1)).plan
    width = 8 * plan.width({"N": 1, "D": data.depth, "table": 0})
    widest = max(b - a for a, b in shards)
    setup = Setup(**common, chunk=max(1, CHUNK_BYTES // (width * widest)))
    graph = graph_of(setup)
    epochs = [a for a, _ in data.cuts(len(data), 0, graph.wiring.epoch_ns)]
    bars = -(-len(data) // len(epochs))
    several = max(1, TASK_BYTES // (width * widest * bars))
    return _Sweep(setup, graph, data, shards, [*epochs[::several], len(data)])


def _tasks(sweep: _Sweep, step: Pass, block: int) -> Iterator[tuple[Task, int]]:
    a, b = sweep.blocks[block], sweep.blocks[block + 1]
    for k, (first, end) in enumerate(sweep.shards):
        across = {
            name: of_symbols(value, sweep.graph.plan.type_of(name), first, end)
            for name, value in sweep.across.get(block, {}).items()
            if name in step.takes
        }
        symbols, state = sweep.data.symbols[first:end], sweep.states.get((step.name, k))
        work = Work(sweep.setup, symbols, k, step.name, a, b, block, state, across)
        what = f"pass {step.name} of {symbols[0]} to {symbols[-1]}, {utc(int(sweep.data.time[a]))}"
        yield Task(what, "drivers.scale.shard:run_pass", work), k


def _keep(sweep: _Sweep, name: str, block: int, answers: Sequence[Answer]) -> None:
    """What the shards gave of one pass and block."""
    for k, answer in enumerate(answers):
        sweep.states[name, k] = answer.state
        sweep.files |= answer.files
    given = sweep.given.setdefault(block, {})
    for layer in answers[0].gives:
        given[layer] = side_by_side([answer.gives[layer] for answer in answers], sweep.graph.plan.type_of(layer))


def _across(sweep: _Sweep, step: Pass, block: int) -> tuple[int, dict[str, Any], dict[str, int]]:
    """Runs cross-sectional layers over all symbols: the block, what they gave, the files that were written."""
    if step.name not in sweep.engines:
        sweep.engines[step.name] = engine_of(sweep.graph, step, sweep.data, None)
    sources = {**sweep.given[block], **sweep.across.get(block, {})}
    before = {name: sources[name] for name in step.takes}
    rows = sweep.blocks[block], sweep.blocks[block + 1], sweep.setup.chunk
    made = advance(sweep.engines[step.name], step, sweep.graph, sweep.data, rows, before)
    return block, made.gives, write(Place(sweep.setup.out), made.tables, f"{block:06}-all")


def _merge(sweep: _Sweep, block: int, gives: Mapping[str, Any], files: Mapping[str, int]) -> None:
    sweep.across.setdefault(block, {}).update(gives)
    sweep.files.update(files)


def _finished(sweep: _Sweep, place: Place) -> Swept:
    """Removes what was handed on, and says what there is."""
    place.remove(SCRATCH)
    nodes = sweep.graph.plan.nodes
    layers = {name: f"{nodes[name].domain}.{step.name}" for step in sweep.graph.passes for name in step.layers}
    swept = Swept(len(sweep.data), sweep.data.symbols, layers, len(sweep.files), sum(sweep.files.values()))
    about = {
        "kind": "features",
        "versions": versions(),
        "data": str(sweep.setup.data),
        "data_hash": sweep.data.digest,
        "symbols": swept.symbols,
        "bars": swept.bars,
        "clock": sweep.setup.clock._asdict(),
        "first": int(sweep.data.time[0]),
        "last": int(sweep.data.time[-1]),
        "configuration": {name: record._asdict() for name, record in sweep.graph.plan.configs.items()},
        "overrides": sweep.setup.overrides,
        "spec": sweep.setup.spec,
        "layers": layers,
        "files": dict(sorted(sweep.files.items())),
    }
    place.write(ABOUT, (json.dumps(about, indent=1, default=np.ndarray.tolist) + "\n").encode())
    return swept
