"""One task: a pass of the graph over a shard of symbols and some days. Any process can run it."""

from __future__ import annotations

import functools
import io
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dataflows.panel import Ints
from dataflows.spans import BarClock
from drivers.engine import checkpoint
from drivers.engine.building import boundaries, make_engine, make_plan
from drivers.engine.chunk import Chunk, cut, narrowed
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.feeds.aligned import Dataset
from drivers.feeds.partitioned.place import Place
from drivers.feeds.partitioned.read import Frame, open_partitioned
from drivers.feeds.source import Source
from drivers.graph.wiring import Wiring, with_spec
from drivers.graph.wiring import load as load_wiring
from drivers.project.configs import load_configs
from drivers.project.locate import locate
from drivers.project.machine_specs import load_spec
from drivers.scale.panels import after_each_other, packed, unpacked
from drivers.scale.passes import Pass, every_leaf, passes
from drivers.store.columns import TIME, columns_of
from drivers.store.parquet import writer_of

SCRATCH: Final = "handed-on"
"""Below the results, while they are made: what later passes take of a shard's earlier ones."""
KEPT: Final = 12
"""Engines that a process keeps."""


@dataclass(frozen=True)
class Setup:
    """What all tasks of a sweep share.

    frame: the bars and the leader of all its symbols. clock: of the data. out: where what each layer gives is
    written as files, None: nowhere. chunk: most bars that are computed at a time. learning: with the layers behind what an
    epoch has learned. keep: the layers of which all is handed back; where there are no files, those that other passes read must
    be among them.
    """

    data: Source
    out: Source | None
    frame: Frame
    clock: BarClock
    project: Path | None
    overrides: tuple[str, ...]
    spec: str | None
    chunk: int
    learning: bool = True
    keep: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Work:
    """A task.

    symbols: of the shard, and its number. step: the name of the pass. a, b: rows. block: the number of this stretch. state: the
    checkpoint after the rows before, None at the beginning. before: what other passes gave in these rows, but for what the
    shard's earlier ones have left in a file.
    """

    setup: Setup
    symbols: tuple[str, ...]
    shard: int
    step: str
    a: int
    b: int
    block: int
    state: bytes | None
    before: dict[str, Any]


class Answer(NamedTuple):
    """What a task gives back: the checkpoint after it, what cross-sectional layers read of it or is to be kept, its files."""

    state: bytes
    gives: dict[str, Any]
    files: dict[str, int]


class Graph(NamedTuple):
    """The market side of a project's graph."""

    wiring: Wiring
    plan: Plan
    passes: list[Pass]
    parts: dict[str, Plan]  # by pass


@functools.lru_cache(maxsize=4)
def graph_of(setup: Setup) -> Graph:
    """The passes of the graph that a sweep runs, each with its plan."""
    project = locate(setup.project)
    wiring = load_wiring(project.wiring)
    spec = load_spec(project, setup.spec) if setup.spec else None
    if spec is not None:
        wiring = with_spec(wiring, spec)
    wiring = wiring.at_clock(setup.clock)
    configs = load_configs(project, setup.overrides, spec, setup.clock)
    plan = make_plan(wiring, configs, project)
    steps = passes(plan, learning=setup.learning)
    return Graph(wiring, plan, steps, {step.name: make_plan(wiring, configs, project, only=step.layers) for step in steps})


def run_pass(work: Work) -> Answer:
    """Runs a pass over a shard's bars, writes what its layers gave, and returns what others wait for."""
    setup, graph = work.setup, graph_of(work.setup)
    step = next(each for each in graph.passes if each.name == work.step)
    data = open_partitioned(setup.data, symbols=work.symbols, frame=setup.frame)
    place = None if setup.out is None else Place(setup.out)
    before = dict(work.before)
    for earlier in graph.passes:
        taken = {n: paths for n, paths in step.takes.items() if n in earlier.layers and n not in before}
        if taken:
            assert place is not None  # else all that is taken is kept, and comes with the task
            content = place.read(_handed(earlier, work))
            if content is None:
                raise FileNotFoundError(f"{setup.out} lacks {_handed(earlier, work)}; nothing else may write there")
            before |= unpacked(content, taken, graph.plan)
    engine = _engine(work, graph, step, data)
    made = advance(engine, step, graph, data, (work.a, work.b), before, setup)
    later = {n: p for each in graph.passes if not each.across for n, p in each.takes.items() if n in step.layers}
    if later and place is not None:
        kept = {n: narrowed(v, graph.plan.type_of(n), step.gives[n]) for n, v in made.gives.items() if n in later}
        place.write(_handed(step, work), packed(kept))
    read_across = {n for each in graph.passes if each.across for n in each.takes} | setup.keep
    files = {} if place is None else write(place, made.tables, f"{work.block:06}-{work.shard:04}")
    return Answer(checkpoint.save(engine), {n: v for n, v in made.gives.items() if n in read_across}, files)


