"""The graph as plain data: what every form of its picture (SVG, PNG, DOT, the page) is drawn from.

The layers come from their source files, what the code cannot say (delays, doors, what is switched off) from the wiring file.
`details` adds what only the imported code knows, at the price of importing it: the fields a layer gives and the settings it
reads. Everything is JSON once through `as_data`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from drivers.diagrams.declared import Declared, GraphError, configured_domains, declared_layers
from drivers.graph.layers import SUFFIX
from drivers.graph.wiring import Wiring, load
from drivers.project.locate import Project

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["Details", "Domain", "Edge", "Field", "GraphError", "Input", "Layer", "Model", "Setting", "detailed", "read_model"]

InputKind = Literal["layer", "delayed", "external", "missing"]
"""missing: a layer that is switched off or not there, so that the graph cannot run as it stands."""


@dataclass(frozen=True)
class Input:
    """One parameter of a layer that an edge leads to: a layer's name, or that of a delayed or external value."""

    name: str
    kind: InputKind


@dataclass(frozen=True)
class Field:
    """One array that a layer gives. name: dotted path in its record; empty where the layer returns a bare panel."""

    name: str
    dtype: str  # float64 or int64
    axes: tuple[str, ...]  # as ("T", "N"); empty: one value an instant
    recorded: bool  # results and logs hold it


@dataclass(frozen=True)
class Setting:
    """One configuration key that a layer reads."""

    domain: str
    key: str
    value: str  # as a file says it
    unit: str
    about: str


@dataclass(frozen=True)
class Details:
    """What only the imported code knows of a layer."""

    gives: tuple[Field, ...]
    reads: tuple[Setting, ...]


@dataclass(frozen=True)
class Layer:
    """One layer that runs."""

    name: str
    id: str
    title: str
    domain: str
    schedule: str  # columnar, step, post or epoch
    cross_sectional: bool
    inputs: tuple[Input, ...]
    memory: bool  # it has a carry
    sink: bool  # declared to feed no other layer
    door: bool  # no way leads from a proposal to an order but through it
    method: str  # its docstring: what it computes, shapes, units, NaN, source
    module: str
    line: int
    code: str  # its whole file
    details: Details | None = None

    @property
    def number(self) -> int:
        """The number in its id."""
        return int(self.id[1:])

    @property
    def label(self) -> str:
        """Its name for people: `ema trend short`."""
        return self.name.partition("_")[2].replace("_", " ")


@dataclass(frozen=True)
class Edge:
    """A value on its way. `source` is a layer, or the value's own name where it is external."""

    source: str
    target: str
    kind: Literal["now", "delayed", "external"]
    name: str  # the target's parameter
    delay: Literal["", "bar", "epoch"] = ""
    field: str = ""  # the source's field, where only that comes round
    awaits: bool = False  # delayed, and the source is not in the graph: the start value holds


@dataclass(frozen=True)
class Domain:
    """One domain, with its layers that run by id."""

    name: str
    boundary: str | None  # import path of its boundary model
    may_take: tuple[str, ...]
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Passage:
    """No path leads from any of `sources` to `to` but through `door`."""

    sources: tuple[str, ...]
    door: str
    to: str


@dataclass(frozen=True)
class Model:
    """The graph of the layers that run."""

    clock: str
    epoch: str
    domains: dict[str, Domain]  # in the order of the wiring file; those without layers too
    layers: dict[str, Layer]  # by domain, then by id
    edges: tuple[Edge, ...]
    externals: tuple[str, ...]
    passages: tuple[Passage, ...]

    @cached_property
    def now(self) -> nx.DiGraph[str]:
        """The edges within the bar, among layers: a DAG."""
        return self._graph(lambda edge: edge.kind == "now")

    @cached_property
    def ever(self) -> nx.DiGraph[str]:
        """... and those that are delayed: it has cycles."""
        return self._graph(lambda edge: edge.kind != "external" and not edge.awaits)

    def _graph(self, wanted: Any) -> nx.DiGraph[str]:
        import networkx as nx

        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.layers)
        graph.add_edges_from((edge.source, edge.target) for edge in self.edges if wanted(edge))
        return graph

    def as_data(self) -> dict[str, Any]:
        """The same as mappings and lists of plain values, for JSON."""
        return dataclasses.asdict(self)


