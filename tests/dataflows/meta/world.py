"""Days of signals and prices for the epoch layers, and an engine that runs one of them on such records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from dataflows.data.types import unknown_instruments
from dataflows.panel import fields_of, is_record, kind_of
from drivers.engine.building import make_plan
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk, cut
from drivers.engine.engine import DAY_NS, Engine
from drivers.engine.plan import Plan
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults

MINUTE = 60_000_000_000
START = 19_800 * DAY_NS


def plan_of(*layers: str, overrides: tuple[str, ...] = ()) -> Plan:
    """Layers of the graph alone; all else that they take comes in as recorded values."""
    project = defaults()
    return make_plan(load(project.wiring), load_configs(project, overrides), only=layers)


def noise(annotation: Any, bars: int, symbols: int, rng: np.random.Generator, widths: Mapping[str, int]) -> Any:
    """A record of random panels of the right shapes: floats in [-1, 1], whole numbers 0 or 1."""
    if is_record(annotation):
        return annotation(
            *[noise(t, bars, symbols, rng, widths | {"K": widths.get(f, 3)}) for f, t in fields_of(annotation).items()]
        )
    kind = kind_of(annotation)
    shape = (bars, *({"N": symbols, "D": 1, "table": 1, **widths}[a] for a in kind.axes))
    return rng.uniform(-1.0, 1.0, shape) if kind.dtype == "f8" else rng.integers(0, 2, shape)


def engine_on(plan: Plan, symbols: int) -> Engine:
    return Engine(plan, [f"S{i}" for i in range(symbols)], {"instruments": unknown_instruments(symbols)})


def closes(
    plan: Plan,
    inputs: Mapping[str, Any],
    time: Any,
    symbols: int,
    *,
    cuts: Iterable[int] = (),
    restore_at: int = 0,
) -> list[dict[str, Any]]:
    """What the layer returned at each epoch's end. cuts: further rows at which the chunks are cut; restore_at: a row from which
    a new engine goes on from a checkpoint."""
    engine = engine_on(plan, symbols)
    midnights = np.flatnonzero(np.diff((time - 1) // DAY_NS)) + 1
    edges = sorted({0, len(time), *midnights.tolist(), *cuts, restore_at})
    found = []
    for a, b in pairwise(edges):
        if a == restore_at and a > 0:
            fresh = engine_on(plan, symbols)
            restore(fresh, save(engine))
            engine = fresh
        part = {name: cut(value, plan.type_of(name), a, b) for name, value in inputs.items()}
        epoch = engine.advance(Chunk(time[a:b], part)).epoch
        if epoch:
            found.append(epoch)
    return found
