"""The graph that the rules of the wiring look at, as Hamilton expands it and networkx walks it."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

import networkx as nx
from hamilton import graph_utils
from hamilton.function_modifiers import base

from drivers.graph.layers import SUFFIX, LayerNode
from drivers.graph.wiring import Wiring

FILE: Final = "wiring_master.yaml"


class Finding(NamedTuple):
    """One thing that is wrong: which rule says so, about which layer and edge, and what to do.

    layer, edge: empty where it is about none. file, line: where to look, once `located`; line 0: the file as a whole.
    """

    rule: str
    layer: str
    edge: str
    message: str
    file: str = ""
    line: int = 0


class Graph(NamedTuple):
    """What the rules look at."""

    wiring: Wiring
    nodes: dict[str, LayerNode]
    configs: Mapping[str, Any]  # records or their classes, by domain
    now: nx.DiGraph[str]  # edges within the bar
    soon: nx.DiGraph[str]  # ... and those delayed by a bar
    ever: nx.DiGraph[str]  # ... and those delayed by an epoch, and the inputs


def graph_of(modules: Sequence[ModuleType], variant: Mapping[str, str]) -> dict[str, LayerNode]:
    """The layers of the modules under a variant, by node name, as Hamilton expands them and not yet linked.

    Raises ValueError when a module has a public function that is no layer, or two functions are one node.
    """
    found: dict[str, LayerNode] = {}
    for module in modules:
        for name, fn in graph_utils.find_functions(module):
            for node in base.resolve_nodes(fn, dict(variant)):
                if "layer" not in node.tags:
                    raise ValueError(
                        f"{module.__name__}.{name} is a public function and no layer, so Hamilton takes it for one; put an "
                        "underscore before its name, or @layer above it"
                    )
                if node.name in found:
                    raise ValueError(
                        f"{node.name} is defined in {found[node.name].fn.__module__} and in {module.__name__}; drop one"
                    )
                hints = typing.get_type_hints(fn, include_extras=True)
                parameters = list(inspect.signature(fn).parameters)
                names = tuple(f"{node.name}{SUFFIX}" if p == "carry" else p for p in parameters)
                found[node.name] = LayerNode(
                    node.name,
                    node.tags["layer"],
                    node.tags["domain"],
                    node.tags["schedule"],
                    node.tags["cross_sectional"] == "True",
                    fn,
                    names,
                    {q: hints[p] for p, q in zip(parameters, names, strict=True)},
                    hints["return"],
                )
    return found


def linked(wiring: Wiring, nodes: Mapping[str, LayerNode], configs: Mapping[str, Any]) -> Graph:
    """The layers with their edges; of those that the file knows, the enabled ones."""
    running = {name: node for name, node in nodes.items() if name not in wiring.layers or wiring.layers[name].enabled}
    now: nx.DiGraph[str] = nx.DiGraph()
    now.add_nodes_from(running)
    now.add_edges_from((p, n.name) for n in running.values() for p in n.params if p in running)
    soon, ever = now.copy(), now.copy()
    for node in running.values():
        for p in node.params:
            delayed = wiring.delayed.get(p)
            if delayed is not None and delayed.source in running:
                ever.add_edge(delayed.source, node.name)
                if delayed.delay == "bar":
                    soon.add_edge(delayed.source, node.name)
            if p in wiring.external:
                ever.add_edge(p, node.name)
    return Graph(wiring, running, configs, now, soon, ever)


def who(node: LayerNode) -> str:
    """A layer, as messages name it."""
    return f"{node.layer_id} {node.name}"


def between(source: str, node: LayerNode) -> str:
    """An edge, as findings name it."""
    return f"{source} > {node.name}"
