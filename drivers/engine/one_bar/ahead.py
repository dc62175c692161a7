"""The layers' single-bar forms as parts that can be compiled in any order, by several processes.

`sides.py` compiles a layer for the types that those before it return. Here they are taken from the annotations. Where a layer
returns another type than that (an array that is not contiguous), those that take it are compiled again, by whoever needs them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from dataflows.panel import is_log, walk
from dataflows.runtime.made import NotNativeError
from drivers.engine.one_bar.layers import native_layer
from drivers.engine.one_bar.places import lent
from drivers.engine.one_bar.sides import type_in_frame
from drivers.engine.plan import Plan
from drivers.graph.layers import LayerNode


def takes_of(plan: Plan, node: LayerNode) -> tuple[Any, ...]:
    """The types for which a layer is compiled, by the annotations. Raises NotNativeError where it takes what has none."""
    return tuple(lent(type_in_frame(plan, node, p, _recorded(plan, p))) for p in node.params)


def _recorded(plan: Plan, p: str) -> set[tuple[str, ...]] | None:
    """The leaves of a layer's output that a bar has; None for what is no layer's."""
    if p not in plan.nodes or is_log(plan.annotations[p]):
        return None
    kept = plan.nodes[p].schedule == "step"  # of what a step says, only what is recorded outlives its instant
    return {path for path, kind in walk(plan.annotations[p]) if kind.recorded or not kept}


def single_bar_parts(plan: Plan) -> dict[str, Callable[[], None]]:
    """By name of the layer, what compiles or loads it."""
    return {node.name: functools.partial(_compile, plan, node) for stage in ("columnar", "post") for node in plan.stage[stage]}


def _compile(plan: Plan, node: LayerNode) -> None:
    with suppress(NotNativeError):  # it runs in Python: `Side.apart` says why
        native_layer(node, takes_of(plan, node))
