"""The rules of the wiring about what travels: types, records, configuration keys, boundary columns."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dataflows.panel import Kind, fields_of, is_record, unwrap_generic, walk
from drivers.graph.columns import Leaf, leaves_of
from drivers.graph.config_reads import Read, reads_of, unread
from drivers.graph.layers import LayerNode
from drivers.graph.network import FILE, Finding, Graph, between, who
from drivers.graph.wiring import DelayedEdge
from drivers.text.suggestions import did_you_mean


def delayed(g: Graph) -> Iterator[Finding]:
    """A delayed edge has its source in the graph unless it awaits one, is taken, and carries what its takers expect."""
    for name, edge in g.wiring.delayed.items():
        takers = [node for node in g.nodes.values() if name in node.params]
        source = g.nodes.get(edge.source)
        message = ""
        if source is None and not edge.awaits:
            message = f"{name} comes round from {edge.source}, which is no enabled layer; correct it, or say `awaits: true`."
        elif source is not None and edge.awaits:
            message = f"{name} awaits {edge.source}, which is there; remove `awaits` from it in {FILE}."
        elif not takers and not edge.awaits:
            message = f"{name} is a delayed edge that no layer takes; remove it from {FILE}."
        elif edge.when is not None and not _is_key(g, edge.when):
            message = f"{name} moves when {edge.when}, which is no key of the configuration; correct it in {FILE}."
        if message:
            yield Finding("delayed", edge.source, name, message)
        if source is not None:
            yield from _delayed_type(name, edge, source, takers)


def _is_key(g: Graph, when: str) -> bool:
    domain, _, key = when.partition(".")
    return hasattr(g.configs.get(domain), key)


def _delayed_type(name: str, edge: DelayedEdge, source: LayerNode, takers: Sequence[LayerNode]) -> Iterator[Finding]:
    given, origin = source.returns, source.name
    if edge.field is not None:
        fields = fields_of(given) if is_record(given) else {}
        if edge.field not in fields:
            has = ", ".join(fields) or "no fields"
            message = f"{name} is the field {edge.field} of {source.name}, which has {has}; correct it in {FILE}."
            yield Finding("delayed", source.name, name, message)
            return
        given, origin = fields[edge.field], f"{source.name}.{edge.field}"
    for taker in takers:
        wanted = taker.hints[name]
        if not _same(given, wanted):
            takes = f"{who(taker)} takes {name} as {_called(wanted)}, but {origin} is {_called(given)}"
            yield Finding("types", taker.name, between(name, taker), f"{takes}; make the two agree.")


def types(g: Graph) -> Iterator[Finding]:
    """The two ends of an edge disagree about what travels; takers of one input disagree; a result is no value kind.

    Hamilton compares the classes; it does not compare what `Annotated` says beside them, which is where kinds are.
    """
    first: dict[str, LayerNode] = {}
    for node in g.nodes.values():
        if _malformed(node):
            what = "no number, array with its Axes" if node.schedule == "epoch" else "no panel, number"
            message = f"{who(node)} returns {_called(node.returns)}, which is {what} or record of them."
            yield Finding("types", node.name, "", message)
        for p, wanted in node.hints.items():
            source = g.nodes.get(p)
            if source is not None:
                given, verb = source.returns, "returns"
                other = p
            else:
                taker = first.setdefault(p, node)
                given, verb = taker.hints[p], "takes it as"
                other = taker.name
            if not _same(given, wanted):
                takes = f"{who(node)} takes {p} as {_called(wanted)}, but {other} {verb} {_called(given)}"
                yield Finding("types", node.name, between(p, node), f"{takes}; make the two agree.")


def _same(a: Any, b: Any) -> bool:
    if a is b or a == b:
        return True
    if is_record(a) or is_record(b):
        return False
    try:
        return list(walk(a)) == list(walk(b))
    except TypeError:
        return False


def _malformed(node: LayerNode) -> bool:
    try:
        leaves_of(node.name, node.returns, epoch=node.schedule == "epoch")
    except TypeError:
        return True
    return False


def _called(annotation: Any) -> str:
    kind = next((m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, Kind)), None)
    if kind is not None:
        axes = ", ".join(("T", *kind.axes)) if "static" not in kind.axes else ", ".join(kind.axes[1:])
        return f"{'float64' if kind.dtype == 'f8' else 'int64'} ({axes})"
    if is_record(annotation):
        return f"{annotation.__module__}.{annotation.__qualname__}"
    return getattr(annotation, "__name__", None) or str(annotation)


def names(g: Graph) -> Iterator[Finding]:
    """Two record classes of one name: compiled calls become fifty times slower."""
    seen: dict[str, tuple[type, str]] = {}
    told: set[str] = set()
    for node in g.nodes.values():
        for annotation in (*node.hints.values(), node.returns):
            for record in _records(annotation):
                other, owner = seen.setdefault(record.__name__, (record, node.name))
                if other is not record and record.__name__ not in told:
                    told.add(record.__name__)
                    two = f"two records called {record.__name__} ({record.__module__} and {other.__module__})"
                    message = f"{who(node)} and {owner} use {two}, which makes compiled calls fifty times slower; rename one."
                    yield Finding("names", node.name, "", message)


def _records(annotation: Any) -> Iterator[type]:
    bare = unwrap_generic(annotation)
    if is_record(bare):
        yield bare
        for inner in fields_of(bare).values():
            yield from _records(inner)


def config(g: Graph) -> Iterator[Finding]:
    """A layer reads a key that does not exist, or a key that no layer reads stands in the configuration."""
    reads: list[Read] = []
    for node in g.nodes.values():
        for read in reads_of(node.fn, g.configs):
            reads.append(read)
            if read.domain is None:
                taken = [p for p in node.params if p in g.configs]
                known = [key for p in taken for key in g.configs[p]._fields]
                where = f"which is no key of what it takes ({', '.join(taken) or 'no configuration'})"
            else:
                known = list(g.configs[read.domain]._fields)
                where = f"which is no key of config/{read.domain}.yml"
            if read.key not in known:
                cure = did_you_mean(read.key, known, "add it to the domain's config.py, or do not read it.")
                message = f"{who(node)} reads {read.key} in {read.place}, {where}; {cure}"
                yield Finding("config", node.name, f"{read.domain or '?'}.{read.key}", message)
    for name in g.wiring.driver_keys:
        domain, _, key = name.partition(".")
        reads.append(Read(domain, key, FILE))
        if key not in getattr(g.configs.get(domain), "_fields", ()):
            message = f"driver_keys names {name}, which is no configuration key; remove it from {FILE}."
            yield Finding("config", "", name, message)
    for node in g.others:  # a key may be another variant's
        reads += reads_of(node.fn, g.configs)
    if all(entry.enabled for entry in g.wiring.layers.values()):  # a disabled layer's keys wait for it
        for domain, key in unread(reads, g.configs):
            cure = f"remove it from dataflows/{domain}/config.py, or name it under driver_keys in {FILE}"
            yield Finding("config", "", f"{domain}.{key}", f"config/{domain}.yml: no layer reads {key}; {cure}.")


def boundaries(g: Graph) -> Iterator[Finding]:
    """A boundary model and the fields of its domain's layers disagree."""
    disabled = {name for name, entry in g.wiring.layers.items() if not entry.enabled}
    for domain, entry in g.wiring.domains.items():
        columns = {leaf.name: leaf for node in g.nodes.values() if node.domain == domain for leaf in _leaves(node)}
        if entry.boundary is None:
            if columns:
                message = (
                    f"domain {domain} has layers and no boundary model; name it under domains.{domain}.boundary in {FILE}."
                )
                yield Finding("boundary", "", domain, message)
            continue
        try:
            found = _schema_columns(entry.boundary)
        except (ImportError, AttributeError, ValueError) as error:
            message = f"boundary model {entry.boundary} of {domain} cannot be imported ({error}); correct its path in {FILE}."
            yield Finding("boundary", "", domain, message)
            continue
        enabled = {c: dtype for c, dtype in found.items() if c.partition(".")[0] not in disabled}
        yield from _same_columns(domain, entry.boundary, columns, enabled)


