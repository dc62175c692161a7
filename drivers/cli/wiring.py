"""`stratoquant wiring`: the map of the system against its code."""

from __future__ import annotations

from typing import Annotated

import typer

from drivers.cli.app import App
from drivers.cli.common import Failed, project_of
from drivers.cli.say import say, say_json

app = App(help="Check wiring_master.yaml against the code, or bring its lists of inputs up to date.")


@app.command("check")
def check(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, and nothing else, on stdout.")] = False,
) -> None:
    """Hold the wiring file, the layers, config/ and the boundary models against each other.

    Says, one sentence a line, where the file and the functions differ, where a cycle closes without a declared delayed edge,
    where a domain takes what it may not, where a path leads from a proposal to an order past the risk gate, where a layer is
    cut off, which configuration keys do not exist or are read by none, and where a boundary model and the layers' fields
    disagree. Warns of fields that a layer gives and none reads. Exit code 0: all hold. 1: something does not. 2: a file
    cannot be read.

    With --json: {"ok", "counts": {"layers", "edges", "findings"}, "findings": [{"rule", "layer", "edge", "message", "file",
    "line"}, ...], "warnings": [the same]}; "" and 0 where a finding is about no layer, edge or line. CI may call
    the same without the other commands: python -P -m drivers.wiring_check [DIR] [--json].
    """
    from drivers.graph.rules.findings import as_dict, check_project, summary, warnings_of
    from drivers.project.locate import locate

    project = locate(project_of(context))
    wiring, findings = check_project(project)
    warnings = warnings_of(project) if not findings else []
    if json:
        say_json(as_dict(wiring, findings, warnings))
    else:
        for warning in warnings:
            say(f"warning: {warning.message}", err=True)
        for finding in findings:
            say(finding.message, err=True)
    if findings:
        raise Failed(f"The wiring does not hold: {len(findings)} {'finding' if len(findings) == 1 else 'findings'}.")
    if not json:
        say(summary(wiring))


@app.command("sync")
def sync(context: typer.Context) -> None:
    """Rewrite the lists of inputs in wiring_master.yaml from the functions' parameters, and add layers that it lacks.

    Comments and everything else stay as they are. A layer that is in the file and not in the code is left for you to remove.
    """
    from drivers.graph.modules import layer_modules
    from drivers.graph.network import forms_of
    from drivers.graph.wiring import sync as rewrite
    from drivers.project.domains import config_records
    from drivers.project.locate import locate

    project = locate(project_of(context))
    path = project.wiring
    changed = rewrite(path, forms_of(layer_modules(project)), config_records())
    say(f"{path} {'is up to date with the code now' if changed else 'was up to date'}.")
