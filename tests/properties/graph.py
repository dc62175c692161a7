"""The whole graph as the product runs it, and how to run it over a market, cut in any way."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dataflows.data.types import Instruments, Observations
from dataflows.panel import fields_of, is_record, kind_of, leaves
from drivers.engine.building import boundaries, make_plan
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk, Outputs, cut
from drivers.engine.engine import Engine
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.validation import compare
from drivers.validation.compare import first_unequal

__all__ = ["PERMUTATION", "differs", "engine_of", "flat", "guards_of", "node_differs", "permuted", "plan_of", "run"]

EAGER = (
    "kinematics.channel_bars=6", "pattern.compression_window=5", "pattern.compression_share=0.7",
    "pattern.compression_enter=1.0", "pattern.compression_leave=1.2",
    "pattern.confirmed_volume_z=0.1", "pattern.confirmed_flow_z=0.1",
    "pattern.swing_reversal_atr=2.5", "pattern.sweep_volume_z=0.1",
    "pattern.climax_range_atr=1.2", "pattern.climax_volume_z=0.5", "pattern.climax_velocity_atr=0.2",
    "pattern.hold_away_atr=0.5", "pattern.range_calm=0.03",
    "pattern.impact_peak_sigma=0.1", "pattern.impact_left=0.95", "pattern.impact_halflife_bars=3",
    "pattern.lead_least_t=0.5",
)  # fmt: skip
"""So that every pattern occurs within a day and a half: nothing is proved of a pattern that never does."""
BELIEF = (
    *EAGER,
    "fusion.prior_slope_bps=250", "risk.annual_target=2.0", "kinematics.volatility_halflife_slow=120",
    "kinematics.term_medium_bars=120", "kinematics.term_long_bars=300",
    "risk.tail_window=600", "risk.var_window=600",
)  # fmt: skip
"""So that the closed loop trades at once, and windows fill: the account side is not tested by an account that never moves."""


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
            more = {"depth": engine.dims["D"], "epoch_ns": engine.epoch_ns, "compiled": engine.compiled}
            fresh = Engine(engine.plan, engine.symbols, engine.static, **more)
            restore(fresh, save(engine))
            engine = fresh
        outputs.append(engine.advance(Chunk(data.time[a:b], {"observations": cut(data, Observations, a, b)})))
    return outputs


def flat(plan: Plan, outputs: Sequence[Outputs]) -> dict[str, dict[str, Any]]:
    """By node, its recorded fields as arrays over all bars; of an epoch layer, what it returned at each epoch's end, stacked."""
    found = compare.flat(plan, outputs)
    for node in plan.stage["epoch"]:
        closed = [leaves(o.epoch[node.name]) for o in outputs if node.name in o.epoch]
        if closed:
            found[node.name] = {f"value {i}": np.stack(parts) for i, parts in enumerate(zip(*closed, strict=True))}
    return found


def differs(a: Any, b: Any) -> str:
    """ "" where two arrays are equal to the bit (NaN for NaN), else where they first differ."""
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape}"
    at = first_unequal(a, b)
    return "" if at is None else f"first at {list(at)}: {a[at]!r} and {b[at]!r}"


def node_differs(a: dict[str, Any], b: dict[str, Any]) -> str:
    """The first field of a node in which two runs differ, and where."""
    for field, x in a.items():
        found = differs(x, b[field])
        if found:
            return f"{field} differs {found}"
    return ""


PERMUTATION = np.array([2, 0, 1])


def permuted(value: Any, annotation: Any) -> Any:
    """A record or panel of three symbols, its symbols in the order of PERMUTATION."""
    if is_record(annotation):
        return annotation(*[permuted(v, t) for v, t in zip(value, fields_of(annotation).values(), strict=True)])
    axes = kind_of(annotation).axes
    if axes[:1] == ("static",):
        return np.ascontiguousarray(value[PERMUTATION])
    return np.ascontiguousarray(value[:, PERMUTATION]) if axes else value