def _same_columns(domain: str, model: str, columns: Mapping[str, Leaf], found: Mapping[str, str]) -> Iterator[Finding]:
    left = dict(found)
    for column, leaf in columns.items():
        layer, kind = leaf.node, leaf.kind
        given = "float64" if kind.dtype == "f8" else "int64"
        wanted = [column]
        if leaf.wide:  # a stack, or book levels: one column each, and how many only the model says
            wide = [c for c in left if re.fullmatch(re.escape(column) + r"(\.\d+)+", c)]
            wanted = wide if leaf.carried and wide else [f"{column}.{i}" for i in range(max(1, len(wide)))]
            if kind.members:
                wanted = [f"{column}.{member}" for member in kind.members]
        for c in wanted:
            dtype = left.pop(c, None)
            if dtype is None and kind.within is not None:
                continue  # it brings its own column
            if dtype is None:
                message = f"{model} has no column {c}, which {layer} gives; add it to the boundary model of {domain}, or give "
                message += f"its range where {layer} returns it: Annotated[..., Within(low, high)]."
                yield Finding("boundary", layer, c, message)
            elif dtype != given:
                message = f"{model} says {c} is {dtype}, but {layer} gives {given}; correct the boundary model of {domain}."
                yield Finding("boundary", layer, c, message)
    for c in left:
        layer = c.partition(".")[0]
        message = f"{model} has a column {c}, which no layer of {domain} gives; remove it from the boundary model."
        yield Finding("boundary", layer, c, message)


def _leaves(node: LayerNode) -> list[Leaf]:
    """The recorded values of a layer; none where `types` says that it returns something else."""
    try:
        return leaves_of(node.name, node.returns, epoch=node.schedule == "epoch")
    except TypeError:
        return []


def _schema_columns(path: str) -> dict[str, str]:
    """Column name to dtype of a boundary model."""
    module, _, name = path.rpartition(".")
    model = getattr(importlib.import_module(module), name)
    return {column: str(entry.dtype) for column, entry in model.to_schema().columns.items()}
