"""What the source files declare is what Hamilton makes of the imported layers."""

from __future__ import annotations

from drivers.diagrams.declared import declared_layers
from drivers.graph.layers import SUFFIX
from drivers.graph.modules import layer_modules
from drivers.graph.network import graph_of
from drivers.graph.wiring import load
from drivers.project.locate import defaults


def test_declared_layers_are_hamilton_s_nodes() -> None:
    variants = load(defaults().wiring).variants
    nodes, declared = graph_of(layer_modules(), variants), declared_layers(variants)
    assert set(declared) == set(nodes)
    for name, node in nodes.items():
        it = declared[name]
        assert (it.layer_id, it.domain, it.schedule) == (node.layer_id, node.domain, node.schedule)
        assert it.cross_sectional == node.cross_sectional
        taken = tuple(f"{name}{SUFFIX}" if p == "carry" else p for p in it.parameters)
        assert taken == node.params
        assert it.module == node.fn.__module__
        assert it.method.split() == (node.fn.__doc__ or "").split()
