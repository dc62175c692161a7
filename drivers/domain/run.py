"""The driver of one domain: on the recorded inputs of a run, or on market data with all that it depends on computed first.

On a run:

1. The domain is cut out of the graph. A layer of which it reads a field that runs do not record runs beside it.
2. What it takes is read chunk by chunk and checked against the boundary models of the domains it comes from.
3. The engine runs the domain's layers from the run's first bar on, cut at the epochs as the whole graph is.
4. A layer that ran beside must have given what was recorded, to the bit: otherwise the inputs are not those of the run.
5. The domain's outputs pass its own boundary model and are written as those of a run are, whole or not at all.
"""

from __future__ import annotations

import hashlib
import time as clock_time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import Progress

from dataflows.panel import is_log
from dataflows.spans import BarClock
from drivers.domain import checks
from drivers.domain.errors import DomainError
from drivers.domain.inputs import RecordedInputs, cut_out, missing, upstream
from drivers.domain.market import market_of
from drivers.domain.summary import FieldFigures, figures
from drivers.engine.building import boundaries, enabled_layers, make_engine, make_plan
from drivers.engine.chunk import Chunk, Outputs
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.feeds.dataset import open_dataset
from drivers.feeds.source import Source, Url, source_of
from drivers.graph.layers import LayerNode
from drivers.graph.wiring import Wiring, with_spec
from drivers.graph.wiring import load as load_wiring
from drivers.project.configs import Configs, load_configs
from drivers.project.locate import Project, locate
from drivers.project.machine_specs import MachineSpec, load_spec
from drivers.run.assembly import CHUNK_BYTES
from drivers.run.compile_bar import warm_up
from drivers.run.progress import progress_bar
from drivers.run.provenance import digest, versions
from drivers.store.kept import instead
from drivers.store.published import holds_run, results_folder
from drivers.store.reader import RecordedRun, open_run
from drivers.store.writer import ResultWriter
from drivers.text.suggestions import did_you_mean
from drivers.text.terminal import Terminal
from drivers.text.times import stamp


