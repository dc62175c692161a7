"""The inventory: the layers that run, sorted so that each comes after all that it takes.

A graph that cannot be run is refused by the rules of `wiring check` that are about layers alone, and by Hamilton.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from dataflows.runtime.kept import kept, sources
from drivers.graph.layers import LayerNode, PlanError
from drivers.graph.network import graph_of, linked
from drivers.graph.wiring import Wiring


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
    if all(module.__name__.startswith("dataflows.") for module in modules):
        rules = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.rglob("*.py")))
        layers = sorted((node.name, node.form, node.fn.__module__) for node in found.values())
        about = f"order {sources()} {hashlib.sha256(rules).hexdigest()} {version('apache-hamilton')} {layers}"
        order = kept(about, lambda: _order(found, modules, variant))
    else:
        order = _order(found, modules, variant)
    return [found[name] for name in order]


def _order(found: Mapping[str, LayerNode], modules: Sequence[ModuleType], variant: Mapping[str, Any]) -> list[str]:
    import networkx as nx  # its modules are nearly 300, and an order that is in the cache needs none

    from drivers.graph.rules import edges, values

    graph = linked(Wiring(clock="1m", epoch="1d", domains={}, layers={}), found, (), {})
    # the rules that hold for any layers: none needs the wiring file, a configuration or a boundary model
    for rule in (edges.cycles, values.types, values.names, edges.late):
        for finding in rule(graph):
            raise PlanError(finding.message)
    build_graph(modules, variant)
    order: nx.DiGraph[str] = nx.DiGraph()
    order.add_nodes_from(sorted(found))
    order.add_edges_from(graph.now.edges)
    return list(nx.lexicographical_topological_sort(order))


def build_graph(modules: Sequence[ModuleType], variant: Mapping[str, Any]) -> Any:
    """Hamilton's own function graph of the layers in `modules`. Raises PlanError where Hamilton refuses to build it."""
    from hamilton import driver  # brings pandas and pandera with it: a second, which who only reads the wiring need not pay

    try:
        return driver.Builder().with_modules(*modules).with_config(dict(variant)).build().graph
    except Exception as error:  # whatever it finds, in its own words
        raise PlanError(f"Hamilton refuses the graph: {' '.join(str(error).split())}") from error
