"""The rules of the wiring about layers and edges. Each yields its findings; none stops another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import networkx as nx

from dataflows.panel import walk
from drivers.graph.external import EXTERNAL
from drivers.graph.field_reads import used_paths
from drivers.graph.layers import SUFFIX, LayerNode
from drivers.graph.network import FILE, Finding, Graph, between, who
from drivers.graph.wiring import LayerEntry, Wiring, wired_inputs
from drivers.text.suggestions import nearest

RANK: Final = {"columnar": 0, "step": 1, "post": 2, "epoch": 3}


def same_layers(
    wiring: Wiring, nodes: Mapping[str, LayerNode], forms: Sequence[LayerNode], configs: Mapping[str, Any]
) -> Iterator[Finding]:
    """The file and the functions differ: missing, extra, renamed, other id, schedule or domain, other inputs of any form."""
    extra = {name for name in wiring.layers if name not in nodes}
    for name, node in nodes.items():
        entry = wiring.layers.get(name)
        if entry is not None:
            yield from _same_entry(node, entry)
            own = [form for form in forms if form.name == name]
            yield from _same_forms(node, entry, own)
            for form in own:
                yield from _same_inputs(form, entry.inputs_of(form.form), wired_inputs(form, configs))
            continue
        renamed = next((e for e in sorted(extra) if wiring.layers[e].id == node.layer_id), None)
        if renamed is None:
            cure = f"is not in {FILE}; run `stratoquant wiring sync`"
        else:
            extra.discard(renamed)
            cure = f"is called {renamed} in {FILE}; rename one of them"
        yield Finding("layers", name, "", f"{who(node)} {cure}.")
    for name in sorted(extra):
        what = f"{wiring.layers[name].id} {name}"
        yield Finding("layers", name, "", f"{what} is in {FILE} and is no function; remove its entry, or write it.")


def _same_entry(node: LayerNode, entry: LayerEntry) -> Iterator[Finding]:
    for what, filed, coded in (
        ("id", entry.id, node.layer_id),
        ("schedule", entry.schedule, node.schedule),
        ("domain", entry.domain, node.domain),
        ("cross_sectional", str(entry.cross_sectional).lower(), str(node.cross_sectional).lower()),
    ):
        if filed != coded:
            message = f"{who(node)}: {what} is {filed} in {FILE} and {coded} in the code; make the two agree."
            yield Finding("layers", node.name, "", message)


def _same_forms(node: LayerNode, entry: LayerEntry, forms: Sequence[LayerNode]) -> Iterator[Finding]:
    """A layer with several forms lists the inputs of each, and another one list."""
    coded = {form.form for form in forms if form.form}
    filed = set(entry.inputs) if isinstance(entry.inputs, dict) else set()
    if coded != filed:
        has = f"the forms {', '.join(sorted(coded))}" if coded else "one form"
        message = f"{who(node)} has {has}, and {FILE} lists the inputs of {', '.join(sorted(filed)) or 'one'}; "
        yield Finding("layers", node.name, "", f"{message}run `stratoquant wiring sync`.")


def _same_inputs(node: LayerNode, filed: Sequence[str], inputs: Sequence[str]) -> Iterator[Finding]:
    for missing in (i for i in inputs if i not in filed):
        message = f"{_form(node)} takes {missing}, which {FILE} does not list; run `stratoquant wiring sync`."
        yield Finding("layers", node.name, between(missing, node), message)
    for gone in (i for i in filed if i not in inputs):
        message = f"{_form(node)} does not take {gone}, which {FILE} lists; run `stratoquant wiring sync`."
        yield Finding("layers", node.name, between(gone, node), message)


def _form(node: LayerNode) -> str:
    return f"{who(node)} ({node.form})" if node.form else who(node)


def ids(g: Graph) -> Iterator[Finding]:
    """An id is missing or double, or is none."""
    owner: dict[str, str] = {}
    for name, entry in g.wiring.layers.items():
        match = re.fullmatch(r"L(\d{1,3})", entry.id)
        if match is None:
            message = f"{name} has the id {entry.id!r} in {FILE}; ids are L0 to L100, and L101 to L999 for layers of your own."
            yield Finding("ids", name, "", message)
        elif not name.startswith(f"l{match[1]}_"):
            yield Finding("ids", name, "", f"{name} has the id {entry.id} in {FILE}; its name must begin with l{match[1]}_.")
        yield from _double(owner, entry.id, name)
    coded: dict[str, str] = {}
    for node in g.nodes.values():
        if node.layer_id not in owner:
            yield from _double(coded, node.layer_id, node.name)


def _double(owner: dict[str, str], layer_id: str, name: str) -> Iterator[Finding]:
    first = owner.setdefault(layer_id, name)
    if first != name:
        yield Finding("ids", name, "", f"{layer_id} is the id of {first} and of {name}; give one of them another.")


def known_inputs(g: Graph) -> Iterator[Finding]:
    """Every parameter is a layer, a configuration, a delayed edge or an external input; and none is two of these."""
    beside = [*g.wiring.external, *g.wiring.delayed, *g.configs]
    for node in g.nodes.values():
        for p in node.params:
            if p in g.nodes or p in beside or p.endswith(SUFFIX):
                continue
            near = nearest(p, [*g.nodes, *beside])
            if p in g.wiring.layers and not g.wiring.layers[p].enabled:
                cure = f"which is not enabled; enable {p}, or disable {node.name}."
            elif near:
                cure = f"which is no layer, configuration, delayed edge or external input; did you mean {near[0]}?"
            else:
                cure = f"which is no layer, configuration, delayed edge or external input; beside layers: {', '.join(beside)}."
            yield Finding("inputs", node.name, between(p, node), f"{who(node)} takes {p}, {cure}")
    for name in dict.fromkeys(beside):
        if beside.count(name) > 1 or name in g.nodes:
            message = f"{name} names two things (layer, configuration, delayed edge or external input); rename one."
            yield Finding("inputs", name, "", message)


def cycles(g: Graph) -> Iterator[Finding]:
    """A cycle closes without a declared delayed edge."""
    for part in nx.strongly_connected_components(g.now):
        inside = g.now.subgraph(sorted(part))
        if not inside.number_of_edges():
            continue
        ring = [step[0] for step in nx.find_cycle(inside)]
        turn = ring.index(min(ring))
        ring = [*ring[turn:], *ring[:turn], ring[turn]]
        way = " > ".join(ring)
        message = f"{way} is a cycle within one bar; declare one of its edges under `delayed` in {FILE}, or remove it."
        yield Finding("cycle", ring[0], " > ".join(ring[-2:]), message)


def late(g: Graph) -> Iterator[Finding]:
    """A layer needs one that runs after it in the same bar."""
    for node in g.nodes.values():
        for p in node.params:
            source = g.nodes.get(p)
            if source is not None and RANK[source.schedule] > RANK[node.schedule]:
                taken = f"{p}, which is {source.schedule} and runs after it in the same bar"
                message = f"{who(node)} is {node.schedule} and takes {taken}; delay the edge, or change a schedule."
                yield Finding("schedule", node.name, between(p, node), message)


def schedules(g: Graph) -> Iterator[Finding]:
    """A delayed value comes too late for a layer's stage, or from a stage that it cannot come from."""
    for node in g.nodes.values():
        is_a = f"{who(node)} is {node.schedule} and takes"
        for p in node.params:
            delayed = g.wiring.delayed.get(p)
            if delayed is not None and delayed.delay == "bar" and node.schedule != "step":
                message = f"{is_a} {p}, which comes round each bar; only a step layer can take it."
                yield Finding("schedule", node.name, between(p, node), message)
    for name, delayed in g.wiring.delayed.items():
        source = g.nodes.get(delayed.source)
        wanted = {"bar": "step", "epoch": "epoch"}[delayed.delay]
        if source is not None and source.schedule != wanted:
            comes = f"{name} comes round from {source.name} after one {delayed.delay}"
            message = f"{comes}, but that layer is {source.schedule}; it must be {wanted}."
            yield Finding("schedule", source.name, name, message)


