"""The whole graph as the product runs it, and how to run it over a market, cut in any way."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dataflows.data.types import Instruments, Observations
from dataflows.panel import is_log, walk
from drivers.engine.checkpoint import restore, save
from drivers.engine.engine import Chunk, Engine, Outputs, cut, joined
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.engine.wiring import load
from drivers.project import defaults, load_configs
from drivers.session import boundaries, make_plan

BELIEF = ("fusion.prior_slope_bps=120", "risk.annual_target=2.0", "kinematics.volatility_halflife_slow=120")
"""So that the closed loop trades at once: the account side is not tested by an account that never moves."""


@functools.cache
def plan_of(overrides: tuple[str, ...] = BELIEF) -> Plan:
    project = defaults()
    return make_plan(load(project.wiring), load_configs(project, overrides))


def engine_of(plan: Plan, facts: Instruments, depth: int, **more: Any) -> Engine:
    names = [f"S{i:03d}" for i in range(len(facts.uid))]
    return Engine(plan, names, {"instruments": facts}, depth=depth, **more)


def guards_of(plan: Plan, symbols: int) -> Guards:
    return Guards(plan, boundaries(load(defaults().wiring)), [f"S{i:03d}" for i in range(symbols)])


def run(engine: Engine, data: Observations, cuts: Sequence[int] = (), *, restore_at: int | None = None) -> list[Outputs]:
    """Advances over the data, cut at `cuts` and at midnights; at `restore_at` a fresh engine goes on from a checkpoint."""
    midnights = np.flatnonzero(np.diff((data.time - 1) // engine.epoch_ns)) + 1
    own = [c for c in (*cuts, restore_at or 0) if 0 < c < len(data.time)]
    edges = sorted({0, len(data.time), *own, *midnights.tolist()})
    outputs = []
    for a, b in pairwise(edges):
        if restore_at is not None and a == restore_at:
            fresh = Engine(engine.plan, engine.symbols, engine.static, depth=engine.dims["D"], compiled=engine.compiled)
            restore(fresh, save(engine))
            engine = fresh
        outputs.append(engine.advance(Chunk(data.time[a:b], {"observations": cut(data, Observations, a, b)})))
    return outputs


def flat(plan: Plan, outputs: Sequence[Outputs]) -> dict[str, dict[str, Any]]:
    """By node, its recorded fields as arrays over all bars; a log's columns and entries per instant too."""
    found: dict[str, dict[str, Any]] = {}
    for name, annotation in plan.annotations.items():
        if name not in outputs[0].values:
            continue
        value = joined([o.values[name] for o in outputs], annotation)
        if is_log(annotation):
            found[name] = {f: np.asarray(getattr(value, f)) for f in value._fields if f != "n"}
            found[name]["per instant"] = np.concatenate([np.diff(o.offsets[name]) for o in outputs])
            continue
        leaves: dict[str, Any] = {}
        for path, kind in walk(annotation):
            if kind.recorded:
                leaf = value
                for part in path:
                    leaf = getattr(leaf, part)
                leaves[".".join(path)] = np.asarray(leaf)
        found[name] = leaves
    return found


def differs(a: Any, b: Any) -> str:
    """ "" where two arrays are equal to the bit (NaN for NaN), else where they first differ."""
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape}"
    wrong = ~((a == b) | ((a != a) & (b != b)))
    return f"first at {np.argwhere(wrong)[0].tolist()}: {a[wrong][0]!r} and {b[wrong][0]!r}" if wrong.any() else ""


def node_differs(a: dict[str, Any], b: dict[str, Any]) -> str:
    """The first field of a node in which two runs differ, and where."""
    for field, x in a.items():
        found = differs(x, b[field])
        if found:
            return f"{field} differs {found}"
    return ""
