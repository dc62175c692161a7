"""One task: a pass of the graph over some symbols and some days. Any process can run it."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterator, Mapping
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
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.feeds.aligned import Dataset
from drivers.feeds.partitioned.place import Place
from drivers.feeds.partitioned.read import Frame, open_partitioned
from drivers.feeds.source import Source
from drivers.graph.wiring import Wiring, with_spec
from drivers.graph.wiring import load as load_wiring
from drivers.project.configs import Configs, load_configs
from drivers.project.locate import Project, locate
from drivers.project.machine_specs import load_spec
from drivers.scale.panels import after_each_other, packed, unpacked
from drivers.scale.passes import Pass, every_leaf, passes
from drivers.store.columns import TIME, columns_of
from drivers.store.parquet import writer_of

SCRATCH: Final = "handed-on"
"""Below the results, while they are made: what passes take of each other, a folder for each task."""
CHUNK_BYTES: Final = 48 << 20
"""What goes into an engine and comes out of it at a time may take."""


@dataclass(frozen=True)
class Settings:
    """What decides the graph. clock: of the data. learning: with the layers behind what an epoch has learned."""

    clock: BarClock
    project: Path | None
    overrides: tuple[str, ...]
    spec: str | None
    learning: bool = True


@dataclass(frozen=True)
class Setup:
    """What all tasks of a sweep share.

    frame: the bars and the leader of all its symbols. shards: the symbols of each. out: where what each layer gives is written
    as files, and what passes hand on; None: nowhere, and `keep` names the layers of which all is handed back: at least those
    that other passes read.
    """

    data: Source
    out: Source | None
    frame: Frame
    shards: tuple[tuple[str, ...], ...]
    settings: Settings
    keep: frozenset[str] = frozenset()

    def symbols(self, shard: int | None) -> tuple[str, ...]:
        """Of a shard; None: of all."""
        return tuple(name for each in self.shards for name in each) if shard is None else self.shards[shard]


@dataclass(frozen=True)
class Work:
    """A task.

    step: the name of the pass. shard: its number; None: all symbols. block, a, b: the number of the stretch, and its rows.
    state: the checkpoint after the rows before, None at the beginning. before: what other passes gave in these rows, where it
    does not lie in files.
    """

    setup: Setup
    step: str
    shard: int | None
    block: int
    a: int
    b: int
    state: bytes | None
    before: dict[str, Any]


class Answer(NamedTuple):
    """What a task gives back: the checkpoint after it, what is to be kept, its files."""

    state: bytes
    gives: dict[str, Any]
    files: dict[str, int]


class Graph(NamedTuple):
    """The market side of a project's graph."""

    wiring: Wiring
    plan: Plan
    passes: list[Pass]


@functools.lru_cache(maxsize=4)
def graph_of(settings: Settings) -> Graph:
    """The passes of the graph that a sweep runs."""
    project, wiring, configs = _read(settings)
    plan = make_plan(wiring, configs, project)
    return Graph(wiring, plan, passes(plan, learning=settings.learning))


@functools.lru_cache(maxsize=32)
def _plan_of(settings: Settings, name: str) -> Plan:
    """The plan of a pass."""
    project, wiring, configs = _read(settings)
    step = next(each for each in graph_of(settings).passes if each.name == name)
    return make_plan(wiring, configs, project, only=step.layers)


def _read(settings: Settings) -> tuple[Project, Wiring, Configs]:
    project = locate(settings.project)
    wiring = load_wiring(project.wiring)
    spec = load_spec(project, settings.spec) if settings.spec else None
    if spec is not None:
        wiring = with_spec(wiring, spec)
    wiring = wiring.at_clock(settings.clock)
    return project, wiring, load_configs(project, settings.overrides, spec, settings.clock)


def run_pass(work: Work) -> Answer:
    """Runs a pass over its bars and symbols, writes what its layers gave, and hands on what other passes take of it."""
    setup, graph = work.setup, graph_of(work.setup.settings)
    step = next(each for each in graph.passes if each.name == work.step)
    data = open_partitioned(setup.data, symbols=setup.symbols(work.shard), frame=setup.frame)
    engine = _engine(setup.settings, graph, step, data)
    if work.state is not None:
        checkpoint.restore(engine, work.state)
    if setup.out is None:
        parts, _ = advance(engine, step, graph, data, work, work.before)
        return Answer(checkpoint.save(engine), after_each_other(parts, graph.plan), {})
    place = Place(setup.out)
    parts, tables = advance(engine, step, graph, data, work, _taken(place, step, graph, work))
    for name, content in _handed_on(step, graph, work, parts):
        place.write(name, content)
    return Answer(checkpoint.save(engine), {}, write(place, tables, work))


