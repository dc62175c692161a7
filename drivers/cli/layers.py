"""`stratoquant layers`: the inventory, and one layer in full."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drivers.cli import complete
from drivers.cli.common import project_of
from drivers.cli.say import say
from drivers.text.suggestions import layer_hint, layer_named

if TYPE_CHECKING:
    from drivers.graph.layers import LayerNode
    from drivers.graph.wiring import Wiring


def layers(
    context: typer.Context,
    layer: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete.layers,
            metavar="LAYER",
            help="An id (L12 or 12) or a name. Without it, all layers are listed.",
        ),
    ] = None,
) -> None:
    """List the layers, or show one of them.

    For one layer it shows inputs, outputs, the layers that take it, the settings that it reads with their values, its
    method, and the place of its code.
    """
    from drivers.graph.modules import layer_modules
    from drivers.graph.network import graph_of
    from drivers.graph.wiring import load
    from drivers.project.configs import load_configs
    from drivers.project.locate import locate
    from drivers.text.terminal import Terminal

    project = locate(project_of(context))
    wiring = load(project.wiring)
    nodes = graph_of(layer_modules(project), wiring.variants)
    if layer is None:
        say(_inventory(nodes, wiring))
    else:
        show(_named(layer, nodes), nodes, wiring, load_configs(project), Terminal(soft_wrap=True))


def _source(node: LayerNode) -> str:
    """File and line, from the current folder where it is below it."""
    code = inspect.unwrap(node.fn).__code__
    path = Path(code.co_filename)
    here = Path.cwd()
    return f"{path.relative_to(here) if path.is_relative_to(here) else path}:{code.co_firstlineno}"


def _inventory(nodes: dict[str, LayerNode], wiring: Wiring) -> str:
    """A line a layer, in columns however wide the screen: made to be read and to be searched."""
    rows = [("id", "layer", "domain", "schedule", "source")]
    for node in sorted(nodes.values(), key=lambda n: int(n.layer_id[1:])):
        entry = wiring.layers.get(node.name)
        schedule = node.schedule if entry is None or entry.enabled else f"{node.schedule} (disabled)"
        rows.append((node.layer_id, node.name, node.domain, schedule, _source(node)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _named(wanted: str, nodes: dict[str, LayerNode]) -> LayerNode:
    name = layer_named(wanted, list(nodes))
    if name is None:
        raise ValueError(f"there is no layer {wanted!r}; {layer_hint(wanted, list(nodes))}")
    return nodes[name]


def show(node: LayerNode, nodes: dict[str, LayerNode], wiring: Wiring, configs: dict[str, Any], console: Any) -> None:
    """Prints one layer: inputs, outputs, takers, settings, method, source."""
    from drivers.graph.config_reads import reads_of
    from drivers.graph.layers import SUFFIX
    from drivers.project.configs import as_written, explained

    cross = ", cross-sectional" if node.cross_sectional else ""
    console.print(f"{node.layer_id} {node.name}", style="bold", highlight=False)
    console.print(f"{node.domain}, {node.schedule}{cross}; {_source(node)}", highlight=False)
    about = inspect.getmodule(inspect.unwrap(node.fn))
    if about is not None and about.__doc__:
        console.print(about.__doc__.strip(), highlight=False)

    console.print("\ntakes", style="bold")
    for p in node.params:
        if p in configs:
            continue
        console.print(f"  {'carry' if p.endswith(SUFFIX) else p}{_role(p, node, nodes, wiring)}", highlight=False)
    takers = [n.name for n in nodes.values() if node.name in n.params]
    rounds = [f"{name} (delayed: one {edge.delay})" for name, edge in wiring.delayed.items() if edge.source == node.name]
    console.print("feeds", style="bold")
    console.print(f"  {', '.join([*takers, *rounds]) or 'nothing'}", highlight=False)
    console.print("gives", style="bold")
    for line in _fields(node):
        console.print(f"  {line}", highlight=False)
    reads = sorted({(r.domain or "", r.key) for r in reads_of(node.fn, configs)})
    if reads:
        console.print("reads", style="bold")
    for domain, key in reads:
        record = configs[domain]
        if key not in record._fields:
            continue
        unit, meaning = explained(type(record), key)
        value = as_written(record, key)
        console.print(f"  {domain}.{key} = {value} ({unit}): {meaning}", highlight=False)
    console.print("\nmethod", style="bold")
    console.print(inspect.cleandoc(node.fn.__doc__ or ""), highlight=False)


def _role(p: str, node: LayerNode, nodes: dict[str, LayerNode], wiring: Wiring) -> str:
    if p in nodes:
        return f"  {nodes[p].layer_id}, {nodes[p].domain}"
    if p in wiring.delayed:
        edge = wiring.delayed[p]
        waits = "; the start value until that layer exists" if edge.awaits else ""
        return f"  from {edge.source}, one {edge.delay} late{waits}"
    if p in wiring.external:
        return "  handed in by the engine"
    return f"  its memory: {getattr(node.hints[p], '__name__', node.hints[p])}" if p in node.hints else ""


def _fields(node: LayerNode) -> list[str]:
    from drivers.graph.columns import values_of

    lines = []
    for leaf in values_of(node.name, node.returns, epoch=node.schedule == "epoch"):
        axes = leaf.axes(node.schedule)
        shape = f"({', '.join(axes)})" if axes else "one value an epoch" if node.schedule == "epoch" else "one value an instant"
        lines.append(f"{'.'.join(leaf.path) or node.name}  {'float64' if leaf.kind.dtype == 'f8' else 'int64'} {shape}")
    return lines
