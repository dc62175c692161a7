"""The inventory: the layers that run, sorted so that each comes after all that it takes.

A graph that cannot be run is refused by the rules of `wiring check` that are about layers alone, and by Hamilton.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

import networkx as nx

from drivers.graph.layers import LayerNode, PlanError
from drivers.graph.network import graph_of, linked
from drivers.graph.rules import edges, values
from drivers.graph.wiring import Wiring

_RULES: Final = (edges.cycles, values.types, values.names, edges.late)
"""The rules that hold for any layers: none needs the wiring file, a configuration or a boundary model."""


def layer_nodes(modules: Sequence[ModuleType], variant: Mapping[str, Any]) -> list[LayerNode]:
    """The layers of these modules in an order in which each comes after all that it takes; among equals by name, so that it is
    one order.

    Raises PlanError for the first thing for which they cannot be run: a cycle, an edge whose two ends disagree about what the
    arrays hold, two record classes of one name (numba falls off its fast path), a layer that takes one which runs after it.
    """
    try:
        found = graph_of(modules, variant)
    except ValueError as error:
        raise PlanError(str(error)) from error
    graph = linked(Wiring(clock="1m", epoch="1d", domains={}, layers={}), found, (), {})
    for rule in _RULES:
        for finding in rule(graph):
            raise PlanError(finding.message)
    build_graph(modules, variant)
    order: nx.DiGraph[str] = nx.DiGraph()
    order.add_nodes_from(sorted(found))
    order.add_edges_from(graph.now.edges)
    return [found[name] for name in nx.lexicographical_topological_sort(order)]


def build_graph(modules: Sequence[ModuleType], variant: Mapping[str, Any]) -> Any:
    """Hamilton's own function graph of the layers in `modules`. Raises PlanError where Hamilton refuses to build it."""
    from hamilton import driver  # brings pandas and pandera with it: a second, which who only reads the wiring need not pay

    try:
        return driver.Builder().with_modules(*modules).with_config(dict(variant)).build().graph
    except Exception as error:  # whatever it finds, in its own words
        raise PlanError(f"Hamilton refuses the graph: {' '.join(str(error).split())}") from error
