"""What of the graph is shown: all of it, a domain with its neighbours, the steps around a layer, the ways between two."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

import networkx as nx

from drivers.diagrams.declared import GraphError
from drivers.diagrams.model import Edge, Model
from drivers.text.suggestions import did_you_mean, layer_hint, layer_named


@dataclass(frozen=True)
class Selection:
    """A part of the graph."""

    title: str
    layers: frozenset[str]  # shown in full
    beside: frozenset[str]  # shown faintly: they are next to what was asked for
    focus: frozenset[str]  # the layers that were asked for by name
    edges: tuple[Edge, ...]

    @property
    def shown(self) -> frozenset[str]:
        """Every layer in the picture."""
        return self.layers | self.beside


def all_layers(model: Model, *, inputs: bool = False) -> Selection:
    """Every layer that runs. inputs: what the engine hands in, too."""
    return _among(model, "the whole graph", model.layers, inputs=inputs)


def selected(
    model: Model,
    *,
    domain_: str | None = None,
    layer: str | None = None,
    up: int = 1,
    down: int = 1,
    path: tuple[str, str] | None = None,
    inputs: bool = False,
) -> Selection:
    """What is asked for: a domain, the surroundings of a layer, the paths between two, or else every layer.

    inputs: of every layer, whether the engine's inputs are shown too.
    """
    if domain_ is not None:
        return domain(model, domain_)
    if layer is not None:
        return around(model, layer, up=up, down=down)
    if path is not None:
        return paths(model, *path)
    return all_layers(model, inputs=inputs)


def domain(model: Model, wanted: str, *, inputs: bool = True) -> Selection:
    """The layers of a domain, and beside them those that it takes from and gives to, within the bar and delayed.

    Edges among those beside are left out. Raises GraphError when there is no such domain, or it has no layers.
    """
    name = wanted.strip().lower()
    if name not in model.domains:
        raise GraphError(f"there is no domain {wanted!r}; {did_you_mean(wanted, model.domains)}")
    own = frozenset(model.domains[name].layers)
    if not own:
        full = ", ".join(d.name for d in model.domains.values() if d.layers)
        raise GraphError(f"the domain {name} has no layers that run; domains with layers: {full}.")
    edges = tuple(
        edge
        for edge in model.edges
        if (edge.source in own or edge.target in own) and not edge.awaits and (inputs or edge.kind != "external")
    )
    beside = {end for edge in edges for end in (edge.source, edge.target) if end in model.layers} - own
    return Selection(f"{name}, with what it takes and gives", own, frozenset(beside), frozenset(), edges)


def around(model: Model, wanted: str, *, up: int = 1, down: int = 1, inputs: bool = True) -> Selection:
    """A layer, what feeds it in `up` steps and what it feeds in `down`; a delayed edge is a step as any other."""
    name = find(model, wanted)
    layers = {name, *_reached(model.ever.reverse(copy=False), name, up), *_reached(model.ever, name, down)}
    layer = model.layers[name]
    title = f"{layer.id} {layer.label}, {_steps(up)} up and {down} down"
    return _among(model, title, layers, focus=(name,), inputs=inputs)


def within(model: Model, wanted: str, *, hops: int = 1, inputs: bool = True) -> Selection:
    """A layer and all that are at most `hops` edges away, whichever way these point."""
    name = find(model, wanted)
    layers = {name, *_reached(model.ever.to_undirected(as_view=True), name, hops)}
    layer = model.layers[name]
    title = f"{layer.id} {layer.label}, with all within {_steps(hops)}"
    return _among(model, title, layers, focus=(name,), inputs=inputs)


def paths(model: Model, first: str, last: str) -> Selection:
    """Every layer and edge on any way from one layer to another within the bar.

    Raises GraphError when there is none, and says so when the other way round there is one.
    """
    start, end = find(model, first), find(model, last)
    a, b = model.layers[start], model.layers[end]
    if start == end:
        raise GraphError(f"--path takes two layers and both are {a.id} {start}; --layer {a.id} shows what is around one.")
    now: Any = model.now
    if not nx.has_path(now, start, end):
        hint = f"`stratoquant graph --layer {b.id}` shows what does"
        if nx.has_path(now, end, start):
            hint = f"the other way round one does: --path {b.id} {a.id}"
        elif nx.has_path(model.ever, start, end):
            hint = "one does by way of a delayed edge, in a later bar"
        raise GraphError(f"within the bar no path leads from {a.id} {start} to {b.id} {end}; {hint}.")
    layers = ({start} | nx.descendants(now, start)) & ({end} | nx.ancestors(now, end))
    edges = tuple(e for e in model.edges if e.kind == "now" and e.source in layers and e.target in layers)
    title = f"every way from {a.id} {a.label} to {b.id} {b.label} within the bar"
    return Selection(title, frozenset(layers), frozenset(), frozenset({start, end}), edges)


def find(model: Model, wanted: str) -> str:
    """The node name of a layer given as L37, l37, 37 or in full. Raises GraphError naming the nearest."""
    name = layer_named(wanted, list(model.layers))
    if name is None:
        raise GraphError(f"there is no layer {wanted!r} in the graph; {layer_hint(wanted, list(model.layers))}")
    return name


def _reached(graph: Any, start: str, steps: int) -> Collection[str]:
    return nx.single_source_shortest_path_length(graph, start, cutoff=steps).keys()


def _among(model: Model, title: str, layers: Iterable[str], *, focus: Iterable[str] = (), inputs: bool = False) -> Selection:
    """The layers with all edges among them; what the engine hands in where it is asked for. Awaited edges are not drawn."""
    chosen = frozenset(layers)
    edges = tuple(
        edge
        for edge in model.edges
        if edge.target in chosen and (edge.source in chosen or (inputs and edge.kind == "external"))
    )
    return Selection(title, chosen, frozenset(), frozenset(focus), edges)


def _steps(n: int) -> str:
    return f"{n} {'step' if n == 1 else 'steps'}"
