"""What batch and stream share: a request becomes a project, a configuration, a data set, a plan and an engine."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.progress import Progress

from drivers.engine.building import boundaries, make_engine, make_plan
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.feeds.base import Feed
from drivers.feeds.dataset import open_dataset
from drivers.feeds.journal import JournalFeed, is_journal
from drivers.feeds.sample import sample_market
from drivers.graph.wiring import Wiring, with_spec
from drivers.graph.wiring import load as load_wiring
from drivers.project.configs import Configs, load_configs
from drivers.project.locate import Project, locate
from drivers.project.machine_specs import MachineSpec, load_spec
from drivers.run.compile_bar import warm_up
from drivers.run.live import feed_of_frames, live_feed
from drivers.run.provenance import digest, versions
from drivers.run.request import RunRequest
from drivers.specs.history import in_force

CHUNK_BYTES: Final = 96 * 2**20
"""What the panels of the two chunks that are under way may take; longer stretches are cut."""


@dataclass(frozen=True)
class PreparedRun:
    """All that a run consists of before its first bar."""

    request: RunRequest
    project: Project
    wiring: Wiring
    configs: Configs
    spec: MachineSpec | None
    data: Feed
    plan: Plan
    engine: Engine

    @property
    def chunk_bars(self) -> int:
        """Bars that fit into a chunk."""
        return self.engine.bars_within(CHUNK_BYTES)

    def describe(self) -> dict[str, Any]:
        """What `run.json` says of a run before it has any results: enough to make it again."""
        return {
            "kind": "run",
            "versions": versions(),
            "code": {name: self.plan.code_of(node)[:16] for name, node in self.plan.nodes.items()},
            "configuration": {name: record._asdict() for name, record in self.configs.items()},
            "configuration_hash": digest({name: record._asdict() for name, record in self.configs.items()}),
            "wiring_hash": hashlib.sha256(self.project.wiring.read_bytes()).hexdigest(),
            **self.data.about(),
            "data_path": None if self.request.data is None else str(self.request.data),
            "data_hash": self.data.digest,
            "start": self.request.start,
            "end": self.request.end,
            "symbols": list(self.data.symbols),
            "depth": self.data.depth,
            "instruments": self.data.instruments._asdict(),
            "clock_seconds": self.data.clock.seconds,
            "clock": self.data.clock._asdict(),
            "seed": self.request.seed if self.request.is_sample else None,
            "spec": None if self.spec is None else self.spec.model_dump(),
            "applied": [spec.model_dump() for spec in in_force(self.project.root, self.configs)],
            "overrides": list(self.request.overrides),
            "features": self.request.keeps,
        }


def prepare_run(
    request: RunRequest,
    progress: Progress,
    feed: Feed | None = None,
    *,
    compiled: bool = True,
    notify: Callable[[str], None] = lambda text: None,
) -> PreparedRun:
    """Reads and checks everything that a run needs, and compiles what it calls. Nothing is written.

    feed: where the bars come from; None: what the request names, or the built-in sample market. notify: told of outages of a
    live market.
    """
    project = locate(request.project)
    wiring = load_wiring(project.wiring)
    spec = load_spec(project, request.spec) if request.spec else None
    if spec is not None:
        wiring = with_spec(wiring, spec)
    if request.mode != "paper":
        wiring = wiring.model_copy(update={"variants": {**wiring.variants, "venue": "live"}})
    load_configs(project, request.overrides, spec, clock=None)  # a slip is told before the data are read
    data: Feed
    if feed is not None:
        data = feed
    elif request.venue is not None:
        data = live_feed(request, project, spec, progress, notify)
    elif request.frames is not None:
        data = feed_of_frames(request.frames, notify)
    else:
        data = _recorded(request, project, progress)
    configs = load_configs(project, request.overrides, spec, data.clock)
    wiring = wiring.at_clock(data.clock)
    plan = make_plan(wiring, configs, project)
    engine = make_engine(
        plan,
        data.symbols,
        data.instruments,
        depth=data.depth,
        models=boundaries(wiring),
        epoch_ns=wiring.epoch_ns,
        compiled=compiled,
    )
    warm_up(engine, request.project, progress)
    return PreparedRun(request, project, wiring, configs, spec, data, plan, engine)


def _recorded(request: RunRequest, project: Project, progress: Progress) -> Feed:
    path = request.data if request.data is not None else sample_market(request.seed, progress)
    if isinstance(path, Path) and is_journal(path):
        if request.symbols is not None:
            raise ValueError(f"{path.name} is the journal of a stream, which is run with all its symbols; leave out --symbols")
        return JournalFeed(path, request.start, request.end)
    reading = progress.add_task(f"Reading {path.name}", total=None)
    venues = project.config / "venues"
    data = open_dataset(path, symbols=request.symbols, start=request.start, end=request.end, venues=venues)
    progress.remove_task(reading)
    return data
