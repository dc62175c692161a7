"""The graph that the rules of the wiring look at, as Hamilton expands it and networkx walks it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import dataflows.layer  # noqa: F401  # isort: skip  (before Hamilton: or it imports all that it has extensions for)
from hamilton import graph_utils
from hamilton.function_modifiers import base

from drivers.graph.layers import LayerNode, layer_node
from drivers.graph.wiring import Wiring

if TYPE_CHECKING:
    import networkx as nx

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
    others: tuple[LayerNode, ...]  # the forms of layers under variants that are not chosen
    configs: Mapping[str, Any]  # records or their classes, by domain
    now: nx.DiGraph[str]  # edges within the bar
    soon: nx.DiGraph[str]  # ... and those delayed by a bar
    ever: nx.DiGraph[str]  # ... and those delayed by an epoch, and the inputs


def graph_of(modules: Sequence[ModuleType], variant: Mapping[str, str]) -> dict[str, LayerNode]:
    """The layers of the modules under a variant, by node name, as Hamilton expands them and not yet linked.

    Raises ValueError when a module has a public function that is no layer, or two functions are one node.
    """
    found: dict[str, LayerNode] = {}
    for node in _expanded(modules, lambda fn: variant):
        if node.name in found:
            raise ValueError(
                f"{node.name} is defined in {found[node.name].fn.__module__} and in {node.fn.__module__}; drop one"
            )
        found[node.name] = node
    return found


def forms_of(modules: Sequence[ModuleType]) -> list[LayerNode]:
    """The layers of the modules under every variant: those that have several forms once for each."""
    return list(_expanded(modules, lambda fn: dict.fromkeys(variants_of(fn), fn.__code__.co_name.partition("__")[2])))


def variants_of(fn: Callable[..., Any]) -> list[str]:
    """The variants that decide whether this function is the layer, from its `@variant`."""
    resolvers = getattr(fn, base.NodeResolver.get_lifecycle_name(), ())
    return [name for resolver in resolvers for name in resolver.optional_config()]


def _expanded(modules: Sequence[ModuleType], variant: Callable[[Callable[..., Any]], Mapping[str, str]]) -> Iterator[LayerNode]:
    for module in modules:
        for name, fn in graph_utils.find_functions(module):
            for node in base.resolve_nodes(fn, dict(variant(fn))):
                if "layer" not in node.tags:
                    raise ValueError(
                        f"{module.__name__}.{name} is a public function and no layer, so Hamilton takes it for one; put an "
                        "underscore before its name, or @layer above it"
                    )
                yield layer_node(node, fn)


def linked(wiring: Wiring, nodes: Mapping[str, LayerNode], forms: Sequence[LayerNode], configs: Mapping[str, Any]) -> Graph:
    """The layers with their edges; of those that the file knows, the enabled ones. forms: see `forms_of`."""
    import networkx as nx

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
    others = tuple(form for form in forms if form.name in running and form.form != running[form.name].form)
    return Graph(wiring, running, others, configs, now, soon, ever)


def who(node: LayerNode) -> str:
    """A layer, as messages name it."""
    return f"{node.layer_id} {node.name}"


def between(source: str, node: LayerNode) -> str:
    """An edge, as findings name it."""
    return f"{source} > {node.name}"
