"""The graph as one HTML page that opens anywhere, offline: search, neighbours, paths, every layer in full, a run's values.

    write_page(Path("graph.html"), read_model(project), project, run=open_run(Path("runs/7")), at="2026-03-01T12:00Z")

The drawing is SVG, made in the browser by graph_*.js. No layout library is used: ELK, the usual one for boxes within boxes,
took six seconds over 101 layers where graph_layout.js takes some hundredths, and is four times as large as all of the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from drivers.diagrams.meaning import Codes, Meaning, meanings
from drivers.diagrams.model import Details, Edge, Field, Layer, Model, detailed
from drivers.diagrams.values import columns_at, values_of
from drivers.files.atomic import write_atomic
from drivers.project.locate import Project, with_layers
from drivers.store.reader import RecordedRun
from drivers.web.page import render_page

SCRIPTS: Final = ("graph_model.js", "graph_layout.js", "graph_view.js", "graph_values.js", "graph_panel.js", "graph.js")


def write_page(
    path: Path,
    model: Model,
    project: Project,
    *,
    run: RecordedRun | None = None,
    at: str | None = None,
    symbol: str | None = None,
) -> None:
    """Writes the page, whole or not at all.

    run: a finished run whose values and settings are shown. at: the bar shown first, a time as text; without it the last with
    an order. symbol: the symbol shown first.
    Raises ValuesError for a bar or symbol that is not in the run.
    """
    used = project if run is None else with_layers(run.project, project)
    data = page_data(detailed(model, used), meanings(project), run=run, at=at, symbol=symbol)
    write_atomic(path, page(data))


def page(data: Mapping[str, Any], *, title: str = "StratoQuant: the graph") -> str:
    """The page of what `page_data` gives."""
    return render_page(
        "graph.html.j2",
        title=title,
        description=f"{len(data['layers'])} layers, what each takes, gives and does.",
        styles=["graph.css"],
        scripts=SCRIPTS,
        data=data,
        run=data["run"],
    )


def page_data(
    model: Model,
    layers: Mapping[str, Meaning],
    *,
    run: RecordedRun | None = None,
    at: str | None = None,
    symbol: str | None = None,
) -> dict[str, Any]:
    """All that the page knows, as plain data: domains, layers in order of their numbers, edges, names of codes, a run's values.

    model: with details. layers: what each returns, by name; a layer without is shown without the meaning of its fields.
    """
    values = None if run is None else values_of(run, layers, at=at, symbol=symbol)
    recorded = {} if values is None else values["columns"]
    codes: dict[str, Codes] = {}
    for name, meaning in layers.items():
        codes |= {f"{name}.{path}": leaf.codes for path, leaf in meaning.leaves.items() if leaf.codes is not None}
    return {
        "domains": list(model.domains),
        "layers": [
            _layer(layer, model, layers.get(layer.name), recorded)
            for layer in sorted(model.layers.values(), key=lambda each: each.number)
        ],
        "edges": [
            {"source": edge.source, "target": edge.target, "delay": edge.delay, "label": edge.name}
            for edge in model.edges
            if edge.source in model.layers
        ],
        "codes": {name: _codes(each) for name, each in codes.items()},
        "run": values,
    }


def _layer(layer: Layer, model: Model, meaning: Meaning | None, recorded: Mapping[str, Any]) -> dict[str, Any]:
    details = layer.details or Details((), ())
    edges = {edge.name: edge for edge in model.edges if edge.target == layer.name}
    inputs = [_input(each.name, each.kind, edges.get(each.name), model) for each in layer.inputs]
    return {
        "name": layer.name,
        "id": layer.id,
        "number": layer.number,
        "label": layer.label,
        "domain": layer.domain,
        "schedule": layer.schedule,
        "cross_sectional": layer.cross_sectional,
        "memory": layer.memory,
        "sink": layer.sink,
        "log": meaning is not None and meaning.log,
        "door": _door(layer, model),
        "headline": layer.method.partition("\n")[0],
        "title": layer.title,
        "doc": layer.method,
        "returns": meaning.record if meaning is not None else "",
        "path": f"{layer.module.replace('.', '/')}.py",
        "line": layer.line,
        "source": layer.code,
        "inputs": inputs,
        "outputs": [_field(layer.name, field, meaning, recorded) for field in details.gives],
        "config": [
            {"key": f"{each.domain}.{each.key}", "value": _text(each.value), "unit": each.unit, "about": each.about}
            for each in details.reads
        ],
    }


def _input(name: str, kind: str, edge: Edge | None, model: Model) -> dict[str, Any]:
    source = edge.source if edge is not None and kind in ("layer", "delayed") else None
    delay = edge.delay if edge is not None else ""
    return {"name": name, "kind": kind, "source": source, "there": source in model.layers, "delay": delay}


def _field(layer: str, field: Field, meaning: Meaning | None, recorded: Mapping[str, Any]) -> dict[str, Any]:
    leaf = meaning.leaves.get(field.name) if meaning is not None else None
    full = f"{layer}.{field.name}".rstrip(".")
    axes = f" ({', '.join(field.axes)})" if field.axes else ""
    return {
        "name": field.name,
        "kind": f"{field.dtype}{axes}",
        "about": leaf.about if leaf is not None else "",
        "codes": full if leaf is not None and leaf.codes is not None else None,
        "columns": columns_at(full, leaf.kind, list(recorded)) if leaf is not None else [],
    }


def _door(layer: Layer, model: Model) -> str | None:
    """What a door stands between, as `from L7 or L3 to L5`; None for a layer that is no door."""

    def short(name: str) -> str:
        return model.layers[name].id if name in model.layers else name

    found = [each for each in model.passages if each.door == layer.name]
    return ", ".join(f"from {' or '.join(map(short, each.sources))} to {short(each.to)}" for each in found) or None


def _codes(codes: Codes) -> dict[str, Any]:
    if codes.mask:
        return {"mask": True, "time": False, "names": [codes.names[i] for i in sorted(codes.names)]}
    return {"mask": False, "time": codes.time, "names": {str(value): name for value, name in codes.names.items()}}


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
