"""What `wiring check` finds in a project, and where to look."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from drivers.graph.field_reads import NOTES
from drivers.graph.layers import LayerNode
from drivers.graph.modules import layer_modules
from drivers.graph.network import Finding, forms_of, graph_of
from drivers.graph.rules.check import check
from drivers.graph.rules.fields import unread_fields
from drivers.graph.wiring import Wiring, load
from drivers.project.configs import load_configs
from drivers.project.domains import config_records
from drivers.project.locate import Project

_IN_THE_FILE: Final = frozenset({"layers", "ids", "delayed", "domains", "door", "sink"})
"""Rules whose findings are put right in the wiring file, where it has a line for them; those of the others in the code."""


def check_project(project: Project) -> tuple[Wiring, list[Finding]]:
    """A project's wiring, and what is wrong with it. Raises ProjectError or ConfigError when a file cannot be read."""
    wiring = load(project.wiring)
    load_configs(project)  # every key known and in range
    modules = layer_modules(project)
    findings = check(wiring, modules, config_records())
    if not findings:
        return wiring, []
    try:
        nodes = graph_of(modules, wiring.variants)
    except ValueError:  # that is what the only finding is about
        nodes = {}
    lines = key_lines(project.wiring)
    return wiring, [located(finding, project, nodes, lines) for finding in findings]


def warnings_of(project: Project) -> list[Finding]:
    """What works and is perhaps not meant, of a project that `check_project` finds nothing wrong with."""
    wiring = load(project.wiring)
    modules = layer_modules(project)
    nodes, lines = graph_of(modules, wiring.variants), key_lines(project.wiring)
    found = list(unread_fields(wiring, forms_of(modules)))
    NOTES.keep()
    return [located(finding, project, nodes, lines) for finding in found]


def located(finding: Finding, project: Project, nodes: Mapping[str, LayerNode], lines: Mapping[str, int]) -> Finding:
    """The finding with the place to look at: a line of the wiring file or of a layer, or a configuration file.

    lines: of the keys of the wiring file, by `key_lines`.
    """
    named = (finding.layer, finding.edge, finding.edge.partition(" > ")[0])
    line = next((lines[name] for name in named if name in lines), 0)
    node = nodes.get(finding.layer)
    if finding.rule == "config" and node is None:
        file = project.config / f"{finding.edge.partition('.')[0]}.yml"
        return finding._replace(file=_shown(file)) if file.is_file() else finding
    if node is not None and (finding.rule not in _IN_THE_FILE or not line):
        code = inspect.unwrap(node.fn).__code__
        return finding._replace(file=_shown(Path(code.co_filename)), line=code.co_firstlineno)
    return finding._replace(file=_shown(project.wiring), line=line)


def key_lines(path: Path) -> dict[str, int]:
    """The line of each layer, delayed edge, domain and other key of the wiring file; a name's first where it has several."""
    found: dict[str, int] = {}
    root = yaml.compose(path.read_text(encoding="utf-8"))
    assert isinstance(root, yaml.MappingNode)  # it has been loaded
    for key, value in root.value:
        for inner, _ in value.value if isinstance(value, yaml.MappingNode) else ():
            found.setdefault(inner.value, inner.start_mark.line + 1)
        found.setdefault(key.value, key.start_mark.line + 1)
    return found


def _shown(path: Path) -> str:
    """From the current folder where it is below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def summary(wiring: Wiring) -> str:
    """One line on a wiring that holds."""
    doors = ", ".join(door.door for door in wiring.doors)
    layers, edges = size(wiring)
    return f"{layers} layers and {edges} edges hold; every path from a proposal to an order leads through {doors}."


def size(wiring: Wiring) -> tuple[int, int]:
    """How many enabled layers there are, and how many edges lead into them."""
    return len(wiring.enabled), sum(len(wiring.inputs_of(name)) for name in wiring.enabled)


def as_dict(wiring: Wiring, findings: Sequence[Finding], warnings: Sequence[Finding] = ()) -> dict[str, Any]:
    """What `--json` prints: `ok`, `counts` of layers, edges and findings, `findings` and `warnings`.

    Each finding has rule, layer, edge, message, file and line; "" and 0 where there is none.
    """
    layers, edges = size(wiring)
    return {
        "ok": not findings,
        "counts": {"layers": layers, "edges": edges, "findings": len(findings)},
        "findings": [finding._asdict() for finding in findings],
        "warnings": [warning._asdict() for warning in warnings],
    }
