"""A warning of the wiring: fields that a layer gives and no layer reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dataflows.panel import is_record
from drivers.graph.columns import leaves_of
from drivers.graph.field_flow import fields_read
from drivers.graph.layers import LayerNode
from drivers.graph.network import FILE, Finding, who
from drivers.graph.wiring import Wiring


def unread_fields(wiring: Wiring, forms: Sequence[LayerNode]) -> Iterator[Finding]:
    """Fields that nobody reads and nobody says are meant, and fields that are said to be unread and are not so.

    forms: all layers under every variant. What a sink gives is a result. Says nothing while a layer is disabled: its inputs
    wait for it.
    """
    if not all(entry.enabled for entry in wiring.layers.values()):
        return
    readers = _readers(wiring, forms)
    meant = {field for group in wiring.unread for field in group.fields}
    given: dict[str, LayerNode] = {}
    for node in forms:
        entry = wiring.layers.get(node.name)
        if entry is not None and not entry.sink:
            given |= {leaf.name: node for leaf in leaves_of(node.name, node.returns, epoch=node.schedule == "epoch")}
    for column, node in given.items():
        if column not in readers and column not in meant:
            cure = f"let one read it, drop it, or name it under `unread` in {FILE} with the reason"
            yield Finding("unread", node.name, column, f"{who(node)} gives {column}, which no layer reads; {cure}.")
    for column in sorted(meant):
        if column not in given or column in readers:
            what = f"{readers[column]} reads" if column in readers else "no layer gives, or a sink does"
            yield Finding("unread", "", column, f"`unread` in {FILE} names {column}, which {what}; remove it there.")


def _readers(wiring: Wiring, forms: Sequence[LayerNode]) -> dict[str, str]:
    """The columns that a layer reads, and one that does."""
    found: dict[str, str] = {}
    for node in forms:
        for parameter in node.params:
            delayed = wiring.delayed.get(parameter)
            source = delayed.source if delayed is not None else parameter
            if source not in wiring.layers:
                continue
            record = node.hints[parameter]
            prefix = (delayed.field,) if delayed is not None and delayed.field is not None else ()
            paths = fields_read(node.fn, parameter, record) if is_record(record) else {()}
            found |= {".".join((source, *prefix, *path)): node.name for path in paths}
    return found