def recorded(g: Graph) -> Iterator[Finding]:
    """A post layer or an epoch layer reads what is shown within the bar only, and is gone when it runs.

    An epoch layer sees what was recorded over the whole epoch; a post layer the same of the step layers of its chunk.
    """
    for node in g.nodes.values():
        if node.schedule not in ("post", "epoch"):
            continue
        for own, p in zip(node.fn.__code__.co_varnames, node.params, strict=False):
            source = g.nodes.get(p)
            if source is None or source.schedule not in ("step", *(("columnar", "post") if node.schedule == "epoch" else ())):
                continue
            read = used_paths(node.fn, own, source.returns)
            for path, kind in walk(source.returns):
                if path in read and not kind.recorded:
                    field = ".".join((p, *path))
                    message = f"{who(node)} is {node.schedule} and reads {field}, which is shown within the bar only"
                    cure = "read a recorded field instead, or record it: drop `recorded=False` from its kind"
                    yield Finding("schedule", node.name, between(p, node), f"{message}; {cure}.")


def domains(g: Graph) -> Iterator[Finding]:
    """A domain takes what it may not."""
    for name, domain in g.wiring.domains.items():
        for other in domain.may_take:
            if other not in g.wiring.domains:
                message = f"domain {name} may take from {other}, which is no domain of {FILE}; remove it."
                yield Finding("domains", name, "", message)
    for node in g.nodes.values():
        own = g.wiring.domains.get(node.domain)
        if own is None:
            message = f"{who(node)} is of domain {node.domain}, which {FILE} does not have; add it under `domains`."
            yield Finding("domains", node.name, "", message)
            continue
        for p in node.params:
            source = g.nodes.get(p)
            if source is not None and source.domain not in (node.domain, *own.may_take):
                takes = f"{who(node)} of {node.domain} takes {p} of {source.domain}, from which {node.domain} may not take"
                cure = f"add {source.domain} to domains.{node.domain}.may_take, or remove the edge"
                yield Finding("domains", node.name, between(p, node), f"{takes}; {cure}.")


