"""What every market layer says of a wide universe, without an account."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from drivers.executors.protocol import Executor
from drivers.feeds.partitioned.place import Place
from drivers.feeds.partitioned.read import open_partitioned
from drivers.feeds.source import Source
from drivers.project.configs import load_configs
from drivers.project.locate import locate
from drivers.run.provenance import versions
from drivers.scale import sweep as sweeping
from drivers.scale.sweep import SHARD, ScaleError, Sweep, require_parts

ABOUT: Final = "features.json"
"""Written last: where it is, the results are whole."""


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


class Computed(NamedTuple):
    """What was made. layers: the table of each."""

    bars: int
    symbols: tuple[str, ...]
    layers: dict[str, str]
    files: int
    bytes: int


def features(request: FeaturesRequest, executor: Executor, progress: Callable[[float], None] = lambda share: None) -> Computed:
    """Runs the market side of the graph over a partitioned data set and writes what every layer gave.

    What is learned from the account is not learned here: weights of sources and patterns, thresholds and the policy stay what
    they are at the start of a run. progress: told how much is done, 0 to 1.
    Raises DataError, ConfigError, ProjectError; ScaleError for a task that failed. `features.json` is written last.
    """
    place = Place(request.out)
    if place.read(ABOUT) is not None:
        raise ScaleError(f"{request.out} holds features already; name another place with --out")
    sweep = _prepared(request)
    for _ in sweep.run(executor, progress):
        pass  # the files are written by those who compute
    return _finished(sweep, place)


def _prepared(request: FeaturesRequest) -> Sweep:
    require_parts(request.data)
    load_configs(locate(request.project), request.overrides, None, clock=None)  # a slip is told before the data are read
    data = open_partitioned(request.data, symbols=request.symbols, start=request.start, end=request.end)
    return Sweep.over(data, request, request.shard, task_bytes=sweeping.TASK_BYTES, out=request.out)


def _finished(sweep: Sweep, place: Place) -> Computed:
    """Says what there is, in the file that is written last."""
    nodes = sweep.graph.plan.nodes
    layers = {name: f"{nodes[name].domain}.{step.name}" for step in sweep.graph.passes for name in step.layers}
    made = Computed(len(sweep.data), sweep.data.symbols, layers, len(sweep.files), sum(sweep.files.values()))
    about = {
        "kind": "features",
        "versions": versions(),
        "data": str(sweep.setup.data),
        "data_hash": sweep.data.digest,
        "symbols": made.symbols,
        "bars": made.bars,
        "clock": sweep.setup.settings.clock._asdict(),
        "first": int(sweep.data.time[0]),
        "last": int(sweep.data.time[-1]),
        "configuration": {name: record._asdict() for name, record in sweep.graph.plan.configs.items()},
        "overrides": sweep.setup.settings.overrides,
        "spec": sweep.setup.settings.spec,
        "layers": layers,
        "files": dict(sorted(sweep.files.items())),
    }
    place.write(ABOUT, (json.dumps(about, indent=1, default=np.ndarray.tolist) + "\n").encode())
    return made
