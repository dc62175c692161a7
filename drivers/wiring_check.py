"""`python -P -m drivers.wiring_check [DIR] [--json]`: the check of CI, without the command line's own imports."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from drivers.graph.rules.findings import as_dict, check_project, summary, warnings_of
from drivers.project.locate import locate
from drivers.text.inert import json_text, shown


def main(arguments: Sequence[str] = ()) -> int:
    """Prints what is wrong, one sentence a line; 0 when nothing is, 1 when something is, 2 when a file cannot be read."""
    parser = argparse.ArgumentParser(
        prog="python -P -m drivers.wiring_check",
        description="Hold the wiring file, the layers, config/ and the boundary models against each other.",
        epilog="Exit code 0: all hold. 1: something does not. 2: a file cannot be read.",
    )
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="the project; without it as `stratoquant` finds it")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON, and nothing else, on stdout")
    given = parser.parse_args(arguments)
    try:
        project = locate(given.folder)
        wiring, findings = check_project(project)
        warnings = warnings_of(project) if not findings else []
    except ValueError as error:  # ProjectError, ConfigError
        sys.stderr.write(shown(f"{error}\n"))
        return 2
    if given.json:
        sys.stdout.write(json_text(as_dict(wiring, findings, warnings), indent=2) + "\n")
        return 1 if findings else 0
    for warning in warnings:
        sys.stderr.write(shown(f"warning: {warning.message}\n"))
    for finding in findings:
        sys.stderr.write(shown(f"{finding.message}\n"))
    sys.stdout.write(summary(wiring) + "\n" if not findings else f"{len(findings)} findings.\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
