"""Holds the wiring file, the functions, the configuration and the boundary models against each other.

1. Every layer's node is taken from Hamilton, not yet linked, so that a wrong edge is found here and named.
2. Each rule is a function that yields findings; none stops another.
3. When none has anything to say, Hamilton's own driver builds the graph, as the last word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from drivers.graph.inventory import build_graph
from drivers.graph.layers import LayerNode, PlanError
from drivers.graph.network import Finding, forms_of, graph_of, linked
from drivers.graph.rules import edges as rules_edges
from drivers.graph.rules import values as rules_values
from drivers.graph.wiring import Wiring

_RULES: Final = (
    rules_edges.ids,
    rules_edges.known_inputs,
    rules_edges.cycles,
    rules_edges.late,
    rules_edges.schedules,
    rules_edges.recorded,
    rules_edges.domains,
    rules_edges.doors,
    rules_edges.reached,
    rules_edges.used,
    rules_values.delayed,
    rules_values.types,
    rules_values.names,
    rules_values.config,
    rules_values.boundaries,
)


def check(wiring: Wiring, modules: Sequence[ModuleType], configs: Mapping[str, Any]) -> list[Finding]:
    """Everything that is wrong with the wiring, in the order of the rules.

    modules: those of all layers, disabled ones too. configs: configuration records (or their classes) by domain.
    """
    try:
        nodes, forms = graph_of(modules, wiring.variants), forms_of(modules)
    except ValueError as error:
        return [Finding("functions", "", "", str(error))]
    graph = linked(wiring, nodes, forms, configs)
    findings = list(rules_edges.same_layers(wiring, nodes, forms, configs))
    for rule in _RULES:
        findings += rule(graph)
    return findings or list(_hamilton(modules, wiring, nodes))


def _hamilton(modules: Iterable[ModuleType], wiring: Wiring, nodes: Mapping[str, LayerNode]) -> Iterator[Finding]:
    """Hamilton's own word on the graph."""
    disabled = {nodes[n].fn.__module__ for n, e in wiring.layers.items() if not e.enabled and n in nodes}
    try:
        build_graph([m for m in modules if m.__name__ not in disabled], wiring.variants)
    except PlanError as error:
        yield Finding("hamilton", "", "", str(error))