def read_model(project: Project) -> Model:
    """The graph of a project: its wiring, the package's layers and its own.

    Raises ProjectError or GraphError naming file and line.
    """
    wiring = load(project.wiring)
    return model_of(wiring, declared_layers(wiring.variants, project))


def model_of(wiring: Wiring, declared: Mapping[str, Declared]) -> Model:
    """The graph of these layers under a wiring; of those that it knows, the enabled ones."""
    running = {n: d for n, d in declared.items() if n not in wiring.layers or wiring.layers[n].enabled}
    configured, doors = configured_domains(), {door.door for door in wiring.doors}
    layers: dict[str, Layer] = {}
    edges: list[Edge] = []
    for name in _by_domain(wiring, running):
        it = running[name]
        taken = [p for p in it.parameters if p != "carry" and not p.endswith(SUFFIX) and p not in configured]
        inputs = tuple(Input(p, _kind(p, running, wiring)) for p in taken)
        edges += [made for put in inputs if (made := _edge(put, name, wiring)) is not None]
        entry = wiring.layers.get(name)
        layers[name] = Layer(
            name,
            it.layer_id,
            it.title,
            it.domain,
            it.schedule,
            it.cross_sectional,
            inputs,
            "carry" in it.parameters,
            entry is not None and entry.sink,
            name in doors,
            it.method,
            it.module,
            it.line,
            it.code,
        )
    domains = {
        name: Domain(name, d.boundary, d.may_take, tuple(n for n, layer in layers.items() if layer.domain == name))
        for name, d in wiring.domains.items()
    }
    passages = tuple(Passage(door.source, door.door, door.to) for door in wiring.doors)
    externals = tuple(name for name in wiring.external if any(edge.source == name for edge in edges))
    return Model(wiring.clock, wiring.epoch, domains, layers, tuple(edges), externals, passages)


def _by_domain(wiring: Wiring, running: Mapping[str, Declared]) -> list[str]:
    order = {name: i for i, name in enumerate(wiring.domains)}
    unknown = next((d for d in running.values() if d.domain not in order), None)
    if unknown is not None:
        raise GraphError(
            f"{unknown.layer_id} {unknown.name} is of the domain {unknown.domain}, which wiring_master.yaml does not have; "
            "add it under `domains`."
        )
    return sorted(running, key=lambda n: (order[running[n].domain], int(running[n].layer_id[1:])))


def _kind(parameter: str, running: Mapping[str, Declared], wiring: Wiring) -> InputKind:
    if parameter in running:
        return "layer"
    if parameter in wiring.delayed:
        return "delayed"
    return "external" if parameter in wiring.external else "missing"


def _edge(taken: Input, target: str, wiring: Wiring) -> Edge | None:
    if taken.kind == "missing":
        return None
    if taken.kind == "delayed":
        round_ = wiring.delayed[taken.name]
        return Edge(round_.source, target, "delayed", taken.name, round_.delay, round_.field or "", round_.awaits)
    return Edge(taken.name, target, "now" if taken.kind == "layer" else "external", taken.name)


def detailed(model: Model, project: Project) -> Model:
    """The model with each layer's `details`. Imports all layers. Raises what the import of a layer raises."""
    from drivers.graph.columns import values_of
    from drivers.graph.config_reads import reads_of
    from drivers.graph.modules import layer_modules
    from drivers.graph.network import graph_of
    from drivers.project.configs import as_written, explained, load_configs

    configs = load_configs(project)
    layers = dict(model.layers)
    for name, node in graph_of(layer_modules(project), load(project.wiring).variants).items():
        if name not in layers:
            continue
        gives = tuple(
            Field(
                ".".join(leaf.path),
                "float64" if leaf.kind.dtype == "f8" else "int64",
                leaf.axes(node.schedule),
                leaf.kind.recorded and "log" not in leaf.kind.axes,
            )
            for leaf in values_of(node.name, node.returns, epoch=node.schedule == "epoch")
        )
        reads = []
        for domain, key in sorted({(r.domain, r.key) for r in reads_of(node.fn, configs) if r.domain is not None}):
            record: Any = configs[domain]
            if key in record._fields:
                reads.append(Setting(domain, key, as_written(record, key), *explained(type(record), key)))
        layers[name] = replace(layers[name], details=Details(gives, tuple(reads)))
    return replace(model, layers=layers)
