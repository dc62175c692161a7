"""The graph in the DOT language: domains as clusters in a colour each, schedules by shape, the risk gate marked.

`source(model, selection)` is drawn by `drivers.diagrams.dot`. Light, so that it prints; the colours are those of base.css.
Labels are plain text, since Graphviz in WebAssembly draws no others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import graphviz
import networkx as nx

from drivers.diagrams.model import Edge, Layer, Model
from drivers.diagrams.selection import Selection
from drivers.text.inert import dot_text

COLOURS: Final = {
    "data": "#44617f",
    "regime": "#7a5195",
    "microstructure": "#0f7285",
    "kinematics": "#24679f",
    "pattern": "#99542a",
    "fusion": "#3b7330",
    "risk": "#ad3a34",
    "execution": "#4c55a3",
    "meta": "#7c6212",
    "rl": "#9a3f78",
}
OTHER: Final = "#55606e"  # a domain without a colour of its own, and all that is no layer
INK, LINE, FAINT, DOOR, DELAYED = "#17202b", "#7b8794", "#c3cad3", "#b3312c", "#7a3f98"
FONT: Final = "Helvetica,Arial,DejaVu Sans,sans-serif"
SHAPES: Final = {
    "columnar": {"shape": "box", "style": "filled"},
    "step": {"shape": "box", "style": "filled,rounded"},
    "post": {"shape": "note", "style": "filled"},
    "epoch": {"shape": "hexagon", "style": "filled"},
}
MEANINGS: Final = {
    "columnar": "box: columnar, whole panels, once a chunk",
    "step": "rounded box: step, bar by bar, the account in view",
    "post": "note: post, panels again, after the steps",
    "epoch": "hexagon: epoch, once a day",
}


def source(
    model: Model, selection: Selection, *, notes: Mapping[str, Sequence[str]] | None = None, about: Sequence[str] = ()
) -> str:
    """The picture's source: every layer of the selection once, every edge once, and in words what its shapes and lines mean.

    notes: lines to write below the name of a layer. about: lines to write below the title.
    """
    drawn = graphviz.Digraph(
        name="stratoquant",
        graph_attr={
            "rankdir": "LR",
            "bgcolor": "white",
            "fontname": FONT,
            "fontsize": "16",
            "fontcolor": INK,
            "label": "".join(f"{dot_text(line)}\\l" for line in [selection.title, *about, *_legend(model, selection)]),
            "labelloc": "b",
            "labeljust": "l",
            "pad": "0.3",
            "nodesep": "0.14",
            "ranksep": "0.7",
            "tooltip": dot_text(selection.title),
        },
        node_attr={"fontname": FONT, "fontsize": "11", "margin": "0.2,0.07", "fontcolor": INK},
        edge_attr={"color": LINE, "fontname": FONT, "fontsize": "10", "arrowsize": "0.6", "penwidth": "0.8"},
    )
    for domain in model.domains.values():
        own = [model.layers[name] for name in domain.layers if name in selection.shown]
        if own:
            with drawn.subgraph(name=f"cluster_{domain.name}") as box:
                colour = COLOURS.get(domain.name, OTHER)
                part = "" if len(own) == len(domain.layers) else f" ({len(own)} of {len(domain.layers)})"
                look = {"style": "filled,rounded", "fillcolor": f"{colour}12", "color": colour, "fontcolor": colour}
                name = dot_text(domain.name)
                box.attr(label=f"{name}{part}", labelloc="t", fontsize="14", tooltip=name, **look)
                for layer in own:
                    _layer(box, layer, colour, selection, (notes or {}).get(layer.name, ()))
    for name in dict.fromkeys(e.source for e in selection.edges if e.kind == "external"):
        drawn.node(name, shape="plain", fontcolor=OTHER, tooltip=f"{name}: handed in by the engine")
    vital = passage(model)
    for edge in selection.edges:
        drawn.edge(edge.source, edge.target, **_edge(edge, (edge.source, edge.target) in vital))
    return str(drawn.source)


def passage(model: Model) -> frozenset[tuple[str, str]]:
    """The edges on any way within the bar from a proposal to the door, and from the door to the orders."""
    found: set[tuple[str, str]] = set()
    now: Any = model.now
    for way in model.passages:
        for first, last in [*((s, way.door) for s in way.sources), (way.door, way.to)]:
            if first in now and last in now:
                on = ({first} | nx.descendants(now, first)) & ({last} | nx.ancestors(now, last))
                found |= set(now.subgraph(on).edges)
    return frozenset(found)


def _layer(box: graphviz.Digraph, layer: Layer, colour: str, selection: Selection, notes: Sequence[str]) -> None:
    look = {**SHAPES[layer.schedule], "fillcolor": f"{colour}33", "color": colour}
    if layer.name in selection.beside:
        look |= {"fillcolor": "white", "style": f"{look['style']},dashed"}
    if layer.name in selection.focus:
        look |= {"penwidth": "2.5"}
    if layer.door:
        look |= {"shape": "doubleoctagon", "style": "filled", "fillcolor": DOOR, "color": DOOR, "fontcolor": "white"}
        look |= {"fontsize": "14", "penwidth": "2.5"}
    label = "\n".join(map(dot_text, [f"{layer.id} {layer.label}", *notes]))
    box.node(layer.name, label=label, tooltip=dot_text(f"{layer.id} {layer.name}: {layer.title}"), **look)


def _edge(edge: Edge, vital: bool) -> dict[str, str]:
    if edge.kind == "delayed":
        look = {"style": "dashed", "color": DELAYED, "fontcolor": DELAYED, "penwidth": "1.4", "constraint": "false"}
        return {**look, "label": f"{edge.name}, one {edge.delay} later"}
    if vital:
        return {"color": DOOR, "penwidth": "1.8"}
    return {"color": FAINT, "style": "dotted", "penwidth": "1.2"} if edge.kind == "external" else {}


def _legend(model: Model, selection: Selection) -> list[str]:
    """The shapes and lines that occur in this picture, in words."""
    layers = [model.layers[name] for name in selection.shown]
    lines = [MEANINGS[s] for s in SHAPES if any(layer.schedule == s for layer in layers)]
    if any(e.kind == "delayed" for e in selection.edges):
        lines.append("dashed edge: comes round a bar or an epoch later")
    if any(e.kind == "external" for e in selection.edges):
        lines.append("dotted edge: handed in by the engine")
    if selection.beside:
        lines.append("dashed outline: beside what was asked for")
    door = next((layer for layer in layers if layer.door), None)
    if door is not None:
        lines.append(f"{door.id} is the risk gate: every path from a proposal to an order (red) leads through it")
    return lines
