"""What an evaluation will run: markets, windows and settings become tasks, each with a name that its inputs decide."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import Progress

from dataflows.spans import BarClock
from drivers.engine.building import make_plan
from drivers.engine.plan import Plan
from drivers.evaluation.errors import EvaluationError
from drivers.evaluation.machine import source
from drivers.evaluation.settings import AS_CONFIGURED, Setting, ablation
from drivers.feeds.base import DAY
from drivers.feeds.dataset import open_dataset
from drivers.feeds.sample import sample_market
from drivers.feeds.source import Source
from drivers.graph.wiring import load as load_wiring
from drivers.graph.wiring import with_spec
from drivers.project.configs import Configs, load_configs
from drivers.project.locate import Project, locate
from drivers.project.machine_specs import MachineSpec, load_spec
from drivers.run.provenance import digest
from drivers.run.request import RunRequest
from drivers.run.venue_link import check_venue

LEAST_DAYS: Final = 2
"""Of a window: fewer have no Sharpe ratio."""


@dataclass(frozen=True)
class EvaluationRequest:
    """What is compared on what.

    base: data, symbols, span, machine spec and project of every run; its overrides hold for all settings. seeds: of built-in
    sample markets, in the place of data. ablate: also switch each adaptive part over. windows: parts of the span, for which
    results are shown apart. separate: each window is a run of its own, which begins with nothing learned. keep: leave the runs
    themselves in `runs/` of the results.
    """

    base: RunRequest
    settings: Sequence[Setting] = ()
    seeds: tuple[int, ...] = ()
    ablate: bool = False
    windows: int = 4
    separate: bool = False
    out: Path | None = None
    keep: bool = False


@dataclass(frozen=True)
class Market:
    """Data of all settings. edges: (windows + 1,) UTC days since 1970, window i is from edges[i] up to edges[i + 1]."""

    name: str
    path: Source | None
    seed: int
    digest: str
    clock: BarClock
    bars: int
    symbols: tuple[str, ...]
    edges: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """A run to be made. id: of what decides its results. window: None for the whole span."""

    id: str
    setting: int
    market: int
    window: int | None
    request: RunRequest


@dataclass(frozen=True)
class EvaluationPlan:
    """settings: those that differ, the configuration as it is first. dropped: (name, the one that it is equal to)."""

    request: EvaluationRequest
    project: Project
    settings: tuple[Setting, ...]
    dropped: tuple[tuple[str, str], ...]
    markets: tuple[Market, ...]
    pieces: tuple[Piece, ...]
    configs: Configs  # as configured
    engine: Plan  # likewise
    spec: MachineSpec | None


def plan_evaluation(request: EvaluationRequest, progress: Progress) -> EvaluationPlan:
    """Reads and checks everything that the runs need. Raises one sentence for each mistake."""
    base = request.base
    if request.windows < 1:
        raise EvaluationError(f"{request.windows} windows are none; give 1 or more")
    if request.seeds and base.data is not None:
        raise EvaluationError("seeds are of simulated markets, and data are given; leave one of them out")
    project = locate(base.project)
    spec = load_spec(project, base.spec) if base.spec else None
    for setting in request.settings:  # a slip is told before the data are read
        load_configs(project, (*base.overrides, *setting.overrides), spec, clock=None)
    markets = tuple(_markets(request, project, progress))
    configs = load_configs(project, base.overrides, spec, markets[0].clock)
    settings = [*(request.settings or [Setting(AS_CONFIGURED)]), *(ablation(configs) if request.ablate else [])]
    kept: dict[str, Setting] = {}
    dropped = []
    for setting in settings:
        resolved = load_configs(project, (*base.overrides, *setting.overrides), spec, markets[0].clock)
        key = digest({domain: record._asdict() for domain, record in resolved.items()})
        if key in kept:
            dropped.append((setting.name, kept[key].name))
        else:
            kept[key] = setting
    wiring = load_wiring(project.wiring)
    wiring = (wiring if spec is None else with_spec(wiring, spec)).at_clock(markets[0].clock)
    engine = make_plan(wiring, configs, project)
    check_venue(engine, connected=False)
    inputs = {
        "wiring": hashlib.sha256(project.wiring.read_bytes()).hexdigest(),
        "spec": None if spec is None else spec.model_dump(),
        "source": source(),
        "own": None if project.layers is None else _own(project.layers),
        "symbols": base.symbols,
    }
    pieces = []
    for s, key in enumerate(kept):
        for m, market in enumerate(markets):
            for w in range(len(market.edges) - 1) if request.separate else (None,):
                run = _run(request, kept[key], market, w)
                name = digest({**inputs, "configuration": key, "data": market.digest, "start": run.start, "end": run.end})
                pieces.append(Piece(name[:20], s, m, w, run))
    return EvaluationPlan(request, project, tuple(kept.values()), tuple(dropped), markets, tuple(pieces), configs, engine, spec)


def _run(request: EvaluationRequest, setting: Setting, market: Market, window: int | None) -> RunRequest:
    base = request.base
    start, end = base.start, base.end
    if window is not None:  # the first and the last one keep to the span as it was given
        start = start if window == 0 else market.edges[window] * DAY
        end = end if window == len(market.edges) - 2 else market.edges[window + 1] * DAY
    return replace(
        base,
        data=market.path,
        seed=market.seed,
        start=start,
        end=end,
        overrides=(*base.overrides, *setting.overrides),
        features="decisions" if request.keep else "none",
    )


def _markets(request: EvaluationRequest, project: Project, progress: Progress) -> list[Market]:
    base = request.base
    made = []
    for seed in request.seeds or (base.seed,):
        path = base.data if base.data is not None else sample_market(seed, progress)
        reading = progress.add_task(f"Reading {path.name}", total=None)
        data = open_dataset(path, symbols=base.symbols, start=base.start, end=base.end, venues=project.config / "venues")
        progress.remove_task(reading)
        days = np.unique((data.time - 1) // DAY)
        if len(days) < LEAST_DAYS * request.windows:
            raise EvaluationError(
                f"{path.name} has {len(days)} days, too few for {request.windows} windows of {LEAST_DAYS} days or more; give "
                "--windows 1, or more data"
            )
        parts = np.array_split(days, request.windows)
        edges = (*(int(part[0]) for part in parts), int(days[-1]) + 1)
        name = path.name if base.data is not None else f"sample market, seed {seed}"
        path_of_runs = base.data.absolute() if isinstance(base.data, Path) else base.data
        made.append(Market(name, path_of_runs, seed, data.digest, data.clock, len(data), tuple(data.symbols), edges))
    return made


def _own(layers: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(layers.rglob("*.py")):
        found.update(f"{path.relative_to(layers)} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