def doors(g: Graph) -> Iterator[Finding]:
    """A path leads from a proposal to an order past the gate. Edges delayed by a bar count: the next bar is no door."""
    for door in g.wiring.doors:
        for name in (*door.source, door.door, door.to):
            if name not in g.nodes:
                message = f"the gate {door.door} is declared with {name}, which is no enabled layer; correct it in {FILE}."
                yield Finding("door", name, "", message)
        orders = g.nodes[door.to].returns if door.to in g.nodes else None
        for node in g.nodes.values():
            if orders is not None and node.name != door.to and node.returns is orders:
                message = f"{who(node)} gives {orders.__name__} as {door.to} does, with no gate before it; {door.to} alone may."
                yield Finding("door", node.name, "", message)
        past = g.soon.copy()
        past.remove_nodes_from([door.door])
        for source in door.source:
            if source in past and door.to in past and nx.has_path(past, source, door.to):
                path = nx.shortest_path(past, source, door.to)
                message = (
                    f"{' > '.join(path)} leads past {door.door}; take what is needed of {source} from {door.door} instead."
                )
                yield Finding("door", path[-2], " > ".join(path[-2:]), message)


def reached(g: Graph) -> Iterator[Finding]:
    """A layer is reachable from no input."""
    sources = [name for name in g.wiring.external if name in g.ever]
    found = set(sources).union(*(nx.descendants(g.ever, name) for name in sources))
    for node in g.nodes.values():
        if node.name not in found:
            message = f"{who(node)} is reachable from no input ({', '.join(g.wiring.external)}); connect it, or disable it."
            yield Finding("reach", node.name, "", message)


def used(g: Graph) -> Iterator[Finding]:
    """An enabled layer feeds nothing and is not a declared sink; or an external input is taken by none."""
    feeding = {source for source, _ in g.ever.edges} | {edge.source for edge in g.wiring.delayed.values()}
    for node in g.nodes.values():
        entry = g.wiring.layers.get(node.name)
        if node.name not in feeding and not (entry is not None and entry.sink):
            message = f"{who(node)} feeds nothing; take it somewhere, disable it, or declare it `sink: true` in {FILE}."
            yield Finding("sink", node.name, "", message)
    taken = {p for node in (*g.nodes.values(), *g.others) for p in node.params}  # an input may be another variant's
    for name in g.wiring.external:
        if name not in EXTERNAL:
            message = f"external input {name} is none that the engine hands in; it hands in {', '.join(EXTERNAL)}."
            yield Finding("sink", name, name, message)
        elif name not in taken:
            yield Finding("sink", name, name, f"external input {name} is taken by no layer; remove it from {FILE}.")
