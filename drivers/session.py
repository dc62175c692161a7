"""What batch and stream share: a request becomes a project, a configuration, a data set, a plan and an engine."""

from __future__ import annotations

import hashlib
import importlib
import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from dataflows.boundary import Boundary
from dataflows.kernels.compile import cache_root
from drivers.engine.engine import Engine
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.engine.wiring import Wiring, with_spec
from drivers.engine.wiring import load as load_wiring
from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.simulate import simulate
from drivers.graph_modules import layer_modules
from drivers.precompile import compiling_beside
from drivers.project import Configs, MachineSpec, Project, load_configs, load_spec, locate
from drivers.request import RunRequest
from drivers.specs.history import in_force

CHUNK_BYTES: Final = 48 * 2**20
"""What one chunk's panels may take; longer days are cut."""
FIELDS: Final = 450
"""Panels that a chunk holds at once, about: layers' outputs, recorded steps and observations."""
SAMPLE_EDGE: Final = 2.5
"""Strength of the edge that is planted in the built-in sample market: enough to be learned, and to pay, within two weeks."""


@dataclass(frozen=True)
class Session:
    """All that a run consists of before its first bar."""

    request: RunRequest
    project: Project
    wiring: Wiring
    configs: Configs
    spec: MachineSpec | None
    data: Dataset
    plan: Plan
    engine: Engine

    @property
    def chunk_bars(self) -> int:
        """Bars that fit into a chunk."""
        return max(1, CHUNK_BYTES // (8 * FIELDS * len(self.data.symbols)))

    def describe(self) -> dict[str, Any]:
        """What `run.json` says of a run before it has any results: enough to make it again."""
        return {
            "kind": "run",
            "versions": versions(),
            "code": {name: self.plan.code_of(node)[:16] for name, node in self.plan.nodes.items()},
            "configuration": {name: record._asdict() for name, record in self.configs.items()},
            "configuration_hash": digest({name: record._asdict() for name, record in self.configs.items()}),
            "wiring_hash": hashlib.sha256(self.project.wiring.read_bytes()).hexdigest(),
            "data": str(self.data.path.name),
            "data_path": None if self.request.data is None else str(self.request.data),
            "data_hash": self.data.hash,
            "start": self.request.start,
            "end": self.request.end,
            "source": self.data.source,
            "symbols": list(self.data.symbols),
            "bars": len(self.data),
            "depth": self.data.depth,
            "external_alpha": self.data.has_alpha,
            "instruments": self.data.instruments._asdict(),
            "clock_seconds": self.data.step // 1_000_000_000,
            "seed": self.request.seed if self.request.data is None else None,
            "spec": None if self.spec is None else self.spec.model_dump(),
            "applied": [spec.model_dump() for spec in in_force(self.project.root, self.configs)],
            "overrides": list(self.request.overrides),
        }


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    packages = ("stratoquant", "numpy", "numba", "pandas", "pandera", "apache-hamilton", "pyarrow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def boundaries(wiring: Wiring) -> dict[str, type[Boundary]]:
    """The boundary model of every domain that names one."""
    found: dict[str, type[Boundary]] = {}
    for name, domain in wiring.domains.items():
        if domain.boundary:
            module, _, attribute = domain.boundary.rpartition(".")
            found[name] = getattr(importlib.import_module(module), attribute)
    return found


def make_plan(wiring: Wiring, configs: Mapping[str, Any]) -> Plan:
    """The plan of the enabled layers."""
    disabled = [name for name, entry in wiring.layers.items() if not entry.enabled]
    return Plan(layer_modules(without=disabled), configs, wiring.delayed_edges(), variant=wiring.variants)


def sample_folder(seed: int) -> Path:
    """Where the built-in sample market of a seed is kept, once it is made."""
    return cache_root() / "samples" / f"{version('stratoquant')}-seed-{seed}-edge-{SAMPLE_EDGE}"


def sample_market(seed: int, progress: Progress) -> Path:
    """The built-in sample market of a seed: simulated once, then kept in the cache folder."""
    folder = sample_folder(seed)
    if not (folder / "dataset.yml").is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        task = progress.add_task("Simulating the sample market", total=1.0)
        simulate(folder, seed=seed, edge=SAMPLE_EDGE, progress=lambda done: progress.update(task, completed=done))
        progress.remove_task(task)
    return folder


@contextmanager
def progress_bar(console: Console) -> Iterator[Progress]:
    """A progress bar with the time left, gone when done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield progress


def open_session(request: RunRequest, progress: Progress, *, compiled: bool = True) -> Session:
    """Reads and checks everything that a run needs, and compiles what it calls. Nothing is written."""
    project = locate(request.project)
    wiring = load_wiring(project.wiring)
    spec = load_spec(project, request.spec) if request.spec else None
    if spec is not None:
        wiring = with_spec(wiring, spec)
    configs = load_configs(project, request.overrides, spec)
    path = request.data if request.data is not None else sample_market(request.seed, progress)
    reading = progress.add_task(f"Reading {path.name}", total=None)
    venues = project.config / "venues"
    data = open_dataset(path, symbols=request.symbols, start=request.start, end=request.end, venues=venues)
    progress.remove_task(reading)
    configs["data"] = configs["data"]._replace(clock_seconds=data.step // 1_000_000_000)
    plan = make_plan(wiring, configs)
    engine = Engine(
        plan,
        data.symbols,
        {"instruments": data.instruments},
        depth=data.depth,
        compiled=compiled,
        guard=Guards(plan, boundaries(wiring), data.symbols),
        epoch_ns=wiring.epoch_ns,
    )
    with compiling_beside(plan, request.project):
        warm_up(engine, progress)
    return Session(request, project, wiring, configs, spec, data, plan, engine)


def warm_up(engine: Engine, progress: Progress) -> None:
    """Compiles every layer, or loads it from the cache, with a bar."""
    stage = engine.plan.stage
    total = len(stage["columnar"]) + len(stage["post"]) + len(stage["step"]) + 1
    task = progress.add_task("Compiling", total=total)

    def on_layer(name: str) -> None:
        progress.update(task, advance=1, description=f"Compiling {name}")

    engine.warm_up(on_layer)
    progress.remove_task(task)
