"""The reference, made from the code: every setting, and the graph drawn. `python -P -m drivers.report.reference DIR`.

Nothing of it is written by hand, so it is made anew with each site and never out of date. The layers have pages of their own:
`drivers.report.layer_pages`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from drivers.diagrams import dot, selection
from drivers.diagrams.model import read_model
from drivers.diagrams.picture import source
from drivers.files.atomic import write_atomic, write_atomic_bytes
from drivers.graph.config_reads import reads_of
from drivers.graph.layers import LayerNode
from drivers.graph.modules import layer_modules
from drivers.graph.network import graph_of
from drivers.graph.wiring import load
from drivers.project.configs import as_written, explained, load_configs
from drivers.project.locate import Project, locate


def write_reference(project: Project, folder: Path) -> list[Path]:
    """Writes configuration.md and the pictures into the folder; returns their paths."""
    nodes = graph_of(layer_modules(project), load(project.wiring).variants)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "configuration.md"
    write_atomic(page, "\n".join(configuration_page(nodes, load_configs(project))) + "\n")
    return [page, *write_pictures(project, folder)]


def write_pictures(project: Project, folder: Path) -> list[Path]:
    """The whole graph (graph.svg), the way to the gate (way-to-the-gate.svg), and each domain (<domain>.svg)."""
    model = read_model(project)
    parts = {"graph": selection.all_layers(model), "way-to-the-gate": selection.paths(model, "L66", "L4")}
    parts |= {d.name: selection.domain(model, d.name) for d in model.domains.values() if d.layers}
    made = []
    for name, part in parts.items():
        made.append(folder / f"{name}.svg")
        write_atomic_bytes(made[-1], dot.render(source(model, part), "svg"))
    return made


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
        for key in record._fields:
            unit, about = explained(kind, key)
            read_by = ", ".join(sorted(readers.get((domain, key), ["drivers"])))
            yield f"| `{key}` | {as_written(record, key)} | {unit} | {about} | {read_by} |"


if __name__ == "__main__":
    for made in write_reference(locate(), Path(sys.argv[1] if len(sys.argv) > 1 else "site")):
        sys.stdout.write(f"{made}\n")