@dataclass(frozen=True)
class DomainResult:
    """A finished domain run. loop: "none", "open" or "closed"; `notes` say it, and all else that a reader must know."""

    out: Path
    domain: str
    loop: str
    notes: tuple[str, ...]
    source: RecordedRun | None = None
    symbols: tuple[str, ...] | None = None
    start: int | None = None

    @property
    def run(self) -> RecordedRun:
        """The results, as those of any run are read."""
        return open_run(self.out)

    def frame(self, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The domain's outputs: one row a bar and symbol, columns `<layer>.<field>`."""
        return self.run.frame(f"features/{self.domain}", columns, symbols=self.symbols, start=self.start)

    def figures(self) -> list[FieldFigures]:
        """A line a column: how much is known, its spread, and what differs from the run that it was made from."""
        return list(figures(self.run, self.domain, self.source, symbols=self.symbols, start=self.start))

    def summary(self) -> pd.DataFrame:
        """The same as a table, by layer and field."""
        return pd.DataFrame(self.figures()).set_index(["layer", "field"])


@dataclass(frozen=True)
class _Request:
    """What was asked for; see `run_domain`."""

    domain: str
    source: Source
    out: Path
    data: Source | None
    symbols: tuple[str, ...] | None
    start: int | None
    end: int | None
    overrides: tuple[str, ...]
    spec: str | None
    project: Path | None
    overwrite: bool
    compiled: bool


@dataclass(frozen=True)
class _Setup:
    """A domain ready to run: its engine, and what its results will say of themselves."""

    plan: Plan
    engine: Engine
    symbols: tuple[str, ...]
    project: Project
    configs: Configs
    loop: str
    notes: list[str]
    about: dict[str, Any]


def run_domain(
    domain: str,
    source: Source | str,
    *,
    out: Path | str | None = None,
    data: Source | str | None = None,
    symbols: Sequence[str] | None = None,
    start: int | None = None,
    end: int | None = None,
    overrides: Sequence[str] = (),
    spec: str | None = None,
    project: Path | None = None,
    overwrite: bool = False,
    compiled: bool = True,
    console: Console | None = None,
) -> DomainResult:
    """Runs one domain alone and writes its outputs to `out` (default: runs/<domain>-<time>).

    source: a run's results, or market data, a folder or a partitioned data set. data: the market data of the run, where it is
    needed and no longer where the run found it. start, end: UTC ns. On market data, `symbols`, `start` and `end` choose what
    is read. On a run, everything is computed from its first bar on, up to `end`; `symbols` and `start` choose what the result
    shows. overrides, spec: changes of the configuration of the run (or of the project, on market data). project: another
    wiring and configuration than the run's. compiled: False runs step layers as plain Python.
    Raises DomainError, and what its parts raise, each with one sentence; BoundaryError for a value that a domain did not
    promise. Nothing is left behind then.
    """
    given, now = _results(_place(source)), datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    request = _Request(
        domain,
        given,
        Path(out) if out is not None else Path("runs") / f"{domain}-{now}",
        None if data is None else _place(data),
        None if symbols is None else tuple(symbols),
        start,
        end,
        tuple(overrides),
        spec,
        project,
        overwrite,
        compiled,
    )
    console = console or Terminal(stderr=True)
    with progress_bar(console) as progress:
        if isinstance(given, Path) and ((given / "run.json").is_file() or given.suffix == ".partial"):
            return _on_run(request, given, progress)
        if isinstance(given, Path) and not given.is_dir():
            raise DomainError(f"{given} is not a folder; name a run's results, or a folder of market data")
        if request.data is not None:
            raise DomainError(f"{given} is market data already; --data names those of a run")
        return _on_data(request, progress)


def _place(given: Source | str) -> Source:
    return source_of(given) if isinstance(given, str) else given


def _results(given: Source) -> Source:
    """A run behind a URL as the folder of its copy; market data as they are."""
    return results_folder(given) if isinstance(given, Url) and holds_run(given) else given


# ---- on a run


def _on_run(request: _Request, folder: Path, progress: Progress) -> DomainResult:
    run = open_run(folder)
    if run.about.get("kind") == "domain":
        alone, origin = run.about["domain"], run.about["from"]["name"]
        raise DomainError(f"{run.folder} holds the {alone} domain alone; name what it was made from ({origin})")
    if run.about.get("resumed_after"):
        raise DomainError(
            f"{run.folder} goes on from a checkpoint of {run.about['resumed_after']}, and what its layers remembered is not "
            "in it; name a run that begins at its first bar"
        )
    for name in request.symbols or ():
        if name not in run.symbols:
            raise DomainError(f"{run.folder.name} has no symbol {name!r}; it has {', '.join(run.symbols)}")
    then = _wiring_then(run)
    project, wiring, configs, spec = _configured(request, run, then)
    nodes = enabled_layers(wiring, project)
    _require_domain(request.domain, nodes, wiring)
    cut = cut_out(request.domain, nodes, wiring.delayed_edges())
    lacking = missing(run, cut, nodes, then)
    if lacking and run.kept != "all":
        raise DomainError(
            f"{run.folder.name} lacks what {request.domain} takes at every bar: {instead(run.kept)}, or run the domain on the "
            "market data"
        )
    if lacking:
        raise DomainError(
            f"{run.folder.name} lacks what {request.domain} takes: {'; '.join(lacking)}. Run the whole graph again, or run the "
            "domain on the market data"
        )
    checks.refuse_idle(run, cut, nodes, wiring, configs, request.overrides, spec)
    data, facts = market_of(run, cut, nodes, request.data, progress)
    plan = make_plan(wiring, configs, project, only=cut.runs)
    models = boundaries(wiring)
    own = {request.domain: models[request.domain]} if request.domain in models else {}
    engine = make_engine(
        plan,
        run.symbols,
        facts,
        depth=int(run.about.get("depth", 1)) if data is None else data.depth,
        models=own,
        epoch_ns=wiring.epoch_ns,
        compiled=request.compiled,
    )
    loop, meaning = checks.loop_of(cut, nodes, plan)
    notes = [meaning, *checks.beside_notes(cut, nodes), *checks.notes(run, cut, then, plan, configs)]
    inputs = RecordedInputs(run, cut, nodes, models, data=data, end=request.end)
    if not len(inputs.time):
        raise DomainError(f"{run.folder.name} begins at {stamp(int(run.times()[0]))}, after --end; name a later time")
    about = {
        "from": {"kind": "run", "name": run.folder.name, "path": str(request.source), "code": run.about.get("code")},
        "beside": {name: list(fields) for name, fields in cut.beside.items()},
        **{
            key: run.about.get(key)
            for key in ("data", "data_path", "data_hash", "source", "clock_seconds", "clock", "seed", "depth")
        },
        "instruments": facts._asdict() if facts is not None else None,
        "start": run.about.get("start"),
        "end": run.about.get("end"),
    }
    setup = _Setup(plan, engine, run.symbols, project, configs, loop, notes, {**about, **_changes(request, spec)})
    most = engine.bars_within(CHUNK_BYTES)
    task = progress.add_task(f"Running {request.domain}", total=len(inputs.time))
    _show_compiling(engine, progress, task, request.domain)

    def chunks(advance: Callable[[Chunk], Outputs]) -> int:
        for a, b in inputs.spans(wiring.epoch_ns, most):
            chunk = inputs.chunk(a, b)
            inputs.teach(a, engine.arena.values)
            outputs = advance(chunk)
            checks.refuse_other_inputs(run, cut, nodes, outputs)
            progress.update(task, advance=b - a)
        return len(inputs.time)

    _write(request, setup, cut.own, chunks)
    return DomainResult(request.out, request.domain, loop, tuple(notes), run, request.symbols, request.start)


def _wiring_then(run: RecordedRun) -> Wiring:
    """The wiring that a run was made with, its machine spec included."""
    wiring = load_wiring(run.project.wiring)
    used = run.about.get("spec")
    return with_spec(wiring, MachineSpec(**used)) if used and "domain" in used else wiring


def _configured(request: _Request, run: RecordedRun, then: Wiring) -> tuple[Project, Wiring, Configs, MachineSpec | None]:
    """The wiring and the configuration: the run's own or those of --project, then the machine spec, then the overrides."""
    named = locate(request.project)
    project = (
        replace(run.project, specs=named.specs, layers=named.layers, named=named.named) if request.project is None else named
    )
    wiring = then if request.project is None else load_wiring(project.wiring)
    spec = load_spec(project, request.spec) if request.spec else None
    if spec is not None:
        wiring = with_spec(wiring, spec)
    clock = _clock_of(run.about)
    configs = load_configs(project, request.overrides, spec, clock)
    return project, wiring.at_clock(clock), configs, spec


def _clock_of(about: Mapping[str, Any]) -> BarClock:
    """The clock of a run's data; of a run that did not note it, that of a market that never closes."""
    if about.get("clock"):
        return BarClock(**{**about["clock"], "timeframes": tuple(about["clock"]["timeframes"])})
    seconds = int(about["clock_seconds"])
    return BarClock(seconds, 86_400 // seconds, 7 * 86_400 // seconds)


def _require_domain(domain: str, nodes: Mapping[str, LayerNode], wiring: Wiring) -> None:
    recorded = (n.domain for n in nodes.values() if n.schedule != "epoch" and not is_log(n.returns))
    there = list(dict.fromkeys(recorded))
    if domain in there:
        return
    if domain in wiring.domains:
        raise DomainError(f"{domain} has no layers that run bar by bar; {', '.join(there)} have")
    raise DomainError(f"there is no domain {domain!r}; {did_you_mean(domain, there)}")


# ---- on market data


def _on_data(request: _Request, progress: Progress) -> DomainResult:
    project = locate(request.project)
    wiring = load_wiring(project.wiring)
    spec = load_spec(project, request.spec) if request.spec else None
    if spec is not None:
        wiring = with_spec(wiring, spec)
    load_configs(project, request.overrides, spec, clock=None)  # a slip is told before the data are read
    nodes = enabled_layers(wiring, project)
    _require_domain(request.domain, nodes, wiring)
    reading = progress.add_task(f"Reading {request.source.name}", total=None)
    venues = project.config / "venues"
    data = open_dataset(request.source, symbols=request.symbols, start=request.start, end=request.end, venues=venues)
    progress.remove_task(reading)
    configs = load_configs(project, request.overrides, spec, data.clock)
    wiring = wiring.at_clock(data.clock)
    needed = upstream(request.domain, nodes, wiring.delayed_edges())
    plan = make_plan(wiring, configs, project, only=needed)
    engine = make_engine(
        plan,
        data.symbols,
        data.instruments,
        depth=data.depth,
        models=boundaries(wiring),
        epoch_ns=wiring.epoch_ns,
        compiled=request.compiled,
    )
    warm_up(engine, request.project, progress)
    loop, meaning = checks.closed_or_none(plan)
    own = tuple(name for name, node in nodes.items() if node.domain == request.domain)
    beside = [name for name in plan.nodes if name not in own]
    notes = [meaning]
    if beside:
        others = ", ".join(dict.fromkeys(nodes[name].domain for name in beside))
        notes.append(f"computed with it, since it depends on them: {len(beside)} layers of {others}")
    about = {
        "from": {"kind": "data", "name": data.path.name, "path": str(request.source)},
        "beside": {name: [] for name in beside},
        "data": data.path.name,
        "data_path": str(request.source),
        "data_hash": data.digest,
        "source": data.source,
        "clock_seconds": data.clock.seconds,
        "clock": data.clock._asdict(),
        "depth": data.depth,
        "instruments": data.instruments._asdict(),
        "start": request.start,
        "end": request.end,
    }
    setup = _Setup(plan, engine, data.symbols, project, configs, loop, notes, {**about, **_changes(request, spec)})
    task = progress.add_task(f"Running {request.domain}", total=len(data))

    def chunks(advance: Callable[[Chunk], Outputs]) -> int:
        for observations in data.chunks(engine.bars_within(CHUNK_BYTES), wiring.epoch_ns):
            advance(Chunk(observations.time, data.inputs(observations)))
            progress.update(task, advance=len(observations.time))
        return len(data)

    _write(request, setup, own, chunks)
    return DomainResult(request.out, request.domain, loop, tuple(notes))


# ---- both


def _changes(request: _Request, spec: MachineSpec | None) -> dict[str, Any]:
    return {"spec": None if spec is None else spec.model_dump(), "overrides": list(request.overrides)}


def _show_compiling(engine: Engine, progress: Progress, task: Any, domain: str) -> None:
    """The first chunk compiles, or loads: say which layer is at it."""
    seen: set[str] = set()

    def on_layer(name: str) -> None:
        fresh = name not in seen
        seen.add(name)
        progress.update(task, description=f"Compiling {name}" if fresh else f"Running {domain}")

    engine.on_layer = on_layer


def _write(request: _Request, setup: _Setup, own: Sequence[str], chunks: Callable[[Callable[[Chunk], Outputs]], int]) -> None:
    """Runs the chunks and puts the domain's outputs under their name; on an error nothing is left."""
    plan = setup.plan
    domains = {name: request.domain for name in own if plan.nodes[name].schedule != "epoch"}
    begun = clock_time.perf_counter()
    writer = ResultWriter(request.out, setup.symbols, overwrite=request.overwrite)
    try:

        def advance(chunk: Chunk) -> Outputs:
            outputs = setup.engine.advance(chunk)
            values = {name: outputs.values[name] for name in domains}
            writer.write(values, plan.annotations, domains, outputs.time, outputs.offsets)
            return outputs

        bars = chunks(advance)
        writer.copy_project(setup.project, setup.configs)
        writer.finish(
            {
                "kind": "domain",
                "domain": request.domain,
                "loop": setup.loop,
                "notes": setup.notes,
                "versions": versions(),
                "code": {name: plan.code_of(node)[:16] for name, node in plan.nodes.items()},
                "configuration": {name: record._asdict() for name, record in setup.configs.items()},
                "configuration_hash": digest({name: record._asdict() for name, record in setup.configs.items()}),
                "wiring_hash": hashlib.sha256(setup.project.wiring.read_bytes()).hexdigest(),
                "symbols": list(setup.symbols),
                "bars": bars,
                **setup.about,
                "timings": {"run_seconds": clock_time.perf_counter() - begun},
            }
        )
    finally:
        writer.abandon()  # does nothing after `finish`