def _handed(step: Pass, work: Work) -> str:
    return f"{SCRATCH}/{step.name}/{work.block:06}-{work.shard:04}.npz"


_ENGINES: Final[OrderedDict[tuple[Setup, str, tuple[str, ...]], Engine]] = OrderedDict()
"""Engines of the last tasks of this process. Their state is never used again: only what it took to make them."""


def _engine(work: Work, graph: Graph, step: Pass, data: Dataset) -> Engine:
    """The engine of a task, in its state."""
    key = work.setup, work.step, work.symbols
    engine = _ENGINES.pop(key, None) if work.state is not None else None
    if engine is None:
        engine = engine_of(graph, step, data)
    if work.state is not None:
        checkpoint.restore(engine, work.state)
    _ENGINES[key] = engine
    while len(_ENGINES) > KEPT:
        _ENGINES.popitem(last=False)
    return engine


def engine_of(graph: Graph, step: Pass, data: Dataset) -> Engine:
    """An engine of a pass, at the beginning."""
    return make_engine(
        graph.parts[step.name],
        data.symbols,
        data.instruments,
        depth=data.depth,
        models=boundaries(graph.wiring),
        epoch_ns=graph.wiring.epoch_ns,
    )


class Made(NamedTuple):
    """What a pass gave. gives: what other passes read of it. tables: by name, the files' content."""

    gives: dict[str, Any]
    tables: dict[str, bytes]


def advance(
    engine: Engine,
    step: Pass,
    graph: Graph,
    data: Dataset,
    rows: tuple[int, int],
    before: Mapping[str, Any],
    setup: Setup,
) -> Made:
    """Runs rows a to b through an engine. before: what the pass takes of others in these rows."""
    a, b = rows
    plan, tables = graph.plan, Tables(data.symbols)
    parts: list[dict[str, Any]] = []
    wanted = {"observations", "external_alpha"} & graph.parts[step.name].hints.keys()
    gives = {**step.gives, **{name: every_leaf(plan.type_of(name)) for name in step.layers if name in setup.keep}}
    for i, j in data.cuts(setup.chunk, a, graph.wiring.epoch_ns):
        if i >= b:
            break
        observed = data.inputs(data.rows(i, j)) if wanted else {}
        inputs = observed | {name: cut(value, plan.type_of(name), i - a, j - a) for name, value in before.items()}
        values = engine.advance(Chunk(data.time[i:j], inputs)).values
        parts.append({n: narrowed(values[n], plan.type_of(n), paths) for n, paths in gives.items()})
        for name in step.layers if setup.out is not None else ():
            node = plan.nodes[name]
            tables.add(f"{node.domain}.{step.name}", columns_of(name, values[name], node.returns, len(data.symbols)))
        tables.end(data.time[i:j])
    return Made(after_each_other(parts, plan), tables.close())


class Tables:
    """Tables by name, as Parquet files in memory: a row a bar and symbol."""

    def __init__(self, symbols: tuple[str, ...]) -> None:
        self._symbols = pa.array(symbols, pa.string())
        self._open: dict[str, tuple[io.BytesIO, pq.ParquetWriter]] = {}
        self._columns: dict[str, dict[str, Any]] = {}

    def add(self, table: str, columns: Mapping[str, Any]) -> None:
        """More columns of the bars at hand."""
        self._columns.setdefault(table, {}).update(columns)

    def end(self, time: Ints) -> None:
        """Writes the bars at hand."""
        n = len(self._symbols)
        stamps = pa.array(np.repeat(time, n), pa.int64()).cast(TIME)
        codes = pa.array(np.tile(np.arange(n, dtype=np.int32), len(time)), pa.int32())
        names = pa.DictionaryArray.from_arrays(codes, self._symbols)
        for table, columns in self._columns.items():
            rows = pa.table({"timestamp": stamps, "symbol": names, **columns})
            if table not in self._open:
                sink = io.BytesIO()
                self._open[table] = sink, writer_of(sink, rows.schema)
            self._open[table][1].write_table(rows)
        self._columns = {}

    def close(self) -> dict[str, bytes]:
        """The files."""
        made = {}
        for table, (sink, writer) in self._open.items():
            writer.close()
            made[table] = sink.getvalue()
        return made


def write(place: Place, tables: Mapping[str, bytes], name: str) -> dict[str, int]:
    """Writes tables of one stretch; returns the size of each file."""
    files = {f"features/{table}/{name}.parquet": content for table, content in tables.items()}
    for path, content in files.items():
        place.write(path, content)
    return {path: len(content) for path, content in files.items()}
