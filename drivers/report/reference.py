"""The reference, made from the code: every layer, every setting, the graph. `python -m drivers.report.reference DIR`.

Nothing of it is written by hand, so it is made anew and never out of date.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dataflows.config import model_of
from dataflows.panel import walk
from drivers import dot
from drivers.engine.config_reads import reads_of
from drivers.engine.nodes import LayerNode
from drivers.engine.wiring import Wiring, load, wired_inputs
from drivers.engine.wiring_graph import graph_of
from drivers.graph import selection
from drivers.graph.model import read_model
from drivers.graph.picture import source
from drivers.graph_modules import layer_modules
from drivers.project import Project, load_configs, locate
from drivers.whole import write_whole, write_whole_bytes


def write_reference(project: Project, folder: Path) -> list[Path]:
    """Writes layers.md, configuration.md and the pictures into the folder; returns their paths."""
    wiring, configs = load(project.wiring), load_configs(project)
    nodes = graph_of(layer_modules(), wiring.variants)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("layers.md", "configuration.md")]
    write_whole(paths[0], "\n".join(layers_page(nodes, wiring, configs)) + "\n")
    write_whole(paths[1], "\n".join(configuration_page(nodes, configs)) + "\n")
    return [*paths, *write_pictures(project, folder)]


def write_pictures(project: Project, folder: Path) -> list[Path]:
    """The whole graph (graph.svg), the way to the gate (way-to-the-gate.svg), and each domain (<domain>.svg)."""
    model = read_model(project)
    parts = {"graph": selection.whole(model), "way-to-the-gate": selection.paths(model, "L66", "L4")}
    parts |= {d.name: selection.domain(model, d.name) for d in model.domains.values() if d.layers}
    made = []
    for name, part in parts.items():
        made.append(folder / f"{name}.svg")
        write_whole_bytes(made[-1], dot.render(source(model, part), "svg"))
    return made


def layers_page(nodes: Mapping[str, LayerNode], wiring: Wiring, configs: Mapping[str, Any]) -> Iterator[str]:
    """Each domain's layers, by id: what each takes, gives and reads, and its method as its docstring has it."""
    yield "# Layers"
    for domain in wiring.domains:
        own = sorted((n for n in nodes.values() if n.domain == domain), key=lambda n: int(n.layer_id[1:]))
        if own:
            yield f"\n## {domain}\n\n![{domain}]({domain}.svg)"
        for node in own:
            cross = ", cross-sectional" if node.cross_sectional else ""
            yield f"\n### {node.layer_id} `{node.name}`\n\n{node.schedule}{cross}\n"
            yield f"- takes: {_codes(wired_inputs(node, configs))}"
            yield f"- feeds: {_codes([n.name for n in nodes.values() if node.name in n.params])}"
            yield f"- gives: {_codes(['.'.join(path) or node.name for path, _ in walk(node.returns)])}"
            yield f"- reads: {_codes(sorted({f'{r.domain}.{r.key}' for r in reads_of(node.fn, configs)}))}"
            yield f"\n{inspect.cleandoc(node.fn.__doc__ or '')}"


def configuration_page(nodes: Mapping[str, LayerNode], configs: Mapping[str, Any]) -> Iterator[str]:
    """Each key of each domain: value, unit, meaning, and the layers that read it."""
    yield "# Configuration"
    readers: dict[tuple[str | None, str], list[str]] = {}
    for node in nodes.values():
        for domain, key in {(r.domain, r.key) for r in reads_of(node.fn, configs)}:
            readers.setdefault((domain, key), []).append(node.layer_id)
    for domain, record in configs.items():
        yield f"\n## {domain}\n\n| key | value | unit | meaning | read by |\n|---|---|---|---|---|"
        kind: Any = type(record)
        for key, value in record._asdict().items():
            info = model_of(kind).model_fields[key]
            unit = info.json_schema_extra.get("unit", "") if isinstance(info.json_schema_extra, dict) else ""
            read_by = ", ".join(sorted(readers.get((domain, key), ["drivers"])))
            yield f"| `{key}` | {value} | {unit} | {info.description} | {read_by} |"


def _codes(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names) or "nothing"


if __name__ == "__main__":
    for made in write_reference(locate(), Path(sys.argv[1] if len(sys.argv) > 1 else "site")):
        sys.stdout.write(f"{made}\n")
