"""`python -m drivers.wiring_check`: the check of CI, without the command line's own imports."""

from __future__ import annotations

import sys
from pathlib import Path

from drivers.engine.wiring import Wiring, load
from drivers.engine.wiring_graph import Finding
from drivers.engine.wiring_rules import check
from drivers.graph_modules import layer_modules
from drivers.project import Project, config_records, load_configs, locate


def check_project(project: Project) -> tuple[Wiring, list[Finding]]:
    """A project's wiring, and what is wrong with it. Raises ProjectError or ConfigError when a file cannot be read."""
    wiring = load(project.wiring)
    load_configs(project)  # every key known and in range
    return wiring, check(wiring, layer_modules(), config_records())


def summary(wiring: Wiring) -> str:
    """One line on a wiring that holds."""
    edges = sum(len(wiring.layers[name].inputs) for name in wiring.enabled)
    doors = ", ".join(door.door for door in wiring.doors)
    return f"{len(wiring.enabled)} layers and {edges} edges hold; every way from a proposal to an order leads through {doors}."


def main(folder: str | None = None) -> int:
    """Prints what is wrong, one sentence a line; 0 when nothing is, 1 when something is, 2 when a file cannot be read."""
    try:
        wiring, findings = check_project(locate(Path(folder) if folder else None))
    except ValueError as error:  # ProjectError, ConfigError
        sys.stderr.write(f"{error}\n")
        return 2
    for finding in findings:
        sys.stderr.write(f"{finding.message}\n")
    sys.stdout.write(summary(wiring) + "\n" if not findings else f"{len(findings)} findings.\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
