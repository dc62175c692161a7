"""The Hamilton graph as a sorted list of layers, with the type of everything that travels between them."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import networkx as nx

from dataflows.panel import fields_of, is_record, walk

SUFFIX = "__carry"


class PlanError(ValueError):
    """The graph cannot be run as it stands. The message names layer and edge."""


class Delayed(NamedTuple):
    """A declared feedback edge: the value of `source` (of its `field`, where one is named) comes round after `delay`."""

    source: str
    field: str | None
    delay: str  # "bar" or "epoch"


class LayerNode(NamedTuple):
    """One layer of the graph."""

    name: str
    layer_id: str
    domain: str
    schedule: str
    cross_sectional: bool
    fn: Callable[..., Any]
    params: tuple[str, ...]  # node and input names, in the function's own order
    hints: dict[str, Any]  # type of each of `params`
    returns: Any
    form: str = ""  # "sim" of `l90_fills__sim`; empty where the layer has one form


def layer_node(node: Any, fn: Callable[..., Any]) -> LayerNode:
    """The layer that Hamilton's node of a function is."""
    hints = typing.get_type_hints(fn, include_extras=True)
    names = list(inspect.signature(fn).parameters)
    params = tuple(f"{node.name}{SUFFIX}" if p == "carry" else p for p in names)
    return LayerNode(
        node.name,
        node.tags["layer"],
        node.tags["domain"],
        node.tags["schedule"],
        node.tags["cross_sectional"] == "True",
        fn,
        params,
        {q: hints[p] for p, q in zip(names, params, strict=True)},
        hints["return"],
        fn.__code__.co_name.partition("__")[2],
    )


def build_graph(modules: Sequence[ModuleType], variant: Mapping[str, Any]) -> Any:
    """Hamilton's own function graph of the layers in `modules`. Raises PlanError where Hamilton refuses to build it."""
    from hamilton import driver  # brings pandas and pandera with it: a second, which who only reads the wiring need not pay

    try:
        return driver.Builder().with_modules(*modules).with_config(dict(variant)).build().graph
    except ValueError as error:
        reason = str(error).splitlines()[0].removeprefix("Error: ").strip()
        raise PlanError(f"{reason} Make the two ends of the edge agree") from error


def layer_nodes(modules: Sequence[ModuleType], variant: Mapping[str, Any]) -> list[LayerNode]:
    """The layers in an order in which each comes after all that it takes; among equals by name, so that it is one order.

    Raises PlanError for a cycle (Hamilton builds one and then overflows the stack), for two record classes of one name (numba
    falls off its fast path), and for an edge whose two ends disagree about what the arrays hold.
    """
    graph = build_graph(modules, variant)
    found: dict[str, LayerNode] = {}
    for name, node in graph.nodes.items():
        if node.user_defined or "layer" not in node.tags:
            continue
        (fn,) = node.originating_functions
        found[name] = layer_node(node, fn)
    order: nx.DiGraph[str] = nx.DiGraph()
    order.add_nodes_from(sorted(found))
    order.add_edges_from((p, n.name) for n in found.values() for p in n.params if p in found)
    try:
        nodes = [found[name] for name in nx.lexicographical_topological_sort(order)]
    except nx.NetworkXUnfeasible:
        ring = [edge[0] for edge in nx.find_cycle(order)]
        raise PlanError(
            f"{' > '.join([*ring, ring[0]])} is a cycle within one bar; "
            "declare one of its edges as delayed in wiring_master.yaml"
        ) from None
    _refuse_same_names(nodes)
    _refuse_disagreeing_edges(nodes)
    _refuse_late_inputs(nodes)
    return nodes


def _records(annotation: Any) -> list[type]:
    if not is_record(annotation):
        return []
    return [annotation, *[r for inner in fields_of(annotation).values() for r in _records(inner)]]


def _refuse_same_names(nodes: Sequence[LayerNode]) -> None:
    seen: dict[str, type] = {}
    for node in nodes:
        for annotation in (*node.hints.values(), node.returns):
            for record in _records(annotation):
                other = seen.setdefault(record.__name__, record)
                if other is not record:
                    raise PlanError(
                        f"{node.name}: two records are called {record.__name__} ({other.__module__} and {record.__module__}); "
                        "compiled calls become fifty times slower; rename one"
                    )


def _refuse_disagreeing_edges(nodes: Sequence[LayerNode]) -> None:
    returns = {n.name: n.returns for n in nodes}
    for node in nodes:
        for p, wanted in node.hints.items():
            if p not in returns:
                continue
            given = returns[p]
            same = given is wanted if is_record(given) or is_record(wanted) else list(walk(given)) == list(walk(wanted))
            if not same:
                raise PlanError(
                    f"{node.layer_id} {node.name} takes {p} as {_name(wanted)}, but {p} returns {_name(given)}; "
                    "make the two agree"
                )


def _name(annotation: Any) -> str:
    return getattr(annotation, "__name__", None) or str(annotation)


def _refuse_late_inputs(nodes: Sequence[LayerNode]) -> None:
    rank = {"columnar": 0, "step": 1, "post": 2, "epoch": 3}
    by_name = {n.name: n for n in nodes}
    for node in nodes:
        for p in node.params:
            source = by_name.get(p)
            if source is not None and rank[source.schedule] > rank[node.schedule]:
                raise PlanError(
                    f"{node.layer_id} {node.name} is {node.schedule} and takes {p}, which is {source.schedule} and runs "
                    "after it; delay the edge or change a schedule"
                )