_GUARDS: Final[dict[tuple[Settings, str], Guards]] = {}
"""By pass, of this process: to make them takes longer than an engine."""


def _engine(settings: Settings, graph: Graph, step: Pass, data: Dataset) -> Engine:
    """An engine of a pass, at the beginning."""
    plan = _plan_of(settings, step.name)
    engine = make_engine(plan, data.symbols, data.instruments, depth=data.depth, epoch_ns=graph.wiring.epoch_ns)
    made = _GUARDS.get((settings, step.name))
    engine.guard = Guards(plan, boundaries(graph.wiring), data.symbols) if made is None else made.over(data.symbols)
    _GUARDS[settings, step.name] = engine.guard
    return engine


def handed_to(step: str, shard: int | None, block: int) -> str:
    """The folder of what a task takes of others."""
    return f"{SCRATCH}/{block:06}/{step}-{'all' if shard is None else f'{shard:04}'}"


def _handed(giver: Pass, taker: Pass, block: int, shard: int) -> str:
    return f"{handed_to(taker.name, None if taker.across else shard, block)}/{giver.name}-{shard:04}"


def _handed_on(step: Pass, graph: Graph, work: Work, parts: list[dict[str, Any]]) -> Iterator[tuple[str, bytes]]:
    """What each other pass takes of this one, as files: one for each pass and shard."""
    shards = range(len(work.setup.shards)) if work.shard is None else [work.shard]
    for taker in graph.passes:
        names = {n: paths for n, paths in taker.takes.items() if n in step.layers}
        if not names:
            continue
        first = 0
        for shard in shards:
            end = first + len(work.setup.shards[shard])
            yield _handed(step, taker, work.block, shard), packed(parts, names, graph.plan, first, end)
            first = end


def _taken(place: Place, step: Pass, graph: Graph, work: Work) -> dict[str, Any]:
    """What a pass takes of others, out of their files."""
    found: dict[str, Any] = {}
    for giver in graph.passes:
        names = {n: paths for n, paths in step.takes.items() if n in giver.layers}
        if not names:
            continue
        files = []
        for shard in range(len(work.setup.shards)) if work.shard is None else [work.shard]:
            name = _handed(giver, step, work.block, shard)
            content = place.read(name)
            if content is None:
                raise FileNotFoundError(f"{place.source} lacks {name}; nothing else may write there")
            files.append(content)
        found |= unpacked(files, names, graph.plan)
    return found


def advance(
    engine: Engine, step: Pass, graph: Graph, data: Dataset, work: Work, before: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Runs the rows of a task through an engine. before: what the pass takes of others in these rows.

    Returns what is handed on or kept, chunk by chunk, and the files' content by table.
    """
    plan, setup, tables = graph.plan, work.setup, Tables(data.symbols)
    parts: list[dict[str, Any]] = []
    wanted = {"observations", "external_alpha"} & engine.plan.hints.keys()
    gives = step.gives
    if setup.out is None:
        gives = {name: every_leaf(plan.type_of(name)) for name in step.layers if name in setup.keep}
    for i, j in data.cuts(engine.bars_within(CHUNK_BYTES), work.a, graph.wiring.epoch_ns):
        if i >= work.b:
            break
        observed = data.inputs(data.rows(i, j)) if wanted else {}
        given = {name: cut(value, plan.type_of(name), i - work.a, j - work.a) for name, value in before.items()}
        values = engine.advance(Chunk(data.time[i:j], observed | given)).values
        parts.append({n: narrowed(values[n], plan.type_of(n), paths) for n, paths in gives.items()})
        for name in step.layers if setup.out is not None else ():
            node = plan.nodes[name]
            tables.add(f"{node.domain}.{step.name}", columns_of(name, values[name], node.returns, len(data.symbols)))
        tables.end(data.time[i:j])
    return parts, tables.close()


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


def write(place: Place, tables: Mapping[str, bytes], work: Work) -> dict[str, int]:
    """Writes the tables of a task; returns the size of each file."""
    name = f"{work.block:06}-{'all' if work.shard is None else f'{work.shard:04}'}"
    files = {f"features/{table}/{name}.parquet": content for table, content in tables.items()}
    for path, content in files.items():
        place.write(path, content)
    return {path: len(content) for path, content in files.items()}
