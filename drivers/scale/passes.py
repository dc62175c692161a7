"""How the market side of a graph falls into passes, and what each takes of the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from dataflows.panel import is_record, walk
from drivers.engine.plan import Plan
from drivers.graph.field_reads import Path, reads
from drivers.graph.layers import LayerNode, PlanError

Panels = dict[str, frozenset[Path]]
"""By layer: which leaves of what it returns."""


class Pass(NamedTuple):
    """Layers that run together.

    name: `1`, `1x`, `2`, … in order. across: over all symbols, not per shard. takes: what it reads of layers of other passes.
    gives: what other passes read of its own.
    """

    name: str
    across: bool
    layers: tuple[str, ...]
    takes: Panels
    gives: Panels


def passes(plan: Plan, *, learning: bool = True) -> list[Pass]:
    """The columnar layers of a plan as passes, local and across in turn; one without a layer is left out.

    learning: with those behind what an epoch has learned, for which a run must have closed the epoch before.
    Raises PlanError where a columnar layer takes something of the account, which no shard has.
    """
    every = plan.stage["columnar"]
    columnar = {node.name: node for node in every if learning or node.name not in plan.behind_epochs}
    level: dict[str, int] = {}
    for name, node in columnar.items():  # in graph order
        for p in node.params:
            if p in plan.nodes and plan.nodes[p].schedule != "columnar":
                raise PlanError(f"{name} takes {p}, which needs the account; a shard has none")
        before = [(p, columnar[p]) for p in node.params if p in columnar]
        if node.cross_sectional:
            level[name] = max([level[p] for p, _ in before], default=0)
        else:
            level[name] = max([level[p] + other.cross_sectional for p, other in before], default=0)
    groups: list[tuple[str, bool, tuple[str, ...]]] = []
    for k in range(max(level.values(), default=-1) + 1):
        for across in (False, True):
            layers = tuple(n for n, node in columnar.items() if level[n] == k and node.cross_sectional == across)
            if layers:
                groups.append((f"{k + 1}{'x' if across else ''}", across, layers))
    taken = [_taken(columnar, layers) for _, _, layers in groups]
    return [
        Pass(name, across, layers, takes, _given(layers, (t for t in taken if t is not takes)))
        for (name, across, layers), takes in zip(groups, taken, strict=True)
    ]


def _taken(nodes: Mapping[str, LayerNode], layers: tuple[str, ...]) -> Panels:
    found: dict[str, set[Path]] = {}
    for name in layers:
        for p in nodes[name].params:
            if p in nodes and p not in layers:
                found.setdefault(p, set()).update(_leaves(nodes[p], reads(nodes[name], p)))
    return {p: frozenset(paths) for p, paths in found.items()}


def _leaves(node: LayerNode, read: Iterable[Path]) -> set[Path]:
    """The leaves below what is read; all of a record that is handed on."""
    if not is_record(node.returns):
        return {()}
    every = [path for path, _ in walk(node.returns)]
    return {leaf for leaf in every for path in read if leaf[: len(path)] == path}


def every_leaf(annotation: Any) -> frozenset[Path]:
    """The paths of all leaves of a value."""
    return frozenset(path for path, _ in walk(annotation))


def _given(layers: tuple[str, ...], others: Iterable[Panels]) -> Panels:
    found: dict[str, set[Path]] = {}
    for takes in others:
        for name, paths in takes.items():
            if name in layers:
                found.setdefault(name, set()).update(paths)
    return {name: frozenset(paths) for name, paths in found.items()}
